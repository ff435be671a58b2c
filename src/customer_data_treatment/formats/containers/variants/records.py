"""Cells to a record batch of the table, and a record batch back to lines."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....errors import CustomerError
from . import infos, samples
from .blocks import Cells
from .layout import ORDER, PRESENT, RAW_INFO, RAW_QUAL, RAW_SAMPLES, Layout
from .typed import as_bool, cast, present, render, render_column


class Parsed:
    """A block's typed columns with what was seen on the way, for the rules."""

    def __init__(self, cells: Cells, layout: Layout, where: str) -> None:
        """Type every column; raise CustomerError (corrupt) where POS is no whole number."""
        self.cells = cells
        self.kinds = {column.key: column.kind for column in layout.info}
        self.sample_kinds = {column.key: column.kind for column in layout.format}
        fixed = cells.fixed
        position, wrong = cast(fixed[1], "int64")
        if wrong.any() or position.null_count:
            line = int(cells.numbers[int(np.argmax(wrong))])
            raise CustomerError("POS is not a whole number", code="corrupt", where=f"{where}, line {line}, column POS")
        quality, self.bad_quality = cast(present(fixed[5]), layout.quality)
        self.tokens = infos.tokenise(fixed[7])
        self.info = infos.build(self.tokens, layout, cells.rows)
        self.groups = list(samples.groups(cells))
        self.samples = samples.build(cells, self.groups, layout)
        nothing = pa.scalar(None, pa.string())
        self.columns: dict[str, pa.Array] = {
            "CHROM": fixed[0],
            "POS": position,
            "ID": present(fixed[2]),
            "REF": fixed[3],
            "ALT": pc.split_pattern(present(fixed[4]), ","),
            "QUAL": quality,
            "FILTER": pc.split_pattern(present(fixed[6]), ";"),
            RAW_QUAL: pc.if_else(pa.array(self.bad_quality), fixed[5], nothing),
            **self.info.columns,
            **self.samples.columns,
        }

    def batch(self, schema: pa.Schema) -> pa.RecordBatch:
        """Return the columns that the table has."""
        return pa.RecordBatch.from_arrays([self.columns[name] for name in schema.names], schema=schema)


def trimmed(layout: Layout, parsed: Parsed | None) -> Layout:
    """Return the layout without the columns for what is odd that stayed empty in `parsed` (None: no record)."""
    used: tuple[str, ...] = ()
    if parsed is not None:
        used = tuple(name for name in layout.extras if parsed.columns[name].null_count < parsed.cells.rows)
    return replace(layout, extras=used)


def to_lines(batch: pa.RecordBatch, layout: Layout) -> bytes:
    """Return a batch as VCF lines, each ended.

    Every record comes back as it stood, but for the spelling of numbers (1.50 becomes 1.5).
    """
    rows = batch.num_rows
    if rows == 0:
        return b""
    column = {name: batch.column(at) for at, name in enumerate(batch.schema.names)}
    parts = [
        column["CHROM"],
        render(column["POS"]),
        pc.fill_null(column["ID"], "."),
        column["REF"],
        pc.fill_null(_joined(column["ALT"], ","), "."),
        _quality(column),
        pc.fill_null(_joined(column["FILTER"], ";"), "."),
        _info(column, layout, rows),
    ]
    if layout.has_format:
        parts.append(column["FORMAT"])
        if layout.samples:
            parts.append(_samples(column, layout, rows))
    lines = pc.binary_join_element_wise(*parts, "\t")
    end = "\r\n" if layout.crlf else "\n"
    one = pa.ListArray.from_arrays(pa.array([0, rows], pa.int32()), lines)
    text: str = pc.binary_join(one, end)[0].as_py()
    return (text + end).encode()


def _joined(lists: pa.Array, separator: str) -> pa.StringArray:
    return pc.binary_join(lists, separator)


def _quality(column: dict[str, pa.Array]) -> pa.StringArray:
    texts = pc.fill_null(render(column["QUAL"]), ".")
    return pc.coalesce(column[RAW_QUAL], texts) if RAW_QUAL in column else texts


