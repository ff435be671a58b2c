"""The first look at an array: statistics, the sample, tiles for SSIM, noise; and the values a codec is tried on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import google_crc32c
import numpy as np

from ..algorithms.observe import observe
from ..algorithms.similarity import noise_sigma
from ..model.dataset import ArrayField
from ..model.sample import SEED, ChunkGrid, Places, hashed, places
from ..model.statistics import Statistics
from ..ports import Box, Decoder, Progress
from .run import Run

_TILES, _TILE = 1024, 64
_NOISE_STRETCH = 4096


@dataclass(frozen=True, slots=True)
class ArrayChunk:
    """One chunk on its way: where it lies in the array and in its shard, and its values."""

    index: int
    shard: tuple[int, ...]
    place: int
    box: Box
    values: "np.ndarray[Any, Any]"


def chunks(decoder: Decoder, array: ArrayField, grid: ChunkGrid, progress: Progress) -> Iterator[ArrayChunk]:
    """Yield an array's chunks in processing order."""
    index = 0
    for shard, inner in grid.boxes():
        for place, box in inner:
            values = own(decoder.read(array.name, box))
            if values.dtype == object:
                progress.advance(16 * values.size)
            else:
                progress.advance(values.nbytes)
            yield ArrayChunk(index, shard, place, box, values)
            index += 1


