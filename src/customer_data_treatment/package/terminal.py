"""The same certificate in a terminal, and the human answers of every command.

Colour only where the console has it; good at 80 columns; plain ASCII marks where the terminal's
encoding knows no others. Text that came from data is never read as markup.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from . import wording
from .wording import number, plural, share, size

_FIELDS, _FINDINGS, _PROBLEMS = 40, 25, 50
_STYLES = {
    "PUBLICATION_READY": "bold green",
    "RESEARCH_GRADE": "bold green",
    "EXPLORATORY": "bold yellow",
    "NOT_CERTIFIED": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "note": "cyan",
}
_ASCII = str.maketrans(
    {"×": "x", "✓": "+", "✗": "x", "–": "-", "−": "-", "…": "...", "→": "->", "·": "-", "±": "+-",
     "█": "#", "░": ".", "“": '"', "”": '"'}
)  # fmt: skip

Column = tuple[str, Literal["left", "right"]]  # heading and side


class _Page:
    """Writes to one console in the letters its encoding has."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._plain = not (console.encoding or "").lower().replace("-", "").startswith("utf")

    def text(self, words: object, style: str = "") -> Text:
        written = str(words).replace(wording.NARROW, " ")
        if self._plain:
            encoding = self.console.encoding or "ascii"
            written = written.translate(_ASCII).encode(encoding, "replace").decode(encoding)
        # A control character from a field's name must not steer the terminal.
        return Text("".join(c if c.isprintable() or c == "\n" else "?" for c in written), style=style)

    def say(self, words: object = "", style: str = "", indent: int = 0) -> None:
        written = self.text(words, style)
        self.console.print(Padding(written, (0, 0, 0, indent), expand=False) if indent else written)

    def line(self, name: str, what: str) -> None:
        """Print something to be copied: a path or a command, never folded."""
        self.console.print(self.text(f"{name:<9}", "dim") + self.text(what), soft_wrap=True)

    def head(self, words: str) -> None:
        self.console.print()
        self.say(words, "bold")

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[object]], indent: int = 2) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(name for name, _ in columns))
        for name, side in columns:
            right = side == "right"
            table.add_column(self.text(name, "dim"), justify=side, overflow="fold", no_wrap=right)
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else self.text(cell) for cell in row))
        self.console.print(Padding(table, (0, 0, 0, indent), expand=False))


def show(body: Mapping[str, Any], console: Console) -> None:
    """Print a certificate's body: verdict, gates, dimensions, findings, fields, sizes."""
    page = _Page(console)
    page.say(f"{body['source']['name']}  ({body['format']}, {body['modality'].replace('_', ' ')})", "bold")
    page.console.print(_level(page, body))
    page.console.print()
    page.say(wording.verdict(body))
    _datasets(page, body.get("datasets", ()))
    page.head("Gates")
    gates = body.get("gates") or {}
    page.table((("", "left"), ("", "left")), [(name, _gate(page, gates.get(name))) for name in wording.GATES])
    page.head("Quality")
    page.table(
        (("", "left"), ("", "right"), ("", "left"), ("", "left")),
        [_dimension(page, body, name) for name in wording.DIMENSIONS],
    )
    _findings(page, body.get("findings", ()))
    if not body.get("datasets"):
        _fields(page, body)
    page.head("Sizes")
    page.say(_sizes(body), indent=2)
    if standards := body.get("standards"):
        page.head("Standards, by what a machine can check")
        for entry in standards:
            page.say(f"{entry['met']} of {entry['of']} requirements of {entry['standard']} met", indent=2)
    if left_out := body.get("not_checked"):
        page.head("Not checked")
        for line in left_out:
            page.say(line, indent=2)


