"""That a package's own papers agree: certificate, plan and facts, and what plain readers decode its arrays by."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..model.dataset import TEXT, ArrayField, TableField
from ..package.layout import ARRAYS, CARRIED, CERTIFICATE, PLAN, TABLES
from ..package.opened import OpenedPackage
from ..package.tables import open_table

Problem = Callable[[str, str], None]


def prove_papers(opened: OpenedPackage, body: Mapping[str, Any], problem: Problem) -> None:
    """Hold the certificate against plan and facts, Zarr's metadata against the plan, row counts against tables."""
    if not body["format"] == opened.plan["format"] == opened.dataset.format:
        problem(CERTIFICATE, "the format it names is not that of the plan and the facts")
    if sorted(_encodings(body["fields"])) != sorted(_encodings(opened.plan["fields"], planned=True)):
        problem(PLAN, "its fields and bounds are not those of the certificate")
    consolidated: Mapping[str, Any] | None = None
    for field in opened.dataset.fields:
        if isinstance(field, TableField):
            _rows(opened, field, problem)
        elif isinstance(field, ArrayField):
            if consolidated is None:
                root = _document(opened, "")
                consolidated = root.get("consolidated_metadata", {}).get("metadata", {})
            _array(opened, field, consolidated, problem)


def _encodings(records: Any, *, planned: bool = False) -> list[tuple[str, str]]:
    """Return (field or TABLE/COLUMN, its form and bound) of everything that has an encoding."""
    found = []
    for record in records:
        name = record["field" if planned else "name"]
        if "encoding" in record:
            found.append((name, record["encoding"]))
        if planned:
            found += [(f"{name}/{column}", encoding) for column, encoding in record.get("columns", {}).items()]
    return [(name, json.dumps([e.get("form"), e.get("codec")])) for name, e in found]


def _rows(opened: OpenedPackage, table: TableField, problem: Problem) -> None:
    with open_table(opened.folder / f"{TABLES}/{opened.facts['tables'][table.name]}.parquet") as file:
        if table.rows is not None and file.metadata.num_rows != table.rows:
            problem(f"{CARRIED}/dataset.json", f"the rows of {table.name} are not those of its table")


def _document(opened: OpenedPackage, node: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((opened.folder / ARRAYS / node / "zarr.json").read_bytes())
    return found


def _array(opened: OpenedPackage, field: ArrayField, consolidated: Mapping[str, Any], problem: Problem) -> None:
    node = opened.facts["nodes"][field.name]
    where = f"{ARRAYS}/{node}/zarr.json"
    document, stored = _document(opened, node), opened.array(field.name)
    if consolidated.get(node) != document:
        problem(where, "it is not what the consolidated metadata says")
    sharding = document["codecs"][0]["configuration"] if field.shape else {}
    same = (
        document["shape"] == list(field.shape)
        and document["chunk_grid"]["configuration"]["chunk_shape"] == list(stored.grid.shard)
        and sharding.get("chunk_shape", []) == list(stored.grid.chunk)
        and (document["data_type"] == "string") == (field.dtype == TEXT)
    )
    if not same:
        problem(where, "its shape and chunks are not those of the plan")
    grid = stored.form.grid
    if grid is not None:
        attributes = document["attributes"]
        stated = [attributes.get(name) for name in ("scale_factor", "add_offset", "_FillValue")]
        if stated != [grid.step, grid.offset, grid.sentinel]:
            problem(where, "its scale and offset are not those of the plan")
