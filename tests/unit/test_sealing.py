"""Sealing a package directory: what is hidden, what is bound to what, and how it opens."""

import hashlib
import io
import json
from pathlib import Path

import pytest

from customer_data_treatment.adapters.key_ring import FileKeyRing
from customer_data_treatment.errors import CdtError, CustomerError, FacilityError
from customer_data_treatment.package import sealing

FILES = {
    "data/arrays.zarr/x/c/0": b"secret values " * 5000,
    "data/carried/header": b"",
    "evidence.parquet": b"PAR1 evidence",
    "plan.json": b"{}",
    "report.html": b"<p>mean 3.14</p>",
}


@pytest.fixture
def ring(tmp_path: Path) -> FileKeyRing:
    return FileKeyRing(tmp_path / "keys")


def sealed_package(folder: Path, ring: FileKeyRing) -> sealing.PackageKeys:
    keys = sealing.new_package_keys(ring)
    for relative, content in FILES.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        facts = sealing.seal_file(path, path, keys, relative)
        assert facts.bytes == path.stat().st_size
        assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "ro-crate-metadata.json").write_text("{}")
    (folder / "manifest.json").write_text(json.dumps({"files": [], "sealed": sealing.sealed_record(keys)}))
    return keys


def test_a_sealed_package_hides_its_values_and_opens_with_the_ring(tmp_path: Path, ring: FileKeyRing) -> None:
    package = tmp_path / "package"
    keys = sealed_package(package, ring)
    everything = b"".join(path.read_bytes() for path in package.rglob("*") if path.is_file())
    assert b"secret values" not in everything and b"3.14" not in everything and keys.package_key not in everything
    assert not [path for path in package.rglob(".*")]
    with sealing.open_sealed(package, ring) as reader:
        assert reader.names() == tuple(sorted(FILES))
        for relative, content in FILES.items():
            with reader.open(relative) as file:
                assert file.read() == content
        with reader.open("data/arrays.zarr/x/c/0") as file:
            file.seek(20_000)
            assert file.read(100) == FILES["data/arrays.zarr/x/c/0"][20_000:20_100]
            file.seek(-5, io.SEEK_END)
            assert file.read() == b"lues "
        with reader.open("manifest.json") as file:
            assert b"wrapped_package_key" in file.read()
        digests = {name: reader.plaintext_sha256(name) for name in reader.names()}
        plain = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
        assert digests == plain
        assert sealing.content_mac(reader.keys, digests) == sealing.content_mac(keys, plain)


def test_unsealing_writes_the_plain_tree(tmp_path: Path, ring: FileKeyRing) -> None:
    package, target = tmp_path / "package", tmp_path / "plain"
    sealed_package(package, ring)
    target.mkdir()
    sealing.unseal_to(package, target, ring)
    found = {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert {name: found.pop(name) for name in FILES} == FILES
    assert sorted(found) == ["manifest.json", "ro-crate-metadata.json"]


def test_without_the_key_it_says_which_key_is_missing(tmp_path: Path, ring: FileKeyRing) -> None:
    keys = sealed_package(tmp_path / "package", ring)
    with pytest.raises(FacilityError) as caught, sealing.open_sealed(tmp_path / "package", FileKeyRing(tmp_path / "b")):
        pass
    assert caught.value.code == "no-key" and keys.key_id in caught.value.message and caught.value.remedy


def test_files_cannot_be_moved_within_or_between_packages(tmp_path: Path, ring: FileKeyRing) -> None:
    for name in ("one", "two"):
        sealed_package(tmp_path / name, ring)
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "plan.json").write_bytes((two / "plan.json").read_bytes())
    (one / "report.html").write_bytes((one / "evidence.parquet").read_bytes())
    (one / "data/carried/header").unlink()
    with sealing.open_sealed(one, ring) as reader:
        for name in ("plan.json", "report.html", "data/carried/header", "data/unlisted"):
            with pytest.raises(CustomerError) as caught:
                reader.open(name)
            assert caught.value.code == "not-verified" and name in caught.value.where
    records = [json.loads((folder / "manifest.json").read_text()) for folder in (one, two)]
    records[0]["sealed"]["wrapped_file_keys"]["plan.json"] = records[1]["sealed"]["wrapped_file_keys"]["plan.json"]
    (one / "manifest.json").write_text(json.dumps(records[0]))
    with pytest.raises(CustomerError), sealing.open_sealed(one, ring):
        pass


def test_a_file_cannot_be_moved_with_its_key_either(tmp_path: Path, ring: FileKeyRing) -> None:
    package = tmp_path / "package"
    sealed_package(package, ring)
    (package / "plan.json").write_bytes((package / "report.html").read_bytes())
    record = json.loads((package / "manifest.json").read_text())
    wrapped = record["sealed"]["wrapped_file_keys"]
    wrapped["plan.json"] = wrapped["report.html"]
    (package / "manifest.json").write_text(json.dumps(record))
    with pytest.raises(CustomerError), sealing.open_sealed(package, ring) as reader:
        reader.open("plan.json").read()


def test_every_file_and_every_sealing_has_a_key_of_its_own(tmp_path: Path, ring: FileKeyRing) -> None:
    one, two = (sealed_package(tmp_path / name, ring) for name in ("one", "two"))
    keys = [*one.files.values(), *two.files.values(), one.package_key, two.package_key, ring.key(one.key_id)]
    assert len(set(keys)) == 2 * len(FILES) + 3
    assert one.package_id != two.package_id and repr(one).count("=") == 2


@pytest.mark.parametrize(
    "change",
    [
        {"wrapped_package_key": "AAAA"},
        {"wrapped_package_key": "%"},
        {"package_id": 3},
        {"wrapped_file_keys": {"../../out": "AAAA"}},
        {"wrapped_file_keys": []},
        {"key_id": None},
    ],
)
def test_a_damaged_record_is_an_error_of_the_package(
    tmp_path: Path, ring: FileKeyRing, change: dict[str, object]
) -> None:
    keys = sealed_package(tmp_path / "package", ring)
    with pytest.raises(CdtError) as caught:
        sealing.keys_from_record(sealing.sealed_record(keys) | change, ring)
    assert caught.value.exit_status in (5, 7)


def test_a_reading_that_meets_damage_names_file_and_byte(tmp_path: Path, ring: FileKeyRing) -> None:
    sealed_package(tmp_path / "package", ring)
    path = tmp_path / "package/data/arrays.zarr/x/c/0"
    damaged = bytearray(path.read_bytes())
    damaged[16384 + 200] ^= 4
    path.write_bytes(damaged)
    with sealing.open_sealed(tmp_path / "package", ring) as reader, reader.open("data/arrays.zarr/x/c/0") as file:
        with pytest.raises(CustomerError, match="altered") as caught:
            file.read()
        assert "byte 16456" in caught.value.where
