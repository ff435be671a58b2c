"""One decoder and one writer for everything that lies in an HDF5 file."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from h5py import h5d

from ...errors import CustomerError
from ...model.dataset import ArrayField, Carried, Dataset, RuleCount, TableField
from ...model.verdict import Finding
from ...ports import Box, ByteSource, RestoreSource
from ...vocabulary import Severity
from . import hdf5, hdf5_forms, hdf5_skeleton, hdf5_tables
from .boxes import chunk_boxes
from .hdf5_describe import Description, describe, located
from .hdf5_forms import Form

CARRIED = (
    Carried(
        hdf5_skeleton.STRUCTURE,
        "the HDF5 file without its bulk values: groups, links, typed attributes, references",
        "application/x-xz",
    ),
    Carried(
        hdf5_skeleton.KEPT,
        "the datasets whose values the structure keeps",
        "application/json",
    ),
)

TAIL = "tail.bin"

Facts = Callable[[hdf5.Tree, Description], Dataset]
Rules = Callable[["Hdf5Decoder"], tuple[RuleCount, ...]]


class Hdf5Decoder:
    """Read an HDF5 file by boxes; one reader at a time."""

    def __init__(self, source: ByteSource, facts: Facts, rules: Rules, *, netcdf: bool = False) -> None:
        """Open and walk the file; nothing outside it is opened.

        `facts` makes the Dataset, `rules` counts what the format demands. Raise CustomerError:
        truncated, corrupt, absurd-header, unsupported-format (a missing filter), each naming the
        object.
        """
        self._where = source.name
        self._rules = rules
        self._source = source
        self._counted: tuple[RuleCount, ...] | None = None
        self._kept: bytes | None = None
        self.file = hdf5.open_file(source)
        try:
            self.tree = hdf5.walk(self.file, source.name)
            self.description = describe(self.tree, source.size, netcdf=netcdf)
            self._tail = hdf5.bytes_after(self.file, source.local_path(), source.size)
            self.dataset = _with_tail(facts(self.tree, self.description), self._tail)
        except BaseException:
            self.file.close()
            raise

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box; h5py reads the chunks it touches, no more."""
        entry, form = self._entry(name)
        with hdf5.guarded(self._where, _place(name, box)):
            values = hdf5_forms.read_array(self.tree.dataset(entry), form, box)
            if form.kind == "text":
                return hdf5_forms.to_text(values, hdf5_forms.single_byte(form.dtype))
            return values

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the records of a compound or variable-length dataset in C order."""
        entry, form = self._entry(name)
        with hdf5.guarded(self._where, name):
            yield from hdf5_tables.batches(self.tree.dataset(entry), form)

    def _entry(self, name: str) -> tuple[hdf5.Entry, Form]:
        entry = self.description.entries[name]
        return entry, self.description.forms[entry.raw]

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the structure file, or the list of what it keeps."""
        if name == TAIL and self._tail:
            yield from _last_bytes(self._source.local_path(), self._tail)
            return
        if name not in (hdf5_skeleton.STRUCTURE, hdf5_skeleton.KEPT):
            raise KeyError(name)
        if name == hdf5_skeleton.KEPT and self._kept is not None:
            yield self._kept
            return
        with hdf5.guarded(self._where):
            for piece in hdf5_skeleton.pack(self.tree, self.description.forms, self._keep):
                if name == hdf5_skeleton.STRUCTURE:
                    yield piece
        if name == hdf5_skeleton.KEPT:
            yield self._kept or b""

    def _keep(self, papers: bytes) -> None:
        self._kept = papers

    def rules(self) -> tuple[RuleCount, ...]:
        """Return what the format's own rules count; they read for themselves, once."""
        if self._counted is None:
            with hdf5.guarded(self._where):
                self._counted = self._rules(self)
        return self._counted

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _with_tail(dataset: Dataset, tail: int) -> Dataset:
    if not tail:
        return dataset
    message = f"{tail} byte(s) follow the end that the HDF5 file states: carried as they are"
    return replace(
        dataset,
        carried=(*dataset.carried, Carried(TAIL, "the bytes after the HDF5 file's own end")),
        findings=(*dataset.findings, Finding("trailing-bytes", Severity.WARNING, message)),
    )


