"""NIfTI for the promise suite: big-endian float volumes with NaN and Inf, an extension, gzip."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np


def make(folder: Path) -> Path:
    """Write a scaled 4-D big-endian image with an extension behind gzip."""
    values = np.linspace(-3, 3, 7 * 11 * 5 * 3).reshape(7, 11, 5, 3).astype(">f4")
    values[0, 0, :3, 0] = [np.nan, np.inf, -0.0]
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(values.dtype)
    header["descrip"] = "fixture é".encode("latin-1")
    header.set_xyzt_units("mm", "msec")
    image = nib.Nifti1Image(values, np.diag([2.0, 2.0, 3.0, 1.0]), header)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"an extension"))
    image.header.set_slope_inter(1, 0)
    path = folder / "größe.nii.gz"
    nib.save(image, path)
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read stored numbers with nibabel."""
    return {"data": np.asarray(nib.load(path).dataobj.get_unscaled())}
