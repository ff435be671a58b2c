"""Score, level and gates: against scipy, exact fractions and the stranger's script."""

import importlib.util
import time
from math import comb
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_data_treatment.model.verdict import (
    SCORED_DIMENSIONS,
    CheckResult,
    Gates,
    dimension_scores,
    findings_of,
    judge,
    level_of,
    quality_score,
    record_of,
    score,
    upper_violations,
    worst_of,
)
from customer_data_treatment.vocabulary import Dimension, Level, RuleKind, Severity

_SCRIPT = Path(__file__).parents[2] / "docs" / "recompute_score.py"


def _stranger() -> ModuleType:
    specification = importlib.util.spec_from_file_location("recompute_score", _SCRIPT)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def _exact(scope: int, examined: int, seen: int) -> int:
    """The definition, by binomial coefficients, trying every total."""
    best = seen
    for total in range(seen, scope - examined + seen + 1):
        ways = sum(comb(total, x) * comb(scope - total, examined - x) for x in range(seen + 1))
        if 20 * ways >= comb(scope, examined):
            best = max(best, total)
    return best


def _result(
    dimension: Dimension, n: int, v: int, kind: RuleKind = RuleKind.SCORED, scope: int | None = None
) -> CheckResult:
    return CheckResult("x", dimension, kind, n if scope is None else scope, n, v, "x is wrong")


@st.composite
def _samples(draw: st.DrawFn, largest: int = 60) -> tuple[int, int, int]:
    scope = draw(st.integers(0, largest))
    examined = draw(st.integers(0, scope))
    return scope, examined, draw(st.integers(0, examined))


@given(_samples())
def test_it_is_the_definition_to_the_last_unit(sample: tuple[int, int, int]) -> None:
    assert upper_violations(*sample) == _exact(*sample)


def test_an_exact_tie_counts_as_no_rarer() -> None:
    assert upper_violations(20, 1, 0) == 19  # 1 in 20 is 5 % exactly


def test_the_figures_of_the_design() -> None:
    assert score(_result(Dimension.VALIDITY, 299, 0, scope=10**6)) == 0.990033
    assert score(_result(Dimension.VALIDITY, 10, 0)) == 1.0
    assert score(_result(Dimension.VALIDITY, 3, 1)) == 1 - 1 / 3