def _last_bytes(path: Path, count: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(-count, 2)
        while piece := file.read(1 << 20):
            yield piece


def _place(name: str, box: Box) -> str:
    return f"{name}[{', '.join(f'{part.start}:{part.stop}' for part in box)}]"


def no_rules(decoder: Hdf5Decoder) -> tuple[RuleCount, ...]:
    """Count nothing."""
    return ()


def write(package: RestoreSource, target: Path, *, netcdf: bool = False) -> None:
    """Write the skeleton and the package's values into it; raise CustomerError if they do not fit."""
    hdf5_skeleton.unpack(package.carried(hdf5_skeleton.STRUCTURE), target)
    papers = json.loads(package.carried(hdf5_skeleton.KEPT).decode("utf-8"))
    kept, sparse = set(papers["kept"]), set(papers["sparse"])
    with hdf5.guarded(target.name), h5py.File(target, "r+", locking=False) as file:
        tree = hdf5.walk(file, target.name)
        found = located(tree, netcdf=netcdf)
        for field in package.dataset.fields:
            if field.name not in found:
                raise CustomerError(
                    "the carried structure lacks a field",
                    code="corrupt",
                    where=field.name,
                )
            entry, form = found[field.name]
            if form.virtual or form.kind == "null" or entry.name in kept or prod(form.shape) == 0:
                continue
            dataset = tree.dataset(entry)
            if isinstance(field, TableField):
                hdf5_tables.write_table(dataset, form, package.batches(field.name))
            else:
                _write_array(package, field, dataset, form, sparse=entry.name in sparse)
    if any(item.name == TAIL for item in package.dataset.carried):
        with target.open("ab") as tail:
            tail.write(package.carried(TAIL))


def _write_array(package: RestoreSource, field: ArrayField, dataset: Any, form: Form, *, sparse: bool) -> None:
    unwritten = _unwritten(dataset, form) if sparse else None
    itemsize = 64 if form.kind == "text" else form.dtype.itemsize
    own = len(dataset.shape)
    layout = (*(dataset.chunks or (1,) * own), *form.shape[own:])
    for box in chunk_boxes(form.shape, layout, itemsize, own):
        values = package.read(field.name, box)
        if form.kind == "text":
            values = hdf5_forms.from_text(values, form.dtype)
        if unwritten is None:
            hdf5_forms.write_array(dataset, form, box, values)
        elif values.tobytes() != unwritten * values.size:
            _write_chunks(dataset, form, box, values, layout=layout, unwritten=unwritten)


def _write_chunks(
    dataset: Any, form: Form, box: Box, values: "np.ndarray[Any, Any]", *, layout: tuple[int, ...], unwritten: bytes
) -> None:
    """Write the chunks of a box that hold more than the fill value; the others were never allocated."""
    for inner in chunk_boxes(values.shape, layout, 1, len(values.shape), budget=1):
        part = values[inner]
        if part.tobytes() != unwritten * part.size:
            at = tuple(slice(b.start + i.start, b.start + i.stop) for b, i in zip(box, inner, strict=True))
            hdf5_forms.write_array(dataset, form, at, part)


def _unwritten(dataset: Any, form: Form) -> bytes | None:
    """Return the bytes of the value that an unallocated chunk reads as, native order; None if not chunked."""
    plist = dataset.id.get_create_plist()
    if plist.get_layout() != h5d.CHUNKED or form.kind != "array" or dataset.dtype.subdtype is not None:
        return None
    value = np.zeros((), dtype=form.dtype)
    if plist.fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED:
        plist.get_fill_value(value)
    return value.astype(form.dtype.newbyteorder("=")).tobytes()
