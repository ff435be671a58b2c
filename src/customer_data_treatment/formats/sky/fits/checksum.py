"""The FITS checksum convention (FITS Standard 4.0, appendix J; Seaman, Pence, Rots 2012)."""

import numpy as np

from .units import Reader

_PIECE = 1 << 20
_PUNCTUATION = frozenset(b":;<=>?@[\\]^_`")


def sum32(pread: Reader, start: int, end: int, before: int = 0) -> int:
    """Return the ones' complement sum of the big-endian 32-bit words of the bytes [start, end)."""
    total = before
    for at in range(start, end, _PIECE):
        data = pread(at, min(_PIECE, end - at))
        total += sum_bytes(data)
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def sum_bytes(data: bytes) -> int:
    """Return the plain sum of big-endian 32-bit words, the last one filled with zeros."""
    words = np.frombuffer(data + b"\0" * (-len(data) % 4), ">u4")
    return int(words.sum(dtype=np.uint64))


def encode(total: int) -> str:
    """Return the 16 letters that make a unit whose sum is `total` sum to minus zero."""
    value = 0xFFFFFFFF - total
    letters = bytearray(16)
    for place in range(4):
        byte = (value >> (24 - 8 * place)) & 0xFF
        parts = [byte // 4 + 48] * 4
        parts[0] += byte % 4
        while any(part in _PUNCTUATION for part in parts):
            for a, b in ((0, 1), (2, 3)):
                if parts[a] in _PUNCTUATION or parts[b] in _PUNCTUATION:
                    parts[a] += 1
                    parts[b] -= 1
        for number, part in enumerate(parts):
            letters[4 * number + place] = part
    return bytes(letters[15:] + letters[:15]).decode("ascii")
