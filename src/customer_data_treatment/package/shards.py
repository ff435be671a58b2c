"""Shards of a Zarr v3 array, written by appending and read by place.

Inner chunks stand in the order they come, the index last (Zarr v3 sharding-indexed 1.0): per inner
chunk an offset and a length, uint64 little-endian, all ones where it is absent; then CRC-32C.
Writing costs one chunk of memory, where a whole shard through zarr-python costs the shard.
"""

import os
import struct
from pathlib import Path

import google_crc32c

from .files import HashedFile

_ABSENT = (1 << 64) - 1


class ShardWriter:
    """One shard being appended to."""

    def __init__(self, file: HashedFile, places: int) -> None:
        self._file = file
        self._index = [(_ABSENT, _ABSENT)] * places

    def append(self, place: int, frame: bytes) -> None:
        """Append one inner chunk's frame; `place` is its number in C order within the shard."""
        self._index[place] = (self._file.tell(), len(frame))
        self._file.write(frame)

    def close(self) -> None:
        """Write the index and put the shard on disk."""
        index = b"".join(struct.pack("<QQ", *entry) for entry in self._index)
        self._file.write(index)
        self._file.write(struct.pack("<I", google_crc32c.value(index)))
        self._file.close()

    def abandon(self) -> None:
        """Close without finishing."""
        self._file.abandon()


class ShardReader:
    """One shard open for reading; raises ValueError where its index is damaged."""

    def __init__(self, path: Path, places: int) -> None:
        self._file = path.open("rb")
        length = places * 16 + 4
        size = os.fstat(self._file.fileno()).st_size
        tail = os.pread(self._file.fileno(), length, max(0, size - length))
        index, check = tail[:-4], tail[-4:]
        if len(tail) != length or struct.pack("<I", google_crc32c.value(index)) != check:
            self._file.close()
            raise ValueError("the shard's index is damaged")
        self._index = [struct.unpack_from("<QQ", index, 16 * place) for place in range(places)]
        self._end = size - length

    def frame(self, place: int) -> bytes:
        """Return the frame of an inner chunk; raise ValueError where it is absent or out of the file."""
        offset, length = self._index[place]
        if offset == _ABSENT or offset + length > self._end:
            raise ValueError("the shard lacks an inner chunk")
        return os.pread(self._file.fileno(), length, offset)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
