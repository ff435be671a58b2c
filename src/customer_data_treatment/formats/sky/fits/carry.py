"""What restore needs beyond the values: headers, odd bytes, where lists lie in their heap."""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from ....model.dataset import Carried
from . import checksum
from .cards import Header
from .tables import TableReader
from .units import Reader, Unit

HEADERS, LAYOUT, PATCHES, OFFSETS, IMAGES, TRAILER = (
    "headers.fits",
    "layout.json",
    "patches.bin",
    "list-offsets.bin",
    "image-headers.fits",
    "trailer.bin",
)
_PIECE = 1 << 20


def unit_data(index: int) -> str:
    """Return the name of the carried data of a unit that the model has no form for."""
    return f"hdu{index}.data"


class Carrier:
    """Yields the carried items of one open file."""

    def __init__(
        self,
        units: list[Unit],
        tables: Mapping[str, TableReader],
        images: Mapping[int, Header],
        pread: Reader,
        length: int,
        *,
        layer: str,
    ) -> None:
        """Hold the file's units, its tables by name, the image headers of compressed images by index."""
        self._units, self._tables, self._images = units, tables, images
        self._pread, self._length, self._layer = pread, length, layer
        self._sums: dict[int, int] = {}

    def items(self) -> tuple[Carried, ...]:
        """Return what is carried."""
        return tuple(self._items())

    def _items(self) -> Iterator[Carried]:
        yield Carried(
            HEADERS,
            "every header unit, byte for byte, back to back",
            "application/fits",
        )
        yield Carried(
            LAYOUT,
            "how text columns are padded, and the checksums of data units",
            "application/json",
        )
        yield Carried(PATCHES, "bytes that the values do not determine: odd cells, paddings, gaps")
        if any(table.layout.lists for table in self._tables.values()):
            yield Carried(OFFSETS, "where each variable-length cell lies in its heap")
        if self._images:
            yield Carried(
                IMAGES,
                "the headers of compressed images, as images",
                "application/fits",
            )
        if self._length > self._units[-1].end:
            yield Carried(TRAILER, "what follows the last unit")
        for unit in self._units:
            if unit.kind == "other":
                yield Carried(
                    unit_data(unit.index),
                    f"the data of HDU {unit.index}, whose kind has no model form",
                )

    def bytes_of(self, name: str) -> Iterator[bytes]:
        """Yield a carried item in pieces of about 1 MiB at most."""
        if name == HEADERS:
            for unit in self._units:
                yield from (unit.header.text[at : at + _PIECE] for at in range(0, len(unit.header.text), _PIECE))
        elif name == LAYOUT:
            yield json.dumps(self._layout(), sort_keys=True).encode("ascii")
        elif name == IMAGES:
            for index in sorted(self._images):
                yield self._images[index].text
        elif name == TRAILER:
            yield from self._span(self._units[-1].end, self._length)
        elif name in (PATCHES, OFFSETS):
            squeeze = zlib.compressobj(6)
            for piece in self._patches() if name == PATCHES else self._offsets():
                packed = squeeze.compress(piece)
                if packed:
                    yield packed
            yield squeeze.flush()
        else:
            unit = next(unit for unit in self._units if unit_data(unit.index) == name)
            yield from self._span(unit.data, unit.data + unit.size)

    def _span(self, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, _PIECE):
            yield self._pread(at, min(_PIECE, end - at))

    def _layout(self) -> dict[str, Any]:
        summed = [unit for unit in self._units if {"DATASUM", "CHECKSUM"} & set(unit.header.values)]
        return {
            "length": self._length,
            "layer": self._layer,
            "pads": {name: table.text_pads() for name, table in sorted(self._tables.items())},
            "datasum": {str(unit.index): self.datasum(unit) for unit in summed},
        }

    def datasum(self, unit: Unit) -> int:
        """Return the sum of a unit's data as they are in the file, padding included."""
        if unit.index not in self._sums:
            end = min(unit.end, self._length)
            self._sums[unit.index] = checksum.sum32(self._pread, unit.data, end)
        return self._sums[unit.index]

    def _patches(self) -> Iterator[bytes]:
        """Yield (unit, place, length) and the bytes that stand there, for each odd place."""
        for unit in self._units:
            table = self._tables.get(unit.name)
            if table is not None:
                for at, piece in table.patches(table.text_pads()):
                    yield struct.pack("<IQI", unit.index, at, len(piece)) + piece
            if unit.kind != "compressed" and unit.end > unit.data + unit.size:
                pad = self._pread(unit.data + unit.size, unit.end - unit.data - unit.size)
                if pad.strip(b" " if unit.kind == "ascii" else b"\0"):
                    yield struct.pack("<IQI", unit.index, unit.size, len(pad)) + pad

    def _offsets(self) -> Iterator[bytes]:
        for table in self._tables.values():
            if table.layout.lists:
                yield from table.offsets()
