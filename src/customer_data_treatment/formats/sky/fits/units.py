"""The header and data units of a FITS file: where each lies, what kind it is, what it is called."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from ....errors import CustomerError
from .cards import BLOCK, CARD, Header, read_header

_BITPIX = (8, 16, 32, 64, -32, -64)
_LONGEST_HEADER = 64 << 20
_LARGEST = 1 << 62
_MOST_AXES = 32

Reader = Callable[[int, int], bytes]  # the bytes (offset, size), fewer at the end of the file


@dataclass(frozen=True, slots=True)
class Unit:
    """One HDU. `kind` is "image", "groups", "table", "ascii", "compressed", "other" or "none" (no data).

    `offset` is the header's first byte in the file, `size` the data's bytes without padding, and
    `name` what its field is called, unique in the file.
    """

    index: int
    kind: str
    name: str
    offset: int
    header: Header
    size: int

    @property
    def data(self) -> int:
        """Return the data's first byte in the file."""
        return self.offset + len(self.header.text)

    @property
    def end(self) -> int:
        """Return the byte behind the padded data."""
        return self.data + padded(self.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the array's shape, slowest axis first; of a compressed image the image's own."""
        letter = "Z" if self.kind == "compressed" else ""
        axes = axes_of(self.header, letter)
        return tuple(reversed(axes[1:] if self.kind == "groups" else axes))


def padded(size: int) -> int:
    """Return the bytes that data of this size fills, in whole blocks."""
    return -(-size // BLOCK) * BLOCK


def axes_of(header: Header, letter: str = "") -> list[int]:
    """Return NAXIS1 ... NAXISn; raise ValueError where one is missing or negative."""
    count = header.integer(f"{letter}NAXIS")
    if count is None or not 0 <= count <= 999:
        raise ValueError(f"{letter}NAXIS is missing or no number from 0 to 999")
    axes = []
    for number in range(1, count + 1):
        length = header.integer(f"{letter}NAXIS{number}")
        if length is None or length < 0:
            raise ValueError(f"{letter}NAXIS{number} is missing or no length")
        axes.append(length)
    return axes


def unit_of(index: int, offset: int, header: Header, taken: set[str], where: str) -> Unit:
    """Return the unit that a header describes; raise CustomerError (corrupt, absurd-header)."""
    try:
        kind, size = _kind_and_size(index, header)
    except ValueError as error:
        raise CustomerError(
            f"the header of HDU {index} is invalid: {error}",
            code="corrupt",
            where=f"{where}, byte {offset}",
            remedy="fetch it again, or repair the header",
        ) from error
    if (
        kind in ("image", "groups", "compressed")
        and (header.integer("ZNAXIS" if kind == "compressed" else "NAXIS") or 0) > _MOST_AXES
    ):
        raise CustomerError(
            f"the array of HDU {index} has more than {_MOST_AXES} axes",
            code="unsupported-format",
            where=f"{where}, byte {offset}",
        )
    if size > _LARGEST:
        raise CustomerError(
            f"HDU {index} claims {size} bytes",
            code="absurd-header",
            where=f"{where}, byte {offset}",
        )
    return Unit(index, kind, _name(index, header, taken), offset, header, size)


def _kind_and_size(index: int, header: Header) -> tuple[str, int]:
    bitpix = header.integer("BITPIX")
    if bitpix not in _BITPIX or bitpix is None:
        raise ValueError("BITPIX is missing or none of 8, 16, 32, 64, -32, -64")
    axes = axes_of(header)
    groups = index == 0 and bool(axes) and axes[0] == 0 and header.values.get("GROUPS") is True
    parameters, count = header.integer("PCOUNT", 0) or 0, header.integer("GCOUNT", 1)
    if index == 0 and not groups:
        parameters, count = 0, 1
    if parameters < 0 or count is None or count < 0:
        raise ValueError("PCOUNT or GCOUNT is negative")
    values = prod(axes[1:]) if groups and len(axes) > 1 else 0 if groups else prod(axes) if axes else 0
    size = abs(bitpix) // 8 * count * (parameters + values) if axes else 0
    extension = header.string("XTENSION") if index else "IMAGE"
    if not axes or (size == 0 and extension not in ("BINTABLE", "TABLE", "IMAGE")):
        return "none", size
    if groups:
        return ("groups" if size and len(axes) > 1 else "none"), size
    if extension in ("BINTABLE", "A3DTABLE", "TABLE"):
        if bitpix != 8 or len(axes) != 2:
            raise ValueError("a table must have BITPIX 8 and two axes")
        if not header.integer("TFIELDS", 1) or axes[0] == 0:
            return ("other" if size else "none"), size
        if extension == "TABLE":
            return "ascii", size
        return ("compressed" if header.values.get("ZIMAGE") is True else "table"), size
    if extension in ("IMAGE", "IUEIMAGE") and parameters == 0 and count == 1:
        return "image", size
    return "other", size


def _name(index: int, header: Header, taken: set[str]) -> str:
    said = extension_name(header).strip().replace("/", "_") or f"HDU{index}"
    name, number = said, 1
    while name.lower() in taken:
        number += 1
        name = f"{said}_{number}"
    taken.add(name.lower())
    return name


def extension_name(header: Header) -> str:
    """Return EXTNAME, "" where there is none: COMPRESSED_IMAGE is a packer's word, not the image's name."""
    if header.values.get("ZIMAGE") is not True:
        return header.string("EXTNAME")
    names = [c.value.rstrip() for c in header.cards if c.keyword == "EXTNAME" and isinstance(c.value, str)]
    return next((name for name in names if name != "COMPRESSED_IMAGE"), "")


def find_end(block: bytes) -> bool:
    """Return whether a block of 2880 bytes holds the END card."""
    return any(block[at : at + 8].rstrip() == b"END" for at in range(0, len(block), CARD))


def parse_units(text: bytes, where: str) -> list[Unit]:
    """Return the units whose headers stand back to back in `text`, offsets as in the file they come from."""
    units: list[Unit] = []
    taken: set[str] = set()
    at, offset = 0, 0
    while at < len(text):
        stop = at
        while not find_end(text[stop : stop + BLOCK]):
            stop += BLOCK
            if stop >= len(text):
                raise CustomerError("a carried FITS header has no END", code="corrupt", where=where)
        stop += BLOCK
        unit = unit_of(len(units), offset, read_header(text[at:stop]), taken, where)
        units.append(unit)
        at, offset = stop, unit.end
    return units


def scan(pread: Reader, length: int, where: str) -> list[Unit]:
    """Return the units of a file of `length` bytes, read by `pread(offset, size)`.

    Raise CustomerError: corrupt (an invalid header), truncated (END or data is missing),
    absurd-header. What follows the last unit and starts no other is left to the caller.
    """
    units: list[Unit] = []
    taken: set[str] = set()
    offset = 0
    while offset < length:
        start = pread(offset, 8)
        opening = b"XTENSION" if units else b"SIMPLE  "
        if start != opening[: len(start)]:
            break
        text = bytearray()
        while True:
            block = pread(offset + len(text), BLOCK)
            text += block
            if len(block) < BLOCK or len(text) > _LONGEST_HEADER:
                raise CustomerError(
                    f"the header of HDU {len(units)} has no END card",
                    code="truncated",
                    where=f"{where}, byte {offset + len(text)}",
                    remedy="fetch it again",
                )
            if find_end(block):
                break
        unit = unit_of(len(units), offset, read_header(bytes(text)), taken, where)
        if unit.data + unit.size > length:
            raise CustomerError(
                f"HDU {unit.index} promises {unit.size} bytes of data, {max(0, length - unit.data)} are there",
                code="truncated",
                where=f"{where}, byte {length}",
                remedy="fetch it again",
            )
        units.append(unit)
        offset = unit.end
    if not units:
        raise CustomerError(
            "it does not start with SIMPLE",
            code="corrupt",
            where=where,
            remedy="fetch it again",
        )
    return units
