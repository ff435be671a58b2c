"""Equal instant, equal bytes: whatever the workers, memory, hash seed, locale, time zone, folder, umask or processor."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import anndata
import netCDF4
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from tests.journeys.command import KERNELS, answer, cdt, inside, table, tree


def npy(folder: Path) -> Path:
    """Return a field of several chunks and a few shapes of difficulty: noise, steps, gaps."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:700, 0:600]
    values = (np.sin(x / 40) * np.cos(y / 60) * 8 + rng.normal(0, 0.05, (700, 600))).astype("f4")
    values[100:120, 50:90] = np.nan
    np.save(folder / "field.npy", values)
    return folder / "field.npy"


def csv(folder: Path) -> Path:
    (folder / "Daten I.csv").write_text(table(3000) + "SECRETIDx,02134,,İstanbul ıı\n")
    return folder / "Daten I.csv"


def netcdf(folder: Path) -> Path:
    with netCDF4.Dataset(folder / "grid.nc", "w") as file:
        file.createDimension("time", 4), file.createDimension("y", 60), file.createDimension("x", 80)
        for name in ("tas", "pr"):
            variable = file.createVariable(name, "f4", ("time", "y", "x"), zlib=True, fill_value=np.float32(-9999))
            variable[:] = np.random.default_rng(len(name)).normal(280, 5, (4, 60, 80))
            variable.units = "K"
        file.title, file.İ = "Türkçe", "ı"
    return folder / "grid.nc"


def h5ad(folder: Path) -> Path:
    rng = np.random.default_rng(5)
    counts = scipy.sparse.csr_matrix(rng.poisson(0.3, (60, 40)).astype("f4"))
    obs = pd.DataFrame({"kind": pd.Categorical(rng.choice(["a", "b"], 60))}, index=[f"cell{i}" for i in range(60)])
    made = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"gene{i}" for i in range(40)]))
    made.obsm["X_pca"] = rng.normal(size=(60, 3))
    made.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


KINDS = {
    "npy": (npy, []),
    "npy-auto": (npy, ["--bound", "auto"]),
    "csv-auto": (csv, ["--bound", "auto"]),
    "netcdf-auto": (netcdf, ["--bound", "auto"]),
    "h5ad": (h5ad, []),
}


def locale(*names: str) -> str:
    """Return the first of these locales that the machine has, else "C"."""
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.lower().split()
    return next((n for n in names if n.lower().replace("utf-8", "utf8") in listed), "C")