def summary(
    answer: Mapping[str, Any], body: Mapping[str, Any], console: Console, auto_stored: int | None = None
) -> None:
    """Print what `cdt treat` says: a few lines, how to open the package, and what to do next.

    `answer` is the --json answer. `auto_stored` is about how many bytes --bound auto would store,
    None where it was not estimated.
    """
    page = _Page(console)
    package = answer["package"]
    page.console.print(_level(page, body))
    page.say(wording.verdict(body))
    findings = body.get("findings", ())
    if findings:
        counts = [(plural(sum(f["severity"] == s for f in findings), s), s) for s in ("error", "warning", "note")]
        page.say("Findings: " + ", ".join(words for words, _ in counts if not words.startswith("0")))
        for finding in [f for f in findings if f["severity"] == "error"][:3]:
            page.say(finding["message"], _STYLES["error"], indent=2)
    if auto_stored is not None and answer["bytes_stored"] and auto_stored < 0.95 * answer["bytes_stored"]:
        saved = wording.percent(answer["bytes_stored"] - auto_stored, answer["bytes_stored"])
        page.say(f"--bound auto would store about {saved} less, at a fidelity of at least 0.99.")
    speed = answer.get("throughput_bytes_per_s")
    rate = f", {size(speed)}/s" if speed else ""
    page.say(f"{number(answer['seconds'], 3)} s{rate}, peak memory {size(answer['peak_rss_bytes'])}", "dim")
    page.console.print()
    page.line("Package", package)
    for index, line in enumerate(_opening(body, package)):
        page.line("" if index else "Open", line)
    page.line("Report", f"{package}/report.html")
    page.line("Next", f"cdt show {package}")
    page.line("", f"cdt verify {package}")


def inspected(answer: Mapping[str, Any], console: Console) -> None:
    """Print what `cdt inspect` found."""
    page = _Page(console)
    page.say(answer["source"], "bold")
    words = f"{answer['format']}, {answer['modality']} ({answer['data_type']})".replace("_", " ")
    page.say(f"{words}, {size(answer['bytes'])}")
    for entry in answer.get("datasets", ()):
        page.console.print()
        if error := entry.get("error"):
            page.say(f"{entry.get('name', entry.get('source', ''))}: {error['code']}: {error['message']}", "red")
        else:
            inspected(entry, console)
    arrays = [field for field in answer["fields"] if field["kind"] == "array"]
    if arrays:
        page.head(plural(len(arrays), "array"))
        heads: tuple[Column, ...] = (
            ("name", "left"),
            ("shape", "right"),
            ("type", "left"),
            ("units", "left"),
            ("role", "left"),
        )
        rows = [(f["name"], _shape(f), f["dtype"], f.get("units") or "", f["role"]) for f in arrays[:_FIELDS]]
        page.table(heads, rows)
        _more(page, len(arrays) - _FIELDS, "array")
    for field in answer["fields"]:
        if field["kind"] != "table":
            continue
        columns = field["columns"]
        rows_known = "" if field.get("rows") is None else f"{plural(field['rows'], 'row')}, "
        page.head(f"table {field['name']}: {rows_known}{plural(len(columns), 'column')}")
        heads = (("name", "left"), ("type", "left"), ("units", "left"), ("role", "left"))
        page.table(heads, [(c["name"], c["dtype"], c.get("units") or "", c["role"]) for c in columns[:_FIELDS]])
        _more(page, len(columns) - _FIELDS, "column")


def planned(answer: Mapping[str, Any], console: Console) -> None:
    """Print what `cdt plan` would do and about what it would cost."""
    page = _Page(console)
    page.say(answer["source"], "bold")
    page.say(f"{answer['format']}, {answer['modality'].replace('_', ' ')}")
    rows = []
    for entry in answer.get("fields", ()):
        encodings = [(entry["field"], entry.get("encoding"))]
        if entry.get("kind") == "table":
            encodings = [(f"{entry['field']}/{name}", how) for name, how in (entry.get("columns") or {}).items()]
        chunk = " × ".join(number(n) for n in entry.get("chunk") or ())
        rows += [
            (
                name,
                _form({"encoding": how, "units": entry.get("units")}),
                (how or {}).get("codec") or "",
                chunk,
            )
            for name, how in encodings
        ]
    page.head(plural(len(rows), "field"))
    page.table((("name", "left"), ("stored", "left"), ("codec", "left"), ("chunk", "right")), rows[:_FIELDS])
    _more(page, len(rows) - _FIELDS, "field")
    forecast = answer.get("forecast") or {}
    lines = [("Decoded", "bytes_decoded"), ("Stored, about", "bytes_stored"), ("Memory, at most", "memory_bytes")]
    known = [(page.text(name, "dim"), size(forecast[key])) for name, key in lines if forecast.get(key) is not None]
    if forecast.get("seconds") is not None:
        known.append((page.text("Time, about", "dim"), f"{number(forecast['seconds'], 2)} s"))
    if known:
        page.head("Forecast")
        page.table((("", "left"), ("", "left")), known)


