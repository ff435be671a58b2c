"""Blosc with zstd: bytes sorted by significance before they are compressed.

The block size is fixed, since Blosc's own choice differs between versions; each frame is
self-describing. Blosc: Alted (2010), "Why modern CPUs are starving"; zstd: RFC 8878.
"""

from functools import partial
from typing import Any

import numpy as np
from numcodecs import blosc

from ..plugin import CodecCode

blosc.use_threads = False  # contexts of our own: the GIL is released and threads do not share state

_BLOCK = 1 << 17
_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


def _encode(values: "np.ndarray[Any, Any]", *, level: int, shuffle: str) -> bytes:
    flat = values.reshape(-1)
    size = flat.dtype.itemsize
    frame = blosc.compress(flat.view(np.uint8), b"zstd", level, _SHUFFLES[shuffle], _BLOCK, size)
    return bytes(frame)


def _decode(frame: bytes, out: "np.ndarray[Any, Any]") -> None:
    if len(frame) < 16 or int.from_bytes(frame[4:8], "little") != out.nbytes:
        raise ValueError("the frame does not hold a chunk of that size")
    try:
        blosc.decompress(frame, out.reshape(-1).view(np.uint8))
    except (RuntimeError, ValueError) as error:
        raise ValueError("the frame does not decompress") from error


def _metadata(itemsize: int, *, level: int, shuffle: str) -> dict[str, Any]:
    return {
        "name": "blosc",
        "configuration": {
            "cname": "zstd",
            "clevel": level,
            "shuffle": shuffle,
            "typesize": itemsize,
            "blocksize": _BLOCK,
        },
    }


def _blosc(level: int, shuffle: str) -> CodecCode:
    return CodecCode(
        encode=partial(_encode, level=level, shuffle=shuffle),
        decode=_decode,
        metadata=partial(_metadata, level=level, shuffle=shuffle),
    )


ZSTD1_SHUFFLE = _blosc(1, "shuffle")
ZSTD1_BITSHUFFLE = _blosc(1, "bitshuffle")
ZSTD1_PLAIN = _blosc(1, "noshuffle")
ZSTD7_SHUFFLE = _blosc(7, "shuffle")
ZSTD7_BITSHUFFLE = _blosc(7, "bitshuffle")
ZSTD7_PLAIN = _blosc(7, "noshuffle")
