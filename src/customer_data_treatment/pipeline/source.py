"""The source's own bytes: digested once, beside the decoding, and shown to have held still."""

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CustomerError
from ..model.checksums import Digester
from ..ports import ByteSource

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceDigest:
    """The SHA-256 of a source: of the file, or of the sorted lines "SHA256  NAME" of a folder's files.

    `files` holds, for each file, every algorithm's hex digest.
    """

    sha256: str
    bytes: int
    files: Mapping[str, Mapping[str, str]]


def source_changed(name: str) -> CustomerError:
    """Return the error for a source that gave other bytes on its second reading."""
    return CustomerError(
        "the source changed while it was read", code="source-changed", where=name, remedy="treat it when it is at rest"
    )


class DigestThread:
    """Digests a source while others decode it; hashing releases the GIL."""

    def __init__(self, source: ByteSource, algorithms: tuple[str, ...] = ()) -> None:
        self._source = source
        self._algorithms = tuple(dict.fromkeys(("sha256", *algorithms)))
        self._before = _stamps(source)
        self._found: dict[str, dict[str, str]] = {}
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="cdt-digest", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            buffer = bytearray(_PIECE)
            for name, _ in self._source.files():
                self._found[name] = self._digest(_path(self._source, name), buffer)
        except BaseException as error:  # handed to the thread that waits
            self._error = error

    def _digest(self, path: Path, buffer: bytearray) -> dict[str, str]:
        digester = Digester(self._algorithms)
        view = memoryview(buffer)
        with path.open("rb", buffering=0) as file:
            while (got := file.readinto(buffer)) and not self._stop.is_set():
                digester.update(view[:got])
        return digester.hexdigests()

    @property
    def name(self) -> str:
        """Return the source's own name."""
        return self._source.name

    @property
    def is_folder(self) -> bool:
        """Tell whether the source is a folder."""
        return self._source.is_folder

    def result(self) -> SourceDigest:
        """Wait and return the digest; raise CustomerError (source-changed) if a file did not hold still."""
        self._thread.join()
        if isinstance(self._error, OSError):
            raise CustomerError(
                f"it cannot be read: {self._error.strerror}", code="unreadable", where=self._source.name
            ) from self._error
        if self._error is not None:
            raise self._error
        if self.moved():
            raise source_changed(self._source.name)
        if not self._source.is_folder:
            digests = next(iter(self._found.values()))
            return SourceDigest(digests["sha256"], self._source.size, self._found)
        lines = "".join(f"{d['sha256']}  {name}\n" for name, d in sorted(self._found.items()))
        return SourceDigest(
            hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest(), self._source.size, self._found
        )

    def moved(self) -> bool:
        """Tell whether a file of the source is another one, or another size or age, than at the start."""
        try:
            return _stamps(self._source) != self._before
        except CustomerError:
            return True

    def cancel(self) -> None:
        """Stop early; what was found is of no use."""
        self._stop.set()
        self._thread.join()


def _path(source: ByteSource, name: str) -> Path:
    return source.local_path() / name if source.is_folder else source.local_path()


def _stamps(source: ByteSource) -> list[tuple[Any, ...]]:
    stamps = []
    for name, listed in source.files():
        try:
            seen = os.stat(_path(source, name))
        except OSError as error:
            raise source_changed(source.name) from error
        if seen.st_size != listed:
            raise source_changed(source.name)
        stamps.append((name, seen.st_size, seen.st_mtime_ns, seen.st_ino))
    return stamps
