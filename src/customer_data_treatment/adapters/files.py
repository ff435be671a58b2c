"""Local files and folders: the source that is never written to."""

import os
import stat
from pathlib import Path

from ..errors import CustomerError


class LocalSource:
    """A file or folder on this machine."""

    def __init__(self, path: Path, *, shown_as: str | None = None) -> None:
        """Look at the path without following it into devices or pipes.

        Raise CustomerError: not-found, unreadable, not-a-dataset (fifo, socket, device).
        """
        self._path = path
        self.name = shown_as or path.name or str(path)
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            raise CustomerError(
                "there is no such file or folder", code="not-found", where=str(path), remedy="check the path"
            ) from error
        except OSError as error:
            raise _unreadable(path, error) from error
        self.is_folder = stat.S_ISDIR(mode)
        if not self.is_folder and not stat.S_ISREG(mode):
            raise CustomerError(
                "it is a pipe, socket or device, not a file",
                code="not-a-dataset",
                where=str(path),
                remedy="save it to a file first",
            )
        if not os.access(path, os.R_OK | (os.X_OK if self.is_folder else 0)):
            raise _unreadable(path, None)
        self._files = tuple(_listing(path)) if self.is_folder else ((path.name, path.stat().st_size),)
        self.size = sum(size for _, size in self._files)

    def local_path(self) -> Path:
        """Return the path itself."""
        return self._path

    def head(self, length: int) -> bytes:
        """Return the first bytes of a file, b"" for a folder."""
        if self.is_folder:
            return b""
        try:
            with self._path.open("rb") as file:
                return file.read(length)
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def files(self) -> tuple[tuple[str, int], ...]:
        """Return (relative name, bytes) of every file, sorted."""
        return self._files


def _listing(folder: Path) -> list[tuple[str, int]]:
    found = []
    for root, directories, names in os.walk(folder):
        directories.sort()
        for name in names:
            path = Path(root) / name
            mode = path.lstat().st_mode
            if not stat.S_ISREG(mode) and not (stat.S_ISLNK(mode) and path.is_file()):
                raise CustomerError(
                    "the folder holds a pipe, socket, device or dangling link",
                    code="not-a-dataset",
                    where=str(path),
                    remedy="remove it from the folder",
                )
            found.append((path.relative_to(folder).as_posix(), path.stat().st_size))
    return sorted(found)


def _unreadable(path: Path, error: OSError | None) -> CustomerError:
    reason = error.strerror if error and error.strerror else "permission denied"
    return CustomerError(
        f"it cannot be read: {reason}", code="unreadable", where=str(path), remedy="check the permissions"
    )
