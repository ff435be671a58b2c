"""Peak memory stays within the plan and does not grow with the data. bench/memory.py does the same at 4 and 8 GB."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is reset through /proc")


def field(folder: Path, gigabytes: float) -> Path:
    """Write a smooth noisy float32 field, a block at a time."""
    path = folder / f"{gigabytes}.npy"
    rows = int(gigabytes * 256)
    rng = np.random.default_rng(0)
    block = (np.sin(np.arange(1 << 20) / 300).reshape(1024, 1024) * 20 + rng.normal(0, 1, (1024, 1024))).astype("f4")
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (rows, 1024, 1024)}
        np.lib.format.write_array_header_1_0(file, header)
        for i in range(rows):
            file.write((block + np.float32(i * 0.01)).tobytes())
    return path


def peak(source: Path, package: Path, *arguments: str) -> dict[str, int]:
    script = Path(__file__).with_name("peak.py")
    done = subprocess.run(
        [sys.executable, str(script), str(source), str(package), *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("bound", ["lossless", "auto"])
def test_peak_is_planned_and_flat(tmp_path: Path, bound: str) -> None:
    small = peak(field(tmp_path, 0.5), tmp_path / "p", bound)
    large = peak(field(tmp_path, 1.0), tmp_path / "p", bound)
    for run in (small, large):
        assert run["above_imports"] <= run["planned"]
        assert run["above_imports"] <= 200 << 20
    assert large["above_imports"] - small["above_imports"] <= 8 << 20


def test_workers_stay_within_the_memory_asked_for(tmp_path: Path) -> None:
    run = peak(field(tmp_path, 0.25), tmp_path / "p", "rel=1e-3", "4", "256MiB")
    assert run["above_imports"] <= 256 << 20


def test_a_table_of_any_length_stays_within_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    line = b"abc-12345,3.25,17,2020-01-01,some words here\n"
    with path.open("wb") as file:
        file.write(b"id,value,count,day,words\n")
        for _ in range(60):
            file.write(line * 40000)
    run = peak(path, tmp_path / "p")
    assert run["above_imports"] <= 256 << 20
