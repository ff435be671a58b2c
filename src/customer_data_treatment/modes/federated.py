"""Federated: the data stays where it lies.

One site alone is treated in place, by the same run as a batch: nothing is sent, so nothing needs hiding
in transit. Rounds between several sites are refused at submission.
"""

from typing import TYPE_CHECKING

from ..pipeline.surroundings import Surroundings
from ..request import ProcessingResult
from . import batch

if TYPE_CHECKING:
    from .batch import Assignment, Treat

ONE_SITE = "federated, one site: the data was treated where it lies, and nothing left the site"


def run(assignment: "Assignment", surroundings: Surroundings, *, treat: "Treat | None" = None) -> ProcessingResult:
    """Treat the only site's dataset in place; raise as pipeline.treat does."""
    return batch.run(assignment, surroundings, treat=treat, federation_note=ONE_SITE)
