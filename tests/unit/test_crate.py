"""The crate: two runs alike, every file listed, nothing that holds values, judged by roc-validator."""

import json
import locale
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from customer_data_treatment.package.crate import write_crate
from tests.unit.package_bodies import BODIES, INSTANT, PLAN, clinical, corrupt, grid, nothing

_LATER = ("manifest.json", "certificate.json")


def _package(folder: Path) -> Path:
    for name, content in {
        "data/arrays.zarr/zarr.json": b"{}",
        "data/arrays.zarr/thetao/c/0": b"\0" * 100,
        "data/tables/patients.parquet": b"PAR1",
        "data/tables/two words #1 100%.parquet": b"PAR1",
        "data/carried/Kopfzeile-Ä.bin": b"1",
        "evidence.parquet": b"PAR1",
        "plan.json": b"{}",
        "report.html": b"<p>",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def _write(folder: Path, body: dict[str, Any]) -> dict[str, Any]:
    path = write_crate(folder, body, PLAN, body["metadata"], INSTANT)
    for name in _LATER:
        (folder / name).write_text("{}")
    graph = json.loads(path.read_bytes())["@graph"]
    assert len({entity["@id"] for entity in graph}) == len(graph)
    return {entity["@id"]: entity for entity in graph}


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_crate(_package(tmp_path / "a"), grid(), PLAN, grid()["metadata"], INSTANT).read_bytes()
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "C")
        again = write_crate(_package(tmp_path / "b"), grid(), PLAN, grid()["metadata"], INSTANT).read_bytes()
    finally:
        locale.setlocale(locale.LC_ALL, before)  # the rest of the run reads text files too
    assert first == again
    assert str(tmp_path).encode() not in first


def test_it_says_who_what_when_from_which_bytes_and_by_what(tmp_path: Path) -> None:
    graph = _write(_package(tmp_path), grid())
    root, action = graph["./"], graph["#treatment"]
    assert root["datePublished"] == INSTANT
    assert root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert {"@id": "https://orcid.org/0000-0002-1825-0097"} in root["creator"]
    assert root["publisher"] == action["agent"] == {"@id": "https://ror.org/02f6dcw23"}
    assert graph["#source"]["sha256"] == grid()["source"]["sha256"]
    assert graph["#source"]["contentSize"] == str(grid()["source"]["bytes"])
    software = graph[action["instrument"]["@id"]]
    assert (software["name"], software["version"]) == ("customer-data-treatment", "0.1.0")
    assert {graph[need["@id"]]["name"] for need in software["softwareRequirements"]} == {
        "numpy",
        "pyarrow",
        "zarr",
    }
    assert action["object"] == [{"@id": "#source"}, {"@id": "plan.json"}]
    assert {"@id": "data/arrays.zarr/"} in action["result"]


def test_every_entity_is_described_and_every_file_listed(tmp_path: Path) -> None:
    graph = _write(_package(tmp_path), grid())
    reached, waiting = set(), ["./"]
    while waiting:
        entity = graph[waiting.pop()]
        parts = entity.get("hasPart", [])
        waiting += [part["@id"] for part in ([parts] if isinstance(parts, dict) else parts)]
        reached.add(entity["@id"])
    expected = {
        "data/tables/two%20words%20%231%20100%25.parquet",
        "data/carried/Kopfzeile-Ä.bin",
        "data/arrays.zarr/",
    }
    assert expected | {"evidence.parquet", "plan.json", "report.html", *_LATER} <= reached
    assert graph["data/tables/patients.parquet"]["encodingFormat"] == "application/vnd.apache.parquet"


def test_no_value_stands_in_it(tmp_path: Path) -> None:
    body = grid()
    for field in body["fields"]:
        field["statistics"]["before"]["minimum"] = field["statistics"]["before"]["maximum"] = 271.828459
    write_crate(_package(tmp_path), body, PLAN, body["metadata"], INSTANT)
    assert b"271.828" not in (tmp_path / "ro-crate-metadata.json").read_bytes()


