"""Columns of ASCII tables: numbers written out in fixed places (FITS Standard 4.0, section 7.2).

Integers become int64, reals float64 as written; a blank cell or one that equals TNULL is missing.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ....errors import CustomerError
from . import columns
from .cards import Header

# A column of nothing but ordinary numbers (reals with a point, integers of at most 18 digits) is read at once.
_REAL = rb"[+-]?(?:\d++\.\d*+|\.\d++)(?:[ED][+-]?\d++)?+"
_WHOLE = rb"[+-]?\d{1,18}"
_PLAIN = {kind: re.compile(rb"(?:%b(?: |$))*+" % form) for kind, form in ((False, _REAL), (True, _WHOLE))}
_TFORM = re.compile(r"([AIFED])(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class TextColumn:
    """Where a column lies in a line and how its text reads; the same names as columns.ColumnSpec has."""

    number: int
    name: str
    code: str
    offset: int
    width: int
    digits: int
    null: str | None
    scale: tuple[float, float] | None = None
    units: str | None = None
    description: str = ""
    variable: int = 0

    @property
    def arrow_type(self) -> pa.DataType:
        """Return the Arrow type of a cell."""
        return pa.string() if self.code == "A" else pa.int64() if self.code == "I" else pa.float64()


def specs_of(header: Header, index: int, where: str) -> tuple[TextColumn, ...]:
    """Return the columns of an ASCII table's header; raise CustomerError (corrupt)."""
    fields = header.integer("TFIELDS")
    if fields is None or not 0 <= fields <= 999:
        raise invalid(index, where, "TFIELDS is missing or no number from 0 to 999")
    out: list[TextColumn] = []
    taken: set[str] = set()
    for number in range(1, fields + 1):
        form = _TFORM.fullmatch(header.string(f"TFORM{number}").strip())
        start = header.integer(f"TBCOL{number}")
        if form is None or start is None or start < 1:
            raise invalid(index, where, f"TFORM{number} or TBCOL{number} is missing or unknown")
        width = int(form[2])
        if width == 0 or start - 1 + width > (header.integer("NAXIS1") or 0):
            raise invalid(index, where, f"column {number} does not lie inside the line")
        factor, zero = (
            header.number(f"TSCAL{number}", 1.0),
            header.number(f"TZERO{number}", 0.0),
        )
        null = header.values.get(f"TNULL{number}")
        out.append(
            TextColumn(
                number=number,
                name=columns.unique(header.string(f"TTYPE{number}").strip() or f"col{number}", taken),
                code=form[1],
                offset=start - 1,
                width=width,
                digits=int(form[3] or 0),
                null=None if null is None else str(null).strip(),
                scale=None if form[1] == "A" or (factor, zero) == (1, 0) else (float(factor), float(zero)),
                units=header.string(f"TUNIT{number}") or None,
                description=header.string(f"TCOMM{number}") or header.comment(f"TTYPE{number}"),
            )
        )
    return tuple(out)


def invalid(index: int, where: str, what: str) -> CustomerError:
    """Return the error for a table whose header cannot be true."""
    return CustomerError(
        f"the table of HDU {index} is invalid: {what}",
        code="corrupt",
        where=where,
        remedy="fetch it again",
    )


def decode(spec: TextColumn, cells: "np.ndarray[Any, Any]") -> pa.Array:
    """Return (rows, width) bytes of a column as an Arrow array; raise ValueError for text that is no number."""
    flat = np.ascontiguousarray(cells).reshape(-1)
    if spec.code == "A":
        return columns.text(flat, spec.width)
    written = np.strings.strip(flat.view(f"S{spec.width}"))
    null = None if spec.null is None else spec.null.encode("latin-1")
    plain = bool((written != b"").all()) and (null is None or bool((written != null).all()))
    if plain and _PLAIN[spec.code == "I"].fullmatch(b" ".join(written.tolist())):
        if spec.code == "I":
            return pa.array(written.astype(np.int64))
        return pa.array(np.strings.replace(written, b"D", b"E").astype(np.float64))
    values = [None if item in (b"", null) else _number(spec, item) for item in written.tolist()]
    return pa.array(values, spec.arrow_type)


def _number(spec: TextColumn, item: bytes) -> float | int:
    if b"_" in item:
        raise ValueError("an underscore is no part of a number")
    if spec.code == "I":
        return int(item)
    written = re.sub(
        rb"(?<=[\d.])\s*([+-]\d+)$",
        rb"E\1",
        item.upper().replace(b"D", b"E").replace(b"EE", b"E"),
    )
    if b"." not in written and spec.digits:  # Fortran's implied point
        digits, _, power = written.partition(b"E")
        return float(b"%sE%d" % (digits, int(power or b"0") - spec.digits))
    return float(written)


def encode(spec: TextColumn, cells: pa.Array, pad: bytes = b" ") -> "np.ndarray[Any, Any]":
    """Return an Arrow array as (rows, width) bytes: canonical where that is exact, else as many digits as fit."""
    if spec.code == "A":
        return columns.fixed_text(cells, spec.width, b" ")
    missing = (spec.null or "").rjust(spec.width).encode("latin-1")[: spec.width]
    items = cells.to_pylist()
    lines = _canonical(spec, items) if cells.null_count == 0 and items else None
    if lines is None:
        lines = [missing if item is None else _written(spec, item) for item in items]
    return np.array(lines, dtype=f"S{spec.width}").view(np.uint8).reshape(-1, spec.width)


def _canonical(spec: TextColumn, values: list[Any]) -> list[bytes] | None:
    """Return all values in the column's own format, None where one of them would change or not fit."""
    style = "d" if spec.code == "I" else f".{spec.digits}{'f' if spec.code == 'F' else 'E'}"
    forms = [f"{value:{spec.width}{style}}".encode("ascii") for value in values]
    if max(map(len, forms)) > spec.width:
        return None
    if spec.code != "I" and not np.array_equal(np.array(forms).astype(np.float64), np.array(values)):
        return None
    return [form.replace(b"E", b"D") for form in forms] if spec.code == "D" else forms


def _written(spec: TextColumn, value: float) -> bytes:
    if spec.code == "I":
        return b"%*d" % (spec.width, value)
    style = "f" if spec.code == "F" else "E"
    exponent = "D" if spec.code == "D" else "E"
    for form in (f"{value:{spec.width}.{spec.digits}{style}}", repr(value).upper()):
        if len(form) <= spec.width and float(form) == value:
            return form.replace("E", exponent).rjust(spec.width).encode("ascii")
    for precision in range(17, 0, -1):
        form = f"{value:#.{precision}G}"
        if len(form) <= spec.width:
            return form.replace("E", exponent).rjust(spec.width).encode("ascii")
    raise CustomerError(
        "a value does not fit its column's width in the FITS table",
        where=f"column {spec.name}",
        remedy="restore exactly",
    )
