"""What the CF conventions (1.12) let attributes say about a variable: role, units, scale, fill, axes.

Variables are told by name ("group/sub/var"), dtype word, dimensions and attributes; a name in an
attribute is looked for in the variable's own group, then in its ancestors (CF 2.7).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model.dataset import TEXT, Witness
from ...model.schema import role_of
from ...vocabulary import Role

_TIME_UNITS = re.compile(r"^\s*\w+\s+since\s", re.IGNORECASE)
_NORTH = re.compile(r"^degrees?_?(north|n)$", re.IGNORECASE)
_EAST = re.compile(r"^degrees?_?(east|e)$", re.IGNORECASE)
_Y_NAMES = frozenset("y lat latitude nav_lat yc rlat south_north northing yspace nj ny lines rows line".split())
_X_NAMES = frozenset("x lon longitude nav_lon xc rlon west_east easting xspace ni nx samples columns sample".split())
_Y_STANDARD = frozenset(("latitude", "projection_y_coordinate", "grid_latitude"))
_X_STANDARD = frozenset(("longitude", "projection_x_coordinate", "grid_longitude"))
_COORDINATE_NAMES = _Y_STANDARD | _X_STANDARD | {"altitude", "height", "depth", "time"}
_BOUNDS_END = re.compile(r"_(bounds|bnds)$")
_ROUNDING = 1e-6  # a range printed by people, in seven digits


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as its file tells it; `dtype` is the model's word, `is_scale` whether it is a dimension scale."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    dimensions: tuple[str | None, ...]
    attributes: Mapping[str, Any]
    is_scale: bool = False
    is_enum: bool = False


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the attributes say."""

    role: Role
    units: str | None
    scale: tuple[float, float] | None
    fill: Any
    spatial_axes: tuple[int, int] | None
    witnesses: tuple[Witness, ...]


def meanings(variables: Sequence[Variable]) -> dict[str, Meaning]:
    """Return each variable's meaning, by name."""
    by_name = {variable.name: variable for variable in variables}
    pointed = _pointed_at(variables, by_name)
    axes = {variable.name: _axis_of(variable) for variable in variables}
    return {
        variable.name: Meaning(
            role=_role(variable, variable.name in pointed),
            units=_word(variable.attributes.get("units")),
            scale=scale_of(variable.attributes),
            fill=fill_of(variable.attributes, variable.dtype),
            spatial_axes=_spatial(variable, by_name, axes),
            witnesses=witnesses_of(variable),
        )
        for variable in variables
    }


def _pointed_at(variables: Sequence[Variable], by_name: Mapping[str, Variable]) -> set[str]:
    """Return the names of bounds and auxiliary coordinate variables."""
    found = set()
    for variable in variables:
        for key in ("bounds", "climatology", "coordinates"):
            for word in (_word(variable.attributes.get(key)) or "").split():
                if (target := find(word, variable.name, by_name)) is not None:
                    found.add(target.name)
    return found | {name for name in by_name if _is_named_bounds(name, by_name)}


def _is_named_bounds(name: str, by_name: Mapping[str, Variable]) -> bool:
    """Tell whether a variable bounds a coordinate by its name alone: GOES declares no `bounds` for y_image_bounds."""
    base = by_name.get(_BOUNDS_END.sub("", name))
    if base is None or base.name == name or len(by_name[name].shape) != len(base.shape) + 1:
        return False
    return _role(base, pointed=False) in (Role.COORDINATE, Role.TIME)


def find(word: str, origin: str, by_name: Mapping[str, Variable]) -> Variable | None:
    """Return the variable that `word` names as seen from the variable `origin`."""
    if word.startswith("/"):
        return by_name.get(word[1:])
    group = origin.rpartition("/")[0]
    while True:
        candidate = by_name.get(f"{group}/{word}" if group else word)
        if candidate is not None or not group:
            return candidate
        group = group.rpartition("/")[0]


def _word(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _role(variable: Variable, pointed: bool) -> Role:
    attributes = variable.attributes
    last = variable.name.rsplit("/", 1)[-1]
    units = _word(attributes.get("units"))
    if variable.dtype == TEXT:
        return Role.COORDINATE if last in variable.dimensions else role_of(variable.name, "text")
    if "flag_values" in attributes or "flag_masks" in attributes or variable.is_enum:
        return Role.CODE
    kind = kind_of(variable.dtype)
    if kind == "time" or (units and _TIME_UNITS.match(units)):
        return Role.TIME
    # A name that is also one of its own dimensions is that dimension's coordinate (CF 5).
    if last in variable.dimensions or variable.is_scale or pointed or _names_an_axis(variable, units):
        return Role.COORDINATE
    return role_of(variable.name, kind, units)


def _names_an_axis(variable: Variable, units: str | None) -> bool:
    attributes = variable.attributes
    if units and (_NORTH.match(units) or _EAST.match(units)):
        return True
    standard = _word(attributes.get("standard_name"))
    axis = _word(attributes.get("axis"))
    return standard in _COORDINATE_NAMES or axis in ("X", "Y", "Z", "T") or "positive" in attributes


def kind_of(dtype: str) -> str:
    """Return model.schema's word for a dtype word."""
    if dtype == TEXT:
        return "text"
    kinds = {
        "f": "float",
        "i": "integer",
        "u": "integer",
        "b": "boolean",
        "c": "complex",
        "M": "time",
        "m": "time",
    }
    return kinds[np.dtype(dtype).kind]


def _number(value: Any) -> float | None:
    """Return a single number of an attribute as Python's, None where it is none."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size == 1 else None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def scale_of(attributes: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return (factor, offset) where scale_factor or add_offset declare a usable one (CF 8.1)."""
    if "scale_factor" not in attributes and "add_offset" not in attributes:
        return None
    factor = _number(attributes.get("scale_factor", 1.0))
    offset = _number(attributes.get("add_offset", 0.0))
    if factor is None or offset is None or not np.isfinite([factor, offset]).all() or factor == 0:
        return None
    return float(factor), float(offset)


def fill_of(attributes: Mapping[str, Any], dtype: str) -> Any:
    """Return the stored value that means missing: _FillValue, else missing_value; None if undeclared."""
    if dtype == TEXT:
        return None
    for key in ("_FillValue", "missing_value"):
        value = attributes.get(key)
        number = _number(value)
        if number is None:
            continue
        stored = _as_stored(number, np.dtype(dtype))
        if stored is not None:
            return stored
    return None


def _as_stored(number: float, dtype: "np.dtype[Any]") -> Any:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not np.isfinite(number) or number != int(number) or not limits.min <= number <= limits.max:
            return None
        return int(number)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(number))
    return None


