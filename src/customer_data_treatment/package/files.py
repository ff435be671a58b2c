"""Files of a package while it is written: hashed on the way, so that nothing is read again for the manifest."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One line of the manifest."""

    path: str  # relative to the package, "/" between parts
    bytes: int
    sha256: str


class Ledger:
    """The staging folder of one package and what has been written into it.

    `wrap`, if given, turns a binary sink into an encrypting one; digests and sizes are then of the
    ciphertext, and `plain` keeps the digests of the plaintext for the content digest.
    """

    def __init__(self, folder: Path, wrap: "Callable[[str, Any], Any] | None" = None) -> None:
        self.folder = folder
        self.records: dict[str, FileRecord] = {}
        self.plain: dict[str, FileRecord] = {}
        self._wrap = wrap

    def create(self, relative: str, *, sealed: bool = True) -> "HashedFile":
        """Open a new file for writing, with its parent folders."""
        path = self.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        wrap = self._wrap if sealed else None
        return HashedFile(path, relative, self, wrap)

    def write(self, relative: str, pieces: bytes | Iterable[bytes], *, sealed: bool = True) -> FileRecord:
        """Write a whole small file."""
        with self.create(relative, sealed=sealed) as file:
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                file.write(piece)
        return self.plain[relative]

    def bytes_under(self, prefix: str) -> int:
        """Return the plaintext bytes of all files below a folder."""
        return sum(record.bytes for path, record in self.plain.items() if path.startswith(prefix))


class HashedFile:
    """A binary sink that counts and hashes what passes, and is on disk when closed."""

    def __init__(
        self, path: Path, relative: str, ledger: Ledger, wrap: "Callable[[str, Any], Any] | None"
    ) -> None:
        self._file = path.open("xb", buffering=1 << 17)
        self._relative = relative
        self._ledger = ledger
        self._plain = hashlib.sha256()
        self._count = 0
        self._raw = _Raw(self._file) if wrap else None
        self._sink: Any = wrap(relative, self._raw) if wrap else self._file
        self.closed = False

    def write(self, data: Any) -> int:
        """Append bytes."""
        view = memoryview(data).cast("B")
        self._plain.update(view)
        self._count += len(view)
        self._sink.write(view)
        return len(view)

    def tell(self) -> int:
        """Return how many plaintext bytes were written."""
        return self._count

    def flush(self) -> None:
        """Do nothing: close puts everything on disk."""

    def writable(self) -> bool:
        """Say yes, for pyarrow."""
        return True

    def readable(self) -> bool:
        """Say no, for pyarrow."""
        return False

    def seekable(self) -> bool:
        """Say no, for pyarrow."""
        return False

    def close(self) -> None:
        """Put the file on disk and enter it into the ledger."""
        if self.closed:
            return
        self.closed = True
        if self._raw is not None:
            self._sink.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        record = FileRecord(self._relative, self._count, self._plain.hexdigest())
        self._ledger.plain[self._relative] = record
        self._ledger.records[self._relative] = (
            FileRecord(self._relative, self._raw.count, self._raw.digest.hexdigest()) if self._raw else record
        )

    def abandon(self) -> None:
        """Close without a record; the staging folder is about to be removed."""
        self.closed = True
        self._file.close()

    def __enter__(self) -> "HashedFile":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


class _Raw:
    """The file below an encrypting sink."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.count = 0
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.digest.update(view)
        self.count += len(view)
        self._file.write(view)
        return len(view)
