"""What is said about a dataset's quality: findings, check results, the score, the level.

A check has N units in scope, n examined and v violating. Its score is 1 - D/N, D being the
largest number of violations in the whole for which seeing <= v in a uniform sample of n is no
rarer than 5 % (hypergeometric; a census has D = v). A dimension is its worst scored check, the
quality score the worst assessed dimension. Structural rules are gates and enter no score.
docs/recompute_score.py computes the same from a certificate's counts alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..vocabulary import Dimension, Level, RuleKind, Severity

SCORED_DIMENSIONS = (
    Dimension.COMPLETENESS,
    Dimension.CONSISTENCY,
    Dimension.ACCURACY,
    Dimension.VALIDITY,
    Dimension.REPRODUCIBILITY,
)

# level -> (lowest score, dimensions that must be assessed), best first
LEVELS: tuple[tuple[Level, float, frozenset[Dimension]], ...] = (
    (Level.PUBLICATION_READY, 0.99, frozenset(SCORED_DIMENSIONS)),
    (Level.RESEARCH_GRADE, 0.95, frozenset(SCORED_DIMENSIONS) - {Dimension.ACCURACY}),
    (Level.EXPLORATORY, 0.85, frozenset({Dimension.VALIDITY})),
)

_ONE = 1 << 160  # the likeliest term of the distribution, in fixed point
_SLACK = 1 << 64  # far above the rounding of all terms, so that an exact tie counts as "no rarer"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the data, with its place; never a value of an identifier, label or text."""

    code: str  # kebab-case
    severity: Severity
    message: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The counts of one check; everything else is computed from them."""

    name: str
    dimension: Dimension
    kind: RuleKind
    scope: int
    examined: int
    violations: int
    message: str
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gates:
    """What must hold before any level is given; None is a gate that nothing was held against."""

    integrity: bool | None = None
    structural: bool | None = None
    fidelity: bool | None = None
    privacy: bool | None = None

    def record(self) -> dict[str, bool | None]:
        """Return the gates as the certificate stores them."""
        return {
            "integrity": self.integrity,
            "structural": self.structural,
            "fidelity": self.fidelity,
            "privacy": self.privacy,
        }

    @property
    def passed(self) -> bool:
        """Whether no gate is closed."""
        return False not in self.record().values()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The score (None where nothing scored was assessed), its dimensions, the gates, the level."""

    score: float | None
    dimensions: Mapping[Dimension, float | None]
    gates: Gates
    level: Level


@lru_cache(maxsize=4096)
def upper_violations(scope: int, examined: int, violations: int) -> int:
    """Return D: the most violations among `scope` that the sample does not contradict at 5 %.

    Exact and the same on every machine: integers only, each term of the distribution in 160-bit
    fixed point from its likeliest value outwards. About 0.3 s at n = 2^20 whatever N is, growing
    with the square root of n. Raise ValueError unless 0 <= violations <= examined <= scope.
    """
    if not 0 <= violations <= examined <= scope:
        raise ValueError(f"no sample: {violations} of {examined} of {scope}")
    low, high = violations, scope - examined + violations
    while low < high:  # the probability falls as the assumed total grows
        middle = (low + high + 1) // 2
        if _no_rarer(scope, examined, violations, middle):
            low = middle
        else:
            high = middle - 1
    return low


