"""Pictures for the bodies of package_bodies: made from simulated values with the shapes such data have."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from customer_data_treatment.package.pictures import (
    MissingMap,
    Picture,
    categories_of,
    picture_of,
)


def _rounded(values: "np.ndarray[Any, Any]", bound: float) -> "np.ndarray[Any, Any]":
    return np.round(values / (2 * bound)) * (2 * bound)


def pictures_for(body: Mapping[str, Any]) -> dict[str, Picture]:
    """Return the pictures of a body's fields, by role and shape."""
    random = np.random.default_rng(11)
    found: dict[str, Picture] = {}
    for field in body["fields"]:
        if field["kind"] == "table":
            continue
        name, bound = field["name"], field["encoding"]["bound"]
        shape = field.get("shape") or [4_821]
        if field["role"] in ("identifier", "text"):
            continue
        if field["role"] in ("code", "mask"):
            words = ("treatment", "placebo", "open label") if field["role"] == "code" else ("false", "true")
            found[name] = categories_of(
                {w: int(n) for w, n in zip(words, random.integers(200, 2400, 3), strict=False)}, missing=31
            )
        elif field["role"] in ("coordinate", "time") and len(shape) == 1:
            line = np.linspace(0, 30, shape[0])
            found[name] = picture_of(line, None, None, line=(line, None))
        elif len(shape) == 1:
            values = random.normal(60, 12, 4_000)
            values[random.random(4_000) < 0.08] = np.nan
            found[name] = picture_of(values, None, None)
        else:
            plane = _field([min(512, n) for n in shape[-2:]], name == "SCI", name == "pixels", random)
            decoded = None if bound is None else _rounded(plane, bound)
            found[name] = picture_of(plane, decoded, bound, plane=(plane, decoded))
    columns = [field["name"].split("/")[1] for field in body["fields"] if field["kind"] == "column"]
    if len(columns) > 5:
        rows = 4_821
        collected = MissingMap(columns)
        chance = np.array([0.0 if i < 8 else (i % 7) / 40 for i in range(len(columns))])
        masks = [random.random(rows) < c for c in chance]
        masks[15][3_000:] = True
        collected.observe(masks, rows)
        found["patients"] = collected.picture()
    return found


def _field(shape: list[int], sky: bool, scan: bool, random: "np.random.Generator") -> "np.ndarray[Any, Any]":
    height, width = shape
    y, x = np.mgrid[0:height, 0:width]
    if sky:
        image = random.normal(100, 5, (height, width))
        for _ in range(120):
            cy, cx, amplitude = (
                random.integers(0, height),
                random.integers(0, width),
                10 ** random.uniform(1.5, 4),
            )
            box = np.s_[max(0, cy - 20) : cy + 20, max(0, cx - 20) : cx + 20]
            image[box] += amplitude * np.exp(-((y[box] - cy) ** 2 + (x[box] - cx) ** 2) / 18)
        return image
    if scan:
        body = ((y - height / 2) / (height * 0.36)) ** 2 + ((x - width / 2) / (width * 0.44)) ** 2 < 1
        spine = (y - height * 0.72) ** 2 + (x - width / 2) ** 2 < 900
        return np.where(spine, 700, np.where(body, 40, -1000)) + np.round(random.normal(0, 18, (height, width)))
    smooth = (
        12
        + 6 * np.sin(x / 47) * np.cos(y / 39)
        + 3 * np.sin((x + 2 * y) / 81)
        + random.normal(0, 0.12, (height, width))
    )
    land = (np.sin(x / 61 + 1) + np.cos(y / 53)) > 1.25
    return np.where(land, np.nan, smooth)
