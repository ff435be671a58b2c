"""Every failure the product can report, split by whose fault it is.

    CdtError
    ├── CustomerError    what was handed in: the request, the options or the bytes   (exit 2, 3, 4 or 5)
    ├── FacilityError    the surroundings: disk, rights, memory, a missing extra     (exit 7)
    ├── PolicyRefusal    a rule of the institution says no                           (exit 6)
    └── InternalFault    our own mistake; a report is written to a file              (exit 70)

An error is one line: what is wrong, where (file, byte or record), and what to do about it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

OK, USAGE, REFUSED, BELOW_LEVEL, NOT_VERIFIED, POLICY, SURROUNDINGS, FAULT, INTERRUPTED = (
    0,
    2,
    3,
    4,
    5,
    6,
    7,
    70,
    130,
)

# code -> exit status. A code names the failure for scripts; the message is for people.
EXIT_STATUS: Mapping[str, int] = MappingProxyType(
    {
        # the call itself
        "wrong-usage": USAGE,
        "bad-configuration": USAGE,
        "target-exists": USAGE,
        "unknown-field": USAGE,
        "bad-bound": USAGE,
        "bad-schema": USAGE,
        "bad-metadata": USAGE,
        "bad-checksums": USAGE,
        "not-built-yet": USAGE,
        "unknown-request": USAGE,
        "request-conflict": USAGE,
        # the bytes that were handed in
        "not-found": REFUSED,
        "unreadable": REFUSED,
        "not-a-dataset": REFUSED,
        "empty": REFUSED,
        "unsupported-format": REFUSED,
        "truncated": REFUSED,
        "corrupt": REFUSED,
        "ragged-row": REFUSED,
        "absurd-header": REFUSED,
        "source-changed": REFUSED,
        "not-a-package": REFUSED,
        # outcomes
        "below-level": BELOW_LEVEL,
        "not-verified": NOT_VERIFIED,
        "wrong-source": NOT_VERIFIED,
        # rules of the house
        "refused-by-policy": POLICY,
        # the surroundings
        "disk-full": SURROUNDINGS,
        "no-permission": SURROUNDINGS,
        "memory-plan": SURROUNDINGS,
        "missing-extra": SURROUNDINGS,
        "remote-failed": SURROUNDINGS,
        "no-key": SURROUNDINGS,
        "child-died": SURROUNDINGS,
        # ours
        "internal": FAULT,
        # nobody's
        "interrupted": INTERRUPTED,
    }
)


class CdtError(Exception):
    """One failure: a code for scripts, a sentence for people, a place, and the remedy."""

    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, code: str | None = None, where: str = "", remedy: str = "") -> None:
        """Make the error; `code` must be a key of EXIT_STATUS, so that no exit status is invented."""
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message
        self.where = where
        self.remedy = remedy
        self.exit_status = EXIT_STATUS[self.code]

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by value: errors cross from the contained child to its parent."""
        return _rebuild, (type(self), self.message, self.code, self.where, self.remedy)

    def line(self) -> str:
        """Return the one line that stderr shows."""
        place = f" ({self.where})" if self.where else ""
        advice = f"; {self.remedy}" if self.remedy else ""
        return " ".join(f"cdt: {self.code}: {self.message}{place}{advice}".split())

    def record(self) -> dict[str, str]:
        """Return the object that `--json` shows under "error"."""
        return {"code": self.code, "message": self.message, "where": self.where, "remedy": self.remedy}


class CustomerError(CdtError):
    """What was handed in cannot be taken as it is."""

    default_code = "corrupt"


class FacilityError(CdtError):
    """The surroundings failed; trying again elsewhere or later may help."""

    default_code = "remote-failed"


class PolicyRefusal(CdtError):
    """A rule of the institution forbids it."""

    default_code = "refused-by-policy"


class InternalFault(CdtError):
    """A mistake of our own."""

    default_code = "internal"


def _rebuild(kind: type[CdtError], message: str, code: str, where: str, remedy: str) -> CdtError:
    return kind(message, code=code, where=where, remedy=remedy)
