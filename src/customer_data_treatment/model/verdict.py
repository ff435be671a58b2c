"""What is said about a dataset's quality: findings, check results, the score, the level.

A check has N units in scope, n examined and v violating. Its score is 1 - D/N, D being the
largest number of violations in the whole for which seeing <= v in a uniform sample of n is no
rarer than 5 % (hypergeometric; a census has D = v). A dimension is its worst scored check, the
quality score the worst assessed dimension.
"""

from dataclasses import dataclass

from ..vocabulary import Dimension, RuleKind, Severity


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
