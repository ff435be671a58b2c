"""Reads a FITS file: facts first, then boxes of images and batches of rows."""

import os
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ....errors import CustomerError, FacilityError
from ....model.dataset import ArrayField, Dataset, Field, RuleCount, Witness
from ....model.verdict import Finding
from ....ports import Box, ByteSource
from ....vocabulary import CustomerDataType, DataModalityType, Severity
from ...containers import gzip, raw
from . import facts, rules
from .cards import Header, read_header
from .carry import Carrier
from .tables import TableReader, layout_of
from .units import Unit, extension_name, scan

_PIECE = 1 << 20


class FitsDecoder:
    """Read one FITS file, gzipped or not."""

    def __init__(self, source: ByteSource) -> None:
        """Walk the units and hold the file's length against them.

        A file behind gzip, bzip2 or xz is unpacked into an unnamed temporary file first. Raise CustomerError:
        corrupt, truncated, absurd-header.
        """
        self._where = source.name
        self._file = _plain_file(source)
        self._length = os.fstat(self._file.fileno()).st_size
        self._layer = gzip.layer_of(source.head(6))
        self._hdus: Any = None
        self._rules: tuple[RuleCount, ...] | None = None
        try:
            self._units = scan(self._pread, self._length, self._where)
            self._tables = {
                unit.name: TableReader(layout_of(unit, self._where), self._pread, self._where)
                for unit in self._units
                if unit.kind in ("table", "ascii")
            }
            self._images = {unit.index: self._image_header(unit) for unit in self._units if unit.kind == "compressed"}
            self._carrier = Carrier(
                self._units,
                self._tables,
                self._images,
                self._pread,
                self._length,
                layer=self._layer,
            )
            self.dataset = self._facts()
        except BaseException:
            self.close()
            raise
        self._by_name = {unit.name: unit for unit in self._units}

    def _pread(self, offset: int, size: int) -> bytes:
        out = os.pread(self._file.fileno(), size, offset)
        while 0 < len(out) < size:
            more = os.pread(self._file.fileno(), size - len(out), offset + len(out))
            if not more:
                break
            out += more
        return out

    def _compressed(self, index: int) -> Any:
        """Return astropy's compressed image, opened on first use."""
        import warnings

        from astropy.io import fits
        from astropy.utils.exceptions import AstropyWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # the rules say what astropy would warn of
            try:
                if self._hdus is None:
                    self._hdus = fits.open(
                        self._file,
                        mode="readonly",
                        memmap=False,
                        do_not_scale_image_data=True,
                    )
                return self._hdus[index]
            except Exception as error:
                raise self._undecodable(index, error) from error

    def _undecodable(self, index: int, error: Exception) -> CustomerError:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        return CustomerError(
            f"the compressed image of HDU {index} cannot be decoded: {said}",
            code="corrupt",
            where=self._where,
            remedy="fetch it again",
        )

    def _image_header(self, unit: Unit) -> Header:
        try:
            image = _as_extension(self._compressed(unit.index).header.copy(), extension_name(unit.header))
            text = image.tostring().encode("latin-1")
            _ = unit.shape
        except CustomerError:
            raise
        except Exception as error:
            raise self._undecodable(unit.index, error) from error
        header = read_header(text)
        if header.integer("BITPIX") not in facts.DTYPES:
            raise self._undecodable(unit.index, ValueError("ZBITPIX is missing or unknown"))
        return header

    def _facts(self) -> Dataset:
        fields: list[Field] = []
        witnesses: list[Witness] = []
        groups: dict[str, dict[str, Any]] = {}
        for unit in self._units:
            made = self._fields_of(unit)
            fields += made
            if isinstance(made[0] if made else None, ArrayField) and unit.kind == "image":
                witnesses += facts.image_witnesses(made[0], unit.header)  # type: ignore[arg-type]
            if unit.name in self._tables:
                witnesses += facts.column_witnesses(self._tables[unit.name].layout)
            if not made or unit.kind == "groups":
                groups["" if unit.index == 0 and not made else unit.name] = facts.attributes_of(unit.header)
        compressed = sorted({unit.header.string("ZCMPTYPE") for unit in self._units if unit.kind == "compressed"})
        return Dataset(
            format="FITS",
            modality=DataModalityType.ASTRONOMY,
            data_type=CustomerDataType.ASTRONOMY_PHYSICS,
            fields=tuple(fields),
            groups=groups,
            carried=self._carrier.items(),
            findings=tuple(self._findings()),
            witnesses=tuple(witnesses),
            metadata=facts.metadata_of([unit.header for unit in self._units]),
            source_compression=self._layer or ", ".join(compressed) or None,
        )

    def _fields_of(self, unit: Unit) -> list[Field]:
        if unit.kind == "image":
            return [facts.image_field(unit, unit.header, unit.shape, None)]
        if unit.kind == "compressed":
            shape = unit.shape
            axes = len(shape)
            tile = tuple(
                unit.header.integer(f"ZTILE{axes - at}", shape[at] if at == axes - 1 else 1) or 1 for at in range(axes)
            )
            return [facts.image_field(unit, self._images[unit.index], shape, tile)]
        if unit.kind == "groups":
            return list(facts.group_fields(unit))
        return [facts.table_field(self._tables[unit.name].layout)] if unit.name in self._tables else []

    def _findings(self) -> Iterator[Finding]:
        for unit in self._units:
            if unit.kind == "other":
                what = unit.header.string("XTENSION") or "an unknown kind"
                yield Finding(
                    "carried-unit", Severity.WARNING, f"the data of a unit of kind {what} are carried as they are", f"HDU {unit.index}"
                )  # fmt: skip
            if unit.header.values.get("ZTABLE") is True:
                yield Finding(
                    "compressed-table", Severity.NOTE, "a tile-compressed table is kept in its compressed form", f"HDU {unit.index}"
                )  # fmt: skip

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the stored numbers of a box of an image."""
        unit = self._by_name.get(name)
        if unit is None:  # random groups: NAME/parameters or NAME/data
            return self._read_groups(self._by_name[name.rpartition("/")[0]], name.endswith("/data"), box)
        if unit.kind == "compressed":
            return self._read_compressed(unit, box)
        dtype = np.dtype(facts.DTYPES[unit.header.integer("BITPIX") or 8])
        return raw.read_box(self._file.fileno(), unit.data, unit.shape, dtype, box, where=self._where)

    def _read_compressed(self, unit: Unit, box: Box) -> "np.ndarray[Any, Any]":
        dtype = np.dtype(facts.DTYPES[self._images[unit.index].integer("BITPIX") or 8]).newbyteorder("=")
        shape = tuple(part.stop - part.start for part in box)
        if 0 in shape:
            return np.empty(shape, dtype)
        hdu = self._compressed(unit.index)
        try:
            values = np.ascontiguousarray(hdu.section[box], dtype=dtype)
        except Exception as error:  # astropy and its C codecs raise anything on damaged tiles
            raise self._undecodable(unit.index, error) from error
        if values.shape != shape:
            raise self._undecodable(unit.index, ValueError("its tiles do not fill the image"))
        return values

    def _read_groups(self, unit: Unit, data: bool, box: Box) -> "np.ndarray[Any, Any]":
        dtype = np.dtype(facts.DTYPES[unit.header.integer("BITPIX") or 8])
        parameters = unit.header.integer("PCOUNT", 0) or 0
        shape = unit.shape if data else (parameters,)
        group = (parameters + int(np.prod(unit.shape))) * dtype.itemsize
        start = unit.data + (parameters * dtype.itemsize if data else 0)
        out = np.empty([part.stop - part.start for part in box], dtype.newbyteorder("="))
        for at in range(box[0].start, box[0].stop):
            out[at - box[0].start] = raw.read_box(
                self._file.fileno(),
                start + at * group,
                shape,
                dtype,
                box[1:],
                where=self._where,
            )
        return out

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield a table's rows, about 2 MiB at a time."""
        table = self._tables[name]
        for rows in table.rows():
            yield table.batch(rows)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield a carried item; patches and list offsets cost one more pass over the tables."""
        yield from self._carrier.bytes_of(name)

    def rules(self) -> tuple[RuleCount, ...]:
        """Return the counts of what the headers, the padding and the checksums break."""
        if self._rules is None:
            self._rules = (
                *rules.header_rules(self._units),
                *rules.table_rules([table.layout for table in self._tables.values()]),
                *rules.layout_rules(self._units, self._pread, self._length),
                *rules.checksum_rules(self._units, self._pread, self._carrier.datasum),
            )
        return self._rules

    def close(self) -> None:
        """Close the file."""
        if self._hdus is not None:
            self._hdus.close()
            self._hdus = None
        self._file.close()


def has_tiles(source: ByteSource) -> bool:
    """Return whether a file holds compressed images, which C code decodes; one behind gzip, bzip2 or xz is taken to."""
    if gzip.layer_of(source.head(6)):
        return True
    with source.local_path().open("rb") as file:
        descriptor = file.fileno()
        try:
            units = scan(lambda offset, size: os.pread(descriptor, size, offset), source.size, source.name)
        except CustomerError:  # the decoder will say it again
            return False
    return any(unit.kind == "compressed" for unit in units)


def _plain_file(source: ByteSource) -> BinaryIO:
    path = source.local_path()
    if not gzip.layer_of(source.head(6)):
        return path.open("rb")
    spool = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the decoder)
    try:
        with gzip.open_plain(path, where=source.name) as stream:
            while piece := stream.read(_PIECE):
                spool.write(piece)
        spool.flush()
    except OSError as error:
        spool.close()
        raise FacilityError(
            f"the unpacked file cannot be kept: {error.strerror}", code="disk-full", where=source.name, remedy="free space in TMPDIR"
        ) from error  # fmt: skip
    except BaseException:
        spool.close()
        raise
    return spool


def _as_extension(header: Any, name: str) -> Any:
    """Return an image's header as that of an IMAGE extension of this name: it may have been a primary one."""
    if "SIMPLE" in header:
        header.remove("SIMPLE")
        header.remove("EXTEND", ignore_missing=True)
        header.insert(0, ("XTENSION", "IMAGE", "Image extension"))
        last = f"NAXIS{header['NAXIS']}" if header["NAXIS"] else "NAXIS"
        for keyword, value in (("GCOUNT", 1), ("PCOUNT", 0)):
            header.remove(keyword, ignore_missing=True)
            header.set(keyword, value, after=last)
        if name and "EXTNAME" not in header:
            header["EXTNAME"] = name
    return header
