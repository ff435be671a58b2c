"""Bounded columns of tables: rounded in place, proven, and given back to exact where a bound does not pay."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from customer_data_treatment.errors import CustomerError

from ..treating import treated, verified


def made(tmp_path: Path) -> tuple[Path, pa.Table]:
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "id": pa.array([f"p{n}" for n in range(5000)]),
            "signal": pa.array(rng.normal(37, 1.5, 5000), mask=rng.random(5000) < 0.05),
            "spectrum": pa.array([list(rng.normal(0, 1, 3)) if n % 7 else None for n in range(5000)]),
            "count": pa.array(rng.integers(0, 9, 5000)),
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)
    return path, table


@pytest.mark.parametrize("bound", ["abs=0.05", "rel=1e-3", "auto", "noise=0.5"])
def test_bounded_columns_keep_their_bound(bound: str, tmp_path: Path) -> None:
    path, table = made(tmp_path)
    summary = treated(path, tmp_path / "p", bound)
    found = verified(tmp_path / "p", path)
    assert found.ok and found.proven, found.problems
    held = pq.read_table(next((tmp_path / "p/data/tables").glob("*.parquet")))
    records = {f["name"].split("/")[-1]: f for f in summary.body["fields"] if f["kind"] == "column"}
    assert records["id"]["encoding"]["form"] == records["count"]["encoding"]["form"] == "exact"
    assert records["signal"]["encoding"]["form"] == "rounded"
    before = table["signal"].to_numpy(zero_copy_only=False)
    after = held["signal"].to_numpy(zero_copy_only=False)
    assert (np.isnan(before) == np.isnan(after)).all()
    assert np.nanmax(np.abs(before - after)) <= records["signal"]["encoding"]["bound"]
    assert held["spectrum"].is_null().equals(table["spectrum"].is_null())
    assert held["id"].equals(table["id"]) and held["count"].equals(table["count"])


def test_a_bound_on_text_or_nothing_is_refused(tmp_path: Path) -> None:
    path, _ = made(tmp_path)
    for name in ("table/id", "table/none"):
        with pytest.raises(CustomerError) as caught:
            treated(path, tmp_path / "p", f"{name}:abs=1")
        assert caught.value.code == "unknown-field" and caught.value.exit_status == 2
    assert not (tmp_path / "p").exists()


def test_durations_and_times_beyond_python_s_are_counted(tmp_path: Path) -> None:
    """Arrow's longest duration is no timedelta, its farthest instant no datetime, and narrow decimals have no unique."""
    far = [2**62, -(2**62), 0, None]
    columns = {
        "lasted": pa.array(far, pa.duration("s")),
        "when": pa.array(far, pa.timestamp("us")),
        "exact": pa.array([1, 2, 3, None], pa.int64()).cast(pa.timestamp("ns")),
        "price": pa.array([1, 2, 3, None], pa.int32()).cast(pa.decimal128(12, 2)).cast(pa.decimal32(4, 2)),
    }
    source = tmp_path / "far.arrow"
    table = pa.table(columns)
    with pa.ipc.new_file(source, table.schema) as writer:
        writer.write_table(table)
    treated(source, tmp_path / "p")
    assert verified(tmp_path / "p", source).ok
