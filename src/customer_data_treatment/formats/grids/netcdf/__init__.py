"""NetCDF in all its forms: classic (CDF-1, -2, -5) and netCDF-4."""

from pathlib import Path

from ....plugin import FormatCode
from ....ports import ByteSource, Decoder, RestoreSource
from . import classic, version4


def _open(source: ByteSource) -> Decoder:
    if source.head(3) == b"CDF":
        return classic.ClassicDecoder(source)
    return version4.open_version4(source)


def _write(package: RestoreSource, target: Path) -> None:
    if any(item.name == classic.HEADER for item in package.dataset.carried):
        classic.write(package, target)
    else:
        version4.write_version4(package, target)


NETCDF = FormatCode(open=_open, write=_write)
