"""How much memory a run takes, as a plain sum that a test holds against the measured peak."""

from ..errors import FacilityError

_SAMPLE = 5 * (8 << 20)  # the sample, its sorted copies, the picture's
_TILES = 2 * (32 << 20)
_FIXED = 24 << 20  # readers, writers, allocator slack
_CHUNK = 1 << 20
_COPIES = 8  # values, stored, padded, frame, decoded again, and what waits to be written


def planned_peak(workers: int) -> int:
    """Return the bytes above the imports that a run with `workers` workers keeps within."""
    return _SAMPLE + _TILES + _FIXED + (2 * workers + 2) * _COPIES * _CHUNK


def workers_within(memory: int, asked: int) -> int:
    """Return how many workers fit the memory; raise FacilityError (memory-plan) if not even one does."""
    for workers in range(max(1, asked), 0, -1):
        if planned_peak(workers) <= memory:
            return workers
    least = planned_peak(1)
    raise FacilityError(
        f"a plan needs {least >> 20} MiB above the imports",
        code="memory-plan",
        remedy=f"allow --memory {(least >> 20) + 1}MiB",
    )
