"""What every format promises, held against its fixture: a new format needs a fixture and no test of its own."""

import hashlib
import warnings
from importlib import import_module, util
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from customer_data_treatment.adapters.contained import open_contained
from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError
from customer_data_treatment.formats import FORMATS
from customer_data_treatment.formats.detect import detect
from customer_data_treatment.local import open_decoder
from customer_data_treatment.model.dataset import ArrayField, TableField
from customer_data_treatment.plugin import load
from customer_data_treatment.vocabulary import RuleKind, Severity

from .harness import DirectPackage

NAMES = sorted(FORMATS)


def fixture_of(name: str) -> Any:
    module = f"tests.promises.formats.{name.lower()}"
    assert util.find_spec(module), f"{name} has no fixture {module}"
    return import_module(module)


@pytest.fixture(params=NAMES)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any, Path]:
    fixture = fixture_of(request.param)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers warn about their own oddities while they write
        path = fixture.make(tmp_path)
    return request.param, fixture, path


def opened(name: str, path: Path) -> Any:
    return open_decoder(FORMATS[name], LocalSource(path))


def whole(decoder: Any, field: Any) -> Any:
    if isinstance(field, TableField):
        return pa.Table.from_batches(list(decoder.batches(field.name)), schema=field.schema)
    return decoder.read(field.name, tuple(slice(0, n) for n in field.shape))


def contents(decoder: Any) -> dict[str, Any]:
    return {field.name: whole(decoder, field) for field in decoder.dataset.fields}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, pa.Table) or isinstance(b, (pa.Table, dict)):
        left = a.to_pydict() if isinstance(a, pa.Table) else a
        right = b.to_pydict() if isinstance(b, pa.Table) else {k: list(v) for k, v in b.items()}
        return set(left) == set(right) and all(same_cells(left[k], right[k]) for k in left)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if a.dtype == object or b.dtype == object or a.dtype.kind in "US" or b.dtype.kind in "US":
        return same_cells(a.reshape(-1).tolist(), b.reshape(-1).tolist())
    if a.dtype.kind in "mM":
        return bool((a.view("i8") == b.astype(a.dtype).view("i8")).all())
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))


