"""The rows of delimited text, streamed as batches of text columns, with what the bytes looked like.

pyarrow's CSV reader splits rows and cells (RFC 4180); this stands around it: it undoes compression
and encoding, refuses NUL bytes, ragged rows and quotes that never close, and counts line endings.
A bare empty cell comes as null, a quoted one as "".
"""

import codecs
import csv
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from ...errors import CustomerError
from ..containers.gzip import open_plain

_PIECE = 1 << 18
_BLOCKS = (1 << 20, 8 << 20, 64 << 20)  # a row must fit into one block
_AHEAD = 3  # blocks in flight
_TAIL = 1 << 16
_LONGEST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """How the text is written: what must be known to split it into rows and cells."""

    path: Path
    where: str
    encoding: str  # "utf-8", "utf-16-le", "utf-16-be" or "latin-1"
    mark: int  # bytes of the byte-order mark
    delimiter: str
    columns: int
    quoting: bool
    trimmed: bool
    skip: int  # characters of preamble and header, as UTF-8 bytes
    block: int = _BLOCKS[0]


@dataclass
class Seen:
    """What the bytes of a text showed when it was read to its end."""

    line_feeds: int = 0
    returns: int = 0
    pairs: int = 0
    blank_lines: bool = False
    quotes: bool = False
    tail: bytes = b""  # the last 64 KiB
    length: int = 0
    last: bytes = field(default=b"", repr=False)

    def take(self, piece: bytes) -> None:
        """Count line endings of the next piece of UTF-8."""
        joined = self.last + piece
        self.line_feeds += piece.count(b"\n")
        self.returns += piece.count(b"\r")
        self.pairs += joined.count(b"\r\n") - self.last.count(b"\r\n")
        self.quotes = self.quotes or b'"' in piece
        if not self.blank_lines:
            start = joined if self.length else b"\n" + joined
            self.blank_lines = any(pattern in start for pattern in (b"\n\n", b"\n\r", b"\r\r"))
        self.last = joined[-2:]
        self.tail = (self.tail + piece)[-_TAIL:] if len(piece) < _TAIL else piece[-_TAIL:]
        self.length += len(piece)


class NotUtf8(Exception):
    """The text holds bytes that are no UTF-8; `at` is the first one's place."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class PlainText:
    """A stream of UTF-8 without mark, preamble and header, as pyarrow reads from it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._file = open_plain(layout.path, where=layout.where)
        self._file.read(layout.mark)
        self._decoder = codecs.getincrementaldecoder(layout.encoding)()
        self._skip = layout.skip
        self._held = b""
        self._line = b""
        self._at = 0
        self._pending = False
        self._ended = False
        self.closed = False
        self._gate = threading.Semaphore(_AHEAD)
        self.seen = Seen()

    def read(self, length: int = -1) -> bytes:
        """Return up to `length` bytes; fewer only at the end."""
        if self.closed:
            return b""
        parts, got = [self._held], len(self._held)
        while not self._ended and (length < 0 or got < length):
            piece = self._next()
            parts.append(piece)
            got += len(piece)
        whole = b"".join(parts)
        cut = len(whole) if length < 0 else length
        self._held = whole[cut:]
        return whole[:cut]

    def block(self, length: int) -> bytes:
        """Return the next block, as pyarrow asks for it: it would read 32 ahead, so it has to wait.

        Blocks that give no rows take their time (a second each) but stop nothing.
        """
        self._gate.acquire(timeout=1.0)
        return self.read(length)

    def block_used(self) -> None:
        """Let one more block be read."""
        self._gate.release()

    def is_empty(self) -> bool:
        """Tell whether nothing is left to read."""
        self._held = self.read(1) + self._held
        return not self._held

    def close(self) -> None:
        """Close the file."""
        self.closed = True
        self._gate.release(64)
        self._file.close()

    def _next(self) -> bytes:
        raw = self._file.read(_PIECE)
        self._ended = not raw
        text = self._as_utf8(raw)
        if b"\0" in text:
            raise self._error("corrupt", "the text holds a NUL byte", self._at + text.index(b"\0"))
        self._at += len(raw)
        if self._skip:
            skipped = min(self._skip, len(text))
            self._skip -= skipped
            text = text[skipped:]
        if text:
            self.seen.take(text)
        return self._filled(text) if self._layout.trimmed else text

    def _as_utf8(self, raw: bytes) -> bytes:
        encoding = self._layout.encoding
        if encoding == "utf-8" and not self._pending and raw.isascii():
            return raw
        try:
            text = self._decoder.decode(raw, not raw)
        except UnicodeDecodeError as error:
            if encoding == "utf-8":
                raise NotUtf8(self._layout.mark + self._at + error.start) from error
            raise self._error("corrupt", f"its {encoding} is damaged", self._at + error.start) from error
        if encoding != "utf-8":
            return text.encode("utf-8", "surrogatepass")
        self._pending = bool(self._decoder.getstate()[0])
        return raw

    def _filled(self, text: bytes) -> bytes:
        """Give stripped lines their trailing tabs back; a long line passes and is refused as ragged."""
        lines = (self._line + text).split(b"\n")
        self._line = b"" if self._ended else lines.pop()
        width = self._layout.columns - 1
        filled = []
        for line in lines:
            body = line.removesuffix(b"\r")
            if body.endswith(b"\t"):
                raise CustomerError(
                    "some rows keep their trailing tabs and others have lost them",
                    code="ragged-row",
                    where=self._layout.where,
                    remedy="write every row with all its tabs",
                )
            missing = width - body.count(b"\t") if body else 0
            filled.append(body + b"\t" * max(0, missing) + line[len(body) :])
        if not filled:
            return b""
        return b"\n".join(filled) + (b"" if self._ended else b"\n")

    def _error(self, code: str, message: str, at: int) -> CustomerError:
        place = self._layout.mark + at
        return CustomerError(
            message, code=code, where=f"{self._layout.where}, byte {place}", remedy="save it as plain text again"
        )


