"""What a unit's header says of its field: names, roles, units, scaling, declared extremes."""

import re
from typing import Any

import numpy as np

from ....model.dataset import ArrayField, Column, TableField, Witness
from ....model.schema import role_of
from ....vocabulary import Role
from .asciitable import TextColumn
from .cards import Header
from .columns import ColumnSpec
from .tables import Layout
from .units import Unit, axes_of

DTYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_STRUCTURE = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|GROUPS|TFIELDS|THEAP|CHECKSUM|DATASUM|LONGSTRN|CONTINUE|"
    r"Z(SIMPLE|TENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|EXTEND|HECKSUM|DATASUM|IMAGE)|T(FORM|BCOL|DIM|NULL)\d+)"
)
_MASK = re.compile(
    r"(^|[_ ])(quality|dq|data_?quality|flags?|status|mask|bad_?pix\w*)\d*$",
    re.IGNORECASE,
)
_WEIGHT = re.compile(r"^(wht|weights?|ivar|expmap|exposure)\d*$", re.IGNORECASE)
_SKY = re.compile(
    r"(^|_)(RA|DEC|GLON|GLAT|ELON|ELAT|RA_?J?2000|DEC?_?J?2000|RAJ2000|DEJ2000)(_|\d|$)",
    re.IGNORECASE,
)
_CELESTIAL = re.compile(r"^(RA|DEC|.LON|.LAT|..LN|..LT)\b|^(RA|DEC|.LON|.LAT)-", re.IGNORECASE)
_ROUNDING = 1e-6  # header numbers carry at least six digits


def attributes_of(header: Header) -> dict[str, Any]:
    """Return the header's keywords that say nothing of structure, HISTORY and COMMENT as lines of text."""
    out: dict[str, Any] = {}
    lines: dict[str, list[str]] = {}
    for card in header.cards:
        if card.keyword in ("COMMENT", "HISTORY"):
            lines.setdefault(card.keyword, []).append(card.comment.rstrip())
        elif card.value is not None and not _STRUCTURE.fullmatch(card.keyword) and card.keyword not in out:
            value = card.value
            large = type(value) is int and not -(1 << 63) <= value < 1 << 63
            out[card.keyword] = str(value) if isinstance(value, complex) or large else value
    return out | {keyword: "\n".join(text) for keyword, text in lines.items()}


def _scale(header: Header) -> tuple[float, float] | None:
    factor, zero = (
        float(header.number("BSCALE", 1.0)),
        float(header.number("BZERO", 0.0)),
    )
    return None if (factor, zero) == (1.0, 0.0) or factor == 0 else (factor, zero)


def image_field(unit: Unit, header: Header, shape: tuple[int, ...], chunks: tuple[int, ...] | None) -> ArrayField:
    """Return the facts of an image; `header` is the image's own where it is compressed."""
    bitpix = header.integer("BITPIX") or 8
    dtype = np.dtype(DTYPES[bitpix])
    return ArrayField(
        name=unit.name,
        shape=shape,
        dtype=dtype.newbyteorder("=").name,
        dimensions=(None,) * len(shape),
        role=_image_role(unit.name, dtype),
        units=header.string("BUNIT") or None,
        attributes=attributes_of(header),
        source_chunks=chunks,
        spatial_axes=_spatial(header, len(shape)),
        scale=_scale(header),
        fill=header.integer("BLANK") if bitpix > 0 else None,
    )


def _image_role(name: str, dtype: "np.dtype[Any]") -> Role:
    if dtype.kind in "iu" and _MASK.search(name):
        return Role.MASK
    return Role.WEIGHT if _WEIGHT.match(name) else Role.MEASUREMENT


def _spatial(header: Header, axes: int) -> tuple[int, int] | None:
    """Return the last two axes where they are a picture: a plain 2-D image, or celestial by CTYPE."""
    said = [header.string(f"CTYPE{n}") for n in (1, 2)]
    celestial = all(_CELESTIAL.match(text) for text in said)
    plain = axes == 2 and all(text == "" or text.upper() in ("LINEAR", "PIXEL", "X", "Y") for text in said)
    return (axes - 2, axes - 1) if axes >= 2 and (celestial or plain) else None


