"""What a NIfTI header must keep (nifti1.h, nifti2.h), counted."""

import math
from collections.abc import Iterator

import numpy as np

from ....model.dataset import RuleCount
from ....vocabulary import Dimension, RuleKind
from .header import Header

_TEMPLATES = range(6)  # NIFTI_XFORM_*
_SLICE_ORDERS = range(7)
_INTENTS = {*range(25), *range(1001, 1012), *range(2001, 2006), 2016, 2017, 2018, *range(3000, 3100)}


def counts(header: Header, papers: bytes, extra: int, *, compressed: bool) -> tuple[RuleCount, ...]:
    """Return every rule with its counts; `extra` is how many bytes follow the voxels."""
    return (
        *_structure(header, papers, extra, compressed=compressed),
        *_geometry(header),
        *_words(header),
    )


def _rule(
    name: str,
    dimension: Dimension,
    kind: RuleKind,
    broken: list[bool],
    message: str,
    where: tuple[str, ...] = (),
) -> RuleCount:
    places = tuple(where[i] for i, b in enumerate(broken) if b and i < len(where))
    return RuleCount(f"nifti-{name}", dimension, kind, len(broken), len(broken), sum(broken), message, places)


def _structure(header: Header, papers: bytes, extra: int, *, compressed: bool) -> Iterator[RuleCount]:
    values = header.values
    bits = header.dtype.itemsize * header.samples * 8
    yield _rule(
        "bitpix",
        Dimension.CONSISTENCY,
        RuleKind.STRUCTURAL,
        [int(values["bitpix"]) != bits],
        f"bitpix is {int(values['bitpix'])}, the data type has {bits} bits",
    )
    yield _rule(
        "length",
        Dimension.CONSISTENCY,
        RuleKind.SCORED,
        [extra > 0],
        f"{extra} bytes follow the voxels that the header names",
    )
    if header.version == 2:
        yield _rule(
            "transfer-signature",
            Dimension.INTEGRITY,
            RuleKind.STRUCTURAL,
            [bytes(values["magic"])[4:] != b"\r\n\x1a\n"],
            "the magic's transfer signature is damaged",
        )
    if compressed:
        message = "the compressed layer's checksum differs"
        yield _rule("layer-checksum", Dimension.INTEGRITY, RuleKind.STRUCTURAL, [False], message)
    broken = _extensions(header, papers)
    if broken:
        message = "an extension's size is not a multiple of 16 inside the header"
        yield _rule("extensions", Dimension.VALIDITY, RuleKind.SCORED, broken, message)
    dim = [int(n) for n in values["dim"]]
    axes = tuple(f"dim[{i}]" for i in range(1, len(header.shape) + 1))
    yield _rule(
        "dim-positive",
        Dimension.VALIDITY,
        RuleKind.STRUCTURAL,
        [n <= 0 for n in dim[1 : dim[0] + 1]] if not header.enlarged else [False],
        "an axis in use has no positive length",
        where=axes,
    )
    yield _rule(
        "offset-aligned",
        Dimension.VALIDITY,
        RuleKind.ADVISORY,
        [header.offset % 16 != 0],
        f"vox_offset {header.offset} is not a multiple of 16",
    )


def _extensions(header: Header, papers: bytes) -> list[bool]:
    """Return, an extension each, whether it is malformed; bytes that no extension covers count as one."""
    at = header.size
    if len(papers) < at + 4 or papers[at] == 0:
        return []
    at += 4
    order = "big" if header.big else "little"
    broken = []
    while at + 8 <= len(papers):
        size = int.from_bytes(papers[at : at + 4], order, signed=True)  # type: ignore[arg-type]
        bad = size < 16 or size % 16 != 0 or at + size > len(papers)
        if bad and not any(papers[at:]):
            break  # zero padding up to vox_offset
        broken.append(bad)
        if bad:
            break
        at += size
    return broken


def _geometry(header: Header) -> Iterator[RuleCount]:
    values = header.values
    spatial = min(3, len(header.shape))
    pixdim = np.asarray(values["pixdim"], dtype=np.float64)
    names = tuple(f"pixdim[{i}]" for i in range(8))
    yield _rule(
        "pixdim-positive",
        Dimension.VALIDITY,
        RuleKind.SCORED,
        [not (math.isfinite(n) and n > 0) for n in pixdim[1 : spatial + 1]],
        "a voxel size is not positive",
        where=names[1:],
    )
    yield _rule(
        "form-codes",
        Dimension.VALIDITY,
        RuleKind.SCORED,
        [int(values[name]) not in _TEMPLATES for name in ("qform_code", "sform_code")],
        "a coordinate transform code is unknown",
        where=("qform_code", "sform_code"),
    )
    with_q, with_s = int(values["qform_code"]) > 0, int(values["sform_code"]) > 0
    yield _rule(
        "orientation-given",
        Dimension.COMPLETENESS,
        RuleKind.ADVISORY,
        [not (with_q or with_s)],
        "neither qform nor sform says how the volume lies in space",
    )
    quaternion = _rotation(header) if with_q else None
    if with_q:
        length = float(np.sum(np.square(np.asarray(values["quatern"], np.float64))))
        message = "the quaternion is no rotation, or qfac is not 1, 0 or -1"
        broken = [not length <= 1 + 1e-5, float(pixdim[0]) not in (1.0, 0.0, -1.0)]
        yield _rule("quaternion", Dimension.VALIDITY, RuleKind.SCORED, broken, message, where=("quatern", "pixdim[0]"))
    if with_s:
        yield from _affine(np.asarray(values["srow"], np.float64), pixdim, spatial)
    if with_s and quaternion is not None:
        sform = np.asarray(values["srow"], np.float64)
        finite = bool(np.isfinite(sform).all())
        differs = not finite or float(np.abs(sform - quaternion).max()) > 0.01 * max(1e-6, float(pixdim[1:4].max()))
        message = "qform and sform place the volume differently"
        yield _rule("forms-agree", Dimension.CONSISTENCY, RuleKind.ADVISORY, [differs], message)


