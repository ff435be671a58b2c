"""BCF 2.1 and 2.2: variant calls in binary, turned into VCF text record by record (hts-specs, BCF2).

An own reader: htslib prints floats with six digits, so that its text would not give the stored
32-bit values back. Floats are spelt with the fewest digits that mean the same 32-bit number. The
header loses only the IDX numbers of the binary dictionary; restore writes VCF.
"""

import io
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import CustomerError
from ...plugin import FormatCode
from ...ports import ByteSource
from ..containers.gzip import layer_of, open_plain
from ..containers.variants.container import container_rules
from ..containers.variants.decoder import VariantDecoder, write_vcf
from ..containers.variants.header import Header, parse_header

_MOST_HEADER = 64 << 20
_MOST_RECORD = 1 << 30
_WIDTHS = {1: 1, 2: 2, 3: 4, 5: 4, 7: 1}  # bytes of each type (BCF2, 6.3.3)
_INTEGERS = {1: "b", 2: "h", 3: "i"}
_LOWEST = {1: -(1 << 7), 2: -(1 << 15), 3: -(1 << 31)}  # missing; one above it ends a vector
_DTYPES = {1: "<i1", 2: "<i2", 3: "<i4", 5: "<f4"}
_FLOAT_MISSING, _FLOAT_END = 0x7F800001, 0x7F800002
_DAMAGE = (struct.error, IndexError, ValueError, OverflowError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What the numbers of a BCF mean: contigs, and the keys of FILTER, INFO and FORMAT."""

    header: Header
    contigs: dict[int, str]
    keys: dict[int, str]
    flags: frozenset[str]


def open_bcf(source: ByteSource) -> VariantDecoder:
    """Open a BCF; raise CustomerError as VariantDecoder and open_plain do, and where the binary is damaged."""
    path = source.local_path()
    layer = layer_of(source.head(6))
    return VariantDecoder(
        lambda: _open_text(path, source.name),
        format_name="BCF",
        where=source.name,
        compression=layer or None,
        narrow=True,
        bgzf=layer == "gzip",
        file_rules=container_rules(path, layer),
    )


def _open_text(path: Path, where: str) -> BinaryIO:
    stream = open_plain(path, where=where)
    try:
        dictionary = _dictionary(stream, where)
    except BaseException:
        stream.close()
        raise
    return io.BufferedReader(_Text(stream, _lines(stream, dictionary, where)), 1 << 20)


class _Text(io.RawIOBase):
    """Lines as a byte stream."""

    def __init__(self, source: BinaryIO, lines: Iterator[bytes]) -> None:
        self._source = source
        self._lines = lines
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._held:
            self._held = next(self._lines, b"")
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._held))
        view[:size] = self._held[:size]
        self._held = self._held[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


def _dictionary(stream: BinaryIO, where: str) -> Dictionary:
    start = stream.read(9)
    if start[:4] != b"BCF\x02" or len(start) < 9:
        raise _damaged("it does not begin as BCF 2 does", where, "its first bytes")
    (length,) = struct.unpack("<I", start[5:9])
    if length > _MOST_HEADER:
        raise CustomerError("its header is longer than 64 MiB", code="absurd-header", where=where)
    raw = stream.read(length)
    if len(raw) < length:
        raise _truncated(where, "its header")
    text = raw.rstrip(b"\0")
    header = parse_header(text, where)
    contigs: dict[int, str] = {}
    keys: dict[int, str] = {0: "PASS"}
    known = {"PASS"}
    for meta in header.metas:
        name = meta.get("ID")
        if name is None or meta.key not in ("contig", "FILTER", "INFO", "FORMAT"):
            continue
        index = meta.get("IDX")
        table = contigs if meta.key == "contig" else keys
        if index is not None and index.isdigit():
            table[int(index)] = name
        elif meta.key == "contig" or name not in known:
            table[max(table, default=-1) + 1] = name
        if meta.key != "contig":
            known.add(name)
    plain = re.sub(rb",IDX=\d+>(?=\r?\n)", b">", text if text.endswith(b"\n") else text + b"\n")
    header = parse_header(plain, where)
    flags = frozenset(key for key, definition in header.info.items() if definition.kind == "Flag")
    return Dictionary(header, contigs, keys, flags)


def _lines(stream: BinaryIO, dictionary: Dictionary, where: str) -> Iterator[bytes]:
    """Yield the header and every record as VCF text."""
    yield dictionary.header.raw
    number = 0
    while start := stream.read(8):
        number += 1
        if len(start) < 8:
            raise _truncated(where, f"record {number}")
        shared, individual = struct.unpack("<II", start)
        if shared < 24 or shared + individual > _MOST_RECORD:
            raise _damaged("a record's length is absurd", where, f"record {number}")
        body = stream.read(shared + individual)
        if len(body) < shared + individual:
            raise _truncated(where, f"record {number}")
        try:
            yield _record(body, shared, dictionary)
        except KeyError as error:
            what = "a record names a contig, key or filter by a number that the header does not define"
            raise _damaged(what, where, f"record {number}") from error
        except _DAMAGE as error:
            raise _damaged("a record's bytes contradict each other", where, f"record {number}") from error


class _Reader:
    """Typed values off a record's bytes."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, end

    def descriptor(self) -> tuple[int, int]:
        """Return (type, number of values)."""
        byte = self.data[self.at]
        self.at += 1
        size = byte >> 4
        if size == 15:
            size = self.integer()
            if size < 0:
                raise ValueError("a negative length")
        return byte & 15, size

    def take(self, kind: int, size: int) -> int:
        """Step over `size` values of a type and return where they begin."""
        if kind not in _WIDTHS:
            raise ValueError("an unknown type")
        start = self.at
        self.at += size * _WIDTHS[kind]
        if self.at > self.end:
            raise IndexError("beyond the record")
        return start

    def numbers(self, kind: int, size: int) -> tuple[int, ...]:
        """Return `size` integers."""
        if kind not in _INTEGERS:
            raise ValueError("no integer")
        return struct.unpack_from(f"<{size}{_INTEGERS[kind]}", self.data, self.take(kind, size))

    def integer(self) -> int:
        """Return one typed integer."""
        kind, size = self.descriptor()
        if size != 1:
            raise ValueError("no integer")
        return self.numbers(kind, 1)[0]

    def text(self) -> str:
        """Return one typed value as VCF text."""
        kind, size = self.descriptor()
        if kind == 0 or size == 0:
            return "."
        if kind == 7:
            start = self.take(kind, size)
            return _string(self.data[start : start + size])
        if kind == 5:
            return _floats(np.frombuffer(self.data, "<f4", size, self.take(kind, size)))
        return _integers(self.numbers(kind, size), _LOWEST[kind])

    def matrix(self, kind: int, rows: int, size: int) -> "np.ndarray[Any, Any]":
        """Return the numbers of all samples, shape (rows, size)."""
        start = self.take(kind, rows * size)
        return np.frombuffer(self.data, _DTYPES[kind], rows * size, start).reshape(rows, size)


def _string(data: bytes) -> str:
    return data.split(b"\0")[0].decode() or "."


def _integers(values: Sequence[int], low: int) -> str:
    """Return integers as text, missing ones as dots, up to the end-of-vector mark."""
    if len(values) == 1 and values[0] > low + 1:
        return str(values[0])
    items = []
    for value in values:
        if value == low + 1:
            break
        items.append("." if value == low else str(value))
    return ",".join(items) or "."


def _floats(values: "np.ndarray[Any, Any]") -> str:
    """Return 32-bit floats with the fewest digits that mean them, missing ones as dots, up to the mark."""
    items = []
    for bits, value in zip(values.view("<u4").tolist(), values.astype(np.float32), strict=True):
        if bits == _FLOAT_END:
            break
        items.append("." if bits == _FLOAT_MISSING else str(value))
    return ",".join(items) or "."


def _cells(reader: _Reader, kind: int, samples: int, size: int) -> list[str]:
    """Return one key's value of every sample."""
    if kind == 7:
        start = reader.take(kind, samples * size)
        ends = range(start, start + samples * size, size)
        return [_string(reader.data[at : at + size]) for at in ends]
    values = reader.matrix(kind, samples, size)
    if kind == 5:
        return [_floats(row) for row in values]
    low = _LOWEST[kind]
    if values.size and int(values.min()) > low + 1:  # nothing missing, nothing ends early
        if size == 1:
            return [str(value) for value in values.reshape(-1).tolist()]
        return [",".join(map(str, row)) for row in values.tolist()]
    return [_integers(row, low) for row in values.tolist()]


def _record(body: bytes, shared: int, dictionary: Dictionary) -> bytes:
    contig, position, _, quality, alleles_infos, formats_samples = struct.unpack_from("<iii4sII", body)
    reader = _Reader(body, 24, shared)
    alleles, infos = alleles_infos >> 16, alleles_infos & 0xFFFF
    formats, samples = formats_samples >> 24, formats_samples & 0xFFFFFF
    if samples != len(dictionary.header.samples) and (samples or formats):
        raise ValueError("another number of samples than the header names")
    identifier = reader.text()
    bases = [reader.text() for _ in range(alleles)]
    bits = struct.unpack("<I", quality)[0]
    columns = [
        dictionary.contigs[contig],
        str(position + 1),
        identifier,
        bases[0] if bases else ".",
        ",".join(bases[1:]) or ".",
        "." if bits == _FLOAT_MISSING else str(np.frombuffer(quality, "<f4")[0]),
        _filter(reader, dictionary),
        ";".join(_info(reader, dictionary) for _ in range(infos)) or ".",
    ]
    if reader.at != shared:
        raise ValueError("bytes are left over")
    if len(dictionary.header.columns) > 8:
        columns += _samples(_Reader(body, shared, len(body)), formats, samples, dictionary)
    return "\t".join(columns).encode() + b"\n"


def _filter(reader: _Reader, dictionary: Dictionary) -> str:
    kind, size = reader.descriptor()
    if kind == 0 or size == 0:
        return "."
    return ";".join(dictionary.keys[number] for number in reader.numbers(kind, size))


def _info(reader: _Reader, dictionary: Dictionary) -> str:
    key = dictionary.keys[reader.integer()]
    value = reader.text()
    return key if key in dictionary.flags else f"{key}={value}"


def _samples(reader: _Reader, formats: int, samples: int, dictionary: Dictionary) -> list[str]:
    keys, columns = [], []
    for _ in range(formats):
        key = dictionary.keys[reader.integer()]
        kind, size = reader.descriptor()
        keys.append(key)
        if kind == 0 or size == 0:
            columns.append(["."] * samples)
        elif key == "GT" and kind != 7:
            columns.append(_genotypes(reader.matrix(kind, samples, size)))
        else:
            columns.append(_cells(reader, kind, samples, size))
    if reader.at != reader.end:
        raise ValueError("bytes are left over")
    if not keys:
        return [".", *["."] * samples]
    return [":".join(keys), *(":".join(cell) for cell in zip(*columns, strict=True))]


def _genotypes(values: "np.ndarray[Any, Any]") -> list[str]:
    """Return genotypes as text, asking once a distinct one (VCF 4.5, 6.3.3)."""
    rows, inverse = np.unique(values, axis=0, return_inverse=True)
    spelt = [_genotype(row, values.dtype.itemsize) for row in rows.tolist()]
    return [spelt[at] for at in inverse.reshape(-1).tolist()]


def _genotype(row: list[int], width: int) -> str:
    low = -(1 << (8 * width - 1))
    parts = []
    for place, value in enumerate(row):
        if value == low + 1:
            break
        allele = "." if value == low or value >> 1 == 0 else str((value >> 1) - 1)
        parts.append(allele if place == 0 else ("|" if value & 1 and value != low else "/") + allele)
    return "".join(parts) or "."


def _damaged(what: str, where: str, place: str) -> CustomerError:
    return CustomerError(what, code="corrupt", where=f"{where}, {place}", remedy="fetch it again")


def _truncated(where: str, place: str) -> CustomerError:
    return CustomerError(
        "the file ends before its data does", code="truncated", where=f"{where}, {place}", remedy="fetch it again"
    )


BCF = FormatCode(open=open_bcf, write=write_vcf)
