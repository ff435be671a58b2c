"""HDF5 files opened and walked: every object once, every link as it stands, nothing followed outside.

Names are bytes in HDF5 (HDF5 File Format Specification 3.0, IV.A.2.g); a name that is not UTF-8
is shown with backslash escapes and kept raw in `Entry.raw`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import h5py
from h5py import h5, h5d, h5g, h5l, h5o, h5p, h5t, h5z

from ...errors import CustomerError
from ...ports import ByteSource

if find_spec("hdf5plugin") is not None:  # registers blosc, zstd, bitshuffle and others with the library
    import_module("hdf5plugin")

_DEEPEST = 256
_MOST_BYTES = 1 << 50
_SPARSE_BYTES, _SPARSE_FACTOR = 16 << 30, 4096
_FILTERS = {
    1: "deflate",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32024: "sz3",
    32026: "blosc2",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One link of a file: its kind, the path it stands at, and what it leads to.

    `kind` is "group", "dataset" or "type" where the path is the object's first; "hard" where
    `target` is that first path; "soft" and "external" with their raw targets; "other" for
    user-defined links.
    """

    kind: str
    raw: bytes
    address: int = 0
    target: tuple[bytes, ...] = ()
    encoding: int = 0

    @property
    def name(self) -> str:
        """The path as text, without a leading slash; "" for the root."""
        return self.raw.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Tree:
    """An open file and its links in order: creation order where the file tracks it, else by name."""

    file: Any
    where: str
    entries: tuple[Entry, ...]
    paths: dict[int, bytes] = field(default_factory=dict)  # object address -> first path

    def dataset(self, entry: Entry) -> Any:
        """Return the open dataset of an entry."""
        return h5py.Dataset(h5d.open(self.file.id, entry.raw))

    def of(self, kind: str) -> list[Entry]:
        """Return the entries of one kind."""
        return [entry for entry in self.entries if entry.kind == kind]


@contextmanager
def guarded(where: str, name: str = "") -> Iterator[None]:
    """Turn any exception of the HDF5 library into a CustomerError that names the object."""
    try:
        yield
    except CustomerError:
        raise
    except MemoryError as error:
        raise CustomerError(
            "its structure asks for more memory than there is",
            code="absurd-header",
            where=_place(where, name),
            remedy="fetch it again",
        ) from error
    except Exception as error:
        reason = " ".join(str(error).split())
        if "not registered" in reason or "filter not available" in reason.lower():
            raise CustomerError(
                f"it is compressed by a filter that is not installed: {reason}",
                code="unsupported-format",
                where=_place(where, name),
                remedy="pip install hdf5plugin, or repack it with h5repack -f GZIP=4",
            ) from error
        raise CustomerError(
            f"the HDF5 library cannot read it: {reason}",
            code="corrupt",
            where=_place(where, name),
            remedy="fetch it again",
        ) from error


def _place(where: str, name: str) -> str:
    return f"{where}, {name}" if name else where


def open_file(source: ByteSource) -> Any:
    """Return the file open for reading; raise CustomerError: truncated, corrupt."""
    return open_path(source.local_path(), source.name)


def open_path(path: Path, where: str) -> Any:
    """Return the file of that path open for reading, called `where` in errors."""
    try:
        return h5py.File(path, "r", locking="best-effort")
    except Exception as error:
        reason = " ".join(str(error).split())
        short = "truncated" in reason or "eof" in reason.lower()
        raise CustomerError(
            f"the HDF5 library cannot open it: {reason}",
            code="truncated" if short else "corrupt",
            where=where,
            remedy="fetch it again",
        ) from error


def bytes_after(file: Any, path: Path, size: int) -> int:
    """Return how many bytes follow what the superblock calls the file's end (specification 3.0, II.A)."""
    block = int(file.userblock_size)
    with path.open("rb") as raw:
        raw.seek(block)
        head = raw.read(64)
    version = head[8]
    at, width = (9, 28) if version >= 2 else (13, 44 if version == 1 else 40)
    if head[at] != 8:
        return 0
    end = int.from_bytes(head[width : width + 8], "little")
    return max(0, size - end)


def walk(file: Any, where: str) -> Tree:
    """Return every link of the file, each object once; raise CustomerError (corrupt, absurd-header)."""
    with guarded(where):
        root = h5g.open(file.id, b"/")
        address = h5o.get_info(root).addr
    paths = {address: b""}
    found = [Entry("group", b"", address)]
    _walk_group(root, b"", found, paths, depth=0, where=where)
    return Tree(file, where, tuple(found), paths)