def verified(answer: Mapping[str, Any], console: Console) -> None:
    """Print what `cdt verify` proved, or every file that does not hold."""
    page = _Page(console)
    checked = answer["checked"]
    looked = f"{plural(checked['files'], 'file')}, {size(checked['bytes'])}, {plural(checked['fields'], 'field')}"
    if answer["ok"]:
        page.say(f"✓ {answer['package']} verifies: {looked}", "bold green")
        proven = answer["bounds"] == "proven"
        page.say(
            "Bounds and fidelity were proven again on the source's own values."
            if proven
            else "Bounds and fidelity stand as recorded; --source proves them again."
        )
    elif answer["ok"] is None:
        page.say(
            f"– {answer['package']} is sealed and its key is not at hand: only its files were checked",
            "yellow",
        )
        page.say(looked)
    else:
        page.say(f"✗ {answer['package']} does not verify", "bold red")
        problems = answer["problems"]
        page.table((("", "left"), ("", "left")), [(p["file"], p["what"]) for p in problems[:_PROBLEMS]])
        _more(page, len(problems) - _PROBLEMS, "problem")
    if answer["signature"] == "none":
        page.say("It carries no signature: this finds damage, not a package rebuilt on purpose.", "dim")
    else:
        page.say(f"Signature: {answer['signature']}")


def formats(answer: Mapping[str, Any], console: Console) -> None:
    """Print the formats that can be treated."""
    page = _Page(console)
    heads: tuple[Column, ...] = (
        ("format", "left"),
        ("modality", "left"),
        ("suffixes", "left"),
        ("not kept", "left"),
        ("extra", "left"),
    )
    page.table(
        heads,
        [
            (
                page.text(entry["name"], "bold"),
                entry["modality"].replace("_", " "),
                " ".join(entry["suffixes"]),
                entry.get("lost") or "nothing",
                entry.get("extra") or "",
            )
            for entry in answer["formats"]
        ],
        indent=0,
    )


def restored(answer: Mapping[str, Any], console: Console) -> None:
    """Print where a package was restored to, and in which format."""
    page = _Page(console)
    page.say(f"✓ {answer['target']}", "bold green")
    same = answer.get("format") == answer.get("source_format")
    note = "the source's own format" if same else f"{answer.get('source_format')} has no writer here"
    page.say(f"{answer['format']} ({note}), {size(answer.get('bytes'))}")


def _level(page: _Page, body: Mapping[str, Any]) -> Text:
    fidelity, sizes = body.get("fidelity") or {}, body.get("sizes") or {}
    line = page.text(body["level"], _STYLES[body["level"]])
    line += page.text(f"  score {share(body.get('score'))}  fidelity {share(fidelity.get('value'))}")
    if sizes.get("ratio"):
        line += page.text(f"  stored {wording.percent(sizes['ratio'], 1)} of the source")
    return line


def _datasets(page: _Page, datasets: Sequence[Mapping[str, Any]]) -> None:
    if not datasets:
        return
    page.head(plural(len(datasets), "dataset"))
    rows = []
    for entry in datasets:
        level = entry.get("level") or "NOT_CERTIFIED"
        error = entry.get("error")
        remark = f"could not be read: {error['message']}" if error else entry.get("format") or ""
        rows.append((entry["name"], page.text(level, _STYLES[level]), share(entry.get("score")), remark))
    page.table((("name", "left"), ("level", "left"), ("score", "right"), ("", "left")), rows)


