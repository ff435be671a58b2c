"""Which codecs an array needs, which are missing, and which values are never opened."""

import re
from math import prod
from typing import Any

import numcodecs.registry
import zarr

from .listing import ArrayNode

# Registered data types of Zarr v3 that numpy has no form for; their chunks are carried.
_FOREIGN = re.compile(r"bfloat16|float[468]_\w+|u?int[24]|complex(32|_\w+)|bytes|variable_length_bytes|r\d+")
_BLOSC_HEADER = 16
_BYTES = ("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma", "crc32c")  # those whose frames describe themselves


def unmodelled(node: ArrayNode) -> str | None:
    """Return what an array's values are where they must not be opened: Python objects but for plain text."""
    if node.version == 2 and node.document.get("dtype") == "|O":
        filters = node.document.get("filters") or []
        codec = filters[0].get("id") if filters and isinstance(filters[0], dict) else None
        return None if codec == "vlen-utf8" else f"objects of codec {codec!r}"
    said = node.document.get("dtype")
    if node.version == 2 and isinstance(said, str) and said[1:] in ("f12", "f16", "c24", "c32"):
        return f"values of type {said}"
    kind = node.document.get("data_type")
    if node.version == 3 and isinstance(kind, str) and _FOREIGN.fullmatch(kind):
        return f"values of type {kind}"
    return None


def ends_in_blosc(node: ArrayNode) -> bool:
    """Return whether a chunk's file is one blosc frame."""
    last = node.document.get("compressor") if node.version == 2 else (node.document.get("codecs") or [None])[-1]
    return isinstance(last, dict) and last.get("id" if node.version == 2 else "name") == "blosc"


def frame_problem(node: ArrayNode, head: bytes, size: int, itemsize: int) -> str:
    """Return what is wrong with a blosc frame of `size` bytes that starts with `head`, "" if nothing.

    numcodecs 0.16 trusts the header: a frame that is cut short is read beyond its end, and what lies
    there in memory decides what comes out. Source: c-blosc README_CHUNK_FORMAT.
    """
    if size < _BLOSC_HEADER or len(head) < _BLOSC_HEADER:
        return f"its blosc frame has {size} bytes, less than a header"
    plain, _, packed = (int.from_bytes(head[at : at + 4], "little") for at in (4, 8, 12))
    if packed != size:
        return f"its blosc frame claims {packed} bytes, {size} are there"
    filters = node.document.get("filters") if node.version == 2 else (node.document.get("codecs") or [])[:-2]
    expected = prod(node.chunks) * itemsize
    if not filters and itemsize and plain != expected:
        return f"its blosc frame unpacks to {plain} bytes, a chunk has {expected}"
    return ""


def text_count(node: ArrayNode, frame: bytes) -> int | None:
    """Return how many strings a chunk of variable-length text says it holds, None where that can't be told.

    numcodecs believes this number and allocates for it. Raise whatever the compressor raises.
    """
    if node.version == 2:
        said = [*(node.document.get("filters") or []), node.document.get("compressor")]
        said = [codec for codec in said if codec]
    else:
        said = [
            {**(codec.get("configuration") or {}), "id": codec.get("name")}
            if isinstance(codec, dict)
            else {"id": codec}
            for codec in node.document.get("codecs") or []
        ]
    if not said or said[0].get("id") != "vlen-utf8" or any(codec.get("id") not in _BYTES for codec in said[1:]):
        return None
    plain: Any = frame
    for codec in reversed(said[1:]):
        plain = (
            plain[:-4] if codec["id"] == "crc32c" else numcodecs.registry.get_codec({"id": codec["id"]}).decode(plain)
        )
    return int.from_bytes(bytes(memoryview(plain)[:4]), "little")


def missing_codec(node: ArrayNode) -> str | None:
    """Return the first codec of an array that is not installed."""
    if node.version == 2:
        said = [node.document.get("compressor"), *(node.document.get("filters") or [])]
        for codec in said:
            name = codec.get("id") if isinstance(codec, dict) else None
            if name is not None and not _known_v2(str(name)):
                return str(name)
        return None
    for codec in node.document.get("codecs") or []:
        name = codec.get("name") if isinstance(codec, dict) else codec
        if isinstance(name, str) and not _known_v3(name):
            return name
    return None


def _known_v2(name: str) -> bool:
    try:
        numcodecs.registry.get_codec({"id": name})
    except Exception as error:
        return "not available" not in str(error) and "UnknownCodec" not in type(error).__name__
    return True


def _known_v3(name: str) -> bool:
    try:
        zarr.registry.get_codec_class(name)
    except Exception:
        return False
    return True


def compression_of(arrays: tuple[ArrayNode, ...]) -> str | None:
    """Return the names of the codecs that compress the arrays, None where there are none."""
    names: set[str] = set()
    for node in arrays:
        if node.version == 2:
            said = [node.document.get("compressor")]
        else:
            said = list(node.document.get("codecs") or [])
            for codec in list(said):
                inner = (codec.get("configuration") or {}).get("codecs") if isinstance(codec, dict) else None
                said += inner or []
        for codec in said:
            name = str(codec.get("id") or codec.get("name") or "") if isinstance(codec, dict) else ""
            names |= {name} - {
                "",
                "bytes",
                "transpose",
                "crc32c",
                "sharding_indexed",
                "vlen-utf8",
                "vlen-bytes",
            }
    return ", ".join(sorted(names)) or None