@settings(max_examples=40, deadline=None)
@given(_samples(5000))
def test_scipy_agrees(sample: tuple[int, int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    scope, examined, seen = sample
    if scope == 0:
        return  # scipy has no empty population
    most = upper_violations(scope, examined, seen)
    assert stats.hypergeom.cdf(seen, scope, most, examined) >= 0.05 * (1 - 1e-7)
    if most < scope - examined + seen:
        assert stats.hypergeom.cdf(seen, scope, most + 1, examined) < 0.05 * (1 + 1e-7)


@pytest.mark.parametrize("seen", [0, 1, 1000, 2**19, 2**20 - 1, 2**20])
def test_large_samples_take_no_time(seen: int) -> None:
    upper_violations.cache_clear()
    begun = time.perf_counter()
    for scope in (2**20, 2**20 + 1, 2**21, 10**9, 10**15):
        assert seen * scope // 2**20 <= upper_violations(scope, 2**20, seen) + 1
    assert time.perf_counter() - begun < 5


def test_what_is_no_sample_raises() -> None:
    for sample in ((3, 4, 0), (3, 2, 3), (3, 2, -1)):
        with pytest.raises(ValueError):
            upper_violations(*sample)


@given(_samples(400))
def test_more_of_one_defect_never_raises_the_score(sample: tuple[int, int, int]) -> None:
    scope, examined, seen = sample
    if seen < examined:
        fewer, more = (score(_result(Dimension.VALIDITY, examined, v, scope=scope)) for v in (seen, seen + 1))
        assert fewer is not None and more is not None and more <= fewer


_RESULTS = st.lists(
    st.builds(
        lambda dimension, kind, sample: CheckResult("x", dimension, kind, *sample, "x is wrong"),
        st.sampled_from(Dimension),
        st.sampled_from(RuleKind),
        _samples(40),
    ),
    max_size=12,
)


@given(_RESULTS, st.sampled_from([True, False, None]), st.sampled_from([True, False, None]))
def test_a_stranger_recomputes_it_from_the_counts_alone(
    results: list[CheckResult], fidelity: bool | None, privacy: bool | None
) -> None:
    verdict = judge(results, fidelity=fidelity, privacy=privacy)
    body = {"checks": [record_of(r) for r in results], "gates": verdict.gates.record()}
    assert _stranger().recompute(body) == (verdict.score, str(verdict.level))


@given(_samples(3000))
def test_the_stranger_finds_the_same_bound(sample: tuple[int, int, int]) -> None:
    assert _stranger().most_violations(*sample) == upper_violations(*sample)


def test_the_strangers_script_is_short_and_needs_only_the_standard_library() -> None:
    text = _SCRIPT.read_text()
    code = text.split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 50
    assert "numpy" not in text and "customer_data_treatment" not in text


def _five(value: float = 1.0, **other: float | None) -> dict[Dimension, float | None]:
    return {d: other.get(d.value, value) for d in SCORED_DIMENSIONS}


@pytest.mark.parametrize(
    ("dimensions", "level"),
    [
        (_five(), Level.PUBLICATION_READY),
        (_five(0.99), Level.PUBLICATION_READY),
        (_five(0.9899), Level.RESEARCH_GRADE),
        (_five(accuracy=None), Level.RESEARCH_GRADE),
        (_five(0.95), Level.RESEARCH_GRADE),
        (_five(0.9499), Level.EXPLORATORY),
        (_five(completeness=None), Level.EXPLORATORY),
        (_five(reproducibility=None), Level.EXPLORATORY),
        (_five(0.85), Level.EXPLORATORY),
        (_five(0.8499), Level.NOT_CERTIFIED),
        (_five(validity=None), Level.NOT_CERTIFIED),
        (dict.fromkeys(SCORED_DIMENSIONS), Level.NOT_CERTIFIED),
    ],
)
def test_levels(dimensions: dict[Dimension, float | None], level: Level) -> None:
    assert level_of(dimensions, Gates()) is level


@pytest.mark.parametrize("gate", ["integrity", "structural", "fidelity", "privacy"])
def test_a_closed_gate_certifies_nothing(gate: str) -> None:
    assert level_of(_five(), Gates(**{gate: False})) is Level.NOT_CERTIFIED


def test_structural_rules_close_their_gate_and_enter_no_score() -> None:
    clean = [_result(d, 10, 0) for d in SCORED_DIMENSIONS]
    broken = judge([*clean, _result(Dimension.VALIDITY, 10, 1, RuleKind.STRUCTURAL)])
    assert (broken.score, broken.level) == (1.0, Level.NOT_CERTIFIED)
    assert broken.gates == Gates(structural=False)
    damaged = judge([*clean, _result(Dimension.INTEGRITY, 10, 1, RuleKind.STRUCTURAL)])
    assert (damaged.level, damaged.gates) == (Level.NOT_CERTIFIED, Gates(integrity=False))
    kept = judge([*clean, _result(Dimension.INTEGRITY, 10, 0, RuleKind.STRUCTURAL)])
    assert (kept.level, kept.gates.integrity) == (Level.PUBLICATION_READY, True)
    advised = judge([*clean, _result(Dimension.VALIDITY, 10, 9, RuleKind.ADVISORY)])
    assert advised.level is Level.PUBLICATION_READY


def test_nothing_in_scope_is_not_assessed() -> None:
    assert score(_result(Dimension.VALIDITY, 0, 0)) is None
    dimensions = dimension_scores([_result(Dimension.VALIDITY, 0, 0), _result(Dimension.INTEGRITY, 4, 1)])
    assert quality_score(dimensions) is None
    assert judge([]).score is None and judge([]).level is Level.NOT_CERTIFIED
    assert score(_result(Dimension.VALIDITY, 0, 0, scope=7)) == 0.0  # in scope, never looked at


def test_findings_speak_as_loudly_as_their_rule() -> None:
    results = [_result(Dimension.VALIDITY, 10, 1, kind) for kind in RuleKind]
    assert [f.severity for f in findings_of(results)] == [Severity.ERROR, Severity.WARNING, Severity.NOTE]
    assert findings_of([_result(Dimension.VALIDITY, 10, 0)]) == []
    assert findings_of(results)[0].message == "x is wrong (1 of 10)"


def test_a_submission_is_its_worst_dataset() -> None:
    assert worst_of([(1.0, Level.PUBLICATION_READY), (0.9, Level.EXPLORATORY)]) == (0.9, Level.EXPLORATORY)
    assert worst_of([(1.0, Level.PUBLICATION_READY), (None, Level.NOT_CERTIFIED)]) == (
        None,
        Level.NOT_CERTIFIED,
    )
    assert worst_of([]) == (None, Level.NOT_CERTIFIED)
