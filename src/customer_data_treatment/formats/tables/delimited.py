"""CSV and TSV (RFC 4180, IANA text/tab-separated-values), and their like with ; and |.

The text is read twice: once to decide over all cells what each column is, once to give the values.
What a table of typed values cannot say (dialect, header, spelling, which cell was empty in which way)
is carried, so that restore gives the file back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import CustomerError
from ...model.dataset import Carried, Column, Dataset, RuleCount, TableField
from ...model.schema import role_of
from ...model.verdict import Finding
from ...plugin import FormatCode
from ...ports import Box, ByteSource
from ...vocabulary import CustomerDataType, DataModalityType, Dimension, RuleKind, Severity
from ..containers.gzip import layer_of, open_plain
from ..delimiters import Delimited, decode_text, delimited
from .cells import TOKENS, ColumnFinder, is_number, parse
from .delimited_text import write
from .dialect import SIDECAR, ColumnForm, Dialect, column_names, split_records
from .many_columns import take_batch
from .plain_text import Layout, NotUtf8, Seen
from .slow_rows import blank_lines
from .text_rows import RowTooLong, block_for, next_block, text_batches

_FIELD = "table"
_MISSING = "missing.bin"
_HEADS = (1 << 20, 1 << 26)
_BATCH = 8 << 20
_PIECE = 1 << 20
_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat", ".asc", ".psv", ".text", "")
_NAMES = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar"}


@dataclass(frozen=True, slots=True)
class _Start:
    """What the first bytes say: layout, text before the first row, header cells, data sample."""

    layout: Layout
    guess: Delimited
    wrapper: str
    text: str
    header: list[str] | None
    shifted: bool
    sample: str


class DelimitedDecoder:
    """One text table: types from a first pass over all cells, values from a second."""

    def __init__(self, source: ByteSource) -> None:
        """Read the whole text once (memory: one block of 2 MiB, or of the longest row).

        Raise CustomerError: empty, ragged-row (with its line), corrupt (NUL, damaged layer),
        truncated (a quote that never closes), unsupported-format (no table after all).
        """
        self._where = source.name
        start = _start(source, latin=False)
        findings: list[Finding] = []
        try:
            start, finders, seen, rows = _first_pass(start)
        except NotUtf8 as error:
            if start.layout.mark:
                raise CustomerError(
                    "it is marked as UTF-8 and is not",
                    code="corrupt",
                    where=f"{source.name}, byte {error.at}",
                    remedy="save it again as UTF-8",
                ) from error
            start, finders, seen, rows = _first_pass(_start(source, latin=True))
        if start.layout.encoding == "latin-1":
            findings.append(_finding("not-utf8", "it is no UTF-8 and was read as Latin-1", Severity.WARNING))
        self._layout = start.layout
        names, blank, duplicate = column_names(_header(start), start.layout.columns)
        runs = _blank_runs(start.layout, seen, rows)
        self._rows = rows - (sum(count for _, count in runs) if start.layout.columns == 1 else 0)
        self._missing_cells, forms = _forms(names, finders, start)
        self._dialect = _dialect(start, seen, runs, forms)
        findings += _start_oddities(start, source.name, blank, duplicate) + _row_oddities(start, seen, runs, forms)
        self.dataset = _dataset(self._dialect, names, self._rows, findings, bool(self._missing_cells))

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Raise KeyError: a text table has no arrays."""
        raise KeyError(name)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows, typed, in batches of at most about 8 MiB."""
        schema = self.dataset.field(name).schema  # type: ignore[union-attr]
        left = self._rows
        try:
            for batch in text_batches(self._layout):
                arrays = [_values(c, f) for c, f in zip(batch.columns, self._dialect.columns, strict=True)]
                typed = pa.RecordBatch.from_arrays(arrays, schema=schema).slice(0, left)
                left -= typed.num_rows
                step = max(1, typed.num_rows * _BATCH // max(1, typed.nbytes))
                for at in range(0, typed.num_rows, step):
                    yield typed.slice(at, step)
        except (pa.ArrowException, NotUtf8, RowTooLong) as error:
            raise _changed(self._where) from error
        if left:
            raise _changed(self._where)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the dialect, or the codes of missing cells."""
        content = self._dialect.to_json() if name == SIDECAR else self._missing_cells
        for at in range(0, len(content), _PIECE):
            yield content[at : at + _PIECE]

    def rules(self) -> tuple[RuleCount, ...]:
        """Return the one rule of a text table: every row has as many cells as the first (it was refused else)."""
        return (
            RuleCount(
                name="rows-agree",
                dimension=Dimension.VALIDITY,
                kind=RuleKind.STRUCTURAL,
                scope=self._rows,
                examined=self._rows,
                violations=0,
                message="every row has as many cells as the first",
            ),
        )

    def close(self) -> None:
        """Hold nothing open between calls."""


