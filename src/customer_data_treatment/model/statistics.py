"""Statistics of one array or column that merge: the same under any chunking and merge order.

Counts, minimum and maximum are exact. Mean and second moment follow Chan, Golub and LeVeque
(1983): merged in chunk order, so worker counts change nothing; across chunkings they agree to a few
units in the last place times the logarithm of the number of chunks.
"""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was counted. `count` is every cell, missing ones too.

    `missing` are nulls and fill values; NaN is counted apart in `nan` (both are "no value" for
    completeness). The moments are over finite values only, of stored numbers. `minimum` and
    `maximum` are Python ints for integer fields, None where there is no finite value or no order
    (text, complex). `distinct` is None where it was not counted, else `distinct_exact` says
    whether it is exact.
    """

    count: int = 0
    missing: int = 0
    nan: int = 0
    positive_infinite: int = 0
    negative_infinite: int = 0
    minimum: float | int | None = None
    maximum: float | int | None = None
    mean: float = 0.0
    m2: float = 0.0
    total: int | None = None  # exact sum of an integer field
    distinct: int | None = None
    distinct_exact: bool = False

    @property
    def finite(self) -> int:
        """Return how many values the moments stand on."""
        return self.count - self.missing - self.nan - self.positive_infinite - self.negative_infinite

    @property
    def variance(self) -> float:
        """Return the population variance, 0.0 where there is no value."""
        return self.m2 / self.finite if self.finite else 0.0

    def merge(self, other: "Statistics") -> "Statistics":
        """Return the statistics of both parts together."""
        n, m = self.finite, other.finite
        total = n + m
        delta = other.mean - self.mean
        mean = other.mean if n == 0 else self.mean + delta * (m / total) if m else self.mean
        m2 = self.m2 + other.m2 + (delta * delta * (n * (m / total)) if n and m else 0.0)
        return Statistics(
            count=self.count + other.count,
            missing=self.missing + other.missing,
            nan=self.nan + other.nan,
            positive_infinite=self.positive_infinite + other.positive_infinite,
            negative_infinite=self.negative_infinite + other.negative_infinite,
            minimum=_extreme(min, self.minimum, other.minimum),
            maximum=_extreme(max, self.maximum, other.maximum),
            mean=held(mean),
            m2=held(m2),
            total=None if self.total is None or other.total is None else self.total + other.total,
        )


def held(moment: float) -> float:
    """Return a moment, infinite where its computation overflowed: NaN equals nothing, itself included."""
    return math.inf if math.isnan(moment) else moment


def _extreme(choose: Any, a: float | int | None, b: float | int | None) -> float | int | None:
    if a is None or b is None:
        return b if a is None else a
    return choose(a, b)
