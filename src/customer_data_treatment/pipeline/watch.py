"""The checks that watch one field's values while they pass: observed apart, merged in chunk order."""

from collections.abc import Sequence
from typing import Any

from ..model.chunk import Chunk
from ..plugin import Observer


class Watch:
    """The observers of one field and what they have seen so far."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self.partials: list[Any] = [None] * len(self._observers)

    def observe(self, chunk: Chunk) -> tuple[Any, ...]:
        """Return what each observer sees in a chunk; from any thread."""
        return tuple(observer.observe(chunk) for observer in self._observers)

    def merge(self, seen: tuple[Any, ...]) -> None:
        """Add what was seen in the next chunk."""
        for i, (observer, partial) in enumerate(zip(self._observers, seen, strict=True)):
            held = self.partials[i]
            self.partials[i] = partial if held is None else observer.merge(held, partial)
