"""The skeleton: an HDF5 file with a source's whole structure and none of its bulk values.

Groups, links, attributes, committed types, property lists, dimension scales and references are
made anew in a fresh file, so that its bytes depend on the source's content alone (no times, no
free space). Datasets whose form is "kept" carry their values along; references point at the new
places. Restore is a copy of the skeleton with values written into it.
"""

import json
import lzma
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5o, h5p, h5r, h5s, h5t, h5z

from ...errors import CustomerError
from ...ports import Box
from . import hdf5_attributes, hdf5_forms
from .boxes import flat_boxes
from .hdf5 import Entry, Tree, guarded
from .hdf5_forms import Form

STRUCTURE = "structure.h5.xz"
KEPT = "structure.json"
_PIECE = 1 << 20
_NURSERY = b"\x01cdt types"
# Filters that give back exactly what they were given; others (scale-offset on floats, ZFP, SZ) would
# bend values a second time and are left out of the restored file.
_EXACT_FILTERS = frozenset({1, 2, 3, 4, 5, 307, 32000, 32001, 32004, 32008, 32015, 32026})


@dataclass(slots=True)
class _Build:
    tree: Tree
    forms: dict[bytes, Form]
    target: Any
    types: dict[int, Any] = field(default_factory=dict)  # address of a committed type -> its copy
    kept_text: list[str] = field(default_factory=list)
    sparse: list[str] = field(default_factory=list)  # chunked, and not every chunk was ever written
    lost: list[str] = field(default_factory=list)


