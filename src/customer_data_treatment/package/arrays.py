"""data/arrays.zarr, written by us: shards appended chunk by chunk, documents in plain JSON.

Zarr v3 core specification 3.1, sharding codec 1.0, consolidated metadata inline. zarr-python and
xarray are its readers and judges, never its writers.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..model.sample import ChunkGrid
from ..plugin import CodecCode
from .files import Ledger
from .layout import ARRAYS
from .shards import ShardWriter

if TYPE_CHECKING:
    from ..codecs.bounded import Form

_INDEX_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]


@dataclass
class ArrayTree:
    """The Zarr hierarchy of one package while it is written."""

    ledger: Ledger
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)

    def group(self, node: str, attributes: Mapping[str, Any]) -> None:
        """Note a group and, where they are not yet, those above it."""
        parts = node.split("/") if node else []
        for i in range(1, len(parts)):
            self.documents.setdefault("/".join(parts[:i]), _group({}))
        if node:
            self.documents[node] = _group(attributes)
        else:
            self.root_attributes = dict(attributes)

    root_attributes: dict[str, Any] = field(default_factory=dict)

    def array(self, node: str, document: dict[str, Any]) -> None:
        """Note an array's document; its groups above are made where they are not yet."""
        parts = node.split("/")
        for i in range(1, len(parts)):
            self.documents.setdefault("/".join(parts[:i]), _group({}))
        self.documents[node] = document

    def close(self) -> None:
        """Write every document and the root with all of them consolidated."""
        for node in sorted(self.documents):
            self.ledger.write(f"{ARRAYS}/{node}/zarr.json", _dump(self.documents[node]))
        root = _group(self.root_attributes)
        metadata = {node: self.documents[node] for node in sorted(self.documents)}
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": metadata}
        self.ledger.write(f"{ARRAYS}/zarr.json", _dump(root))


class ChunkWriter:
    """One array's shards: frames come in chunk order and go to disk at once."""

    def __init__(self, ledger: Ledger, node: str, grid: ChunkGrid) -> None:
        self._ledger = ledger
        self._node = node
        self._grid = grid
        per = [s // c for s, c in zip(grid.shard, grid.chunk, strict=True)]
        self._places = int(np.prod(per, dtype=np.int64)) if per else 1
        self._shard: tuple[int, ...] | None = None
        self._writer: ShardWriter | None = None
        self.bytes = 0

    def append(self, shard: tuple[int, ...], place: int, frame: bytes) -> None:
        """Append the frame of the next chunk."""
        self.bytes += len(frame)
        if not self._grid.shape:  # a 0-d array has one chunk and no shard
            self._ledger.write(f"{ARRAYS}/{self._node}/c", frame)
            return
        if shard != self._shard:
            self.close()
            path = f"{ARRAYS}/{self._node}/c/{'/'.join(map(str, shard))}"
            self._writer, self._shard = ShardWriter(self._ledger.create(path), self._places), shard
        assert self._writer is not None
        self._writer.append(place, frame)

    def close(self) -> None:
        """Finish the shard that is open."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def abandon(self) -> None:
        """Leave the shard unfinished."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None


def array_document(
    grid: ChunkGrid,
    dtype: "np.dtype[Any] | None",
    codec: CodecCode,
    dimensions: Iterable[str],
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return an array's zarr.json; dtype None is text."""
    if dtype is None:
        inner: list[dict[str, Any]] = [{"name": "vlen-utf8"}, codec.metadata(1)]
        kind, fill = "string", ""
    else:
        inner = [{"name": "bytes", "configuration": {"endian": "little"}}, codec.metadata(dtype.itemsize)]
        kind, fill = dtype.name, _zero(dtype)
    sharding = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(grid.chunk),
            "codecs": inner,
            "index_codecs": _INDEX_CODECS,
            "index_location": "end",
        },
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(grid.shape),
        "data_type": kind,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(grid.shard)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": [sharding] if grid.shape else inner,
        "attributes": dict(attributes),
        "dimension_names": list(dimensions),
        "storage_transformers": [],
    }


def _zero(dtype: "np.dtype[Any]") -> Any:
    return {"f": 0.0, "c": [0.0, 0.0], "b": False}.get(dtype.kind, 0)


def _group(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True).encode("utf-8")


def field_attributes(form: "Form", attributes: Mapping[str, Any], fill: Any) -> dict[str, Any]:
    """Return the CF attributes that decode a packed field; the rest as it is."""
    if form.grid is None:
        return dict(attributes) | ({"_FillValue": fill} if fill is not None else {})
    kept = {name: value for name, value in attributes.items() if name != "missing_value"}
    return kept | {
        "scale_factor": float(form.grid.step),
        "add_offset": float(form.grid.offset),
        "_FillValue": form.grid.sentinel,
    }


def padded(values: "np.ndarray[Any, Any]", chunk: tuple[int, ...]) -> "np.ndarray[Any, Any]":
    """Return the values in a whole chunk: Zarr stores edge chunks at full size."""
    if values.shape == chunk:
        return np.ascontiguousarray(values)
    out = np.zeros(chunk, values.dtype)
    out[tuple(slice(0, n) for n in values.shape)] = values
    return out
