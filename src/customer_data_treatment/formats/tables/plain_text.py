"""The plain UTF-8 behind a text table: compression, encoding, preamble and header undone, bytes counted."""

import codecs
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import CustomerError
from ..containers.gzip import open_plain

BLOCKS = (1 << 20, 8 << 20, 64 << 20)  # a row must fit into one block
_PIECE = 1 << 18
_AHEAD = 3  # blocks in flight
_TAIL = 1 << 16


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
    block: int = BLOCKS[0]


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
        self._gate = threading.Semaphore(_AHEAD if layout.block < BLOCKS[-1] else 2)
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


@contextmanager
def open_stream(layout: Layout) -> Iterator[PlainText]:
    """Open the text behind a layout and close it again."""
    stream = PlainText(layout)
    try:
        yield stream
    finally:
        stream.close()