def pack(tree: Tree, forms: dict[bytes, Form], keep: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yield the pieces of STRUCTURE, after telling `keep` the bytes of KEPT."""
    with tempfile.TemporaryDirectory(prefix="cdt-") as folder:
        path = Path(folder) / "structure.h5"
        build = _make(tree, forms, path)
        papers = {"kept": sorted(build.kept_text), "lost": sorted(build.lost), "sparse": sorted(build.sparse)}
        keep(json.dumps(papers, ensure_ascii=False, sort_keys=True).encode("utf-8", "backslashreplace"))
        packer = lzma.LZMACompressor(preset=1)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                if packed := packer.compress(piece):
                    yield packed
        yield packer.flush()


def unpack(structure: bytes, path: Path) -> None:
    """Write the skeleton's file; raise CustomerError where the carried bytes are damaged."""
    try:
        unpacker = lzma.LZMADecompressor()
        with path.open("wb") as file:
            for start in range(0, len(structure), _PIECE):
                piece = structure[start : start + _PIECE]
                file.write(unpacker.decompress(piece))
    except (lzma.LZMAError, EOFError) as error:
        raise CustomerError(
            f"the carried structure is damaged: {error}",
            code="corrupt",
            where=STRUCTURE,
        ) from error


def _make(tree: Tree, forms: dict[bytes, Form], path: Path) -> _Build:
    # Old object headers hold no times and open everywhere; a few attributes need the newer ones.
    try:
        return _fill(tree, forms, path, h5f.LIBVER_EARLIEST)
    except CustomerError:
        raise
    except Exception:
        path.unlink(missing_ok=True)
    with guarded(tree.where, "structure"):
        return _fill(tree, forms, path, h5f.LIBVER_V18)


def _fill(tree: Tree, forms: dict[bytes, Form], path: Path, version: int) -> _Build:
    source = tree.file.id
    root = h5g.open(source, b"/")
    create = h5p.create(h5p.FILE_CREATE)
    old = root.get_create_plist()
    block = source.get_create_plist().get_userblock()
    create.set_userblock(block)
    create.set_link_creation_order(old.get_link_creation_order())
    create.set_attr_creation_order(old.get_attr_creation_order())
    create.set_obj_track_times(False)
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_libver_bounds(version, h5f.LIBVER_LATEST)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    target = h5f.create(str(path).encode(), h5f.ACC_TRUNC, create, access)
    build = _Build(tree, forms, target)
    try:
        _commit_types(build)
        for entry in tree.entries:
            _add(build, entry)
        if build.types:
            target.unlink(_NURSERY)
        for entry in tree.entries:
            if entry.kind in ("group", "dataset", "type"):
                _attributes(build, entry)
        for entry in tree.of("dataset"):
            _values(build, entry)
    finally:
        target.close()
    _user_block(tree, path, block)
    return build


def _user_block(tree: Tree, path: Path, length: int) -> None:
    if length:
        with Path(tree.file.filename).open("rb") as source, path.open("r+b") as target:
            for start in range(0, length, _PIECE):
                target.write(source.read(min(_PIECE, length - start)))


def _commit_types(build: _Build) -> None:
    """Commit every type under a group that goes again: datasets may stand before the type they use."""
    entries = build.tree.of("type")
    if entries:
        plist = h5p.create(h5p.GROUP_CREATE)
        plist.set_obj_track_times(False)
        h5g.create(build.target, _NURSERY, gcpl=plist)
    for entry in entries:
        h5t.open(build.tree.file.id, entry.raw).copy().commit(build.target, _nursed(entry))
        build.types[entry.address] = h5t.open(build.target, _nursed(entry))


def _nursed(entry: Entry) -> bytes:
    return _NURSERY + b"/%d" % entry.address


def _add(build: _Build, entry: Entry) -> None:
    links = h5p.create(h5p.LINK_CREATE)
    links.set_char_encoding(entry.encoding)
    target, raw = build.target, entry.raw
    if entry.kind == "group" and raw:
        plist = h5g.open(build.tree.file.id, raw).get_create_plist()
        plist.set_obj_track_times(False)
        h5g.create(target, raw, lcpl=links, gcpl=plist)
    elif entry.kind == "type":
        target.links.create_hard(raw, target, _nursed(entry), lcpl=links)
    elif entry.kind == "dataset":
        _add_dataset(build, entry, links)
    elif entry.kind == "hard":
        target.links.create_hard(raw, target, entry.target[0] or b"/", lcpl=links)
    elif entry.kind == "soft":
        target.links.create_soft(raw, entry.target[0], lcpl=links)
    elif entry.kind == "external":
        target.links.create_external(raw, entry.target[0], entry.target[1], lcpl=links)
    elif entry.kind == "other":
        build.lost.append(entry.name)


def _add_dataset(build: _Build, entry: Entry, links: Any) -> None:
    source = h5d.open(build.tree.file.id, entry.raw)
    plist = source.get_create_plist()
    plist.set_obj_track_times(False)
    if plist.get_layout() == h5d.CHUNKED:
        plist.set_alloc_time(h5d.ALLOC_TIME_INCR)
        if _is_sparse(source, plist):
            build.sparse.append(entry.name)
        for code in [plist.get_filter(at)[0] for at in range(plist.get_nfilters())]:
            if not _writes_exactly(code, source):
                plist.remove_filter(code)
    elif plist.get_layout() == h5d.CONTIGUOUS:
        plist.set_alloc_time(h5d.ALLOC_TIME_LATE)
    h5d.create(
        build.target,
        entry.raw,
        _type(build, source.get_type()),
        source.get_space(),
        plist,
        links,
    )


def _is_sparse(dataset: Any, plist: Any) -> bool:
    sizes = zip(dataset.shape, plist.get_chunk(), strict=True)
    return bool(dataset.get_num_chunks() < prod(-(-n // c) for n, c in sizes))


def _writes_exactly(code: int, dataset: Any) -> bool:
    if code == h5z.FILTER_SCALEOFFSET:
        return bool(dataset.get_type().get_class() == h5t.INTEGER)
    if code not in _EXACT_FILTERS or not h5z.filter_avail(code):
        return False
    return bool(h5z.get_filter_info(code) & h5z.FILTER_CONFIG_ENCODE_ENABLED)


def _type(build: _Build, kind: Any) -> Any:
    """Return the type to create something with: the committed twin, or a copy."""
    if kind.committed():
        twin = build.types.get(h5o.get_info(kind).addr)
        if twin is not None:
            return twin
        return kind.copy()
    return kind


def _attributes(build: _Build, entry: Entry) -> None:
    source = h5o.open(build.tree.file.id, entry.raw or b"/")
    target = h5o.open(build.target, entry.raw or b"/")
    for name in hdf5_attributes.names_of(source):
        attribute = h5a.open(source, name)
        kind = _type(build, attribute.get_type())
        try:
            hdf5_attributes.copy_attribute(attribute, target, kind, lambda ref: _reference(build, ref))
        except (TypeError, NotImplementedError):
            build.lost.append(f"{entry.name}@{name.decode('utf-8', 'backslashreplace')}")
    comment = h5g.open(build.tree.file.id, b"/").get_comment(entry.raw or b".")
    if comment:
        h5g.open(build.target, b"/").set_comment(entry.raw or b".", comment)


def _reference(build: _Build, reference: Any) -> Any:
    """Return the target's reference to the twin of what a source's reference points at."""
    region = isinstance(reference, h5r.RegionReference)
    kind = h5py.RegionReference if region else h5py.Reference
    if not reference:
        return kind()
    try:
        place = build.tree.paths[h5o.get_info(h5r.dereference(reference, build.tree.file.id)).addr]
        space = h5r.get_region(reference, build.tree.file.id) if region else None
    except (KeyError, ValueError, RuntimeError, OSError):
        build.lost.append("a reference to nothing")
        return kind()
    return h5r.create(build.target, place or b"/", h5r.DATASET_REGION if region else h5r.OBJECT, space)


# --- values of what has no field --------------------------------------------------------------


def _values(build: _Build, entry: Entry) -> None:
    form = build.forms[entry.raw]
    if form.kind == "kept" and not form.elsewhere:
        _copy_values(build, entry)
    elif _has_text(form) and not form.virtual and not _reversible(build.tree.dataset(entry), form):
        build.kept_text.append(entry.name)
        _copy_values(build, entry)


def _has_text(form: Form) -> bool:
    if form.kind == "text":
        return not hdf5_forms.single_byte(form.dtype)
    names = form.dtype.names or () if form.kind == "table" else ()
    return any(form.dtype[name].kind in "SO" for name in names)


def _reversible(dataset: Any, form: Form) -> bool:
    """Tell whether all text is UTF-8; read by pieces."""
    shape = form.stored or form.shape
    size = prod(shape)
    step = max(1, min(65536, _PIECE * 4 // max(1, form.dtype.itemsize)))
    flat = Form(form.kind, shape, form.dtype)
    for start in range(0, size, step):
        values = hdf5_forms.flat_read(dataset, flat, start, min(step, size - start))
        if form.kind == "text":
            if not hdf5_forms.is_utf8(values):
                return False
            continue
        for name in form.dtype.names:
            member = form.dtype[name]
            text = member.kind == "S" or (member.kind == "O" and h5py.check_string_dtype(member) is not None)
            if text and not hdf5_forms.single_byte(member) and not hdf5_forms.is_utf8(values[name]):
                return False
    return True


def _copy_values(build: _Build, entry: Entry) -> None:
    source, target = (
        h5d.open(build.tree.file.id, entry.raw),
        h5d.open(build.target, entry.raw),
    )
    space = source.get_space()
    if space.get_simple_extent_type() == h5s.NULL or space.get_simple_extent_npoints() == 0:
        return
    kind = source.get_type()
    raw = not hdf5_attributes.holds_references(kind)
    if not raw:
        try:
            _ = source.dtype
        except Exception:
            build.lost.append(entry.name)
            return
    with guarded(build.tree.where, entry.name):
        shape = source.shape
        step = max(1, min(65536, _PIECE * 4 // max(1, kind.get_size())))
        total = prod(shape)
        for start in range(0, total, step):
            for box, _, _ in flat_boxes(shape, start, min(step, total - start)):
                _copy_box(build, source, target, box, kind if raw else None)


def _copy_box(build: _Build, source: Any, target: Any, box: Box, kind: Any) -> None:
    file_space = source.get_space()
    size = prod(part.stop - part.start for part in box)
    if box:
        starts = tuple(part.start for part in box)
        file_space.select_hyperslab(starts, tuple(part.stop - part.start for part in box))
    memory = h5s.create_simple((size,))
    if kind is not None:
        buffer = np.zeros(size, dtype=np.dtype((np.void, kind.get_size())))
        source.read(memory, file_space, buffer, mtype=kind)
        target.write(memory, file_space, buffer, mtype=kind)
        return
    dtype = source.dtype
    base, inner = dtype.subdtype or (dtype, ())
    values = np.zeros((size, *inner), dtype=base)
    source.read(memory, file_space, values, mtype=h5t.py_create(dtype))
    values = hdf5_attributes.translated(values, lambda ref: _reference(build, ref))
    target.write(memory, file_space, values, mtype=h5t.py_create(dtype))
