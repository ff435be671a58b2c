"""One DICOM file: its elements walked once, its facts, its pixels, and how it is put back."""

import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ....errors import CustomerError
from . import rules
from .pixels import PIXEL_TAGS, Pixels, assign_fragments, describe
from .rules import Tallies
from .values import Reader, keyword, path_text
from .walk import KNOWN, Bytes, Element, Encoding, Walker

DEFLATED, IMPLICIT, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
NATIVE = (IMPLICIT, "1.2.840.10008.1.2.1", DEFLATED, BIG)
_WAVEFORMS, _SHARED, _PER_FRAME, _CHARSET = 0x54000100, 0x52009229, 0x52009230, 0x00080005
_PER_FRAME_FACTS = {0x00281052, 0x00281053, 0x00281054, 0x00200032, 0x00200037, 0x00280030}
_PIECE = 1 << 20
_LONGEST_FACT = 4096
_DIRECTORY = "1.2.840.10008.1.3.10"
_STRAY = 16  # bytes that may stand before a data set without file meta information


@dataclass(slots=True)
class Instance:
    """What one file holds. `facts` maps keywords of the top level to a value, or a list of them."""

    name: str
    path: Path
    syntax: str = ""
    encoding: Encoding = field(default_factory=lambda: Encoding(explicit=True, little=True))
    meta: list[Element] = field(default_factory=list)
    body: int = 0  # where the data set begins
    facts: dict[str, Any] = field(default_factory=dict)
    top: dict[int, Element] = field(default_factory=dict)
    nested: dict[tuple[int, ...], Element] = field(default_factory=dict)
    groups: dict[int, list[Any]] = field(default_factory=dict)  # functional groups: tag -> one value a frame
    shared: dict[int, Any] = field(default_factory=dict)
    pixels: Pixels | None = None
    tallies: Tallies = field(default_factory=Tallies)
    deflated: bool = False
    elements: int = 0
    stray: int = 0
    _inflated: BinaryIO | None = None

    def open(self) -> BinaryIO:
        """Open the file, or the inflated copy of a deflated one; close what this returns."""
        if self._inflated is not None:
            return Path(f"/proc/self/fd/{self._inflated.fileno()}").open("rb")
        return self.path.open("rb")

    def close(self) -> None:
        """Drop the inflated copy."""
        if self._inflated is not None:
            self._inflated.close()

    def walk(self) -> Iterator[tuple[Element, Reader]]:
        """Yield every element with a reader of its values, the file meta information first."""
        with self.open() as file:
            data = Bytes(file, self.name)
            reader = Reader(data, little=True)
            for element in self.meta:
                yield element, reader
            reader = Reader(data, little=self.encoding.little)
            walker = Walker(data, self.encoding)
            for element in walker.walk(self.body):
                if element.path == (_CHARSET,):
                    reader.charset(element)
                yield element, reader
            if walker.padding:
                self.tallies.add("trailing-bytes", broken=True, where=f"{walker.padding} bytes")


def read_instance(path: Path, name: str) -> Instance:
    """Walk one file; raise CustomerError: truncated, corrupt."""
    found = Instance(name=name, path=path)
    try:
        with path.open("rb") as file:
            _begin(found, Bytes(file, name))
        if found.deflated:
            _inflate(found)
        _take_all(found)
        if found.pixels is not None:
            with found.open() as file:
                _settle_pixels(found, found.pixels, file)
    except BaseException:
        found.close()
        raise
    return found


