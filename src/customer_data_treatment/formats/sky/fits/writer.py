"""Writes a FITS file back: headers as they were, data units from the package's values, then the odd bytes."""

import bz2
import gzip
import json
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ....ports import RestoreSource
from ...containers import raw
from . import asciitable, carry, checksum, facts, heap
from .asciitable import TextColumn
from .cards import BLOCK, CARD, Header, read_header
from .tables import Layout, encode_rows, layout_of
from .units import Unit, find_end, padded, parse_units

_PIECE = 1 << 20
_PACKERS: dict[str, Callable[[BinaryIO], Any]] = {
    "gzip": lambda file: gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0),
    "bzip2": lambda file: bz2.BZ2File(file, "wb"),
    "xz": lambda file: lzma.LZMAFile(file, "wb"),  # noqa: SIM115  (its caller closes it)
}
_SUFFIXES = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz"}


def write(package: RestoreSource, target: Path) -> None:
    """Write the file: byte for byte the source's where the values are, compressed images uncompressed.

    Where a unit's values were stored with a bound, its DATASUM and CHECKSUM are renewed. A source
    that was behind gzip, bzip2 or xz comes back so if the target's name ends with .gz, .bz2 or .xz.
    """
    layout = json.loads(package.carried(carry.LAYOUT))
    where = target.name
    with target.open("wb+") as file:
        _Writer(package, layout, where).write(file)
    if layout["layer"] and target.name.lower().endswith(_SUFFIXES[layout["layer"]]):
        _wrap(target, layout["layer"])


