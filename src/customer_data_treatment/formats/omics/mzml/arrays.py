"""Binary data arrays: base64, zlib, MS-Numpress (Teleman et al. 2014), as the numbers they hold."""

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....errors import CustomerError
from .terms import ARRAYS, COMPRESSIONS, TYPES, UNREAD

_LARGEST = 1 << 30  # bytes of one decoded array; no spectrum comes near


@dataclass(frozen=True, slots=True)
class ArrayFacts:
    """What a binaryDataArray's terms say: column, numpy type ("text" for strings), compression, unit."""

    name: str
    kind: str
    numpress: str
    layer: str
    units: str | None
    complete: tuple[bool, bool, bool]  # array type, data type and compression are named


def describe(params: list[tuple[str, str, str, str]], where: str) -> ArrayFacts:
    """Return the facts of an array from its (accession, name, value, unit) terms."""
    name = kind = units = None
    compression = None
    for accession, _, value, unit in params:
        if accession in ARRAYS:
            name = ARRAYS[accession] or column_name(value or "nonstandard")
            units = unit or None
        elif accession in TYPES:
            kind = TYPES[accession]
        elif accession in COMPRESSIONS:
            compression = COMPRESSIONS[accession]
        elif accession in UNREAD:
            raise CustomerError(
                f"its arrays are compressed by {UNREAD[accession]}, which is not read",
                code="unsupported-format",
                where=where,
                remedy="convert it with msconvert --zlib",
            )
    if name is None:
        name = next((column_name(text) for _, text, _, _ in params if text.endswith(" array")), "unnamed")
    numpress, layer = compression or ("", "")
    kind = "<f8" if numpress else kind or "<f8"
    complete = (any(a in ARRAYS for a, *_ in params) or name != "unnamed", True, compression is not None)
    complete = (complete[0], any(a in TYPES for a, *_ in params), complete[2])
    return ArrayFacts(name, kind, numpress, layer, units, complete)


def column_name(text: str) -> str:
    """Return a term's name as a column: "signal to noise array" becomes signal_to_noise."""
    words = "".join(c if c.isalnum() else " " for c in text.removesuffix(" array")).split()
    return "_".join(words).lower() or "unnamed"


def decode(facts: ArrayFacts, text: str, where: str) -> "np.ndarray[Any, Any] | list[str]":
    """Return the numbers (native byte order), or strings; raise CustomerError (corrupt) naming the step."""
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _corrupt(f"its {facts.name} array is no base64 ({error})", where) from error
    if facts.layer == "zlib" and data:
        data = _inflate(data, facts, where)
    if facts.numpress:
        return _numpress(data, facts, where)
    if facts.kind == "text":
        try:
            return data.decode("ascii").removesuffix("\0").split("\0") if data else []
        except UnicodeDecodeError as error:
            raise _corrupt(f"its {facts.name} array holds no ASCII text", where) from error
    dtype = np.dtype(facts.kind)
    if len(data) % dtype.itemsize:
        raise _corrupt(f"its {facts.name} array has {len(data)} bytes, no whole number of values", where)
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))


def _inflate(data: bytes, facts: ArrayFacts, where: str) -> bytes:
    engine = zlib.decompressobj()
    try:
        out = engine.decompress(data, _LARGEST)
    except zlib.error as error:
        raise _corrupt(f"its {facts.name} array is no zlib stream ({error})", where) from error
    if not engine.eof:
        raise _corrupt(f"the zlib stream of its {facts.name} array is cut or larger than 1 GiB", where)
    return out


def _numpress(data: bytes, facts: ArrayFacts, where: str) -> "np.ndarray[Any, Any]":
    if not data:
        return np.empty(0)
    import pynumpress  # only files that use it need it

    try:
        values = getattr(pynumpress, f"decode_{facts.numpress}")(np.frombuffer(data, np.uint8))
    except Exception as error:
        raise _corrupt(f"the numpress stream of its {facts.name} array is damaged", where) from error
    return np.asarray(values, dtype=np.float64)


def _corrupt(message: str, where: str) -> CustomerError:
    return CustomerError(message, code="corrupt", where=where, remedy="fetch it again, or convert it anew")
