"""Writes a large shard inner chunk by inner chunk (Zarr v3, sharding_indexed).

zarr-python holds a whole shard and its encoded form in memory. Here a small array of the shard's
inner codecs, in memory, encodes a few inner chunks at a time, and their frames are appended to the
shard's file; the index follows. Only the usual index (little-endian, CRC32C, at the end) is written.
"""

import json
from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from zarr.storage import MemoryStore

from ....ports import Box
from .listing import ArrayNode

_BUDGET = 16 << 20
_ABSENT = (1 << 64) - 1


def inner_of(node: ArrayNode, itemsize: int) -> tuple[tuple[int, ...], list[Any]] | None:
    """Return the inner chunk shape and codecs of an array whose shards are large and usual, else None."""
    codecs = node.document.get("codecs")
    if node.version == 2 or not isinstance(codecs, list) or len(codecs) != 1 or prod(node.chunks) * itemsize <= _BUDGET:
        return None
    said = codecs[0].get("configuration") or {}
    index = [codec.get("name") for codec in said.get("index_codecs") or [] if isinstance(codec, dict)]
    little = "big" not in json.dumps(said.get("index_codecs"))
    usual = codecs[0].get("name") == "sharding_indexed" and index == ["bytes", "crc32c"] and little
    if not usual or said.get("index_location", "end") != "end":
        return None
    return tuple(said["chunk_shape"]), said["codecs"]


def write_shard(
    node: ArrayNode,
    corner: tuple[int, ...],
    itemsize: int,
    values: "Callable[[Box], np.ndarray[Any, Any]]",
    target: Path,
) -> None:
    """Write the shard whose first value is at `corner`; `values(box)` gives values as the array stores them.

    Memory: inner chunks of 16 MiB together, or one where it is larger, and their encoded form.
    """
    inner = inner_of(node, itemsize)
    assert inner is not None
    chunk, codecs = inner
    shape = tuple(min(c, n - at) for c, n, at in zip(node.chunks, node.shape, corner, strict=True))
    document = {
        **node.document,
        "shape": list(shape),
        "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    }
    document.pop("consolidated_metadata", None)
    index = np.full((*(c // i for c, i in zip(node.chunks, chunk, strict=True)), 2), _ABSENT, "<u8")
    at = 0
    with target.open("wb") as file:
        for region in _regions(shape, chunk, itemsize):
            whole = tuple(slice(r.start + c, r.stop + c) for r, c in zip(region, corner, strict=True))
            for place, frame in _frames(document, region, chunk, values(whole)):
                file.write(frame)
                index[place] = (at, len(frame))
                at += len(frame)
        packed = index.tobytes()
        file.write(packed + google_crc32c.value(packed).to_bytes(4, "little"))
    if at == 0:
        target.unlink()


def _regions(shape: tuple[int, ...], chunk: tuple[int, ...], itemsize: int) -> Iterator[Box]:
    step = max(1, _BUDGET // (prod(chunk) * itemsize)) * chunk[-1]
    starts = [range(0, n, c) for n, c in zip(shape[:-1], chunk[:-1], strict=True)]
    for corner in product(*starts, range(0, shape[-1], step)):
        yield tuple(slice(at, min(n, at + w)) for at, n, w in zip(corner, shape, (*chunk[:-1], step), strict=True))


def _frames(
    document: dict[str, Any], region: Box, chunk: tuple[int, ...], values: "np.ndarray[Any, Any]"
) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """Encode the inner chunks of one region and yield (place in the shard, frame); fill chunks yield nothing."""
    held: dict[str, Any] = {
        "zarr.json": zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(json.dumps(document).encode())
    }
    array = zarr.open_array(store=MemoryStore(held), mode="r+", zarr_format=3)
    with zarr.config.set({"array.write_empty_chunks": False}):
        array[region] = values
    for place in product(*(range(r.start // c, -(-r.stop // c)) for r, c in zip(region, chunk, strict=True))):
        frame = held.get("/".join(("c", *map(str, place))))
        if frame is not None:
            yield place, frame.to_bytes()
