"""BGZF, the blocked gzip that tabix and samtools index (SAM specification, 4.1)."""

import struct
import zlib
from typing import BinaryIO

from ..gzip import BGZF_END

_BLOCK = 0xFF00  # what bgzip puts in a block: it fits 64 KiB even where it does not compress


class Writer:
    """Write plain bytes as BGZF; `close` ends the stream and leaves the file open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held = bytearray()

    def write(self, data: bytes) -> None:
        """Take bytes; whole blocks go to the file."""
        self._held += data
        while len(self._held) >= _BLOCK:
            self._file.write(_block(bytes(self._held[:_BLOCK])))
            del self._held[:_BLOCK]

    def close(self) -> None:
        """Write what is held and the empty block that ends the stream."""
        if self._held:
            self._file.write(_block(bytes(self._held)))
            self._held.clear()
        self._file.write(BGZF_END)


def _block(data: bytes) -> bytes:
    for level in (6, 0):
        deflater = zlib.compressobj(level, zlib.DEFLATED, -15)
        packed = deflater.compress(data) + deflater.flush()
        if len(packed) + 26 <= 1 << 16:
            break
    head = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(packed) + 25)
    return head + packed + struct.pack("<II", zlib.crc32(data), len(data))
