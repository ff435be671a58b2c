"""Reading DICOM: arrays by box, the elements as a table, everything else carried."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ....errors import CustomerError
from ....model.dataset import Carried, Column, Dataset, Field, RuleCount, TableField, Witness
from ....model.verdict import Finding
from ....ports import Box, ByteSource
from ....vocabulary import CustomerDataType, DataModalityType, Role, Severity
from . import extras, facts, series
from .instance import NATIVE, Instance, read_instance
from .rules import Tallies
from .series import Group
from .skeleton import Skeleton, skeleton_of
from .values import identifies, keyword, path_text

BYTES, LAYOUT = "dataset.bin", "layout.json"
TABLE = "elements"
_ROWS = 4096
_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("path", pa.string()),
        ("vr", pa.string()),
        ("keyword", pa.string()),
        ("length", pa.int64()),
        ("value", pa.string()),
        ("identifier", pa.string()),
    ]
)
_COLUMNS = (
    Column("file", Role.LABEL, description="name of the file in its folder"),
    Column("path", Role.CODE, description="tags from the top level down, items numbered from 1", required=True),
    Column("vr", Role.CODE, description="value representation", required=True),
    Column("keyword", Role.LABEL, description="PS3.6 keyword, none for private elements", optional=True),
    Column("length", Role.CODE, units="byte", description="length of the value", required=True),
    Column("value", Role.TEXT, description="the value; sha256 of long or binary ones", optional=True),
    Column("identifier", Role.IDENTIFIER, description="the value where it names someone or something", optional=True),
)

Read = Callable[[Box], "np.ndarray[Any, Any]"]


class DicomDecoder:
    """Read one DICOM file, or a folder of them."""

    def __init__(self, source: ByteSource) -> None:
        """Walk every element of every file.

        Raise CustomerError: truncated, corrupt, not-a-dataset (a folder without files).
        """
        self._where = source.name
        self._folder = source.is_folder
        self._tallies = Tallies()
        self._instances: list[Instance] = []
        self._readers: dict[str, Read] = {}
        self._skeletons: list[Skeleton] = []
        try:
            for name, path in _files(source):
                self._instances.append(read_instance(path, name))
            self._groups = series.arrange(self._instances)
            self.dataset = self._facts()
        except BaseException:
            self.close()
            raise

    def _facts(self) -> Dataset:
        fields, witnesses = self._arrays()
        schema: pa.Schema = _SCHEMA
        columns: tuple[Column, ...] = _COLUMNS
        if not self._folder:
            schema, columns = schema.remove(0), columns[1:]
        rows = sum(instance.elements for instance in self._instances)
        fields.append(TableField(TABLE, schema, columns, rows))
        for instance in self._instances:
            self._tallies.merge(instance.tallies, f"{instance.name}, " if self._folder else "")
        if self._folder:
            series.judge(self._instances, self._groups, self._tallies)
        syntaxes = sorted({i.syntax for i in self._instances if i.pixels is not None and i.pixels.compressed})
        return Dataset(
            format="DICOM",
            modality=DataModalityType.MEDICAL_IMAGING,
            data_type=CustomerDataType.IMAGING,
            fields=tuple(fields),
            carried=(
                Carried(BYTES, "every byte of the files that the arrays do not give back"),
                Carried(LAYOUT, "where the arrays' values go in those bytes", "application/json"),
            ),
            findings=tuple(self._findings()),
            witnesses=tuple(witnesses),
            source_compression=", ".join(_syntax_name(s) for s in syntaxes) or None,
        )

    def _arrays(self) -> tuple[list[Field], list[Witness]]:
        fields: list[Field] = []
        witnesses: list[Witness] = []
        places: dict[str, dict[str, Any]] = {}
        for number, group in enumerate(self._groups):
            name = self._name(number, group)
            field = facts.pixel_field(name, group)
            fields.append(field)
            witnesses += facts.witnesses(name, group)
            self._readers[name] = _stack_reader(group)
            for at, member in enumerate(group.members):
                index = [int(n) for n in np.unravel_index(at, group.lead)] if group.lead else []
                places[member.name] = {"field": name, "index": index}
            for companion, values in facts.companions(name, group):
                fields.append(companion)
                self._readers[companion.name] = values.__getitem__
        for instance in self._instances:
            prefix = f"{instance.name}/" if self._folder else ""
            found = [*extras.overlays(instance, prefix), *extras.waveforms(instance, prefix)]
            for extra in found:
                fields.append(extra.field)
                self._readers[extra.field.name] = _extra_reader(extra, instance)
            with instance.open() as file:
                size = file.seek(0, 2)
            self._skeletons.append(skeleton_of(instance, found, places.get(instance.name), size))
            instance.top, instance.nested = {}, {}
        return fields, witnesses

    def _name(self, number: int, group: Group) -> str:
        if len(self._groups) == 1:
            return "pixels"
        return f"pixels_{number + 1}" if group.lead else f"{group.members[0].name}/pixels"

    def _findings(self) -> Iterator[Finding]:
        for instance in self._instances:
            place = instance.name if self._folder else ""
            pixels = instance.pixels
            if pixels is not None and pixels.reason:
                message = f"its pixels were not decoded and are carried as they came: {pixels.reason}"
                yield Finding("pixels-not-decoded", Severity.ERROR, message, place)
            if not instance.meta:
                message = "it has no file meta information; its encoding was told from its bytes"
                yield Finding("no-file-meta", Severity.WARNING, message, place)
            elif not instance.syntax:
                message = "it names no transfer syntax; its encoding was told from its bytes"
                yield Finding("no-transfer-syntax", Severity.WARNING, message, place)
            if instance.stray:
                message = f"{instance.stray} stray bytes stand before its data set"
                yield Finding("stray-bytes", Severity.WARNING, message, place)
            if pixels is not None and pixels.photometric.startswith("YBR_FULL"):
                message = "its colours stay in YBR, as stored; viewers convert them to RGB"
                yield Finding("colours-in-ybr", Severity.NOTE, message, place)
            if "PixelPaddingValue" in instance.facts and not self._folder:
                message = "it declares a padding value; padded pixels count as values, not as missing"
                yield Finding("padding-declared", Severity.NOTE, message, place)

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box."""
        return np.ascontiguousarray(self._readers[name](box)).reshape([part.stop - part.start for part in box])

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the elements of every file in file order."""
        if name != TABLE:
            raise KeyError(name)
        schema = _SCHEMA if self._folder else _SCHEMA.remove(0)
        rows: list[tuple[Any, ...]] = []
        for instance in self._instances:
            for element, reader in instance.walk():
                shown = reader.shown(element)
                named = identifies(element)
                word = keyword(element.tag) or None
                row: tuple[Any, ...] = (path_text(element.path), element.vr, word, element.length)
                row = (*row, None if named else shown, shown if named else None)
                rows.append((instance.name, *row) if self._folder else row)
                if len(rows) >= _ROWS:
                    yield _batch(rows, schema)
                    rows = []
        if rows:
            yield _batch(rows, schema)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the files' bytes without the arrays', or the places those go."""
        if name == BYTES:
            for instance, skeleton in zip(self._instances, self._skeletons, strict=True):
                yield from skeleton.read(instance)
        elif name == LAYOUT:
            files = [
                {"name": i.name, "length": s.length, "deflated_from": i.body if i.deflated else None, "holes": s.holes}
                for i, s in zip(self._instances, self._skeletons, strict=True)
            ]
            record = {"folder": self._folder, "files": files}
            yield json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        else:
            raise KeyError(name)

    def rules(self) -> tuple[RuleCount, ...]:
        """Return the counts of the walk."""
        return self._tallies.counts()

    def close(self) -> None:
        """Drop inflated copies; files are open only while they are read."""
        for instance in self._instances:
            instance.close()


