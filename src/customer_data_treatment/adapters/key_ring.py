"""The key ring on this machine: one file a key under CDT_HOME/keys, readable by its owner alone.

A key's id is a digest of the key, so that a damaged file is noticed before it is used. `current` names
the key that new packages are wrapped with; older keys stay and go on opening what they wrapped.
"""

import fcntl
import hashlib
import hmac
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import FacilityError

KEY_BYTES = 32

_ID_LABEL = b"customer-data-treatment/key-id@v1\x00"
_ID = re.compile(r"k[0-9a-f]{24}\Z")
_CURRENT, _LOCK = "current", ".lock"


class FileKeyRing:
    """Keys in files; satisfies ports.KeyRing. Nothing is read or made before it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, CDT_HOME/keys; it is made with mode 0700 at first use."""
        self._folder = folder

    def current_key_id(self) -> str:
        """Return the id of the key for new packages; the first call ever makes one, once among all processes.

        Raise FacilityError: no-permission (the folder cannot be written), no-key (others may read it).
        """
        path = self._folder / _CURRENT
        named = self._read(path)
        if named is not None:
            return self._checked(named)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._locked():
                named = self._read(path)  # another process may have been faster
                if named is not None:
                    return self._checked(named)
                key = os.urandom(KEY_BYTES)
                key_id = key_id_of(key)
                self._put(self._path(key_id), key.hex())
                self._put(path, key_id)
                return key_id
        except OSError as error:
            raise FacilityError(
                f"the key ring cannot be written: {error.strerror}",
                code="no-permission",
                where=str(self._folder),
                remedy="let CDT_HOME name a folder that you may write",
            ) from error

    def key(self, key_id: str) -> bytes:
        """Return a key's 32 bytes; raise FacilityError (no-key) naming its id where it is missing or unfit."""
        text = self._read(self._path(key_id)) if _ID.match(key_id) else None
        if text is None:
            raise FacilityError(
                f"the key ring lacks key {key_id[:80]!r}",
                code="no-key",
                where=str(self._folder),
                remedy="open it where it was sealed, or copy that key's file into this folder (mode 0600)",
            )
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if not hmac.compare_digest(key_id_of(key), key_id):
            raise _unfit("the key's file is damaged", self._path(key_id), "bring it back from a copy")
        return key

    def key_ids(self) -> tuple[str, ...]:
        """Return the ids of all keys in the ring, sorted."""
        try:
            return tuple(sorted(path.stem for path in self._folder.glob("k*.key") if _ID.match(path.stem)))
        except OSError:
            return ()

    def _path(self, key_id: str) -> Path:
        return self._folder / f"{key_id}.key"

    def _checked(self, named: str) -> str:
        if not _ID.match(named):
            raise _unfit("the name of the current key is damaged", self._folder / _CURRENT, "bring it back from a copy")
        return named

    def _read(self, path: Path) -> str | None:
        """Return a file's text, None where there is none; refuse what others may read or change."""
        try:
            for looked_at in (self._folder, path):
                if stat.S_IMODE(looked_at.stat().st_mode) & 0o077:
                    mode = "700" if looked_at == self._folder else "600"
                    raise _unfit(
                        "others may read or change it, so it is not used", looked_at, f"chmod {mode} {looked_at}"
                    )
            return path.read_text("ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise _unfit(f"the key ring cannot be read: {reason}", path, "check its owner and permissions") from error

    def _put(self, path: Path, text: str) -> None:
        """Put a file on disk whole or not at all."""
        beside = path.with_name(f".{path.name}.new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def key_id_of(key: bytes) -> str:
    """Return the id of a key: "k" and 24 hex digits of a digest that tells nothing about the key."""
    return "k" + hashlib.sha256(_ID_LABEL + key).hexdigest()[:24]


def _unfit(message: str, path: Path, remedy: str) -> FacilityError:
    return FacilityError(message, code="no-key", where=str(path), remedy=remedy)
