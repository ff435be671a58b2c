"""The house rules that a linter does not know: layers, sizes, names, cheap imports, codes, schemas, clean files."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from customer_data_treatment.errors import EXIT_STATUS
from customer_data_treatment.formats import FORMATS

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "customer_data_treatment"
MODULES = sorted(PACKAGE.rglob("*.py"))
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 400, 60
LINES_OF_A_KERNEL = 80  # compiled, and one loop each: every call in it costs
ERRORS = {"CdtError", "CustomerError", "FacilityError", "PolicyRefusal", "InternalFault"}
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "core", "base"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))


def tracked() -> list[Path]:
    """Return the files that git tracks; without git the test is skipped aloud."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git checkout: tracked files are unknown")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def fresh(code: str) -> str:
    """Run code in a fresh interpreter and return what it printed last."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_every_module_belongs_to_a_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    named = {word.strip() for layer in layers for word in layer.split("|")}
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES} - {"__init__"}
    assert found == named & found and found >= {"errors", "model", "pipeline", "cli"}, found ^ named


def test_files_are_small() -> None:
    lines = {path.relative_to(PACKAGE).as_posix(): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > LINES_OF_A_FILE} == {}


def test_functions_are_small() -> None:
    long = {}
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or node.lineno) - node.lineno + 1
                compiled = any(isinstance(mark, ast.Name) and mark.id == "kernel" for mark in node.decorator_list)
                if count > (LINES_OF_A_KERNEL if compiled else LINES_OF_A_FUNCTION):
                    long[f"{name}:{node.name}"] = count
    assert long == {}


def test_names_say_something() -> None:
    parts = {part.removesuffix(".py") for path in MODULES for part in path.relative_to(PACKAGE).parts}
    assert parts & NAMES_THAT_SAY_NOTHING == set()


def test_nothing_is_left_to_do() -> None:
    left = []
    for path in MODULES:
        if path.name == "request.py":  # msgspec asks its hooks to raise NotImplementedError
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError\b", line):
                left.append(f"{path.relative_to(PACKAGE)}:{number}")
    assert left == []


def test_modules_say_what_they_are() -> None:
    bare = [name for name, tree in trees() if tree.body and ast.get_docstring(tree) is None]
    assert bare == []


def test_importing_the_package_loads_no_numpy() -> None:
    loaded = "print(sorted({'numpy', 'pyarrow', 'zarr', 'numba', 'typer'} & set(sys.modules)))"
    assert fresh(f"import sys, customer_data_treatment; {loaded}") == "[]"
    promised = "AdvancedCustomerDataOrchestrator, CustomerDataRequest, DataModalityType, CustomerDataType"
    assert "numpy" not in fresh(f"import sys; from customer_data_treatment import {promised}; {loaded}")


def test_help_loads_neither_numpy_nor_pyarrow() -> None:
    code = "import sys; from customer_data_treatment.cli import run; run(['--help']);"
    assert fresh(f"{code} print(sorted({{'numpy', 'pyarrow', 'zarr', 'numba'}} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_fixture(name: str) -> None:
    fixture = importlib.import_module(f"tests.promises.formats.{name.lower()}")
    assert callable(fixture.make) and callable(fixture.peer)


def test_every_fixture_has_a_format() -> None:
    names = {path.stem for path in (ROOT / "tests" / "promises" / "formats").glob("[a-z]*.py")}
    assert names <= {name.lower() for name in FORMATS}


def test_error_codes_are_listed() -> None:
    used = set()
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS:
                given = next((word.value for word in node.keywords if word.arg == "code"), None)
                codes = [part.value for part in ast.walk(given) if isinstance(part, ast.Constant)] if given else []
                used |= {(code, name) for code in codes if isinstance(code, str)}
    assert {(code, name) for code, name in used if code not in EXIT_STATUS} == set()
    assert len({code for code, _ in used}) > 20, "the search finds nothing: it is wrong"


def test_every_error_code_is_used() -> None:
    text = "\n".join(path.read_text("utf-8") for path in MODULES if path.name != "errors.py")
    unused = {code for code in EXIT_STATUS if f'"{code}"' not in text}
    # refused-by-policy is the default code of PolicyRefusal: policies come later.
    assert unused <= {"refused-by-policy"}


def test_every_json_answer_has_a_schema() -> None:
    from customer_data_treatment.cli import app

    answers = set()
    for command in app.registered_commands:
        assert command.callback is not None
        if "as_json" in command.callback.__annotations__:
            answers.add(command.name or command.callback.__name__)
    renamed = {"plan": "plan-answer"}  # plan.schema.json is the paper in the package
    passed_on = {"bench"}  # its answer is the benchmarks' own
    there = {path.name.removesuffix(".schema.json") for path in (ROOT / "schemas").glob("*.schema.json")}
    wanted = {renamed.get(name, name) for name in answers - passed_on} | {"error", "certificate", "manifest", "plan"}
    assert wanted - there == set()


def test_no_tracked_file_names_a_machine_or_an_index() -> None:
    # Spelled in pieces, so that this file is no find of its own.
    places = (
        "/wor" + "k/(main|tmp|shared)",
        "/roo" + "t/",
        "/hom" + r"e/(?!USER|user\b)[a-z]+/",
        "/Use" + "rs/[a-z]+/",
    )
    indices = (
        "--(extra-)?index-" + r"url[ =]\S",
        r"(https?|file)://[^\s\"']*/simp" + r"le\b",
        "--find-lin" + r"ks[ =]\S",
    )
    bad = re.compile("|".join((*places, *indices)).encode())
    found = []
    for path in tracked():
        if path.suffix in {".png", ".parquet", ".bin"}:
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if bad.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line[:80]!r}")
    assert found == []
