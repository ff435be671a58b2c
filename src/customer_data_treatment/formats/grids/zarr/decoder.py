"""Reads a Zarr hierarchy by boxes through zarr-python, each failure named by its chunk."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zarr
from zarr.storage import LocalStore, ZipStore

from ....errors import CdtError, CustomerError
from ....model.dataset import Carried, Dataset, Field, RuleCount, Witness
from ....model.verdict import Finding
from ....ports import Box, ByteSource
from ....vocabulary import Dimension, RuleKind, Severity
from ...containers import records
from ...containers.zip import Archive
from . import facts
from .codecs import compression_of, ends_in_blosc, frame_problem, missing_codec, text_count, unmodelled
from .listing import ArrayNode, expect_plausible, list_store

INDEX, STRAY, CHUNK = "hierarchy.json", "stray", "chunks"
_PIECE = 1 << 20
_QUIET = {
    "async.concurrency": 4,
    "threading.max_workers": 2,
}  # bounds the chunks in flight
_SHOWN = 5


class ZarrDecoder:
    """Read one Zarr hierarchy, a folder or a zip."""

    def __init__(self, source: ByteSource) -> None:
        """Read every document, hold the files against them, and open each array.

        Raise CustomerError: corrupt, absurd-header, unsupported-format naming the codec that is
        missing, not-a-dataset.
        """
        self._where = source.name
        self._path = source.local_path()
        self._archive = None if source.is_folder else Archive(self._path, source.name)
        self._store: LocalStore | ZipStore | None = None
        try:
            self._listing = list_store(self._files(source), self._bytes, source.name)
            self._store = LocalStore(self._path, read_only=True) if source.is_folder else ZipStore(self._path, mode="r")
            self._nodes: dict[str, ArrayNode] = {}
            self._arrays: dict[str, Any] = {}
            self._unread: dict[str, str] = {}  # carried name -> key
            self._findings: list[Finding] = []
            self._encodings: dict[str, str | None] = {}
            self._counted: set[tuple[str, tuple[int, ...]]] = set()
            fields = [field for node in self._listing.arrays for field in self._admit(node)]
            self.dataset = self._facts(fields)
        except BaseException:
            self.close()
            raise

    def _files(self, source: ByteSource) -> dict[str, int]:
        if self._archive is None:
            return dict(source.files())
        for name in self._archive.members:
            if name.startswith("/") or ".." in name.split("/"):
                raise CustomerError(
                    "a member of the zip points outside it",
                    code="corrupt",
                    where=f"{self._where}, member {name}",
                )
        return {name: member.size for name, member in self._archive.members.items()}

    def _bytes(self, key: str) -> bytes:
        return b"".join(self._pieces(key))

    def _pieces(self, key: str) -> Iterator[bytes]:
        if self._archive is not None:
            yield from self._archive.members[key].pieces()
            return
        with (self._path / key).open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def _admit(self, node: ArrayNode) -> list[Field]:
        """Open an array and return its field, none where its values have no form in the model."""
        name = node.path or "array"
        reason = unmodelled(node)
        if reason is None:
            array = self._open(node)
            dtype = np.dtype(array.dtype)
            if (dtype.kind == "V" and dtype.names is None) or not (dtype.kind == "T" or records.has_table_form(dtype)):
                reason = f"values of type {dtype}"
        if reason is not None:
            self._carry(node, reason)
            return []
        expect_plausible(node, max(1, dtype.itemsize), self._where)
        self._nodes[name], self._arrays[name] = node, array
        absent = prod(node.grid) - len(node.present)
        if absent:
            said = f"{absent} of {prod(node.grid)} chunks are absent and read as the fill value"
            self._findings.append(Finding("absent-chunks", Severity.NOTE, said, f"array {name}"))
        if dtype.names is not None:
            laid = {**dict(node.attributes), "shape": list(node.shape)}
            return [records.table_field(name, dtype, prod(node.shape), laid)]
        self._encodings[name] = self._encoding(name, dtype)
        chunks = tuple(array.chunks)
        return [facts.array_field(node, name, dtype, chunks, listing=self._listing, encoding=self._encodings[name])]

    def _open(self, node: ArrayNode) -> Any:
        path = (self._listing.prefix + node.path).strip("/")
        try:
            return zarr.open_array(store=self._store, path=path, mode="r", zarr_format=node.version)
        except Exception as error:
            codec = missing_codec(node)
            if codec is not None:
                raise CustomerError(
                    f"it needs the codec {codec!r}, which is not installed",
                    code="unsupported-format",
                    where=f"{self._where}, array {node.path or '/'}",
                    remedy="install the package that registers it, or store the array with a core codec",
                ) from error
            raise CustomerError(
                f"the array's document is invalid: {_said(error)}",
                code="corrupt",
                where=f"{self._where}, array {node.path or '/'}",
                remedy="fetch it again",
            ) from error

    def _encoding(self, name: str, dtype: "np.dtype[Any]") -> str | None:
        if dtype.kind != "S":
            return None
        for box in _chunk_boxes(self._nodes[name]):
            if records.encoding_of(self._values(name, box)) == "latin-1":
                return "latin-1"
        return "utf-8"

    def _carry(self, node: ArrayNode, reason: str) -> None:
        for place in sorted(node.present):
            key = node.key(place)
            self._unread[f"{CHUNK}/{key}"] = self._listing.prefix + key
        said = f"{reason} have no form in the package; the chunks are carried as they are"
        self._findings.append(Finding("carried-array", Severity.WARNING, said, f"array {node.path or '/'}"))

    def _facts(self, fields: list[Field]) -> Dataset:
        family, modality, native, groups = facts.family_of(self._listing)
        for key in self._listing.strays:
            self._unread[f"{STRAY}/{key}"] = key
        findings = list(self._findings)
        if self._listing.strays:
            said = f"{len(self._listing.strays)} files belong to no array or group; they are carried as they are"
            findings.append(Finding("stray-files", Severity.WARNING, said, self._listing.strays[0]))
        hidden = len(self._archive.shadowed) if self._archive else 0
        if hidden:
            said = f"{hidden} members of the zip are hidden by later ones of the same name and left out"
            findings.append(Finding("hidden-members", Severity.NOTE, said, self._where))
        witnesses: list[Witness] = []
        for field in fields:
            if not hasattr(field, "schema"):
                witnesses += facts.witnesses_of(field)
        carried = [
            Carried(
                INDEX,
                "every metadata document, and which chunks are there",
                "application/json",
            )
        ]
        carried += [Carried(name, "a file of the hierarchy, byte for byte") for name in sorted(self._unread)]
        return Dataset(
            format="Zarr",
            modality=modality,
            data_type=family,
            fields=tuple(fields),
            groups=self._listing.groups,
            carried=tuple(carried),
            findings=tuple(findings),
            witnesses=tuple(witnesses),
            metadata=facts.metadata_of(self._listing),
            source_compression=compression_of(self._listing.arrays),
            native=native,
            native_groups=groups,
        )

    def _values(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return a box as zarr-python gives it; raise CustomerError naming the chunk that cannot be decoded."""
        try:
            self._expect_decodable(name, box)
            with zarr.config.set(_QUIET):
                return np.asarray(self._arrays[name][box])
        except CdtError:
            raise
        except Exception as error:
            raise self._undecodable(self._culprit(name, box), _said(error)) from error

    def _undecodable(self, key: str, why: str) -> CustomerError:
        return CustomerError(
            f"a chunk cannot be decoded: {why}",
            code="corrupt",
            where=f"{self._where}, {key}",
            remedy="fetch it again",
        )

    def _parts(self, name: str, box: Box) -> Iterator[tuple[tuple[int, ...], Box]]:
        """Yield the places of the chunks that a box touches, and what it takes of each."""
        chunks = self._nodes[name].chunks
        ranges = [range(part.start // chunk, -(-part.stop // chunk)) for part, chunk in zip(box, chunks, strict=True)]
        for place in product(*ranges):
            yield (
                place,
                tuple(
                    slice(max(part.start, at * chunk), min(part.stop, (at + 1) * chunk))
                    for part, at, chunk in zip(box, place, chunks, strict=True)
                ),
            )

    def _expect_decodable(self, name: str, box: Box) -> None:
        """Hold what each chunk claims against its shape and file, once a chunk, before a codec believes it."""
        node, dtype = self._nodes[name], self._arrays[name].dtype
        text, blosc = dtype.kind in "TO", ends_in_blosc(node)
        if not (text or blosc):
            return
        for place, _ in self._parts(name, box):
            if place not in node.present or (name, place) in self._counted:
                continue
            key = self._listing.prefix + node.key(place)
            wrong = frame_problem(node, *self._head(key), 0 if text else dtype.itemsize) if blosc else ""
            if text and not wrong:
                wrong = self._text_problem(node, key)
            if wrong:
                raise self._undecodable(node.key(place), wrong)
            self._counted.add((name, place))

    def _text_problem(self, node: ArrayNode, key: str) -> str:
        try:
            count = text_count(node, self._bytes(key))
        except CdtError:
            raise
        except Exception as error:
            return _said(error)
        wrong = count is not None and count != prod(node.chunks)
        return f"it claims {count} strings, not {prod(node.chunks)}" if wrong else ""

    def _head(self, key: str) -> tuple[bytes, int]:
        """Return a file's first 16 bytes and its size."""
        if self._archive is not None:
            member = self._archive.members[key]
            head = bytearray(min(16, member.size))
            member.fill(memoryview(head), 0)
            return bytes(head), member.size
        with (self._path / key).open("rb") as file:
            return file.read(16), os.fstat(file.fileno()).st_size

    def _culprit(self, name: str, box: Box) -> str:
        """Return the key of the first chunk in the box that cannot be read on its own."""
        for place, cut in self._parts(name, box):
            try:
                with zarr.config.set(_QUIET):
                    self._arrays[name][cut]
            except Exception:
                return self._nodes[name].key(place)
        return f"array {name}"

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the stored numbers of a box; chunks that are absent hold the fill value."""
        field = self.dataset.field(name)
        shape = tuple(part.stop - part.start for part in box)
        if 0 in shape:
            return np.empty(shape, field.numpy_dtype())  # type: ignore[union-attr]
        values = self._values(name, box)
        if values.dtype.kind == "T" or values.dtype.kind == "O":
            out = np.empty(shape, object)
            out.reshape(-1)[:] = [None if item is None else str(item) for item in values.reshape(-1).tolist()]
            return out
        if values.dtype.kind in "US":
            return records.text_values(values, self._encodings[name])
        plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")).reshape(shape)
        return plain if plain.flags.writeable else plain.copy()

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the records of a structured array in C order of their index."""
        node = self._nodes[name]
        schema = self.dataset.field(name).schema  # type: ignore[union-attr]
        for box in slabs_of(node):
            yield records.batch(self._values(name, box).reshape(-1), schema)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the documents, or one file as it is."""
        if name != INDEX:
            yield from self._pieces(self._unread[name])
            return
        absent: dict[str, list[str]] = {}
        for node in self._listing.arrays:
            if 0 < len(node.present) < prod(node.grid):
                absent[node.path] = [node.key(place) for place in sorted(node.present)]
            elif not node.present and 0 not in node.grid:
                absent[node.path] = []
        index = {
            "zip": self._archive is not None,
            "prefix": self._listing.prefix,
            "documents": {key: text.decode("utf-8") for key, text in self._listing.documents.items()},
            "present": absent,
        }
        yield json.dumps(index, ensure_ascii=False).encode("utf-8")

    def rules(self) -> tuple[RuleCount, ...]:
        """Return the counts of consolidated metadata and strays; hold the CRC of every zip member."""
        listing = self._listing
        out = []
        if listing.entries:
            out.append(
                RuleCount(
                    "zarr-consolidated-metadata",
                    Dimension.CONSISTENCY,
                    RuleKind.SCORED,
                    listing.entries,
                    listing.entries,
                    len(listing.consolidated),
                    "entries of consolidated metadata that their own document contradicts",
                    listing.consolidated[:_SHOWN],
                )
            )
        files = len(listing.documents) + sum(len(n.present) for n in listing.arrays) + len(listing.strays)
        out.append(
            RuleCount(
                "zarr-stray-files",
                Dimension.VALIDITY,
                RuleKind.ADVISORY,
                files,
                files,
                len(listing.strays),
                "files that belong to no array or group",
                listing.strays[:_SHOWN],
            )
        )
        if self._archive is not None:
            members = list(self._archive.members.values())
            for member in members:
                member.verify()
            out.append(
                RuleCount(
                    "zip-crc", Dimension.INTEGRITY, RuleKind.STRUCTURAL, len(members), len(members), 0,
                    "members of the zip whose bytes do not have their CRC",
                )
            )  # fmt: skip
        return tuple(out)

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            with suppress(AttributeError):  # a ZipStore that no array was read from has no lock to take
                self._store.close()
        if self._archive is not None:
            self._archive.close()


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _chunk_boxes(node: ArrayNode) -> Iterator[Box]:
    for place in product(*(range(n) for n in node.grid)):
        yield tuple(
            slice(at * chunk, min(length, (at + 1) * chunk))
            for at, chunk, length in zip(place, node.chunks, node.shape, strict=True)
        )


def slabs_of(node: ArrayNode) -> Iterator[Box]:
    """Yield boxes that tile an array along its first axis, one row of chunks each: C order of the index."""
    if 0 in node.shape:
        return
    if not node.shape:
        yield ()
        return
    whole = tuple(slice(0, n) for n in node.shape[1:])
    for start in range(0, node.shape[0], node.chunks[0]):
        yield (slice(start, min(node.shape[0], start + node.chunks[0])), *whole)


def local(path: str, root: Path) -> Path:
    """Return the file of a key below a folder."""
    return root.joinpath(*path.split("/"))
