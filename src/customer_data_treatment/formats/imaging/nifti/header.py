"""The NIfTI header as numbers (nifti1.h, 2007; nifti2.h, 2011), either byte order.

What makes the voxels unreadable is refused here; what is merely against the standard is counted by rules.
"""

import math
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ....errors import CustomerError

NIFTI1 = np.dtype(
    [
        *[
            ("sizeof_hdr", "i4"),
            ("data_type", "S10"),
            ("db_name", "S18"),
            ("extents", "i4"),
            ("session_error", "i2"),
        ],
        *[
            ("regular", "S1"),
            ("dim_info", "u1"),
            ("dim", "i2", 8),
            ("intent_p", "f4", 3),
            ("intent_code", "i2"),
        ],
        *[
            ("datatype", "i2"),
            ("bitpix", "i2"),
            ("slice_start", "i2"),
            ("pixdim", "f4", 8),
            ("vox_offset", "f4"),
        ],
        *[
            ("scl_slope", "f4"),
            ("scl_inter", "f4"),
            ("slice_end", "i2"),
            ("slice_code", "u1"),
            ("xyzt_units", "u1"),
        ],
        *[("cal_max", "f4"), ("cal_min", "f4"), ("slice_duration", "f4"), ("toffset", "f4"), ("glmax", "i4")],
        *[
            ("glmin", "i4"),
            ("descrip", "S80"),
            ("aux_file", "S24"),
            ("qform_code", "i2"),
            ("sform_code", "i2"),
        ],
        *[
            ("quatern", "f4", 3),
            ("qoffset", "f4", 3),
            ("srow", "f4", (3, 4)),
            ("intent_name", "S16"),
            ("magic", "S4"),
        ],
    ]
)
NIFTI2 = np.dtype(
    [
        *[("sizeof_hdr", "i4"), ("magic", "V8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8)],
        *[
            ("intent_p", "f8", 3),
            ("pixdim", "f8", 8),
            ("vox_offset", "i8"),
            ("scl_slope", "f8"),
            ("scl_inter", "f8"),
        ],
        *[
            ("cal_max", "f8"),
            ("cal_min", "f8"),
            ("slice_duration", "f8"),
            ("toffset", "f8"),
            ("slice_start", "i8"),
        ],
        *[
            ("slice_end", "i8"),
            ("descrip", "S80"),
            ("aux_file", "S24"),
            ("qform_code", "i4"),
            ("sform_code", "i4"),
        ],
        *[("quatern", "f8", 3), ("qoffset", "f8", 3), ("srow", "f8", (3, 4)), ("slice_code", "i4")],
        *[
            ("xyzt_units", "i4"),
            ("intent_code", "i4"),
            ("intent_name", "S16"),
            ("dim_info", "u1"),
            ("unused", "S15"),
        ],
    ]
)

# code -> (numpy dtype without byte order, samples a voxel); nifti1.h, NIFTI_TYPE_*.
DATATYPES: dict[int, tuple[str, int]] = {
    2: ("u1", 1),
    4: ("i2", 1),
    8: ("i4", 1),
    16: ("f4", 1),
    32: ("c8", 1),
    64: ("f8", 1),
    128: ("u1", 3),
    256: ("i1", 1),
    512: ("u2", 1),
    768: ("u4", 1),
    1024: ("i8", 1),
    1280: ("u8", 1),
    1536: ("V16", 1),
    1792: ("c16", 1),
    2048: ("V32", 1),
    2304: ("u1", 4),
}
_LONG = (1536, 2048)
_SPACE = {0: None, 1: "m", 2: "mm", 3: "um"}
_TIME = {0: None, 8: "s", 16: "ms", 24: "us", 32: "Hz", 40: "ppm", 48: "rad/s"}


@dataclass(frozen=True, slots=True)
class Header:
    """One parsed header. `values` is a record of NIFTI1 or NIFTI2 in native order; `shape` as peers give it."""

    values: Any
    version: int
    big: bool
    single: bool
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    samples: int
    offset: int
    enlarged: bool

    @property
    def size(self) -> int:
        """Return the header's own bytes."""
        return NIFTI1.itemsize if self.version == 1 else NIFTI2.itemsize

    @property
    def opaque(self) -> bool:
        """Whether the voxels are 128-bit floats, which the model does not hold."""
        return int(self.values["datatype"]) in _LONG

    @property
    def data_bytes(self) -> int:
        """Return how many bytes the voxels take."""
        return prod(self.shape) * self.dtype.itemsize * self.samples

    @property
    def scale(self) -> tuple[float, float] | None:
        """Return (slope, intercept), None where the header says that none applies (slope 0)."""
        slope, intercept = float(self.values["scl_slope"]), float(self.values["scl_inter"])
        if self.samples > 1 or not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
            return None
        return None if (slope, intercept) == (1.0, 0.0) else (slope, intercept)

    @property
    def units(self) -> tuple[str | None, str | None]:
        """Return the units of space and of time."""
        code = int(self.values["xyzt_units"])
        return _SPACE.get(code & 7), _TIME.get(code & 56)


def parse(start: bytes, where: str) -> Header:
    """Return the header in the first bytes of a file; raise CustomerError naming what cannot be."""
    if len(start) < NIFTI1.itemsize:
        raise refused("truncated", f"the file has {len(start)} bytes, a NIfTI header 348 or 540", where)
    sizes = {order: int.from_bytes(start[:4], order) for order in ("little", "big")}
    found = [(order, {348: 1, 540: 2}[size]) for order, size in sizes.items() if size in (348, 540)]
    if not found:
        raise refused("corrupt", "its header size is neither 348 nor 540", where)
    order, version = found[0]
    layout = (NIFTI1 if version == 1 else NIFTI2).newbyteorder("<" if order == "little" else ">")
    if len(start) < layout.itemsize:
        raise refused("truncated", f"the file ends inside its header, at byte {len(start)}", where)
    values = np.frombuffer(start, layout, 1).astype(layout.newbyteorder("="))[0]
    magic = bytes(values["magic"])
    if magic[:3] not in (b"n+1", b"ni1", b"n+2", b"ni2") or int(magic[2:3]) != version:
        raise refused("corrupt", "its magic is not that of NIfTI", where)
    single = magic[1:2] == b"+"
    code = int(values["datatype"])
    if code not in DATATYPES:
        raise refused("unsupported-format", f"its data type code {code} is none of NIfTI's numeric types", where)
    kind, samples = DATATYPES[code]
    shape, enlarged = _shape(values, version, where)
    offset = _offset(values, layout.itemsize, single, where)
    dtype = np.dtype(kind).newbyteorder("<" if order == "little" else ">")
    header = Header(values, version, order == "big", single, shape, dtype, samples, offset, enlarged)
    if header.data_bytes + offset >= 1 << 62:
        raise refused("absurd-header", f"its header names {header.data_bytes} bytes of voxels", where)
    return header


def _shape(values: Any, version: int, where: str) -> tuple[tuple[int, ...], bool]:
    dim = [int(n) for n in values["dim"]]
    if not 1 <= dim[0] <= 7:
        raise refused("absurd-header", f"its header names {dim[0]} dimensions; 1 to 7 are allowed", where)
    shape = dim[1 : dim[0] + 1]
    # FreeSurfer writes surfaces longer than an int16 holds as (-1, 1, 1), their length in glmin.
    if version == 1 and shape[:3] == [-1, 1, 1] and int(values["glmin"]) > 0:
        return (int(values["glmin"]), *shape[1:]), True
    if any(n < 0 for n in shape):
        raise refused("absurd-header", "its header names a negative length", where)
    return tuple(shape), False


def _offset(values: Any, size: int, single: bool, where: str) -> int:
    written = float(values["vox_offset"])
    if not math.isfinite(written) or written != int(written) or written < 0 or written > 1 << 62:
        raise refused("corrupt", "its vox_offset is no byte position", where)
    offset = int(values["vox_offset"])
    if single and offset < size + 4:
        raise refused("corrupt", f"its vox_offset {offset} lies inside the header", where)
    return offset


def refused(code: str, message: str, where: str) -> CustomerError:
    """Return the refusal of a header."""
    return CustomerError(message, code=code, where=where, remedy="fetch it again, or write it with a NIfTI tool")