def _start(source: ByteSource, *, latin: bool) -> _Start:
    for length in _HEADS:
        with open_plain(source.local_path(), where=source.name) as file:
            raw = file.read(length)
        found = _read_start(source, raw, len(raw) < length, latin=latin)
        if found is not None:
            return found
    raise CustomerError(
        "its first row does not end", code="corrupt", where=source.name, remedy="look for a quote that never closes"
    )


def _read_start(source: ByteSource, raw: bytes, complete: bool, *, latin: bool) -> _Start | None:
    """Return what the head says, None where it ends inside the first row."""
    if b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CustomerError(
            "the text holds a NUL byte",
            code="corrupt",
            where=f"{source.name}, byte {raw.index(0)}",
            remedy="save it as plain text again",
        )
    guess = delimited(raw, source.name, complete=complete) or delimited(raw[:65536], source.name)
    decoded = decode_text(raw)
    if guess is None or decoded is None or not decoded[0].strip():
        empty = decoded is not None and not decoded[0].strip()
        raise CustomerError(
            "it holds no rows" if empty else "its lines do not agree on columns",
            code="empty" if empty else "unsupported-format",
            where=source.name,
            remedy="ask for it again",
        )
    text, encoding = decoded
    if latin:
        text, encoding = raw.decode("latin-1"), "latin-1"
    elif encoding == "utf-16":
        encoding = "utf-16-le" if raw.startswith(b"\xff\xfe") else "utf-16-be"
    mark = 2 if encoding.startswith("utf-16") else 3 if raw.startswith(b"\xef\xbb\xbf") else 0
    at = _after_preamble(text, guess.preamble)
    body = text[at:] + ("\n" if complete and not text.endswith(("\n", "\r")) else "")
    records = split_records(body, guess.delimiter, guess.quoting, 16)
    number = next((n for n, (cells, _) in enumerate(records) if cells), None)
    if number is None:
        return None
    cells, end = records[number]
    header = None if _is_data([cell for cell, _ in cells]) else [cell for cell, _ in cells]
    begin = records[number - 1][1] if number else 0
    first = min(at + (end if header is not None else begin), len(text))
    following = next((len(c) for c, _ in records[number + 1 :] if c), len(cells))
    shifted = header is not None and guess.delimiter == "\t" and guess.columns == len(cells) + 1 == following
    with source.local_path().open("rb") as file:
        wrapper = layer_of(file.read(6))
    layout = Layout(
        path=source.local_path(),
        where=source.name,
        encoding=encoding,
        mark=mark,
        delimiter=guess.delimiter,
        columns=len(cells) + shifted,
        quoting=guess.quoting,
        trimmed=guess.trimmed,
        skip=len(text[:first].encode("utf-8")),
        block=block_for(len(text[:first]) if header is not None else len(text[first:].partition("\n")[0])),
    )
    return _Start(layout, guess, wrapper, text[:first], header, shifted, text[first : first + 65536])


