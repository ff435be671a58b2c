"""Names of nodes, tables and dimensions in a package.

Node names outside [A-Za-z0-9_.-] are percent-encoded, names that differ only in case are told apart
by a suffix, none is longer than 200 bytes. A dimension is its name, length and coordinate values:
another one of the same name in its group or an ancestor's becomes NAME_2, in path order.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from .dataset import ArrayField

_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_LONGEST = 200
_RESERVED = {"", ".", "..", "zarr.json", "c"}


def encoded(part: str) -> str:
    """Return one path part as a node name that every file system and reader takes."""
    name = "".join(c if c in _SAFE else quote(c.encode("utf-8", "surrogatepass"), safe="") for c in part)
    if name in _RESERVED or name.startswith("__") or not name.strip("."):
        name = "%" + format(ord(part[0]), "02X") + name[1:] if part else "%00"
    if len(name) > _LONGEST:
        name = name[: _LONGEST - 17] + "-" + hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return name


def native_name(part: str) -> str:
    """Return a path part as a group of a foreign specification keeps it: its readers look it up by that name.

    Encoded only where Zarr or a file system could not hold it.
    """
    plain = part not in _RESERVED and not part.startswith("__") and part.strip(".") and part.isprintable()
    return part if plain and len(part.encode("utf-8", "surrogatepass")) <= _LONGEST else encoded(part)


def node_paths(arrays: Iterable[str], groups: Iterable[str], native: Iterable[str] = ()) -> dict[str, str]:
    """Return source path -> node path for arrays and groups ("" is the root), in path order.

    Case-fold collisions among siblings get _2, _3 ...; so does an array whose path is also a group.
    Below the groups in `native` names stay as they are.
    """
    kept = tuple(f"{group}/" if group else "" for group in native)
    array_names = set(arrays)
    group_names = set(groups) - {""}
    for name in array_names:
        parts = name.split("/")
        group_names |= {"/".join(parts[:i]) for i in range(1, len(parts))}
    for name in set(group_names):
        parts = name.split("/")
        group_names |= {"/".join(parts[:i]) for i in range(1, len(parts))}
    found: dict[str, str] = {}
    taken: dict[str, set[str]] = {}
    group_at = {"": ""}
    for name in sorted(group_names, key=lambda n: (n.count("/"), n)):
        parent, _, last = name.rpartition("/")
        group_at[name] = _child(group_at[parent], last, taken, native=name.startswith(kept) if kept else False)
    for name in sorted(array_names):
        parent, _, last = name.rpartition("/")
        found[name] = _child(group_at[parent], last, taken, native=name.startswith(kept) if kept else False)
    return {**{name: node for name, node in group_at.items() if name not in array_names}, **found}


def _child(parent: str, last: str, taken: dict[str, set[str]], *, native: bool = False) -> str:
    siblings = taken.setdefault(parent, set())
    wanted = native_name(last) if native else encoded(last)
    name, number = wanted, 2
    while (name if native else name.casefold()) in siblings:
        name, number = f"{wanted}_{number}", number + 1
    siblings.add(name if native else name.casefold())
    return f"{parent}/{name}" if parent else name


def table_names(tables: Iterable[str]) -> dict[str, str]:
    """Return table name -> file stem under data/tables."""
    taken: dict[str, set[str]] = {}
    return {name: _child("", name, taken) for name in sorted(tables)}


def dimension_names(arrays: Iterable[ArrayField], nodes: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return array name -> dimension names, unique on one array and consistent within a group line.

    Unnamed axes are dim_LENGTH, repeated on one array dim_LENGTH_1. A name whose length (or whose
    coordinate array) differs from that of the same name in the group or an ancestor gets _2.
    """
    by_name = {field.name: field for field in arrays}
    known: dict[str, dict[str, tuple[int, str]]] = {}  # group -> dimension -> (length, coordinate array)
    found = {}
    # Shallow groups first; in each, coordinate arrays first, so that they keep their own names.
    order = sorted(
        by_name.values(), key=lambda f: (f.name.count("/"), f.name.rpartition("/")[0], not _is_coordinate(f), f.name)
    )
    for field in order:
        group = field.name.rpartition("/")[0]
        names: list[str] = []
        for axis, length in enumerate(field.shape):
            given = field.dimensions[axis] if axis < len(field.dimensions) else None
            base = encoded(given) if given else f"dim_{length}"
            coordinate = _coordinate_of(given, group, by_name)
            name, number = base, (2 if given else 1)
            while name in names or not _fits(name, length, coordinate, group, known, nodes, by_name, field):
                name, number = f"{base}_{number}", number + 1
            names.append(name)
            known.setdefault(group, {}).setdefault(name, (length, coordinate))
        found[field.name] = tuple(names)
    return found


def _is_coordinate(field: ArrayField) -> bool:
    return len(field.shape) == 1 and field.dimensions[:1] == (field.name.rpartition("/")[2],)


def _lineage(group: str) -> list[str]:
    parts = group.split("/") if group else []
    return ["/".join(parts[:i]) for i in range(len(parts), -1, -1)]


def _coordinate_of(dimension: str | None, group: str, by_name: Mapping[str, ArrayField]) -> str:
    if dimension is None:
        return ""
    for ancestor in _lineage(group):
        path = f"{ancestor}/{dimension}" if ancestor else dimension
        if path in by_name and len(by_name[path].shape) == 1:
            return path
    return ""


def _fits(
    name: str,
    length: int,
    coordinate: str,
    group: str,
    known: Mapping[str, Mapping[str, tuple[int, str]]],
    nodes: Mapping[str, str],
    by_name: Mapping[str, ArrayField],
    field: ArrayField,
) -> bool:
    """Tell whether `name` can stand for a dimension of this length in this group."""
    for ancestor in _lineage(group):
        seen = known.get(ancestor, {}).get(name)
        if seen is not None and seen != (length, coordinate):
            return False
    # An array called like the dimension is taken for its coordinate: it must be 1-D and as long.
    for ancestor in _lineage(group):
        path = f"{ancestor}/{name}" if ancestor else name
        namesake = next((f for f in by_name.values() if nodes.get(f.name) == nodes_path(path, nodes)), None)
        if namesake is not None and (len(namesake.shape) != 1 or namesake.shape[0] != length):
            return False
    return True


def nodes_path(path: str, nodes: Mapping[str, str]) -> str:
    """Return the node path of a source path, itself where it names no node."""
    return nodes.get(path, path)


def printable(name: str) -> str:
    r"""Return a file's name as text that any paper can hold: bytes that are not UTF-8 stand as \xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