def _begin(found: Instance, data: Bytes) -> None:
    """Read the file meta information and settle how the data set is encoded."""
    start = data.get(0, min(data.size, 132 + 8))
    at = 132 if start[128:132] == b"DICM" else 0
    if at == 0 and start[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        at = found.stray = next((skip for skip in range(1, _STRAY) if _element_at(start, skip)), 0)
    if start[at : at + 2] == b"\x02\x00":
        walker = Walker(data, Encoding(explicit=True, little=True))
        found.meta = list(walker.walk(at, group=2))
        at = walker.end
    found.body = at
    reader = Reader(data, little=True)
    written = {keyword(e.tag): e for e in found.meta}
    for name in rules.META:
        found.tallies.add("mandatory-attributes", broken=name not in written, where=name)
        if name in written and written[name].length < 256:
            found.facts[name] = reader.strings(written[name])[0][0]
    found.syntax = found.facts.get("TransferSyntaxUID", "")
    found.deflated = found.syntax == DEFLATED
    if data.size - at < 8:
        raise data.cut(at)
    if not found.deflated:
        _encoding(found, data.get(at, 8))


def _element_at(start: bytes, skip: int) -> bool:
    return (
        start[skip : skip + 2] == b"\x08\x00"
        and start[skip + 3 : skip + 4] == b"\0"
        and (start[skip + 4 : skip + 6] in KNOWN)
    )


def _encoding(found: Instance, start: bytes) -> None:
    """Settle VR and byte order: as declared where the bytes agree, else as they look."""
    looks_explicit = start[4:6] in KNOWN
    declared = found.syntax
    little = declared != BIG
    if not declared:
        little = start[:2] != b"\x00\x08"
        found.encoding = Encoding(looks_explicit, little)
        return
    explicit = declared != IMPLICIT
    found.tallies.add("encoding-declared", broken=explicit != looks_explicit, where="TransferSyntaxUID")
    found.encoding = Encoding(explicit or looks_explicit, little)


def _inflate(found: Instance) -> None:
    """Undo the deflate of the data set (PS3.5, A.5) into an unnamed file."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the decoder
    found._inflated = copy
    inflater = zlib.decompressobj(wbits=-15)
    with found.path.open("rb") as file:
        copy.write(file.read(found.body))
        try:
            while piece := file.read(_PIECE):
                while piece:
                    copy.write(inflater.decompress(piece, _PIECE))
                    piece = inflater.unconsumed_tail
        except zlib.error as error:
            raise CustomerError(
                f"its deflated data set is damaged ({error})", code="corrupt", where=found.name, remedy="fetch it again"
            ) from error
    if not inflater.eof:
        raise CustomerError("its deflated data set ends too soon", code="truncated", where=found.name)
    copy.flush()


def _take_all(found: Instance) -> None:
    """Walk every element: count what it breaks, keep what facts are made of."""
    previous: dict[tuple[int, ...], int] = {}
    for element, reader in found.walk():
        found.elements += 1
        _judge(found, element, reader)
        level = element.path[:-1]
        last = previous.get(level, -1)
        found.tallies.add("tag-order", broken=element.tag <= last, where=path_text(element.path))
        previous[level] = max(last, element.tag)
        if level:
            _take_nested(found, element, reader)
            if len(previous) > 4096:
                previous = {k: v for k, v in previous.items() if element.path[: len(k)] == k}
            continue
        if element.tag >> 16 != 2:
            found.top[element.tag] = element
        if element.tag not in PIXEL_TAGS and element.vr != "SQ" and 0 < element.length <= _LONGEST_FACT:
            name = keyword(element.tag)
            if name:
                found.facts.setdefault(name, _fact(element, reader))
    values = next((found.top[tag] for tag in PIXEL_TAGS if tag in found.top), None)
    _count_facts(found, values)
    if values is not None:
        found.pixels = describe(found.facts, values, found.syntax, little=found.encoding.little)


def _judge(found: Instance, element: Element, reader: Reader) -> None:
    tallies = found.tallies
    place = path_text(element.path)
    name = keyword(element.tag)
    place = f"{place} {name}" if name else place
    if element.due:
        tallies.add("vr-known", broken=not element.written or element.vr.encode() not in KNOWN, where=place)
    tallies.add("even-length", broken=element.length % 2 == 1, where=place)
    if element.length and element.vr != "SQ":
        fault = reader.fault(element)
        tallies.add("value-representation", broken=bool(fault), where=f"{place}: {fault}")
    if element.vr in ("PN", "LO", "SH", "LT", "ST", "UT", "UC") and 0 < element.length <= 1 << 16:
        tallies.add("character-set", broken=not reader.strings(element)[1], where=place)


def _take_nested(found: Instance, element: Element, reader: Reader) -> None:
    root = element.path[0]
    if root == _WAVEFORMS:
        found.nested[element.path] = element
    elif root in (_SHARED, _PER_FRAME) and element.tag in _PER_FRAME_FACTS and element.length <= _LONGEST_FACT:
        value = _fact(element, reader)
        if root == _SHARED:
            found.shared[element.tag] = value
        else:
            found.groups.setdefault(element.tag, []).append(value)


def _fact(element: Element, reader: Reader) -> Any:
    numeric = element.vr in ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "DS", "IS")
    values = reader.numbers(element) if numeric else reader.strings(element)[0] if element.vr != "UN" else []
    if numeric and not values:
        return None
    return values[0] if len(values) == 1 else values


def _count_facts(found: Instance, pixels: Element | None) -> None:
    facts = found.facts
    # A present value that is no number must not pass for an absent one.
    element = found.top.get(0x00280008)
    if element is not None and element.length and not isinstance(facts.get("NumberOfFrames"), int):
        facts["NumberOfFrames"] = "no number"
    directory = found.facts.get("MediaStorageSOPClassUID") == _DIRECTORY
    integer = pixels is not None and pixels.tag == PIXEL_TAGS[0]
    for name, absent in rules.mandatory(facts, directory=directory, pixels=pixels is not None, integer=integer):
        found.tallies.add("mandatory-attributes", broken=absent, where=name)
    for ours, theirs in (("MediaStorageSOPClassUID", "SOPClassUID"), ("MediaStorageSOPInstanceUID", "SOPInstanceUID")):
        if ours in facts and theirs in facts:
            found.tallies.add("meta-agrees", broken=facts[ours] != facts[theirs], where=theirs)
    described = all(isinstance(facts.get(name), int) for name in ("Rows", "Columns", "BitsAllocated"))
    if described and "PixelDataProviderURL" not in facts:
        found.tallies.add("pixels-present", broken=pixels is None, where="PixelData")
    if pixels is not None:
        rules.image_rules(facts, found.tallies, integer=integer)


def _settle_pixels(found: Instance, pixels: Pixels, file: BinaryIO) -> None:
    """Hold the value's length against the attributes; try the first frame of compressed pixels."""
    element, layout = pixels.element, pixels.layout
    if not pixels.reason and not pixels.compressed:
        extra = element.length - layout.length
        if extra < 0:
            raise CustomerError(
                f"the pixel data has {element.length} bytes, its attributes name {layout.length}",
                code="truncated",
                where=f"{found.name}, byte {element.end}",
                remedy="fetch it again",
            )
        found.tallies.add("pixel-length", broken=extra > 1, where=f"{extra} bytes more")
        if layout.packed and _spare_bits(pixels, file):
            pixels.reason = "bits are set after the last pixel"
    elif not pixels.reason:
        offsets = found.top.get(0x7FE00001)
        table = None
        if offsets is not None:
            file.seek(offsets.value)
            table = np.frombuffer(file.read(offsets.length // 8 * 8), "<u8").tolist()
        pixels.frame_items = assign_fragments(pixels, file, table)
        if pixels.frame_items is None:
            pixels.reason = "its fragments cannot be assigned to frames"
        else:
            try:
                pixels.frame(file, 0, found.name)
            except CustomerError as error:
                pixels.reason = error.message
    found.tallies.add("pixels-decoded", broken=bool(pixels.reason), where=pixels.reason)


def _spare_bits(pixels: Pixels, file: BinaryIO) -> bool:
    layout = pixels.layout
    used = layout.frames * layout.rows * layout.columns * layout.samples % 8
    if not used:
        return False
    file.seek(pixels.element.value + layout.length - 1)
    return bool(file.read(1)[0] >> used)
