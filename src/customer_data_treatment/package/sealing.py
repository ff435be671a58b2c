"""Sealing: the files of a package that hold values, each encrypted under a key of its own.

    key ring's key --wraps--> package key --wraps--> one key a file --encrypts--> data/…, evidence.parquet,
                                          --keys---> content_sha256 (HMAC)       plan.json, report.html

A file's context is (package id, relative name), so that none can be moved within a package or swapped
between two. The papers that stay plain (crate, manifest, certificate) hold no values. The manifest's
`sealed` holds the package id, the ring's key id and the wrapped keys: another ring's key needs to wrap
the 32 bytes of the package key again, and nothing else.
"""

import base64
import binascii
import hashlib
import hmac
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CustomerError
from ..ports import KeyRing
from ..privacy import encryption
from .layout import EVIDENCE, MANIFEST, PLAN, REPORT

METHOD = "C2SP chunked-encryption, Cobblestone-256 (AES-256-GCM)"
WRAPPING = "AES-256-GCM under HKDF-Expand-SHA-512"

_CONTEXT = b"customer-data-treatment/package@v1"
_PACKAGE_LABEL, _FILE_LABEL = "package key", "file key"
_MAC_LABEL = b"customer-data-treatment/content-mac@v1"
_BUFFER = 1 << 17