def _is_data(cells: list[str]) -> bool:
    """Tell whether a first row is no header: a cell is a number, or a lone one is numbers between spaces."""
    words = cells[0].split() if len(cells) == 1 else cells
    if len(cells) == 1 and len(words) > 1:
        return all(is_number(word) for word in words)
    return any(is_number(cell) for cell in cells)


def _after_preamble(text: str, lines: int) -> int:
    at = 0
    for _ in range(lines):
        at = text.index("\n", at) + 1
    return at


def _first_pass(start: _Start) -> tuple[_Start, list[ColumnFinder], Seen, int]:
    while True:
        finders = [ColumnFinder() for _ in range(start.layout.columns)]
        seen, rows = Seen(), 0
        try:
            for batch in text_batches(start.layout, seen):
                rows += batch.num_rows
                take_batch(finders, batch)
            return start, finders, seen, rows
        except RowTooLong:
            start = replace(start, layout=replace(start.layout, block=next_block(start.layout.block) or 0))


def _header(start: _Start) -> list[str] | None:
    if start.header is None:
        return None
    return ["row_names", *start.header] if start.shifted else start.header


def _blank_runs(layout: Layout, seen: Seen, rows: int) -> list[tuple[int, int]]:
    if not seen.blank_lines:
        return []
    if layout.columns > 1:
        return blank_lines(layout)
    # In one column an empty line is a missing cell; only those at the very end are blank lines.
    ends = seen.tail[len(seen.tail.rstrip(b"\r\n")) :]
    count = ends.count(b"\n") + ends.count(b"\r") - ends.count(b"\r\n")
    count -= len(ends) < len(seen.tail)
    return [(rows - count, count)] if count else []


def _forms(names: tuple[str, ...], finders: list[ColumnFinder], start: _Start) -> tuple[bytes, list[ColumnForm]]:
    """Return (the sidecar of missing cells, the columns' forms)."""
    quoted = _quoted_columns(start)
    sidecar = bytearray()
    forms = []
    for name, finder, in_quotes in zip(names, finders, quoted, strict=True):
        codes = finder.token_codes()
        place = (len(sidecar), len(codes)) if codes else None
        sidecar += codes
        forms.append(ColumnForm(name, finder.spelling(), finder.missing() or (0,), place, in_quotes))
    return bytes(sidecar), forms


def _quoted_columns(start: _Start) -> list[bool]:
    """Tell for each column whether all its cells stand in quotes, by the first 64 KiB of rows."""
    width = start.layout.columns
    if not start.layout.quoting or '"' not in start.sample:
        return [False] * width
    some, bare = [False] * width, [False] * width
    for cells, _ in split_records(start.sample + "\n", start.layout.delimiter, True, 1000)[:-1] or []:
        for number, (cell, quoted) in enumerate(cells[:width]):
            some[number] |= quoted and bool(cell)
            bare[number] |= not quoted and cell not in ("", *TOKENS[2:])
    return [yes and not no for yes, no in zip(some, bare, strict=True)]


def _dialect(start: _Start, seen: Seen, runs: list[tuple[int, int]], forms: list[ColumnForm]) -> Dialect:
    counts = {
        "\n": seen.line_feeds - seen.pairs,
        "\r\n": seen.pairs,
        "\r": seen.returns - seen.pairs,
    }
    newline = max(counts, key=lambda ending: counts[ending])
    return Dialect(
        encoding=start.layout.encoding,
        mark=bool(start.layout.mark),
        wrapper=start.wrapper,
        delimiter=start.layout.delimiter,
        quoting=start.layout.quoting,
        trimmed=start.layout.trimmed,
        newline=newline if seen.length else "\n",
        final_newline=seen.tail.endswith((b"\n", b"\r")),
        start=start.text,
        blank_lines=tuple(runs),
        columns=tuple(forms),
    )


