"""The seeded sample: one value from each of min(N, 2^20) strata of equal length.

Its places depend on N and the seed alone, so any chunking, worker count or site draws the same
values, and parts merge by filling their own strata. The place within a stratum comes from
SplitMix64 (Steele, Lea and Flood, 2014) used as a counter-based generator.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

MOST = 1 << 20
SEED = 0x5EED


def hashed(counter: "np.ndarray[Any, Any]", seed: int) -> "np.ndarray[Any, Any]":
    """Return 64 well-mixed bits for each uint64 counter."""
    with np.errstate(over="ignore"):
        z = counter * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def positions(size: int, first: int = 0, last: int | None = None) -> "np.ndarray[Any, Any]":
    """Return the flat places (int64, ascending) of strata first..last of a field of `size` values."""
    strata = min(size, MOST)
    j = np.arange(first, strata if last is None else last, dtype=np.int64)
    if size <= MOST:
        return j
    whole, rest = divmod(size, strata)
    start = j * whole + (j * rest) // strata
    length = (j + 1) * whole + ((j + 1) * rest) // strata - start
    # 32 random bits times a length under 2^32 stay within uint64; longer strata are cut to that.
    bits = hashed(j.astype(np.uint64), SEED) >> np.uint64(32)
    within = (bits * np.minimum(length, 0xFFFFFFFF).astype(np.uint64)) >> np.uint64(32)
    return start + within.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Places:
    """Where one field's sample lies, sorted by chunk: `order` are strata, `within` flat indices in the chunk.

    `bounds[c]:bounds[c+1]` are the entries of chunk c. 8 bytes a stratum.
    """

    strata: int
    order: "np.ndarray[Any, Any]"
    within: "np.ndarray[Any, Any]"
    bounds: "np.ndarray[Any, Any]"

    def of_chunk(self, index: int) -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
        """Return (strata, flat indices within the chunk) of one chunk."""
        part = slice(int(self.bounds[index]), int(self.bounds[index + 1]))
        return self.order[part], self.within[part]


def places(shape: tuple[int, ...], boxes: "ChunkGrid") -> Places:
    """Return where the sample of an array of `shape` lies in the chunks of a grid."""
    size = int(np.prod(shape, dtype=np.int64)) if shape else 1
    strata = min(size, MOST)
    chunk_of = np.empty(strata, np.int64)
    within = np.empty(strata, np.int32)
    for start in range(0, strata, 1 << 16):
        stop = min(strata, start + (1 << 16))
        chunk_of[start:stop], within[start:stop] = boxes.locate(positions(size, start, stop))
    order = np.argsort(chunk_of, kind="stable").astype(np.int32)
    counts = np.bincount(chunk_of, minlength=boxes.count)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return Places(strata, order, within[order], bounds)


@dataclass(frozen=True, slots=True)
class ChunkGrid:
    """How an array is cut: chunks of `chunk`, taken shard by shard, each in C order.

    `shard` is a multiple of `chunk` on every axis. Chunks at the far edges are shorter. The running
    number of a chunk is its place in that order, the order in which everything is processed.
    """

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...]

    @property
    def shards(self) -> tuple[int, ...]:
        """Return the number of shards on each axis."""
        return tuple(-(-n // s) for n, s in zip(self.shape, self.shard, strict=True))

    @property
    def count(self) -> int:
        """Return the number of chunks that hold values."""
        total = 1
        for n, c in zip(self.shape, self.chunk, strict=True):
            total *= -(-n // c)
        return total

    def boxes(self) -> "list[tuple[tuple[int, ...], list[tuple[int, tuple[slice, ...]]]]]":
        """Return [(shard index, [(place in the shard's index, box)])] in processing order."""
        per = tuple(s // c for s, c in zip(self.shard, self.chunk, strict=True))
        found = []
        for shard in np.ndindex(*self.shards):
            inner = []
            for place, cell in enumerate(np.ndindex(*per)):
                start = [s * n + i * c for s, n, i, c in zip(shard, self.shard, cell, self.chunk, strict=True)]
                if all(a < n for a, n in zip(start, self.shape, strict=True)):
                    stop = [min(n, a + c) for n, a, c in zip(self.shape, start, self.chunk, strict=True)]
                    inner.append((place, tuple(slice(a, b) for a, b in zip(start, stop, strict=True))))
            found.append((tuple(shard), inner))
        return found

    def boxes_within(
        self, box: tuple[slice, ...]
    ) -> "list[tuple[tuple[int, ...], list[tuple[int, tuple[slice, ...]]]]]":
        """Return the chunks that a box touches, as `boxes` gives them."""
        per = tuple(s // c for s, c in zip(self.shard, self.chunk, strict=True))
        ranges = [range(b.start // c, -(-b.stop // c)) for b, c in zip(box, self.chunk, strict=True)]
        found: dict[tuple[int, ...], list[tuple[int, tuple[slice, ...]]]] = {}
        for cell in product(*ranges):
            shard = tuple(i // p for i, p in zip(cell, per, strict=True))
            place = 0
            for i, p in zip(cell, per, strict=True):
                place = place * p + i % p
            inner = tuple(
                slice(i * c, min(n, (i + 1) * c)) for i, c, n in zip(cell, self.chunk, self.shape, strict=True)
            )
            found.setdefault(shard, []).append((place, inner))
        return sorted(found.items())

    def locate(self, flat: "np.ndarray[Any, Any]") -> tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]:
        """Return (running chunk number, flat index within that chunk's box) of flat array places."""
        if not self.shape:
            return np.zeros(len(flat), np.int64), np.zeros(len(flat), np.int32)
        index = np.unravel_index(flat, self.shape)
        before = np.zeros(len(flat), np.int64)  # chunks in earlier shards
        within_shard = np.zeros(len(flat), np.int64)
        inside = np.zeros(len(flat), np.int64)
        # Chunks before a shard: those of all shards earlier in C order, counted axis by axis.
        remaining = np.ones(len(flat), np.int64)
        for axis, (i, n, c, s) in enumerate(zip(index, self.shape, self.chunk, self.shard, strict=True)):
            tail = 1
            for m, d in zip(self.shape[axis + 1 :], self.chunk[axis + 1 :], strict=True):
                tail *= -(-m // d)
            shard = i // s
            before += remaining * (shard * (s // c)) * tail
            in_this = np.minimum(-(-(n - shard * s) // c), s // c)  # chunks of this shard on this axis
            remaining = remaining * in_this
            within_shard = within_shard * in_this + (i - shard * s) // c
            start = i // c * c
            inside = inside * np.minimum(c, n - start) + (i - start)
        return before + within_shard, inside.astype(np.int32)
