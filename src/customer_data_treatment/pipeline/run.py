"""How work is spread over threads without changing a result: read in order, compute apart, commit in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Run:
    """A pool of workers for one treatment; with one worker nothing leaves the calling thread.

    At most two jobs a worker are under way, so memory is bounded by (2 * workers + 1) chunks. The
    kernels, Blosc, BLAKE3 and SHA-256 release the GIL.
    """

    def __init__(self, workers: int) -> None:
        self.workers = max(1, workers)
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="cdt") if self.workers > 1 else None

    def ordered(self, jobs: Iterable[Job], work: Callable[[Job], Result]) -> Iterator[Result]:
        """Yield work(job) for every job, in the order of the jobs."""
        if self._pool is None:
            for job in jobs:
                yield work(job)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                waiting.append(self._pool.submit(work, job))
                if len(waiting) >= 2 * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Wait for the workers and let them go."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Silent:
    """Progress that no one watches."""

    def stage(self, name: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, amount: int) -> None:
        """Do nothing."""
