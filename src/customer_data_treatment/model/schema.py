"""What a field is for, guessed from its name, dtype and units where nobody says."""

import re

from ..vocabulary import Role

_COORDINATE = re.compile(
    r"(^|_)(lat|lon|latitude|longitude|ra|dec|x|y|z|easting|northing|altitude|depth|level)(_?\d)?$"
)
_INDEX = re.compile(r"(^|_)(index|idx|row|rownum|unnamed: 0)$")
_TIME = re.compile(r"(^|_|\b)(time|date|datetime|timestamp|year|month|day|hour|epoch|mjd|jd)($|_|\b)")
_TIME_UNITS = re.compile(r"^\s*(seconds?|minutes?|hours?|days?|months?|years?|[mun]s|s|h|d)\s+since\s", re.IGNORECASE)
_DEGREES = re.compile(r"^degrees?_?(north|east|n|e)$", re.IGNORECASE)
_IDENTIFIER = re.compile(r"(^|_)(id|uid|uuid|guid|accession|barcode|mrn|identifier)$")
_WEIGHT = re.compile(r"(^|_)(weight|weights|wgt|ivar)$")
_MASK = re.compile(r"(^|_)(mask|flag|flags|dq|quality_flag)$")


def role_of(name: str, kind: str, units: str | None = None) -> Role:
    """Return the likely role of a field called `name` (last path part counts).

    `kind` is one of "float", "integer", "boolean", "text", "time", "category", "complex".
    """
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.rsplit("/", 1)[-1]).lower()
    if kind == "time" or (units and _TIME_UNITS.match(units)):
        return Role.TIME
    if kind == "boolean":
        return Role.MASK
    if kind == "category":
        return Role.CODE
    if _IDENTIFIER.search(word):
        return Role.IDENTIFIER
    if kind == "text":
        return Role.TEXT
    if (units and _DEGREES.match(units)) or _COORDINATE.search(word):
        return Role.COORDINATE
    if _INDEX.search(word):
        return Role.IDENTIFIER if kind == "integer" else Role.COORDINATE
    if _TIME.search(word) and kind in ("float", "integer"):
        return Role.TIME
    if _MASK.search(word) and kind == "integer":
        return Role.MASK
    if _WEIGHT.search(word):
        return Role.WEIGHT
    return Role.MEASUREMENT
