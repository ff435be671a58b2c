"""How a text table is written: encoding, dialect, header and spelling, in one JSON sidecar.

With the values it gives the file back: byte for byte where numbers are spelt canonically and no
cell is quoted without need (columns that are quoted throughout are kept so).
"""

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...errors import CustomerError
from .cells import Spelling

SIDECAR = "dialect.json"


@dataclass(frozen=True, slots=True)
class ColumnForm:
    """One column: its name in the table, how values and missing cells are written.

    `missing` indexes cells.TOKENS; with two or more of them `codes` is (offset, length) of the
    column's zlib stream in the sidecar of missing cells. `quoted` says that its cells stand in quotes.
    """

    name: str
    spelling: Spelling
    missing: tuple[int, ...] = (0,)
    codes: tuple[int, int] | None = None
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """The whole of it. `start` is the text before the first row, `blank_lines` are (rows before, count)."""

    encoding: str
    mark: bool
    wrapper: str
    delimiter: str
    quoting: bool
    trimmed: bool
    newline: str
    final_newline: bool
    start: str
    blank_lines: tuple[tuple[int, int], ...]
    columns: tuple[ColumnForm, ...]

    def to_json(self) -> bytes:
        """Return the sidecar's bytes: deterministic."""
        return json.dumps(asdict(self), ensure_ascii=True, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, document: bytes) -> "Dialect":
        """Return the dialect that the sidecar describes; raise CustomerError (corrupt)."""
        try:
            record: dict[str, Any] = json.loads(document)
            columns = tuple(_column(entry) for entry in record.pop("columns"))
            blank = tuple((int(rows), int(count)) for rows, count in record.pop("blank_lines"))
            return cls(**record, blank_lines=blank, columns=columns)
        except (ValueError, TypeError, KeyError) as error:
            raise CustomerError("the table's dialect cannot be read", code="corrupt", where=SIDECAR) from error


def _column(entry: dict[str, Any]) -> ColumnForm:
    spelling = Spelling(**entry.pop("spelling"))
    words, pattern = spelling.words, spelling.pattern
    spelling = replace(spelling, words=(words[0], words[1]), pattern=(pattern[0], pattern[1], pattern[2], pattern[3]))
    codes = entry.pop("codes")
    missing = tuple(entry.pop("missing"))
    return ColumnForm(**entry, spelling=spelling, missing=missing, codes=(codes[0], codes[1]) if codes else None)


def column_names(header: list[str] | None, columns: int) -> tuple[tuple[str, ...], int, int]:
    """Return (names, blank headers, duplicate headers): unique, blank ones named column_N."""
    if header is None:
        return tuple(f"column_{number}" for number in range(1, columns + 1)), 0, 0
    taken = set(header)
    given: set[str] = set()
    names: list[str] = []
    blank = duplicate = 0
    for number, cell in enumerate(header, 1):
        name = cell
        if not cell.strip():
            blank += 1
            name = _free(f"column_{number}", taken)
        elif cell in given:
            duplicate += 1
            name = _free(cell, taken)
        taken.add(name)
        given.add(name)
        names.append(name)
    return tuple(names), blank, duplicate


def _free(stem: str, taken: set[str]) -> str:
    if stem not in taken:
        return stem
    number = 2
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"


def split_records(text: str, delimiter: str, quoting: bool, limit: int) -> list[tuple[list[tuple[str, bool]], int]]:
    """Return up to `limit` records of the text: ([(cell, quoted)], place just after its line end).

    A record that the text cuts off is left out. Blank lines are records of no cell.
    """
    records: list[tuple[list[tuple[str, bool]], int]] = []
    cells: list[tuple[str, bool]] = []
    at, end = 0, len(text)
    while at < end and len(records) < limit:
        if text[at] in "\r\n" and not cells:
            at += 2 if text.startswith("\r\n", at) else 1
            records.append(([], at))
            continue
        cell, quoted, at = _cell(text, at, delimiter, quoting)
        cells.append((cell, quoted))
        if at >= end:
            break
        if text[at] == delimiter:
            at += 1
            if at < end:
                continue
            break
        at += 2 if text.startswith("\r\n", at) else 1
        records.append((cells, at))
        cells = []
    return records


def _cell(text: str, at: int, delimiter: str, quoting: bool) -> tuple[str, bool, int]:
    parts = []
    quoted = quoting and text.startswith('"', at)
    if quoted:
        at += 1
        while True:
            close = text.find('"', at)
            if close < 0:
                return "", True, len(text)
            parts.append(text[at:close])
            at = close + 1
            if not text.startswith('"', at):
                break
            parts.append('"')
            at += 1
    found = re.compile(f"[{re.escape(delimiter)}\r\n]").search(text, at)
    stop = found.start() if found else len(text)
    parts.append(text[at:stop])
    return "".join(parts), quoted, stop
