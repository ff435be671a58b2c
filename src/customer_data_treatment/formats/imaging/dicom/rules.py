"""What a DICOM file must keep, counted while its elements are walked."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ....model.dataset import RuleCount
from ....vocabulary import Dimension, RuleKind

_SHOWN = 8
_D, _K = Dimension, RuleKind
# name -> (dimension, kind, what a violation says)
_RULES: dict[str, tuple[Dimension, RuleKind, str]] = {
    "value-representation": (_D.VALIDITY, _K.SCORED, "values break their value representation (PS3.5, 6.2)"),
    "vr-known": (_D.VALIDITY, _K.SCORED, "elements carry no known value representation"),
    "even-length": (_D.VALIDITY, _K.SCORED, "values have an odd length (PS3.5, 7.1.1)"),
    "tag-order": (_D.VALIDITY, _K.SCORED, "elements are not in ascending order of their tags (PS3.5, 7.1)"),
    "character-set": (_D.VALIDITY, _K.SCORED, "texts do not decode in the declared character set"),
    "mandatory-attributes": (_D.COMPLETENESS, _K.SCORED, "attributes of type 1 are absent or empty"),
    "meta-agrees": (_D.CONSISTENCY, _K.ADVISORY, "the file meta information and the data set name other instances"),
    "encoding-declared": (_D.CONSISTENCY, _K.SCORED, "the data set is not encoded as its transfer syntax says"),
    "bit-depth": (_D.CONSISTENCY, _K.SCORED, "bits allocated, bits stored and high bit contradict one another"),
    "pixel-length": (_D.CONSISTENCY, _K.SCORED, "more bytes stand in the pixel data than its attributes name"),
    "pixels-present": (_D.COMPLETENESS, _K.STRUCTURAL, "the attributes describe pixels that the file does not hold"),
    "pixels-decoded": (_D.INTEGRITY, _K.STRUCTURAL, "the pixels could not be decoded; they are carried as they came"),
    "orientation": (_D.VALIDITY, _K.SCORED, "the image orientation's axes are not orthonormal"),
    "spacing": (_D.VALIDITY, _K.SCORED, "a pixel spacing is not positive"),
    "trailing-bytes": (_D.VALIDITY, _K.ADVISORY, "NUL bytes follow the data set"),
    "overlay-length": (_D.CONSISTENCY, _K.SCORED, "an overlay has another length than its rows and columns"),
    "waveform-length": (_D.CONSISTENCY, _K.SCORED, "a waveform has another length than its channels and samples"),
    "one-patient": (_D.CONSISTENCY, _K.STRUCTURAL, "files of one series name different patients or studies"),
    "instances-unique": (_D.CONSISTENCY, _K.STRUCTURAL, "two files carry the same SOP Instance UID"),
    "slice-spacing": (_D.CONSISTENCY, _K.ADVISORY, "the distance between slices is not uniform"),
    "slices-missing": (_D.COMPLETENESS, _K.SCORED, "slices are missing between others of their series"),
}


@dataclass(slots=True)
class _Count:
    scope: int = 0
    violations: int = 0
    where: list[str] = field(default_factory=list)


class Tallies:
    """Counts by rule; two are merged by adding one to the other."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def add(self, name: str, *, broken: bool, where: str = "") -> None:
        """Count one unit."""
        count = self._counts.setdefault(name, _Count())
        count.scope += 1
        if broken:
            count.violations += 1
            if where and len(count.where) < _SHOWN:
                count.where.append(where)

    def merge(self, other: "Tallies", prefix: str) -> None:
        """Add another file's counts, its places behind that file's name."""
        for name, theirs in other._counts.items():
            count = self._counts.setdefault(name, _Count())
            count.scope += theirs.scope
            count.violations += theirs.violations
            room = _SHOWN - len(count.where)
            count.where.extend(f"{prefix}{place}" for place in theirs.where[: max(0, room)])

    def counts(self) -> tuple[RuleCount, ...]:
        """Return them in the rules' own order; the message names the first places."""
        found = []
        for name, (dimension, kind, message) in _RULES.items():
            count = self._counts.get(name)
            if count is None:
                continue
            text = f"{message}: {count.where[0]}" if count.where else message
            found.append(
                RuleCount(
                    f"dicom-{name}",
                    dimension,
                    kind,
                    count.scope,
                    count.scope,
                    count.violations,
                    text,
                    tuple(count.where),
                )
            )
        return tuple(found)


def image_rules(facts: dict[str, Any], tallies: Tallies, *, integer: bool) -> None:
    """Count what the image's attributes say against one another."""
    allocated, stored, high = (facts.get(name) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    if integer and all(isinstance(n, int) for n in (allocated, stored, high)):
        tallies.add("bit-depth", broken=not 1 <= stored <= allocated, where="BitsStored")  # type: ignore[operator]
        tallies.add("bit-depth", broken=high != stored - 1, where="HighBit")  # type: ignore[operator]
    orientation = facts.get("ImageOrientationPatient")
    if orientation is not None:
        tallies.add("orientation", broken=not _orthonormal(orientation), where="(0020,0037)")
    for name, where in (("PixelSpacing", "(0028,0030)"), ("ImagerPixelSpacing", "(0018,1164)")):
        spacing = facts.get(name)
        if spacing is not None:
            good = isinstance(spacing, list) and len(spacing) == 2
            tallies.add("spacing", broken=not (good and all(_positive(n) for n in spacing)), where=where)


def _positive(number: Any) -> bool:
    return isinstance(number, int | float) and math.isfinite(number) and number > 0


def _orthonormal(values: Any) -> bool:
    if not isinstance(values, list) or len(values) != 6 or not all(math.isfinite(n) for n in values):
        return False
    row, column = values[:3], values[3:]
    lengths = [math.hypot(*row), math.hypot(*column)]
    cosine = sum(a * b for a, b in zip(row, column, strict=True))
    return all(abs(n - 1) < 1e-3 for n in lengths) and abs(cosine) < 1e-3


# Type 1 of the modules that every composite instance has (PS3.3, C.7, C.12), and of pixels.
GENERAL = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality")
META = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
_PIXEL = ("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated")
_INTEGER = ("BitsStored", "HighBit", "PixelRepresentation")


def mandatory(facts: dict[str, Any], *, directory: bool, pixels: bool, integer: bool) -> Iterator[tuple[str, bool]]:
    """Yield (attribute, whether it is absent or empty) for those that must be there."""
    names: Iterable[str] = () if directory else GENERAL
    if pixels:
        names = (*names, *_PIXEL, *(_INTEGER if integer else ()))
        samples = facts.get("SamplesPerPixel")
        if isinstance(samples, int) and samples > 1:
            names = (*names, "PlanarConfiguration")
    for name in names:
        yield name, facts.get(name) in (None, "", [])
