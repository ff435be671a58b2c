"""What is carried of a file: its bytes without the values that arrays give back, and where those go.

Pixels of a lossless transfer syntax are put back uncompressed: the carried bytes are edited for that now
(transfer syntax, pixel element, colour space), so that the writer only fills holes. Frames of a lossy one
are carried as they came, and so is everything that could not be decoded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .extras import Extra
from .instance import Instance
from .pixels import LOSSLESS, Pixels
from .walk import Element

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_GROUP_LENGTH, _SYNTAX, _PHOTOMETRIC = 0x00020000, 0x00020010, 0x00280004
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
_LONGEST = 0xFFFFFFFE
_PIECE = 1 << 20


@dataclass(slots=True)
class Skeleton:
    """Pieces in order: (first, last) of the file's bytes, or bytes put in their place; holes by position."""

    pieces: list[tuple[int, int] | bytes] = field(default_factory=list)
    holes: list[dict[str, Any]] = field(default_factory=list)
    length: int = 0

    def keep(self, first: int, last: int) -> None:
        """Keep a range of the file."""
        if last > first:
            self.pieces.append((first, last))
            self.length += last - first

    def put(self, data: bytes) -> None:
        """Put other bytes."""
        self.pieces.append(data)
        self.length += len(data)

    def hole(self, record: dict[str, Any]) -> None:
        """Leave a hole here."""
        self.holes.append({"at": self.length, **record})

    def read(self, instance: Instance) -> Iterator[bytes]:
        """Yield the carried bytes."""
        with instance.open() as file:
            for piece in self.pieces:
                if isinstance(piece, bytes):
                    yield piece
                    continue
                at, last = piece
                file.seek(at)
                while at < last:
                    data = file.read(min(_PIECE, last - at))
                    if not data:
                        return
                    at += len(data)
                    yield data


def restored_native(pixels: Pixels | None, meta: list[Element]) -> bool:
    """Whether compressed pixels are put back uncompressed."""
    return (
        pixels is not None
        and pixels.compressed
        and not pixels.reason
        and pixels.syntax in LOSSLESS
        and pixels.layout.length <= _LONGEST
        and _SYNTAX in {element.tag for element in meta}
    )


def skeleton_of(instance: Instance, extras: list[Extra], place: dict[str, Any] | None, size: int) -> Skeleton:
    """Return the skeleton of a file of `size` bytes; `place` says which field, and where in it, holds the pixels."""
    found = Skeleton()
    pixels = instance.pixels
    native = place is not None and restored_native(pixels, instance.meta)
    edits: list[tuple[int, int, Any]] = []  # (first, last, bytes or hole records), not overlapping
    if pixels is not None and place is not None:
        if native:
            edits += _native_edits(instance, pixels, place)
        elif not pixels.compressed:
            start = pixels.element.value
            edits.append((start, start + pixels.layout.length, _pixel_hole(pixels, place)))
    for extra in extras:
        if extra.waveform:
            record = {"field": extra.field.name, "waveform": True, "layout": extra.layout.record()}
            start = extra.element.value
            edits.append((start, start + extra.layout.length, record))
    at = 0
    for first, last, what in sorted(edits, key=lambda edit: edit[0]):
        found.keep(at, first)
        for part in what if isinstance(what, list) else [what]:
            if isinstance(part, bytes):
                found.put(part)
            else:
                found.hole(part)
        at = last
    found.keep(at, size)
    return found


def _pixel_hole(pixels: Pixels, place: dict[str, Any]) -> dict[str, Any]:
    return {**place, "waveform": False, "layout": pixels.layout.record()}


def _native_edits(instance: Instance, pixels: Pixels, place: dict[str, Any]) -> list[tuple[int, int, Any]]:
    """Return the edits that turn an encapsulated file into explicit VR little endian (PS3.5, A.2)."""
    edits: list[tuple[int, int, Any]] = []
    by_tag = {element.tag: element for element in instance.meta}
    syntax = by_tag[_SYNTAX]
    uid = EXPLICIT_LITTLE.encode() + b"\0" * (len(EXPLICIT_LITTLE) % 2)
    edits.append((syntax.value - 2, syntax.end, len(uid).to_bytes(2, "little") + uid))
    length = by_tag.get(_GROUP_LENGTH)
    if length is not None and length.length == 4:
        new = instance.body - length.end + len(uid) - syntax.length
        edits.append((length.value, length.end, new.to_bytes(4, "little")))
    colour = instance.top.get(_PHOTOMETRIC)
    if colour is not None and pixels.photometric in ("YBR_RCT", "YBR_ICT") and colour.length >= 4:
        # The codec's own colour transform is undone with it.
        edits.append((colour.value, colour.end, b"RGB".ljust(colour.length)))
    for tag in _OFFSET_TABLES:
        table = instance.top.get(tag)
        if table is not None:
            edits.append((table.start, table.end, b""))
    element, size = pixels.element, pixels.layout.length
    wide = pixels.dtype.itemsize > 1
    head = b"\xe0\x7f\x10\x00" + (b"OW" if wide else b"OB") + b"\0\0"
    head += (size + size % 2).to_bytes(4, "little")
    edits.append((element.start, element.end, [head, _pixel_hole(pixels, place), b"\0" * (size % 2)]))
    return edits
