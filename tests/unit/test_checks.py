"""Each check on small data whose defects are counted by hand."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from customer_data_treatment.checks.counting import duplicates
from customer_data_treatment.checks.counting.duplicates import Rows, find_duplicates, rows_of
from customer_data_treatment.checks.counting.hashing import row_bits
from customer_data_treatment.checks.counting.judging import judge_cells
from customer_data_treatment.checks.run import bind_checks, run_checks
from customer_data_treatment.errors import CustomerError
from customer_data_treatment.model.dataset import (
    TEXT,
    ArrayField,
    Column,
    Dataset,
    Field,
    RuleCount,
    TableField,
    Witness,
)
from customer_data_treatment.model.outcome import ChunkTally, Outcome
from customer_data_treatment.model.requirements import (
    ColumnRule,
    ForeignKey,
    Requirements,
    TableRule,
    read_requirements,
)
from customer_data_treatment.model.verdict import CheckResult, judge
from customer_data_treatment.vocabulary import (
    CustomerDataType,
    DataModalityType,
    Dimension,
    Level,
    Role,
    RuleKind,
)
from tests.checking import RECORDED, by_name, check
from tests.corpus_path import CORPUS


def _dataset(*fields: Field, witnesses: tuple[Witness, ...] = ()) -> Dataset:
    return Dataset("T", DataModalityType.GENERAL, CustomerDataType.GENERAL, fields, witnesses=witnesses)


def _counts(result: CheckResult) -> tuple[int, int]:
    return result.scope, result.violations


def _array(values: Any, name: str = "a", **facts: Any) -> tuple[Dataset, dict[str, Any]]:
    array = np.asarray(values)
    facts.setdefault("dimensions", (None,) * array.ndim)
    return _dataset(ArrayField(name, array.shape, array.dtype.name, **facts)), {name: array}


def _table(
    name: str = "t",
    roles: dict[str, Role] | None = None,
    declared: dict[str, Any] | None = None,
    **columns: Any,
) -> tuple[Dataset, dict[str, Any]]:
    batch = pa.record_batch(
        {key: value if isinstance(value, pa.Array) else pa.array(value) for key, value in columns.items()}
    )
    facts = tuple(
        Column(key, (roles or {}).get(key, Role.MEASUREMENT), **(declared or {}).get(key, {})) for key in columns
    )
    return _dataset(TableField(name, batch.schema, facts, batch.num_rows)), {name: batch}


def _rules(*columns: ColumnRule, **more: Any) -> Requirements:
    return Requirements(tables=(TableRule(columns, **more),))


# completeness


def test_null_and_nan_are_missing_and_a_declared_fill_is_a_mask() -> None:
    dataset = _dataset(
        ArrayField("f", (4,), "float32", (None,)),
        ArrayField("i", (3,), "int16", (None,), fill=-9),
        ArrayField("m", (2,), "int8", (None,), role=Role.MASK, fill=0),
    )
    values = {
        "f": np.array([1, np.nan, np.nan, 2], "f4"),
        "i": np.array([-9, 1, 2], "i2"),
        "m": np.array([0, 0], "i1"),
    }
    found = by_name(check(dataset, values))
    assert _counts(found["undeclared-cells"]) == (6, 2)  # a declared fill is a declared mask
    assert found["undeclared-cells"].where == ("f (2)",)
    assert (_counts(found["optional-cells"]), found["optional-cells"].kind) == ((3, 3), RuleKind.ADVISORY)


def test_required_fields_stand_alone_and_optional_ones_leave() -> None:
    declared = {"r": {"required": True}, "o": {"optional": True}}
    found = by_name(check(*_table(declared=declared, r=[1, None, 3], o=[None, None, 1], u=["a", None, ""])))
    assert _counts(found["required-cells:t/r"]) == (3, 1)
    assert _counts(found["undeclared-cells"]) == (3, 1)
    assert _counts(found["optional-cells"]) == (3, 2)


def test_a_schema_says_what_missing_is() -> None:
    rules = _rules(
        ColumnRule("age", "integer", required=True, missing_values=("-99", "")),
        ColumnRule("sex", missing_values=("unknown",)),
        ColumnRule("gone", required=True),
    )
    found = by_name(check(*_table(age=[-99, 4, None, 7], sex=["f", "unknown", "m", "m"]), rules))
    assert _counts(found["required-cells:t/age"]) == (4, 2)
    assert found["required-cells:t/age"].where == ("table t, row 1", "table t, row 3")
    assert _counts(found["undeclared-cells:t"]) == (4, 1)
    assert _counts(found["required-cells:t/gone"]) == (4, 4)
    assert _counts(found["schema-columns:t"]) == (3, 1)
    assert _counts(found["schema-cells:t/age"]) == (2, 0)


def test_a_form_that_was_not_opened_asks_nothing() -> None:
    rules = _rules(ColumnRule("x", required=True, asked_where="form_complete"), ColumnRule("form_complete"))
    found = by_name(check(*_table(x=[1, None, None], form_complete=[2, None, 0]), rules))
    assert _counts(found["required-cells:t/x"]) == (2, 1)


def test_imputed_cells_count_as_missing() -> None:
    dataset, values = _array([1.0, 2.0])
    outcome = Outcome(dataset, {"a": _statistics(values["a"])}, imputed={"a": 1})
    found = by_name(run_checks(bind_checks(dataset, Requirements()), {}, outcome))
    assert _counts(found["undeclared-cells"]) == (2, 1)


def _statistics(values: Any) -> Any:
    from tests.checking import array_statistics

    return array_statistics(values)


# consistency


@pytest.mark.parametrize(
    ("values", "broken"),
    [
        ([1, 2, 3, 4], 0),
        ([4, 3, 2, 1], 0),
        ([1, 2, 2, 3], 1),
        ([1, 2, 9, 3, 4], 1),
        ([1.0, np.nan, 3.0], 2),
        ([5], 0),
        ([3, 2, 1, 2], 1),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_coordinate_goes_one_way(values: list[float], broken: int, size: int) -> None:
    dataset, read = _array(values, "g/lev", dimensions=("lev",), role=Role.COORDINATE)
    found = by_name(check(dataset, read, size=size))["coordinate-monotonic:g/lev"]
    assert _counts(found) == (len(values) - 1, broken) and found.kind is RuleKind.SCORED


def test_a_station_axis_need_not_be_ordered() -> None:
    found = by_name(check(*_array([3, 1, 2], "station", dimensions=("station",))))
    assert found["coordinate-monotonic:station"].kind is RuleKind.ADVISORY


def test_dimensions_of_one_name_agree_within_their_group() -> None:
    fields = [
        ArrayField(name, shape, "int8", dimensions)
        for name, shape, dimensions in (
            ("a", (3,), ("x",)),
            ("b", (3, 2), ("x", "y")),
            ("c", (4,), ("x",)),
            ("g/d", (9,), ("x",)),
            ("e", (7,), (None,)),
        )
    ]
    values = {f.name: np.zeros(f.shape, "i1") for f in fields}
    found = by_name(check(_dataset(*fields), values))["dimensions-agree"]
    assert _counts(found) == (5, 1) and found.where == ("c, dimension x",)


def test_sizes_are_held_against_their_declaration() -> None:
    batch = pa.record_batch({"a": [1, 2], "l": pa.array([[1, 2, 3], []])})
    table = TableField("t", batch.schema, (Column("a"), Column("l")), rows=3)
    found = by_name(check(_dataset(table), {"t": batch}))["sizes-agree"]
    assert _counts(found) == (1, 1) and found.where == ("t/a",)


def test_names_units_and_references() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", " "])
    fields: list[Field] = [TableField("t", batch.schema, (Column("a"), Column("a"), Column(" ")), 1)]
    fields += [
        ArrayField("g1/u", (1,), "int8", (None,), units="m"),
        ArrayField("g2/u", (1,), "int8", (None,), units="km", attributes={"coordinates": "lat lon"}),
        ArrayField("lat", (1,), "int8", (None,), role=Role.COORDINATE),
    ]
    values: dict[str, Any] = {f.name: np.zeros(1, "i1") for f in fields[1:]} | {"t": batch}
    found = by_name(check(_dataset(*fields), values))
    assert _counts(found["column-names"]) == (3, 3)
    assert _counts(found["units-agree"]) == (1, 1)
    assert _counts(found["referred-variables"]) == (2, 1)
    assert found["referred-variables"].where == ("g2/u, attribute coordinates: lon",)


def test_text_among_numbers_is_worth_a_word() -> None:
    numbers = [str(n) for n in range(99)] + ["<0.5"]
    found = by_name(check(*_table(x=numbers, y=["a", "1"] * 50, z=["07", "08"] * 50)))["mixed-types:t"]
    assert _counts(found) == (3, 1) and found.where == ("table t, column x (mostly numbers)",)


# duplicates


def test_a_declared_key_is_unique_and_its_rows_witness_each_other() -> None:
    rules = _rules(ColumnRule("k"), ColumnRule("v"), key=("k",))
    keys, values = ["a", "b", "a", "c", "b", "a", None, None], [1, 2, 1, 3, 9, 1, 0, 0]
    found = by_name(check(*_table(k=keys, v=values), rules, size=2))
    assert _counts(found["key-unique:t/k"]) == (6, 3)
    assert found["key-unique:t/k"].where == ("table t, row 3", "table t, row 5", "table t, row 6")
    assert _counts(found["rows-repeat:t"]) == (6, 2)
    assert _counts(found["repeated-keys-agree:t"]) == (5, 2)
    assert found["repeated-keys-agree:t"].dimension is Dimension.ACCURACY


def test_whole_rows_are_scored_only_where_they_have_an_identity() -> None:
    plants = by_name(check(*_table(petal=[1.5, 1.5], sepal=[2.0, 2.0])))["rows-repeat:t"]
    assert (_counts(plants), plants.kind) == ((2, 1), RuleKind.ADVISORY)
    series = by_name(check(*_table(roles={"time": Role.TIME}, time=[1, 1], x=[2.0, 2.0])))["rows-repeat:t"]
    assert (_counts(series), series.kind) == ((2, 1), RuleKind.SCORED)
    listed = by_name(check(*_table(id=["a", "a", "b"], x=[1, 2, 3])))
    assert (_counts(listed["identifier-repeats:t/id"]), listed["identifier-repeats:t/id"].kind) == (
        (3, 1),
        RuleKind.ADVISORY,
    )
    assert _counts(listed["rows-repeat:t"]) == (3, 0)


def test_unique_columns_and_companions_of_the_key() -> None:
    rules = _rules(
        ColumnRule("s"), ColumnRule("e"), ColumnRule("m", unique=True), key=("s",), key_companions=("e", "r")
    )
    found = by_name(check(*_table(s=[1, 1, 2, 2], e=["x", None, None, None], m=["p", "p", None, None]), rules))
    assert _counts(found["key-unique:t/s+e"]) == (4, 1)
    assert _counts(found["key-unique:t/m"]) == (2, 1)


def test_duplicates_beyond_memory_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    cells = rng.integers(0, 900, 2000)
    batch = pa.record_batch({"k": pa.array([f"p{n}" for n in cells]), "v": pa.array(rng.integers(0, 2, 2000))})
    want = 2000 - len(set(cells.tolist()))
    pairs = list(zip(batch.column("k").to_pylist(), batch.column("v").to_pylist(), strict=True))
    found = []
    for waiting in (1 << 20, 100):
        monkeypatch.setattr(duplicates, "_WAITING", waiting)
        parts = [rows_of(batch.slice(at, 64), ("k",), ("v",), ("k",)) for at in range(0, 2000, 64)]
        left, right = Rows(), Rows()
        for part in parts[:16]:
            left = left.merge(part)
        for part in parts[16:]:
            right = right.merge(part)
        rows = left.merge(right)
        assert bool(rows.runs) == (waiting == 100)
        found.append(find_duplicates(rows, ("k",), ("k",), lambda: iter([batch])))
    assert found[0] == found[1]
    assert (found[0].seen, found[0].repeated, found[0].identical) == (2000, want, 2000 - len(set(pairs)))


def test_a_hit_by_chance_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def weak(columns: list[Any], rows: int) -> Any:
        return row_bits(columns, rows) & np.uint64(0xFF)

    monkeypatch.setattr(duplicates, "row_bits", weak)
    batch = pa.record_batch({"k": pa.array([f"p{n % 1000}" for n in range(1003)])})
    rows = rows_of(batch, ("k",), (), ("k",))
    found = find_duplicates(rows, ("k",), ("k",), lambda: iter([batch.slice(0, 500), batch.slice(500)]))
    assert (found.repeated, found.places) == (3, (1000, 1001, 1002))


_COLUMNS = {
    "text": pa.array(["", "a", "ab", None, "a\0", "é" * 3]),
    "long": pa.array(["x" * n for n in (255, 256, 257, 300)] + [None, "x" * 257 + "y"]),
    "view": pa.array(["", "a", "ab", None, "x" * 20, "é"], pa.string_view()),
    "bytes": pa.array([b"", b"a", b"\xff", None, b"a\0", b"b"]),
    "half": pa.array(np.array([0, 1, 2, 3, 4, 5], "f2")),
    "float": pa.array([0.0, -0.0, float("inf"), None, 1.5, -1.5]),
    "uint": pa.array([0, 1, 2**64 - 1, None, 2**63, 5], pa.uint64()),
    "bool": pa.array([True, False, None, None, None, None]),
    "date": pa.array([0, 1, 2, None, 4, -5], pa.date32()),
    "stamp": pa.array([0, 1, 2**60 + 1, None, 4, -5], pa.timestamp("ns", "UTC")),
    "unknown zone": pa.array([0, 1, 2**60 + 1, None, 4, -5], pa.timestamp("us", "Nowhere/Land")),
    "byte view": pa.array([b"", b"a", b"b" * 20, None, b"a\0", b"b"], pa.binary_view()),
    "span": pa.array([0, 1, 2, None, 4, 5], pa.duration("ns")),
    "clock": pa.array([0, 1, 2, None, 4, 5], pa.time32("s")),
    "decimal": pa.array([0, 1, 2, None, 4, 5], pa.decimal128(20, 2)),
    "words": pa.array(["u", "v", "w", None, "x", "y"]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", _COLUMNS)
def test_equal_cells_have_equal_bits_and_others_do_not(kind: str) -> None:
    column = _COLUMNS[kind]
    bits = row_bits([column], len(column))
    assert len(set(bits.tolist())) == (3 if kind == "bool" else len(column))
    for at in range(len(column)):
        assert row_bits([column.slice(at, 1)], 1)[0] == bits[at]
    batch = pa.record_batch({"k": pa.concat_arrays([column, column])})
    found = find_duplicates(rows_of(batch, ("k",), (), ()), ("k",), (), lambda: iter([batch]))
    assert found.repeated == 2 * len(column) - (3 if kind == "bool" else len(column))


def test_columns_without_any_value_hide_no_repetition() -> None:
    columns = {"x": [1, 2, 1], "empty": pa.nulls(3)}
    found = by_name(check(*_table(**columns)))["rows-repeat:t"]
    assert (_counts(found), found.where) == ((3, 1), ("table t, row 3",))


def test_similar_names_do_not_share_their_bits() -> None:
    names = [f"{site:08d}-sample-{n:012d}" for site in (1, 1 << 20) for n in range(60_000)]
    bits = row_bits([pa.array(names)], len(names))
    assert len(np.unique(bits)) == len(names)
    for part in (bits & np.uint64(0xFFFF), bits >> np.uint64(48)):  # every bit is stirred
        assert len(np.unique(part)) > 50_000


# accuracy


@pytest.mark.parametrize(
    ("fact", "value", "tolerance", "holds"),
    [
        ("minimum", 1, 0, True),
        ("minimum", 2, 0, False),
        ("maximum", 4, 0, True),
        ("maximum", 3.99, 0, False),
        ("maximum", 3.99, 0.01, True),
        ("min", 1, 0, True),
        ("max", 5, 0, False),
        ("sum", 10, 0, True),
        ("sum", 11, 0, False),
        ("count", 4, 0, True),
        ("missing", 1, 0, False),
    ],
)
@pytest.mark.parametrize("dtype", ["int16", "float64"])
def test_witnesses(fact: str, value: float, tolerance: float, holds: bool, dtype: str) -> None:
    dataset, values = _array(np.array([1, 2, 3, 4], dtype))
    witness = Witness("a", fact, value, "header", tolerance)
    found = by_name(check(_dataset(*dataset.fields, witnesses=(witness,)), values))
    name = "declared-totals" if fact in ("sum", "count", "missing") else "declared-ranges"
    assert _counts(found[name]) == (1, 0 if holds else 1)
    assert found[name].dimension is Dimension.ACCURACY


def test_without_a_witness_accuracy_is_not_assessed() -> None:
    verdict = judge(check(*_array([1.0, 2.0])))
    assert verdict.dimensions[Dimension.ACCURACY] is None
    assert (verdict.score, verdict.level) == (1.0, Level.RESEARCH_GRADE)


# validity


def test_declared_ranges_are_in_stored_numbers() -> None:
    facts: dict[str, Any] = {
        "attributes": {"valid_range": np.array([0, 100], "i2")},
        "fill": -1,
        "scale": (0.1, 5.0),
    }
    found = by_name(check(*_array(np.array([[0, 100, 101], [-1, -2, 7]], "i2"), **facts)))["declared-range:a"]
    assert _counts(found) == (5, 2) and found.where == ("a[0, 2]", "a[1, 1]")
    facts["attributes"] = {"valid_min": np.float32(5.0), "valid_max": np.float32(15.0)}
    physical = by_name(check(*_array(np.array([[0, 100, 101], [-1, -2, 7]], "i2"), **facts)))["declared-range:a"]
    assert _counts(physical) == (5, 2)


def test_places_are_global_whatever_the_chunk() -> None:
    values = np.zeros((50, 4), "f4")
    values[33, 2] = 9
    for size in (1, 7, 50):
        found = by_name(check(*_array(values, attributes={"valid_max": 1.0}), size=size))["declared-range:a"]
        assert found.where == ("a[33, 2]",)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "float32"])
def test_flags_are_members(dtype: str) -> None:
    values = np.array([0, 1, 3, 9, 5], dtype)
    for flags, broken in (([0, 1, 3], 1), ([0, 1, 2, 3], 1), ([3, 1], 2), ([0], 3)):
        attributes = {"flag_values": np.array(flags, dtype)}
        found = by_name(check(*_array(values, attributes=attributes, fill=5)))["flag-values:a"]
        assert _counts(found) == (4, broken)


@pytest.mark.parametrize(
    ("name", "units", "values", "broken"),
    [
        ("lat", None, [-90.0, 90.0, 90.00001, 91.0, np.nan], 1),
        ("nav_lon", "degrees_east", [-180.0, 360.0, 361.0, -180.5], 2),
        ("y", "degrees_north", [-91.0], 1),
        ("lat", "m", [5000.0], None),
        ("relation", None, [5000.0], None),
        ("rlat", "degrees", [5000.0], None),
    ],
)
def test_the_globe(name: str, units: str | None, values: list[float], broken: int | None) -> None:
    found = by_name(check(*_array(np.array(values), name, units=units, role=Role.COORDINATE)))
    results = [r for r in found.values() if r.name.startswith(("latitude", "longitude"))]
    assert [r.violations for r in results] == ([] if broken is None else [broken])


def test_infinities_and_customary_fills() -> None:
    fields = (
        ArrayField("m", (4,), "float32", (None,)),
        ArrayField("c", (3,), "float64", (None,), role=Role.COORDINATE),
    )
    values = {"m": np.array([np.inf, -9999.0, 1, np.nan], "f4"), "c": np.array([-np.inf, 0, 1])}
    found = by_name(check(_dataset(*fields), values))
    assert _counts(found["numbers-legal"]) == (6, 1)
    assert _counts(found["measurements-finite"]) == (3, 1)
    assert (_counts(found["undeclared-fill"]), found["undeclared-fill"].where) == ((1, 1), ("m",))


def test_text_that_is_no_text() -> None:
    cells = ["fine\ttab\nline", "é", "lost � one", "bell\a", None, "del\x7f", ""]
    found = by_name(check(*_table(x=cells, y=pa.array(cells).dictionary_encode()), size=3))["text-legal:t"]
    assert _counts(found) == (12 - 6, 3)
    array = np.array(cells, dtype=object)
    field = ArrayField("w", (7,), TEXT, (None,), role=Role.TEXT)
    assert _counts(by_name(check(_dataset(field), {"w": array}))["text-legal:w"]) == (6, 3)


_JUDGED: list[tuple[ColumnRule, Any, int]] = [
    (ColumnRule("c", "integer"), ["1", " 2 ", "-3", "1.5", "x", ""], 3),
    (ColumnRule("c", "integer"), [1.0, 2.5, float("nan"), None], 1),
    (ColumnRule("c", "number"), ["1e3", ".5", "5.", "1,5", "INF", "0x1", "١"], 3),
    (ColumnRule("c", "number", decimal=",", grouping="."), ["1.234,5", "1,5"], 0),
    (ColumnRule("c", "number", minimum=0, maximum=10), [-1, 0, 10, 11], 2),
    (ColumnRule("c", "number", minimum=0, maximum=10, exclusive=(True, True)), [-1, 0, 10, 5], 3),
    (ColumnRule("c", "number", minimum=0, maximum=10, exclusive=(True, False)), ["0", "10", "5", "11"], 2),
    (ColumnRule("c", "number", minimum=0, maximum=10, exclusive=(False, True)), ["0", "10", "5"], 1),
    (ColumnRule("c", "number", minimum=0, maximum=10, exclusive=(False, True)), [0, 10, 5], 1),
    (ColumnRule("c", "number", minimum=0, maximum=10, exclusive=(True, False)), [0, 0, 10, 5], 2),
    (ColumnRule("c", "number", minimum=0), ["-1", "0", "x"], 2),
    (ColumnRule("c", "integer", enum=("1", "2", "Yes")), [1, 2, 3], 1),
    (ColumnRule("c", enum=("1", "2", "Yes")), ["1", "Yes", "no", "2.0"], 1),
    (ColumnRule("c", "boolean"), ["true", "0", "yes"], 1),
    (ColumnRule("c", "boolean"), [True, False, None], 0),
    (ColumnRule("c", "boolean", words=(("yes",), ("no",))), ["yes", "no", "true"], 1),
    (ColumnRule("c", "string", pattern="[a-z]+"), ["abc", "Abc", "ab1"], 2),
    (ColumnRule("c", "string", shortest=2, longest=3), ["a", "ab", "abcd"], 2),
    (ColumnRule("c", "date"), ["2024-02-29", "2023-02-29", "20240229", "1/2/2024"], 3),
    (ColumnRule("c", "date"), pa.array([0, 86_400_000, 5], pa.timestamp("ms")), 1),
    (ColumnRule("c", "date", formats=("%d/%m/%Y",)), ["31/12/2020", "12/31/2020"], 1),
    (ColumnRule("c", "date", minimum="2020-01-01", maximum="2020-12-31"), ["2019-12-31", "2020-06-01"], 1),
    (ColumnRule("c", "datetime"), ["2024-02-29T10:00:00Z", "2024-02-29 25:00:00"], 1),
    (ColumnRule("c", "datetime", minimum="2020-01-01T00:00:00"), ["2024-02-29T10:00:00Z"], 0),
    (ColumnRule("c", "time"), ["10:00:00", "25:00"], 1),
    (ColumnRule("c", "year"), ["2020", "20", "99999"], 1),
    (ColumnRule("c", "yearmonth"), ["2020-01", "2020-13"], 1),
    (ColumnRule("c", "string"), [1, 2], 0),
    (ColumnRule("c", "integer"), pa.array([[1], [2]]), 0),
    (ColumnRule("c", "integer", missing_values=("n/a",)), ["n/a", "1", "na"], 1),
]


@pytest.mark.parametrize(("rule", "cells", "broken"), _JUDGED)
def test_cells_against_rules(rule: ColumnRule, cells: Any, broken: int) -> None:
    values = cells if isinstance(cells, pa.Array) else pa.array(cells)
    assert int(judge_cells(values, rule).broken.sum()) == broken
    for at in range(len(values)):  # alone, each cell is judged the same
        one = judge_cells(values.slice(at, 1), rule)
        assert one.broken[0] == judge_cells(values, rule).broken[at]


def test_a_schema_of_arrays() -> None:
    rules = _rules(ColumnRule("temp", "number", minimum=0, maximum=9, units="K"), name="x")
    dataset, values = _array(np.array([[1.0, 10.0], [np.nan, -1.0]]), "g/temp", units="degC")
    found = by_name(check(dataset, values, rules))
    assert _counts(found["schema-cells:g/temp"]) == (3, 2)
    assert found["schema-cells:g/temp"].where == ("g/temp[0, 1]", "g/temp[1, 1]")
    assert _counts(found["schema-units"]) == (1, 1)


def test_one_table_finds_its_schema_among_several() -> None:
    rules = Requirements(
        tables=(
            TableRule((ColumnRule("a"), ColumnRule("z")), "first"),
            TableRule((ColumnRule("a", required=True), ColumnRule("b")), "second"),
        )
    )
    found = by_name(check(*_table("table", a=[1, None], b=[1, 2]), rules))
    assert _counts(found["required-cells:table/a"]) == (2, 1)
    named = by_name(check(*_table("first", a=[1, None], b=[1, 2]), rules))
    assert _counts(named["schema-columns:first"]) == (2, 1)


def test_a_schema_of_something_else_is_refused() -> None:
    with pytest.raises(CustomerError, match="names no column") as refused:
        bind_checks(_table(a=[1])[0], _rules(ColumnRule("b")))
    assert refused.value.code == "bad-schema"


def test_declared_ranges_of_a_schema_witness_accuracy() -> None:
    rules = _rules(ColumnRule("age", "integer", minimum=0, maximum=120), ColumnRule("d", "date", minimum="2020-01-01"))
    found = by_name(check(*_table(age=[4, 130], d=["2020-01-02", "2019-01-01"]), rules))
    assert _counts(found["schema-ranges:t"]) == (2, 1)
    assert found["schema-ranges:t"].where == ("age",)
    assert found["schema-ranges:t"].dimension is Dimension.ACCURACY


def test_foreign_keys_across_tables() -> None:
    child = pa.record_batch({"visit": [1, 2, 3, 4], "person": pa.array(["7", "8", None, "9"])})
    parent = pa.record_batch({"pid": [7, 8]})
    tables = (
        TableField("visits", child.schema, (Column("visit"), Column("person")), 4),
        TableField("people", parent.schema, (Column("pid"),), 2),
    )
    rules = Requirements(
        tables=(
            TableRule(
                (ColumnRule("visit"), ColumnRule("person")),
                "visits.csv",
                foreign_keys=(ForeignKey(("person",), "people", ("pid",)),),
            ),
            TableRule((ColumnRule("pid"),), "people"),
        )
    )
    found = by_name(check(_dataset(*tables), {"visits": child, "people": parent}, rules))
    result = found["foreign-key:visits/person"]
    assert _counts(result) == (3, 1) and result.where == ("table visits, row 4, column person",)


# reproducibility, integrity and what decoders counted


def test_chunks_and_records() -> None:
    dataset, _ = _array([1.0])
    outcome = Outcome(
        dataset,
        {},
        chunks={"a": ChunkTally(3, 3, 2), "b": ChunkTally(2, 2, 2)},
        recorded=RECORDED | {"plan": False},
        rules=(
            RuleCount(
                "fits-datasum",
                Dimension.INTEGRITY,
                RuleKind.STRUCTURAL,
                2,
                2,
                1,
                "units differ from their DATASUM",
                ("HDU 1",),
            ),
        ),
    )
    found = by_name(run_checks(bind_checks(dataset, Requirements()), {}, outcome))
    assert _counts(found["chunks-decode-again"]) == (5, 1) and found["chunks-decode-again"].where == ("a",)
    assert _counts(found["origin-recorded"]) == (3, 1) and found["origin-recorded"].where == ("plan",)
    assert _counts(found["fits-datasum"]) == (2, 1)
    assert judge(found.values()).gates.integrity is False


# real files


@pytest.fixture(name="corpus")
def _corpus() -> Path:
    if CORPUS is None:
        pytest.skip("the corpus of real files is not here")
    return CORPUS


def _read(path: Path) -> tuple[Dataset, dict[str, Any]]:
    table = pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True))
    batch = table.combine_chunks().to_batches()[0]
    return _dataset(
        TableField(path.stem, batch.schema, tuple(Column(n) for n in batch.schema.names), batch.num_rows)
    ), {path.stem: batch}


def test_redcap_data_against_its_dictionary(corpus: Path) -> None:
    folder = corpus / "clinical" / "REDCapR"
    dataset, values = _read(folder / "data.csv")
    found = by_name(check(dataset, values, read_requirements(schema=folder / "dictionary.csv")))
    assert _counts(found["required-cells:data/study_id"]) == (18, 0)
    assert _counts(found["key-unique:data/study_id+redcap_event_name"]) == (18, 0)
    assert not [r.name for r in found.values() if r.name.startswith("schema-cells") and r.violations]
    assert len([name for name in found if name.startswith("schema-cells")]) > 60
    with (folder / "data.csv").open(newline="") as file:
        opened = sum(row["demographics_complete"] != "" for row in csv.DictReader(file))
    assert found["schema-cells:data/sex"].scope == opened


def test_redcap_data_with_a_defect(corpus: Path, tmp_path: Path) -> None:
    folder = corpus / "clinical" / "REDCapR"
    text = (folder / "data.csv").read_text().replace("1983-09-23", "1983-13-23", 1)
    (tmp_path / "data.csv").write_text(text)
    dataset, values = _read(tmp_path / "data.csv")
    found = by_name(check(dataset, values, read_requirements(schema=folder / "dictionary.csv")))
    assert found["schema-cells:data/dob"].where == ("table data, row 1, column dob",)


def test_duplicate_rows_of_a_dirty_table_are_named(corpus: Path) -> None:
    dataset, values = _read(corpus / "malformed" / "frictionless-py" / "duplicate-rows.csv")
    found = by_name(check(dataset, values))
    assert found["identifier-repeats:duplicate-rows/id"].where == ("table duplicate-rows, row 3",)


def test_reread_is_asked_only_for_hits() -> None:
    dataset, _ = _table(id=["a", "b"])

    def never(table: str) -> Iterator[pa.RecordBatch]:
        raise AssertionError(table)

    observers = bind_checks(dataset, Requirements())
    outcome = Outcome(dataset, {}, reread=never)
    assert by_name(run_checks(observers, {}, outcome))


def test_bytes_of_fixed_width_have_bits_of_their_own() -> None:
    """A UUID's bytes are no text: hashing them as such ended in our own fault."""
    cells = pa.array([b"\xff" * 16, b"\xfe" * 16, None, b"\xff" * 16], pa.binary(16))
    bits = row_bits([cells], 4)
    assert bits[0] == bits[3] and len(set(bits.tolist())) == 3
    assert row_bits([cells.slice(1, 1)], 1)[0] == bits[1]
