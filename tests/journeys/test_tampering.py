"""Every byte of a package counts: what is flipped, cut, added, missing or moved is found, and its file named."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numcodecs import Zstd

from customer_data_treatment.package.certificate import canonical, content_digest
from customer_data_treatment.package.files import FileRecord
from customer_data_treatment.package.opened import OpenedPackage
from customer_data_treatment.package.shards import ShardReader
from tests.journeys.command import answer, complaints, field, inside, table

KINDS = ("array", "bounded", "table", "mixed", "sealed", "submission")


def sources(folder: Path) -> dict[str, Path]:
    """Write one source a kind."""
    np.save(folder / "array.npy", np.random.default_rng(3).normal(size=(30, 20)))
    np.save(folder / "bounded.npy", field((64, 64)))
    (folder / "table.csv").write_text(table(80))
    with h5py.File(folder / "mixed.h5", "w") as file:
        file.create_dataset("group/values", data=field((20, 30)), compression="gzip")
        file.create_dataset(
            "rows", data=np.array([(1, 2.5, b"a"), (2, 3.5, b"b")], [("n", "i4"), ("x", "f8"), ("s", "S1")])
        )
        file.create_dataset("words", data=["ein", "zwei", "Größe"], dtype=h5py.string_dtype())
        file.attrs["title"] = "mixed"
    (folder / "submission").mkdir()
    shutil.copy(folder / "array.npy", folder / "submission" / "a.npy")
    shutil.copy(folder / "table.csv", folder / "submission" / "t.csv")
    (folder / "submission" / "bad.npy").write_bytes(b"\x93NUMPY")
    named = {kind: next(folder.glob(f"{kind}*")) for kind in KINDS if kind != "sealed"}
    return named | {"sealed": named["table"]}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tampering")
    made = {}
    for kind, source in sources(folder).items():
        more = {"bounded": ["--bound", "rel=1e-3"], "sealed": ["--seal"]}.get(kind, [])
        made[kind] = folder / f"{kind}.cdt"
        answer("treat", inside("treat", source, "-o", made[kind], "--json", *more))
        assert answer("verify", inside("verify", made[kind], "--json"))["ok"] is True
    return made


@pytest.fixture
def package(request: pytest.FixtureRequest, packages: dict[str, Path], tmp_path: Path) -> Path:
    shutil.copytree(packages[request.param], tmp_path / "p")
    return tmp_path / "p"


def files_of(package: Path) -> list[str]:
    return [p.relative_to(package).as_posix() for p in sorted(package.rglob("*")) if p.is_file()]


def blamed(package: Path) -> set[str]:
    """Return the files that verify names; it must have failed, by status, JSON and schema."""
    done = inside("verify", package, "--json")
    record = json.loads(done.stdout.decode().split("\n{", 1)[0])
    assert done.returncode == 5 and record["ok"] is False, (done.returncode, record)
    assert complaints("verify", record) == []
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1 and lines[0].startswith("cdt: not-verified: "), lines
    return {problem["file"] for problem in record["problems"]}


def offsets(size: int) -> list[int]:
    return sorted({0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)))


def changes(raw: bytes) -> Iterator[tuple[str, bytes]]:
    for offset in offsets(len(raw)):
        for bit in (0, 7) if offset in (0, len(raw) - 1) else (offset % 8,):
            yield f"bit {bit} of byte {offset}", raw[:offset] + bytes([raw[offset] ^ 1 << bit]) + raw[offset + 1 :]
    yield "one byte less", raw[:-1]
    yield "one byte more", raw + b"\0"
    yield "a line end more", raw + b"\n"
    yield "a space before", b" " + raw
    yield "nothing left", b""
    if raw[:1] == b"{" and b'":' in raw:
        yield "white space within", raw.replace(b'":', b'": ', 1)
        yield "another order", json.dumps(dict(reversed(json.loads(raw).items()))).encode()


@pytest.mark.parametrize("package", KINDS, indirect=True)
def test_a_changed_byte_is_found_in_every_file(package: Path) -> None:
    for name in files_of(package):
        path = package / name
        raw = path.read_bytes()
        for what, changed in changes(raw):
            if changed == raw:
                continue
            path.write_bytes(changed)
            assert name in blamed(package), (name, what)
        path.write_bytes(raw)
    assert inside("verify", package).returncode == 0


@pytest.mark.parametrize("package", KINDS, indirect=True)
def test_a_missing_renamed_or_moved_file_is_found(package: Path) -> None:
    for name in files_of(package):
        path, aside = package / name, package.parent / "aside"
        path.rename(aside)
        assert name in blamed(package), name
        path.mkdir()
        assert name in blamed(package), name
        path.rmdir()
        path.symlink_to(aside)
        assert name in blamed(package), name
        path.unlink()
        renamed = path.with_name(path.name + ".old")
        aside.rename(renamed)
        extra = {renamed.relative_to(package).as_posix()} if name != "manifest.json" else set()
        assert {name} | extra <= blamed(package), name
        renamed.rename(path)
    assert inside("verify", package).returncode == 0


@pytest.mark.parametrize("package", KINDS, indirect=True)
def test_what_was_added_is_found(package: Path) -> None:
    folders = [package, *(p for p in sorted(package.rglob("*")) if p.is_dir())]
    for folder in folders:
        for name in ("new.txt", ".hidden", "certificate.json.bak", "new\nline", "\udcff"):
            added = folder / name
            added.write_bytes(b"")
            found = blamed(package)
            assert any(added.relative_to(package).as_posix() == f or "\udcff" in name for f in found), (name, found)
            added.unlink()
        (folder / "empty").mkdir()
        assert (folder / "empty").relative_to(package).as_posix() in blamed(package)
        (folder / "empty").rmdir()
        (folder / "link").symlink_to("/")
        assert (folder / "link").relative_to(package).as_posix() in blamed(package)
        (folder / "link").unlink()
    assert inside("verify", package).returncode == 0


@pytest.mark.parametrize("package", KINDS, indirect=True)
def test_a_damaged_package_is_not_restored(package: Path, tmp_path: Path) -> None:
    name = next(n for n in files_of(package) if "/data/" in f"/{n}")
    path = package / name
    path.write_bytes(path.read_bytes()[:-1])
    done = inside("restore", package, "-o", tmp_path / "back", "--json")
    assert done.returncode == 5 and name in done.stderr.decode() and not (tmp_path / "back").exists()


def reseal(package: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Rewrite manifest and certificate so that every digest agrees with what lies there, as a forger would."""
    manifest = json.loads((package / "manifest.json").read_bytes())
    listed = [n for n in files_of(package) if n not in ("manifest.json", "certificate.json")]
    raw = {n: (package / n).read_bytes() for n in listed}
    manifest["files"] = [
        {"path": n, "bytes": len(raw[n]), "sha256": hashlib.sha256(raw[n]).hexdigest()} for n in sorted(raw)
    ]
    certificate = json.loads((package / "certificate.json").read_bytes())
    body = certificate["body"]
    if body["content_sha256"] is not None and not manifest["sealed"]:
        body["content_sha256"] = content_digest(
            [FileRecord(e["path"], e["bytes"], e["sha256"]) for e in manifest["files"]]
        )
    if change is not None:
        change(body)
    (package / "manifest.json").write_bytes(canonical(manifest))
    certificate["body_sha256"] = hashlib.sha256(canonical(body)).hexdigest()
    certificate["manifest_sha256"] = hashlib.sha256(canonical(manifest)).hexdigest()
    (package / "certificate.json").write_bytes(canonical(certificate))


