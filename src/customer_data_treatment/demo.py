"""cdt demo: real datasets that ship with installed packages, and clearly labelled simulations for the rest.

Each is treated, verified beside its source and restored; the table at the end says what came of it.
"""

import gzip
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CdtError
from .local import source_of, surroundings, treat_options
from .model.bound import parse_bound
from .pipeline.restore import restore
from .pipeline.submission import treat_any, verify_any


@dataclass(frozen=True, slots=True)
class Sample:
    """One dataset of the demo: where it comes from, and the bound it is treated with."""

    name: str
    modality: str
    origin: str
    find: Callable[[Path], Path | None]
    bound: str = "lossless"


def _shipped(package: str, relative: str) -> Callable[[Path], Path | None]:
    def find(_: Path) -> Path | None:
        spec = find_spec(package)
        for folder in spec.submodule_search_locations if spec and spec.submodule_search_locations else ():
            path = Path(folder) / relative
            if path.is_file():
                return path
        return None

    return find


_CELLS = "radius texture perimeter area smoothness compactness concavity concave_points symmetry fractal_dimension"
_BREAST_CANCER = (*(f"{kind}_{name}" for kind in ("mean", "error", "worst") for name in _CELLS.split()), "benign")
_DIABETES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def _clinical(name: str, columns: tuple[str, ...], skip: int) -> Callable[[Path], Path | None]:
    """Write a table that scikit-learn ships as CSV: its files name no columns, its documentation does."""
    shipped = _shipped("sklearn", f"datasets/data/{name}")

    def find(folder: Path) -> Path | None:
        path = shipped(folder)
        if path is None:
            return None
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
        rows = [line.replace(" ", ",") for line in text.splitlines()[skip:] if line]
        target = folder / f"{name.split('.', maxsplit=1)[0]}.csv"
        target.write_text("\n".join([",".join(columns), *rows]) + "\n")
        return target

    return find


def _simulated_vcf(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    path = folder / "simulated.vcf"
    samples = [f"S{n:02d}" for n in range(24)]
    head = [
        "##fileformat=VCFv4.3",
        "##contig=<ID=chr20,length=64444167>",
        '##INFO=<ID=AN,Number=1,Type=Integer,Description="Total number of alleles in called genotypes">',
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count in genotypes">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Read depth">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]),
    ]
    lines = []
    position = 60000
    for _ in range(2000):
        position += int(rng.integers(1, 900))
        alleles = (rng.random((24, 2)) < rng.beta(0.3, 2)).astype(int)
        called = [f"{min(pair)}/{max(pair)}:{rng.poisson(30)}" for pair in alleles.tolist()]
        reference, alternative = rng.choice(list("ACGT"), 2, replace=False)
        quality = int(rng.integers(30, 900))
        info = f"AN=48;AC={int(alleles.sum())}"
        cells = ["chr20", str(position), ".", reference, alternative, str(quality), "PASS", info, "GT:DP", *called]
        lines.append("\t".join(cells))
    path.write_text("\n".join([*head, *lines]) + "\n")
    return path


def _simulated_climate(folder: Path) -> Path | None:
    if find_spec("netCDF4") is None:
        return None
    import netCDF4

    rng = np.random.default_rng(2)
    path = folder / "simulated-climate.nc"
    latitude, longitude, days = np.linspace(-88.75, 88.75, 72), np.arange(0, 360, 2.5), np.arange(90)
    warm = 288 - 40 * np.abs(latitude / 90)[:, None] ** 1.5 + 4 * np.sin(np.radians(longitude))[None, :]
    with netCDF4.Dataset(path, "w") as file:
        file.Conventions = "CF-1.10"
        file.title = "Simulated surface temperature (demo)"
        axes = (("time", days), ("lat", latitude), ("lon", longitude))
        for name, values in axes:
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file["time"].setncatts({"units": "days since 2025-01-01", "standard_name": "time", "axis": "T"})
        file["lat"].setncatts({"units": "degrees_north", "standard_name": "latitude"})
        file["lon"].setncatts({"units": "degrees_east", "standard_name": "longitude"})
        field = file.createVariable("tas", "f4", ("time", "lat", "lon"))
        field.setncatts({"units": "K", "standard_name": "air_temperature", "long_name": "near-surface temperature"})
        field[:] = warm[None] + rng.normal(0, 0.6, (90, 72, 144)) + 3 * np.sin(days / 14)[:, None, None]
    return path


