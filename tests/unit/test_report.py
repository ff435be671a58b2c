"""The report: one page, the same bytes each time, that reads no network and leaks no value."""

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from customer_data_treatment.package import wording
from customer_data_treatment.package.report import render
from tests.unit.package_bodies import (
    BODIES,
    PLAN,
    array_field,
    body,
    clinical,
    corrupt,
    grid,
    nothing,
    packed,
)
from tests.unit.package_pictures import pictures_for

_VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}


class _Outline(HTMLParser):
    """Collects what a browser would build, and complains about tags that do not close."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(made: dict[str, Any]) -> tuple[str, _Outline]:
    html = render(made, PLAN, pictures_for(made))
    outline = _Outline()
    outline.feed(html)
    return html, outline


@pytest.mark.parametrize("name", sorted(BODIES))
def test_it_is_one_well_formed_page_that_needs_nothing_else(name: str) -> None:
    html, outline = _page(BODIES[name]())
    assert outline.wrong == [] and outline.open == []
    assert not [tag for tag, _ in outline.tags if tag in ("script", "link", "iframe", "object")]
    for tag, attributes in outline.tags:
        for key in ("src", "href"):
            target = attributes.get(key)
            assert target is None or target.startswith(("#", "data:image/png;base64,")), (tag, target)
    assert not re.search(r"url\(|@import|https?://", html)
    identifiers = [attributes["id"] for _, attributes in outline.tags if attributes.get("id")]
    assert len(identifiers) == len(set(identifiers))
    links = {str(attributes["href"])[1:] for tag, attributes in outline.tags if tag == "a" and attributes.get("href")}
    assert links <= set(identifiers)
    assert len(html.encode()) < 1_000_000


@pytest.mark.parametrize("name", sorted(BODIES))
def test_it_can_be_read_aloud(name: str) -> None:
    _, outline = _page(BODIES[name]())
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    for tag, attributes in outline.tags:
        if tag == "img":
            assert attributes.get("alt")
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"
    kinds = [tag for tag, _ in outline.tags]
    assert kinds.count("caption") == kinds.count("table")


def test_equal_arguments_give_equal_bytes_whenever_it_is_made() -> None:
    later = grid() | {"issued": "2031-01-01T00:00:00Z"}
    assert render(grid(), PLAN, pictures_for(grid())) == render(later, PLAN, pictures_for(later))


def test_the_verdict_says_level_score_fidelity_and_size() -> None:
    _, outline = _page(grid())
    words = outline.text.replace(wording.NARROW, " ")
    assert "research grade, with a quality score of 0.9820" in words
    assert "at a fidelity of 0.9903, worst in mlotst" in words
    assert "74.9 % smaller than the source" in words
    assert wording.verdict(corrupt()).startswith("field_0412.fits is not certified: the integrity gate is closed.")
    assert "no dimension of its quality could be assessed" in wording.verdict(nothing())


def test_findings_come_worst_first_with_place_and_remedy() -> None:
    _, outline = _page(clinical())
    text = outline.text
    assert text.index("538 of 4821 rows") < text.index("31 values lie outside")
    assert "ask site 3" in text and "patients/hba1c" in text
    assert "give title, creators, licence" in text  # known by the finding's code alone


def test_what_is_missing_from_the_metadata_is_one_finding_with_one_remedy() -> None:
    made = clinical()
    made["findings"] = [
        {
            "code": f"metadata-{word}-missing",
            "severity": "note",
            "message": f"no {word} was stated",
            "where": "metadata",
        }
        for word in ("title", "contact")
    ]
    html, outline = _page(made)
    assert html.count('class="tag note"') == 1
    assert "No title was stated" in outline.text and "No contact was stated" in outline.text
    assert outline.text.count("with --metadata") == 1


def test_what_was_not_assessed_is_said_and_drawn_nowhere() -> None:
    html, outline = _page(clinical())
    assert "Not assessed: no required check had anything to examine" in outline.text
    assert html.count('class="track-plot"') == 4


def test_a_check_without_violation_is_not_told_by_its_complaint() -> None:
    made = grid()
    for entry in made["checks"]:
        entry["message"] = f"COMPLAINT of {entry['name']}"
    _, outline = _page(made)
    told = outline.text
    assert "COMPLAINT of undeclared-cells-complete" in told  # it has violations
    assert "COMPLAINT of dimensions-agree" not in told


def test_data_cannot_write_markup() -> None:
    evil = "<script>alert(1)</script>\"'><img src=x>"
    field = packed(array_field(evil, (50, 60), units=evil), 0.01, 0.991)
    made = body([field], [], level="EXPLORATORY", source={"name": evil, "bytes": 1, "sha256": None, "files": 1})
    made["findings"] = [{"code": "x", "severity": "note", "message": evil, "where": evil}]
    made["metadata"] = {"title": evil, "creators": [{"name": evil, "orcid": evil}]}
    html, outline = _page(made)
    assert outline.wrong == [] and "<script" not in html
    assert all(str(attributes.get("src", "data:"))[:5] == "data:" for tag, attributes in outline.tags if tag == "img")


def test_four_hundred_fields_stay_under_a_megabyte_and_the_worst_are_drawn() -> None:
    fields = [packed(array_field(f"v{i:03}", (4, 90, 110)), 0.01, 0.999 - i * 1e-5) for i in range(400)]
    made = body(fields, [])
    html, outline = _page(made)
    assert len(html.encode()) < 1_000_000
    assert html.count("<article") == 40
    drawn = {attributes["id"] for tag, attributes in outline.tags if tag == "article"}
    assert drawn == {f"field-{i}" for i in range(360, 400)}
    assert "40 of 400 fields are drawn" in outline.text and "v000" in outline.text


def test_a_submission_lists_its_datasets_and_the_one_that_failed() -> None:
    made = nothing() | {
        "datasets": [
            {"name": "a.nc", "level": "RESEARCH_GRADE", "score": 0.97, "format": "NetCDF"},
            {
                "name": "b.dcm",
                "level": None,
                "score": None,
                "error": {"code": "truncated", "message": "it ends early"},
            },
        ]
    }
    _, outline = _page(made)
    assert "could not be read: it ends early" in outline.text and "Research grade" in outline.text


def test_a_body_that_lacks_what_the_page_needs_is_our_fault_not_a_blank() -> None:
    with pytest.raises((KeyError, UndefinedError)):
        render({}, PLAN, {})
    less = copy.deepcopy(grid())
    for optional in ("metadata", "carried", "standards", "not_checked"):
        less.pop(optional)
    assert "Daily" not in render(less, {}, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (True, "yes"), (1234567, "1 234 567"), (0.1, "0.1"), (271.828459, "271.8"), (-1023.4, "-1 023"),
        (1.5e-7, "1.5e-7"), (6.02e23, "6.02e23"), (float("nan"), "nan"), (None, "n/a"), ("9007199254740993", "9007199254740993"),
    ],
)  # fmt: skip
def test_numbers_are_worded(value: Any, text: str) -> None:
    assert wording.number(value).replace(wording.NARROW, " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98999, "0.9899"),
        (0.99, "0.9900"),
        (1, "1"),
        (0.9999875, "0.99998"),
        (0.0, "0.0000"),
        (1 - 2**-53, "0.999999999999"),
    ],
)
def test_a_share_is_cut_and_never_rounded_up(value: float, text: str) -> None:
    assert wording.share(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (1_234_567, "1.23 MB"),
        (10**15, "1 PB"),
    ],
)
def test_sizes_are_worded(count: int, text: str) -> None:
    assert wording.size(count).replace(wording.NARROW, " ") == text
