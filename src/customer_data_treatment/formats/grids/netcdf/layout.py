"""Where the bytes of a classic netCDF file lie that are neither header nor value, taken out and put back."""

import lzma
import os
from collections.abc import Iterator

import numpy as np

from ....errors import CustomerError
from .classic_header import Header

BLOCK = 4 << 20
DENSE = 1 << 16  # records closer together than this are handled many at a time
_PIECE = 1 << 20


def _extents(header: Header) -> list[tuple[int, int]]:
    """Return (begin, end) of everything that is values: fixed variables, and the records as one."""
    found = [(v.begin, v.begin + v.size) for v in header.variables if not v.record and v.size]
    if header.records and header.record_bytes:
        last = header.record_begin + header.record_bytes * (header.records - 1)
        ends = [v.begin - header.record_begin + v.size for v in header.variables if v.record]
        found.append((header.record_begin, last + max(ends)))
    return sorted(found)


def gaps(header: Header, size: int) -> list[tuple[int, int]]:
    """Return (begin, end) of what lies outside header, fixed variables and records, the tail too."""
    found, at = [], header.length
    for begin, end in _extents(header):
        if begin > at:
            found.append((at, begin))
        at = max(at, end)
    if size > at:
        found.append((at, size))
    return found


def record_gaps(header: Header) -> list[tuple[int, int]]:
    """Return (begin, end) of what is padding inside one record, from the record's start."""
    found, at = [], 0
    for v in sorted((v for v in header.variables if v.record), key=lambda v: v.begin):
        begin = v.begin - header.record_begin
        if begin > at:
            found.append((at, begin))
        at = max(at, begin + v.size)
    if header.record_bytes > at:
        found.append((at, header.record_bytes))
    return found


def record_blocks(header: Header) -> Iterator[tuple[int, int]]:
    """Yield (first record, count): many at a time where records are small, else one."""
    step = max(1, BLOCK // header.record_bytes) if header.record_bytes <= DENSE else 1
    for start in range(0, header.records, step):
        yield start, min(step, header.records - start)


def between(header: Header, size: int, descriptor: int) -> Iterator[bytes]:
    """Yield the file's size in eight bytes, what lies outside the records, then the padding inside them."""
    yield size.to_bytes(8, "big")
    for begin, end in gaps(header, size):
        for at in range(begin, end, _PIECE):
            yield os.pread(descriptor, min(_PIECE, end - at), at)
    inner = record_gaps(header)
    if not inner or not header.record_bytes:
        return
    for start, count in record_blocks(header):
        first = header.record_begin + start * header.record_bytes
        if header.record_bytes > DENSE:
            for a, b in inner:
                yield os.pread(descriptor, b - a, first + a).ljust(b - a, b"\0")
            continue
        block = np.zeros(count * header.record_bytes, np.uint8)
        found = os.pread(descriptor, len(block), first)  # the last padding may be missing from the file
        block[: len(found)] = np.frombuffer(found, np.uint8)
        table = block.reshape(count, header.record_bytes)
        yield b"".join(np.ascontiguousarray(table[:, a:b]).tobytes() for a, b in inner)


class Unpacked:
    """What `between` gave, xz-packed, taken in order without holding it all."""

    def __init__(self, packed: bytes) -> None:
        """Start at the first byte; `size` is the size of the source file."""
        self._packed, self._at, self._ready = packed, 0, b""
        self._unpacker = lzma.LZMADecompressor()
        self.size = int.from_bytes(self.take(8), "big")

    def take(self, count: int) -> bytes:
        """Return the next bytes; raise CustomerError where there are too few."""
        try:
            while len(self._ready) < count and not self._unpacker.eof:
                piece = b""
                if self._unpacker.needs_input:
                    piece = self._packed[self._at : self._at + (1 << 16)]
                    self._at += len(piece)
                    if not piece:
                        break
                self._ready += self._unpacker.decompress(piece, max_length=_PIECE)
        except lzma.LZMAError as error:
            raise CustomerError(f"the carried bytes are damaged: {error}", code="corrupt") from error
        if len(self._ready) < count:
            raise CustomerError("the carried bytes between the values are too few", code="corrupt")
        taken, self._ready = self._ready[:count], self._ready[count:]
        return taken


def put_gaps(header: Header, size: int, packed: Unpacked, descriptor: int) -> None:
    """Write back what lies outside the records."""
    for begin, end in gaps(header, size):
        for at in range(begin, end, _PIECE):
            os.pwrite(descriptor, packed.take(min(_PIECE, end - at)), at)


def put_record_gaps(header: Header, size: int, packed: Unpacked, descriptor: int) -> None:
    """Write back the padding inside large records, never past the file's end."""
    inner = record_gaps(header)
    for start, _ in record_blocks(header):
        first = header.record_begin + start * header.record_bytes
        for a, b in inner:
            piece = packed.take(b - a)
            os.pwrite(descriptor, piece[: max(0, size - first - a)], first + a)
