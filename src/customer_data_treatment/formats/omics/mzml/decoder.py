"""mzML as two tables, spectra and chromatograms, read forward in bounded batches."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ....errors import CustomerError
from ....model.dataset import Carried, Column, Dataset, RuleCount, TableField
from ....ports import Box, ByteSource
from ....vocabulary import CustomerDataType, DataModalityType, Role
from ...containers.gzip import layer_of, open_plain
from . import rules, terms
from .arrays import decode, describe
from .parse import children, events, local, params
from .rules import Tallies
from .scan import TABLES, Kind, Scan, scan, values
from .stream import skeleton

_SKELETON = "skeleton.mzML.gz"
_BATCH_BYTES = 6 << 20
_BATCH_ROWS = 4096
_TEXTS = {
    "polarity": Role.CODE,
    "representation": Role.CODE,
    "type": Role.CODE,
    "filter_string": Role.TEXT,
    "precursor_ref": Role.LABEL,
}
_ORDER = (
    *("ms_level", "type", "polarity", "representation", "scan_start_time", "filter_string"),
    *terms.SPECTRUM_NUMBERS.values(),
    "precursor_ref",
    *terms.PRECURSOR_NUMBERS.values(),
    "product_mz",
)
_COORDINATES = frozenset(("mz", "wavelength"))
_MIXED_UNITS = "_units"


@dataclass(slots=True)
class _Table:
    """One table's columns: scalars in order, columns of mixed units, arrays with their Arrow value types."""

    field: TableField
    scalars: tuple[str, ...]
    mixed: frozenset[str]
    arrays: dict[str, pa.DataType]


class MzmlDecoder:
    """Read one mzML file."""

    def __init__(self, source: ByteSource) -> None:
        """Read the file once without decoding arrays: columns, counts, references, checksum.

        Raise CustomerError: truncated, corrupt (XML), unsupported-format (a compression not read).
        """
        self._path = source.local_path()
        self._where = source.name
        self._scan: Scan = scan(self._path, source.name)
        self._tables = {
            TABLES[name]: _table(name, kind)
            for name, kind in self._scan.kinds.items()
            if kind.count or (name == "spectrum" and not self._scan.kinds["chromatogram"].count)
        }
        self._read: dict[str, Tallies] = {}  # what the latest whole reading of a table counted
        layer = layer_of(source.head(6))
        self.dataset = Dataset(
            format="mzML",
            modality=DataModalityType.PROTEOMICS,
            data_type=CustomerDataType.MULTI_OMICS,
            fields=tuple(table.field for table in self._tables.values()),
            groups={"": self._scan.attributes},
            carried=(Carried(_SKELETON, "the XML without its arrays' text, gzipped", "application/gzip"),),
            source_compression=layer or None,
            random_access=False,
        )

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Raise KeyError: mzML has no arrays of its own, only lists in tables."""
        raise KeyError(name)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield spectra or chromatograms in file order, about 6 MiB at a time."""
        table = self._tables[name]
        wanted = next(element for element, held in TABLES.items() if held == name)
        tallies = Tallies()
        rows: list[dict[str, Any]] = []
        size = 0
        number = 0
        with open_plain(self._path, where=self._where) as file:
            for event, element in events(file, self._where):
                if event != "end" or local(element) != wanted:
                    continue
                number += 1
                row, length = self._row(table, wanted, number, element, tallies)
                rows.append(row)
                size += length
                if size >= _BATCH_BYTES or len(rows) >= _BATCH_ROWS:
                    yield _batch(rows, table)
                    rows, size = [], 0
        if rows:
            yield _batch(rows, table)
        self._read[name] = tallies

    def _row(self, table: _Table, name: str, number: int, element: Any, tallies: Tallies) -> tuple[dict[str, Any], int]:
        """Return one row and about how many bytes it takes."""
        place = f"{name} {number}, line {element.sourceline}"
        groups = self._scan.groups
        own = params(element, groups)
        declared = element.get("defaultArrayLength", "")
        row: dict[str, Any] = {
            "index": number - 1,
            "id": element.get("id", ""),
            "default_array_length": int(declared) if declared.isdecimal() and len(declared) < 19 else None,
        }
        for column, value, unit in values(element, own, groups, name):
            row[column] = value
            if column in table.mixed:
                row[column + _MIXED_UNITS] = unit or None
        size = 200
        for holder in children(element, "binaryDataArrayList", "binaryDataArray"):
            facts = describe(params(holder, groups), f"{self._where}, {place}")
            text = "".join(part.text or "" for part in children(holder, "binary"))
            found = decode(facts, text, f"{self._where}, {place}")
            want = holder.get("arrayLength", declared)
            short = f"{facts.name} of {place}: {len(found)} values, declared {want}"
            tallies.add("array-length", broken=want.strip() != str(len(found)), where=short)
            told = holder.get("encodedLength", "").strip()
            tallies.add("encoded-length", broken=told != str(len("".join(text.split()))), where=place)
            column = facts.name if facts.name not in row else f"{facts.name}_again"
            if column in table.arrays:
                row[column] = found
            size += len(found) * 8
        if name == "spectrum":
            _judge(row, tallies, place)
        if declared.strip() == "0":
            for column in ("mz", "intensity", "time"):
                if column in table.arrays:
                    row.setdefault(column, np.empty(0))
        return row, size

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the skeleton, gzipped without a time stamp."""
        if name != _SKELETON:
            raise KeyError(name)
        layer = zlib.compressobj(6, zlib.DEFLATED, 31)
        for piece in skeleton(self._path, self._where):
            packed = layer.compress(piece)
            if packed:
                yield packed
        yield layer.flush()

    def rules(self) -> tuple[RuleCount, ...]:
        """Return the counts of the first pass, and of each table's latest reading."""
        return rules.counts(self._scan.tallies, *self._read.values())

    def close(self) -> None:
        """Nothing stays open between readings."""


