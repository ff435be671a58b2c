"""What a Zarr hierarchy's files say before any chunk is read: documents, nodes, chunk keys, strays."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from ....errors import CustomerError

PAPERS = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_LONGEST = 64 << 20
_LARGEST_CHUNK = 2 << 30
_LARGEST = 1 << 62
_TERABYTE = 1 << 40
_MOST_GROWTH = 100_000  # how many times more than its chunk files an array of over a terabyte may claim
_MOST_AXES = 64


@dataclass(frozen=True, slots=True)
class ArrayNode:
    """One array: its path from the root ("" for the root itself), its document, attributes and files.

    `chunks` are the outer ones (shards where there are some). `present` are the grid places whose
    file is there, `grid` how many places each axis has.
    """

    path: str
    version: Literal[2, 3]
    document: Mapping[str, Any]
    attributes: Mapping[str, Any]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    present: frozenset[tuple[int, ...]]
    stored: int

    @property
    def grid(self) -> tuple[int, ...]:
        """Return the number of chunks along each axis."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunks, strict=True))

    def key(self, place: tuple[int, ...]) -> str:
        """Return the key of a chunk, relative to the root."""
        return _key(self, place)


@dataclass(frozen=True, slots=True)
class Listing:
    """The hierarchy below one root: documents by key, groups' attributes by path, arrays, stray keys."""

    prefix: str
    documents: dict[str, bytes]
    groups: dict[str, dict[str, Any]]
    arrays: tuple[ArrayNode, ...]
    strays: tuple[str, ...]
    consolidated: tuple[str, ...]  # entries of consolidated metadata that their own document contradicts
    entries: int


def list_store(files: Mapping[str, int], read: Callable[[str], bytes], where: str) -> Listing:
    """Return what stands in a store of `files` (key -> bytes), whose documents `read` gives.

    Raise CustomerError: corrupt naming the document that is no JSON or cannot be true,
    absurd-header naming the array, not-a-dataset where there is no root document.
    """
    prefix = _root(files, where)
    keys = {key.removeprefix(prefix): size for key, size in files.items() if key.startswith(prefix)}
    documents: dict[str, bytes] = {}
    parsed: dict[str, Any] = {}
    for key in sorted(keys):
        if key.rsplit("/", 1)[-1] in PAPERS:
            if keys[key] > _LONGEST:
                raise CustomerError(
                    "a metadata document is too long",
                    code="absurd-header",
                    where=f"{where}, {key}",
                )
            documents[key] = read(prefix + key)
            parsed[key] = _parse(documents[key], f"{where}, {prefix}{key}")
    groups, nodes = _nodes(parsed, where)
    arrays, used = [], set(documents)
    for path, version, document, attributes in nodes:
        node, own = _array(path, version, document, attributes, keys=keys, where=where)
        arrays.append(node)
        used |= own
    wrong, entries = _contradictions(parsed)
    return Listing(
        prefix,
        documents,
        groups,
        tuple(arrays),
        tuple(sorted(set(files) - {prefix + k for k in used})),
        wrong,
        entries,
    )


def _root(files: Mapping[str, int], where: str) -> str:
    """Return the folder of the shallowest document: a zip often holds the hierarchy in a folder of its name."""
    folders = {key[: len(key) - len(key.rsplit("/", 1)[-1])] for key in files if key.rsplit("/", 1)[-1] in PAPERS}
    folders = {
        f for f in folders if any(f + paper in files for paper in ("zarr.json", ".zarray", ".zgroup", ".zmetadata"))
    }
    if not folders:
        raise CustomerError("it holds no Zarr metadata document", code="not-a-dataset", where=where)
    return min(folders, key=lambda folder: (folder.count("/"), folder))


def _parse(text: bytes, where: str) -> Any:
    try:
        said = json.loads(text)
        if not isinstance(said, dict):
            raise TypeError("it is no object")
    except (ValueError, TypeError, RecursionError) as error:
        raise CustomerError(
            f"a metadata document cannot be read: {' '.join(str(error).split())[:120]}",
            code="corrupt",
            where=where,
            remedy="fetch it again",
        ) from error
    return said


def _nodes(
    parsed: Mapping[str, Any], where: str
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, Literal[2, 3], Any, Any]]]:
    groups: dict[str, dict[str, Any]] = {}
    arrays: dict[str, tuple[str, Literal[2, 3], Any, Any]] = {}
    for key, said in parsed.items():
        folder, _, paper = key.rpartition("/")
        if paper == ".zgroup":
            groups.setdefault(
                folder,
                _object(parsed.get(f"{folder}/.zattrs" if folder else ".zattrs", {})),
            )
        elif paper == ".zarray":
            arrays.setdefault(
                folder,
                (
                    folder,
                    2,
                    said,
                    _object(parsed.get(f"{folder}/.zattrs" if folder else ".zattrs", {})),
                ),
            )
        elif paper == "zarr.json":
            kind = said.get("node_type")
            if said.get("zarr_format") != 3 or kind not in ("array", "group"):
                raise CustomerError(
                    "a zarr.json is neither an array's nor a group's of Zarr version 3",
                    code="unsupported-format",
                    where=f"{where}, {key}",
                )
            if kind == "array":
                arrays[folder] = (folder, 3, said, _object(said.get("attributes", {})))
            else:
                groups[folder] = _object(said.get("attributes", {}))
    for path in arrays:
        groups.pop(path, None)
    return dict(sorted(groups.items())), [arrays[path] for path in sorted(arrays)]