def _gate(page: _Page, passed: bool | None) -> Text:
    if passed is None:
        return page.text("– not assessed", "dim")
    return page.text("✓ passed", "green") if passed else page.text("✗ failed", "bold red")


def _dimension(page: _Page, body: Mapping[str, Any], name: str) -> tuple[object, ...]:
    entry = (body.get("dimensions") or {}).get(name) or {}
    score = entry.get("score")
    if score is None:
        return name, share(None), "", page.text("not assessed", "dim")
    grade = "green" if score >= 0.95 else "yellow" if score >= 0.85 else "red"
    filled = int(score * 20)
    return name, share(score), page.text("█" * filled + "░" * (20 - filled), grade), entry.get("check") or ""


def _findings(page: _Page, findings: Sequence[Mapping[str, Any]]) -> None:
    if not findings:
        return
    page.head(plural(len(findings), "finding"))
    groups = wording.grouped(findings)
    rows = []
    for finding, messages in groups[:_FINDINGS]:
        said = page.text("\n".join(messages))
        if finding.get("where"):
            said += page.text(f"\n{finding['where']}", "dim")
        rows.append((page.text(finding["severity"], _STYLES[finding["severity"]]), said))
    page.table((("", "left"), ("", "left")), rows)
    _more(page, len(groups) - _FINDINGS, "finding")


def _fields(page: _Page, body: Mapping[str, Any]) -> None:
    fields = body.get("fields", ())
    counted = len(wording.counted_fields(body))
    page.head(plural(counted, "field"))
    rows = [
        (
            field["name"],
            _shape(field),
            field.get("dtype") or "",
            _form(field),
            share(field["fidelity"]["value"]) if field.get("fidelity") else "",
            size(field["bytes_stored"]) if field.get("bytes_stored") is not None else "",
        )
        for field in fields[:_FIELDS]
    ]
    heads: tuple[Column, ...] = (
        ("name", "left"),
        ("shape", "right"),
        ("type", "left"),
        ("stored", "left"),
        ("fidelity", "right"),
        ("size", "right"),
    )
    if rows:
        page.table(heads, rows)
    _more(page, len(fields) - _FIELDS, "field")


def _shape(field: Mapping[str, Any]) -> str:
    return wording.shape(field).replace(" × ", "×")


def _form(field: Mapping[str, Any]) -> str:
    encoding = field.get("encoding") or {}
    if field.get("kind") == "table":
        return ""
    form = encoding.get("form") or "exact"
    if encoding.get("bound") is None:
        return str(form)
    return f"{form} ±{wording.quantity(encoding['bound'], None if field.get('scale') else field.get('units'))}"


def _sizes(body: Mapping[str, Any]) -> str:
    sizes = body.get("sizes") or {}
    parts = [
        f"{name} {size(sizes[name])}"
        for name in ("source", "decoded", "stored", "papers")
        if sizes.get(name) is not None
    ]
    return "  ".join(parts)


def _opening(body: Mapping[str, Any], package: str) -> list[str]:
    if body.get("sealed"):
        return [f"cdt restore {package} -o TARGET  (sealed: needs the key ring it was made with)"]
    kinds = {field.get("kind") for field in body.get("fields", ())}
    lines = []
    if "array" in kinds:
        lines.append(f'xarray.open_datatree("{package}/data/arrays.zarr", engine="zarr")')
    paths = [field["node"] for field in body.get("fields", ()) if field.get("kind") == "table"]
    lines += [f'pyarrow.parquet.read_table("{package}/{path}")' for path in paths[:3]]
    return lines


def _more(page: _Page, count: int, what: str) -> None:
    if count > 0:
        page.say(f"… and {plural(count, f'more {what}')}; --json lists all", "dim", indent=2)
