"""Delimited text written from a treated package: the values in the source's own dialect."""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...ports import RestoreSource
from .cells import TOKENS, spell
from .dialect import SIDECAR, ColumnForm, Dialect

_MISSING = "missing.bin"
_MARKS = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff", "latin-1": b""}


def write(package: RestoreSource, target: Path) -> None:
    """Write the table as the source wrote it: batch by batch, in its encoding and compression.

    The compression is the source's own, except where the target's name says that there is none.
    """
    dialect = Dialect.from_json(package.carried(SIDECAR))
    codes = package.carried(_MISSING) if any(form.codes for form in dialect.columns) else b""
    streams = [_Codes(codes, form) for form in dialect.columns]
    blank = dict(dialect.blank_lines)
    with _open(target, dialect.wrapper) as file:
        if dialect.mark:
            file.write(_MARKS[dialect.encoding])
        file.write(dialect.start.encode(dialect.encoding))
        row, pending = 0, ""
        for batch in package.batches(package.dataset.fields[0].name):
            if not batch.num_rows:
                continue
            lines = _lines(batch, dialect, streams)
            text, pending = _text(lines, row, blank, dialect, pending)
            file.write(text.encode(dialect.encoding))
            row += batch.num_rows
        ends = dialect.newline * blank.get(row, 0)
        file.write(((pending if dialect.final_newline or ends else "") + ends).encode(dialect.encoding))


def _text(lines: pa.Array, row: int, blank: dict[int, int], dialect: Dialect, pending: str) -> tuple[str, str]:
    """Return the batch's lines joined, and the line end that the last one still wants."""
    before = [blank.get(row + number, 0) for number in range(len(lines))] if blank else []
    if any(before):
        cells = [dialect.newline * count + line for count, line in zip(before, lines.to_pylist(), strict=True)]
        return pending + dialect.newline.join(cells), dialect.newline
    joined = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), dialect.newline)
    return pending + joined[0].as_py(), dialect.newline


def _lines(batch: pa.RecordBatch, dialect: Dialect, streams: "list[_Codes]") -> pa.Array:
    columns = [
        _cells(values, form, dialect, codes)
        for values, form, codes in zip(batch.columns, dialect.columns, streams, strict=True)
    ]
    if len(columns) == 1:
        return columns[0]
    lines = pc.binary_join_element_wise(*columns, dialect.delimiter)
    return pc.utf8_rtrim(lines, "\t") if dialect.trimmed else lines


def _cells(values: pa.Array, form: ColumnForm, dialect: Dialect, codes: "_Codes") -> pa.Array:
    """Return one column as it stands in the file, quotes and missing cells included."""
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    text = spell(values, form.spelling).cast(pa.string())
    if dialect.quoting:
        needs = pc.match_substring_regex(text, f'[{re.escape(dialect.delimiter)}"\r\n]')
        if form.quoted:
            needs = pc.is_valid(text)
        elif form.spelling.kind == "text":
            needs = pc.or_(needs, pc.equal(text, ""))
        needs = pc.fill_null(needs, False)
        if pc.any(needs).as_py():
            inner = pc.replace_substring(text, '"', '""')
            text = pc.if_else(needs, pc.binary_join_element_wise('"', inner, '"', ""), text)
    if not text.null_count:
        return text
    return codes.fill(text)


class _Codes:
    """How one column's missing cells were written, read in their order."""

    def __init__(self, sidecar: bytes, form: ColumnForm) -> None:
        self._tokens = form.missing
        self._reader = zlib.decompressobj() if form.codes else None
        self._held = sidecar[form.codes[0] : sum(form.codes)] if form.codes else b""

    def fill(self, text: pa.Array) -> pa.Array:
        """Return the column with every missing cell written; a cell that no one wrote missing is empty."""
        if self._reader is None:
            return pc.fill_null(text, TOKENS[self._tokens[0]])
        codes = bytearray()
        while len(codes) < text.null_count and self._held:
            codes += self._reader.decompress(self._held, text.null_count - len(codes))
            self._held = self._reader.unconsumed_tail
        codes += self._reader.decompress(b"", text.null_count - len(codes)) if len(codes) < text.null_count else b""
        codes += b"\0" * (text.null_count - len(codes))
        words = pa.array(TOKENS, pa.string()).take(pa.array(np.frombuffer(bytes(codes), np.uint8)))
        return pc.replace_with_mask(text, pc.is_null(text), words)


@contextmanager
def _open(target: Path, wrapper: str) -> Iterator[Any]:
    """Open the target in the layer that its name asks for; the source's own where the name is silent."""
    suffixes = {suffix.lower() for suffix in target.suffixes}
    named = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}
    asked = next((layer for suffix, layer in named.items() if suffix in suffixes), "")
    if not asked and not suffixes & {".csv", ".tsv", ".tab", ".txt", ".data", ".dat"}:
        asked = wrapper
    with target.open("wb") as plain:
        if asked == "gzip":
            with gzip.GzipFile("", "wb", 6, plain, mtime=0) as file:  # no name, no clock
                yield file
        elif asked == "bzip2":
            with bz2.BZ2File(plain, "wb") as file:
                yield file
        elif asked == "xz":
            with lzma.LZMAFile(plain, "wb") as file:
                yield file
        else:
            yield plain
