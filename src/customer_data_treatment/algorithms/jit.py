"""How kernels are compiled: on first use, cached under CDT_HOME, no fast-math.

Fast-math would let the compiler reorder sums and drop NaN, and these kernels are what proves a
bound. A cache folder that cannot be written costs a compilation a run, nothing else.
"""

import os
from collections.abc import Callable
from typing import Any

from ..settings import state_folder

os.environ.setdefault("NUMBA_CACHE_DIR", str(state_folder() / "kernels"))

from numba import njit


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function for the types it is called with, each once; it releases the GIL.

    Types are few: callers pass flat contiguous arrays of the dtypes they name, and scalars of fixed types.
    """
    try:
        return njit(nogil=True, cache=True, fastmath=False)(function)
    except (RuntimeError, OSError):  # "no locator available": nowhere to keep the cache
        return njit(nogil=True, cache=False, fastmath=False)(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a helper into the kernels that call it."""
    compiled: Callable[..., Any] = njit(nogil=True, fastmath=False, inline="always")(function)
    return compiled