def witnesses_of(variable: Variable) -> tuple[Witness, ...]:
    """Return the declared ranges in stored numbers (CF 2.5.1; actual_range is in physical ones)."""
    attributes, found = variable.attributes, []
    if variable.dtype == TEXT or np.dtype(variable.dtype).kind not in "iuf":
        return ()
    if "_Unsigned" in attributes or "signtype" in attributes:  # the range is of the bits read the other way
        return ()
    fill = fill_of(attributes, variable.dtype)
    other = attributes.get("missing_value")
    if other is not None and "_FillValue" in attributes and _number(other) != fill and _number(other) == _number(other):
        return ()  # two kinds of missing: the second one may lie outside the range
    limits: list[tuple[str, str, Any]] = []
    both = _pair(attributes.get("valid_range"))
    if both is not None:
        limits += [
            ("minimum", "valid_range", both[0]),
            ("maximum", "valid_range", both[1]),
        ]
    limits += [
        ("minimum", "valid_min", attributes.get("valid_min")),
        ("maximum", "valid_max", attributes.get("valid_max")),
    ]
    actual = _pair(attributes.get("actual_range"))
    if actual is not None:
        limits += [
            ("min", "actual_range", actual[0]),
            ("max", "actual_range", actual[1]),
        ]
    scale = scale_of(attributes)
    for fact, origin, value in limits:
        number = _number(value)
        if number is None or np.isnan(number):
            continue
        declared = np.asarray(value).dtype
        physical = origin == "actual_range" or (declared.kind == "f" and np.dtype(variable.dtype).kind in "iu")
        if scale is not None and physical:
            factor, offset = scale
            number = (number - offset) / factor
            fact = _swapped(fact) if factor < 0 else fact
            found.append(
                Witness(
                    variable.name,
                    fact,
                    number,
                    f"attribute {origin}",
                    max(_ROUNDING, abs(1e-3 / number) if number else 0),
                )
            )
        else:
            rounding = _ROUNDING if origin == "actual_range" or declared != np.dtype(variable.dtype) else 0.0
            found.append(Witness(variable.name, fact, number, f"attribute {origin}", rounding))
    return tuple(found)


def _swapped(fact: str) -> str:
    return {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min"}[fact]


def _pair(value: Any) -> tuple[Any, Any] | None:
    if isinstance(value, np.ndarray) and value.size == 2 and value.dtype.kind in "iuf":
        low, high = value.reshape(-1)
        return low, high
    return None


def _axis_of(variable: Variable) -> str | None:
    """Return "X" or "Y" for a coordinate variable of that axis."""
    attributes = variable.attributes
    units = _word(attributes.get("units")) or ""
    standard = _word(attributes.get("standard_name"))
    axis = _word(attributes.get("axis"))
    if axis in ("X", "Y"):
        return axis
    if _NORTH.match(units) or standard in _Y_STANDARD:
        return "Y"
    if _EAST.match(units) or standard in _X_STANDARD:
        return "X"
    return None


def _spatial(
    variable: Variable, by_name: Mapping[str, Variable], axes: Mapping[str, str | None]
) -> tuple[int, int] | None:
    """Return the (y, x) axes of a grid; None for coordinates, lines and what declares neither."""
    if len(variable.shape) < 2 or variable.dtype == TEXT:
        return None
    found: dict[str, int] = {}
    for at, dimension in enumerate(variable.dimensions):
        if dimension is None:
            continue
        coordinate = find(dimension, variable.name, by_name)
        axis = axes[coordinate.name] if coordinate is not None and coordinate.name != variable.name else None
        word = dimension.lower()
        axis = axis or ("Y" if word in _Y_NAMES else "X" if word in _X_NAMES else None)
        if axis is not None:
            found[axis] = at
    if len(found) == 2:
        return found["Y"], found["X"]
    if "grid_mapping" in variable.attributes:
        return len(variable.shape) - 2, len(variable.shape) - 1
    return None
