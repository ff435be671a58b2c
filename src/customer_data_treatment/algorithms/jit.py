"""How kernels are compiled: on first use, cached under CDT_HOME, no fast-math.

Fast-math would let the compiler reorder sums and drop NaN, and these kernels are what proves a
bound. A cache folder that cannot be written costs a compilation a run, nothing else.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from ..settings import state_folder

os.environ.setdefault("NUMBA_CACHE_DIR", str(state_folder() / "kernels"))

from numba import njit, typeof

_ONE_AT_A_TIME = threading.Lock()


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function for the types it is called with, each once; it releases the GIL.

    Types are few: callers pass flat contiguous arrays of the dtypes they name, and scalars of fixed
    types. Processes compile and load one at a time: numba numbers its cache files without a lock, so
    two that add different types at once could hand a third the wrong code.
    """
    try:
        compiled = njit(nogil=True, cache=True, fastmath=False)(function)
    except (RuntimeError, OSError):  # "no locator available": nowhere to keep the cache
        compiled = njit(nogil=True, cache=False, fastmath=False)(function)
    known: set[tuple[Any, ...]] = set()

    @wraps(function)
    def called(*arguments: Any) -> Any:
        types = tuple(typeof(argument) for argument in arguments)
        if types not in known:
            with _ONE_AT_A_TIME, _cache_locked():
                compiled.compile(types)
                known.add(types)
        return compiled(*arguments)

    return called


@contextmanager
def _cache_locked() -> Iterator[None]:
    """Hold the cache folder against other processes; a folder that cannot be locked holds no cache either."""
    try:
        folder = Path(os.environ["NUMBA_CACHE_DIR"])
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a helper into the kernels that call it."""
    compiled: Callable[..., Any] = njit(nogil=True, fastmath=False, inline="always")(function)
    return compiled