def text_batches(layout: Layout, seen: Seen | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the data rows as batches of `layout.columns` string columns named "0", "1", …

    A batch holds the rows of one block of text. Lines without a character are no rows, except in a
    table of one column, where they are missing cells. At the end `seen`, if given, holds what the
    bytes showed. Raise CustomerError (ragged-row, corrupt, truncated) and NotUtf8.
    """
    with _stream(layout) as stream:
        last: pa.RecordBatch | None = None
        with _arrow_errors(layout) as refused:
            for batch in _reader(stream, layout, refused):
                stream.block_used()
                if batch.num_rows:
                    last = batch
                    yield batch
        if last is not None:
            _expect_closed(stream.seen.tail, last, layout)
        if seen is not None:
            for name in Seen.__dataclass_fields__:
                setattr(seen, name, getattr(stream.seen, name))


def next_block(block: int) -> int | None:
    """Return the next larger block size, None after the largest."""
    return next((size for size in _BLOCKS if size > block), None)


class RowTooLong(Exception):
    """A row is longer than the block."""


def _reader(stream: PlainText, layout: Layout, refused: list[int]) -> Iterator[pa.RecordBatch]:
    if stream.is_empty():
        return  # pyarrow refuses an empty text
    names = [str(number) for number in range(layout.columns)]

    def refuse(row: Any) -> str:
        refused.append(row.number)
        return "error"

    yield from arrow_csv.open_csv(
        pa.PythonFile(_Blocks(stream), mode="r"),
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=layout.block, column_names=names),
        parse_options=arrow_csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if layout.quoting else False,
            newlines_in_values=layout.quoting,
            ignore_empty_lines=layout.columns > 1,
            invalid_row_handler=refuse,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            check_utf8=False,
        ),
    )


@contextmanager
def _stream(layout: Layout) -> Iterator[PlainText]:
    stream = PlainText(layout)
    try:
        yield stream
    finally:
        stream.close()


@contextmanager
def _arrow_errors(layout: Layout) -> Iterator[list[int]]:
    refused: list[int] = []
    try:
        yield refused
    except pa.ArrowInvalid as error:
        if refused:
            raise ragged(layout, refused[0]) from error
        if "straddl" in str(error) or "block size" in str(error):
            if next_block(layout.block) is None:
                raise CustomerError(
                    f"a row is longer than {layout.block >> 20} MiB",
                    code="corrupt",
                    where=layout.where,
                    remedy="look for a quote that never closes",
                ) from error
            raise RowTooLong from error
        raise CustomerError(
            "its rows cannot be told apart", code="corrupt", where=layout.where, remedy="save it again"
        ) from error
    except pa.ArrowException as error:
        raise CustomerError(
            f"it cannot be read as text: {str(error).splitlines()[0]}", code="corrupt", where=layout.where
        ) from error


def _expect_closed(tail: bytes, last: pa.RecordBatch, layout: Layout) -> None:
    """Refuse a text that ends inside quotes: pyarrow takes the rest of the file for one cell.

    The text then ends with a cell's opening quote and the cell's own characters.
    """
    value = last.column(layout.columns - 1)[last.num_rows - 1].as_py()
    if not layout.quoting or value is None:
        return
    written = b'"' + value.encode("utf-8").replace(b'"', b'""')
    before = tail[: -len(written)][-1:]
    if tail.endswith(written) and before in (b"", b"\n", b"\r", layout.delimiter.encode()):
        line = _line_of_last_row(layout)
        raise CustomerError(
            "a quote opens and never closes",
            code="truncated",
            where=f"{layout.where}, line {line}",
            remedy="fetch it again, or close the quote",
        )


def ragged(layout: Layout, row: int) -> CustomerError:
    """Return the refusal of the data row that pyarrow counts as `row` (from 1, blank lines aside)."""
    number = 0
    line, cells = 0, 0
    for line, found in _slow_rows(layout):
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


def _line_of_last_row(layout: Layout) -> int:
    line, before = 0, _lines_before(layout)
    for number, _ in _slow_rows(layout, first_line=True):
        line = number
    return line or before + 1


def _slow_rows(layout: Layout, *, first_line: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number in the file, cells) of each row, blank lines as []: exact and slow.

    The line is the row's last one, or its first.
    """
    before = _lines_before(layout)
    with _stream(layout) as stream:
        csv.field_size_limit(_LONGEST)
        text = io.TextIOWrapper(io.BufferedReader(_Raw(stream)), encoding="utf-8", newline="")
        style = csv.QUOTE_MINIMAL if layout.quoting else csv.QUOTE_NONE
        reader = csv.reader(text, delimiter=layout.delimiter, quoting=style)
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


class _Blocks:
    """A PlainText as pyarrow reads it."""

    def __init__(self, stream: PlainText) -> None:
        self._stream = stream
        self.closed = False

    def readable(self) -> bool:
        return True

    def read(self, length: int) -> bytes:
        return self._stream.block(length)

    def close(self) -> None:
        self.closed = True


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
