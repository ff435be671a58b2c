"""What the attributes say of the pixel values: scale, units, role, and the technical facts worth showing."""

from typing import Any

import numpy as np

from ....model.dataset import ArrayField, Witness
from ....vocabulary import Role
from .instance import Instance
from .series import Group

_SHOWN = (
    *("Modality", "PhotometricInterpretation", "BitsStored", "HighBit", "PixelSpacing", "ImagerPixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices", "ImageOrientationPatient", "ImagePositionPatient", "RescaleType"),
    *("WindowCenter", "WindowWidth", "PixelPaddingValue", "DoseUnits", "DoseType", "Units", "FrameTime"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "SegmentationType", "GridFrameOffsetVector"),
)
_UNITS = {"HU": "HU", "GY": "Gy", "BQML": "Bq/mL", "CM2ML": "cm2/mL", "MGML": "mg/mL", "PROPCPS": "counts/s"}
_LARGEST_CHUNK = 16 << 20


def rescale(instance: Instance) -> tuple[float, float] | None:
    """Return (slope, intercept) of the whole file, None where there is none or frames differ."""
    facts = instance.facts
    if isinstance(facts.get("DoseGridScaling"), float):
        return float(facts["DoseGridScaling"]), 0.0
    slope, intercept = facts.get("RescaleSlope"), facts.get("RescaleIntercept")
    if slope is None:
        slope, intercept = instance.shared.get(0x00281053), instance.shared.get(0x00281052)
    if slope is None and 0x00281053 in instance.groups:
        pairs = set(zip(instance.groups[0x00281053], instance.groups.get(0x00281052, []), strict=False))
        slope, intercept = pairs.pop() if len(pairs) == 1 else (None, None)
    if not isinstance(slope, float) or not np.isfinite(slope) or slope == 0:
        return None
    offset = float(intercept) if isinstance(intercept, float) and np.isfinite(intercept) else 0.0
    return None if (slope, offset) == (1.0, 0.0) else (float(slope), offset)


def units(instance: Instance) -> str | None:
    """Return the units of the scaled values."""
    facts = instance.facts
    if facts.get("DoseUnits"):
        return _UNITS.get(str(facts["DoseUnits"]))
    kind = facts.get("RescaleType") or instance.shared.get(0x00281054)
    if kind and kind != "US":
        return str(kind)
    if facts.get("Modality") == "CT" and "RescaleSlope" in facts and "LOCALIZER" not in str(facts.get("ImageType")):
        return "HU"  # what CT images are rescaled to where no type is named (PS3.3, C.8.2.1)
    if facts.get("Modality") == "PT" and facts.get("Units"):
        return _UNITS.get(str(facts["Units"]), str(facts["Units"]))
    return None


def pixel_field(name: str, group: Group) -> ArrayField:
    """Return the field of a group's pixels: leading axes, then (frame,) row, column(, sample)."""
    first = group.members[0]
    pixels = first.pixels
    assert pixels is not None
    layout = pixels.layout
    lead = len(group.lead) + (layout.frames > 1)
    own = (*(("frame",) if layout.frames > 1 else ()), "row", "column", *(("sample",) if layout.samples > 1 else ()))
    scales = {rescale(member) for member in group.members}
    attributes = {name: first.facts[name] for name in _SHOWN if first.facts.get(name) not in (None, "")}
    role = Role.MEASUREMENT
    if layout.packed or first.facts.get("Modality") == "SEG":
        role = Role.LABEL
    elif pixels.photometric == "PALETTE COLOR":
        role = Role.CODE
    plane = layout.rows * layout.columns * layout.samples * pixels.dtype.itemsize
    chunks = (
        *(1 for _ in range(lead)),
        layout.rows,
        layout.columns,
        *((layout.samples,) if layout.samples > 1 else ()),
    )
    follow = pixels.compressed or not layout.simple or bool(group.lead) or plane <= _LARGEST_CHUNK
    return ArrayField(
        name=name,
        shape=(*group.lead, *pixels.shape),
        dtype=pixels.dtype.name,
        dimensions=_suffixed(name, (*group.dimensions, *own)),
        role=role,
        units=units(first),
        attributes=attributes,
        source_chunks=chunks if follow else None,
        spatial_axes=(lead, lead + 1),
        scale=scales.pop() if len(scales) == 1 else None,
        required=True,
    )


def _suffixed(name: str, dimensions: tuple[str, ...]) -> tuple[str, ...]:
    """Return dimensions of their own for each of several volumes in one folder."""
    suffix = name.removeprefix("pixels") if name.startswith("pixels_") else ""
    return tuple(f"{dimension}{suffix}" for dimension in dimensions)


def companions(name: str, group: Group) -> "list[tuple[ArrayField, np.ndarray[Any, Any]]]":
    """Return small arrays that belong to a stack: where slices lie, and scales that differ among files."""
    found: list[tuple[ArrayField, np.ndarray[Any, Any]]] = []
    if group.positions:
        values = np.array(group.positions)
        field = ArrayField(
            f"{name}_position", values.shape, "float64", _suffixed(name, ("slice",)), Role.COORDINATE, units="mm"
        )
        found.append((field, values))
    pairs = [rescale(member) or (1.0, 0.0) for member in group.members]
    if group.lead and len(set(pairs)) > 1:
        for at, word in enumerate(("slope", "intercept")):
            values = np.array([pair[at] for pair in pairs]).reshape(group.lead)
            field = ArrayField(
                f"{name}_rescale_{word}", values.shape, "float64", _suffixed(name, group.dimensions), Role.WEIGHT
            )
            found.append((field, values))
    return found


def witnesses(name: str, group: Group) -> list[Witness]:
    """Return what bits stored declares of the values' range, where it is less than the bits allocated."""
    pixels = group.members[0].pixels
    assert pixels is not None
    bits = {member.pixels.stored_bits for member in group.members if member.pixels is not None}
    if pixels.dtype.kind not in "iu" or pixels.layout.packed or len(bits) != 1 or pixels.high_bit != min(bits) - 1:
        return []
    stored = bits.pop()
    if not 0 < stored < pixels.dtype.itemsize * 8:
        return []
    low, high = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if pixels.dtype.kind == "i" else (0, (1 << stored) - 1)
    return [Witness(name, "minimum", low, "Bits Stored"), Witness(name, "maximum", high, "Bits Stored")]
