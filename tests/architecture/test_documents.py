"""What the documents say is held against the program: links, commands, options, codes, examples."""

import re
from pathlib import Path

import typer.main

from customer_data_treatment.cli import app
from customer_data_treatment.errors import EXIT_STATUS
from customer_data_treatment.formats import FORMATS

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_the_readme_names_its_two_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("demo", "test"):
        assert re.search(rf"^make {target}\b", text, re.M) and re.search(rf"^{target}:", makefile, re.M)


def test_the_readmes_example_was_printed_by_the_product() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    printed = (ROOT / "docs" / "formats" / "FITS.md").read_text("utf-8").splitlines()
    shown = "\n".join(re.findall(r"```console\n(.*?)```", text, re.S)).splitlines()
    assert len(shown) >= 5
    assert [line for line in shown if line not in printed] == []


def test_links_of_the_documents_lead_somewhere() -> None:
    dead = []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.S)
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            if "://" not in link and not (path.parent / link).exists():
                dead.append(f"{path.relative_to(ROOT)} -> {link}")
    assert dead == []


def test_every_format_has_its_transcript() -> None:
    pages = {path.stem: path.read_text("utf-8") for path in (ROOT / "docs" / "formats").glob("*.md")}
    assert pages.keys() == FORMATS.keys()
    for name, page in pages.items():
        for word in ("$ cdt inspect", "$ cdt treat", "$ cdt verify", "$ cdt restore", "✓"):
            assert word in page, (name, word)
        assert "Traceback" not in page and "\nFalse\n" not in page and "✗" not in page, name


def options_of(command: str) -> set[str]:
    given = {name for p in COMMANDS[command].params for name in p.opts if name.startswith("--")}
    return given - {"--help"}


def test_the_command_line_is_described_as_it_is() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `cdt (\w+)[^|]*\| ([^|]*)\|", text, re.M))
    assert rows.keys() == COMMANDS.keys()
    treat = set(re.findall(r"(--[a-z]+)", text.split("## Options of treat")[1].split("## Exit codes")[0]))
    assert treat == options_of("treat")
    assert options_of("plan") == treat - {"--overwrite"}
    for name in rows.keys() - {"treat", "plan"}:
        assert set(re.findall(r"--[a-z]+", rows[name])) == options_of(name), name


def test_exit_codes_are_described_as_they_are() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text("utf-8").split("## Exit codes")[1]
    told = {}
    for status, codes in re.findall(r"^\| (\d+) \|[^|]*\|([^|]*)\|", text, re.M):
        told |= {code: int(status) for code in re.findall(r"`([a-z-]+)`", codes)}
    assert told == dict(EXIT_STATUS)


def test_the_readme_lists_every_format() -> None:
    text = (ROOT / "README.md").read_text("utf-8").split("## Formats")[1].split("##")[0]
    assert [name for name in FORMATS if name not in text] == []
