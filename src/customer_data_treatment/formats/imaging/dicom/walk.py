"""The elements of a DICOM data set and where their bytes lie (PS3.5, 7), nested ones too."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.datadict import dictionary_VR, private_dictionary_VR

from ....errors import CustomerError

UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
KNOWN = _LONG | frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL")
    + (b"SS", b"ST", b"TM", b"UI", b"UL", b"US")
)
_DEEPEST = 64
_BLOCK = 1 << 16

Path = tuple[int, ...]  # tag, then (item number, tag) pairs down to the element


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its path of tags and 1-based item numbers, VR, and byte positions.

    `length` is that of the value as it lies in the file, delimiters of an undefined length included.
    `fragments` holds (position, length) of each item of an encapsulated value. `written` is false where the
    VR comes from the dictionary, `due` true where it should have been written.
    """

    path: Path
    vr: str
    start: int
    value: int
    length: int
    written: bool
    due: bool
    fragments: tuple[tuple[int, int], ...] | None = None

    @property
    def tag(self) -> int:
        """Return the element's own tag."""
        return self.path[-1]

    @property
    def end(self) -> int:
        """Return the position after the value."""
        return self.value + self.length


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is written."""

    explicit: bool
    little: bool


class Bytes:
    """A file read by position through one block."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file = file
        self.where = where
        self.size = file.seek(0, 2)
        self._at, self._block = 0, b""

    def get(self, position: int, length: int) -> bytes:
        """Return bytes; raise CustomerError (truncated) where there are none."""
        if position + length > self.size:
            raise self.cut(position)
        if length > _BLOCK:
            self._file.seek(position)
            return self._file.read(length)
        inside = position - self._at
        if not 0 <= inside <= len(self._block) - length:
            self._file.seek(position)
            self._at, self._block, inside = position, self._file.read(_BLOCK), 0
        return self._block[inside : inside + length]

    def cut(self, position: int) -> CustomerError:
        """Return the refusal of a file that ends inside an element."""
        return CustomerError(
            "the file ends inside an element",
            code="truncated",
            where=f"{self.where}, element at byte {position}",
            remedy="fetch it again",
        )

    def corrupt(self, message: str, position: int) -> CustomerError:
        """Return the refusal of a file whose structure is broken."""
        return CustomerError(message, code="corrupt", where=f"{self.where}, byte {position}", remedy="fetch it again")


