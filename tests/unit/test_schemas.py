"""The JSON Schemas: valid themselves, and kept by the answers and papers of real runs."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from customer_data_treatment.cli import run
from customer_data_treatment.errors import EXIT_STATUS
from customer_data_treatment.vocabulary import CustomerDataType, DataModalityType, Level, Role
from tests.unit.package_bodies import BODIES

_FOLDER = Path(__file__).resolve().parents[2] / "schemas"
_SCHEMAS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in sorted(_FOLDER.glob("*.json"))
}
_REGISTRY: Any = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in _SCHEMAS.values()
)


def _complaints(name: str, value: Any) -> list[str]:
    validator = Draft202012Validator(_SCHEMAS[name], registry=_REGISTRY)
    return [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in validator.iter_errors(value)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an array, a table, a truncated file, and CDT_HOME beside them."""
    folder = tmp_path_factory.mktemp("answers")
    y, x = np.mgrid[0:60, 0:80]
    values = (280 + np.sin(x / 9) + np.cos(y / 7) + np.random.default_rng(1).normal(0, 0.1, (60, 80))).astype("f4")
    delivery = folder / "delivery"
    delivery.mkdir()
    np.save(delivery / "field.npy", values)
    (delivery / "short.npy").write_bytes((delivery / "field.npy").read_bytes()[:200])
    (delivery / "table.csv").write_text("id,age,sex\n1,34.5,m\n2,,f\n3,51.25,f\n")
    before = os.environ.get("CDT_HOME")
    os.environ["CDT_HOME"] = str(folder / "home")
    yield folder
    os.environ.pop("CDT_HOME")
    if before is not None:
        os.environ["CDT_HOME"] = before


def _answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    run([*arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def test_every_schema_is_one_and_fixes_its_version() -> None:
    assert set(_SCHEMAS) >= {
        "certificate", "manifest", "plan", "inspect", "plan-answer", "treat", "verify", "formats", "show", "restore", "error",
    }  # fmt: skip
    for name, schema in _SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        versioned = schema["$defs"]["body"] if name == "certificate" else schema
        assert versioned["properties"]["schema"] == {"const": 1}, name
        assert "schema" in versioned["required"], name


def test_the_schemas_know_every_word() -> None:
    body = _SCHEMAS["certificate"]["$defs"]["body"]["properties"]
    assert body["level"]["enum"] == [str(word) for word in Level]
    assert body["modality"]["enum"] == [str(word) for word in DataModalityType]
    assert body["data_type"]["enum"] == [str(word) for word in CustomerDataType]
    assert _SCHEMAS["certificate"]["$defs"]["array"]["properties"]["role"]["enum"] == [str(word) for word in Role]
    codes = _SCHEMAS["error"]["properties"]["error"]["properties"]["code"]["enum"]
    assert codes == sorted(EXIT_STATUS)


@pytest.mark.parametrize("name", sorted(BODIES))
def test_the_bodies_that_the_report_is_tested_on_are_such(name: str) -> None:
    certificate = {
        "body": BODIES[name](),
        "body_sha256": "0" * 64,
        "manifest_sha256": "0" * 64,
        "signature": None,
    }
    assert _complaints("certificate", certificate) == []


@pytest.mark.parametrize(
    ("source", "sealed"),
    [("delivery/field.npy", False), ("delivery/table.csv", True), ("delivery", False)],
)
def test_papers_and_answers_of_a_treatment(
    place: Path, capsys: pytest.CaptureFixture[str], source: str, sealed: bool
) -> None:
    package = str(place / f"{Path(source).name}-{sealed}.package")
    options = ["--seal"] if sealed else ["--bound", "auto"]
    answer = _answer(capsys, "treat", str(place / source), "-o", package, "--overwrite", *options)
    assert _complaints("treat", answer) == []
    shown = _answer(capsys, "show", package)
    assert _complaints("show", shown) == []
    assert _complaints("verify", _answer(capsys, "verify", package)) == []
    assert _complaints("certificate", json.loads((Path(package) / "certificate.json").read_bytes())) == []
    assert _complaints("manifest", json.loads((Path(package) / "manifest.json").read_bytes())) == []
    plan = Path(package) / "plan.json"
    if plan.is_file() and not sealed:
        assert _complaints("plan", json.loads(plan.read_bytes())) == []


@pytest.mark.parametrize("name", ["field.npy", "table.csv"])
def test_inspect_plan_and_restore(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    source = str(place / "delivery" / name)
    assert _complaints("inspect", _answer(capsys, "inspect", source)) == []
    assert _complaints("plan-answer", _answer(capsys, "plan", source, "--bound", "rel=1e-3")) == []
    package, target = str(place / f"{name}.again"), str(place / f"restored-{name}")
    _answer(capsys, "treat", source, "-o", package)
    assert _complaints("restore", _answer(capsys, "restore", package, "-o", target)) == []


def test_formats_and_failures(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _complaints("formats", _answer(capsys, "formats")) == []
    for arguments in (
        ("inspect", str(place / "nowhere")),
        ("inspect", str(place / "delivery" / "short.npy")),
        ("treat", str(place / "delivery" / "field.npy"), "-o", str(place / "x"), "--bound", "nonsense"),
        ("show", str(place / "delivery")),
        ("treat",),
    ):
        assert _complaints("error", _answer(capsys, *arguments)) == [], arguments


def test_a_broken_answer_is_caught() -> None:
    error = {"schema": 1, "error": {"code": "no-such-code", "message": "", "where": "", "remedy": ""}}
    assert _complaints("error", error)
    body = BODIES["grid"]()
    body["score"] = 1.2
    body["fields"][0]["encoding"]["form"] = "lossy"
    assert (
        len(
            _complaints(
                "certificate",
                {"body": body, "body_sha256": "0" * 64, "manifest_sha256": "0" * 64, "signature": None},
            )
        )
        == 2
    )