def _walk_group(
    group: Any, path: bytes, found: list[Entry], paths: dict[int, bytes], *, depth: int, where: str
) -> None:
    if depth > _DEEPEST:
        raise CustomerError(
            f"its groups lie more than {_DEEPEST} deep",
            code="absurd-header",
            where=where,
            remedy="fetch it again",
        )
    shown = path.decode("utf-8", "backslashreplace")
    with guarded(where, shown):
        names = _names(group)
    for name in names:
        full = path + b"/" + name if path else name
        with guarded(where, full.decode("utf-8", "backslashreplace")):
            entry = _entry(group, name, full, paths)
        found.append(entry)
        if entry.kind == "group":
            with guarded(where, entry.name):
                child = h5g.open(group, name)
            _walk_group(child, full, found, paths, depth=depth + 1, where=where)


def _names(group: Any) -> list[bytes]:
    names: list[bytes] = []
    flags = group.get_create_plist().get_link_creation_order()
    index = h5.INDEX_CRT_ORDER if flags & h5p.CRT_ORDER_TRACKED else h5.INDEX_NAME
    group.links.iterate(lambda name: names.append(bytes(name)), idx_type=index)
    return names


def _entry(group: Any, name: bytes, path: bytes, paths: dict[int, bytes]) -> Entry:
    info = group.links.get_info(name)
    if info.type == h5l.TYPE_SOFT:
        return Entry("soft", path, target=(group.links.get_val(name),), encoding=info.cset)
    if info.type == h5l.TYPE_EXTERNAL:
        return Entry(
            "external",
            path,
            target=tuple(group.links.get_val(name)),
            encoding=info.cset,
        )
    if info.type != h5l.TYPE_HARD:
        return Entry("other", path, encoding=info.cset)
    item = h5o.get_info(group, name)
    if item.addr in paths:
        return Entry("hard", path, item.addr, (paths[item.addr],), info.cset)
    paths[item.addr] = path
    kind = {
        h5o.TYPE_GROUP: "group",
        h5o.TYPE_DATASET: "dataset",
        h5o.TYPE_NAMED_DATATYPE: "type",
    }[item.type]
    return Entry(kind, path, item.addr, encoding=info.cset)


def expect_sane(shape: tuple[int, ...], itemsize: int, *, name: str, where: str, file_size: int) -> None:
    """Refuse a dataset whose declared size no file of this size can mean (absurd-header)."""
    declared = prod(shape) * max(1, itemsize)
    sparse = declared > _SPARSE_BYTES and declared > _SPARSE_FACTOR * max(1, file_size)
    if declared > _MOST_BYTES or sparse:
        raise CustomerError(
            f"it declares {declared} bytes in a file of {file_size}",
            code="absurd-header",
            where=_place(where, name),
            remedy="cut the dataset to what was written",
        )


def expect_sound_type(kind: Any, name: str, where: str) -> None:
    """Refuse a type whose parts do not fit into it (corrupt): converting one can end the process."""
    family, size = kind.get_class(), kind.get_size()
    sound = True
    if family == h5t.INTEGER:  # h5py tells no precision of a bitfield
        sound = kind.get_precision() + kind.get_offset() <= 8 * size
    elif family == h5t.FLOAT:
        sign, exponent, exponent_bits, mantissa, mantissa_bits = kind.get_fields()
        bits = kind.get_precision()
        inside = sign < bits and exponent + exponent_bits <= bits and mantissa + mantissa_bits <= bits
        sound = bits + kind.get_offset() <= 8 * size and inside and exponent_bits > 0
    elif family == h5t.COMPOUND:
        end = 0
        members = [(kind.get_member_offset(at), kind.get_member_type(at)) for at in range(kind.get_nmembers())]
        for offset, member in sorted(members, key=lambda item: int(item[0])):
            expect_sound_type(member, name, where)
            sound = sound and end <= offset
            end = offset + member.get_size()
        sound = sound and end <= size
    elif family in (h5t.ENUM, h5t.ARRAY, h5t.VLEN):
        expect_sound_type(kind.get_super(), name, where)
    if not sound:
        raise CustomerError(
            f"its datatype does not fit into its {size} byte(s)",
            code="corrupt",
            where=_place(where, name),
            remedy="fetch it again",
        )


def expect_filters(dataset: Any, name: str, where: str) -> None:
    """Refuse a dataset whose filters this machine lacks (unsupported-format), naming the filter."""
    plist = dataset.id.get_create_plist()
    for at in range(plist.get_nfilters()):
        code, _, _, label = plist.get_filter(at)
        if not h5z.filter_avail(code):
            shown = _FILTERS.get(code) or bytes(label).decode("utf-8", "replace") or f"number {code}"
            raise CustomerError(
                f"it is compressed by the filter {shown} ({code}), which is not installed",
                code="unsupported-format",
                where=_place(where, name),
                remedy="pip install hdf5plugin, or repack it with h5repack -f GZIP=4",
            )


def filter_names(dataset: Any) -> list[str]:
    """Return the words for a dataset's filters, in their order."""
    plist = dataset.id.get_create_plist()
    codes = [plist.get_filter(at)[0] for at in range(plist.get_nfilters())]
    return [_FILTERS.get(code, str(code)) for code in codes]