def _judge(row: dict[str, Any], tallies: Tallies, place: str) -> None:
    """Count what the decoded values of one spectrum break."""
    mz, intensity = row.get("mz"), row.get("intensity")
    if isinstance(mz, np.ndarray):
        tallies.add("mz-sorted", broken=bool((np.diff(mz) < 0).any() or np.isnan(mz).any()), where=place)
    if not isinstance(intensity, np.ndarray):
        return
    tallies.add("intensity-positive", broken=not bool((intensity >= 0).all()), where=place)
    total, peak = row.get("total_ion_current"), row.get("base_peak_intensity")
    if total is not None and row.get("representation") != "profile":
        found = float(np.sum(intensity, dtype=np.float64))
        tallies.add("total-ion-current", broken=not abs(found - total) <= 0.01 * abs(total), where=place)
    if peak is not None and len(intensity):
        broken = not abs(float(intensity.max()) - peak) <= 1e-3 * abs(peak)
        tallies.add("base-peak", broken=broken, where=place)


def _table(name: str, kind: Kind) -> _Table:
    columns = [
        Column("index", Role.IDENTIFIER, description="position in the list", required=True),
        Column("id", Role.IDENTIFIER, description="native id", required=True),
        Column("default_array_length", Role.CODE, description="declared length of the arrays", optional=True),
    ]
    types: list[pa.Field] = [
        pa.field("index", pa.int64()),
        pa.field("id", pa.string()),
        pa.field("default_array_length", pa.int64()),
    ]
    scalars = [column for column in _ORDER if column in kind.present]
    mixed = []
    for column in scalars:
        units = kind.units.get(column, {""})
        known = next(iter(units)) or None if len(units) == 1 else None
        type_ = pa.string() if column in _TEXTS else pa.int32() if column == "ms_level" else pa.float64()
        types.append(pa.field(column, type_))
        columns.append(Column(column, _role(column), known, optional=True))
        if len(units) > 1:
            mixed.append(column)
            types.append(pa.field(column + _MIXED_UNITS, pa.string()))
            columns.append(Column(column + _MIXED_UNITS, Role.CODE, optional=True))
    arrays: dict[str, pa.DataType] = {}
    for column in sorted(kind.arrays, key=lambda text: (text not in ("mz", "time"), text != "intensity", text)):
        arrays[column] = _value_type(kind.arrays[column], column)
        units = kind.units.get(column, {""})
        types.append(pa.field(column, pa.list_(arrays[column])))
        known = next(iter(units)) or None if len(units) == 1 else None
        core = column in ("mz", "intensity", "time")
        columns.append(Column(column, _role(column), known, required=core, optional=not core))
    field = TableField(TABLES[name], pa.schema(types), tuple(columns), kind.count)
    return _Table(field, tuple(scalars), frozenset(mixed), arrays)


def _role(column: str) -> Role:
    if column in _TEXTS:
        return _TEXTS[column]
    if column in _COORDINATES:
        return Role.COORDINATE
    if column in ("time", "scan_start_time"):
        return Role.TIME
    return Role.CODE if column in ("ms_level", "precursor_charge", "charge") else Role.MEASUREMENT


def _value_type(kinds: set[str], column: str) -> pa.DataType:
    """Return the one type that holds all of a column's arrays exactly."""
    if kinds == {"text"}:
        return pa.string()
    if "text" in kinds or ("<i8" in kinds and len({k[1] for k in kinds}) > 1):
        raise CustomerError(
            f"its {column} arrays have types that no common one holds: {', '.join(sorted(kinds))}",
            code="unsupported-format",
        )
    common = np.result_type(*(np.dtype(kind) for kind in kinds))
    return pa.from_numpy_dtype(common)


def _batch(rows: list[dict[str, Any]], table: _Table) -> pa.RecordBatch:
    schema = table.field.schema
    columns = []
    for item in schema:
        cells = [row.get(item.name) for row in rows]
        columns.append(_lists(cells, item.type) if item.name in table.arrays else pa.array(cells, type=item.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _lists(cells: list[Any], kind: pa.DataType) -> pa.Array:
    """Return a list column from one array a row, without a Python object a value."""
    if pa.types.is_string(kind.value_type):
        return pa.array(cells, type=kind)
    dtype = kind.value_type.to_pandas_dtype()
    lengths = [0 if cell is None else len(cell) for cell in cells]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = [np.asarray(cell, dtype=dtype) for cell in cells if cell is not None]
    values = pa.array(np.concatenate(flat) if flat else np.empty(0, dtype), type=kind.value_type, from_pandas=False)
    missing = pa.array([cell is None for cell in cells])
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind, mask=missing)