# Each run differs from the first in everything it names; a difference is found by the run that shows it.
RUNS: dict[str, tuple[list[str], dict[str, str], int]] = {
    "several workers, little memory, Turkish": (
        ["--workers", "2", "--memory", "256MiB"],
        {"PYTHONHASHSEED": "1", "LC_ALL": locale("tr_TR.UTF-8"), "TZ": "Asia/Kathmandu"},
        0o077,
    ),
    "many workers, much memory, another processor": (
        ["--workers", "4", "--memory", "1GiB"],
        {
            "PYTHONHASHSEED": "4242", "LC_ALL": locale("de_DE.UTF-8"), "TZ": "America/St_Johns",
            "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
            "NUMBA_CPU_NAME": "generic", "OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1", "HOME": "/nonexistent", "COLUMNS": "40",
        },
        0o002,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("determinism")


@pytest.fixture(scope="module")
def first(folder: Path) -> dict[str, dict[str, bytes]]:
    """Return every kind's package as one worker makes it."""
    made = {}
    for kind, (make, more) in KINDS.items():
        (folder / kind).mkdir()
        source = make(folder / kind)
        answer("treat", inside("treat", source, "-o", folder / kind / "p", "--workers", "1", "--json", *more))
        made[kind] = tree(folder / kind / "p")
    return made


def differing(a: dict[str, bytes], b: dict[str, bytes]) -> list[str]:
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("kind", KINDS)
def test_packages_are_byte_identical(first: dict[str, dict[str, bytes]], folder: Path, kind: str, run: str) -> None:
    words, env, umask = RUNS[run]
    source = next(p for p in (folder / kind).iterdir() if p.is_file())
    target = folder / kind / f"q{len(run)}"
    if "NUMBA_CPU_NAME" in env:
        env = {**env, "NUMBA_CACHE_DIR": f"{KERNELS}-generic"}
        if "NPY_DISABLE_CPU_FEATURES" in env:
            env["NPY_DISABLE_CPU_FEATURES"] = _present(env["NPY_DISABLE_CPU_FEATURES"])
    done = cdt(
        "treat", os.path.relpath(source, folder), "-o", target, "--json", *words, *KINDS[kind][1],
        cwd=folder, before=lambda: os.umask(umask), **env,
    )  # fmt: skip
    answer("treat", done)
    assert differing(first[kind], tree(target)) == []
    modes = {p.stat().st_mode & 0o777 for p in target.rglob("*") if p.is_file()}
    assert modes == {0o666 & ~umask} and target.stat().st_mode & 0o777 == 0o777 & ~umask


def _present(features: str) -> str:
    """Return those processor features that numpy dispatches on here: it warns of others."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(f for f in features.split() if f in __cpu_dispatch__ and __cpu_features__.get(f))


@pytest.mark.parametrize("kind", ["npy-auto", "csv-auto"])
def test_the_content_is_equal_whenever_it_runs(first: dict[str, dict[str, bytes]], folder: Path, kind: str) -> None:
    source = next(p for p in (folder / kind).iterdir() if p.is_file())
    done = cdt("treat", source, "-o", folder / kind / "later", "--json", *KINDS[kind][1], SOURCE_DATE_EPOCH=None)
    answer("treat", done)
    later = tree(folder / kind / "later")
    body = {name: json.loads(files["certificate.json"])["body"] for name, files in (("a", first[kind]), ("b", later))}
    assert body["a"].pop("issued") == "2023-11-14T22:13:20Z" != body["b"].pop("issued")
    assert body["a"] == body["b"], "the instant stands in body.issued alone"
    assert not [
        n for n in differing(first[kind], later) if n.startswith("data/") or n in ("evidence.parquet", "plan.json")
    ]


def test_another_folder_and_name_leave_the_content_as_it_is(first: dict[str, dict[str, bytes]], folder: Path) -> None:
    source = next(p for p in (folder / "npy").iterdir() if p.is_file())
    other = folder / "elsewhere" / "deep"
    other.mkdir(parents=True)
    shutil.copy(source, other / source.name)
    os.utime(other / source.name, (1, 1))
    answer("treat", inside("treat", source.name, "-o", "p", "--json", cwd=other))
    assert differing(first["npy"], tree(other / "p")) == []
    for made in (first["npy"], first["csv-auto"]):
        for name, raw in made.items():
            assert str(folder).encode() not in raw, name
            assert len(os.uname().nodename) < 6 or os.uname().nodename.encode() not in raw, name


def test_sealed_packages_hold_equal_plaintext(first: dict[str, dict[str, bytes]], folder: Path) -> None:
    source = next(p for p in (folder / "npy").iterdir() if p.is_file())
    packages = [folder / "sealed 1", folder / "sealed 2"]
    for package, workers in zip(packages, "12", strict=True):
        answer("treat", inside("treat", source, "-o", package, "--seal", "--workers", workers, "--json"))
    one, two = map(tree, packages)
    assert {n for n in differing(one, two) if n.startswith("data/")} == {n for n in one if n.startswith("data/")}
    plain, again = map(_plaintext, packages)
    assert differing(plain, again) == ["report.html"], "which shows the package's own content_sha256"
    for name, raw in first["npy"].items():
        if name.startswith("data/") or name in ("evidence.parquet", "plan.json"):
            assert plain[name] == raw, name
    macs = [json.loads(t["certificate.json"])["body"]["content_sha256"] for t in (one, two)]
    assert macs[0] != macs[1], "a plain digest would tell who guesses the content that the guess is right"


def _plaintext(package: Path) -> dict[str, bytes]:
    from customer_data_treatment.adapters.key_ring import FileKeyRing
    from customer_data_treatment.package.sealing import open_sealed
    from customer_data_treatment.settings import state_folder

    with open_sealed(package, FileKeyRing(state_folder() / "keys")) as reader:
        found = {}
        for name in reader.names():
            with reader.open(name) as file:
                found[name] = file.read()
        return found


def test_a_submission_is_byte_identical(folder: Path) -> None:
    source = folder / "delivery"
    (source / "deep").mkdir(parents=True)
    npy(source), csv(source / "deep")
    (source / "bad.npy").write_bytes(b"\x93NUMPY\x01")
    elsewhere = folder / "moved" / "delivery"
    shutil.copytree(source, elsewhere)
    answer("treat", inside("treat", source, "-o", folder / "s1", "--workers", "1", "--json"))
    done = cdt(
        "treat", "delivery", "-o", folder / "s2", "--workers", "3", "--json", cwd=folder / "moved", PYTHONHASHSEED="9"
    )
    answer("treat", done)
    assert differing(tree(folder / "s1"), tree(folder / "s2")) == []
