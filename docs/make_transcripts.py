"""Write docs/formats/NAME.md: the real commands on a real small file of each format, and what they answered.

    python docs/make_transcripts.py [NAME ...]     write them anew
    python docs/make_transcripts.py --check NAME   say whether the file still tells the truth (exit 1 if not)

Sources ship with installed packages, or are the fixtures of the promise suite. Nothing is typed by hand:
what a block shows was printed by the command above it. Times and speeds are left out; they differ each run.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "formats"
LINES = 32

ARRAYS = """
import xarray
print(xarray.open_datatree("{package}/data/arrays.zarr", engine="zarr"))
"""
TABLE = """
import polars, pyarrow.parquet
table = pyarrow.parquet.read_table("{package}/data/tables/{table}.parquet")
print(table.num_rows, "rows,", table.num_columns, "columns")
print(polars.read_parquet("{package}/data/tables/{table}.parquet").head(3))
"""
SIGNATURE = "*`make docs` wrote this by running it (docs/make_transcripts.py): every line was printed by the command above it.*\n"
BOUNDS_INTRODUCTION = """# Storing within a bound

`lossless` is the default. `--bound [FIELD:]abs=0.01`, `rel=1e-3` (of the finite range) or `noise=0.25` (of the estimated noise) let a floating-point
measurement differ by at most that; `auto` takes the smallest encoding whose fidelity is at least 0.99, and keeps the field exactly where there is none.
Coordinates, times, identifiers, labels, masks, and integers that no bound names stay exact under any of them. Each chunk is
decoded again and compared before it is accepted; `cdt verify --source` proves it once more.

`climate.nc` is the demo's SIMULATED surface temperature: 90 days, 2.5 degrees, float32.
"""


@dataclass(frozen=True)
class Transcript:
    """One format's page: where its file comes from, and how the format's own tool reads it."""

    origin: str
    find: Callable[[Path], Path]
    peer: str  # reads {path} into `values`, all of it, so that equal reprs mean equal readings
    table: str | None = None  # a table to open, besides the arrays if there are any
    shown_as: str | None = None  # a shorter name than the file came with


def shipped(package: str, relative: str) -> Callable[[Path], Path]:
    """Find a file that ships with an installed package."""

    def find(_: Path) -> Path:
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations, package
        return Path(next(iter(spec.submodule_search_locations))) / relative

    return find


def fixture(name: str) -> Callable[[Path], Path]:
    """Make the promise suite's fixture of a format."""

    def find(folder: Path) -> Path:
        made: Path = import_module(f"tests.promises.formats.{name}").make(folder)
        return made

    return find


FIXTURE = "the promise suite's fixture (`tests/promises/formats/{}.py`)"

