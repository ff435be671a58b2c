"""Writes a Zarr hierarchy back: its documents as they were, its chunks through zarr-python."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from ....model.dataset import TableField
from ....ports import Box, RestoreSource
from ...containers import records
from . import shards
from .decoder import CHUNK, INDEX, STRAY, local, slabs_of
from .listing import ArrayNode, Listing, list_store

_EPOCH = (1980, 1, 1, 0, 0, 0)
_BUDGET = 16 << 20
_PIECE = 1 << 20
_SETTINGS = {
    "array.write_empty_chunks": True,
    "async.concurrency": 4,
    "threading.max_workers": 2,
}


def write(package: RestoreSource, target: Path) -> None:
    """Write a folder, or a zip if the source was one. Chunks that were absent stay absent.

    Memory: one row of chunks of at most 16 MiB, or one chunk where that is larger.
    """
    index = json.loads(package.carried(INDEX))
    if not index["zip"]:
        target.mkdir(parents=True, exist_ok=True)
        _write_folder(package, index, target)
        return
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _write_folder(package, index, folder)
        _pack(folder, target)
    finally:
        shutil.rmtree(folder)


def _write_folder(package: RestoreSource, index: dict[str, Any], root: Path) -> None:
    prefix = index["prefix"]
    documents = {key: text.encode("utf-8") for key, text in index["documents"].items()}
    for key, text in documents.items():
        _put(root, prefix + key, text)
    for item in package.dataset.carried:
        kind, _, key = item.name.partition("/")
        if kind == STRAY:
            _put(root, key, package.carried(item.name))
        elif kind == CHUNK:
            _put(root, prefix + key, package.carried(item.name))
    sizes = {prefix + key: len(text) for key, text in documents.items()}
    listing = list_store(sizes, lambda key: documents[key.removeprefix(prefix)], root.name)
    store = LocalStore(root)
    try:
        for node in listing.arrays:
            _fill_array(package, index, listing, node, store=store, root=root)
            present = index["present"].get(node.path)
            if present is not None and not _is_carried(package, node):
                _drop(root, prefix, node, set(present))
    finally:
        store.close()


def _put(root: Path, key: str, data: bytes) -> None:
    path = local(key, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _is_carried(package: RestoreSource, node: ArrayNode) -> bool:
    return (node.path or "array") not in {field.name for field in package.dataset.fields}


def _fill_array(
    package: RestoreSource,
    index: dict[str, Any],
    listing: Listing,
    node: ArrayNode,
    *,
    store: LocalStore,
    root: Path,
) -> None:
    if _is_carried(package, node) or index["present"].get(node.path) == []:
        return
    field = package.dataset.field(node.path or "array")
    path = (listing.prefix + node.path).strip("/")
    with zarr.config.set(_SETTINGS):  # an array takes its settings when it is opened
        array = zarr.open_array(store=store, path=path, mode="r+", zarr_format=node.version)
    dtype = np.dtype(array.dtype)
    with zarr.config.set(_SETTINGS):
        if isinstance(field, TableField):
            for box, rows in _record_slabs(package, field.name, node, dtype):
                array[box] = rows
            return
        encoding = str(field.attributes.get("encoding", "utf-8")) if dtype.kind == "S" else None

        def stored(box: Box) -> "np.ndarray[Any, Any]":
            values = package.read(field.name, box)
            if dtype.kind in "US":
                return records.fixed_text(values, dtype, encoding)
            return _texts(values) if dtype.kind in "TO" else values

        itemsize = max(1, dtype.itemsize)
        if shards.inner_of(node, itemsize) is None:
            for box in _regions(node, dtype):
                array[box if box else ...] = stored(box)
            return
        present = index["present"].get(node.path)
        for place in product(*(range(n) for n in node.grid)):
            if present is None or node.key(place) in present:
                target = local(index["prefix"] + node.key(place), root)
                target.parent.mkdir(parents=True, exist_ok=True)
                corner = tuple(at * chunk for at, chunk in zip(place, node.chunks, strict=True))
                shards.write_shard(node, corner, itemsize, stored, target)


def _texts(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    out = np.empty(values.shape, object)
    out.reshape(-1)[:] = ["" if item is None else item for item in values.reshape(-1).tolist()]
    return out


def _regions(node: ArrayNode, dtype: "np.dtype[Any]") -> Iterator[Box]:
    """Yield boxes of whole chunks that tile the array: as many along the last axis as 16 MiB hold."""
    if 0 in node.shape:
        return
    if not node.shape:
        yield ()
        return
    row = int(np.prod(node.chunks)) * max(1, dtype.itemsize)
    step = max(1, _BUDGET // row) * node.chunks[-1]
    starts = [range(0, n, c) for n, c in zip(node.shape[:-1], node.chunks[:-1], strict=True)]
    for corner in product(*starts, range(0, node.shape[-1], step)):
        widths = (*node.chunks[:-1], step)
        yield tuple(slice(at, min(n, at + w)) for at, n, w in zip(corner, node.shape, widths, strict=True))


def _record_slabs(
    package: RestoreSource, name: str, node: ArrayNode, dtype: "np.dtype[Any]"
) -> "Iterator[tuple[Any, np.ndarray[Any, Any]]]":
    """Yield rows of chunks of a structured array from the package's batches, which end anywhere."""
    held: list[np.ndarray[Any, Any]] = []
    count = 0
    batches = package.batches(name)
    for box in slabs_of(node):
        shape = tuple(part.stop - part.start for part in box)
        needed = int(np.prod(shape)) if shape else 1
        while count < needed:
            held.append(records.from_batch(next(batches), dtype))
            count += len(held[-1])
        rows = np.concatenate(held)
        held, count = [rows[needed:]], count - needed
        yield (box if box else ...), rows[:needed].reshape(shape)


def _drop(root: Path, prefix: str, node: ArrayNode, present: set[str]) -> None:
    """Remove the chunk files that the source did not have."""
    for place in product(*(range(n) for n in node.grid)):
        if node.key(place) not in present:
            local(prefix + node.key(place), root).unlink(missing_ok=True)


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                info.external_attr = 0o644 << 16
                with (
                    path.open("rb") as source,
                    archive.open(info, "w", force_zip64=True) as member,
                ):
                    while piece := source.read(_PIECE):
                        member.write(piece)