class _Writer:
    def __init__(self, package: RestoreSource, layout: dict[str, Any], where: str) -> None:
        self._package = package
        self._layout = layout
        self._where = where
        self._units = parse_units(package.carried(carry.HEADERS), where)
        carried = {item.name for item in package.dataset.carried}
        images = _split(package.carried(carry.IMAGES)) if carry.IMAGES in carried else []
        compressed = [unit.index for unit in self._units if unit.kind == "compressed"]
        self._images = dict(zip(compressed, images, strict=True))
        self._trailer = package.carried(carry.TRAILER) if carry.TRAILER in carried else b""
        self._offsets = _Stream(package.carried(carry.OFFSETS)) if carry.OFFSETS in carried else None
        self._data: dict[int, int] = {}  # where each unit's data starts in the new file

    def write(self, file: BinaryIO) -> None:
        headers: dict[int, tuple[int, Header]] = {}
        for unit in self._units:
            header = self._images.get(unit.index, unit.header)
            headers[unit.index] = (file.tell(), header)
            file.write(header.text)
            start = self._data[unit.index] = file.tell()
            self._write_data(file, unit)
            used = file.seek(0, 2) - start
            file.write((b" " if unit.kind == "ascii" else b"\0") * (padded(used) - used))
        self._patch(file)
        end = file.seek(0, 2)
        if not self._images:
            cut = min(end, self._layout["length"])  # the source's last padding may be cut
            if cut > end - BLOCK:
                end = file.truncate(cut)
        file.seek(end)
        file.write(self._trailer)
        for unit in self._units:
            if unit.index not in self._images:
                self._renew(file, unit, *headers[unit.index], end)

    def _write_data(self, file: BinaryIO, unit: Unit) -> None:
        if unit.kind in ("image", "compressed"):
            header = self._images.get(unit.index, unit.header)
            dtype = np.dtype(facts.DTYPES[header.integer("BITPIX") or 8])
            file.writelines(
                self._package.read(unit.name, box).astype(dtype, copy=False).tobytes()
                for box in raw.slabs(unit.shape, dtype.itemsize)
            )
        elif unit.kind == "groups":
            self._write_groups(file, unit)
        elif unit.kind in ("table", "ascii"):
            self._write_table(file, layout_of(unit, self._where))
        elif unit.kind == "other":
            file.write(self._package.carried(carry.unit_data(unit.index)))

    def _write_groups(self, file: BinaryIO, unit: Unit) -> None:
        dtype = np.dtype(facts.DTYPES[unit.header.integer("BITPIX") or 8])
        count, parameters = (
            unit.header.integer("GCOUNT", 1) or 1,
            unit.header.integer("PCOUNT", 0) or 0,
        )
        whole = tuple(slice(0, n) for n in unit.shape)
        for at in range(count):
            one = slice(at, at + 1)
            for part, box in (
                ("parameters", (one, slice(0, parameters))),
                ("data", (one, *whole)),
            ):
                values = self._package.read(f"{unit.name}/{part}", box)
                file.write(values.astype(dtype, copy=False).tobytes())

    def _write_table(self, file: BinaryIO, layout: Layout) -> None:
        start = file.tell()
        file.seek(start + layout.unit.size)
        file.truncate()
        file.seek(start)
        pads = self._layout["pads"].get(layout.unit.name, {})
        ends = np.zeros(len(layout.lists), np.int64)
        at = start
        for batch in self._package.batches(layout.unit.name):
            pairs = {}
            if layout.lists and self._offsets is not None:
                size = 8 * len(layout.lists) * batch.num_rows
                steps = np.frombuffer(self._offsets.read(size), "<i8").reshape(batch.num_rows, -1)
                for number, spec in enumerate(layout.lists):
                    counts, values = heap.scatter(spec, batch.column(spec.name))
                    sizes = spec.heap_bytes(counts)
                    places = ends[number] + np.cumsum(steps[:, number]) + np.cumsum(sizes) - sizes
                    if len(counts):
                        ends[number] = int(places[-1] + sizes[-1])
                    pairs[spec.name] = np.stack([counts, places], axis=1)
                    _fill_heap(file, start + layout.heap_offset, places, sizes, values)
            file.seek(at)
            file.write(encode_rows(layout, batch, pads, pairs).tobytes())
            at = file.tell()

    def _patch(self, file: BinaryIO) -> None:
        """Put back the odd bytes; a number of an ASCII table only where its value is still the same."""
        numbers = {
            unit.index: layout_of(unit, self._where) for unit in self._units if unit.kind == "ascii"
        }  # fmt: skip
        for index, at, piece in _patches(self._package.carried(carry.PATCHES)):
            place = self._data[index] + at
            layout = numbers.get(index)
            if layout is not None and at < layout.rows * layout.row_bytes:
                file.seek(place)
                if not _same_value(layout, at, piece, file.read(len(piece))):
                    continue
            file.seek(place)
            file.write(piece)

    def _renew(self, file: BinaryIO, unit: Unit, at: int, header: Header, end: int) -> None:
        """Renew the checksums of a unit whose data are no longer the source's bytes."""
        before = self._layout["datasum"].get(str(unit.index))
        if before is None:
            return

        def pread(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        start = self._data[unit.index]
        total = checksum.sum32(pread, start, min(start + padded(unit.size), end))
        if total == before:
            return
        text = _with_value(header.text, "DATASUM", f"'{total}'")
        text = _with_value(text, "CHECKSUM", f"'{'0' * 16}'")
        whole = checksum.sum32(lambda a, n: text[a : a + n], 0, len(text), total)
        text = _with_value(text, "CHECKSUM", f"'{checksum.encode(whole)}'")
        file.seek(at)
        file.write(text)


def _fill_heap(file: BinaryIO, start: int, places: Any, sizes: Any, values: bytes) -> None:
    if len(places) and bool((places[1:] == places[:-1] + sizes[:-1]).all()):
        file.seek(start + int(places[0]))
        file.write(values)
        return
    done = 0
    for place, size in zip(places.tolist(), sizes.tolist(), strict=True):
        if size:
            file.seek(start + place)
            file.write(values[done : done + size])
            done += size


def _same_value(layout: Layout, at: int, ours: bytes, written: bytes) -> bool:
    column = at % layout.row_bytes
    for spec in layout.shown:
        if isinstance(spec, TextColumn) and spec.offset == column and spec.code in "FED":
            pair = [asciitable.decode(spec, np.frombuffer(text, np.uint8).reshape(1, -1)) for text in (ours, written)]
            return bool(pair[0].equals(pair[1]))
    return True


def _patches(packed: bytes) -> Iterator[tuple[int, int, bytes]]:
    stream = _Stream(packed)
    while head := stream.read(16):
        index, at, size = struct.unpack("<IQI", head)
        yield index, at, stream.read(size)


class _Stream:
    """Inflates on demand, so that a long list of patches never lies in memory whole."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._inflate = zlib.decompressobj()
        self._ready = b""

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, b"" at the end."""
        while len(self._ready) < size and not self._inflate.eof:
            more = self._inflate.decompress(self._packed, _PIECE)
            self._packed = self._inflate.unconsumed_tail
            if not more and not self._packed:
                break
            self._ready += more
        out, self._ready = self._ready[:size], self._ready[size:]
        return out


def _split(text: bytes) -> list[Header]:
    headers = []
    start = 0
    for at in range(0, len(text), BLOCK):
        if find_end(text[at : at + BLOCK]):
            headers.append(read_header(text[start : at + BLOCK]))
            start = at + BLOCK
    return headers


def _with_value(text: bytes, keyword: str, value: str) -> bytes:
    for at in range(0, len(text), CARD):
        if text[at : at + CARD].startswith(keyword.ljust(8).encode("ascii") + b"="):
            card = f"{keyword:8}= {value:20}".ljust(CARD).encode("ascii")
            return text[:at] + card + text[at + CARD :]
    return text


def _wrap(target: Path, layer: str) -> None:
    plain = target.with_name(target.name + ".plain")
    target.rename(plain)
    with plain.open("rb") as source, target.open("wb") as file, _PACKERS[layer](file) as packed:
        while piece := source.read(_PIECE):
            packed.write(piece)
    plain.unlink()
