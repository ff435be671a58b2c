"""Sources behind a URL that obstore opens: s3, gs, az, file. Spooled to disk in pieces, then read as files."""

import atexit
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import CustomerError, FacilityError
from .files import LocalSource, locked_folder, surroundings_error

_SCHEMES = ("s3", "gs", "az", "abfs", "file", "https", "http")
_PIECE = 8 << 20


def is_remote(text: str) -> bool:
    """Tell whether a source is named by a URL rather than a path."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isalnum()


def spool(url: str, scratch: Path) -> LocalSource:
    """Return a local copy of the object, or of all objects below a prefix; it goes with the process.

    Credentials come from the environment, as obstore documents them. Memory: one piece of 8 MiB.
    Raise CustomerError (not-found, wrong-usage) or FacilityError (missing-extra, remote-failed).
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise CustomerError(
            f"{parts.scheme}:// is no address that is read",
            code="wrong-usage",
            where=url,
            remedy="use s3, gs, az or file",
        )
    if parts.scheme == "file":
        return LocalSource(Path(unquote(parts.path)))
    try:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ModuleNotFoundError as error:
        raise FacilityError(
            "reading a URL needs obstore, which is not installed",
            code="missing-extra",
            remedy="pip install 'customer-data-treatment[remote]'",
        ) from error
    key = unquote(parts.path).strip("/")
    root, name = f"{parts.scheme}://{parts.netloc}", key.rpartition("/")[2] or parts.netloc
    try:
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder, _ = locked_folder(scratch, "cdt-remote-")  # locked as long as this process lives
    except OSError as error:
        raise surroundings_error(error, scratch) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        store = from_url(root)
        if _is_object(obstore, store, key):
            _copy(obstore, store, key, folder / name)
        elif below := sorted(str(entry["path"]) for batch in obstore.list(store, prefix=key) for entry in batch):
            for path in below:
                _copy(obstore, store, path, folder / name / path.removeprefix(f"{key}/" if key else ""))
        else:
            raise CustomerError("there is no such object", code="not-found", where=url, remedy="check the address")
    except FileNotFoundError as error:
        raise CustomerError("there is no such object", code="not-found", where=url) from error
    except (BaseError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:  # the copy's side
            raise surroundings_error(error, folder) from error
        raise FacilityError(
            f"the remote failed: {str(error).splitlines()[0][:200]}",
            code="remote-failed",
            where=url,
            remedy="check address, credentials and network",
        ) from error
    return LocalSource(folder / name, shown_as=name)


def _is_object(obstore: Any, store: Any, key: str) -> bool:
    """Tell whether an object has exactly that key; a listing shows only what lies below it."""
    try:
        return bool(key) and bool(obstore.head(store, key))
    except FileNotFoundError:
        return False


def _copy(obstore: Any, store: Any, key: str, target: Path) -> None:
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise CustomerError("an object's key is no usable file name", code="not-a-dataset", where=key)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for piece in obstore.get(store, key).stream(min_chunk_size=_PIECE):
            file.write(memoryview(piece))
