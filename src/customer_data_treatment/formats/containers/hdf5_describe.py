"""The facts of an HDF5 tree: fields with dimensions, roles and units; groups; findings."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5o, h5r

from ...model.dataset import TEXT, ArrayField, Field, Witness
from ...model.verdict import Finding
from ...vocabulary import Role, Severity
from . import cf, hdf5_attributes, hdf5_forms, hdf5_tables
from .hdf5 import Entry, Tree, expect_filters, expect_sane, expect_sound_type, filter_names, guarded
from .hdf5_forms import Form

_NOT_A_VARIABLE = "This is a netCDF dimension but not a netCDF variable."
_NOT_A_COORDINATE = "_nc4_non_coord_"


@dataclass(frozen=True, slots=True)
class Description:
    """What the tree holds: fields in file order, each with its entry and form."""

    fields: tuple[Field, ...]
    entries: dict[str, Entry]  # field name -> entry
    forms: dict[bytes, Form]  # every dataset's, by raw path
    groups: dict[str, dict[str, Any]]
    findings: tuple[Finding, ...]
    witnesses: tuple[Witness, ...]
    compression: str | None


@dataclass(frozen=True, slots=True)
class _Raw:
    """One dataset, opened once."""

    entry: Entry
    name: str
    form: Form
    attributes: dict[str, Any]
    dimensions: tuple[str | None, ...]
    chunks: tuple[int, ...] | None
    is_scale: bool
    enum: dict[str, int] | None
    fill: Any


def describe(tree: Tree, file_size: int, *, netcdf: bool = False) -> Description:
    """Return the facts; raise CustomerError naming a dataset that cannot be opened or trusted.

    With `netcdf`, datasets that stand for a dimension only are no fields, and the netCDF library's
    prefix for variables that are no coordinates is taken off their names.
    """
    found: list[_Raw] = []
    forms: dict[bytes, Form] = {}
    filters: Counter[str] = Counter()
    scales = _Scales(tree, netcdf)
    with guarded(tree.where):
        lengths = _lengths(tree, scales) if netcdf else {}
    for entry in tree.of("dataset"):
        with guarded(tree.where, entry.name):
            dataset = tree.dataset(entry)
            expect_sound_type(dataset.id.get_type(), entry.name, tree.where)
            form = hdf5_forms.form_of(dataset)
            forms[entry.raw] = form
            targets = scales.targets(dataset, entry)
            if lengths:
                form = forms[entry.raw] = _extended(form, dataset, targets, lengths)
            if form.kind not in ("kept", "null"):
                size = form.dtype.itemsize
                expect_sane(form.shape, size, name=entry.name, where=tree.where, file_size=file_size)
            if not form.elsewhere:
                expect_filters(dataset, entry.name, tree.where)
            filters.update(filter_names(dataset))
            if form.kind != "kept" and not (netcdf and scales.only_a_dimension(dataset)):
                found.append(_raw(dataset, entry, form, scales=scales, targets=targets, netcdf=netcdf))
    meanings = cf.meanings(_variables(found))
    return Description(
        fields=tuple(_fields(found, meanings)),
        entries={raw.name: raw.entry for raw in found},
        forms=forms,
        groups=_groups(tree),
        findings=_findings(tree, forms),
        witnesses=tuple(w for m in meanings.values() for w in m.witnesses),
        compression=_compression(filters),
    )


def located(tree: Tree, *, netcdf: bool = False) -> dict[str, tuple[Entry, Form]]:
    """Return where each field of a restored file lies: `describe` without its facts."""
    found = {}
    scales = _Scales(tree, netcdf)
    for entry in tree.of("dataset"):
        dataset = tree.dataset(entry)
        form = hdf5_forms.form_of(dataset)
        if form.kind != "kept" and not (netcdf and scales.only_a_dimension(dataset)):
            found[_name(entry, netcdf)] = entry, form
    return found


def _name(entry: Entry, netcdf: bool) -> str:
    parent, _, last = entry.name.rpartition("/")
    if netcdf:
        last = last.removeprefix(_NOT_A_COORDINATE)
    return f"{parent}/{last}" if parent else last


def _compression(filters: Counter[str]) -> str | None:
    words = [word for word in sorted(filters) if word not in ("shuffle", "fletcher32", "nbit", "scaleoffset")]
    return ", ".join(words) or None


class _Scales:
    """Dimension scales of a file, by reference and by the netCDF library's dimension ids."""

    def __init__(self, tree: Tree, netcdf: bool) -> None:
        self._tree = tree
        self._by_id: dict[int, bytes] = {}
        if netcdf:
            for entry in tree.of("dataset"):
                with guarded(tree.where, entry.name):
                    number = tree.dataset(entry).attrs.get("_Netcdf4Dimid")
                if isinstance(number, (int, np.integer)):
                    self._by_id[int(number)] = entry.raw

    def is_scale(self, dataset: Any) -> bool:
        """Tell a dimension scale."""
        return "CLASS" in dataset.attrs and _string(dataset.attrs["CLASS"]) == "DIMENSION_SCALE"

    def only_a_dimension(self, dataset: Any) -> bool:
        """Tell a netCDF dimension without a variable."""
        if not self.is_scale(dataset) or "NAME" not in dataset.attrs:
            return False
        return _string(dataset.attrs["NAME"]).startswith(_NOT_A_VARIABLE)

    def targets(self, dataset: Any, entry: Entry) -> tuple[bytes | None, ...]:
        """Return the paths of the scales of a dataset's dimensions, None where there is none."""
        rank = len(dataset.shape or ())
        paths: list[bytes | None] = [None] * rank
        if rank and "DIMENSION_LIST" in dataset.attrs:
            for at, references in enumerate(dataset.attrs["DIMENSION_LIST"][:rank]):
                paths[at] = self._target(references)
        elif self._by_id and "_Netcdf4Coordinates" in dataset.attrs:
            numbers = np.atleast_1d(dataset.attrs["_Netcdf4Coordinates"])
            if len(numbers) == rank:
                paths = [self._by_id.get(int(number)) for number in numbers]
        elif rank == 1 and self.is_scale(dataset):
            paths = [entry.raw]
        return tuple(paths)

    def _target(self, references: Any) -> bytes | None:
        if len(references) == 0 or not references[0]:
            return None
        file = self._tree.file.id
        try:
            return self._tree.paths[h5o.get_info(h5r.dereference(references[0], file)).addr]
        except (KeyError, ValueError, RuntimeError):  # points at nothing: the dimension has no name
            return None


