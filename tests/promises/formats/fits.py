"""FITS for the promise suite: images, scaled and not, and a table of every kind of column."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io import fits

_ROWS = 9


def table() -> fits.BinTableHDU:
    """Return a binary table that uses most of what FITS offers."""
    n = np.arange(_ROWS)
    lists = np.empty(_ROWS, object)
    wide = np.empty(_ROWS, object)
    for row in range(_ROWS):
        lists[row] = np.arange(row % 4, dtype=np.int16)
        wide[row] = np.linspace(0, 1, row % 3)
    flux = np.array([1.5, np.nan, -0.0, np.inf, 5e-324, 1, 2, 3, 4])
    bits = np.zeros((_ROWS, 11), bool)
    bits[n, n] = True
    columns = [
        fits.Column("OBJ_ID", "K", array=n + (1 << 60)),
        fits.Column("RA", "D", unit="deg", array=n * 1.1),
        fits.Column("TIME", "D", unit="s", array=n * 10.0),
        fits.Column("FLUX", "D", unit="Jy", array=flux),
        fits.Column("MAG", "E", array=flux.astype("f4")),
        fits.Column("COUNT", "J", null=-99, array=np.where(n == 3, -99, n)),
        fits.Column("QUALITY", "I", bzero=32768, array=(n * 7000).astype("u2")),
        fits.Column("DN", "I", array=n.astype("i2")),
        fits.Column("BYTE", "B", array=n.astype("u1")),
        fits.Column("SIGNED", "B", bzero=-128, array=(n - 4).astype("i1")),
        fits.Column("OK", "L", array=n % 2 == 0),
        fits.Column("BITS", "11X", array=bits),
        fits.Column("NAME", "6A", array=np.array([f"s{i % 3}" * (i % 3) for i in n])),
        fits.Column("Z", "M", array=n * (1 + 2j)),
        fits.Column(
            "SPEC",
            "6E",
            dim="(3,2)",
            array=np.arange(6 * _ROWS, dtype="f4").reshape(_ROWS, 2, 3),
        ),
        fits.Column("LIST", "PI()", array=lists),
        fits.Column("WIDE", "QD()", array=wide),
    ]
    made = fits.BinTableHDU.from_columns(columns, name="CATALOG")
    made.header["TSCAL8"], made.header["TZERO8"] = (
        0.5,
        10.0,
    )  # astropy itself fails to write such a column
    return made


def make(folder: Path) -> Path:
    """Write images of several kinds and the table, with checksums."""
    image = np.linspace(-5, 5, 40 * 30).reshape(40, 30).astype("f4")
    image[3, 3:7] = [np.nan, np.inf, -np.inf, -0.0]
    primary = fits.PrimaryHDU(image)
    primary.header["OBJECT"] = ("M 13", "what was looked at")
    primary.header["TELESCOP"] = "Sim"
    primary.header["HIERARCH ESO DET DIT"] = 1.5
    primary.header["LONGTEXT"] = "long " * 40
    primary.header["HISTORY"] = "made for a test"
    unsigned = fits.ImageHDU((np.arange(24, dtype="u2") * 2700).reshape(2, 3, 4), name="RAW")
    blank = fits.ImageHDU(np.arange(12, dtype="i4").reshape(3, 4), name="RAW")
    blank.header["BLANK"] = 5
    path = folder / "rich.fits"
    fits.HDUList([primary, unsigned, table(), blank, fits.ImageHDU(name="EMPTY")]).writeto(path, checksum=True)
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with astropy, numbers as stored, but for the unsigned convention of columns."""
    out: dict[str, Any] = {}
    with fits.open(path, do_not_scale_image_data=True, memmap=False) as hdus:
        names = ["HDU0", "RAW", "CATALOG", "RAW_2"]
        for name, hdu in zip(names, hdus, strict=False):
            if name == "CATALOG":
                out[name] = pa.table({c: _column(hdu, c) for c in hdu.columns.names})
            else:
                out[name] = np.ascontiguousarray(hdu.data, dtype=hdu.data.dtype.newbyteorder("="))
    return out


def _column(hdu: Any, name: str) -> pa.Array:
    values = hdu.data[name]
    if name == "DN":
        values = np.round((values - 10) / 0.5).astype(np.int16)
    if name == "Z":
        return pa.array([{"re": z.real, "im": z.imag} for z in values.tolist()])
    if name == "COUNT":
        return pa.array([None if v == -99 else v for v in values.tolist()], pa.int32())
    return pa.array([v.tolist() if isinstance(v, np.ndarray) else v for v in values.tolist()])
