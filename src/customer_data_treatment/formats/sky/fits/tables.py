"""Rows of FITS tables in bounded batches, and what is left when they are written back."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ....errors import CustomerError
from . import asciitable, columns, heap
from .asciitable import TextColumn
from .columns import ColumnSpec
from .units import Reader, Unit

_BATCH = 2 << 20
_PIECE = 1 << 20
Patch = tuple[int, bytes]  # where in the data unit, and the bytes that stand there


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table lies: `rows` of `row_bytes`, columns, and a heap of `heap_bytes` at `heap_offset`."""

    unit: Unit
    specs: tuple[ColumnSpec, ...] | tuple[TextColumn, ...]
    rows: int
    row_bytes: int
    heap_offset: int
    heap_bytes: int

    @property
    def shown(self) -> tuple[ColumnSpec | TextColumn, ...]:
        """Return the columns that hold anything."""
        return tuple(spec for spec in self.specs if spec.width)

    @property
    def schema(self) -> pa.Schema:
        """Return the table's Arrow schema."""
        return pa.schema([pa.field(spec.name, spec.arrow_type) for spec in self.shown])

    @property
    def lists(self) -> tuple[ColumnSpec, ...]:
        """Return the columns whose values lie in the heap."""
        return tuple(spec for spec in self.shown if isinstance(spec, ColumnSpec) and spec.variable)


def layout_of(unit: Unit, where: str) -> Layout:
    """Return a table's layout from its header; raise CustomerError (corrupt)."""
    header = unit.header
    reader = asciitable.specs_of if unit.kind == "ascii" else columns.specs_of
    specs = reader(header, unit.index, where)
    row_bytes, rows = header.integer("NAXIS1") or 0, header.integer("NAXIS2") or 0
    body = row_bytes * rows
    start = header.integer("THEAP", body) or body
    if not body <= start <= unit.size:
        raise asciitable.invalid(unit.index, where, "THEAP lies outside the data")
    if rows and not any(spec.width for spec in specs) and row_bytes == 0:
        rows = 0
    return Layout(unit, specs, rows, row_bytes, start, unit.size - start)


@dataclass(frozen=True, slots=True)
class Rows:
    """Some consecutive rows: their number, their bytes, and the descriptors of each list column."""

    first: int
    raw: "np.ndarray[Any, Any]"
    pairs: "dict[str, np.ndarray[Any, Any]]"