def _dimension_names(dataset: Any, targets: tuple[bytes | None, ...]) -> tuple[str | None, ...]:
    """Return the last parts of the scales' paths, else the labels that HDF5 lets a dimension have."""
    names = [t.decode("utf-8", "backslashreplace").rsplit("/", 1)[-1] if t else None for t in targets]
    if "DIMENSION_LABELS" in dataset.attrs:
        for at, label in enumerate(np.atleast_1d(dataset.attrs["DIMENSION_LABELS"])[: len(names)]):
            names[at] = names[at] or _string(label) or None
    return tuple(names)


def _lengths(tree: Tree, scales: "_Scales") -> dict[bytes, int]:
    """Return the current length of each unlimited netCDF dimension: that of its longest variable."""
    longest: dict[bytes, int] = {}
    for entry in tree.of("dataset"):
        dataset = tree.dataset(entry)
        if None not in (dataset.maxshape or ()):
            continue
        for target, length, limit in zip(scales.targets(dataset, entry), dataset.shape, dataset.maxshape, strict=True):
            if target is not None and limit is None:
                longest[target] = max(longest.get(target, 0), int(length))
        if scales.is_scale(dataset) and len(dataset.shape) == 1:
            longest[entry.raw] = max(longest.get(entry.raw, 0), int(dataset.shape[0]))
    return longest


def _extended(form: Form, dataset: Any, targets: tuple[bytes | None, ...], lengths: Mapping[bytes, int]) -> Form:
    """Return the form as long as its unlimited dimensions are: the netCDF library reads the rest as fill."""
    if form.kind not in ("array", "text") or len(form.shape) != len(targets):
        return form
    limits = dataset.maxshape
    shape = tuple(
        max(n, lengths.get(target, 0)) if target is not None and limit is None else n
        for n, target, limit in zip(form.shape, targets, limits, strict=True)
    )
    return form if shape == form.shape else replace(form, shape=shape, stored=form.shape)


def _string(value: Any) -> str:
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0] if value.size else ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _raw(
    dataset: Any, entry: Entry, form: Form, *, scales: _Scales, targets: tuple[bytes | None, ...], netcdf: bool
) -> _Raw:
    own = _dimension_names(dataset, targets) if form.kind != "null" else (None,)
    extra = (None,) * (len(form.shape) - len(own))
    chunks = dataset.chunks
    if chunks is not None and len(chunks) < len(form.shape):
        chunks = (*chunks, *form.shape[len(chunks) :])
    return _Raw(
        entry=entry,
        name=_name(entry, netcdf),
        form=form,
        attributes=hdf5_attributes.plain(dataset.id),
        dimensions=(*own, *extra),
        chunks=tuple(int(n) for n in chunks) if chunks and all(chunks) else None,
        is_scale=scales.is_scale(dataset),
        enum=_enum(form),
        fill=None if netcdf else _declared_fill(dataset, form),
    )