def _info(column: dict[str, pa.Array], layout: Layout, rows: int) -> pa.StringArray:
    parts: dict[str, pa.StringArray] = {}
    for key in layout.info:
        held = column[f"INFO/{key.key}"]
        if key.kind == "flag":
            parts[key.key] = pc.if_else(held, key.key, pa.scalar(None, pa.string()))
        elif held.null_count < rows:
            parts[key.key] = pc.binary_join_element_wise(key.key, render_column(held), "=")
    joined = pa.array(["."] * rows, pa.string())
    if parts:
        # Not null_handling="skip": pyarrow 26 drops the rows in which every part is null.
        led = [pc.fill_null(pc.binary_join_element_wise(";", text, ""), "") for text in parts.values()]
        joined = pc.utf8_slice_codeunits(pc.binary_join_element_wise(*led, ""), 1)
        joined = pc.if_else(pc.equal(joined, ""), ".", joined)
    if ORDER in column and column[ORDER].null_count < rows:
        joined = _reordered(joined, column[ORDER], parts, {key.key: key.kind for key in layout.info})
    return pc.coalesce(column[RAW_INFO], joined) if RAW_INFO in column else joined


def _reordered(
    joined: pa.StringArray, order: pa.StringArray, parts: dict[str, pa.StringArray], kinds: dict[str, str]
) -> pa.StringArray:
    """Return INFO texts with the rows that name their own key order written in it; a null value is a dot."""
    rows = np.flatnonzero(as_bool(pc.is_valid(order)))
    chosen = pa.array(rows)
    sequences = [text.split(";") for text in order.take(chosen).to_pylist()]
    held = {key: text.take(chosen).to_pylist() for key, text in parts.items()}
    none: list[None] = [None] * len(rows)
    written = [
        ";".join(held.get(key, none)[at] or f"{key}=." for key in sequence) for at, sequence in enumerate(sequences)
    ]
    index = np.full(len(joined), -1, np.int64)
    index[rows] = np.arange(len(rows))
    return pc.coalesce(pa.array(written, pa.string()).take(pa.array(index, mask=index < 0)), joined)


def _samples(column: dict[str, pa.Array], layout: Layout, rows: int) -> pa.StringArray:
    """Return the sample columns of every record as one text."""
    formats = column["FORMAT"].dictionary_encode()
    codes = formats.indices.to_numpy(zero_copy_only=False)
    raw = column[RAW_SAMPLES] if RAW_SAMPLES in column else pa.nulls(rows, pa.string())
    known = {key.key for key in layout.format}
    texts: list[pa.StringArray] = []
    order: list[Any] = []
    for code, text in enumerate(formats.dictionary.to_pylist()):
        where = np.flatnonzero(codes == code)
        keys = text.split(":")
        if not set(keys) <= known or len(set(keys)) < len(keys):
            texts.append(pa.nulls(len(where), pa.string()))  # such records are held as they stand
        else:
            texts.append(_group(column, keys, where, layout.samples))
        order.append(where)
    back = np.argsort(np.concatenate(order), kind="stable")
    return pc.coalesce(raw, pa.concat_arrays(texts).take(pa.array(back)))


def _group(column: dict[str, pa.Array], keys: list[str], where: "np.ndarray[Any, Any]", count: int) -> pa.StringArray:
    chosen = pa.array(where)
    carried = _carried(column, chosen, len(keys), count)
    parts = []
    for k, key in enumerate(keys):
        lists = column[f"FORMAT/{key}"].take(chosen)
        flat = pc.fill_null(render_column(lists.flatten()), ".")
        if carried is not None:
            flat = pc.if_else(pa.array(carried > k), flat, pa.scalar(None, pa.string()))
        parts.append(flat)
    cells = pc.binary_join_element_wise(*parts, ":", null_handling="skip")
    offsets = pa.array(np.arange(len(where) + 1, dtype=np.int32) * count)
    return pc.binary_join(pa.ListArray.from_arrays(offsets, cells), "\t")


def _carried(column: dict[str, pa.Array], chosen: pa.Array, full: int, count: int) -> "np.ndarray[Any, Any] | None":
    """Return how many fields each cell carries, None where all carry all."""
    if PRESENT not in column:
        return None
    lists = column[PRESENT].take(chosen)
    if lists.null_count == len(lists):
        return None
    some = as_bool(pc.is_valid(lists))
    fields = np.full((len(lists), count), full, np.int64)
    fields[some] = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, count)
    return fields.reshape(-1)
