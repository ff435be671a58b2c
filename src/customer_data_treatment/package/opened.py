"""A package open for reading: its facts, its decoded values, its carried bytes.

Chunks are read by our own shard reader, each decoded alone; nothing larger than a box and a chunk is
held. Plaintext of a sealed package is given as a folder of its own.
"""

import json
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numcodecs import VLenUTF8

from ..algorithms.quantise import Grid
from ..codecs import CODECS
from ..codecs.bounded import Form, restored
from ..errors import CustomerError
from ..model.dataset import TEXT, ArrayField, Dataset, TableField
from ..model.facts import from_record
from ..model.sample import ChunkGrid
from ..plugin import CodecCode, load
from ..ports import Box
from .carried import read_carried
from .layout import ARRAYS, CARRIED, PLAN, TABLES
from .shards import ShardReader
from .tables import open_table

FACTS = f"{CARRIED}/dataset.json"


class StoredArray:
    """The chunks of one array as they lie in the package."""

    def __init__(self, folder: Path, node: str, grid: ChunkGrid, form: Form, codec: str, field: ArrayField) -> None:
        self._folder = folder / ARRAYS / node
        self.grid, self.form, self.field = grid, form, field
        self._code: CodecCode = load(CODECS, codec)
        per = [s // c for s, c in zip(grid.shard, grid.chunk, strict=True)]
        self._places = int(np.prod(per, dtype=np.int64)) if per else 1
        self._shard: tuple[tuple[int, ...], ShardReader] | None = None
        text = field.dtype == TEXT
        self.dtype = np.dtype(object) if text else form.stored_dtype(field.numpy_dtype())

    def chunk(self, shard: tuple[int, ...], place: int) -> "np.ndarray[Any, Any]":
        """Return a whole stored chunk, padding included; text comes as its encoded bytes.

        Raise ValueError where it does not decode, OSError where its file is not there.
        """
        frame = self._frame(shard, place)
        if self.field.dtype == TEXT:
            raw = np.empty(int.from_bytes(frame[4:8], "little"), np.uint8)
            self._code.decode(frame, raw)
            return raw
        out = np.empty(self.grid.chunk, self.dtype)
        self._code.decode(frame, out)
        return out

    def _frame(self, shard: tuple[int, ...], place: int) -> bytes:
        if not self.grid.shape:
            return (self._folder / "c").read_bytes()
        if self._shard is None or self._shard[0] != shard:
            self.close()
            path = self._folder.joinpath("c", *map(str, shard))
            self._shard = (shard, ShardReader(path, self._places))
        return self._shard[1].frame(place)

    def values(self, shard: tuple[int, ...], place: int, box: Box) -> "np.ndarray[Any, Any]":
        """Return the stored values of one chunk's box, without padding."""
        chunk = self.chunk(shard, place)
        if self.field.dtype == TEXT:
            chunk = VLenUTF8().decode(chunk).reshape(self.grid.chunk)
        inside = tuple(slice(0, part.stop - part.start) for part in box)
        return np.ascontiguousarray(chunk[inside]) if inside else chunk.reshape(())

    def close(self) -> None:
        """Close the shard that is open."""
        if self._shard is not None:
            self._shard[1].close()
            self._shard = None


class OpenedPackage:
    """The RestoreSource of a package's plaintext folder."""

    def __init__(self, folder: Path) -> None:
        """Read the facts and the plan.

        Raise CustomerError (not-verified) where they cannot be read: verify names the damage.
        """
        self.folder = folder
        try:
            self.facts = json.loads((folder / FACTS).read_text("utf-8", errors="surrogatepass"))
            self.plan = json.loads((folder / PLAN).read_bytes())
        except (OSError, ValueError) as error:
            raise CustomerError(
                "its facts or its plan cannot be read",
                code="not-verified",
                where=folder.name,
                remedy="cdt verify names the damaged file",
            ) from error

    @cached_property
    def dataset(self) -> Dataset:
        """The facts the decoder gave."""
        schemas = {}
        for name, stem in self.facts["tables"].items():
            with open_table(self._table_path(stem)) as file:
                schemas[name] = file.schema_arrow
        return from_record(self.facts, schemas)

    def _table_path(self, stem: str) -> Path:
        return self.folder / TABLES / f"{stem}.parquet"

    @lru_cache(maxsize=64)  # noqa: B019  a package is opened once a command
    def array(self, name: str) -> StoredArray:
        """Return one array's stored chunks."""
        entry = next(item for item in self.plan["fields"] if item["field"] == name)
        field = self.dataset.field(name)
        assert isinstance(field, ArrayField)
        grid = ChunkGrid(field.shape, tuple(entry["chunk"]), tuple(entry["shard"]))
        form = form_of(entry["encoding"], field.fill)
        return StoredArray(self.folder, self.facts["nodes"][name], grid, form, entry["encoding"]["codec"], field)

    def missing_mask(self, name: str) -> StoredArray | None:
        """Return the mask of a text array's missing values, None where none is missing."""
        node = f"{self.facts['nodes'][name]}__missing"
        if not (self.folder / ARRAYS / node).is_dir():
            return None
        text = self.array(name)
        entry = next(item for item in self.plan["fields"] if item["field"] == name)
        field = ArrayField(f"{name}__missing", text.grid.shape, "bool")
        return StoredArray(self.folder, node, text.grid, Form(), entry["encoding"]["codec"], field)

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return decoded values of a box in the source's dtype; text as str objects, None where missing."""
        stored = self.array(name)
        mask = self.missing_mask(name) if stored.field.dtype == TEXT else None
        out = np.empty([part.stop - part.start for part in box], stored.field.numpy_dtype())
        for shard, inner in stored.grid.boxes_within(box):
            for place, chunk_box in inner:
                values = restored(stored.values(shard, place, chunk_box), stored.form, stored.field.numpy_dtype())
                if mask is not None:
                    values = values.copy()
                    values[mask.values(shard, place, chunk_box)] = None
                source, target = _overlap(chunk_box, box)
                out[target] = values[source]
        return out

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield a table's rows, a row group at a time."""
        with open_table(self._table_path(self.facts["tables"][name])) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                yield from table.combine_chunks().to_batches()

    def carried(self, name: str) -> bytes:
        """Return a carried item whole; raise KeyError."""
        path, compressed = self.facts["stored"][name]
        return read_carried((self.folder / path).read_bytes(), compressed=compressed)

    def close(self) -> None:
        """Close what is open."""
        self.array.cache_clear()


def _overlap(chunk: Box, box: Box) -> tuple[Box, Box]:
    source, target = [], []
    for c, b in zip(chunk, box, strict=True):
        start, stop = max(c.start, b.start), min(c.stop, b.stop)
        source.append(slice(start - c.start, stop - c.start))
        target.append(slice(start - b.start, stop - b.start))
    return tuple(source), tuple(target)


def form_of(encoding: dict[str, Any], fill: Any) -> Form:
    """Return the form that a plan's encoding names."""
    if encoding["form"] == "packed":
        step = float(encoding["scale_factor"])
        origin = round(float(encoding["add_offset"]) / step)
        hole = float(fill) if encoding["missing"] == "fill" else None
        return Form("packed", encoding["bound"], grid=Grid(encoding["dtype"], step, origin, hole))
    if encoding["form"] == "rounded":
        return Form("rounded", encoding["bound"], step=float(encoding["step"]))
    return Form()
