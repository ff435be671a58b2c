"""cdt demo: every sample is treated, verified beside its source and restored, in at least five modalities."""

from pathlib import Path

from .command import answer, cdt


def test_the_demo_succeeds_on_every_sample(tmp_path: Path) -> None:
    told = answer("demo", cdt("demo", "-o", tmp_path / "packages", "--json"))
    rows = {row["name"]: row for row in told["datasets"]}
    assert [name for name, row in rows.items() if not row.get("verified")] == []
    assert len({row["modality"] for row in rows.values()}) >= 5
    assert all(row["restored"] == row["format"] for row in rows.values())
    real = [row for row in rows.values() if row["origin"].startswith("real")]
    assert len(real) >= 6 and all("SIMULATED" in row["origin"] for row in rows.values() if row not in real)
