"""The Image Pixel Module of one file (PS3.3, C.7.6.3): what its pixels are, and one frame at a time."""

import warnings
from dataclasses import dataclass, field
from math import prod
from typing import Any, BinaryIO

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from ....errors import CustomerError
from ....ports import Box
from . import frames
from .frames import Layout
from .walk import Element

LOSSLESS = frozenset(
    f"1.2.840.10008.1.2.{tail}"
    for tail in ("5", "4.57", "4.70", "4.80", "4.90", "4.201", "4.202", "4.110", "8.1", "4.92")
)
_FLOATS = {0x7FE00008: "f4", 0x7FE00009: "f8"}
PIXEL_TAGS = (0x7FE00010, *_FLOATS)
_MOST_SAMPLES = 64
# A frame is decoded whole: this many bytes at most, whatever a header says.
_LARGEST_FRAME = 4 << 30


@dataclass(slots=True)
class Pixels:
    """The pixels of one file. `reason` says why they can't be given as an array, "" if they can."""

    element: Element
    layout: Layout
    syntax: str
    stored_bits: int
    high_bit: int
    photometric: str
    frame_items: list[list[tuple[int, int]]] | None = None  # per frame, its fragments
    reason: str = ""
    _held: tuple[int, "np.ndarray[Any, Any]"] | None = field(default=None, repr=False)

    @property
    def compressed(self) -> bool:
        """Whether the frames are encapsulated."""
        return self.element.fragments is not None

    @property
    def lossless(self) -> bool:
        """Whether the transfer syntax keeps every bit."""
        return not self.compressed or self.syntax in LOSSLESS

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Return numpy's type in native byte order."""
        return np.dtype(self.layout.kind).newbyteorder("=")

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (frames,) rows, columns(, samples); axes of length one are left out as peers do."""
        layout = self.layout
        lead = (layout.frames,) if layout.frames > 1 else ()
        tail = (layout.samples,) if layout.samples > 1 else ()
        return (*lead, layout.rows, layout.columns, *tail)

    def full_box(self, box: Box) -> Box:
        """Return a box of `shape` as one of (frames, rows, columns, samples)."""
        parts = list(box)
        if self.layout.frames == 1:
            parts.insert(0, slice(0, 1))
        if self.layout.samples == 1:
            parts.append(slice(0, 1))
        return tuple(parts)

    def read(self, file: BinaryIO, box: Box, where: str) -> "np.ndarray[Any, Any]":
        """Return the values of a box of `shape`; one frame at a time where frames must be decoded."""
        full = self.full_box(box)
        shape = tuple(part.stop - part.start for part in box)
        if self.layout.simple and not self.compressed:
            values = frames.read_simple(self.layout, file.fileno(), self.element.value, full, where)
            return values.reshape(shape)
        out = np.empty(tuple(part.stop - part.start for part in full), self.dtype)
        for number, index in enumerate(range(full[0].start, full[0].stop)):
            if out[number].size:
                out[number] = self.frame(file, index, where)[full[1:]]
        return out.reshape(shape)

    def frame(self, file: BinaryIO, index: int, where: str) -> "np.ndarray[Any, Any]":
        """Return one frame (rows, columns, samples); the last one is held, since chunks may cut a frame."""
        if self._held is not None and self._held[0] == index:
            return self._held[1]
        if self.compressed:
            values = self._decode(file, index, where)
        else:
            first, length = frames.frame_span(self.layout, index)
            file.seek(self.element.value + first)
            data = file.read(length)
            values = frames.unpack(self.layout, index, data.ljust(length, b"\0"))
        self._held = (index, values)
        return values

    def release(self) -> None:
        """Forget the held frame: a stack of many files would hold one each."""
        self._held = None

    def _decode(self, file: BinaryIO, index: int, where: str) -> "np.ndarray[Any, Any]":
        assert self.frame_items is not None
        pieces = []
        for at, length in self.frame_items[index]:
            file.seek(at)
            pieces.append(file.read(length))
        layout = self.layout
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                options: Any = {
                    "rows": layout.rows,
                    "columns": layout.columns,
                    "number_of_frames": 1,
                    "samples_per_pixel": layout.samples,
                    "bits_allocated": np.dtype(layout.kind).itemsize * 8,
                    "bits_stored": self.stored_bits,
                    "pixel_representation": int(np.dtype(layout.kind).kind == "i"),
                    "photometric_interpretation": self.photometric,
                    "planar_configuration": int(layout.planar),
                    "pixel_keyword": "PixelData",
                }
                stream = encapsulate([b"".join(pieces)], has_bot=False)
                values, _ = get_decoder(UID(self.syntax)).as_array(stream, raw=True, **options)
            return np.asarray(values).astype(self.dtype, copy=False).reshape(layout.rows, layout.columns, -1)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            first = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
            raise CustomerError(
                f"frame {index + 1} cannot be decoded from {UID(self.syntax).name}: {first}",
                code="corrupt",
                where=f"{where}, byte {self.frame_items[index][0][0] if self.frame_items[index] else 0}",
                remedy="fetch it again",
            ) from error


def describe(facts: dict[str, Any], element: Element, syntax: str, *, little: bool) -> Pixels:
    """Return what the attributes say of the pixel element's value.

    `facts` maps keywords to values. Whatever keeps the value from being read as an array becomes `reason`.
    """
    layout, reason = _layout(facts, element, little=little)
    pixels = Pixels(
        element=element,
        layout=layout,
        syntax=syntax,
        stored_bits=int(facts.get("BitsStored") or np.dtype(layout.kind).itemsize * 8),
        high_bit=int(facts.get("HighBit") or 0),
        photometric=str(facts.get("PhotometricInterpretation") or "MONOCHROME2"),
        reason=reason,
    )
    if reason:
        return pixels
    if prod((layout.rows, layout.columns, layout.samples)) * pixels.dtype.itemsize > _LARGEST_FRAME and not (
        layout.simple and not pixels.compressed
    ):
        pixels.reason = "one frame is larger than 4 GiB"
    return pixels


def _layout(facts: dict[str, Any], element: Element, *, little: bool) -> tuple[Layout, str]:
    nothing = Layout(1, 0, 0, 1, "u1")
    numbers: dict[str, int] = {}
    for name, default in (
        ("Rows", None),
        ("Columns", None),
        ("BitsAllocated", 32 if element.tag == 0x7FE00008 else 64 if element.tag == 0x7FE00009 else None),
        ("SamplesPerPixel", 1),
        ("NumberOfFrames", 1),
        ("PixelRepresentation", 0),
        ("PlanarConfiguration", 0),
    ):
        value = facts.get(name, default)
        if value is None or not isinstance(value, int):
            return nothing, f"{name} is missing or no number"
        numbers[name] = value
    rows, columns, samples = numbers["Rows"], numbers["Columns"], numbers["SamplesPerPixel"]
    count, bits = numbers["NumberOfFrames"] or 1, numbers["BitsAllocated"]
    if rows < 1 or columns < 1 or count < 1 or not 1 <= samples <= _MOST_SAMPLES:
        return nothing, "Rows, Columns, SamplesPerPixel or NumberOfFrames is not positive"
    order = "<" if little else ">"
    compressed = element.fragments is not None
    if element.tag in _FLOATS:
        return Layout(count, rows, columns, samples, order + _FLOATS[element.tag]), ""
    if bits not in (1, 8, 16, 32, 64):
        return nothing, f"{bits} bits allocated are not read"
    packed = bits == 1
    if packed and compressed:
        return nothing, "compressed one-bit pixels are not read"
    kind = "u1" if packed else ("i" if numbers["PixelRepresentation"] == 1 else "u") + str(bits // 8)
    layout = Layout(
        frames=count,
        rows=rows,
        columns=columns,
        samples=samples,
        kind=("<" if compressed else order) + kind if bits > 8 else kind,
        planar=samples > 1 and numbers["PlanarConfiguration"] == 1,
        packed=packed,
        halved=not compressed
        and samples == 3
        and bits == 8
        and facts.get("PhotometricInterpretation") == "YBR_FULL_422",
        swapped=not little and bits in (1, 8) and element.vr == "OW",
    )
    if layout.halved and columns % 2:
        return nothing, "sub-sampled colour needs an even number of columns"
    if layout.packed and layout.swapped:
        return nothing, "packed bits in big-endian words are not read"
    if layout.packed and samples > 1:
        return nothing, "packed bits of several samples are not read"
    return layout, ""


def assign_fragments(pixels: Pixels, file: BinaryIO, offsets: list[int] | None) -> list[list[tuple[int, int]]] | None:
    """Return each frame's fragments (PS3.5, A.4), None where they can't be told apart.

    `offsets` is the Extended Offset Table. Without any table and with other than one fragment a frame,
    a fragment that starts a JPEG or JPEG 2000 stream starts a frame.
    """
    items = list(pixels.element.fragments or ())
    if not items:
        return None
    table, items = items[0], list(items[1:])
    count = pixels.layout.frames
    if count == 1:
        return [items] if items else None
    if len(items) == count:
        return [[item] for item in items]
    if not items:
        return None
    if offsets is None and table[1] >= 4 * count:
        file.seek(table[0])
        offsets = np.frombuffer(file.read(4 * count), "<u4").tolist()
    if offsets is not None and len(offsets) == count:
        starts = [items[0][0] - 8 + offset for offset in offsets]
        if starts[0] == items[0][0] - 8 and {*starts} <= {at - 8 for at, _ in items}:
            ends = [*starts[1:], items[-1][0] + items[-1][1]]
            return [[i for i in items if a <= i[0] - 8 < b] for a, b in zip(starts, ends, strict=True)]
    found: list[list[tuple[int, int]]] = []
    for at, length in items:
        file.seek(at)
        if file.read(4)[:3] in (b"\xff\xd8\xff", b"\xff\x4f\xff") or not found:
            found.append([])
        found[-1].append((at, length))
    return found if len(found) == count else None