def _simulated_detector(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    path = folder / "simulated-detector.npy"
    image = rng.normal(100, 5, (24, 256, 256))
    y, x = np.mgrid[0:256, 0:256]
    for _ in range(60):
        row, column, width = rng.uniform(8, 248), rng.uniform(8, 248), rng.uniform(1.5, 3)
        image += rng.uniform(20, 4000) * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * width**2))
    np.save(path, image.astype(np.float32))
    return path


SAMPLES = (
    Sample(
        "ct",
        "medical imaging",
        "real CT slice, shipped with pydicom",
        _shipped("pydicom", "data/test_files/CT_small.dcm"),
    ),
    Sample(
        "fmri",
        "medical imaging",
        "real functional MRI, shipped with nibabel",
        _shipped("nibabel", "tests/data/example4d.nii.gz"),
    ),
    Sample(
        "m13",
        "astronomy",
        "real sky image of M 13, shipped with astropy",
        _shipped("astropy", "io/fits/hdu/compressed/tests/data/m13.fits"),
    ),
    Sample(
        "breast-cancer",
        "clinical records",
        "real clinical table of scikit-learn, under its column names",
        _clinical("breast_cancer.csv", _BREAST_CANCER, skip=1),
    ),
    Sample(
        "diabetes",
        "clinical records",
        "real clinical table of scikit-learn, under its column names",
        _clinical("diabetes_data_raw.csv.gz", _DIABETES, skip=0),
    ),
    Sample(
        "grid", "remote sensing", "real NetCDF grid, shipped with xarray", _shipped("xarray", "tests/data/example_1.nc")
    ),
    Sample("variants", "genomic sequences", "SIMULATED genotypes", _simulated_vcf),
    Sample("climate", "remote sensing", "SIMULATED climate grid", _simulated_climate, "auto"),
    Sample("detector", "physics", "SIMULATED detector frames", _simulated_detector, "auto"),
)


def run_demo(output: Path, *, quiet: bool) -> dict[str, Any]:
    """Treat, verify and restore every sample that is there; return the JSON answer and print a table unless quiet."""
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    with tempfile.TemporaryDirectory(prefix="cdt-demo-") as scratch:
        for sample in SAMPLES:
            path = sample.find(Path(scratch))
            if path is None:
                rows.append(
                    {"name": sample.name, "modality": sample.modality, "origin": sample.origin, "skipped": True}
                )
                continue
            if not quiet:
                print(f"treating {sample.name}: {sample.origin}", file=sys.stderr)
            rows.append(_run(sample, path, output / sample.name, Path(scratch)))
    if not quiet:
        _table(rows)
        print(f"\nPackages lie under {output}; open {output}/m13/report.html, or: cdt show {output}/m13")
    return {"schema": 1, "output": str(output), "datasets": rows}


def _run(sample: Sample, path: Path, target: Path, scratch: Path) -> dict[str, Any]:
    began = time.monotonic()
    options = treat_options(None, None, None, None, None, None, False, None, None, None, None, overwrite=True)
    options = replace(options, bounds=(parse_bound(sample.bound),))
    row: dict[str, Any] = {"name": sample.name, "modality": sample.modality, "origin": sample.origin}
    try:
        source = source_of(str(path))
        summary = treat_any(source, target, options, surroundings())
        checked = verify_any(target, source, surroundings())
        back = restore(target, scratch / f"{sample.name}{''.join(path.suffixes[-2:])}", surroundings())
    except CdtError as error:
        return row | {"error": error.record()}
    return row | {
        "package": str(target),
        "format": summary.format,
        "level": str(summary.level),
        "score": summary.score,
        "fidelity": summary.fidelity,
        "bytes_source": summary.bytes_source,
        "bytes_stored": summary.bytes_stored,
        "verified": checked.ok,
        "restored": back.format,
        "seconds": round(time.monotonic() - began, 2),
    }


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name, side in (
        ("dataset", "left"),
        ("format", "left"),
        ("level", "left"),
        ("score", "right"),
        ("fidelity", "right"),
        ("stored / source", "right"),
        ("verified", "left"),
        ("origin", "left"),
    ):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for row in rows:
        if "error" in row or row.get("skipped"):
            what = row["error"]["message"] if "error" in row else "its package is not installed"
            table.add_row(row["name"], "", what, "", "", "", "", row["origin"])
            continue
        score = "n/a" if row["score"] is None else f"{row['score']:.4f}"
        share = f"{row['bytes_stored'] / row['bytes_source']:.2f}"
        fidelity = "n/a" if row["fidelity"] is None else f"{row['fidelity']:.4f}"
        verified = "yes" if row["verified"] else "NO"
        table.add_row(row["name"], row["format"], row["level"], score, fidelity, share, verified, row["origin"])
    Console(highlight=False, width=150).print(table)