def _object(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _array(
    path: str,
    version: Literal[2, 3],
    document: Any,
    attributes: Any,
    *,
    keys: Mapping[str, int],
    where: str,
) -> tuple[ArrayNode, set[str]]:
    place = f"{where}, array {path or '/'}"
    try:
        shape = _lengths(document["shape"], 0)
        if version == 2:
            chunks = _lengths(document["chunks"], 1)
        else:
            if document["chunk_grid"]["name"] != "regular":
                raise CustomerError(
                    f"the chunk grid {document['chunk_grid']['name']!r} is not read", code="unsupported-format", where=place
                )  # fmt: skip
            chunks = _lengths(document["chunk_grid"]["configuration"]["chunk_shape"], 1)
        if len(chunks) != len(shape):
            raise ValueError("chunks and shape differ in their axes")
    except (KeyError, TypeError, ValueError) as error:
        raise CustomerError(
            f"the array's document is invalid: {' '.join(str(error).split())[:120]}",
            code="corrupt",
            where=place,
        ) from error
    node = ArrayNode(path, version, document, attributes, shape, chunks, frozenset(), 0)
    found, stored = {}, 0
    base = f"{path}/" if path else ""
    pattern = _key_pattern(node)
    for key, size in keys.items():
        match = pattern.fullmatch(key.removeprefix(base)) if key.startswith(base) else None
        if match:
            at = tuple(int(n) for n in re.findall(r"\d+", match[1] or ""))
            at = at[-len(shape) :] if shape else ()
            if all(n < limit for n, limit in zip(at, node.grid, strict=True)) and node.key(at) == key:
                found[key] = at
                stored += size
    return ArrayNode(
        path,
        version,
        document,
        attributes,
        shape,
        chunks,
        frozenset(found.values()),
        stored,
    ), set(found)


def expect_plausible(node: ArrayNode, itemsize: int, where: str) -> None:
    """Raise CustomerError (absurd-header) for shapes and chunks that cannot be decoded in reason."""
    place = f"{where}, array {node.path or '/'}"
    size = prod(node.shape) * itemsize
    if len(node.shape) > _MOST_AXES or size > _LARGEST or any(n > _LARGEST for n in node.shape):
        raise CustomerError(f"the array claims {size} bytes", code="absurd-header", where=place)
    if size > _TERABYTE and size > _MOST_GROWTH * max(1, node.stored):
        raise CustomerError(
            f"the array claims {size} bytes, its chunk files hold {node.stored}",
            code="absurd-header",
            where=place,
        )
    if prod(node.chunks) * itemsize > _LARGEST_CHUNK:
        raise CustomerError(
            f"one chunk of the array has {prod(node.chunks) * itemsize} bytes, over 2 GiB",
            code="absurd-header",
            where=place,
            remedy="store it with smaller chunks",
        )


def _lengths(said: Any, least: int) -> tuple[int, ...]:
    if not isinstance(said, list) or not all(type(n) is int and n >= least for n in said):
        raise ValueError(f"a list of lengths is expected, not {str(said)[:60]}")
    return tuple(said)


def _encoding(node: ArrayNode) -> tuple[bool, str]:
    """Return whether keys start with "c", and what separates numbers."""
    if node.version == 2:
        return False, str(node.document.get("dimension_separator") or ".")
    said = node.document.get("chunk_key_encoding") or {}
    default = said.get("name", "default") == "default"
    separator = (said.get("configuration") or {}).get("separator") or ("/" if default else ".")
    return default, str(separator)


def _key(node: ArrayNode, place: tuple[int, ...]) -> str:
    default, separator = _encoding(node)
    numbers = [str(n) for n in place]
    name = separator.join((["c"] if default else []) + (numbers or ([] if default else ["0"])))
    return f"{node.path}/{name}" if node.path else name


def _key_pattern(node: ArrayNode) -> re.Pattern[str]:
    default, separator = _encoding(node)
    parts = (["c"] if default else []) + ([r"\d{1,18}"] * len(node.shape) or ([] if default else ["0"]))
    return re.compile("(" + re.escape(separator).join(parts) + ")")


def _contradictions(parsed: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Hold consolidated metadata against the documents it repeats (Zarr v2 .zmetadata, v3 inline)."""
    wrong: list[str] = []
    entries = 0
    for key, said in parsed.items():
        folder, _, paper = key.rpartition("/")
        base = f"{folder}/" if folder else ""
        inline = said.get("consolidated_metadata") if paper == "zarr.json" else None
        metadata = said.get("metadata") if paper == ".zmetadata" else _object(inline).get("metadata")
        for name, entry in _object(metadata).items():
            own = parsed.get(f"{base}{name}" if paper == ".zmetadata" else f"{base}{name}/zarr.json")
            entries += 1
            if own is None or _plain(own) != _plain(entry):
                wrong.append(f"{key}, entry {name}")
    return tuple(wrong), entries


def _plain(document: Any) -> Any:
    return json.dumps(
        {k: v for k, v in _object(document).items() if k != "consolidated_metadata"},
        sort_keys=True,
    )
