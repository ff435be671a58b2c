"""The values of elements: text in its character set, numbers, and whether they keep their VR (PS3.5, 6.2)."""

import hashlib
import re
import warnings
from datetime import date
from typing import Any

import numpy as np
from pydicom import charset, config
from pydicom.datadict import dictionary_has_tag, keyword_for_tag
from pydicom.valuerep import VALIDATORS, validate_value

from .walk import Bytes, Element, Path

_BINARY = {"US": "u2", "SS": "i2", "UL": "u4", "SL": "i4", "UV": "u8", "SV": "i8", "FL": "f4", "FD": "f8"}
_TEXT = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
_ONE_VALUE = frozenset(("LT", "ST", "UT", "UR"))
_IN_CHARSET = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_SHOWN = 1 << 16  # longer values stand in the table as length and digest; all are carried
_PIECE = 1 << 20
# Identifying attributes besides names and UIDs, by how PS3.6 spells them.
_IDENTIFYING = re.compile(r"(ID|IDs|AccessionNumber|Identifier|SerialNumber|Address|TelephoneNumbers|BirthDate)$")


def text_of(tag: int) -> str:
    """Return "(gggg,eeee)"."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def path_text(path: Path) -> str:
    """Return "(0040,A730)[1].(0008,0104)"."""
    parts = [text_of(path[0])]
    for item, tag in zip(path[1::2], path[2::2], strict=True):
        parts.append(f"[{item}].{text_of(tag)}")
    return "".join(parts)


def keyword(tag: int) -> str:
    """Return the attribute's keyword in PS3.6, "" for private and unknown ones."""
    return keyword_for_tag(tag) if dictionary_has_tag(tag) else ""


def identifies(element: Element) -> bool:
    """Whether the element's value names a person, a thing or a record."""
    return element.vr in ("PN", "UI") or _IDENTIFYING.search(keyword(element.tag)) is not None


class Reader:
    """Values of one data set's elements, in its byte order and character set."""

    def __init__(self, data: Bytes, *, little: bool) -> None:
        self._data = data
        self._order = "<" if little else ">"
        self._encodings = ["iso8859"]
        self.known_charset = True

    def charset(self, element: Element) -> None:
        """Take the Specific Character Set (0008,0005) for the texts that follow."""
        names = [part.strip() for part in self.raw(element).decode("latin-1").split("\\")]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self._encodings = charset.convert_encodings(names)
        except (LookupError, UserWarning, ValueError):
            self.known_charset = False

    def raw(self, element: Element) -> bytes:
        """Return the value's bytes."""
        return self._data.get(element.value, element.length)

    def strings(self, element: Element) -> tuple[list[str], bool]:
        """Return a text element's values and whether they decode in the declared character set."""
        raw = self.raw(element)
        text, good = self._decode(raw, element.vr)
        text = text.rstrip("\0")
        parts = [text] if element.vr in _ONE_VALUE else text.split("\\")
        return [part.rstrip(" \0") if element.vr in _ONE_VALUE else part.strip(" \0") for part in parts], good

    def _decode(self, raw: bytes, vr: str) -> tuple[str, bool]:
        if vr not in _IN_CHARSET:
            return raw.decode("latin-1"), raw.isascii()
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii"), True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                if len(self._encodings) == 1 and b"\x1b" not in raw:
                    # Undeclared text is ASCII (PS3.5, 6.1.2.1); pydicom's word for it decodes anything.
                    return raw.decode(self._encodings[0]), self._encodings[0] != "iso8859"
                return charset.decode_bytes(raw, self._encodings, set(b"\\^=\r\n\t\f")), True
        except (UnicodeError, LookupError, UserWarning, ValueError):
            return raw.decode("latin-1"), False

    def numbers(self, element: Element) -> list[Any]:
        """Return the numbers of a binary, DS or IS element; values that are none are left out."""
        kind = _BINARY.get(element.vr)
        if kind is not None:
            dtype = np.dtype(self._order + kind)
            raw = self.raw(element)
            return list(np.frombuffer(raw[: len(raw) // dtype.itemsize * dtype.itemsize], dtype).tolist())
        found: list[Any] = []
        for part in self.strings(element)[0]:
            try:
                found.append(int(part) if element.vr == "IS" else float(part))
            except ValueError:
                continue
        return found

    def shown(self, element: Element) -> str | None:
        """Return the value as the table shows it: text, numbers, or a binary value's digest; None if empty."""
        if element.length == 0 or element.vr == "SQ":
            return None
        if element.vr in _TEXT and element.length <= _SHOWN:
            return "\\".join(self.strings(element)[0])
        if element.vr in _BINARY and element.length <= 256:
            return "\\".join(repr(value) for value in self.numbers(element))
        if element.vr == "AT" and element.length <= 256:
            halves = np.frombuffer(self.raw(element)[: element.length // 4 * 4], self._order + "u2").tolist()
            return "\\".join(text_of(a << 16 | b) for a, b in zip(halves[::2], halves[1::2], strict=True))
        return f"sha256:{self._digest(element)}"

    def _digest(self, element: Element) -> str:
        digest = hashlib.sha256()
        for at in range(element.value, element.end, _PIECE):
            digest.update(self._data.get(at, min(_PIECE, element.end - at)))
        return digest.hexdigest()

    def fault(self, element: Element) -> str:
        """Return what in the value breaks its VR, "" if nothing does; never the value itself."""
        vr = element.vr
        kind = _BINARY.get(vr)
        if kind is not None:
            size = np.dtype(kind).itemsize
            return f"{element.length} bytes are no whole number of {vr}" if element.length % size else ""
        if vr not in VALIDATORS or vr not in _TEXT or element.length > _SHOWN:
            return ""
        for part in self.strings(element)[0]:
            if part and not _keeps(vr, part):
                return f"a value is no {vr}"
        return ""


def _keeps(vr: str, part: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            validate_value(vr, part, config.RAISE)
        if vr == "DA" and len(part) == 8:
            date(int(part[:4]), int(part[4:6]), int(part[6:]))
        if vr == "DS":
            float(part)
    except (ValueError, TypeError, OverflowError):
        return False
    return True