@dataclass(frozen=True, slots=True)
class PackageKeys:
    """The keys of one package, open. `files` maps a relative name to its key and grows while a package is made."""

    package_id: str
    key_id: str
    package_key: bytes = field(repr=False)
    wrapped_package_key: bytes = field(repr=False)
    files: dict[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SealedFile:
    """What the manifest says of a sealed file: its ciphertext's size and SHA-256."""

    bytes: int
    sha256: str


def is_sealed(relative: str) -> bool:
    """Tell whether a file of a sealed package is encrypted; the others hold no values."""
    return relative.startswith("data/") or relative in (EVIDENCE, PLAN, REPORT)


def new_package_keys(ring: KeyRing) -> PackageKeys:
    """Return fresh keys for one package, wrapped by the ring's present key; raise FacilityError as the ring does."""
    key_id = ring.current_key_id()
    package_id, package_key = os.urandom(16).hex(), encryption.new_key()
    context = _context(package_id, key_id)
    wrapped = encryption.wrap_key(ring.key(key_id), package_key, _PACKAGE_LABEL, context)
    return PackageKeys(package_id, key_id, package_key, wrapped)


class SealingFile:
    """Encrypts what is written into a sink, and counts and hashes the ciphertext. Memory: 32 KiB."""

    def __init__(self, sink: encryption.Sink, keys: PackageKeys, relative: str) -> None:
        """Begin a file, under a new key that `keys` keeps."""
        key = encryption.new_key()
        keys.files[relative] = key
        self._sink = sink
        self._digest = hashlib.sha256()
        self._count = 0
        self._encryptor = encryption.Encryptor(_Counted(self._take), key, _context(keys.package_id, relative))

    def write(self, data: Any) -> int:
        """Take plaintext."""
        return self._encryptor.write(data)

    def finish(self) -> SealedFile:
        """Write the last chunk and say what the ciphertext came to; the sink stays open."""
        self._encryptor.close()
        return SealedFile(self._count, self._digest.hexdigest())

    def _take(self, data: memoryview) -> None:
        self._digest.update(data)
        self._count += len(data)
        self._sink.write(data)


def seal_file(path_in: Path, path_out: Path, keys: PackageKeys, relative: str) -> SealedFile:
    """Encrypt a file into another one, on disk when this returns; both paths may be the same.

    `relative` is its name in the package ("data/carried/header"), which the ciphertext is bound to.
    Memory: 300 KiB. Safe from several threads for different files. Raise OSError as the disk does.
    """
    beside = path_out.with_name(f".{path_out.name[:200]}.sealing")
    try:
        with path_in.open("rb") as source, beside.open("xb") as sink:
            sealing = SealingFile(sink, keys, relative)
            buffer = bytearray(_BUFFER)
            while got := source.readinto(buffer):
                sealing.write(memoryview(buffer)[:got])
            facts = sealing.finish()
            sink.flush()
            os.fsync(sink.fileno())
        beside.replace(path_out)
    finally:
        beside.unlink(missing_ok=True)
    return facts


def content_mac(keys: PackageKeys, digests: Mapping[str, str]) -> str:
    """Return HMAC-SHA256 over the sorted lines "SHA256  PATH" of the *plaintext* files, under the package key.

    A plain digest would tell whoever guesses the content that the guess is right.
    """
    mac = hmac.new(encryption.derive_key(keys.package_key, _MAC_LABEL), digestmod=hashlib.sha256)
    for path in sorted(digests):
        mac.update(f"{digests[path]}  {path}\n".encode())
    return mac.hexdigest()


def sealed_record(keys: PackageKeys) -> dict[str, Any]:
    """Return the manifest's `sealed`: nothing in it is secret, everything in it is authenticated by its use."""
    wrapped = {
        path: _text(encryption.wrap_key(keys.package_key, key, _FILE_LABEL, _context(keys.package_id, path)))
        for path, key in sorted(keys.files.items())
    }
    return {
        "method": METHOD,
        "wrapping": WRAPPING,
        "package_id": keys.package_id,
        "key_id": keys.key_id,
        "wrapped_package_key": _text(keys.wrapped_package_key),
        "wrapped_file_keys": wrapped,
    }


def keys_from_record(record: Any, ring: KeyRing) -> PackageKeys:
    """Open the keys that a manifest's `sealed` holds.

    Raise FacilityError (no-key) when the ring lacks the key that the record names, CustomerError
    (not-verified) when the record is damaged.
    """
    try:
        package_id, key_id = _word(record["package_id"]), _word(record["key_id"])
        wrapped = _bytes(record["wrapped_package_key"])
        listed = {_safe(path): _bytes(text) for path, text in record["wrapped_file_keys"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _damaged("the record of wrapped keys is damaged") from error
    master = ring.key(key_id)
    package_key = encryption.unwrap_key(master, wrapped, _PACKAGE_LABEL, _context(package_id, key_id), where=MANIFEST)
    files = {
        path: encryption.unwrap_key(package_key, text, _FILE_LABEL, _context(package_id, path), where=MANIFEST)
        for path, text in listed.items()
    }
    return PackageKeys(package_id, key_id, package_key, wrapped, files)


class SealedReader:
    """Plaintext access to a sealed package: open a file, or unseal all of them elsewhere."""

    def __init__(self, folder: Path, keys: PackageKeys) -> None:
        self._folder = folder
        self.keys = keys

    def names(self) -> tuple[str, ...]:
        """Return the relative names of the encrypted files, sorted."""
        return tuple(sorted(self.keys.files))

    def open(self, relative: str) -> io.BufferedReader:
        """Open a file's plaintext: seekable, 32 KiB of memory and its buffer. The plain papers open as they are.

        Raise CustomerError (not-verified) for a file that is missing, altered, cut off or from elsewhere;
        reads of the returned file raise it too.
        """
        path = self._folder / _safe(relative)
        try:
            file = path.open("rb", buffering=0)
        except OSError as error:
            raise _damaged(f"it cannot be opened: {error.strerror}", relative) from error
        key = self.keys.files.get(relative)
        if key is None:
            if is_sealed(relative):
                file.close()
                raise _damaged("the manifest holds no key for it", relative)
            return io.BufferedReader(file, _BUFFER)
        context = _context(self.keys.package_id, relative)
        return io.BufferedReader(encryption.DecryptingFile(file, key, context, where=relative), _BUFFER)

    def unseal_to(self, target: Path, *, under: str = "") -> None:
        """Write the plaintext of every encrypted file whose name starts with `under` below `target`.

        `target` should be a private folder (0700) that the caller removes. Memory: 400 KiB. Raise as `open`.
        """
        for relative in self.names():
            if relative.startswith(under):
                path = target / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                with self.open(relative) as source, path.open("xb") as sink:
                    shutil.copyfileobj(source, sink, _BUFFER)

    def plaintext_sha256(self, relative: str) -> str:
        """Return the SHA-256 of a file's plaintext, as content_mac takes it."""
        with self.open(relative) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def unseal_to(folder: Path, target: Path, ring: KeyRing) -> None:
    """Write a sealed package's plaintext, with its plain papers, below `target`; raise as SealedReader does."""
    with open_sealed(folder, ring) as reader:
        reader.unseal_to(target)
        for path in folder.iterdir():
            if path.is_file() and not is_sealed(path.name):
                shutil.copyfile(path, target / path.name)


@contextmanager
def open_sealed(folder: Path, ring: KeyRing) -> Iterator[SealedReader]:
    """Give plaintext access to a sealed package directory; raise as keys_from_record does."""
    record = read_sealed_record(folder)
    if record is None:
        raise CustomerError("the package is not sealed", code="wrong-usage", where=str(folder))
    yield SealedReader(folder, keys_from_record(record, ring))


def read_sealed_record(folder: Path) -> dict[str, Any] | None:
    """Return the manifest's `sealed`, None where the package is plain; raise CustomerError (not-verified)."""
    try:
        record = json.loads((folder / MANIFEST).read_bytes())["sealed"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged("the manifest cannot be read") from error
    if record is not None and not isinstance(record, dict):
        raise _damaged("the record of wrapped keys is damaged")
    return record


class _Counted:
    """A sink that is one function."""

    def __init__(self, take: Any) -> None:
        self.write = take


def _context(package_id: str, name: str) -> bytes:
    return b"\x00".join((_CONTEXT, package_id.encode(), name.encode()))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a word")
    return value


def _safe(relative: str) -> str:
    """Return a relative name that stays inside its package; a manifest is foreign bytes."""
    parts = relative.split("/")
    if relative.startswith("/") or "\x00" in relative or any(part in ("", ".", "..") for part in parts):
        raise _damaged("the manifest names a file outside the package")
    return relative


def _damaged(message: str, where: str = MANIFEST) -> CustomerError:
    return CustomerError(
        message, code="not-verified", where=where, remedy="ask for the package again, or restore it from a copy"
    )
