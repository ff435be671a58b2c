"""A stranger recomputes score and level from the certificate alone, to the last digit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ..treating import saved, treated

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "recompute_score.py"


def rewritten(package: Path) -> tuple[float | None, str]:
    done = subprocess.run(
        [sys.executable, "-S", str(SCRIPT), str(package / "certificate.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    words = done.stdout.split()
    return done.stdout, words  # type: ignore[return-value]


@pytest.mark.parametrize("holes", [0, 1, 77, 4000])
def test_the_score_follows_from_the_counts(holes: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=10000)
    values[:holes] = np.nan
    summary = treated(saved(tmp_path, values), tmp_path / "p")
    text, _ = rewritten(tmp_path / "p")
    assert repr(summary.score) in str(text)
    assert str(summary.level) in str(text)
    assert summary.score == 1 - holes / 10000


def test_more_of_one_defect_never_raises_the_score(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=3000)
    order = rng.permutation(3000)
    scores = []
    for number, holes in enumerate((0, 5, 50, 500, 3000)):
        damaged = values.copy()
        damaged[order[:holes]] = np.nan
        score = treated(saved(tmp_path, damaged, f"{number}.npy"), tmp_path / f"p{number}").score
        scores.append(-1.0 if score is None else score)
    assert scores == sorted(scores, reverse=True)


def test_a_small_table_is_quick_to_read_and_its_report_small(tmp_path: Path) -> None:
    path = tmp_path / "small.csv"
    rows = "".join(f"{n:05d},{n % 90},{n * 0.37:.2f},some words\n" for n in range(300))
    path.write_text("id,age,value,note\n" + rows)
    treated(path, tmp_path / "p")
    assert (tmp_path / "p/report.html").stat().st_size < 1 << 20
    certificate = json.loads((tmp_path / "p/certificate.json").read_bytes())
    assert certificate["body"]["level"] != "NOT_CERTIFIED"