def _affine(
    sform: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", pixdim: object, spatial: int
) -> Iterator[RuleCount]:
    finite = bool(np.isfinite(sform).all())
    columns = sform[:, :3]
    sizes = np.array([math.hypot(*(float(n) for n in columns[:, i])) for i in range(3)])
    singular = not finite or bool((sizes == 0).any())
    cosines = [1.0] if singular else _cosines(columns / sizes)
    volume = 0.0 if singular else 1.0 - min(1.0, max(cosines))
    message = "the sform cannot be inverted or holds NaN"
    yield _rule("sform-invertible", Dimension.VALIDITY, RuleKind.SCORED, [singular or volume < 1e-9], message)
    message = "the sform's axes are not at right angles"
    yield _rule("sform-orthogonal", Dimension.CONSISTENCY, RuleKind.ADVISORY, [max(cosines) > 1e-3], message)
    wanted = np.asarray(pixdim)[1 : spatial + 1]
    broken = [not abs(a - b) <= 0.01 * abs(b) for a, b in zip(sizes, wanted, strict=False)]
    message = "the sform's voxel size differs from pixdim"
    names = tuple(f"pixdim[{i + 1}]" for i in range(3))
    yield _rule("sform-pixdim", Dimension.CONSISTENCY, RuleKind.ADVISORY, broken, message, where=names)


def _cosines(unit: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> list[float]:
    return [abs(float(sum(unit[k, i] * unit[k, j] for k in range(3)))) for i, j in ((0, 1), (0, 2), (1, 2))]


def _rotation(header: Header) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None":
    """Return the qform as a 3x4 affine (nifti1.h, METHOD 2), None where the quaternion is none."""
    b, c, d = (float(n) for n in header.values["quatern"])
    rest = 1.0 - (b * b + c * c + d * d)
    pixdim = [float(n) for n in header.values["pixdim"][:4]]
    if not math.isfinite(rest) or rest < -1e-5 or not all(math.isfinite(n) for n in pixdim):
        return None
    a = math.sqrt(max(0.0, rest))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    qfac = -1.0 if pixdim[0] < 0 else 1.0
    rotation = rotation * np.array([pixdim[1], pixdim[2], pixdim[3] * qfac])
    offset = np.asarray(header.values["qoffset"], np.float64).reshape(3, 1)
    return np.hstack([rotation, offset])


def _words(header: Header) -> Iterator[RuleCount]:
    values = header.values
    space, time = int(values["xyzt_units"]) & 7, int(values["xyzt_units"]) & 56
    yield _rule(
        "units-known",
        Dimension.VALIDITY,
        RuleKind.SCORED,
        [space > 3, time > 48],
        "xyzt_units names no known unit",
        where=("space", "time"),
    )
    slope, intercept = float(values["scl_slope"]), float(values["scl_inter"])
    yield _rule(
        "scaling-finite",
        Dimension.VALIDITY,
        RuleKind.SCORED,
        [math.isinf(slope) or (math.isfinite(slope) and slope != 0 and not math.isfinite(intercept))],
        "the scale is not finite and was not applied",
    )
    low, high = float(values["cal_min"]), float(values["cal_max"])
    yield _rule(
        "display-range",
        Dimension.CONSISTENCY,
        RuleKind.ADVISORY,
        [not low <= high],
        "cal_min lies above cal_max",
    )
    intent = int(values["intent_code"])
    yield _rule(
        "intent-known",
        Dimension.VALIDITY,
        RuleKind.ADVISORY,
        [intent not in _INTENTS],
        "the intent code is unknown",
    )
    order, first, last = (int(values[name]) for name in ("slice_code", "slice_start", "slice_end"))
    axis = (int(values["dim_info"]) >> 4) & 3
    inside = axis == 0 or axis > len(header.shape) or 0 <= first <= last < max(1, header.shape[axis - 1])
    yield _rule(
        "slice-timing",
        Dimension.VALIDITY,
        RuleKind.ADVISORY,
        [order not in _SLICE_ORDERS or (order > 0 and not inside)],
        "slice order or range is impossible",
    )
