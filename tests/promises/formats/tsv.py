"""A TSV as MaxQuant and R write them: fixed decimals, NaN beside empty, duplicate and blank headers."""

from pathlib import Path
from typing import Any

import polars as pl

_TEXT = (
    "Protein IDs\tIntensity\tIntensity\t\tq-value\tScore\tReverse\n"
    "P1;P2\t37219000\t0.10\t1\t0.0039012\tInf\t+\n"
    "CON__P00761\tNaN\t2.50\t2\t\t-Inf\t\n"
    "P3 µ\t\t3.00\t3\t1e-300\t1.857\t\n"
)


def make(folder: Path) -> Path:
    """Write the file."""
    path = folder / "proteins.tsv"
    path.write_bytes(_TEXT.encode("utf-8"))
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with polars as text and cast."""
    frame = pl.read_csv(path, separator="\t", infer_schema=False, has_header=False, skip_rows=1)
    frame.columns = ["Protein IDs", "Intensity", "Intensity_2", "column_4", "q-value", "Score", "Reverse"]
    numbers = [
        pl.col("Intensity").replace("NaN", None).cast(pl.Int64),
        pl.col("Intensity_2").cast(pl.Float64),
        pl.col("column_4").cast(pl.Int64),
        pl.col("q-value").cast(pl.Float64),
        pl.col("Score").cast(pl.Float64),
    ]
    return {"table": frame.with_columns(numbers).to_dict(as_series=False)}
