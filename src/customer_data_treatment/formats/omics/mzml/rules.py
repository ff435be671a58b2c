"""What an mzML file must keep (mzML 1.1.0 schema and mapping rules), counted."""

from dataclasses import dataclass, field

from ....model.dataset import RuleCount
from ....vocabulary import Dimension, RuleKind

_SHOWN = 8
_D, _K = Dimension, RuleKind
_RULES: dict[str, tuple[Dimension, RuleKind, str]] = {
    "file-checksum": (_D.INTEGRITY, _K.STRUCTURAL, "the SHA-1 in fileChecksum is not that of the file"),
    "checksum-written": (_D.VALIDITY, _K.ADVISORY, "the file checksum is a placeholder, so damage would not be seen"),
    "list-length": (_D.CONSISTENCY, _K.STRUCTURAL, "a list declares another count of spectra or chromatograms"),
    "array-length": (_D.CONSISTENCY, _K.STRUCTURAL, "an array has another length than declared"),
    "ids-unique": (_D.CONSISTENCY, _K.STRUCTURAL, "an id is used twice"),
    "other-counts": (_D.CONSISTENCY, _K.SCORED, "a list's count attribute differs from its content"),
    "encoded-length": (_D.CONSISTENCY, _K.SCORED, "encodedLength differs from the text's length"),
    "index-attribute": (_D.CONSISTENCY, _K.SCORED, "an index attribute differs from the position"),
    "index-offsets": (_D.CONSISTENCY, _K.ADVISORY, "an offset of the index does not point at its spectrum"),
    "references": (_D.CONSISTENCY, _K.SCORED, "a reference names no element of the file"),
    "id-form": (_D.VALIDITY, _K.SCORED, "a native id is not made of name=value pairs"),
    "required-terms": (_D.VALIDITY, _K.SCORED, "a required term is missing (MS level, type, centroid or profile)"),
    "exclusive-terms": (_D.VALIDITY, _K.SCORED, "terms that exclude one another stand together"),
    "array-terms": (_D.VALIDITY, _K.SCORED, "an array does not name its content, data type and compression"),
    "term-values": (_D.VALIDITY, _K.SCORED, "a term that takes a number has none"),
    "mz-sorted": (_D.VALIDITY, _K.SCORED, "the m/z values of a spectrum do not ascend"),
    "intensity-positive": (_D.VALIDITY, _K.SCORED, "a spectrum has a negative or undefined intensity"),
    "total-ion-current": (_D.ACCURACY, _K.ADVISORY, "the declared total ion current is not the sum of the intensities"),
    "base-peak": (_D.ACCURACY, _K.ADVISORY, "the declared base peak is not the largest intensity"),
}


@dataclass(slots=True)
class _Count:
    scope: int = 0
    violations: int = 0
    where: list[str] = field(default_factory=list)


class Tallies:
    """Counts by rule."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def add(self, name: str, *, broken: bool, where: str = "") -> None:
        """Count one unit."""
        self.many(name, 1, int(broken), where if broken else "")

    def many(self, name: str, scope: int, violations: int, where: str = "") -> None:
        """Count several."""
        count = self._counts.setdefault(name, _Count())
        count.scope += scope
        count.violations += violations
        if violations and where and len(count.where) < _SHOWN:
            count.where.append(where)


def counts(*parts: Tallies) -> tuple[RuleCount, ...]:
    """Return the counts of several tallies together, in the rules' own order."""
    found = []
    for name, (dimension, kind, message) in _RULES.items():
        theirs = [part._counts[name] for part in parts if name in part._counts]
        scope, broken = sum(c.scope for c in theirs), sum(c.violations for c in theirs)
        if not scope:
            continue
        where = tuple(place for count in theirs for place in count.where)[:_SHOWN]
        text = f"{message}: {where[0]}" if where else message
        found.append(RuleCount(f"mzml-{name}", dimension, kind, scope, scope, broken, text, where))
    return tuple(found)
