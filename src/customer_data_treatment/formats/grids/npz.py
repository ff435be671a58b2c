"""NPZ: a zip of NPY members (numpy.savez), each an array field named as in the archive.

Members that are no array, or have no form in the model (pickled objects, longdouble, void), are
carried byte for byte, with a finding; so are members that a later one of the same name hides.
"""

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import CustomerError
from ...model.dataset import Carried, Dataset, RuleCount
from ...model.verdict import Finding
from ...plugin import FormatCode
from ...ports import Box, ByteSource, RestoreSource
from ...vocabulary import (
    CustomerDataType,
    DataModalityType,
    Dimension,
    RuleKind,
    Severity,
)
from ..containers import npy
from ..containers.zip import Archive, Member

_INDEX = "members.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LEVEL = 3  # six times as fast as numpy's 6, a few per cent larger
_HEADER_MOST = (1 << 20) + 12


@dataclass(frozen=True, slots=True)
class _Array:
    member: Member
    header: npy.Header
    encoding: str | None


class NpzDecoder:
    """Read the members of one NPZ by boxes."""

    def __init__(self, source: ByteSource) -> None:
        """Parse every member's header and hold its length against it.

        Raise CustomerError: corrupt or truncated naming the member, unsupported-format
        (encrypted, unknown zip method), absurd-header, empty (no member).
        """
        self._archive = Archive(source.local_path(), source.name)
        self._where = source.name
        self._arrays: dict[str, _Array] = {}
        self._others: dict[str, Member] = {}
        self._findings: list[Finding] = []
        try:
            if not self._archive.members:
                raise CustomerError("the archive holds no member", code="empty", where=source.name)
            for member in self._archive.members.values():
                self._admit(member)
            for number, member in enumerate(self._archive.shadowed, 1):
                self._carry(
                    f"shadowed-{number}/{member.name}",
                    member,
                    "a later member of the same name hides it",
                )
        except BaseException:
            self._archive.close()
            raise
        self.dataset = self._facts()

    def _admit(self, member: Member) -> None:
        place = f"{self._where}, member {member.name}"
        if not member.name.endswith(".npy"):
            self._carry(f"members/{member.name}", member, "it is no NPY array")
            return
        start = bytearray(min(member.size, _HEADER_MOST if not member.method else 1 << 16))
        member.fill(memoryview(start), 0)
        if start[6:8] != b"\x01\x00" and member.size > len(start) < _HEADER_MOST:
            start = bytearray(min(member.size, _HEADER_MOST))
            member.fill(memoryview(start), 0)
        try:
            header = npy.read_header(io.BytesIO(start), place)
        except CustomerError as error:
            if error.code != "unsupported-format":
                raise
            self._carry(
                f"members/{member.name}",
                member,
                "it holds pickled Python objects, which are never opened",
            )
            return
        if header.end != member.size:
            code = "truncated" if header.end > member.size else "corrupt"
            raise CustomerError(
                f"its header promises {header.end} bytes, the member has {member.size}",
                code=code,
                where=place,
                remedy="fetch it again",
            )
        if not header.has_model_form:
            self._carry(
                f"members/{member.name}",
                member,
                f"an array of type {header.dtype} has no form in the package",
            )
            return
        encoding = npy.find_encoding(member.fill, len(header.text), header, place)
        self._arrays[member.name.removesuffix(".npy")] = _Array(member, header, encoding)

    def _carry(self, name: str, member: Member, why: str) -> None:
        self._others[name] = member
        self._findings.append(
            Finding(
                "carried-member",
                Severity.WARNING,
                f"{why}; it is carried byte for byte",
                f"member {member.name}",
            )
        )

    def _facts(self) -> Dataset:
        fields = tuple(npy.field_of(name, array.header, array.encoding) for name, array in self._arrays.items())
        carried = [
            Carried(
                _INDEX,
                "the members in order: their names, zip methods and NPY headers",
                "application/json",
            )
        ]
        carried += [Carried(name, "a member of the archive, byte for byte") for name in self._others]
        return Dataset(
            format="NPZ",
            modality=DataModalityType.GENERAL,
            data_type=CustomerDataType.GENERAL,
            fields=fields,
            carried=tuple(carried),
            findings=tuple(self._findings),
            source_compression=self._archive.compression,
            random_access=self._archive.compression is None,
        )

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box; of a compressed member cheapest in forward order."""
        array = self._arrays[name]
        where = f"{self._where}, member {array.member.name}"
        return npy.read(
            array.member.fill,
            len(array.header.text),
            array.header,
            box,
            encoding=array.encoding,
            where=where,
        )

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the records of a structured array in the order they lie."""
        array = self._arrays[name]
        where = f"{self._where}, member {array.member.name}"
        return npy.batches(array.member.fill, len(array.header.text), array.header, where)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the index of members, or one member's bytes."""
        if name != _INDEX:
            yield from self._others[name].pieces()
            return
        by_member = {array.member.name: (field, array) for field, array in self._arrays.items()}
        by_other = {member.name: item for item, member in self._others.items() if item.startswith("members/")}
        index: list[dict[str, str]] = []
        for member in self._archive.members.values():
            entry = {"name": member.name, "method": member.method}
            if member.name in by_member:
                field, array = by_member[member.name]
                header = base64.b64encode(array.header.text).decode("ascii")
                entry |= {"field": field, "header": header}
            else:
                entry |= {"carried": by_other[member.name]}
            index.append(entry)
        yield json.dumps(index, ensure_ascii=False).encode("utf-8")

    def rules(self) -> tuple[RuleCount, ...]:
        """Hold every member's CRC against its bytes; one that differs is refused, so none is violated."""
        members = list(self._archive.members.values())
        for member in members:
            member.verify()
        return (
            RuleCount(
                "zip-crc",
                Dimension.INTEGRITY,
                RuleKind.STRUCTURAL,
                len(members),
                len(members),
                0,
                "members of the zip whose bytes do not have their CRC",
            ),
        )

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def _write(package: RestoreSource, target: Path) -> None:
    """Write the archive back: the same members in the same order, compressed where the source's were."""
    index = json.loads(package.carried(_INDEX))
    with zipfile.ZipFile(target, "w") as archive:
        for entry in index:
            info = zipfile.ZipInfo(entry["name"], _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED if entry["method"] else zipfile.ZIP_STORED
            info.external_attr = 0o600 << 16
            info._compresslevel = _LEVEL  # type: ignore[attr-defined]  # public from Python 3.13 on
            with archive.open(info, "w", force_zip64=True) as member:
                if "carried" in entry:
                    member.write(package.carried(entry["carried"]))
                    continue
                text = base64.b64decode(entry["header"])
                header = npy.read_header(io.BytesIO(text), entry["name"])
                member.write(text)
                for piece in npy.encoded(package, package.dataset.field(entry["field"]), header):
                    member.write(piece)


NPZ = FormatCode(open=NpzDecoder, write=_write)
