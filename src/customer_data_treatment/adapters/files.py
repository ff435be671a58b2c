"""Local files and folders: the source that is never written to, the staging that becomes a package."""

import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CdtError, CustomerError, FacilityError
from ..model.naming import printable


class LocalSource:
    """A file or folder on this machine."""

    def __init__(self, path: Path, *, shown_as: str | None = None) -> None:
        """Look at the path without following it into devices or pipes.

        Raise CustomerError: not-found, unreadable, not-a-dataset (fifo, socket, device).
        """
        self._path = path
        self.name = printable(shown_as or path.name or path.absolute().resolve().name or str(path))
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
    def refuse(error: OSError) -> None:
        raise _unreadable(Path(os.fsdecode(error.filename or folder)), error)

    found = []
    for root, directories, names in os.walk(folder, onerror=refuse):
        directories.sort()
        for name in (*directories, *names):
            path = Path(root) / name
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                continue
            if not stat.S_ISREG(mode) and not (stat.S_ISLNK(mode) and path.is_file()):
                raise CustomerError(
                    "the folder holds a pipe, socket, device, dangling link or link to a folder",
                    code="not-a-dataset",
                    where=str(path),
                    remedy="remove it from the folder, or put a copy in its place",
                )
            found.append((path.relative_to(folder).as_posix(), path.stat().st_size))
    return sorted(found)


def _unreadable(path: Path, error: OSError | None) -> CustomerError:
    reason = error.strerror if error and error.strerror else "permission denied"
    return CustomerError(
        f"it cannot be read: {reason}", code="unreadable", where=str(path), remedy="check the permissions"
    )


_ATTEMPTS = 5


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
        self._made: list[Path] = []
        try:
            for attempt in range(_ATTEMPTS):
                self._made += _make_parents(parent)
                try:
                    self.folder, self._lock = locked_folder(parent, _beside(target.name))
                    break
                except FileNotFoundError:  # a run beside this one failed and took back the parent that it had made
                    if attempt == _ATTEMPTS - 1:
                        raise
        except OSError as error:
            self._remove_parents()
            raise surroundings_error(error, target) from error
        self._live = True

    def _remove_parents(self) -> None:
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # something else lies there by now
                folder.rmdir()

    def commit(self) -> Path:
        """Put every file and folder on disk, rename in one step, and return the target.

        Files are synced here, not as each is closed: the disk's journal takes hundreds together in a third of the time.
        """
        try:
            for root, _, names in os.walk(self.folder, topdown=False):
                for name in names:
                    _sync(Path(root, name))
                _sync(Path(root))
            self.folder.chmod(0o777 & ~_umask())
            _refuse_existing(self._target, overwrite=self._overwrite)
            if self._target.exists():
                _exchange(self.folder, self._target)  # the old package now lies in the staging folder
                shutil.rmtree(self.folder)
            else:
                _rename_new(self.folder, self._target)
            _sync(self._target.absolute().parent)
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
            self._remove_parents()


_PAPERS = {
    "certificate.json": {"body", "body_sha256", "manifest_sha256", "signature"},
    "manifest.json": {"schema", "files", "sealed"},
}


def is_package(folder: Path) -> bool:
    """Tell whether a folder is a treated package: its manifest or its certificate is one of ours.

    Many a folder holds some other manifest.json; a package with one damaged paper still counts.
    """
    for name, keys in _PAPERS.items():
        path = folder / name
        try:
            if path.is_file() and set(json.loads(path.read_bytes())) == keys:
                return True
        except (OSError, ValueError, TypeError, RecursionError):
            continue
    return False


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


def _beside(name: str) -> str:
    """Return how staging folders of a target begin: hidden, and short enough for any file system."""
    return f".{os.fsdecode(os.fsencode(name)[:100])}.cdt-"


def _make_parents(folder: Path) -> list[Path]:
    """Make a folder and return those that were missing, outermost first."""
    missing = []
    for path in (folder, *folder.parents):
        if os.path.lexists(path):
            break
        missing.append(path)
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a private folder and hold a lock on it; remove what killed runs left under the same prefix.

    The parent is locked meanwhile, so that no run takes another's folder, just made, for a dead one's.
    Return (folder, descriptor): the lock lasts until the descriptor is closed or the process is gone.
    """
    guard = os.open(parent, os.O_RDONLY)
    try:
        _lock(guard, fcntl.LOCK_EX)
        _clear_stale(parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(folder, os.O_RDONLY)
        _lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(guard)
    return folder, descriptor


def _lock(descriptor: int, how: int) -> bool:
    """Return whether the lock was had; some network file systems have none for folders."""
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        return False
    return True


def _clear_stale(parent: Path, prefix: str) -> None:
    for left in parent.glob(f"{glob.escape(prefix)}*"):
        if left.is_symlink() or not left.is_dir():
            continue
        try:
            descriptor = os.open(left, os.O_RDONLY)
        except OSError:
            continue  # another user's
        dead = _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
        if dead:
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give a private folder for plaintext, and remove it; what a killed run left goes first.

    Raise FacilityError (no-permission, disk-full).
    """
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder, lock = locked_folder(parent, "cdt-open-")
    except OSError as error:
        raise surroundings_error(error, parent) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_AT_FDCWD, _RENAME_NOREPLACE, _RENAME_EXCHANGE = -100, 1, 2


def _renameat2(old: Path, new: Path, flags: int) -> bool:
    """Rename in one step; return whether it was done. Raise FileExistsError under _RENAME_NOREPLACE."""
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags) == 0:
        return True
    if flags == _RENAME_NOREPLACE and ctypes.get_errno() == errno.EEXIST:
        raise FileExistsError(errno.EEXIST, "the target exists")
    return False


def _rename_new(staged: Path, target: Path) -> None:
    """Give a folder its name, never over what another run has put there meanwhile."""
    if not _renameat2(staged, target, _RENAME_NOREPLACE):
        staged.rename(target)


def _exchange(staged: Path, target: Path) -> None:
    """Swap two folders in one step (renameat2), or in two where the system has no such call."""
    if _renameat2(staged, target, _RENAME_EXCHANGE):
        return
    aside = target.with_name(f".{os.fsdecode(os.fsencode(target.name)[:100])}.replaced")
    target.rename(aside)
    staged.rename(target)
    aside.rename(staged)


def surroundings_error(error: OSError, target: Path) -> CdtError:
    """Return the error that an OSError on the target's side amounts to."""
    if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
        return CustomerError(
            "the target exists, or a file stands where its folder should",
            code="target-exists",
            where=str(target),
            remedy="choose another name",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return FacilityError(
            "the disk is full", code="disk-full", where=str(target), remedy="free space or choose another target"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FacilityError(
            "the target cannot be written", code="no-permission", where=str(target), remedy="choose another target"
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP):
        return CustomerError(
            f"the target is no usable path: {error.strerror}",
            code="wrong-usage",
            where=str(target),
            remedy="choose another name",
        )
    return FacilityError(
        f"the target failed: {error.strerror or error}", code="disk-full", where=str(target), remedy="check the disk"
    )