def _enum(form: Form) -> dict[str, int] | None:
    if form.kind != "array":
        return None
    words: dict[str, int] | None = h5py.check_enum_dtype(form.dtype)
    return dict(sorted(words.items(), key=lambda item: item[1])) if words else None


def _declared_fill(dataset: Any, form: Form) -> Any:
    """Return a fill value that someone set on purpose: the library's own default, 0, means nothing."""
    if form.kind != "array" or form.dtype.kind not in "iuf" or form.shape != dataset.shape:
        return None
    if dataset.id.get_create_plist().fill_value_defined() != h5d.FILL_VALUE_USER_DEFINED:
        return None
    value = dataset.fillvalue
    return value.item() if isinstance(value, np.generic) and value != 0 else None


def _word(form: Form) -> str:
    if form.kind == "text":
        return TEXT
    return str(np.dtype(form.dtype).newbyteorder("=").name)


def _variables(found: list[_Raw]) -> list[cf.Variable]:
    return [
        cf.Variable(
            raw.name,
            _word(raw.form),
            raw.form.shape,
            raw.dimensions,
            raw.attributes,
            raw.is_scale,
            bool(raw.enum),
        )
        for raw in found
        if raw.form.kind in ("array", "text", "null")
    ]


def _fields(found: list[_Raw], meanings: Mapping[str, cf.Meaning]) -> list[Field]:
    fields: list[Field] = []
    for raw in found:
        if raw.form.kind in ("table", "list"):
            fields.append(hdf5_tables.table_field(raw.name, raw.form, raw.attributes))
            continue
        meaning, attributes = meanings[raw.name], dict(raw.attributes)
        if raw.enum and "flag_values" not in attributes:
            # CF 3.5: the words are one string, so blanks inside a word become underscores.
            attributes["flag_values"] = np.array(list(raw.enum.values()), raw.form.dtype)
            attributes["flag_meanings"] = " ".join(word.replace(" ", "_") for word in raw.enum)
        if raw.form.kind == "null":
            attributes["dataspace"] = "null"
        fill = meaning.fill if meaning.fill is not None else raw.fill
        fields.append(
            ArrayField(
                name=raw.name,
                shape=raw.form.shape,
                dtype=_word(raw.form),
                dimensions=raw.dimensions,
                role=meaning.role,
                units=meaning.units,
                attributes=attributes,
                source_chunks=raw.chunks,
                spatial_axes=meaning.spatial_axes if meaning.role is Role.MEASUREMENT else None,
                scale=meaning.scale if raw.form.kind == "array" else None,
                fill=fill if raw.form.kind == "array" else None,
            )
        )
    return fields


def with_roles(fields: tuple[Field, ...], role: Callable[[ArrayField], Role]) -> tuple[Field, ...]:
    """Return the fields with the roles that a format knows better."""
    return tuple(replace(f, role=role(f)) if isinstance(f, ArrayField) else f for f in fields)


def _groups(tree: Tree) -> dict[str, dict[str, Any]]:
    groups = {}
    for entry in tree.of("group"):
        with guarded(tree.where, entry.name):
            groups[entry.name] = hdf5_attributes.plain(h5o.open(tree.file.id, entry.raw or b"/"))
    return groups


def _findings(tree: Tree, forms: dict[bytes, Form]) -> tuple[Finding, ...]:
    kept: dict[str, list[str]] = {}
    for entry in tree.of("dataset"):
        form = forms[entry.raw]
        if form.kind == "kept":
            kept.setdefault(form.reason, []).append(entry.name)
    findings = [
        Finding(
            "kept-as-stored",
            Severity.NOTE,
            f"{len(names)} dataset(s) hold {reason}: carried, no field",
            names[0],
        )
        for reason, names in sorted(kept.items())
    ]
    outside = tree.of("external")
    if outside:
        message = f"{len(outside)} link(s) lead to other files: carried as links, never followed"
        findings.append(Finding("external-link", Severity.WARNING, message, outside[0].name))
    other = tree.of("other")
    if other:
        message = f"{len(other)} user-defined link(s) cannot be copied: lost"
        findings.append(Finding("lost-link", Severity.WARNING, message, other[0].name))
    return tuple(findings)
