"""What the raw bytes of a FITS file break (FITS Standard 4.0): headers, padding, checksums."""

import re
from collections import Counter
from collections.abc import Callable

from ....model.dataset import RuleCount
from ....vocabulary import Dimension, RuleKind
from . import checksum
from .cards import BLOCK, Header
from .tables import Layout
from .units import Reader, Unit

_SHOWN = 5
_PIECE = 1 << 20
_REPEATABLE = re.compile(r"COMMENT|HISTORY|CONTINUE||END|HIERARCH.*|RECORD|RADECSYS")
_STRUCTURAL = re.compile(
    r"SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|TFORM\d+|TTYPE\d+|T(SCAL|ZERO|NULL)\d+|BSCALE|BZERO|BLANK"
)


def _count(
    name: str,
    dimension: Dimension,
    kind: RuleKind,
    scope: int,
    *,
    found: list[str],
    message: str,
) -> list[RuleCount]:
    if scope == 0:
        return []
    return [
        RuleCount(
            name,
            dimension,
            kind,
            scope,
            scope,
            min(scope, len(found)),
            message,
            tuple(found[:_SHOWN]),
        )
    ]


def header_rules(units: list[Unit]) -> list[RuleCount]:
    """Return the counts of cards and headers."""
    cards = sum(len(unit.header.cards) for unit in units)
    broken = [
        f"HDU {unit.index}, card {number}: {card.problem}"
        for unit in units
        for number, card in enumerate(unit.header.cards, 1)
        if card.problem
    ]
    twice = [(unit.index, keyword) for unit in units for keyword in _repeated(unit.header)]
    grave = [f"HDU {index}, {keyword}" for index, keyword in twice if _STRUCTURAL.fullmatch(keyword)]
    plain = [f"HDU {index}, {keyword}" for index, keyword in twice if not _STRUCTURAL.fullmatch(keyword)]
    order = [f"HDU {unit.index}: {what}" for unit in units if (what := _order(unit))]
    scored, validity = RuleKind.SCORED, Dimension.VALIDITY
    return [
        *_count("fits-card-syntax", validity, scored, cards, found=broken, message="header cards that break FITS syntax"),
        *_count("fits-mandatory-keywords", validity, scored, len(units), found=order, message="mandatory keywords missing, misplaced or wrong"),
        *_count("fits-structural-duplicates", Dimension.CONSISTENCY, scored, len(units), found=grave, message="structural keywords that stand twice"),
        *_count("fits-duplicate-keywords", Dimension.CONSISTENCY, RuleKind.ADVISORY, cards, found=plain, message="keywords that stand twice"),
    ]  # fmt: skip


def _repeated(header: Header) -> list[str]:
    counts = Counter(card.keyword for card in header.cards)
    return [keyword for keyword, count in counts.items() if count > 1 and not _REPEATABLE.fullmatch(keyword)]


def _order(unit: Unit) -> str:
    """Return what is wrong with the mandatory keywords, "" if nothing (FITS 4.0, tables 7, 10, 14)."""
    axes = [f"NAXIS{n}" for n in range(1, (unit.header.integer("NAXIS") or 0) + 1)]
    expected = ["XTENSION" if unit.index else "SIMPLE", "BITPIX", "NAXIS", *axes]
    if unit.index:
        expected += ["PCOUNT", "GCOUNT"]
    if unit.header.string("XTENSION") in ("TABLE", "BINTABLE"):
        expected.append("TFIELDS")
    found = [card.keyword for card in unit.header.cards[: len(expected)]]
    values = unit.header.values
    if found != expected:
        wrong = next(
            (k for k, f in zip(expected, [*found, *[""] * len(expected)], strict=False) if k != f),
            "",
        )
        return f"{wrong} is not where it must stand"
    if not unit.index and values.get("SIMPLE") is not True:
        return "SIMPLE is not T"
    if unit.index == 0 and values.get("GROUPS") is True and unit.kind != "groups":
        return "GROUPS is T, but NAXIS1 is not 0 or there are no groups"
    if unit.index and unit.kind in ("image", "ascii") and (values.get("PCOUNT"), values.get("GCOUNT")) != (0, 1):
        return "PCOUNT must be 0 and GCOUNT 1"
    return ""


def layout_rules(units: list[Unit], pread: Reader, length: int) -> list[RuleCount]:
    """Return the counts of blocks, padding and what follows the last unit."""
    last = units[-1]
    short = [f"byte {length}"] if length < last.end else []
    dirty = []
    for unit in units:
        used = unit.data + unit.size
        pad = pread(used, min(unit.end, length) - used) if unit.end > used else b""
        if pad.strip(b" " if unit.kind == "ascii" else b"\0"):
            dirty.append(f"HDU {unit.index}, byte {used}")
        text = unit.header.text
        if text[_end_of(text) :].strip(b" "):
            dirty.append(f"HDU {unit.index}, header behind END")
    extra = [f"{length - last.end} bytes from byte {last.end}"] if length > last.end else []
    zeros = all(not pread(at, _PIECE).strip(b"\0") for at in range(last.end, length, _PIECE))
    behind = RuleKind.ADVISORY if zeros else RuleKind.SCORED  # tapes and archives pad with empty blocks
    validity, scored = Dimension.VALIDITY, RuleKind.SCORED
    return [
        *_count("fits-whole-blocks", validity, scored, 1, found=short, message=f"the file is no multiple of {BLOCK} bytes: its last padding is cut"),
        *_count("fits-padding", validity, RuleKind.ADVISORY, 2 * len(units), found=dirty, message="padding that holds other bytes than it must"),
        *_count("fits-nothing-behind", validity, behind, 1, found=extra, message="bytes behind the last unit that belong to none"),
    ]  # fmt: skip


def _end_of(text: bytes) -> int:
    for at in range(0, len(text), 80):
        if text[at : at + 8].rstrip() == b"END":
            return at + 80
    return len(text)


def table_rules(layouts: list[Layout]) -> list[RuleCount]:
    """Return the count of binary tables whose columns do not fill their rows (FITS 4.0, 7.3.1)."""
    binary = [layout for layout in layouts if layout.unit.kind == "table"]
    short = [
        f"HDU {layout.unit.index}: columns fill {filled} of {layout.row_bytes} bytes"
        for layout in binary
        if (filled := sum(spec.width for spec in layout.specs)) != layout.row_bytes
    ]
    message = "binary tables whose columns do not fill NAXIS1"
    return _count("fits-row-width", Dimension.VALIDITY, RuleKind.SCORED, len(binary), found=short, message=message)


def checksum_rules(units: list[Unit], pread: Reader, datasum: Callable[[Unit], int]) -> list[RuleCount]:
    """Return the counts of DATASUM and CHECKSUM, each recomputed over the bytes of its unit."""
    stated, wrong = 0, []
    for unit in units:
        said = unit.header.values.get("DATASUM")
        if said is not None and str(said).strip():
            stated += 1
            if str(said).strip().lstrip("0") not in (str(datasum(unit)).lstrip("0"),):
                wrong.append(f"HDU {unit.index}, DATASUM")
        whole = unit.header.values.get("CHECKSUM")
        if isinstance(whole, str) and whole.strip():
            stated += 1
            total = checksum.sum32(pread, unit.offset, unit.data, datasum(unit))
            if total not in (0xFFFFFFFF, 0):
                wrong.append(f"HDU {unit.index}, CHECKSUM")
    message = "checksums of the FITS file that its bytes do not have"
    return _count(
        "fits-checksum",
        Dimension.INTEGRITY,
        RuleKind.STRUCTURAL,
        stated,
        found=wrong,
        message=message,
    )