@pytest.mark.parametrize("package", ["array", "table", "submission", "sealed"], indirect=True)
def test_rewritten_digests_alone_change_nothing(package: Path) -> None:
    before = {n: (package / n).read_bytes() for n in ("manifest.json", "certificate.json")}
    reseal(package)
    assert {n: (package / n).read_bytes() for n in before} == before, "or the forgeries below prove nothing"


def dimension(name: str, score: float) -> Callable[[dict[str, Any]], None]:
    return lambda body: body["dimensions"][name].update(score=score)


FORGED: dict[str, Callable[[dict[str, Any]], None]] = {
    "score": lambda body: body.update(score=0.5),
    "level": lambda body: body.update(level="PUBLICATION_READY"),
    "a check's score": lambda body: body["checks"][0].update(score=0.25),
    "a count": lambda body: body["checks"][0].update(violations=body["checks"][0]["examined"]),
    "a dimension": dimension("completeness", 0.5),
    "a gate": lambda body: body["gates"].update(structural=False),
    "fidelity": lambda body: body["fidelity"].update(value=0.991),
    "an impossible count": lambda body: body["checks"][0].update(violations=-1),
    "a word": lambda body: body.update(level="EXCELLENT"),
    "a type": lambda body: body["checks"][0].update(examined="all"),
    "no checks": lambda body: body.pop("checks"),
    "statistics": lambda body: next(f for f in body["fields"] if "statistics" in f)["statistics"]["after"].update(
        count=1
    ),
    "format": lambda body: body.update(format="Klingon"),
    "content": lambda body: body.update(content_sha256="0" * 64),
}


