"""What every check promises: the same counts under any chunking and merge order, picklable, honest, quiet."""

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_data_treatment.checks import CHECKS
from customer_data_treatment.checks.run import (
    bind_checks,
    merge_partials,
    observe_chunk,
    run_checks,
    watched,
)
from customer_data_treatment.model.chunk import Chunk
from customer_data_treatment.model.dataset import TEXT, ArrayField, Column, Dataset, TableField, Witness
from customer_data_treatment.model.requirements import ColumnRule, ForeignKey, Requirements, TableRule
from customer_data_treatment.model.verdict import CheckResult, score
from customer_data_treatment.plugin import load
from customer_data_treatment.vocabulary import CustomerDataType, DataModalityType, Dimension, Role
from tests.checking import check, chunks_of, outcome_of

_DIRTY = ["a", "b\x00", "�", "", None, "7", "12.5", "2024-02-30", "é"]


def _table(draw: st.DrawFn, rows: int) -> pa.RecordBatch:
    def pick(items: list[Any]) -> list[Any]:
        return draw(st.lists(st.sampled_from(items), min_size=rows, max_size=rows))

    return pa.record_batch(
        {
            "id": pa.array(pick(["p1", "p2", "p3", None, "p4"]), pa.string()),
            "age": pa.array(pick([1.0, 55.0, -3.0, None, float("nan"), float("inf"), 200.0]), pa.float64()),
            "site": pa.array(pick([1, 2, 3, 9, None]), pa.int16()),
            "note": pa.array(pick(_DIRTY), pa.string()),
            "lat": pa.array(pick([0.0, 91.0, -90.0, None]), pa.float32()),
        }
    )


_RULES = Requirements(
    tables=(
        TableRule(
            columns=(
                ColumnRule("id", "string", required=True),
                ColumnRule("age", "number", minimum=0, maximum=120, missing_values=("", "55")),
                ColumnRule("site", enum=("1", "2", "3")),
                ColumnRule("note", "date", optional=True),
                ColumnRule("absent", required=True),
            ),
            key=("id",),
            foreign_keys=(ForeignKey(("site",), "", ("age",)),),
        ),
    )
)


def _dataset(batch: pa.RecordBatch, array: "np.ndarray[Any, Any]") -> Dataset:
    columns = (
        Column("id", Role.IDENTIFIER),
        Column("age"),
        Column("site", Role.CODE),
        Column("note", Role.TEXT),
        Column("lat", Role.COORDINATE, "degrees_north"),
    )
    fields = (
        TableField("visits", batch.schema, columns, batch.num_rows),
        ArrayField("x", (array.shape[0],), "float64", ("x",), Role.COORDINATE),
        ArrayField(
            "grid",
            array.shape,
            "int16",
            ("x", "y"),
            attributes={"valid_range": [0, 50], "flag_values": np.arange(60, dtype="i2")},
            fill=-1,
        ),
        ArrayField("words", (array.shape[0],), TEXT, ("x",), Role.TEXT),
    )
    witnesses = (Witness("grid", "maximum", 40, "attribute"), Witness("visits/site", "count", 4, "footer"))
    return Dataset("T", DataModalityType.GENERAL, CustomerDataType.GENERAL, fields, witnesses=witnesses)


@st.composite
def _cases(draw: st.DrawFn) -> tuple[Dataset, Mapping[str, Any]]:
    rows, length = draw(st.integers(0, 12)), draw(st.integers(1, 9))
    batch = _table(draw, rows)
    grid = np.array(
        draw(st.lists(st.sampled_from([-1, 0, 7, 50, 51, 70]), min_size=length * 3, max_size=length * 3)),
        dtype="i2",
    ).reshape(length, 3)
    x = np.array(draw(st.lists(st.sampled_from([1.0, 2.0, 3.0, np.nan]), min_size=length, max_size=length)))
    words = np.array(draw(st.lists(st.sampled_from(_DIRTY), min_size=length, max_size=length)), dtype=object)
    return _dataset(batch, grid), {"visits": batch, "x": x, "grid": grid, "words": words}