TRANSCRIPTS = {
    "CSV": Transcript(
        FIXTURE.format("csv"),
        fixture("csv"),
        """
import csv
with open("{path}", newline="", encoding="utf-8") as file:
    values = list(csv.reader(file))
""",
        table="table",
    ),
    "TSV": Transcript(
        FIXTURE.format("tsv"),
        fixture("tsv"),
        """
import polars
values = polars.read_csv("{path}", separator="\\t", infer_schema=False).rows()
""",
        table="table",
    ),
    "Parquet": Transcript(
        "a table that pandas 0.20 wrote, shipped with pyarrow",
        shipped("pyarrow", "tests/data/parquet/v0.7.1.parquet"),
        """
import pyarrow.parquet
table = pyarrow.parquet.read_table("{path}")
values = (table.schema, table.to_pylist())
""",
        table="table",
        shown_as="diamonds.parquet",
    ),
    "Arrow": Transcript(
        "a compressed Feather file, shipped with pyarrow",
        shipped("pyarrow", "tests/data/feather/v0.17.0.version.2-compression.lz4.feather"),
        """
import pyarrow.feather
table = pyarrow.feather.read_table("{path}")
values = (table.schema, table.to_pylist())
""",
        table="table",
        shown_as="numbers.feather",
    ),
    "NPY": Transcript(
        FIXTURE.format("npy"),
        fixture("npy"),
        """
import numpy
values = numpy.load("{path}")
""",
    ),
    "NPZ": Transcript(
        FIXTURE.format("npz"),
        fixture("npz"),
        """
import numpy
with numpy.load("{path}") as file:
    values = [(name, file[name]) for name in file.files]
""",
    ),
    "HDF5": Transcript(
        FIXTURE.format("hdf5"),
        fixture("hdf5"),
        """
import h5py
values = []
with h5py.File("{path}") as file:
    file.visititems(lambda name, node: values.append((name, node[()] if isinstance(node, h5py.Dataset) else 0)))
""",
    ),
    "NetCDF": Transcript(
        "a grid with humidity and temperature, shipped with xarray",
        shipped("xarray", "tests/data/example_1.nc"),
        """
import netCDF4
with netCDF4.Dataset("{path}") as file:
    values = [(name, dict(field.__dict__), field[:]) for name, field in file.variables.items()]
""",
    ),
    "Zarr": Transcript(
        FIXTURE.format("zarr"),
        fixture("zarr"),
        """
import zarr
group = zarr.open_group("{path}", mode="r")
values = [(name, node[...] if hasattr(node, "dtype") else 0) for name, node in sorted(group.members(max_depth=None))]
""",
    ),
    "FITS": Transcript(
        "a sky image of the globular cluster M 13, shipped with astropy",
        shipped("astropy", "io/fits/hdu/compressed/tests/data/m13.fits"),
        """
from astropy.io import fits
with fits.open("{path}") as file:
    values = [(repr(unit.header), unit.data.dtype, unit.data.tobytes()) for unit in file]
""",
    ),
    "DICOM": Transcript(
        "a CT slice, shipped with pydicom",
        shipped("pydicom", "data/test_files/CT_small.dcm"),
        """
import pydicom
slice = pydicom.dcmread("{path}")
values = (str(slice), slice.pixel_array.tobytes())
""",
    ),
    "NIfTI": Transcript(
        "a functional MRI series, shipped with nibabel",
        shipped("nibabel", "tests/data/example4d.nii.gz"),
        """
import nibabel, numpy
image = nibabel.load("{path}")
values = (str(image.header), image.affine, numpy.asarray(image.dataobj).tobytes())
""",
    ),
    "VCF": Transcript(
        FIXTURE.format("vcf"),
        fixture("vcf"),
        """
import pysam
with pysam.VariantFile("{path}") as file:
    values = [str(record) for record in file]
""",
        table="variants",
    ),
    "BCF": Transcript(
        FIXTURE.format("bcf"),
        fixture("bcf"),
        """
import pysam
with pysam.VariantFile("{path}") as file:
    values = [str(record) for record in file]
""",
        table="variants",
    ),
    "h5ad": Transcript(
        FIXTURE.format("h5ad"),
        fixture("h5ad"),
        """
import anndata
data = anndata.read_h5ad("{path}")
parts = [data.X, *data.layers.values(), *data.obsm.values(), *data.obsp.values()]
dense = [part.toarray() if hasattr(part, "toarray") else part for part in parts]
values = (dense, data.obs.to_csv(), data.var.to_csv())
""",
    ),
    "mzML": Transcript(
        FIXTURE.format("mzml"),
        fixture("mzml"),
        "",
        table="spectra",
    ),
}


class Session:
    """A folder where commands run as a reader would type them; what they print is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        home = Path(tempfile.gettempdir()) / f"cdt-docs-{os.getuid()}"
        self.environment = os.environ | {
            "CDT_HOME": str(home),
            "CDT_CONFIG": "",
            "SOURCE_DATE_EPOCH": "1767225600",
            "COLUMNS": "100",
            "PYTHONHASHSEED": "0",
            "TZ": "UTC",
            "PYTHONPATH": "",
        }

    def cdt(self, *words: str) -> None:
        """Run cdt and keep what it prints."""
        cdt = [sys.executable, "-m", "customer_data_treatment.cli", *words]
        self._keep(f"$ cdt {' '.join(words)}", cdt)

    def python(self, code: str) -> None:
        """Run a few lines of Python and keep what they print."""
        shown = [f"{'... ' if n and line.startswith(' ') else '>>> '}{line}" for n, line in enumerate(code.split("\n"))]
        self._keep("\n".join(shown), [sys.executable, "-W", "error", "-c", code])

    def _keep(self, shown: str, command: list[str]) -> None:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{shown}\n{done.stdout}{done.stderr}")
        printed = [line.rstrip() for line in done.stdout.splitlines()]
        kept = [line for line in printed if not re.match(r"\d\S* (s|min|h), .*peak memory|  Time, about", line)]
        if len(kept) > LINES:
            kept = [*kept[: LINES - 1], f"[{len(kept) - LINES + 1} more lines]"]
        while kept and not kept[-1]:
            kept.pop()
        self.lines += [shown, *kept, ""]

    def block(self, kind: str) -> str:
        """Return what was kept as one fenced block."""
        text = "\n".join(self.lines).rstrip()
        self.lines = []
        return f"```{kind}\n{text}\n```\n"


def write(name: str) -> str:
    """Return one format's page."""
    plan = TRANSCRIPTS[name]
    with tempfile.TemporaryDirectory(prefix="cdt-docs-") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        found = plan.find(made)
        folder = Path(scratch) / "work"
        folder.mkdir()
        source = plan.shown_as or found.name
        subprocess.run(["cp", "-R", str(found), str(folder / source)], check=True)
        return _page(name, plan, source, Session(folder))


