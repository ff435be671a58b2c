"""Exact duplicates beyond memory: 64-bit keys spill to an unlinked file, hits are confirmed.

A row gives 64 bits of its key and 64 of its other cells. Up to 2^18 rows wait in memory, then
they are written by the key's first byte; so the end reads one 256th of all keys at a time. What
shares a key's bits is read once more and compared by a 128-bit digest of its cells.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import IO, Any

import numpy as np
import pyarrow as pa

from ...errors import FacilityError
from .hashing import Bits, row_bits
from .judging import no_value, plain

_WAITING = 1 << 18  # rows in memory: 4 MiB, and three times that while they are written
_PARTS = 256
_CONFIRMED = 1 << 18  # keys compared cell by cell; hits beyond them stand on their 64 bits


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows written out: where each of the 256 parts begins in the file, in rows."""

    file: IO[bytes]
    first: int
    parts: "np.ndarray[Any, Any]"


@dataclass(frozen=True, slots=True)
class Rows:
    """The bits of rows seen so far. `skipped` rows had no whole key.

    Merging is associative and leaves both parts as they were; once rows are spilled the value
    cannot be pickled.
    """

    seen: int = 0
    skipped: int = 0
    waiting: "tuple[np.ndarray[Any, Any], ...]" = ()  # (n, 2) uint64: key, other cells
    runs: tuple[_Run, ...] = ()

    def merge(self, other: "Rows") -> "Rows":
        """Return both together, written out when they outgrow memory."""
        waiting = self.waiting + other.waiting
        runs = self.runs + other.runs
        if sum(len(part) for part in waiting) >= _WAITING:
            runs += (_spill(np.concatenate(waiting), runs[0].file if runs else None),)
            waiting = ()
        return Rows(self.seen + other.seen, self.skipped + other.skipped, waiting, runs)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found. `repeated` rows have a key that an earlier row has, `identical` ones all its
    cells too; `contested` rows are of keys whose rows differ, `shared` rows of keys that stand twice.
    """

    seen: int
    skipped: int
    repeated: int
    identical: int
    shared: int
    contested: int
    places: tuple[int, ...] = ()


def rows_of(batch: pa.RecordBatch, key: tuple[str, ...], others: tuple[str, ...], needed: tuple[str, ...]) -> Rows:
    """Return the bits of a batch's rows; rows that lack one of the `needed` cells are skipped."""
    keys = [batch.column(name) for name in key]
    bits = np.empty((batch.num_rows, 2), dtype=np.uint64)
    bits[:, 0] = row_bits(keys, batch.num_rows)
    bits[:, 1] = row_bits([batch.column(name) for name in others], batch.num_rows) if others else 0
    whole = np.ones(batch.num_rows, dtype=bool)
    if needed:
        for name in needed:
            whole &= ~no_value(plain(batch.column(name)))
        bits = bits[whole]
    return Rows(len(bits), batch.num_rows - len(bits), (bits,) if len(bits) else ())


def find_duplicates(
    rows: Rows,
    key: tuple[str, ...],
    needed: tuple[str, ...],
    reread: Callable[[], Iterable[pa.RecordBatch]] | None,
) -> Duplicates:
    """Return the duplicates among all rows, confirmed where the table can be read again.

    Memory: one 256th of the keys, and 40 bytes for each of up to 2^18 keys that stand twice.
    """
    candidates, repeated, identical, shared, contested = [], 0, 0, 0, 0
    for part in range(_PARTS):
        bits = _part(rows, part)
        if len(bits) < 2:
            continue
        order = np.lexsort((bits[:, 1], bits[:, 0]))
        keys, cells = bits[order, 0], bits[order, 1]
        same = keys[1:] == keys[:-1]
        if not same.any():
            continue
        repeated += int(np.count_nonzero(same))
        identical += int(np.count_nonzero(same & (cells[1:] == cells[:-1])))
        values, counts = np.unique(keys[np.r_[same, False] | np.r_[False, same]], return_counts=True)
        differing = np.unique(keys[1:][same & (cells[1:] != cells[:-1])])
        shared += int(counts.sum())
        contested += int(counts[np.isin(values, differing, assume_unique=True)].sum())
        candidates.append(values)
    if repeated and reread is not None:
        suspects = np.concatenate(candidates)[:_CONFIRMED]
        false_hits, places = _confirm(suspects, key, needed, reread())
        repeated -= false_hits
        return Duplicates(rows.seen, rows.skipped, repeated, min(identical, repeated), shared, contested, places)
    return Duplicates(rows.seen, rows.skipped, repeated, identical, shared, contested)