def _files(source: ByteSource) -> Iterator[tuple[str, Path]]:
    path = source.local_path()
    if not source.is_folder:
        yield source.name, path
        return
    names = [name for name, _ in source.files() if not name.rsplit("/", 1)[-1].startswith(".") and name != "DICOMDIR"]
    if not names:
        raise CustomerError("the folder holds no DICOM file", code="not-a-dataset", where=source.name)
    for name in names:
        yield name, path / name


def _stack_reader(group: Group) -> Read:
    lead = len(group.lead)

    def read(box: Box) -> "np.ndarray[Any, Any]":
        first = group.members[0].pixels
        assert first is not None
        lengths = [part.stop - part.start for part in box]
        out = np.empty((int(np.prod(lengths[:lead])), *lengths[lead:]), first.dtype)
        ranges = [range(part.start, part.stop) for part in box[:lead]]
        places = np.ravel_multi_index(np.ix_(*ranges), group.lead).reshape(-1).tolist() if lead else [0]
        for number, place in enumerate(places):
            member = group.members[place]
            assert member.pixels is not None
            with member.open() as file:
                out[number] = member.pixels.read(file, box[lead:], member.name)
            if lead:
                member.pixels.release()
        return out

    return read


def _extra_reader(extra: "extras.Extra", instance: Instance) -> Read:
    return lambda box: extra.read(instance, box)


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        pa.array(list(values), type=kind) for values, kind in zip(zip(*rows, strict=True), schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _syntax_name(uid: str) -> str:
    from pydicom.uid import UID

    return str(UID(uid).name) if uid not in NATIVE else uid
