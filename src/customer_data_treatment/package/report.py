"""report.html: one self-contained page of a certificate, for people.

No script, no network, no clock, no path: equal arguments give equal bytes. It stays under 1 MB for
ordinary datasets: at most 40 fields are drawn, those with the worst fidelity and the biggest ones.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from . import drawing, report_cards, wording
from .crate_people import identifier_of
from .pictures import Picture
from .wording import number, plural, share, size

_CHECKS, _FINDINGS, _FIELDS, _CARRIED = 400, 200, 1000, 200
_MARKS = {
    "PUBLICATION_READY": "M3 8.5l3.2 3.2L13 4.8",
    "RESEARCH_GRADE": "M3 8.5l3.2 3.2L13 4.8",
    "EXPLORATORY": "M3 8h10",
    "NOT_CERTIFIED": "M4 4l8 8M12 4l-8 8",
}

Row = dict[str, Any]


def render(body: Mapping[str, Any], plan: Mapping[str, Any], pictures: Mapping[str, Picture]) -> str:
    """Return the page.

    `body` is the certificate's, `plan` the plan that was carried out, `pictures` is keyed by field
    name (TABLE/COLUMN for a column, the table's name for its missing cells). `body.issued` is not
    shown: the page is the same whenever it is made.
    """
    return _template().render(body=body, page=_page(body, plan, pictures), css=drawing.vouched(_css()))


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_read("report.html"))


@cache
def _css() -> str:
    return _read("report.css").strip()


def _read(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _page(body: Mapping[str, Any], plan: Mapping[str, Any], pictures: Mapping[str, Picture]) -> Row:
    fields, listed = wording.counted_fields(body), body.get("fields", ())
    cards, anchors = report_cards.cards(body, pictures)
    findings = wording.grouped(body.get("findings", ()))
    checks, carried = body.get("checks", ()), body.get("carried", ())
    bounded = any((f.get("encoding") or {}).get("form", "exact") != "exact" for f in fields)
    return {
        "title": str((body.get("metadata") or {}).get("title") or body["source"]["name"]),
        "kind": f"{body['format']}, {body['modality'].replace('_', ' ')}",
        "level_name": wording.LEVELS[body["level"]][0],
        "mark": drawing.vouched(
            f'<svg viewBox="0 0 16 16" aria-hidden="true"><path d="{_MARKS[body["level"]]}"/></svg>'
        ),
        "verdict": wording.verdict(body),
        "tiles": _tiles(body, fields),
        "datasets": [_dataset(entry) for entry in body.get("datasets", ())],
        "gates": _gates(body),
        "dimensions": _dimensions(body),
        "checks": [_check(check) for check in checks[:_CHECKS]],
        "checks_left": max(0, len(checks) - _CHECKS),
        "findings": [_finding(*group) for group in findings[:_FINDINGS]],
        "findings_left": max(0, len(findings) - _FINDINGS),
        "fields": [_field(field, anchors) for field in listed[:_FIELDS]],
        "fields_left": max(0, len(listed) - _FIELDS),
        "fields_caption": _fields_caption(fields, bounded),
        "any_bounded": bounded,
        "cards": cards,
        "few": len(cards) <= 2,
        "cards_caption": _cards_caption(len(anchors), len(fields)),
        "bars": _bars(body.get("sizes") or {}),
        "sizes_sentence": _sizes_sentence(body),
        "facts": _facts(body, plan),
        "carried": [_carried(item) for item in carried[:_CARRIED]],
        "opening": _opening(body),
        "standards": [_standard(entry) for entry in body.get("standards", ())],
        "not_checked": _not_checked(body),
    }


def _tiles(body: Mapping[str, Any], fields: list[Mapping[str, Any]]) -> list[Row]:
    fidelity, sizes = body.get("fidelity") or {}, body.get("sizes") or {}
    worst = min(
        (item for item in (body.get("dimensions") or {}).items() if item[1].get("score") is not None),
        key=lambda item: item[1]["score"],
        default=None,
    )
    decided = "nothing assessed" if worst is None else f"decided by {worst[0]}"
    decided = "no violation in any assessed dimension" if worst and worst[1]["score"] == 1 else decided
    asked = fidelity.get("requested")
    exact = fidelity.get("value") in (None, 1, 1.0)
    ratio = sizes.get("ratio")
    kept = f"worst field: {fidelity.get('field')}" + (f"; {number(asked)} asked" if asked else "")
    cells = (
        (
            "Quality score",
            share(body.get("score")),
            decided,
        ),
        (
            "Fidelity",
            share(fidelity.get("value")),
            kept if not exact else "every value exact" if fidelity.get("value") else "no fields",
        ),
        (
            "Stored / source",
            wording.percent(ratio, 1) if ratio else wording.NONE,
            f"{size(sizes.get('stored'))} of {size(sizes.get('source'))}" if sizes else "",
        ),
        (
            "Datasets" if body.get("datasets") else "Fields",
            number(len(body.get("datasets") or fields)),
            plural(len(body.get("findings", ())), "finding"),
        ),
    )
    return [{"name": name, "value": value, "note": note} for name, value, note in cells]


def _dataset(entry: Mapping[str, Any]) -> Row:
    error = entry.get("error")
    level = entry.get("level") or "NOT_CERTIFIED"
    return {
        "name": entry["name"],
        "report": f"{identifier_of(entry['path'])}/report.html" if entry.get("path") else "",
        "level": wording.LEVELS[level][0],
        "score": share(entry.get("score")),
        "remark": f"could not be read: {error['message']}" if error else str(entry.get("format") or ""),
    }


def _gates(body: Mapping[str, Any]) -> list[Row]:
    words = {
        True: ("pass", "✓ passed", 0),
        False: ("fail", "✗ failed", 1),
        None: ("none", "– not assessed", 2),
    }
    rows = []
    for name, texts in wording.GATES.items():
        state, word, index = words[(body.get("gates") or {}).get(name)]
        rows.append({"name": name.capitalize(), "state": state, "word": word, "about": texts[index]})
    return rows


def _dimensions(body: Mapping[str, Any]) -> list[Row]:
    checks = {check["name"]: check for check in body.get("checks", ())}
    rows = []
    for name, question in wording.DIMENSIONS.items():
        entry = (body.get("dimensions") or {}).get(name) or {}
        score, decided = entry.get("score"), entry.get("check")
        why = _decisive(checks[decided]) if decided in checks else decided or ""
        rows.append(
            {
                "name": name.capitalize(),
                "question": question,
                "plot": drawing.vouched(drawing.scale_dot(score)) if score is not None else "",
                "score": share(score),
                "why": why if score is not None else "Not assessed: no required check had anything to examine",
            }
        )
    return rows


def _decisive(check: Mapping[str, Any]) -> str:
    """Say what the deciding check counted: its message speaks of violations, so only with one."""
    examined = f"{number(check['examined'])} examined"
    if check["examined"] < check["scope"]:
        examined += f" of {number(check['scope'])}"
    if not check["violations"]:
        return f"{check['name']}: none violates, {examined}"
    return f"{check['name']}: {check['message']}; {number(check['violations'])} of {examined}"


def _check(check: Mapping[str, Any]) -> Row:
    row = {key: check[key] for key in ("name", "dimension", "kind")}
    counts = {key: number(check[key]) for key in ("scope", "examined", "violations")}
    return row | counts | {"score": share(check.get("score"))}


def _finding(finding: Mapping[str, Any], messages: list[str]) -> Row:
    return {
        "severity": finding["severity"],
        "messages": [message[:1].upper() + message[1:] for message in messages],
        "where": finding.get("where") or "",
        "remedy": wording.remedy(finding),
    }


def _field(field: Mapping[str, Any], anchors: Mapping[str, str]) -> Row:
    units, encoding = field.get("units"), field.get("encoding") or {}
    return {
        "name": _breakable(field["name"]),
        "anchor": anchors.get(field["name"]),
        "shape": wording.shape(field),
        "dtype": field.get("dtype") or "",
        "units": units or "",
        "role": field.get("role") or "",
        "form": "" if field.get("kind") == "table" else encoding.get("form") or "exact",
        "within": "" if encoding.get("bound") is None else number(encoding["bound"], 3),
        "fidelity": share(field["fidelity"]["value"]) if field.get("fidelity") else "",
        "decoded": size(field["bytes_decoded"]) if field.get("bytes_decoded") is not None else "",
        "stored": size(field["bytes_stored"]) if field.get("bytes_stored") is not None else "",
    }


def _breakable(name: str) -> Markup:
    return drawing.vouched(str(escape(name)).replace("/", "/<wbr>").replace("_", "_<wbr>"))


def _fields_caption(fields: list[Mapping[str, Any]], bounded: bool) -> str:
    head = f"{plural(len(fields), 'field')}; "
    if not bounded:
        return head + "every value is stored exactly"
    return head + (
        "“within” is the largest difference of a decoded value from the original, proven on every value, "
        "in the field's units (in stored numbers where those are scaled); "
        "fidelity is the worst of error over spread, correlation, distribution and image similarity"
    )


def _cards_caption(drawn: int, total: int) -> str:
    if drawn >= total:
        return "Distributions come from one seeded sample of each field."
    head = f"{drawn} of {total} fields are drawn, each from one seeded sample"
    if drawn >= report_cards.DRAWN:
        return f"{head}: the least faithful and the biggest."
    return f"{head}; identifiers, labels and text never are."


def _bars(sizes: Mapping[str, Any]) -> list[Row]:
    names = {
        "source": "Source, as it came",
        "decoded": "Decoded",
        "stored": "Stored",
        "papers": "Papers beside it",
    }
    known = {key: sizes[key] for key in names if sizes.get(key) is not None}
    top = max(known.values(), default=0) or 1
    return [
        {
            "name": names[key],
            "kind": "kept" if key == "stored" else "",
            "width": f"{100 * value / top:.1f}",
            "size": size(value),
        }
        for key, value in known.items()
    ]


def _sizes_sentence(body: Mapping[str, Any]) -> str:
    sizes = body.get("sizes") or {}
    ratio = sizes.get("ratio")
    if not ratio:
        return "Nothing is stored under data/."
    text = f"Stored / source is {number(ratio, 3)}"
    if sizes.get("decoded"):
        text += f", stored / decoded {number(sizes['stored'] / sizes['decoded'], 3)}"
    more = " The source was compressed already, or holds more than its fields." if ratio > 1 else ""
    papers = "Stored counts everything under data/; the papers counted here are evidence and plan."
    return f"{text}. {papers}{more}"


def _facts(body: Mapping[str, Any], plan: Mapping[str, Any]) -> list[Row]:
    source, metadata = body["source"], body.get("metadata") or {}
    product = f"{body['product']['name']} {body['product']['version']}"
    encodings = [field.get("encoding") or {} for field in body.get("fields", ())]
    codecs = sorted({str(encoding["codec"]) for encoding in encodings if encoding.get("codec")})
    versions = ", ".join(f"{name} {version}" for name, version in sorted((plan.get("versions") or {}).items()))
    rest = f", {plural(source['files'], 'file')}" if source.get("files", 1) != 1 else ""
    rows = [
        ("Source", f"{source['name']} ({size(source['bytes'])}{rest})", False),
        ("Source's SHA-256", source.get("sha256"), True),
        ("Format", f"{body['format']}; {body['modality'].replace('_', ' ')}", False),
        ("Creators", _names(metadata.get("creators")), False),
        ("Institution", _names(metadata.get("institution")), False),
        ("Licence", _names(metadata.get("license") or metadata.get("licence")), False),
        ("Contact", _names(metadata.get("contact")), False),
        ("Keywords", _names(metadata.get("keywords")), False),
        ("Software", versions or product, False),
        ("Bound asked for", wording.asked_bounds(body), False),
        ("Privacy", body.get("privacy"), False),
        ("Codecs", ", ".join(codecs), False),
        ("Content's SHA-256", body.get("content_sha256"), True),
    ]
    return [{"name": name, "value": value, "mono": mono} for name, value, mono in rows if value]


def _names(said: Any) -> str:
    """Return metadata as people write it - text, a mapping with a name, or a list of either - as text."""
    if not said:
        return ""
    if isinstance(said, Mapping):
        name = str(said.get("name") or said.get("email") or said.get("id") or said.get("url") or "")
        orcid = str(said.get("orcid") or "").rsplit("/", 1)[-1]
        return f"{name} (ORCID {orcid})" if orcid else name
    if isinstance(said, str):
        return said
    return ", ".join(filter(None, (_names(part) for part in said)))


def _carried(item: Mapping[str, Any]) -> Row:
    return {
        "name": item["name"],
        "description": item.get("description") or "",
        "size": size(item.get("bytes")),
    }


def _opening(body: Mapping[str, Any]) -> str:
    kinds = {field.get("kind") for field in body.get("fields", ())}
    lines = []
    if "array" in kinds:
        lines.append('xarray.open_datatree("PACKAGE/data/arrays.zarr", engine="zarr")')
    if kinds & {"table", "column"}:
        paths = [str(field["node"]) for field in body["fields"] if field.get("kind") == "table"]
        path = paths[0] if len(paths) == 1 else "data/tables/NAME.parquet"
        lines.append(f'pyarrow.parquet.read_table("PACKAGE/{path}")')
    return "\n".join(lines)


def _standard(entry: Mapping[str, Any]) -> Row:
    met, of = entry["met"], entry["of"]
    return {
        "sentence": f"{met} of {of} machine-checkable requirements of {entry['standard']} met.",
        "missing": [str(name) for name in entry.get("missing", ())],
    }


def _not_checked(body: Mapping[str, Any]) -> list[str]:
    lines = [str(line)[:1].upper() + str(line)[1:] for line in body.get("not_checked", ())]
    return lines or ["Whether the measurements are true: a check sees only what the data and its schema say."]