def _start_oddities(start: _Start, name: str, blank: int, duplicate: int) -> list[Finding]:
    found = []
    plain = name.lower()
    for wrapper in (".gz", ".bz2", ".xz"):
        plain = plain.removesuffix(wrapper)
    suffix = Path(plain).suffix
    if suffix not in _SUFFIXES:
        found.append(_finding("wrong-suffix", f"its name ends in {suffix}, its content is delimited text"))
    if (suffix == ".tsv") != (start.layout.delimiter == "\t") and suffix in (".tsv",):
        found.append(
            _finding("wrong-suffix", f"its name ends in .tsv, {_NAMES[start.layout.delimiter]} separates cells")
        )
    if start.header is None:
        found.append(_finding("no-header", "its first row holds numbers: columns are numbered", Severity.NOTE))
    if start.shifted:
        found.append(_finding("row-names", "the first column has no header and is called row_names", Severity.NOTE))
    if blank:
        found.append(_finding("blank-header", f"{blank} columns have no name and are called column_N"))
    if duplicate:
        found.append(_finding("duplicate-header", f"{duplicate} columns repeat a name and got a number behind it"))
    if start.guess.preamble:
        message = f"{start.guess.preamble} comment lines stand before the table and are carried"
        found.append(_finding("comment-lines", message, Severity.NOTE))
    return found


def _row_oddities(start: _Start, seen: Seen, runs: list[tuple[int, int]], forms: list[ColumnForm]) -> list[Finding]:
    found = []
    if runs:
        message = f"{sum(count for _, count in runs)} lines are blank and were skipped"
        found.append(_finding("blank-lines", message, Severity.NOTE))
    kinds = sum(n > 0 for n in (seen.line_feeds - seen.pairs, seen.pairs, seen.returns - seen.pairs))
    if kinds > 1 and not seen.quotes:
        found.append(
            _finding("mixed-line-endings", "its lines end in different ways; restore writes one", Severity.NOTE)
        )
    if start.layout.trimmed:
        found.append(_finding("trimmed-rows", "the tabs of trailing empty cells were stripped; they count as missing"))
    several = sum(form.codes is not None for form in forms)
    if several:
        message = f"{several} columns write missing cells in more than one way; each is kept"
        found.append(_finding("several-missing", message, Severity.NOTE))
    return found


def _finding(code: str, message: str, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(code=code, severity=severity, message=message)


def _dataset(
    dialect: Dialect, names: tuple[str, ...], rows: int, findings: list[Finding], missing_cells: bool
) -> Dataset:
    kinds = {"date": "time", "time": "time"}
    columns = tuple(
        Column(name=form.name, role=role_of(form.name, kinds.get(form.spelling.kind, form.spelling.kind)))
        for form in dialect.columns
    )
    schema = pa.schema([pa.field(form.name, form.spelling.arrow_type()) for form in dialect.columns])
    carried = [Carried(SIDECAR, "how the text was written: dialect, header, spelling", "application/json")]
    if missing_cells:
        carried.append(Carried(_MISSING, "which cell wrote its missing value how, a zlib stream a column"))
    return Dataset(
        format="TSV" if dialect.delimiter == "\t" else "CSV",
        modality=DataModalityType.GENERAL,
        data_type=CustomerDataType.GENERAL,
        fields=(TableField(name=_FIELD, schema=schema, columns=columns, rows=rows),),
        carried=tuple(carried),
        findings=tuple(findings),
        source_compression=dialect.wrapper or None,
        random_access=False,
    )


_CELLS = (None, "", "NA", "NaN", "null", "?")


def _values(cells: pa.Array, form: ColumnForm) -> pa.Array:
    words = [_CELLS[token] for token in form.missing if token]
    if words:
        cells = pc.if_else(pc.is_in(cells, pa.array(words, pa.string())), pa.scalar(None, pa.string()), cells)
    return parse(cells, form.spelling)


def _changed(where: str) -> CustomerError:
    return CustomerError(
        "its rows differ from what the first reading found",
        code="source-changed",
        where=where,
        remedy="wait until no one writes to it, and try again",
    )


CSV = FormatCode(open=DelimitedDecoder, write=write)
TSV = FormatCode(open=DelimitedDecoder, write=write)