def _part(rows: Rows, part: int) -> "np.ndarray[Any, Any]":
    found = [bits[(bits[:, 0] >> np.uint64(56)) == part] for bits in rows.waiting]
    for run in rows.runs:
        start, stop = int(run.parts[part]), int(run.parts[part + 1])
        raw = os.pread(run.file.fileno(), (stop - start) * 16, (run.first + start) * 16)
        found.append(np.frombuffer(raw, dtype=np.uint64).reshape(-1, 2))
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.uint64)


def _spill(bits: "np.ndarray[Any, Any]", file: IO[bytes] | None) -> _Run:
    owner = (bits[:, 0] >> np.uint64(56)).astype(np.uint8)
    order = np.argsort(owner, kind="stable")
    parts = np.searchsorted(owner[order], np.arange(_PARTS + 1))
    try:
        target = file if file is not None else _unlinked()
        end = target.seek(0, os.SEEK_END)
        target.write(np.ascontiguousarray(bits[order]).data)
        target.flush()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise FacilityError(
            f"the search for duplicate rows cannot write its temporary file: {error.strerror}",
            code="disk-full" if full else "no-permission",
            remedy="point TMPDIR at a disk with room",
        ) from error
    return _Run(target, end // 16, parts)


def _unlinked() -> IO[bytes]:
    """Return a file without a name, which is gone with the last run that refers to it."""
    return tempfile.TemporaryFile(prefix="cdt-rows-")


def _confirm(
    suspects: Bits, key: tuple[str, ...], needed: tuple[str, ...], batches: Iterable[pa.RecordBatch]
) -> tuple[int, tuple[int, ...]]:
    """Return how many hits were chance, and the first rows that truly repeat an earlier key."""
    suspects = np.sort(suspects)
    groups: dict[int, set[bytes]] = {}
    false_hits, first = 0, 0
    places: list[int] = []
    for batch in batches:
        bits = row_bits([batch.column(name) for name in key], batch.num_rows)
        at = np.minimum(np.searchsorted(suspects, bits), len(suspects) - 1)
        chosen = np.flatnonzero(suspects[at] == bits)
        if needed and chosen.size:
            whole = ~np.logical_or.reduce([no_value(plain(batch.column(name))) for name in needed])
            chosen = chosen[whole[chosen]]
        if chosen.size:
            taken = [plain(batch.column(name)).take(pa.array(chosen)) for name in key]
            for row, number, digest in zip(chosen.tolist(), bits[chosen].tolist(), _digests(taken), strict=True):
                known = groups.setdefault(number, set())
                if digest in known:
                    if len(places) < 3:
                        places.append(first + row)
                elif known:
                    false_hits += 1
                known.add(digest)
        first += batch.num_rows
    return false_hits, tuple(places)


def _digests(columns: list[pa.Array]) -> Iterator[bytes]:
    for cells in zip(*(_exact(values) for values in columns), strict=True):
        digest = blake2b(digest_size=16)
        for cell in cells:
            digest.update(b"\0" if cell is None else b"\1%d:%b" % (len(cell), cell))
        yield digest.digest()


def _exact(values: pa.Array) -> list[bytes | None]:
    """Return each cell's exact bytes: text as it is, anything else as Arrow spells it out."""
    kind = values.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_null(kind):
        return list(values.to_pylist())
    text = values.cast(pa.string()).to_pylist()
    return [None if cell is None else cell.encode("utf-8", "surrogatepass") for cell in text]
