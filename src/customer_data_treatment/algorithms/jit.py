"""How kernels are compiled: explicit signatures, cached under CDT_HOME, no fast-math.

Fast-math would let the compiler reorder sums and drop NaN, and these kernels are what proves a
bound. A cache folder that cannot be written costs a compilation a run, nothing else.
"""

import os
from collections.abc import Callable
from typing import Any

from ..settings import state_folder

os.environ.setdefault("NUMBA_CACHE_DIR", str(state_folder() / "kernels"))

from numba import njit  # noqa: E402  the cache folder must be known before numba is imported


def kernel(*signatures: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for these signatures; it releases the GIL."""

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(list(signatures), nogil=True, cache=True, fastmath=False)(function)
        except (RuntimeError, OSError):  # "no locator available": nowhere to keep the cache
            return njit(list(signatures), nogil=True, cache=False, fastmath=False)(function)

    return compile_


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a helper into the kernels that call it."""
    compiled: Callable[..., Any] = njit(nogil=True, fastmath=False, inline="always")(function)
    return compiled
