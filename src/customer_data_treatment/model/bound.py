"""How far a decoded value may lie from the original, and how people write it.

--bound lossless            every field exact (the default)
--bound auto                the smallest form whose fidelity is high enough, field by field
--bound rel=1e-3            1e-3 of the field's finite range
--bound abs=0.01            0.01 in stored numbers' physical units
--bound noise=0.25          a quarter of the estimated noise sigma
--bound FIELD:abs=0.01      for one field; a column is TABLE/COLUMN
"""

import math
from dataclasses import dataclass

from ..errors import CustomerError

KINDS = ("lossless", "auto", "rel", "abs", "noise")


@dataclass(frozen=True, slots=True)
class BoundRequest:
    """One --bound: its kind, its amount (0 for lossless and auto), and the field it names, if any."""

    kind: str
    amount: float = 0.0
    field: str | None = None

    def __str__(self) -> str:
        return self.kind if self.kind in ("lossless", "auto") else f"{self.kind}={self.amount!r}"


def parse_bound(text: str) -> BoundRequest:
    """Return the request that `[FIELD:]KIND[=AMOUNT]` writes; raise CustomerError (bad-bound)."""
    field, separator, written = text.rpartition(":")
    kind, equals, amount = written.partition("=")
    if kind not in KINDS or bool(equals) != (kind in ("rel", "abs", "noise")) or (separator and not field):
        raise _bad(text)
    value = 0.0
    if equals:
        try:
            value = float(amount)
        except ValueError as error:
            raise _bad(text) from error
        if not math.isfinite(value) or value <= 0:
            raise _bad(text)
    return BoundRequest(kind, value, field or None)


def _bad(text: str) -> CustomerError:
    return CustomerError(
        f"{text!r} is no bound",
        code="bad-bound",
        remedy="write lossless, auto, rel=1e-3, abs=0.01 or noise=0.25, after FIELD: if it is for one field",
    )


LOSSLESS = BoundRequest("lossless")


def asked_bound(name: str, requests: tuple[BoundRequest, ...]) -> BoundRequest:
    """Return the bound asked for a field: the last that names it, else the last that names none, else lossless."""
    own = [request for request in requests if request.field == name]
    general = [request for request in requests if request.field is None]
    return own[-1] if own else general[-1] if general else LOSSLESS
