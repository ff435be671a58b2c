"""What AnnData demands of its parts: aligned lengths, sound sparse matrices, codes within their categories."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from ...model.dataset import RuleCount
from ...vocabulary import Dimension, RuleKind
from ..containers import hdf5_forms
from ..containers.hdf5_decoder import Hdf5Decoder

_BLOCK = 1 << 19
_Shape = tuple[int | None, ...]


@dataclass(slots=True)
class _Count:
    scope: int = 0
    violations: int = 0
    where: list[str] = field(default_factory=list)

    def add(self, scope: int, violations: int, place: str) -> None:
        self.scope += scope
        self.violations += violations
        if violations and place not in self.where:
            self.where.append(place)

    def rule(self, name: str, dimension: Dimension, kind: RuleKind, message: str) -> RuleCount:
        return RuleCount(name, dimension, kind, self.scope, self.scope, self.violations, message, tuple(self.where[:5]))


def rules(decoder: Hdf5Decoder) -> tuple[RuleCount, ...]:
    """Count all rules, reading index arrays by blocks of 4 MiB."""
    file = decoder.file
    aligned, sparse, codes, names = _Count(), _Count(), _Count(), _Count()
    _check_alignment(file, aligned)
    for path, group in _groups(decoder):
        kind = _text(group.attrs.get("encoding-type", b""))
        if kind in ("csr_matrix", "csc_matrix") or "h5sparse_format" in group.attrs:
            _check_sparse(path, group, kind or _text(group.attrs["h5sparse_format"]) + "_matrix", sparse)
        if kind == "categorical" and {"codes", "categories"} <= set(group):
            _check_codes(path, group["codes"], _length(group["categories"]), codes)
        if "__categories" in group:
            for name in group["__categories"]:
                if isinstance(group.get(name), h5py.Dataset):
                    _check_codes(f"{path}/{name}", group[name], _length(group["__categories"][name]), codes)
    for path in ("obs", "var"):
        _check_unique(path, file.get(path), names)
    counted: tuple[tuple[_Count, str, Dimension, RuleKind, str], ...] = (
        (aligned, "anndata-aligned", Dimension.CONSISTENCY, RuleKind.STRUCTURAL,
         "elements whose shape disagrees with obs and var"),
        (sparse, "anndata-sparse", Dimension.CONSISTENCY, RuleKind.STRUCTURAL,
         "sparse index entries that are out of order or out of bounds"),
        (codes, "anndata-codes", Dimension.VALIDITY, RuleKind.STRUCTURAL,
         "codes that name no category"),
        (names, "anndata-unique-index", Dimension.CONSISTENCY, RuleKind.ADVISORY,
         "names of observations or variables that occur more than once"),
    )  # fmt: skip
    return tuple(c.rule(name, dimension, kind, message) for c, name, dimension, kind, message in counted if c.scope)


def _groups(decoder: Hdf5Decoder) -> Iterator[tuple[str, Any]]:
    for entry in decoder.tree.of("group"):
        group = decoder.file[entry.raw or b"/"]
        yield entry.name, group


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _length(element: Any) -> int | None:
    shape = _shape(element)
    return shape[0] if shape else None


def _shape(element: Any) -> _Shape | None:
    """Return an element's shape as its encoding declares it; None where it has none."""
    if isinstance(element, h5py.Dataset):
        return tuple(element.shape) if element.shape else None
    if not isinstance(element, h5py.Group):
        return None
    kind = _text(element.attrs.get("encoding-type", b""))
    for key in ("shape", "h5sparse_shape"):
        if key in element.attrs:
            return tuple(int(n) for n in np.atleast_1d(element.attrs[key]))
    if kind == "awkward-array" and "length" in element.attrs:
        return (int(element.attrs["length"]),)
    for part in ("codes", "values"):
        if part in element:
            return _shape(element[part])
    if "_index" in element.attrs:
        index = element.get(_text(element.attrs["_index"]))
        return (_length(index), None) if index is not None else None
    return None


