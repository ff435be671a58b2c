"""What is written about an array beside its shards: its zarr.json, its entries in plan and certificate."""

from typing import Any

import numpy as np

from ..model.dataset import ArrayField
from ..model.statistics import Statistics
from ..package.arrays import array_document, field_attributes
from ..package.attributes import DECODED, fill_attribute, jsonable, misread
from ..plugin import CodecCode
from .choose import Choice
from .context import Treatment
from .prepare import Prepared


def encoding_record(choice: Choice) -> dict[str, Any]:
    """Return how a field is stored, as certificate and plan say it."""
    form = choice.form
    found: dict[str, Any] = {
        "form": form.name,
        "codec": choice.codec,
        "bound_asked": str(choice.asked),
        "bound": form.bound,
    }
    if form.grid is not None:
        found |= {
            "dtype": form.grid.dtype,
            "scale_factor": form.grid.step,
            "add_offset": form.grid.offset,
            "missing": "NaN" if form.grid.hole is None else "fill",
        }
    if form.step is not None:
        found["step"] = form.step
    if choice.note:
        found["note"] = choice.note
    return found


def plan_record(prepared: Prepared) -> dict[str, Any]:
    """Return one array's entry of the plan."""
    return {
        "field": prepared.array.name,
        "kind": "array",
        "chunk": list(prepared.grid.chunk),
        "shard": list(prepared.grid.shard),
        "encoding": encoding_record(prepared.choice),
    }


def document(work: Treatment, prepared: Prepared, code: CodecCode, seen: Statistics) -> None:
    """Write the array's zarr.json: attributes that readers decode stand in the form they expect."""
    array, choice = prepared.array, prepared.choice
    source = array.numpy_dtype()
    stored = choice.form.stored_dtype(source)
    attributes = plain_attributes(work, array, seen)
    fill = fill_attribute(array.fill, stored) if choice.form.grid is None else None
    if array.fill is not None and fill is None:
        attributes["cdt_fill_value"] = jsonable(array.fill)
    attributes = field_attributes(choice.form, attributes, fill)
    if array.scale is not None:
        attributes |= {"scale_factor": float(array.scale[0]), "add_offset": float(array.scale[1])}
    if choice.form.grid is not None:
        attributes["cdt_source_dtype"] = source.name
    attributes |= _time_attributes(source, seen)
    made = array_document(prepared.grid, stored, code, work.dimensions[array.name], attributes)
    work.tree.array(work.nodes[array.name], made)


def _time_attributes(dtype: "np.dtype[Any]", seen: Statistics) -> dict[str, str]:
    """Return the CF words for a datetime or timedelta field, none where xarray could not decode its range."""
    if dtype.kind not in "mM":
        return {}
    unit, count = np.datetime_data(dtype)
    words = _TIME_WORDS.get((unit, count))
    own = {"cdt_source_dtype": str(dtype)}
    if words is None:
        return own
    if dtype.kind == "m":
        fits = unit in ("ns", "us", "ms", "s")
        return own | ({"units": words, "dtype": f"timedelta64[{unit}]"} if fits else {})
    said = {"units": f"{words} since 1970-01-01", "calendar": "proleptic_gregorian"}
    return own if misread(said, seen.minimum, seen.maximum) else own | said


_TIME_WORDS = {
    ("ns", 1): "nanoseconds",
    ("us", 1): "microseconds",
    ("ms", 1): "milliseconds",
    ("s", 1): "seconds",
    ("m", 1): "minutes",
    ("h", 1): "hours",
    ("D", 1): "days",
}


def plain_attributes(work: Treatment, array: ArrayField, seen: Statistics) -> dict[str, Any]:
    """Return an array's own attributes as JSON, those that xarray would misread renamed, with a finding."""
    found = {str(k): jsonable(v) for k, v in array.attributes.items() if k not in DECODED}
    if array.units is not None and "units" not in found:
        found["units"] = array.units
    scale = (array.scale or (1.0, 0.0)) if seen.minimum is not None else None
    ends: list[Any] = [seen.minimum, seen.maximum]
    if scale is not None and seen.minimum is not None and seen.maximum is not None:
        ends = sorted((seen.minimum * scale[0] + scale[1], seen.maximum * scale[0] + scale[1]))
    for name in misread(found, *ends):
        found[f"cdt_source_{name}"] = found.pop(name)
        work.note_misread(array.name, name)
    original = array.name.rpartition("/")[2]
    if work.nodes[array.name].rpartition("/")[2] != original:
        found["cdt_source_name"] = array.name
    given = [d for d in array.dimensions if d is not None]
    if given and list(work.dimensions[array.name]) != list(array.dimensions):
        found["cdt_source_dimensions"] = list(array.dimensions)
    return found