@pytest.mark.parametrize("what", FORGED)
@pytest.mark.parametrize("package", ["array"], indirect=True)
def test_a_forged_verdict_does_not_follow_from_its_counts(package: Path, what: str) -> None:
    reseal(package, FORGED[what])
    assert "certificate.json" in blamed(package)


@pytest.mark.parametrize("package", ["submission"], indirect=True)
def test_a_submission_repeats_what_its_datasets_say(package: Path) -> None:
    kept = (package / "certificate.json").read_bytes()
    for key, value in (
        ("score", 0.9),
        ("level", "PUBLICATION_READY"),
        ("content_sha256", "0" * 64),
        ("path", "datasets"),
    ):
        reseal(package, lambda body, k=key, v=value: body["datasets"][0].update({k: v}))
        done = inside("verify", package, "--json")
        assert done.returncode == 5, key
    reseal(package, lambda body: body.update(level="RESEARCH_GRADE"))
    assert "certificate.json" in blamed(package)
    (package / "certificate.json").write_bytes(kept)


def test_parts_of_two_packages_do_not_mix(packages: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.npy"
    np.save(other, np.random.default_rng(4).normal(size=(30, 20)))
    answer("treat", inside("treat", other, "-o", tmp_path / "q", "--json"))
    for part in ("evidence.parquet", "data/arrays.zarr/array/c/0/0", "plan.json", "data/carried/dataset.json"):
        mixed = tmp_path / part.replace("/", "-")
        shutil.copytree(packages["array"], mixed)
        if (mixed / part).read_bytes() == (tmp_path / "q" / part).read_bytes():
            continue
        shutil.copyfile(tmp_path / "q" / part, mixed / part)
        assert part in blamed(mixed)
        reseal(mixed)
        assert blamed(mixed), part


def test_sealed_files_do_not_swap(packages: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(table(80))
    answer("treat", inside("treat", tmp_path / "t.csv", "-o", tmp_path / "q", "--seal", "--json"))
    for part in ("evidence.parquet", "plan.json", "report.html", "data/tables/table.parquet"):
        mixed = tmp_path / part.replace("/", "-")
        shutil.copytree(packages["sealed"], mixed)
        shutil.copyfile(tmp_path / "q" / part, mixed / part)
        reseal(mixed)
        assert part in blamed(mixed)
        done = inside("restore", mixed, "-o", tmp_path / "back", "--json")
        assert done.returncode == 5 and not (tmp_path / "back").exists(), part
    mixed = tmp_path / "within"
    shutil.copytree(packages["sealed"], mixed)
    a, b = mixed / "data/carried/dataset.json", mixed / "plan.json"
    kept = a.read_bytes()
    a.write_bytes(b.read_bytes()), b.write_bytes(kept)
    reseal(mixed)
    assert blamed(mixed)


@pytest.mark.parametrize("package", ["array"], indirect=True)
def test_another_value_under_agreeing_digests_is_found_by_its_chunk(package: Path) -> None:
    """Replace a chunk by another valid one: one value differs, every file's digest agrees."""
    from numcodecs import blosc

    shard = package / "data/arrays.zarr/array/c/0/0"
    places = 1
    raw = bytearray(shard.read_bytes())
    frame = ShardReader(shard, places).frame(0)
    start = bytes(raw).index(frame)
    opened = OpenedPackage(package)
    values = opened.array("array").chunk((0, 0), 0).copy()
    opened.close()
    values.reshape(-1)[5] += 1e-9
    metadata = json.loads((package / "data/arrays.zarr/array/zarr.json").read_text())
    inner = metadata["codecs"][0]["configuration"]["codecs"][-1]
    if inner["name"] == "zstd":
        again = Zstd(inner["configuration"]["level"]).encode(values)
    else:
        setting = inner["configuration"]
        shuffle = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}[setting["shuffle"]]
        again = blosc.compress(
            values.tobytes(), setting["cname"].encode(), setting["clevel"], shuffle, setting["blocksize"]
        )
    index = np.frombuffer(bytes(raw[-(16 * places + 4) : -4]), "<u8").copy()
    index[1] = len(again)
    import google_crc32c

    packed = index.tobytes()
    shard.write_bytes(bytes(raw[:start]) + again + packed + google_crc32c.value(packed).to_bytes(4, "little"))
    assert "data/arrays.zarr/array/c/0/0" in blamed(package)
    reseal(package)
    assert "data/arrays.zarr/array/c/0/0" in blamed(package)


@pytest.mark.parametrize("package", ["table"], indirect=True)
def test_another_cell_under_agreeing_digests_is_found_by_its_row_group(package: Path) -> None:
    path = package / "data/tables/table.parquet"
    rows = pq.read_table(path)
    ages = rows.column("age").to_pylist()
    ages[3] += 1
    place = rows.schema.get_field_index("age")
    pq.write_table(
        rows.set_column(place, rows.schema.field("age"), pa.array(ages, rows.schema.field("age").type)), path
    )
    reseal(package)
    assert "data/tables/table.parquet" in blamed(package)


@pytest.mark.parametrize("package", ["bounded", "table"], indirect=True)
def test_a_rewritten_scale_or_fact_is_found(package: Path) -> None:
    """What readers decode by, under digests that agree."""
    found = [*package.rglob("zarr.json"), *package.rglob("dataset.json"), package / "plan.json"]
    for path in found:
        raw = path.read_text()
        for old, new in (('"scale_factor": ', '"scale_factor": 1'), ('"rows": ', '"rows": 1'), ('"abs": ', '"abs": 1')):
            if old not in raw:
                continue
            path.write_text(raw.replace(old, new))
            reseal(package)
            assert blamed(package), (path, old)
        path.write_text(raw)
        reseal(package)
    assert inside("verify", package).returncode == 0


@pytest.mark.parametrize("package", ["table", "array", "submission"], indirect=True)
def test_a_broken_manifest_is_said_to_be_one(package: Path) -> None:
    raw = json.loads((package / "manifest.json").read_bytes())
    for files in (None, {}, [1], [{}], [{"path": "../x", "bytes": 1, "sha256": ""}], [{"path": 1, "bytes": 1, "sha256": ""}],
                  [*raw["files"], raw["files"][-1]], raw["files"][::-1], [{"path": "a\0b", "bytes": 1, "sha256": ""}]):  # fmt: skip
        (package / "manifest.json").write_bytes(canonical({**raw, "files": files}))
        assert "manifest.json" in blamed(package)
        assert inside("restore", package, "-o", package.parent / "back").returncode == 5
        assert inside("show", package).returncode == 0
    for text in (b"[]", b"1", b"null", b'"x"', b"[" * 100_000, b"\xff", b"{}", b"NaN", b'{"a":1,"a":1}'):
        for paper in ("manifest.json", "certificate.json"):
            kept = (package / paper).read_bytes()
            (package / paper).write_bytes(text)
            assert paper in blamed(package), (paper, text)
            assert inside("show", package).returncode in (0, 5)
            (package / paper).write_bytes(kept)
