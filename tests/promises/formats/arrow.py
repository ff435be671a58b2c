"""An Arrow IPC file (Feather v2) with the types that Parquet knows less of."""

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather


def make(folder: Path) -> Path:
    """Write the file in several compressed batches."""
    rows = 300
    codes = pa.array([[1, 0, None][n % 3] for n in range(rows)], pa.int8())
    table = pa.table(
        {
            "id": pa.array(range(rows), pa.uint64()),
            "half": pa.array([0.5, None, float("nan")] * (rows // 3), pa.float16()),
            "grade": pa.DictionaryArray.from_arrays(codes, ["low", "high", "unused"], ordered=True),
            "view": pa.array(["a string that is longer than twelve", None, ""] * (rows // 3), pa.string_view()),
            "large": pa.array(["é", None, ""] * (rows // 3), pa.large_string()),
            "clock": pa.array([1, None, 3] * (rows // 3), pa.time32("s")),
            "lasted": pa.array([1, None, 3] * (rows // 3), pa.duration("ms")),
            "fixed": pa.array([[1, 2], None, [3, None]] * (rows // 3), pa.list_(pa.int8(), 2)),
            "nested": pa.array([[{"a": 1}], None, []] * (rows // 3), pa.list_(pa.struct([("a", pa.int8())]))),
            "day": pa.array([datetime.date(2020, 2, 29), None, None] * (rows // 3), pa.date64()),
            "nothing": pa.nulls(rows),
        }
    ).replace_schema_metadata({"origin": "beam line 7"})
    path = folder / "rich.arrow"
    feather.write_feather(table, path, compression="zstd", chunksize=128)
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with pyarrow; what is no value - dictionary, metadata - is asserted here."""
    table = feather.read_table(path)
    assert table.schema.metadata == {b"origin": b"beam line 7"}
    assert table.schema.field("grade").type == pa.dictionary(pa.int8(), pa.string(), ordered=True)
    assert table.column("grade").chunk(0).dictionary.to_pylist() == ["low", "high", "unused"]
    return {"table": table}
