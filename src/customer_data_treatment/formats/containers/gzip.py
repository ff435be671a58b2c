"""Text or bytes behind one layer of gzip (BGZF too), bzip2 or xz, as one stream of plain bytes.

The layer is told by its magic, never by the suffix. Checksums and lengths that the layer carries
are verified while the stream is read (RFC 1952, 2.3.1: CRC32 and ISIZE; xz: CRC or SHA-256; bzip2:
CRC), so that a stream read to its end without an error is the stream that was written.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import CustomerError

# What the empty member that ends a BGZF file looks like (SAM specification 4.1.2).
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BUFFER = 1 << 18
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, MemoryError)


class _Inflater:
    """zlib's decompressor with the interface that bz2 and lzma share."""

    def __init__(self) -> None:
        self._engine = zlib.decompressobj(wbits=31)
        self._held = b""

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._held

    def decompress(self, data: bytes, length: int) -> bytes:
        out = self._engine.decompress(self._held + data, length)
        self._held = self._engine.unconsumed_tail
        return out


_LAYERS: tuple[tuple[bytes, str, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", "gzip", _Inflater),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)),
)


def layer_of(start: bytes) -> str:
    """Return "gzip", "bzip2" or "xz" for a file that starts so, "" for any other."""
    return next((name for magic, name, _ in _LAYERS if start.startswith(magic)), "")


def open_plain(path: Path, *, where: str | None = None) -> BinaryIO:
    """Open a file for reading what lies inside its gzip, bzip2 or xz layer, itself if it has none.

    The stream is buffered (256 KiB, whatever the ratio) and can't seek; open it again for a second
    pass. Reading raises CustomerError: truncated (the layer ends too soon), corrupt (a checksum or
    block is wrong, or foreign bytes follow the last member), naming the compressed byte reached.
    """
    name = where or path.name
    try:
        file = path.open("rb")
    except OSError as error:
        raise CustomerError(
            f"it cannot be read: {error.strerror}", code="unreadable", where=name, remedy="check the permissions"
        ) from error
    start = file.read(6)
    file.seek(0)
    for magic, layer, engine in _LAYERS:
        if start.startswith(magic):
            return io.BufferedReader(_Layer(file, layer, magic, engine, name), _BUFFER)
    return file


def lacks_bgzf_end(path: Path) -> bool:
    """Return whether the file is BGZF and does not end with BGZF's empty member: cut between members."""
    with path.open("rb") as file:
        start = file.read(18)
        if not (start[:4] == b"\x1f\x8b\x08\x04" and start[12:14] == b"BC"):
            return False
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - len(BGZF_END)))
        return file.read() != BGZF_END


class _Layer(io.RawIOBase):
    """The plain bytes of one compressed file; every failure of the layer is a CustomerError."""

    def __init__(self, file: BinaryIO, layer: str, magic: bytes, engine: Callable[[], Any], where: str) -> None:
        self._file = file
        self._layer = layer
        self._magic = magic
        self._make = engine
        self._where = where
        self._engine: Any = engine()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        while self._engine is not None:
            try:
                piece = self._step(len(view))
            except _DAMAGE as error:
                raise self._error("corrupt", f"its {self._layer} layer is damaged ({error})") from error
            if piece:
                view[: len(piece)] = piece
                return len(piece)
        return 0

    def _step(self, length: int) -> bytes:
        """Return the next bytes, b"" where this step gave none; at the end the engine becomes None."""
        data = b""
        if self._engine.needs_input:
            data = self._rest or self._file.read(_BUFFER)
            self._rest = b""
            if not data:
                raise self._error("truncated", f"the {self._layer} stream ends before its data does")
        piece: bytes = self._engine.decompress(data, length)
        if self._engine.eof:
            self._next_member(self._engine.unused_data)
        return piece

    def _next_member(self, rest: bytes) -> None:
        """Begin the next member; NUL padding (tapes, xz) may follow the last one, nothing else may."""
        rest = rest.lstrip(b"\0")
        while len(rest) < len(self._magic):
            more = self._file.read(_BUFFER)
            if not more:
                break
            rest = (rest + more).lstrip(b"\0")
        self._engine = self._make() if rest else None
        self._rest = rest
        if rest and not rest.startswith(self._magic):
            raise self._error("corrupt", f"foreign bytes follow the {self._layer} stream")

    def _error(self, code: str, message: str) -> CustomerError:
        return CustomerError(
            message, code=code, where=f"{self._where}, compressed byte {self._file.tell()}", remedy="fetch it again"
        )

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
