"""REDCap data dictionaries: the CSV that a project exports, as rules of its data export.

A checkbox becomes a column for each choice (NAME___CODE), a form a column FORM_complete. A required
field with branching logic need not be answered; one without must be, in the rows where its form was
opened. The first field is the record; events and repeats join it to the key.
"""

import csv
import io
import re
from dataclasses import replace

from .requirements import ColumnRule, TableRule
from .structured import fault

# the column titles of an export, and their names in the API
_TITLES = {
    "name": ("Variable / Field Name", "field_name"),
    "form": ("Form Name", "form_name"),
    "type": ("Field Type", "field_type"),
    "choices": ("Choices, Calculations, OR Slider Labels", "select_choices_or_calculations"),
    "validation": (
        "Text Validation Type OR Show Slider Number",
        "text_validation_type_or_show_slider_number",
    ),
    "minimum": ("Text Validation Min", "text_validation_min"),
    "maximum": ("Text Validation Max", "text_validation_max"),
    "identifier": ("Identifier?", "identifier"),
    "branching": ("Branching Logic (Show field only if...)", "branching_logic"),
    "required": ("Required Field?", "required_field"),
}
_COMPANIONS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
_TYPES = frozenset(
    [
        "text",
        "notes",
        "radio",
        "dropdown",
        "checkbox",
        "yesno",
        "truefalse",
        "slider",
        "calc",
        "file",
        "signature",
        "descriptive",
        "sql",
    ]
)
_PATTERNS = {
    "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "zipcode": r"\d{5}(-\d{4})?",
    "alpha_only": r"[A-Za-z]+",
}
_FORMATS = {
    "date": ("date", ("%Y-%m-%d",)),
    "datetime_seconds": ("datetime", ("%Y-%m-%d %H:%M:%S",)),
    "datetime": ("datetime", ("%Y-%m-%d %H:%M",)),
    "time": ("time", ("%H:%M", "%H:%M:%S")),
}
_CODE = "bad-schema"


def is_dictionary(raw: bytes) -> bool:
    """Return whether these bytes begin as a REDCap data dictionary."""
    first = raw[:4096].decode("utf-8-sig", "replace").lstrip().split("\n", 1)[0]
    return all(any(title in first for title in _TITLES[word]) for word in ("name", "type", "form"))


def parse_dictionary(raw: bytes, name: str) -> TableRule:
    """Return the rules a dictionary gives; raise CustomerError (bad-schema) with the line that is wrong."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[ColumnRule] = []
    forms: dict[str, None] = {}
    try:
        header = next(reader)
        at = {word: _position(header, titles) for word, titles in _TITLES.items()}
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                raise fault(f"a row of {len(row)} cells under {len(header)} titles", name, _CODE, reader.line_num)
            said = {word: row[place].strip() if place is not None else "" for word, place in at.items()}
            if said["form"]:
                forms[said["form"]] = None
            columns += _field(said, name, reader.line_num, first=not columns)
    except csv.Error as error:
        raise fault(f"it is no CSV: {error}", name, _CODE, reader.line_num) from error
    if not columns:
        raise fault("it describes no field", name, _CODE, 1)
    names = [column.name for column in columns]
    if twice := sorted({column for column in names if names.count(column) > 1}):
        raise fault(f"it names the field {twice[0]} twice", name, _CODE)
    key = (columns[0].name,)
    states = ("0", "1", "2", "Incomplete", "Unverified", "Complete")
    columns += [ColumnRule(f"{form}_complete", enum=states, optional=True) for form in forms]
    return TableRule(tuple(columns), key=key, key_companions=_COMPANIONS, partial=True)


def _position(header: list[str], titles: tuple[str, ...]) -> int | None:
    plain = [title.strip().strip('"') for title in header]
    return next((plain.index(title) for title in titles if title in plain), None)


def _field(said: dict[str, str], name: str, line: int, *, first: bool) -> list[ColumnRule]:
    variable, kind = said["name"], said["type"].lower()
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", variable):
        raise fault("a variable has no valid name", name, _CODE, line)
    if kind not in _TYPES:
        raise fault(f"the field type {kind!r} is unknown", name, _CODE, line)
    if kind == "descriptive":
        return []
    asked = said["required"].lower() == "y"
    branching = bool(said["branching"])
    plain = ColumnRule(
        variable,
        required=first or (asked and not branching),
        optional=branching and not first,
        identifier=said["identifier"].lower() == "y",
        asked_where=f"{said['form']}_complete" if said["form"] and not first else None,
    )
    if kind == "checkbox":
        ticked = replace(plain, required=False, enum=("0", "1", "Unchecked", "Checked"))
        return [
            replace(ticked, name=f"{variable}___{code.lower().replace('-', '_')}")
            for code, _ in _choices(said["choices"], name, line)
        ]
    if kind in ("radio", "dropdown"):
        choices = _choices(said["choices"], name, line)
        words = tuple(dict.fromkeys([code for code, _ in choices] + [label for _, label in choices]))
        return [replace(plain, enum=words)]
    if kind in ("yesno", "truefalse"):
        words = ("0", "1", "No", "Yes") if kind == "yesno" else ("0", "1", "False", "True")
        return [replace(plain, enum=words)]
    if kind == "slider":
        low, high = _number(said["minimum"], name, line), _number(said["maximum"], name, line)
        bounds = (0 if low is None else low, 100 if high is None else high)
        return [replace(plain, type="number", minimum=bounds[0], maximum=bounds[1])]
    return [_text(plain, said, name, line) if kind == "text" else plain]


def _text(plain: ColumnRule, said: dict[str, str], name: str, line: int) -> ColumnRule:
    """Return the rule of a text field by its validation type; exports hold dates as ISO whatever was typed."""
    validation = said["validation"].lower()
    for word, (kind, formats) in _FORMATS.items():
        if validation == word or (validation.startswith(f"{word}_") and validation[len(word) + 1 :] in _ORDERS):
            low_date, high_date = (
                text if re.match(r"\d{2,4}[-:]", text) else None for text in (said["minimum"], said["maximum"])
            )
            return replace(plain, type=kind, minimum=low_date, maximum=high_date, formats=formats)
    if validation.startswith(("int", "number", "float")):
        kind = "integer" if validation.startswith("int") else "number"
        low, high = _number(said["minimum"], name, line), _number(said["maximum"], name, line)
        decimal = "," if validation.endswith("comma_decimal") else "."
        return replace(plain, type=kind, minimum=low, maximum=high, decimal=decimal)
    return replace(plain, pattern=_PATTERNS.get(validation))


_ORDERS = ("ymd", "mdy", "dmy", "hh_mm_ss", "mm_ss", "seconds_ymd", "seconds_mdy", "seconds_dmy")


def _choices(written: str, name: str, line: int) -> list[tuple[str, str]]:
    choices = []
    for part in written.split("|"):
        code, comma, label = part.partition(",")
        if not comma or not code.strip():
            raise fault("a choice is not written as CODE, LABEL", name, _CODE, line)
        choices.append((code.strip(), label.strip()))
    return choices


def _number(written: str, name: str, line: int) -> float | int | None:
    if not written or written.startswith("["):  # piped from another field: no fixed bound
        return None
    try:
        return int(written) if re.fullmatch(r"[+-]?\d+", written) else float(written.replace(",", "."))
    except ValueError as error:
        raise fault("a validation bound is no number", name, _CODE, line) from error
