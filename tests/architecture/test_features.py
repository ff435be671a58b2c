"""docs/features.toml: every row of the mission is there, and every link leads to a file and a test that exist."""

import ast
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = {"A": 9, "M": 8, "P": 4, "T": 12, "Q": 4, "N": 4, "F": 13, "C": 8, "S": 8, "R": 8, "U": 4}
IDS = [f"{letter}{number}" for letter, count in ROWS.items() for number in range(1, count + 1)]
FEATURES: dict[str, Any] = tomllib.loads((ROOT / "docs" / "features.toml").read_text("utf-8"))


def test_every_row_of_the_mission_is_there_in_order() -> None:
    assert list(FEATURES) == IDS


@pytest.mark.parametrize("row", IDS)
def test_links_are_alive(row: str) -> None:
    feature = FEATURES[row]
    assert feature["promised"] and feature["status"] in {"built", "partly", "later"}
    if feature["status"] == "later":
        assert feature.keys() == {"promised", "status"}, "what is not built has no file and no bar to clear yet"
        return
    assert feature.keys() == {"promised", "status", "file", "test", "bar"} and feature["bar"]
    assert (ROOT / feature["file"]).is_file(), feature["file"]
    path, _, name = feature["test"].partition("::")
    assert (ROOT / path).is_file(), path
    if path.startswith("bench/"):
        return
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in names if name else any(found.startswith("test_") for found in names), feature["test"]


def test_tests_named_in_a_bar_exist() -> None:
    for row, feature in FEATURES.items():
        for word in feature.get("bar", "").replace("(", " ").replace(")", " ").split():
            if word.startswith("tests/"):
                assert (ROOT / word).is_file(), (row, word)
