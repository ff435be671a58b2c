"""A Parquet file with nested columns, NaN beside null, dictionaries, decimals, zones and metadata."""

import datetime
import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def make(folder: Path) -> Path:
    """Write the file in three row groups with page checksums."""
    rows = 300
    table = pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "x": pa.array([float("nan") if n % 7 == 0 else None if n % 5 == 0 else n / 3 for n in range(rows)]),
            "small": pa.array([n % 100 for n in range(rows)], pa.uint8()),
            "text": pa.array([None if n % 4 == 0 else f"wért {n}" for n in range(rows)]),
            "group": pa.array([["a", "b", None][n % 3] for n in range(rows)]).dictionary_encode(),
            "list": pa.array([[1, None], None, []] * (rows // 3), pa.list_(pa.int16())),
            "struct": pa.array([{"a": 1.5, "b": "q"}, None, {"a": None, "b": None}] * (rows // 3)),
            "map": pa.array([[("k", 1)], None, []] * (rows // 3), pa.map_(pa.string(), pa.int32())),
            "money": pa.array([decimal.Decimal("1.23"), None, decimal.Decimal("-99.00")] * (rows // 3)),
            "when": pa.array(
                [datetime.datetime(2021, 2, 3, 4, 5, 6, 7), None, None] * (rows // 3),
                pa.timestamp("us", "Europe/Berlin"),
            ),
            "second": pa.array([1, None, 3] * (rows // 3), pa.timestamp("s")),
            "day": pa.array([datetime.date(2020, 2, 29), None, None] * (rows // 3)),
            "raw": pa.array([b"\x00\xff", None, b""] * (rows // 3), pa.binary()),
            "flag": pa.array([True, None, False] * (rows // 3)),
        }
    ).replace_schema_metadata({"geo": '{"version": "1.0"}', "owner": "é"})
    path = folder / "rich.parquet"
    pq.write_table(table, path, row_group_size=120, write_page_checksum=True, compression="zstd")
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with pyarrow, dictionaries as their values."""
    table = pq.read_table(path)
    assert table.schema.metadata == {b"geo": b'{"version": "1.0"}', b"owner": "é".encode()}
    assert pa.types.is_dictionary(table.schema.field("group").type)
    return {"table": table}
