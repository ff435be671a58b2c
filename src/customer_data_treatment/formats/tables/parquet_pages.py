"""The pages of a Parquet column chunk, walked by their headers: what pyarrow's reader never checks.

Page headers are Thrift structs in the compact protocol (parquet-format, parquet.thrift PageHeader;
Thrift compact protocol specification). The walk holds them against the footer: the kinds and order
of pages, their bytes, their values, and their CRC-32 where they carry one.
"""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DATA, INDEX, DICTIONARY, DATA_V2 = 0, 1, 2, 3
_HEADER = 1 << 12
_LARGEST_HEADER = 1 << 24
_DEPTH = 16


class BadHeader(Exception):
    """Bytes that are no Thrift struct, or that end inside one."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: `at` is its header's place, `size` header and body together, `values` its entries."""

    kind: int
    at: int
    header: int
    size: int
    unpacked: int
    values: int
    checksum: int | None


@dataclass
class Chunk:
    """What the walk over one column chunk found."""

    defect: str = ""  # the first breach, "" if none
    checksums: int = 0
    wrong_checksums: list[int] | None = None  # numbers of the pages that differ


def examine(descriptor: int, start: int, length: int, values: int, dictionary: bool) -> Chunk:
    """Walk one column chunk and say what its footer promises and its pages do not keep.

    `dictionary` says whether the footer declares a dictionary page. One body at a time is read, and
    only where it carries a checksum.
    """
    found = Chunk(wrong_checksums=[])
    counted = 0
    kinds = []
    try:
        for number, page in enumerate(walk(descriptor, start, length)):
            kinds.append(page.kind)
            counted += page.values if page.kind in (DATA, DATA_V2) else 0
            if page.checksum is not None:
                found.checksums += 1
                if _checksum(descriptor, page.at + page.header, page.size - page.header) != page.checksum:
                    assert found.wrong_checksums is not None
                    found.wrong_checksums.append(number)
    except BadHeader as error:
        found.defect = str(error)
    undeclared = bool(kinds) and kinds[0] == DICTIONARY and not dictionary
    if undeclared and found.defect:
        # Old parquet-mr declares none and still counts its bytes; where they are not counted, the chunk is cut.
        found.defect = f"its dictionary page is neither declared nor counted in the chunk's bytes: {found.defect}"
    elif dictionary and (not kinds or kinds[0] != DICTIONARY):
        found.defect = "the dictionary page that the footer declares is not there"
    elif DICTIONARY in kinds[1:]:
        found.defect = "a dictionary page stands behind data pages"
    elif not found.defect and counted != values:
        found.defect = f"its pages hold {counted} values, the footer says {values}"
    return found


def walk(descriptor: int, start: int, length: int) -> Iterator[Page]:
    """Yield the pages that lie in `length` bytes from `start`; raise BadHeader where none does."""
    at, end = start, start + length
    while at < end:
        page = _page(descriptor, at, end)
        if page.at + page.size > end:
            raise BadHeader("a page reaches beyond its column chunk")
        yield page
        at += page.size


def _page(descriptor: int, at: int, end: int) -> Page:
    length = _HEADER
    while True:
        raw = os.pread(descriptor, min(length, end - at), at)
        try:
            fields, used = _struct(raw, 0, 0)
            break
        except IndexError as error:  # the header is longer: statistics may be
            if len(raw) < length or length >= _LARGEST_HEADER:
                raise BadHeader("a page header is cut off") from error
            length *= 16
    sizes = [fields.get(number) for number in (1, 2, 3)]
    if not all(isinstance(item, int) and item >= 0 for item in sizes):
        raise BadHeader("the bytes where a page should start are no page header")
    kind, unpacked, packed = (int(item or 0) for item in sizes)
    inner = fields.get({DATA: 5, INDEX: 6, DICTIONARY: 7, DATA_V2: 8}.get(kind, 0))
    if not isinstance(inner, dict):
        raise BadHeader("a page header lacks the part for its kind")
    values = inner.get(1, 0)
    if kind != INDEX and (not isinstance(values, int) or values < 0):
        raise BadHeader("a page header counts no values")
    checksum = fields.get(4)
    return Page(kind, at, used, used + packed, unpacked, values, None if checksum is None else checksum & 0xFFFFFFFF)


def _checksum(descriptor: int, at: int, length: int) -> int:
    crc = 0
    for start in range(at, at + length, 1 << 20):
        crc = zlib.crc32(os.pread(descriptor, min(1 << 20, at + length - start), start), crc)
    return crc


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise BadHeader("a page header holds a number too long")


def _zigzag(raw: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(raw, at)
    return (value >> 1) ^ -(value & 1), at


def _struct(raw: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    if depth > _DEPTH:
        raise BadHeader("a page header is nested too deep")
    fields: dict[int, Any] = {}
    last = 0
    while True:
        head = raw[at]
        at += 1
        if head == 0:
            return fields, at
        delta, kind = head >> 4, head & 15
        if delta:
            last += delta
        else:
            last, at = _zigzag(raw, at)
        if kind in (1, 2):  # a boolean stands in the field's own type
            fields[last] = kind == 1
        else:
            fields[last], at = _value(raw, at, kind, depth)


def _value(raw: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2, 3):
        return raw[at], at + 1
    if kind in (4, 5, 6):
        return _zigzag(raw, at)
    if kind == 7:
        raw[at + 7]
        return raw[at : at + 8], at + 8
    if kind == 8:
        length, at = _varint(raw, at)
        if length > _LARGEST_HEADER:
            raise BadHeader("a page header holds a text too long")
        if length:
            raw[at + length - 1]
        return raw[at : at + length], at + length
    if kind in (9, 10):
        return _list(raw, at, depth)
    if kind == 12:
        return _struct(raw, at, depth + 1)
    raise BadHeader("the bytes where a page should start are no page header")


def _list(raw: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    head = raw[at]
    at += 1
    count, kind = head >> 4, head & 15
    if count == 15:
        count, at = _varint(raw, at)
    if count > _LARGEST_HEADER:
        raise BadHeader("a page header holds a list too long")
    items = []
    for _ in range(count):
        item, at = _value(raw, at, kind, depth + 1)
        items.append(item)
    return items, at