def same_cells(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple, np.ndarray)) or isinstance(b, (list, tuple, np.ndarray)):
        return a is not None and b is not None and len(a) == len(b) and all(same_cells(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_cells(a[k], b[k]) for k in a)
    if a is None or b is None:
        return a is None and b is None
    if isinstance(a, bytes) != isinstance(b, bytes):
        return (a if isinstance(a, bytes) else str(a).encode()) == (b if isinstance(b, bytes) else str(b).encode())
    return bool(a == b) or (a != a and b != b)


def digest(path: Path) -> str:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()


def test_is_told_by_its_content(made: Any) -> None:
    name, _, path = made
    assert detect(LocalSource(path)).name == name
    if path.is_file():  # a wrong suffix changes nothing
        other = path.with_name("renamed.bin")
        other.write_bytes(path.read_bytes())
        if FORMATS[name].precedence >= 0:
            assert detect(LocalSource(other)).name == name


def test_values_are_the_peers(made: Any) -> None:
    name, fixture, path = made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = fixture.peer(path)
    decoder = opened(name, path)
    found = contents(decoder)
    decoder.close()
    assert set(found) == set(expected)
    for field in found:
        assert same(found[field], expected[field]), field


def test_facts_match_the_values(made: Any) -> None:
    name, _, path = made
    decoder = opened(name, path)
    names = [field.name for field in decoder.dataset.fields]
    assert len(names) == len(set(names))
    for field in decoder.dataset.fields:
        values = whole(decoder, field)
        if isinstance(field, TableField):
            assert [c.name for c in field.columns] == field.schema.names
            assert len(set(field.schema.names)) == len(field.schema.names)
            assert field.rows in (None, values.num_rows)
            for batch in decoder.batches(field.name):
                batch.validate(full=True)
        else:
            assert values.shape == field.shape
            assert values.dtype == field.numpy_dtype()
            assert values.dtype.isnative
            assert len(field.dimensions) in (0, len(field.shape))
    decoder.close()


def test_boxes_tile_to_the_whole(made: Any) -> None:
    name, _, path = made
    decoder = opened(name, path)
    for field in decoder.dataset.fields:
        if not isinstance(field, ArrayField) or field.size == 0:
            continue
        values = whole(decoder, field)
        cuts = [sorted({0, n // 3, n // 2, n}) for n in field.shape]
        out = np.empty_like(values)
        for parts in product(*[list(zip(c, c[1:])) for c in cuts]):
            box = tuple(slice(a, b) for a, b in parts)
            part = decoder.read(field.name, box)
            out[box] = part if part.ndim else part[()]  # numpy puts a 0-d object array inside another
        assert same(out, values), field.name
    decoder.close()


def test_reads_twice_the_same(made: Any) -> None:
    name, _, path = made
    decoder = opened(name, path)
    first, second = contents(decoder), contents(decoder)
    assert all(same(first[k], second[k]) for k in first)
    carried = [b"".join(decoder.carried(item.name)) for item in decoder.dataset.carried]
    again = opened(name, path)
    assert carried == [b"".join(again.carried(item.name)) for item in again.dataset.carried]
    decoder.close()
    again.close()
    decoder.close()  # closing twice is safe


def test_a_good_file_breaks_no_must(made: Any) -> None:
    name, _, path = made
    decoder = opened(name, path)
    contents(decoder)
    broken = [r for r in decoder.rules() if r.kind is RuleKind.STRUCTURAL and r.violations]
    decoder.close()
    assert broken == []
    for rule in decoder.rules():
        assert 0 <= rule.violations <= rule.examined <= rule.scope, rule


def test_source_is_untouched(made: Any) -> None:
    name, _, path = made
    before = digest(path)
    decoder = opened(name, path)
    contents(decoder)
    decoder.close()
    assert digest(path) == before


def test_restores(made: Any, tmp_path: Path) -> None:
    name, fixture, path = made
    code = load(FORMATS, name)
    if not FORMATS[name].restores:
        assert code.write is None
        return
    target = tmp_path / f"restored{''.join(path.suffixes[-2:])}"
    decoder = opened(name, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code.write(DirectPackage(decoder), target)
        decoder.close()
        expected, found = fixture.peer(path), fixture.peer(target)
    assert set(found) == set(expected)
    for field in expected:
        assert same(found[field], expected[field]), field


def test_runs_in_a_child_as_in_process(made: Any) -> None:
    name, _, path = made
    inside, child = open_in_process(name, path), open_contained(FORMATS[name], LocalSource(path))
    try:
        assert [f.name for f in child.dataset.fields] == [f.name for f in inside.dataset.fields]
        a, b = contents(inside), contents(child)
        assert all(same(a[k], b[k]) for k in a)
        assert child.rules() == inside.rules()
    finally:
        inside.close()
        child.close()


def open_in_process(name: str, path: Path) -> Any:
    return load(FORMATS, name).open(LocalSource(path))


def damaged(path: Path, folder: Path) -> list[Path]:
    """Truncations and bit flips of a single-file fixture, spread over the file."""
    raw = path.read_bytes()
    made = []
    for number, cut in enumerate(sorted({len(raw) * k // 9 for k in range(1, 9)} | {len(raw) - 1})):
        made.append(folder / f"cut{number}{''.join(path.suffixes[-2:])}")
        made[-1].write_bytes(raw[:cut])
    for number in range(12):
        at = (len(raw) * (2 * number + 1)) // 24
        flipped = bytearray(raw)
        flipped[at] ^= 1 << (number % 8)
        made.append(folder / f"flip{number}{''.join(path.suffixes[-2:])}")
        made[-1].write_bytes(flipped)
    return made


def test_damage_ends_in_one_clear_error(made: Any, tmp_path: Path) -> None:
    """A damaged file is refused, flagged, or still reads as something; it never raises anything else."""
    name, _, path = made
    if path.is_dir():
        return
    for bad in damaged(path, tmp_path):
        try:
            facts = detect(LocalSource(bad))
            if facts.name != name:
                continue
            decoder = open_decoder(facts, LocalSource(bad))
            try:
                contents(decoder)
                for item in decoder.dataset.carried:
                    b"".join(decoder.carried(item.name))
                decoder.rules()
            finally:
                decoder.close()
        except CdtError as error:
            assert error.exit_status == 3, (bad.name, error.line())
            assert "\n" not in error.line()


def test_a_cut_file_is_never_taken_for_whole(made: Any, tmp_path: Path) -> None:
    name, _, path = made
    if path.is_dir() or FORMATS[name].precedence < 0:
        return  # text cut at a line's end is a shorter table: only its checksum can tell
    raw = path.read_bytes()
    cut = tmp_path / f"cut{''.join(path.suffixes[-2:])}"
    cut.write_bytes(raw[: len(raw) * 2 // 3])
    try:
        decoder = open_decoder(detect(LocalSource(cut)), LocalSource(cut))
        contents(decoder)
        rules = [r for r in decoder.rules() if r.violations]
        errors = [f for f in decoder.dataset.findings if f.severity is not Severity.NOTE]
        decoder.close()
        assert rules or errors
    except CdtError as error:
        assert error.exit_status == 3
