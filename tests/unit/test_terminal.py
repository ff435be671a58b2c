"""The terminal: every answer at 80 columns, in any encoding, with nothing that data could steer."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from customer_data_treatment.package import terminal
from tests.unit.package_bodies import BODIES, array_field, body, corrupt, grid

_TREAT = {
    "package": "/data/out/a-rather-long-name-of-a-package-that-somebody-chose/adriatic.package",
    "bytes_stored": 84_600_000,
    "seconds": 12.34,
    "throughput_bytes_per_s": 421_000_000,
    "peak_rss_bytes": 310_000_000,
}


def _said(tell: Callable[[Console], None], *, encoding: str = "utf-8", width: int = 80, colour: bool = False) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    console = Console(
        file=file, width=width, force_terminal=colour or None, color_system="truecolor" if colour else "auto"
    )
    tell(console)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("name", sorted(BODIES))
def test_show_fits_eighty_columns_without_colour_when_piped(name: str) -> None:
    said = _said(lambda console: terminal.show(BODIES[name](), console))
    assert "\x1b" not in said
    assert max(len(line) for line in said.splitlines()) <= 80
    made = BODIES[name]()
    assert made["level"] in said and made["source"]["name"] in said
    for dimension in made["dimensions"]:
        assert dimension in said


def test_show_says_gates_findings_fields_and_sizes() -> None:
    said = _said(lambda console: terminal.show(corrupt(), console))
    assert "integrity   ✗ failed" in said and "structural  ✓ passed" in said
    assert "DATASUM of HDU 1" in said and "packed ±0.25 adu" in said
    assert "source 13.4 MB" in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_any_encoding_can_write_it(encoding: str) -> None:
    made = grid()
    made["source"]["name"] = "Größe-温度.nc"
    assert "RESEARCH_GRADE" in _said(lambda console: terminal.show(made, console), encoding=encoding)


def test_colour_where_the_console_has_it() -> None:
    assert "\x1b[" in _said(lambda console: terminal.show(grid(), console), colour=True)


def test_names_cannot_steer_the_terminal_nor_write_markup() -> None:
    evil = "\x1b[31m[bold red]x[/bold red]\r\x07"
    made = body([array_field(evil, (3,))], [], level="EXPLORATORY")
    made["findings"] = [{"code": "x", "severity": "note", "message": evil, "where": evil}]
    said = _said(lambda console: terminal.show(made, console), width=200)
    assert "\x1b" not in said and "\r" not in said and "\x07" not in said
    assert "[bold red]x[/bold red]" in said


def test_summary_ends_with_what_to_do_next_and_folds_no_command() -> None:
    said = _said(lambda console: terminal.summary(_TREAT, grid(), console, auto_stored=30_000_000))
    lines = said.splitlines()
    assert f"         cdt verify {_TREAT['package']}" in lines
    assert any(line.endswith('/data/arrays.zarr", engine="zarr")') and "open_datatree" in line for line in lines)
    assert "--bound auto would store about 64.5 % less" in said
    assert "Findings: 1 warning, 2 notes" in said


def test_summary_promises_nothing_where_auto_would_save_little() -> None:
    assert "--bound auto" not in _said(lambda console: terminal.summary(_TREAT, grid(), console))
    assert "--bound auto" not in _said(lambda console: terminal.summary(_TREAT, grid(), console, 84_000_000))


def test_a_sealed_package_is_not_said_to_open_anywhere() -> None:
    said = _said(lambda console: terminal.summary(_TREAT, grid() | {"sealed": True}, console))
    assert "open_datatree" not in said and "cdt restore" in said


def test_hundreds_of_fields_are_cut_and_said_to_be() -> None:
    made = body([array_field(f"v{i}", (3,)) for i in range(300)], [])
    said = _said(lambda console: terminal.show(made, console))
    assert "… and 260 more fields; --json lists all" in said


def test_inspect_lists_arrays_and_columns() -> None:
    answer: dict[str, Any] = {
        "schema": 1, "source": "x.h5", "format": "HDF5", "modality": "sensor_series", "data_type": "general", "bytes": 4096,
        "fields": [
            {"name": "a/b", "kind": "array", "shape": [3, 4], "dtype": "float32", "units": "K", "role": "measurement"},
            {"name": "t", "kind": "table", "rows": 7, "columns": [{"name": "id", "dtype": "int64", "units": None, "role": "identifier"}]},
        ],
    }  # fmt: skip
    said = _said(lambda console: terminal.inspected(answer, console))
    assert "HDF5, sensor series (general), 4.1 kB" in said
    assert "a/b" in said and "3×4" in said and "table t: 7 rows, 1 column" in said and "identifier" in said


def test_plan_tells_forms_and_forecast() -> None:
    answer = {
        "schema": 1, "source": "x.nc", "format": "NetCDF", "modality": "remote_sensing",
        "fields": [
            {"field": "t", "kind": "array", "chunk": [10, 20], "encoding": {"form": "packed", "codec": "zstd", "bound": 0.5}},
            {"field": "tab", "kind": "table", "columns": {"c": {"form": "exact", "codec": "parquet-zstd", "bound": None}}},
        ],
        "forecast": {"bytes_decoded": 1000, "bytes_stored": 100, "seconds": 2.0, "memory_bytes": 5_000_000},
    }  # fmt: skip
    said = _said(lambda console: terminal.planned(answer, console))
    assert "packed ±0.5" in said and "tab/c" in said and "10 × 20" in said and "5 MB" in said


def test_verify_tells_what_held_and_what_did_not() -> None:
    answer: dict[str, Any] = {
        "schema": 1, "package": "p", "ok": True, "bounds": "recorded", "signature": "none",
        "checked": {"files": 9, "bytes": 1234, "fields": 2}, "problems": [],
    }  # fmt: skip
    assert "✓ p verifies: 9 files, 1.23 kB, 2 fields" in _said(lambda c: terminal.verified(answer, c))
    assert "proven again on the source's own values" in _said(
        lambda c: terminal.verified(answer | {"bounds": "proven"}, c)
    )
    bad = answer | {"ok": False, "problems": [{"file": "data/x", "what": "its bytes differ"}]}
    said = _said(lambda c: terminal.verified(bad, c))
    assert "✗ p does not verify" in said and "data/x" in said and "its bytes differ" in said
    assert "its key is not at hand" in _said(lambda c: terminal.verified(answer | {"ok": None}, c))


def test_formats_and_restore() -> None:
    listed = {
        "schema": 1,
        "formats": [
            {
                "name": "FITS",
                "modality": "astronomy",
                "suffixes": [".fits", ".fit"],
                "lost": "",
                "extra": "sky",
            }
        ],
    }
    said = _said(lambda c: terminal.formats(listed, c))
    assert "FITS" in said and ".fits .fit" in said and "nothing" in said
    answer = {"target": "o.nc", "format": "NetCDF", "source_format": "DICOM", "bytes": 12}
    assert "NetCDF (DICOM has no writer here), 12 B" in _said(lambda c: terminal.restored(answer, c))
