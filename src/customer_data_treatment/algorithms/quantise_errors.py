"""The errors of bounded values, and how they merge."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of one chunk or field; `broken` counts values that could not keep the bound."""

    count: int = 0
    broken: int = 0
    largest: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def merge(self, other: "Errors") -> "Errors":
        """Return both parts together."""
        return Errors(
            self.count + other.count,
            self.broken + other.broken,
            max(self.largest, other.largest),
            self.total + other.total,
            self.squares + other.squares,
        )