def _page(name: str, plan: Transcript, source: str, session: Session) -> str:
    from customer_data_treatment.formats import FORMATS

    facts = FORMATS[name]
    stem = source.split(".", maxsplit=1)[0]
    package, suffix = f"{stem}.cdt", source.removeprefix(stem)
    if not facts.restores:
        suffix = ".restored"
    if name == "BCF":
        suffix = ".vcf"
    extra = f" Needs the extra `[{facts.extra}]`." if facts.extra else ""
    page = [f"# {name}\n", f"`{source}`: {plan.origin}.{extra} Not kept: {facts.lost or 'nothing is lost'}.\n"]
    page.append("## Treat and verify\n")
    session.cdt("inspect", source)
    session.cdt("treat", source, "-o", package)
    session.cdt("verify", package, "--source", source)
    page.append(session.block("console"))
    page.append("## Open the package without cdt\n")
    if (session.folder / package / "data" / "arrays.zarr").is_dir():
        session.python(ARRAYS.strip().format(package=package))
    if plan.table:
        session.python(TABLE.strip().format(package=package, table=plan.table))
    page.append(session.block("pycon"))
    page.append("## Restore\n")
    back = f"back{suffix}"
    session.cdt("restore", package, "-o", back)
    page.append(session.block("console"))
    if facts.restores and plan.peer:
        page.append("The format's own tool reads both alike:\n")
        body = "\n".join(f"    {line}" for line in plan.peer.strip().format(path="{path}").split("\n"))
        body = body.replace('"{path}"', "path")
        whole = "import numpy, sys\nnumpy.set_printoptions(threshold=sys.maxsize)  # repr shows every value\n"
        code = f"{whole}def read(path):\n{body}\n    return repr(values)\nprint(read({source!r}) == read({back!r}))"
        session.python(code)
        page.append(session.block("pycon"))
    page.append(SIGNATURE)
    return "\n".join(page)


def bounds() -> str:
    """Return docs/bounds.md: the same grid exactly, within a named bound, and within what `auto` finds."""
    from customer_data_treatment.demo import _simulated_climate

    with tempfile.TemporaryDirectory(prefix="cdt-docs-") as scratch:
        source = _simulated_climate(Path(scratch))
        assert source is not None, "netCDF4"
        source.rename(source.with_name("climate.nc"))
        session = Session(Path(scratch))
        page = [BOUNDS_INTRODUCTION]
        session.cdt("plan", "climate.nc", "--bound", "tas:abs=0.01")
        for name, *bound in (("exact",), ("bounded", "--bound", "tas:abs=0.01"), ("auto", "--bound", "auto")):
            session.cdt("treat", "climate.nc", "-o", f"{name}.cdt", *bound)
        session.cdt("verify", "bounded.cdt", "--source", "climate.nc")
        page.append(session.block("console"))
        page.append("No more than 0.01 K anywhere, by xarray's own arithmetic:\n")
        session.python(
            """
import xarray
before = xarray.open_dataset("climate.nc").tas
after = xarray.open_datatree("bounded.cdt/data/arrays.zarr", engine="zarr").ds.tas
error = abs(after.astype("f8") - before.astype("f8"))
print(float(error.max()) <= 0.01, after.dtype, after.encoding["dtype"], after.encoding["scale_factor"])
""".strip()
        )
        page += [session.block("pycon"), SIGNATURE]
        return "\n".join(page)


PAGES = {"bounds": (bounds, ROOT / "docs" / "bounds.md")} | {
    name: (lambda name=name: write(name), FOLDER / f"{name}.md") for name in TRANSCRIPTS
}


def main() -> None:
    """Write or check the pages that are named, all if none is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    FOLDER.mkdir(exist_ok=True)
    stale = []
    for name in given.names or PAGES:
        tell, path = PAGES[name]
        page = tell()
        if given.check and path.read_text("utf-8") != page:
            stale.append(name)
        elif not given.check:
            path.write_text(page, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    if stale:
        raise SystemExit(f"these pages no longer tell what happens: {', '.join(stale)}; run make docs")


if __name__ == "__main__":
    main()
