"""Files of a package while it is written: hashed on the way, so that nothing is read again for the manifest."""

import hashlib
import shutil
from collections.abc import Iterable
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
    """The staging folder of one package and what has been written into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: dict[str, FileRecord] = {}

    def create(self, relative: str) -> "HashedFile":
        """Open a new file for writing, with its parent folders."""
        path = self.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return HashedFile(path, relative, self)

    def write(self, relative: str, pieces: bytes | Iterable[bytes]) -> FileRecord:
        """Write a whole small file."""
        with self.create(relative) as file:
            for piece in [pieces] if isinstance(pieces, bytes) else pieces:
                file.write(piece)
        return self.records[relative]

    def discard(self, prefix: str) -> None:
        """Remove the files below a folder (a path that ends in "/") or one file."""
        for listed in [p for p in self.records if p == prefix or (prefix.endswith("/") and p.startswith(prefix))]:
            del self.records[listed]
        path = self.folder / prefix
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def rename(self, old: str, new: str) -> None:
        """Put one file in another's place."""
        (self.folder / old).replace(self.folder / new)
        record = self.records.pop(old)
        self.records[new] = FileRecord(new, record.bytes, record.sha256)

    def bytes_under(self, prefix: str) -> int:
        """Return the bytes of all files below a folder."""
        return sum(record.bytes for path, record in self.records.items() if path.startswith(prefix))


class HashedFile:
    """A binary sink that counts and hashes what passes; staging's commit puts it on disk."""

    def __init__(self, path: Path, relative: str, ledger: Ledger) -> None:
        self._file = path.open("xb", buffering=1 << 17)
        self._relative = relative
        self._ledger = ledger
        self._digest = hashlib.sha256()
        self._count = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Append bytes."""
        view = memoryview(data).cast("B")
        if self.closed:  # a writer that is collected after a failure still wants to end its file
            return len(view)
        self._digest.update(view)
        self._count += len(view)
        self._file.write(view)
        return len(view)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._count

    def flush(self) -> None:
        """Do nothing: close hands everything over."""

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
        """End the file and enter it into the ledger."""
        if self.closed:
            return
        self.closed = True
        self._file.close()
        record = FileRecord(self._relative, self._count, self._digest.hexdigest())
        self._ledger.records[self._relative] = record

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