class Walker:
    """Walk one data set; afterwards `broken_vr` and `padding` say what was odd."""

    def __init__(self, data: Bytes, encoding: Encoding) -> None:
        self._data = data
        self._explicit = encoding.explicit
        self._order = "little" if encoding.little else "big"
        self._long = struct.Struct("<HH" if encoding.little else ">HH")
        self.padding = 0  # NUL bytes after the last element
        self.end = 0

    def walk(self, start: int, stop: int | None = None, group: int | None = None) -> Iterator[Element]:
        """Yield every element in file order; sequences before their items' elements.

        With `group`, stop at the first element of another group (the file meta information).
        """
        yield from self._dataset(start, self._data.size if stop is None else stop, (), self._explicit, group=group)

    def _number(self, position: int, length: int) -> int:
        return int.from_bytes(self._data.get(position, length), self._order)  # type: ignore[arg-type]

    def _tag(self, position: int) -> int:
        group, element = self._long.unpack(self._data.get(position, 4))
        return int(group) << 16 | int(element)

    def _dataset(
        self, at: int, stop: int, prefix: Path, explicit: bool, *, group: int | None = None, bounded: bool = True
    ) -> Iterator[Element]:
        """Yield one level's elements and, depth first, what they hold; leave `end` at the position reached."""
        if len(prefix) > 2 * _DEEPEST:
            raise self._data.corrupt("its sequences are nested without end", at)
        creators: dict[int, str] = {}
        while at < stop or not bounded:
            if not prefix and group is None and self._only_padding(at):
                break
            if at + 8 > stop:
                raise self._data.cut(at)
            tag = self._tag(at)
            if group is not None and tag >> 16 != group:
                break
            if tag == _ITEM_END and prefix:
                at += 8
                break
            element, nested = self._element(at, stop, tag, prefix, explicit=explicit, creators=creators)
            if tag & 0xFFFF <= 0xFF and (tag >> 16) & 1 and element.length < 256:
                creators[(tag & 0xFFFF0000) | (tag & 0xFF) << 8] = (
                    self._data.get(element.value, element.length).decode("latin-1").strip(" \0")
                )
            if nested is None:
                yield element
                at = element.end
                continue
            defined, inside = nested
            if defined:
                yield element
                yield from self._items(element.value, element.end, element.path, inside, bounded=True)
                at = element.end
            else:
                yield element
                yield from self._items(element.value, stop, element.path, inside, bounded=False)
                at = self.end
        self.end = at

    def _only_padding(self, at: int) -> bool:
        """Whether nothing but a tail of NULs is left, as tapes and some archives add."""
        left = self._data.size - at
        if left > 1 << 16 or self._data.get(at, min(left, 8)).strip(b"\0"):
            return False
        if self._data.get(at, left).strip(b"\0"):
            return False
        self.padding = left
        return True

    def _element(
        self, at: int, stop: int, tag: int, prefix: Path, *, explicit: bool, creators: dict[int, str]
    ) -> tuple[Element, tuple[bool, bool] | None]:
        """Return the element and, for a sequence, (defined length, items are explicit)."""
        raw = self._data.get(at + 4, 2)
        written = explicit and raw.isalpha() and raw.isupper()
        if written:
            vr = raw.decode()
            if raw in _LONG:
                if at + 12 > stop:
                    raise self._data.cut(at)
                value, length = at + 12, self._number(at + 8, 4)
            else:
                value, length = at + 8, self._number(at + 6, 2)
            if raw == b"UN" and length != UNDEFINED and not (tag >> 16) & 1:
                # A known attribute that passed through software which did not know it.
                known = _vr_of(tag, creators, length)
                vr = "UN" if known == "SQ" else known
        else:
            value, length = at + 8, self._number(at + 4, 4)
            vr = _vr_of(tag, creators, length)
        path = (*prefix, tag)
        if length == UNDEFINED:
            if vr in ("OB", "OW") or tag == PIXEL_DATA:
                fragments, end = self._fragments(value, stop)
                return Element(path, vr, at, value, end - value, written, explicit, fragments), None
            # UN of undefined length is a sequence in implicit VR (PS3.5, 6.2.2).
            inside = explicit and written and vr != "UN"
            return Element(path, "SQ" if vr == "UN" else vr, at, value, 0, written, explicit), (False, inside)
        if value + length > stop:
            if value + length > self._data.size:
                raise self._data.cut(at)
            raise self._data.corrupt("an element reaches beyond its sequence item", at)
        element = Element(path, vr, at, value, length, written, explicit)
        return element, (True, explicit and written) if vr == "SQ" else None

    def _items(self, at: int, stop: int, path: Path, explicit: bool, *, bounded: bool) -> Iterator[Element]:
        number = 0
        while at < stop or not bounded:
            if at + 8 > stop:
                raise self._data.cut(at)
            tag, length = self._tag(at), self._number(at + 4, 4)
            at += 8
            if tag == _SEQUENCE_END:
                break
            if tag != _ITEM:
                raise self._data.corrupt("a sequence holds something else than items", at - 8)
            number += 1
            inside = (*path, number)
            if length == UNDEFINED:
                yield from self._dataset(at, stop, inside, explicit, bounded=False)
                at = self.end
            else:
                if at + length > stop:
                    raise self._data.cut(at - 8)
                yield from self._dataset(at, at + length, inside, explicit)
                at += length
        self.end = at

    def _fragments(self, at: int, stop: int) -> tuple[tuple[tuple[int, int], ...], int]:
        found: list[tuple[int, int]] = []
        while True:
            if at + 8 > stop:
                raise self._data.cut(at)
            tag, length = self._tag(at), self._number(at + 4, 4)
            at += 8
            if tag == _SEQUENCE_END:
                return tuple(found), at
            if tag != _ITEM:
                raise self._data.corrupt("compressed pixels hold something else than fragments", at - 8)
            if at + length > stop:
                raise self._data.cut(at - 8)
            found.append((at, length))
            at += length


def _vr_of(tag: int, creators: dict[int, str], length: int) -> str:
    """Return the VR that the dictionary gives, "UN" where it knows none."""
    if tag & 0xFFFF == 0:
        return "UL"
    try:
        if (tag >> 16) & 1:
            if tag & 0xFFFF <= 0xFF:
                return "LO"
            creator = creators.get(tag & 0xFFFFFF00)
            vr = private_dictionary_VR(tag, creator) if creator else "UN"
        else:
            vr = dictionary_VR(tag)
    except KeyError:
        vr = "UN"
    if length == UNDEFINED and vr not in ("OB", "OW", "OB or OW"):
        return "SQ"
    if vr.startswith("US") and " or " in vr:
        return "OW" if "OW" in vr and length > 2 else "US"
    return "OW" if vr == "OB or OW" else vr