def _no_rarer(scope: int, examined: int, seen: int, total: int) -> bool:
    """Whether P(X <= seen) >= 1/20, X hypergeometric: `examined` draws, `total` violating in `scope`."""
    rest = scope - total - examined  # may be negative
    lowest, highest = max(0, -rest), min(examined, total)
    mode = min(max((examined + 1) * (total + 1) // (scope + 2), lowest), highest)
    below = above = 0
    term, at = _ONE, mode
    while term and at >= lowest:
        if at <= seen:
            below += term
        else:
            above += term
        term = term * at * (rest + at) // ((total - at + 1) * (examined - at + 1))
        at -= 1
    term, at = _ONE, mode
    while term and at < highest:
        term = term * (total - at) * (examined - at) // ((at + 1) * (rest + at + 1))
        at += 1
        if at <= seen:
            below += term
        else:
            above += term
    return 19 * below + _SLACK >= above


def score(result: CheckResult) -> float | None:
    """Return 1 - D/N, or None where nothing is in scope (not assessed)."""
    if result.scope == 0:
        return None
    return 1 - upper_violations(result.scope, result.examined, result.violations) / result.scope


def dimension_scores(results: Iterable[CheckResult]) -> dict[Dimension, float | None]:
    """Return the worst scored check of each of the five dimensions, None where none was assessed."""
    worst: dict[Dimension, float | None] = dict.fromkeys(SCORED_DIMENSIONS)
    for result in results:
        if result.kind is not RuleKind.SCORED or result.dimension not in worst:
            continue
        value, known = score(result), worst[result.dimension]
        if value is not None and (known is None or value < known):
            worst[result.dimension] = value
    return worst


def quality_score(dimensions: Mapping[Dimension, float | None]) -> float | None:
    """Return the worst assessed dimension, None where none was assessed."""
    return min((value for value in dimensions.values() if value is not None), default=None)


def gates_of(results: Iterable[CheckResult], *, fidelity: bool | None = None, privacy: bool | None = None) -> Gates:
    """Return the gates: any violation of a structural rule closes integrity or structural."""
    integrity: bool | None = None
    structural: bool | None = None
    for result in results:
        if result.kind is not RuleKind.STRUCTURAL or result.scope == 0:
            continue
        kept = result.violations == 0
        if result.dimension is Dimension.INTEGRITY:
            integrity = kept and integrity is not False
        else:
            structural = kept and structural is not False
    return Gates(integrity, structural, fidelity, privacy)


def level_of(dimensions: Mapping[Dimension, float | None], gates: Gates) -> Level:
    """Return the best level whose score is reached and whose dimensions are assessed."""
    reached = quality_score(dimensions)
    assessed = {dimension for dimension, value in dimensions.items() if value is not None}
    if reached is None or not gates.passed:
        return Level.NOT_CERTIFIED
    for level, lowest, needed in LEVELS:
        if reached >= lowest and needed <= assessed:
            return level
    return Level.NOT_CERTIFIED


def judge(results: Iterable[CheckResult], *, fidelity: bool | None = None, privacy: bool | None = None) -> Verdict:
    """Return score, dimensions, gates and level of one dataset from its counts.

    `fidelity` says whether every field kept the fidelity asked for, `privacy` whether what was
    asked of privacy was done; both are gates, None where nothing was asked.
    """
    counted = tuple(results)
    dimensions = dimension_scores(counted)
    gates = gates_of(counted, fidelity=fidelity, privacy=privacy)
    return Verdict(quality_score(dimensions), dimensions, gates, level_of(dimensions, gates))


def worst_of(verdicts: Iterable[tuple[float | None, Level]]) -> tuple[float | None, Level]:
    """Return score and level of a submission: those of its worst dataset, a null score being worst."""
    pairs = list(verdicts)
    if not pairs:
        return None, Level.NOT_CERTIFIED
    order = list(Level)
    scores = [value for value, _ in pairs if value is not None]
    lowest = min(scores) if len(scores) == len(pairs) else None
    return lowest, max((level for _, level in pairs), key=order.index)


_SEVERITY = {
    RuleKind.STRUCTURAL: Severity.ERROR,
    RuleKind.SCORED: Severity.WARNING,
    RuleKind.ADVISORY: Severity.NOTE,
}


def findings_of(results: Iterable[CheckResult]) -> list[Finding]:
    """Return one finding for every violated check: error, warning or note by the rule's kind."""
    return [
        Finding(
            code=result.name.partition(":")[0].replace("/", "-"),
            severity=_SEVERITY[result.kind],
            message=f"{result.message} ({result.violations} of {result.examined})",
            where="; ".join(result.where),
        )
        for result in results
        if result.violations > 0
    ]


def record_of(result: CheckResult) -> dict[str, object]:
    """Return the counts as the certificate's body stores them under "checks", and their score."""
    return {
        "name": result.name,
        "dimension": str(result.dimension),
        "kind": str(result.kind),
        "scope": result.scope,
        "examined": result.examined,
        "violations": result.violations,
        "score": score(result),
        "message": result.message,
        "where": list(result.where),
    }
