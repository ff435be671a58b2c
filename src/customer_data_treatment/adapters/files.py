"""Local files and folders: the source that is never written to, the staging that becomes a package."""

import ctypes
import errno
import fcntl
import glob
import os
import shutil
import stat
import tempfile
from pathlib import Path

from ..errors import CdtError, CustomerError, FacilityError


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


class LocalStaging:
    """A staging folder beside the target; a lock on it tells the living from what a killed run left."""

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        """Make the folder and clear stale ones of the same target.

        Raise CustomerError (target-exists) or FacilityError (no-permission, disk-full).
        """
        self._target = target
        self._overwrite = overwrite
        _refuse_existing(target, overwrite=overwrite)
        parent = target.absolute().parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _clear_stale(parent, target.name)
            self.folder = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.cdt-", dir=parent))
            self._lock = os.open(self.folder, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise surroundings_error(error, target) from error
        self._live = True

    def commit(self) -> Path:
        """Put every folder on disk, rename in one step, and return the target."""
        try:
            for root, _, _ in os.walk(self.folder, topdown=False):
                _sync_folder(Path(root))
            self.folder.chmod(0o777 & ~_umask())
            _refuse_existing(self._target, overwrite=self._overwrite)
            if self._target.exists():
                _exchange(self.folder, self._target)  # the old package now lies in the staging folder
                shutil.rmtree(self.folder)
            else:
                self.folder.rename(self._target)
            _sync_folder(self._target.absolute().parent)
        except OSError as error:
            raise surroundings_error(error, self._target) from error
        self._live = False
        os.close(self._lock)
        return self._target

    def discard(self) -> None:
        """Remove the folder if it was not committed."""
        if self._live:
            self._live = False
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)


def is_package(folder: Path) -> bool:
    """Tell whether a folder is a treated package: it has a manifest or a certificate."""
    return (folder / "manifest.json").is_file() or (folder / "certificate.json").is_file()


def _refuse_existing(target: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise CustomerError(
            "the target exists",
            code="target-exists",
            where=str(target),
            remedy="choose another name, or --overwrite to replace a package",
        )
    if target.is_symlink() or not target.is_dir() or not is_package(target):
        raise CustomerError(
            "the target is no package, and only packages are replaced",
            code="target-exists",
            where=str(target),
            remedy="choose another name",
        )


def _clear_stale(parent: Path, name: str) -> None:
    for left in parent.glob(f".{glob.escape(name[:100])}.cdt-*"):
        if left.is_symlink() or not left.is_dir():
            continue
        descriptor = os.open(left, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # a living run
        finally:
            os.close(descriptor)
        shutil.rmtree(left, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def _exchange(staged: Path, target: Path) -> None:
    """Swap two folders in one step (renameat2), or in two where the system has no such call."""
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "renameat2", None)
    if call is not None:
        done = call(_AT_FDCWD, os.fsencode(staged), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE)
        if done == 0:
            return
    aside = target.with_name(f".{target.name[:100]}.replaced")
    target.rename(aside)
    staged.rename(target)
    aside.rename(staged)


def surroundings_error(error: OSError, target: Path) -> CdtError:
    """Return the error that an OSError on the target's side amounts to."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FacilityError(
            "the disk is full", code="disk-full", where=str(target), remedy="free space or choose another target"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FacilityError(
            "the target cannot be written", code="no-permission", where=str(target), remedy="choose another target"
        )
    if error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP):
        return CustomerError(
            f"the target is no usable path: {error.strerror}", code="wrong-usage", where=str(target)
        )
    return FacilityError(
        f"the target failed: {error.strerror or error}", code="disk-full", where=str(target), remedy="check the disk"
    )