def _check_alignment(file: Any, count: _Count) -> None:
    n_obs, n_var = _length(file.get("obs")), _length(file.get("var"))
    if n_obs is None or n_var is None:
        count.add(1, 1, "obs" if n_obs is None else "var")
        return
    _expect(file.get("X"), (n_obs, n_var), "X", count)
    expected: tuple[tuple[str, _Shape], ...] = (
        ("layers", (n_obs, n_var)),
        ("obsm", (n_obs,)),
        ("varm", (n_var,)),
        ("obsp", (n_obs, n_obs)),
        ("varp", (n_var, n_var)),
    )
    for name, shape in expected:
        _expect_members(file.get(name), shape, name, count)
    _expect_columns(file.get("obs"), n_obs, "obs", count)
    _expect_columns(file.get("var"), n_var, "var", count)
    raw = file.get("raw")
    if isinstance(raw, h5py.Group):
        n_raw = _length(raw.get("var"))
        _expect(raw.get("X"), (n_obs, n_raw), "raw/X", count)
        _expect_columns(raw.get("var"), n_raw, "raw/var", count)
        _expect_members(raw.get("varm"), (n_raw,), "raw/varm", count)


def _expect(element: Any, shape: _Shape, place: str, count: _Count) -> None:
    found = _shape(element)
    if element is None or found is None:
        return
    agrees = len(found) >= len(shape) and all(
        want is None or have is None or want == have for have, want in zip(found, shape, strict=False)
    )
    count.add(1, int(not agrees), place)


def _expect_members(group: Any, shape: _Shape, place: str, count: _Count) -> None:
    if isinstance(group, h5py.Group):
        for name in group:
            _expect(group.get(name), shape, f"{place}/{name}", count)


def _expect_columns(frame: Any, length: int | None, place: str, count: _Count) -> None:
    if isinstance(frame, h5py.Group):
        for name in frame:
            if name != "__categories":
                _expect(frame.get(name), (length,), f"{place}/{name}", count)


def _check_sparse(path: str, group: Any, kind: str, count: _Count) -> None:
    shape = _shape(group)
    if shape is None or len(shape) != 2 or not {"data", "indices", "indptr"} <= set(group):
        count.add(1, 1, path)
        return
    major, minor = (shape[1], shape[0]) if kind.startswith("csc") else (shape[0], shape[1])
    pointers, indices, data = group["indptr"], group["indices"], group["data"]
    lengths = (pointers.shape == ((major or 0) + 1,), indices.shape == data.shape)
    count.add(2, 2 - sum(lengths), path)
    last: int | None = None
    for block in _blocks(pointers):
        steps = np.diff(block, prepend=block[:1] if last is None else np.array([last], block.dtype))
        first_is_wrong = int(last is None and int(block[0]) != 0)
        count.add(len(block), int((steps < 0).sum()) + first_is_wrong, f"{path}/indptr")
        last = int(block[-1])
    if last is not None:
        count.add(1, int(last != len(indices)), f"{path}/indptr")
    for block in _blocks(indices):
        outside = (block < 0) | (block >= (minor or 0))
        count.add(len(block), int(outside.sum()), f"{path}/indices")


def _blocks(dataset: Any) -> "Iterator[np.ndarray[Any, Any]]":
    if dataset.dtype.kind not in "iu" or len(dataset.shape or ()) != 1:
        return
    for start in range(0, len(dataset), _BLOCK):
        yield dataset[start : start + _BLOCK].astype(np.int64)


def _check_codes(path: str, codes: Any, categories: int | None, count: _Count) -> None:
    for block in _blocks(codes):
        outside = (block < -1) | (block >= (categories or 0))
        count.add(len(block), int(outside.sum()), path)


def _check_unique(path: str, frame: Any, count: _Count) -> None:
    if not isinstance(frame, h5py.Group) or "_index" not in frame.attrs:
        return
    index = frame.get(_text(frame.attrs["_index"]))
    if not isinstance(index, h5py.Dataset) or len(index.shape or ()) != 1:
        return
    digests = np.empty(len(index), np.uint64)
    form = hdf5_forms.form_of(index)
    for start in range(0, len(index), _BLOCK // 8):
        values = hdf5_forms.flat_read(index, form, start, min(_BLOCK // 8, len(index) - start))
        for at, item in enumerate(values.tolist()):
            raw = item if isinstance(item, bytes) else str(item).encode()
            digests[start + at] = int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big")
    count.add(len(index), len(index) - len(np.unique(digests)), path)
