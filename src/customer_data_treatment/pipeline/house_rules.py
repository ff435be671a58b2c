"""What the institution's settings make of a caller's options."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ..settings import Settings
from .options import TreatOptions

_GIB = 1 << 30


def options_from(settings: Settings, asked: TreatOptions, named: Collection[str] = ()) -> TreatOptions:
    """Return the options in force. `named` lists the options that the caller gave by name: those win.

    privacy_by_default seals; minimum_quality_score and target_compression_ratio yield findings where
    the caller names none, never a bound; max_memory_usage_gb caps memory, cpu_thread_pool_size workers.
    """
    changes: dict[str, Any] = {}
    if settings.privacy_by_default and "seal" not in named:
        changes["seal"] = True
    if asked.minimum_quality is None:
        changes["minimum_quality"] = settings.quality_thresholds.minimum_quality_score
    if asked.target_ratio is None:
        changes["target_ratio"] = settings.quality_thresholds.target_compression_ratio
    if "memory" not in named and settings.max_memory_usage_gb is not None:
        changes["memory"] = min(asked.memory, round(settings.max_memory_usage_gb * _GIB))
    if "workers" not in named and settings.performance_tuning.cpu_thread_pool_size is not None:
        changes["workers"] = min(asked.workers, settings.performance_tuning.cpu_thread_pool_size)
    return replace(asked, **changes)


def requests_at_once(settings: Settings) -> int:
    """Return how many requests may run at once: max_concurrent_requests, and no more than the memory holds."""
    if settings.max_memory_usage_gb is None:
        return settings.max_concurrent_requests
    room = int(settings.max_memory_usage_gb * _GIB // TreatOptions().memory)
    return max(1, min(settings.max_concurrent_requests, room))
