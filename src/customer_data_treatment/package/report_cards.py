"""The report's cards: one field each, drawn before, after and by its error."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import drawing, wording
from .pictures import QUANTILES, CategoryPicture, FieldPicture, MissingPicture, Picture, Plane
from .wording import number, plural, share

DRAWN = 40
_PIXELS = 520_000  # characters of PNG on one page
_GAPPY = 30  # columns shown in a map of missing cells
_SHOWN_QUANTILES = {0.05: "5 % lie below", 0.5: "median", 0.95: "95 % lie below"}
_GREY = ("medical_imaging", "microscopy", "astronomy")

Row = dict[str, Any]


def cards(body: Mapping[str, Any], pictures: Mapping[str, Picture]) -> tuple[list[Row], dict[str, str]]:
    """Return the cards in the order of the fields, and the anchor of each field that has one.

    Tables' missing cells come first. With more than 40 pictures the least faithful and then the
    biggest fields are drawn.
    """
    fields = wording.counted_fields(body)
    drawn = _chosen([field for field in fields if field["name"] in pictures])
    anchors = {field["name"]: f"field-{index}" for index, field in enumerate(fields) if field["name"] in drawn}
    rows = [
        _missing_card(name, picture)
        for name, picture in sorted(pictures.items())
        if isinstance(picture, MissingPicture) and any(picture.missing)
    ]
    left = _PIXELS
    scale = "grey" if body["modality"] in _GREY else "colour"
    for field in fields:
        if field["name"] not in anchors:
            continue
        picture = pictures[field["name"]]
        card = {"name": field["name"], "anchor": anchors[field["name"]], "wide": False, "meta": _meta(field)}
        card |= {"planes": [], "plots": [], "gaps": [], "tables": []}
        if isinstance(picture, CategoryPicture):
            card["plots"] = [{"title": "", "svg": drawing.vouched(drawing.bars(picture))}]
        elif isinstance(picture, FieldPicture):
            card |= _numeric(field, picture)
            planes = _planes(picture.planes, scale, wording.axis_units(field))
            weight = sum(len(plane["uri"]) for plane in planes)
            if weight <= left:
                card["planes"], left = planes, left - weight
        rows.append(card)
    return rows, anchors


def _chosen(fields: Sequence[Mapping[str, Any]]) -> set[str]:
    def merit(field: Mapping[str, Any]) -> tuple[float, int, str]:
        value = (field.get("fidelity") or {}).get("value")
        return (1.0 if value is None else value, -(field.get("bytes_decoded") or 0), field["name"])

    return {field["name"] for field in sorted(fields, key=merit)[:DRAWN]}


def _meta(field: Mapping[str, Any]) -> str:
    units = field.get("units")
    parts = [wording.shape(field), field.get("dtype"), units, field.get("role")]
    stored = wording.form(field.get("encoding"), wording.axis_units(field))
    value = (field.get("fidelity") or {}).get("value")
    if stored != "exact" and value is not None:
        stored += f"; fidelity {share(value)}"
    note = (field.get("encoding") or {}).get("note")
    said = f" {note[:1].upper()}{note[1:]}." if note else ""
    return f"{' · '.join(str(part) for part in parts if part)}. Stored {stored}.{said}"


def _numeric(field: Mapping[str, Any], picture: FieldPicture) -> Row:
    units = wording.axis_units(field)
    plots = []
    if picture.lines:
        long = [extent for extent in field.get("shape") or () if extent > 1]
        title = "In order" if len(long) < 2 else "Along its longest axis"
        plots.append({"title": title, "svg": drawing.vouched(drawing.series(picture.lines, units))})
    if picture.before is not None and not (picture.lines and picture.monotone):
        plots.append({"title": "Distribution", "svg": drawing.vouched(drawing.distribution(picture, units))})
    if picture.errors is not None:
        plots.append({"title": "Error", "svg": drawing.vouched(drawing.error_distribution(picture, units))})
    return {"plots": plots, "tables": _tables(field, picture)}


def _tables(field: Mapping[str, Any], picture: FieldPicture) -> list[Row]:
    told = field.get("statistics") or {}
    before, after = told.get("before") or {}, (told.get("after") or {}) if picture.after else {}
    values: list[tuple[str, Any, Any]] = [("minimum", before.get("minimum"), after.get("minimum"))]
    for place, name in _SHOWN_QUANTILES.items():
        index = QUANTILES.index(place)
        if picture.quantiles:
            late = picture.quantiles_after[index] if after and picture.quantiles_after else None
            values.append((name, picture.quantiles[index], late))
    values.append(("maximum", before.get("maximum"), after.get("maximum")))
    if before.get("mean") is not None and picture.finite:
        values.append(("mean", before["mean"], after.get("mean")))
    rows = [
        {"name": name, "cells": [number(early), number(late)] if after else [number(early)]}
        for name, early, late in values
        if early is not None
    ]
    empty = (before.get("missing") or 0) + (before.get("nan") or 0)
    if empty:
        part = wording.percent(empty, before.get("count") or 0)
        rows.append({"name": "missing", "cells": [part, part] if after else [part]})
    tables = [{"caption": "Stored numbers", "heads": ["before", "after"] if after else [], "rows": rows}]
    faithful = _fidelity_rows(field.get("fidelity") or {}, field.get("error") or {})
    if after and faithful:
        tables.append({"caption": "Fidelity is the least of these", "heads": [], "rows": faithful})
    return tables


def _fidelity_rows(fidelity: Mapping[str, Any], error: Mapping[str, Any]) -> list[Row]:
    names = {
        "error_over_spread": "1 − error / spread",
        "pearson": "correlation",
        "ks": "distribution (1 − KS)",
        "ssim": "image similarity",
    }
    known = {key: fidelity[key] for key in names if fidelity.get(key) is not None}
    rows = [{"name": names[key], "cells": [share(value)]} for key, value in known.items()]
    beside = {
        "max": "beside them: largest error",
        "mean": "mean error",
        "rms_over_spread": "RMS error / spread",
    }
    return rows + [
        {"name": beside[key], "cells": [number(error[key], 3)]} for key in beside if error.get(key) is not None
    ]


def _planes(planes: Sequence[Plane], scale: str, units: str) -> list[Row]:
    words = ("before", "after", "|error|") if len(planes) > 1 else ("one slice",)
    rows = []
    for word, plane in zip(words, planes, strict=False):
        reach = f"{number(plane.low, 3)} to {number(plane.high, 3)}"
        pixels = f"an image of {plane.height} by {plane.width} pixels, from {reach} {units}".rstrip()
        rows.append(
            {
                "uri": drawing.png(plane, "error" if word == "|error|" else scale),
                "width": plane.width,
                "height": plane.height,
                "alt": f"{word}: {pixels}",
                "caption": f"{word}, {reach}",
            }
        )
    return rows


def _missing_card(name: str, picture: MissingPicture) -> Row:
    gappy = [index for index, count in enumerate(picture.missing) if count]
    worst = sorted(sorted(gappy, key=lambda index: -picture.missing[index])[:_GAPPY])
    more = "" if len(worst) == len(gappy) else f" Shown are the {len(worst)} with the most."
    return {
        "name": f"Missing cells of {name}",
        "anchor": None,
        "wide": True,
        "meta": f"{plural(len(gappy), 'column')} of {len(picture.columns)} have missing cells. Row 1 is on "
        f"the left, row {number(picture.rows)} on the right; the stronger the colour, the more of a block.{more}",
        "planes": [],
        "plots": [],
        "gaps": [
            {
                "name": picture.columns[index],
                "svg": drawing.vouched(drawing.missing_strip(picture.shares[index])),
                "share": wording.percent(picture.missing[index], picture.rows),
            }
            for index in worst
        ],
        "tables": [],
    }