@settings(max_examples=60, deadline=None)
@given(_cases(), st.integers(1, 5), st.booleans())
def test_any_chunking_and_any_merge_tree_count_the_same(
    case: tuple[Dataset, Mapping[str, Any]], size: int, schema: bool
) -> None:
    dataset, values = case
    requirements = _RULES if schema else Requirements()
    whole = check(dataset, values, requirements, size=10**6)
    assert whole == check(dataset, values, requirements, size=size)
    observers = bind_checks(dataset, requirements)
    parts = []
    for chunk in chunks_of(dataset, values, size):
        parts.append({})
        observe_chunk(observers, parts[-1], chunk)
    while len(parts) > 1:  # a balanced tree instead of a fold
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [merge_partials(observers, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    partials = parts[0] if parts else {}
    assert whole == run_checks(observers, partials, outcome_of(dataset, values, requirements))


@settings(max_examples=40, deadline=None)
@given(_cases(), st.booleans())
def test_results_are_counts_and_messages_hold_no_value(case: tuple[Dataset, Mapping[str, Any]], schema: bool) -> None:
    dataset, values = case
    results = check(dataset, values, _RULES if schema else Requirements())
    names = [result.name for result in results]
    assert len(set(names)) == len(names)
    for result in results:
        assert 0 <= result.violations <= result.examined <= result.scope, result
        text = result.message + " ".join(result.where)
        assert not any(word in text for word in ("p1", "p2", "p3", "b\x00", "�", "é")), result
        assert len(result.where) <= 9
        assert result.message[0].islower() and not result.message.endswith(".")


@settings(max_examples=40, deadline=None)
@given(_cases(), st.integers(0, 11), st.booleans())
def test_more_of_one_defect_never_raises_a_score(
    case: tuple[Dataset, Mapping[str, Any]], row: int, schema: bool
) -> None:
    dataset, values = case
    batch = values["visits"]
    if row >= batch.num_rows:
        return
    requirements = _RULES if schema else Requirements()
    lats = batch.column("lat").to_pylist()
    if lats[row] is None:
        return
    lats[row] = 123.0  # outside the globe
    at = batch.schema.get_field_index("lat")
    worse = batch.set_column(at, "lat", pa.array(lats, pa.float32()))
    before, after = (_scores(check(dataset, values | {"visits": b}, requirements)) for b in (batch, worse))
    name = "latitude:visits/lat"
    assert after[name] is not None and before[name] is not None and after[name] <= before[name]


def _scores(results: list[CheckResult]) -> dict[str, float | None]:
    return {result.name: score(result) for result in results}


def test_observers_and_unspilled_partials_cross_processes() -> None:
    grid = np.zeros((4, 3), dtype="i2")
    batch = pa.record_batch(
        {
            "id": ["a", "b"],
            "age": [1.0, 2.0],
            "site": pa.array([1, 2], pa.int16()),
            "note": ["x", "y"],
            "lat": pa.array([1.0, 2.0], pa.float32()),
        }
    )
    values = {"visits": batch, "x": np.arange(4.0), "grid": grid, "words": np.array(["a"] * 4, dtype=object)}
    dataset = _dataset(batch, grid)
    for requirements in (Requirements(), _RULES):
        observers = pickle.loads(pickle.dumps(bind_checks(dataset, requirements)))
        partials: dict[int, Any] = {}
        for chunk in chunks_of(dataset, values, 2):
            observe_chunk(observers, partials, chunk)
        partials = pickle.loads(pickle.dumps(partials))
        results = run_checks(observers, partials, outcome_of(dataset, values, requirements))
        assert results == check(dataset, values, requirements)


def test_a_plain_measurement_array_costs_no_pass() -> None:
    field = ArrayField("flux", (1000, 1000), "float32", (None, None))
    dataset = Dataset("NPY", DataModalityType.GENERAL, CustomerDataType.GENERAL, (field,))
    assert watched(bind_checks(dataset, Requirements())) == frozenset()


def test_an_empty_dataset_is_judged_too() -> None:
    dataset = Dataset("NPY", DataModalityType.GENERAL, CustomerDataType.GENERAL, ())
    results = check(dataset, {}, Requirements())
    assert all(result.violations == 0 for result in results)


@pytest.mark.parametrize("name", CHECKS)
def test_every_entry_of_the_table_loads(name: str) -> None:
    code = load(CHECKS, name)
    assert callable(code.bind)
    assert isinstance(CHECKS[name].dimension, Dimension)


def test_chunks_of_tells_where_a_chunk_lies() -> None:
    field = ArrayField("a", (5,), "int8", ("a",))
    dataset = Dataset("NPY", DataModalityType.GENERAL, CustomerDataType.GENERAL, (field,))
    chunks = chunks_of(dataset, {"a": np.arange(5, dtype="i1")}, 2)
    assert [(chunk.index, chunk.start) for chunk in chunks] == [(0, (0,)), (1, (2,)), (2, (4,))]
    assert all(isinstance(chunk, Chunk) for chunk in chunks)
