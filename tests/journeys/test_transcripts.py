"""docs/formats: the pages are what the commands print, up to figures that every change of a report moves a little."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def without_figures(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,\u00a0\u202f]*( [kMG]?B)?", "#", page))


@pytest.mark.parametrize("name", ["FITS"])
def test_a_page_still_tells_what_happens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import make_transcripts

    try:
        page = make_transcripts.write(name)
    finally:
        sys.modules.pop("make_transcripts", None)
    written = (ROOT / "docs" / "formats" / f"{name}.md").read_text("utf-8")
    assert without_figures(page) == without_figures(written), "run make docs"
    assert "\nTrue\n" in page