class TableReader:
    """Reads one table's rows."""

    def __init__(self, layout: Layout, pread: Reader, where: str) -> None:
        """Hold the layout and the function that reads the file."""
        self.layout = layout
        self._pread = pread
        self._where = f"{where}, HDU {layout.unit.index}"

    def rows(self) -> Iterator[Rows]:
        """Yield the rows in pieces of about 2 MiB, heap values included."""
        layout = self.layout
        step = max(1, _BATCH // max(1, layout.row_bytes))
        for first in range(0, layout.rows, step):
            count = min(step, layout.rows - first)
            data = self._pread(layout.unit.data + first * layout.row_bytes, count * layout.row_bytes)
            raw = np.frombuffer(data, np.uint8).reshape(count, layout.row_bytes)
            pairs = {}
            held = np.zeros(count, np.int64)
            for spec in layout.lists:
                found = heap.descriptors(spec, cells(spec, raw))
                heap.expect_inside(spec, found, layout.heap_bytes, first, self._where)
                pairs[spec.name] = found
                held += spec.heap_bytes(found[:, 0])
            cuts = _cuts(held)
            for a, b in pairwise(cuts):
                yield Rows(
                    first + a,
                    raw[a:b],
                    {name: found[a:b] for name, found in pairs.items()},
                )

    def batch(self, rows: Rows) -> pa.RecordBatch:
        """Return rows as a record batch; raise CustomerError (corrupt) for text that is no number."""
        arrays = []
        for spec in self.layout.shown:
            try:
                arrays.append(self._column(spec, rows))
            except (ValueError, OverflowError, pa.ArrowInvalid) as error:
                raise CustomerError(
                    "a cell is no number that its TFORM allows",
                    code="corrupt",
                    where=f"{self._where}, near row {rows.first + 1}, column {spec.name}",
                    remedy="repair it where it was made",
                ) from error
        return pa.RecordBatch.from_arrays(arrays, schema=self.layout.schema)

    def _column(self, spec: ColumnSpec | TextColumn, rows: Rows) -> pa.Array:
        if isinstance(spec, TextColumn):
            return asciitable.decode(spec, cells(spec, rows.raw))
        if spec.variable:
            start = self.layout.unit.data + self.layout.heap_offset
            return heap.gather(
                spec,
                rows.pairs[spec.name],
                lambda at, size: self._pread(start + at, size),
            )
        return columns.decode(spec, cells(spec, rows.raw))

    def text_pads(self) -> dict[str, str]:
        """Return the text columns whose first rows are padded with spaces rather than NUL."""
        pads: dict[str, str] = {}
        for rows in self.rows():
            for spec in self.layout.shown:
                if isinstance(spec, ColumnSpec) and spec.code == "A" and not spec.variable:
                    part = cells(spec, rows.raw[:1000])
                    if int((part == 32).sum()) > int((part == 0).sum()):
                        pads[spec.name] = " "
            break
        return pads

    def patches(self, pads: dict[str, str]) -> Iterator[Patch]:
        """Yield what writing the values back would not give: odd cells, row fillers, gaps of the heap."""
        layout = self.layout
        spans: heap.Spans = []
        for rows in self.rows():
            batch = self.batch(rows)
            written = encode_rows(layout, batch, pads, rows.pairs)
            yield from _differences(layout, rows, written)
            for spec in layout.lists:
                pairs = rows.pairs[spec.name]
                if spec.code in "LX":
                    yield from self._odd_lists(spec, pairs, batch.column(spec.name))
                spans = heap.join_spans(spans, pairs[:, 1], spec.heap_bytes(pairs[:, 0]))
        body = layout.rows * layout.row_bytes
        holes = [(body, layout.heap_offset)] + [
            (layout.heap_offset + a, layout.heap_offset + b) for a, b in heap.gaps(spans, layout.heap_bytes)
        ]
        for start, end in holes:
            for at in range(start, end, _PIECE):
                piece = self._pread(layout.unit.data + at, min(_PIECE, end - at))
                if piece.strip(b"\0"):
                    yield at, piece

    def _odd_lists(self, spec: ColumnSpec, pairs: "np.ndarray[Any, Any]", values: pa.Array) -> Iterator[Patch]:
        """Yield the heap cells of logicals and bits whose bytes are none that we would write."""
        _, written = heap.scatter(spec, values)
        at = 0
        for place, size in zip(pairs[:, 1].tolist(), spec.heap_bytes(pairs[:, 0]).tolist(), strict=True):
            stands = self._pread(self.layout.unit.data + self.layout.heap_offset + place, size) if size else b""
            if stands != written[at : at + size]:
                yield self.layout.heap_offset + place, stands
            at += size

    def offsets(self) -> Iterator[bytes]:
        """Yield, row by row, how far each list starts from the end of its column's list before, as int64."""
        ends = np.zeros(len(self.layout.lists), np.int64)
        for rows in self.rows():
            steps = np.empty((len(rows.raw), len(ends)), "<i8")
            for at, spec in enumerate(self.layout.lists):
                pairs = rows.pairs[spec.name]
                stops = pairs[:, 1] + spec.heap_bytes(pairs[:, 0])
                steps[:, at] = pairs[:, 1] - np.concatenate([ends[at : at + 1], stops[:-1]])
                ends[at] = stops[-1]
            yield steps.tobytes()


def cells(spec: ColumnSpec | TextColumn, raw: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return a column's bytes in (rows, row_bytes) raw rows."""
    return raw[:, spec.offset : spec.offset + spec.width]


def _cuts(held: "np.ndarray[Any, Any]") -> list[int]:
    """Return where to cut rows so that each piece's heap values fill about 2 MiB."""
    if len(held) == 0 or int(held.sum()) <= _BATCH:
        return [0, len(held)]
    piece = np.cumsum(held) // _BATCH
    return [0, *(np.flatnonzero(np.diff(piece)) + 1).tolist(), len(held)]


def encode_rows(
    layout: Layout,
    batch: pa.RecordBatch,
    pads: dict[str, str],
    pairs: "dict[str, np.ndarray[Any, Any]]",
) -> "np.ndarray[Any, Any]":
    """Return a record batch as (rows, row_bytes) bytes; list columns get the descriptors `pairs`."""
    out = np.full(
        (batch.num_rows, layout.row_bytes),
        32 if layout.unit.kind == "ascii" else 0,
        np.uint8,
    )
    for spec in layout.shown:
        values = batch.column(spec.name)
        if isinstance(spec, TextColumn):
            part = asciitable.encode(spec, values)
        elif spec.variable:
            part = heap.encode_descriptors(spec, pairs[spec.name])
        else:
            part = columns.encode(spec, values, pads.get(spec.name, "\0").encode("ascii"))
        out[:, spec.offset : spec.offset + spec.width] = part
    return out


def _differences(layout: Layout, rows: Rows, written: "np.ndarray[Any, Any]") -> Iterator[Patch]:
    """Yield the cells, and the bytes between columns, that differ."""
    if np.array_equal(rows.raw, written):
        return
    covered = np.zeros(layout.row_bytes, bool)
    pieces = []
    for spec in layout.shown:
        covered[spec.offset : spec.offset + spec.width] = True
        pieces.append((spec.offset, spec.width))
    pieces += [(int(at), 1) for at in np.flatnonzero(~covered)]
    for start, width in sorted(pieces):
        differ = (rows.raw[:, start : start + width] != written[:, start : start + width]).any(axis=1)
        for row in np.flatnonzero(differ).tolist():
            yield (
                (rows.first + row) * layout.row_bytes + start,
                rows.raw[row, start : start + width].tobytes(),
            )