def group_fields(unit: Unit) -> tuple[ArrayField, ArrayField]:
    """Return the facts of random groups: parameters (groups, PCOUNT) and data (groups, ...)."""
    header = unit.header
    groups, parameters = (
        header.integer("GCOUNT", 1) or 1,
        header.integer("PCOUNT", 0) or 0,
    )
    dtype = np.dtype(DTYPES[header.integer("BITPIX") or 8]).newbyteorder("=").name
    shape = tuple(reversed(axes_of(header)[1:]))
    return (
        ArrayField(f"{unit.name}/parameters", (groups, parameters), dtype, (None, None), attributes=attributes_of(header)),
        ArrayField(
            f"{unit.name}/data", (groups, *shape), dtype, (None,) * (1 + len(shape)),
            units=header.string("BUNIT") or None, scale=_scale(header),
            fill=header.integer("BLANK") if (header.integer("BITPIX") or 8) > 0 else None,
        ),
    )  # fmt: skip


def table_field(layout: Layout) -> TableField:
    """Return the facts of a table; the scaling of its columns stands in attributes["scale"]."""
    attributes = attributes_of(layout.unit.header)
    scaled = {spec.name: list(spec.scale) for spec in layout.shown if spec.scale}
    return TableField(
        name=layout.unit.name,
        schema=layout.schema,
        columns=tuple(Column(s.name, _column_role(s), s.units, s.description) for s in layout.shown),
        rows=layout.rows,
        attributes=attributes | ({"scale": scaled} if scaled else {}),
    )


def _column_role(spec: ColumnSpec | TextColumn) -> Role:
    kinds = {
        "A": "text",
        "L": "boolean",
        "X": "boolean",
        "C": "complex",
        "M": "complex",
        "E": "float",
        "D": "float",
    }
    kind = "float" if isinstance(spec, TextColumn) and spec.code == "F" else kinds.get(spec.code, "integer")
    if kind == "integer" and _MASK.search(spec.name):
        return Role.MASK
    if kind in ("float", "integer") and _SKY.search(spec.name) and "ERR" not in spec.name.upper():
        return Role.COORDINATE
    return role_of(spec.name, kind, spec.units)


def image_witnesses(field: ArrayField, header: Header) -> list[Witness]:
    """Return DATAMIN and DATAMAX as extremes of the stored numbers."""
    factor, zero = field.scale or (1.0, 0.0)
    out = []
    for keyword, low in (("DATAMIN", True), ("DATAMAX", False)):
        value: Any = header.values.get(keyword)
        if type(value) in (int, float):
            stored = (value - zero) / factor if field.scale else value
            fact = "min" if low == (factor > 0) else "max"
            out.append(Witness(field.name, fact, stored, f"keyword {keyword}", _ROUNDING))
    return out


def column_witnesses(layout: Layout) -> list[Witness]:
    """Return TDMINn, TDMAXn as extremes, and TLMINn, TLMAXn as bounds, of the stored numbers."""
    out = []
    facts = (
        ("TDMIN", "min", "max"),
        ("TDMAX", "max", "min"),
        ("TLMIN", "minimum", "maximum"),
        ("TLMAX", "maximum", "minimum"),
    )
    for spec in layout.shown:
        if spec.code in "ALXCM" or spec.variable or (isinstance(spec, ColumnSpec) and spec.shape):
            continue
        factor, zero = spec.scale or (1.0, 0.0)
        for keyword, fact, flipped in facts:
            value: Any = layout.unit.header.values.get(f"{keyword}{spec.number}")
            if type(value) in (int, float):
                stored = (value - zero) / factor if spec.scale else value
                where = f"keyword {keyword}{spec.number}"
                out.append(
                    Witness(
                        f"{layout.unit.name}/{spec.name}",
                        fact if factor > 0 else flipped,
                        stored,
                        where,
                        _ROUNDING,
                    )
                )
    return out


def metadata_of(headers: list[Header]) -> dict[str, str]:
    """Return who made it and what it shows, from the first header that says so."""

    def first(*keywords: str) -> str:
        return next(
            (h.string(k).strip() for k in keywords for h in headers if h.string(k).strip()),
            "",
        )

    instruments = [text for text in (first("TELESCOP"), first("INSTRUME")) if text]
    found = {
        "title": first("TITLE", "OBJECT"),
        "creators": first("AUTHOR", "OBSERVER"),
        "institution": first("ORIGIN"),
        "keywords": ", ".join(dict.fromkeys(instruments)),
    }
    return {key: text for key, text in found.items() if text}
