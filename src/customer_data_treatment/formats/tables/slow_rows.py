"""The rows of delimited text one by one, for what is asked rarely: on which line a row stands, where blanks are."""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import Any

from ...errors import CustomerError
from ..containers.gzip import open_plain
from .plain_text import Layout, PlainText, open_stream

_LONGEST = (1 << 31) - 1


def ragged(layout: Layout, row: int) -> CustomerError:
    """Return the refusal of the data row that pyarrow counts as `row` (from 1, blank lines aside)."""
    number = line = cells = 0
    for at, found in _slow_rows(layout):
        line = at
        if found or layout.columns == 1:
            number += 1
            cells = len(found)
        if number == row:
            break
    return CustomerError(
        f"a row has {cells} cells where the first has {layout.columns}",
        code="ragged-row",
        where=f"{layout.where}, line {line}",
        remedy="give every row the same number of cells",
    )


def blank_lines(layout: Layout) -> list[tuple[int, int]]:
    """Return (number of data rows before, number of blank lines) of every run of blank lines."""
    runs: dict[int, int] = {}
    rows = 0
    for _, found in _slow_rows(layout):
        if found:
            rows += 1
        else:
            runs[rows] = runs.get(rows, 0) + 1
    return sorted(runs.items())


def line_of_last_row(layout: Layout) -> int:
    """Return the line on which the last row begins."""
    line, before = 0, _lines_before(layout)
    for number, _ in _slow_rows(layout, first_line=True):
        line = number
    return line or before + 1


def _slow_rows(layout: Layout, *, first_line: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number in the file, cells) of each row, blank lines as []: exact and slow.

    The line is the row's last one, or its first.
    """
    before = _lines_before(layout)
    with open_stream(layout) as stream:
        csv.field_size_limit(_LONGEST)
        text = io.TextIOWrapper(io.BufferedReader(_Raw(stream)), encoding="utf-8", newline="")
        if layout.quoting:
            reader = csv.reader(text, delimiter=layout.delimiter)
        else:
            reader = csv.reader(text, delimiter=layout.delimiter, quoting=csv.QUOTE_NONE)
        line = 0
        for row in reader:
            yield before + (line + 1 if first_line else reader.line_num), row
            line = reader.line_num


def _lines_before(layout: Layout) -> int:
    """Return how many lines the preamble and the header fill."""
    with open_plain(layout.path, where=layout.where) as file:
        file.read(layout.mark)
        text = codecs.getincrementaldecoder(layout.encoding)().decode(file.read(2 * layout.skip + 8))
    start = text.encode("utf-8", "surrogatepass")[: layout.skip]
    return start.count(b"\n") + start.count(b"\r") - start.count(b"\r\n")


class _Raw(io.RawIOBase):
    """A PlainText as a raw stream for the standard library."""

    def __init__(self, stream: PlainText) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