def test_what_nobody_stated_is_said_to_be_missing(tmp_path: Path) -> None:
    graph = _write(_package(tmp_path), clinical())
    assert graph[graph["./"]["license"]["@id"]]["name"] == "No licence was stated"
    assert "agent" not in graph["#treatment"]


@pytest.mark.parametrize(
    "licence",
    [
        "Data Use Agreement 2",
        "https://example.org/terms",
        {"name": "ODbL", "url": "https://opendatacommons.org"},
    ],
)
@pytest.mark.parametrize(
    "creators",
    [
        "Ada",
        ["Ada", {"given_name": "A", "family_name": "B", "orcid": "https://orcid.org/0000-0002-1825-0097"}],
    ],
)
def test_metadata_as_people_write_it(tmp_path: Path, licence: Any, creators: Any) -> None:
    body = corrupt() | {"metadata": {"licence": licence, "creators": creators, "keywords": "sky", "institution": "ESO"}}
    graph = _write(_package(tmp_path), body)
    assert graph["./"]["keywords"] == "sky"
    assert graph["./"]["publisher"] == {"@id": "#organization-ESO"}
    assert graph["./"]["license"]["@id"] in graph


def test_a_submission_refers_to_the_crates_of_its_datasets(tmp_path: Path) -> None:
    inner = tmp_path / "datasets" / "scan 1"
    write_crate(_package(inner), grid(), PLAN, {}, INSTANT)
    graph = _write(tmp_path, nothing())
    reference = graph["datasets/scan%201/"]
    assert reference["conformsTo"] == {"@id": "https://w3id.org/ro/crate"}
    assert reference["subjectOf"] == {"@id": "datasets/scan%201/ro-crate-metadata.json"}


def test_what_is_sealed_is_not_called_zarr_or_parquet(tmp_path: Path) -> None:
    graph = _write(_package(tmp_path), grid() | {"sealed": True})
    arrays, table = graph["data/arrays.zarr/"], graph["data/tables/patients.parquet"]
    assert "conformsTo" not in arrays and "encrypted" in arrays["description"]
    assert table["encodingFormat"] == graph["report.html"]["encodingFormat"] == "application/octet-stream"
    assert graph["certificate.json"]["encodingFormat"] == "application/json"


def _offline_context(folder: Path) -> str:
    """Seed the validator's cache with the context that rocrate ships (1.3, which extends 1.2 and 1.1)."""
    cache = pytest.importorskip("requests_cache")
    context = (files("rocrate") / "data" / "ro-crate.jsonld").read_bytes()
    session = cache.CachedSession(cache_name=str(folder / "contexts"), backend="sqlite", expire_after=-1)
    for version in ("1.1", "1.2"):
        url = f"https://w3id.org/ro/crate/{version}/context"
        request = cache.CachedRequest(method="GET", url=url)
        response = cache.CachedResponse(
            status_code=200, url=url, headers={"Content-Type": "application/ld+json"}, request=request
        )
        response._content = context
        session.cache.save_response(response)
    session.close()
    return str(folder / "contexts")


@pytest.mark.parametrize("name", ["grid", "clinical"])
def test_roc_validator_finds_no_required_issue(tmp_path: Path, name: str) -> None:
    services = pytest.importorskip("rocrate_validator.services", reason="roc-validator is not installed")
    package = _package(tmp_path / "package")
    _write(package, BODIES[name]())
    cache = _offline_context(tmp_path)
    for profile in ("ro-crate-1.2", "process-run-crate"):
        result = services.validate(
            {
                "rocrate_uri": str(package),
                "profile_identifier": profile,
                "requirement_severity": "REQUIRED",
                "offline": True,
                "cache_path": cache,
                "cache_max_age": -1,
            }
        )
        # Process Run Crate 0.5 inherits RO-Crate 1.1, whose one rule that a 1.2 crate cannot keep is
        # that its descriptor names 1.1.
        excused = "descriptor MUST have a `conformsTo` property with the RO-Crate specification version"
        issues = [
            issue.message
            for issue in result.get_issues()
            if not (issue.check.requirement.profile.identifier == "ro-crate-1.1" and excused in str(issue.message))
        ]
        assert issues == []
