"""A CSV with quotes, both kinds of missing, leading zeros, long integers, dates and unicode."""

import csv as reader
from pathlib import Path
from typing import Any

_TEXT = (
    "id,zip,long,value,count,when,day,flag,note,été\r\n"
    '001,02134,12345678901234567890,1.5,3,2021-02-03T04:05:06Z,2021-02-28,true,"a, ""b""",é\r\n'
    '002,10001,1,,NA,2021-02-03T04:05:07Z,,false,"two\r\nlines",日本\r\n'
    '003,,2,-0.25,-7,,2020-02-29,,NA,""\r\n'
    "004,99999,3,1e-05,,2021-02-03T04:05:09Z,1999-12-31,true,,x\r\n"
)


def make(folder: Path) -> Path:
    """Write the file."""
    path = folder / "quirks.csv"
    path.write_bytes(_TEXT.encode("utf-8"))
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with the standard library and convert the columns that are no text by hand."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(reader.reader(file))
    columns: dict[str, list[Any]] = {name: [row[at] for row in rows] for at, name in enumerate(header)}
    import datetime

    def when(cell: str) -> Any:
        return datetime.datetime.fromisoformat(cell.replace("Z", "+00:00"))

    convert: dict[str, Any] = {
        "value": float,
        "count": int,
        "when": when,
        "day": datetime.date.fromisoformat,
        "flag": lambda cell: cell == "true",
    }
    missing = {"", "NA"}
    for name, make_one in convert.items():
        columns[name] = [None if cell in missing else make_one(cell) for cell in columns[name]]
    columns["zip"] = [cell or None for cell in columns["zip"]]
    columns["note"] = [cell or None for cell in columns["note"]]
    columns["été"] = [cell or None for cell in columns["été"]]
    return {"table": columns}