def own(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return values as kernels take them: C-contiguous and writable, copied only where they are not."""
    values = np.ascontiguousarray(values).reshape(values.shape)
    return values if values.flags.writeable else values.copy()


@dataclass(frozen=True, slots=True)
class Tiles:
    """Where the seeded 64x64 tiles of an image field lie: each within one chunk."""

    edge: tuple[int, int]
    axes: tuple[int, int]
    by_chunk: dict[int, list[tuple[int, tuple[int, ...]]]]  # chunk -> [(tile number, first index in the chunk)]
    count: int


def tiles_of(array: ArrayField, grid: ChunkGrid) -> Tiles | None:
    """Return up to 1,024 tiles, seeded; None where the format declares no image or it is under 7 wide."""
    if array.spatial_axes is None or array.size == 0:
        return None
    axes = array.spatial_axes
    edge = tuple(min(_TILE, grid.chunk[axis], grid.shape[axis]) for axis in axes)
    if min(edge) < 7:
        return None
    boxes = [box for _, inner in grid.boxes() for _, box in inner]
    usable = [
        i
        for i, box in enumerate(boxes)
        if all(box[axis].stop - box[axis].start >= e for axis, e in zip(axes, edge, strict=True))
    ]
    places_in = [_free(boxes[i], axes, edge) for i in usable]
    count = min(_TILES, sum(int(np.prod(free, dtype=np.int64)) for free in places_in))
    by_chunk: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
    bits = hashed(np.arange(count * (len(grid.shape) + 1), dtype=np.uint64), SEED + 1).reshape(count, -1)
    for number in range(count):
        chosen = int(bits[number, 0] % np.uint64(len(usable)))
        first = tuple(int(bits[number, 1 + a] % np.uint64(n)) for a, n in enumerate(places_in[chosen]))
        by_chunk.setdefault(usable[chosen], []).append((number, first))
    return Tiles((edge[0], edge[1]), axes, by_chunk, count)


def _free(box: Box, axes: tuple[int, int], edge: tuple[int, ...]) -> list[int]:
    lengths = [part.stop - part.start for part in box]
    for axis, e in zip(axes, edge, strict=True):
        lengths[axis] -= e - 1
    return lengths


class Collector:
    """Gathers one field's sample and tiles while its chunks pass, from any thread: each owns its own cells."""

    def __init__(self, array: ArrayField, grid: ChunkGrid, *, with_tiles: bool) -> None:
        self._places: Places = places(array.shape, grid)
        self._tiles = tiles_of(array, grid) if with_tiles else None
        dtype = array.numpy_dtype()
        self.sample = np.empty(self._places.strata, dtype if dtype.kind in "fiub" else np.float64)
        self.tiles = np.empty((self._tiles.count, *self._tiles.edge), dtype) if self._tiles else None

    def take(self, index: int, values: "np.ndarray[Any, Any]") -> None:
        """Keep what the sample and the tiles want of chunk `index`."""
        order, within = self._places.of_chunk(index)
        picked = values.reshape(-1)[within]
        if picked.dtype.kind in "mM":
            picked = picked.view(np.int64)
        self.sample[order] = np.abs(picked) if picked.dtype.kind == "c" else picked
        if self._tiles is None or self.tiles is None:
            return
        for number, first in self._tiles.by_chunk.get(index, ()):
            cut: list[Any] = list(first)
            for axis, edge in zip(self._tiles.axes, self._tiles.edge, strict=True):
                cut[axis] = slice(first[axis], first[axis] + edge)
            plane = values[tuple(cut)]
            self.tiles[number] = plane if self._tiles.axes[0] < self._tiles.axes[1] else plane.T


@dataclass
class Survey:
    """What the first pass over an array found. `checksums` are CRC-32C of each chunk, for the second."""

    statistics: Statistics = field(default_factory=Statistics)
    negative_zeros: int = 0
    sample: "np.ndarray[Any, Any] | None" = None
    tiles: "np.ndarray[Any, Any] | None" = None
    noise: float | None = None
    checksums: list[int] = field(default_factory=list)


def checksum(values: "np.ndarray[Any, Any]") -> int:
    """Return the CRC-32C of a chunk's values, to see whether the source changed between two passes."""
    flat = values.reshape(-1).view(np.uint8)
    flat.flags.writeable = False  # of this view alone: the checksum takes nothing that may be written to
    return int(google_crc32c.value(flat))


def survey(decoder: Decoder, array: ArrayField, grid: ChunkGrid, run: Run, progress: Progress) -> Survey:
    """Pass over an array once and return what bounds are resolved from."""
    collector = Collector(array, grid, with_tiles=True)

    def look(chunk: ArrayChunk) -> tuple[Statistics, int, float | None, int]:
        collector.take(chunk.index, chunk.values)
        statistics, zeros = observe(chunk.values, array.fill)
        return statistics, zeros, _noise(chunk.values, array.fill), checksum(chunk.values)

    found = Survey(sample=collector.sample, tiles=collector.tiles)
    sigmas = []
    for statistics, zeros, sigma, crc in run.ordered(chunks(decoder, array, grid, progress), look):
        found.statistics = found.statistics.merge(statistics) if found.checksums else statistics
        found.negative_zeros += zeros
        found.checksums.append(crc)
        if sigma is not None:
            sigmas.append(sigma)
    sigmas.sort()
    found.noise = sigmas[len(sigmas) // 2] if sigmas else None
    return found


def _noise(values: "np.ndarray[Any, Any]", fill: Any) -> float | None:
    if values.dtype.kind != "f":
        return None
    stretch = values.reshape(-1)[:_NOISE_STRETCH].astype(np.float64)
    if fill is not None:
        stretch = stretch[stretch != fill]
    return noise_sigma(stretch)


def trial_chunks(decoder: Decoder, array: ArrayField, grid: ChunkGrid) -> list["np.ndarray[Any, Any]"]:
    """Return up to 16 chunks (16 MiB) that codecs are tried on: spread evenly, the first few if reading is forward only."""
    boxes = [box for _, inner in grid.boxes() for _, box in inner]
    size = array.numpy_dtype().itemsize
    most = max(1, (16 << 20) // max(1, int(np.prod(grid.chunk, dtype=np.int64)) * size))
    most = min(16, most, max(2, -(-len(boxes) // 50)))
    if most >= len(boxes):
        chosen = range(len(boxes))
    elif decoder.dataset.random_access:
        chosen = [(2 * i + 1) * len(boxes) // (2 * most) for i in range(most)]  # type: ignore[assignment]
    else:
        chosen = range(most)
    return [own(decoder.read(array.name, boxes[i])) for i in chosen]
