"""AES-256-GCM for messages of any size, with key commitment and random access; and wrapping of keys.

C2SP chunked-encryption (https://c2sp.org/chunked-encryption), instance Cobblestone-256 (HKDF-Expand
over SHA-512, AES-256-GCM): salt (24) and commitment (32), then chunks of 16 KiB, each with its own
tag, the last one always shorter, so that a cut, an extension or a swap is seen. Nothing is handed out
before it is authenticated.
"""

import hmac
import io
import os
from collections.abc import Iterator
from typing import IO, Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from ..errors import CustomerError

KEY_BYTES, SALT_BYTES, COMMITMENT_BYTES, TAG_BYTES, NONCE_BYTES = 32, 24, 32, 16, 12
CHUNK_BYTES = 16384
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
HEADER_BYTES = SALT_BYTES + COMMITMENT_BYTES
MOST_CHUNKS = 1 << 38

_INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"
_WRAP_INFO = b"customer-data-treatment/key-wrap@v1\x00"
_PIECE_CHUNKS = 16  # chunks read from disk at once: 256 KiB


class Sink(Protocol):
    """Takes bytes in order; must be done with them when `write` returns."""

    def write(self, data: Any, /) -> Any:
        """Take bytes."""
        ...


def new_key() -> bytes:
    """Return 32 bytes from the system's random generator."""
    return os.urandom(KEY_BYTES)


def derive_key(key: bytes, label: bytes) -> bytes:
    """Return a 32-byte key for one purpose (HKDF-Expand, RFC 5869, over SHA-512)."""
    return HKDFExpand(SHA512(), KEY_BYTES, label).derive(key)


def ciphertext_bytes(plaintext_bytes: int) -> int:
    """Return the size of a message once encrypted."""
    return HEADER_BYTES + plaintext_bytes + (plaintext_bytes // CHUNK_BYTES + 1) * TAG_BYTES


def plaintext_bytes(ciphertext_bytes: int) -> int:
    """Return the size of the message inside a ciphertext; raise CustomerError where none has that size."""
    body = ciphertext_bytes - HEADER_BYTES
    last = body % SEALED_CHUNK_BYTES
    if body < TAG_BYTES or last < TAG_BYTES:
        raise _unauthentic("the ciphertext was cut or extended", "")
    return body // SEALED_CHUNK_BYTES * CHUNK_BYTES + last - TAG_BYTES


class Encryptor:
    """Encrypts one message, piece by piece, into a sink.

    Holds two reused buffers of 16 KiB. `key` must be 32 random bytes; `context` is bound to the
    message and must be given again to read it. Call `close` once, when the message is whole.
    """

    def __init__(self, sink: Sink, key: bytes, context: bytes, *, salt: bytes | None = None) -> None:
        """Write the header. A `salt` is given by tests only: it must never repeat under one key."""
        salt = os.urandom(SALT_BYTES) if salt is None else salt
        self._cipher = _Cipher(key, salt, context, "")
        self._sink = sink
        self._plain = bytearray(CHUNK_BYTES)
        self._sealed = bytearray(SEALED_CHUNK_BYTES)
        self._held = 0
        self._count = 0
        sink.write(salt + self._cipher.commitment)

    def write(self, data: Any) -> int:
        """Take any buffer of bytes; return how many."""
        view = memoryview(data).cast("B")
        place = 0
        if self._held:  # fill up what is waiting first
            place = self._hold(view)
            if self._held == CHUNK_BYTES:
                self._emit(self._plain)
                self._held = 0
        while len(view) - place >= CHUNK_BYTES:  # whole chunks go through without a copy
            self._emit(view[place : place + CHUNK_BYTES])
            place += CHUNK_BYTES
        if place < len(view):
            self._hold(view[place:])
        return len(view)

    def close(self) -> None:
        """Write the short last chunk, which says that the message is whole."""
        self._emit(memoryview(self._plain)[: self._held])
        self._held = 0

    def _hold(self, view: memoryview) -> int:
        taken = min(CHUNK_BYTES - self._held, len(view))
        self._plain[self._held : self._held + taken] = view[:taken]
        self._held += taken
        return taken

    def _emit(self, chunk: Any) -> None:
        length = len(chunk) + TAG_BYTES
        self._cipher.encrypt(self._count, chunk, memoryview(self._sealed)[:length])
        self._sink.write(memoryview(self._sealed)[:length])
        self._count += 1


def encrypt(source: IO[bytes], sink: Sink, key: bytes, context: bytes) -> int:
    """Encrypt all that `source` gives into `sink`; return the plaintext's bytes. Memory: 288 KiB."""
    encryptor = Encryptor(sink, key, context)
    total = 0
    for piece in _pieces(source, _PIECE_CHUNKS * CHUNK_BYTES):
        total += encryptor.write(piece)
    encryptor.close()
    return total


def decrypt(source: IO[bytes], sink: Sink, key: bytes, context: bytes, *, where: str = "") -> int:
    """Decrypt all that `source` gives into `sink`; return the plaintext's bytes. Memory: 272 KiB.

    Raise CustomerError (not-verified) on another key or context, and at the first chunk that was
    changed, moved, cut off or added; what was written before it is authentic but not whole.
    """
    header = source.read(HEADER_BYTES)
    cipher = _opened(header, key, context, where)
    out = bytearray(CHUNK_BYTES)
    total, index, length = 0, 0, SEALED_CHUNK_BYTES
    for piece in _pieces(source, _PIECE_CHUNKS * SEALED_CHUNK_BYTES):
        for start in range(0, len(piece), SEALED_CHUNK_BYTES):
            if length < SEALED_CHUNK_BYTES:
                raise _unauthentic("the ciphertext was extended", where)
            chunk = piece[start : start + SEALED_CHUNK_BYTES]
            length = len(chunk)
            plain = memoryview(out)[: max(length - TAG_BYTES, 0)]
            cipher.decrypt(index, chunk, plain)
            sink.write(plain)
            total += len(plain)
            index += 1
    if length == SEALED_CHUNK_BYTES:
        raise _unauthentic("the ciphertext was cut off", where)
    return total


class DecryptingFile(io.RawIOBase):
    """The plaintext of an encrypted file as a seekable raw file; wrap it in io.BufferedReader.

    A read decrypts the chunks that it touches and no more; the last chunk is authenticated when the
    file is opened, so that its length can be trusted. Owns `file` and closes it. Memory: 32 KiB. Not
    thread-safe. Raise CustomerError (not-verified) as `decrypt` does.
    """

    def __init__(self, file: IO[bytes], key: bytes, context: bytes, *, where: str = "") -> None:
        super().__init__()
        self._file = file
        self._where = where
        try:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            self._cipher = _opened(file.read(HEADER_BYTES), key, context, where)
            try:
                self.size = plaintext_bytes(size)
            except CustomerError as error:
                raise _unauthentic(error.message, where) from None
            self._sealed = bytearray(SEALED_CHUNK_BYTES)
            self._plain = bytearray(CHUNK_BYTES)
            self._place = 0
            self._loaded = -1
            self._load(self.size // CHUNK_BYTES)
        except BaseException:
            file.close()
            raise

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the place in the plaintext."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move in the plaintext; return the new place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the start of the file")
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer with plaintext from the present place; return how many bytes were left to give."""
        view = memoryview(buffer).cast("B")
        wanted = max(0, min(len(view), self.size - self._place))
        done = 0
        while done < wanted:
            index, offset = divmod(self._place, CHUNK_BYTES)
            self._load(index)
            taken = min(CHUNK_BYTES - offset, wanted - done)
            view[done : done + taken] = memoryview(self._plain)[offset : offset + taken]
            done += taken
            self._place += taken
        return done

    def read_at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes of plaintext from `offset` on."""
        self.seek(offset)
        return self.read(length) or b""

    def close(self) -> None:
        """Close the encrypted file too."""
        if not self.closed:
            self._file.close()
        super().close()

    def _load(self, index: int) -> None:
        if index == self._loaded:
            return
        self._loaded = -1
        plain = min(CHUNK_BYTES, self.size - index * CHUNK_BYTES)
        sealed = memoryview(self._sealed)[: plain + TAG_BYTES]
        self._file.seek(HEADER_BYTES + index * SEALED_CHUNK_BYTES)
        filled = 0
        while filled < len(sealed):
            got = self._file.readinto(sealed[filled:])  # type: ignore[attr-defined]
            if not got:
                raise _unauthentic("the ciphertext was cut off while it was read", self._where)
            filled += got
        self._cipher.decrypt(index, sealed, memoryview(self._plain)[:plain])
        self._loaded = index


def wrap_key(wrapping_key: bytes, key: bytes, label: str, context: bytes = b"") -> bytes:
    """Return a key encrypted for keeping: nonce (12), ciphertext (32), tag (16), AES-256-GCM.

    `label` names what the key is for and separates the key that encrypts; `context` is authenticated
    and must be given again.
    """
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _wrapper(wrapping_key, label).encrypt(nonce, key, context)


def unwrap_key(wrapping_key: bytes, wrapped: bytes, label: str, context: bytes = b"", *, where: str = "") -> bytes:
    """Return the key inside; raise CustomerError (not-verified) if anything differs from when it was wrapped."""
    if len(wrapped) != NONCE_BYTES + KEY_BYTES + TAG_BYTES:
        raise _unauthentic("a wrapped key has a wrong length", where)
    try:
        return _wrapper(wrapping_key, label).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)
    except InvalidTag:
        raise _unauthentic("a wrapped key was altered, or another key wrapped it", where) from None


class _Cipher:
    """The derived key, nonce and commitment of one message."""

    def __init__(self, key: bytes, salt: bytes, context: bytes, where: str) -> None:
        if len(key) != KEY_BYTES:
            raise _unauthentic(f"the key has {len(key)} bytes, not {KEY_BYTES}", where)
        length = KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES
        derived = HKDFExpand(SHA512(), length, _INFO + salt + context).derive(key)
        self._aead = AESGCM(derived[:KEY_BYTES])
        self._nonce = int.from_bytes(derived[KEY_BYTES : KEY_BYTES + NONCE_BYTES])
        self.commitment = derived[KEY_BYTES + NONCE_BYTES :]
        self._where = where

    def encrypt(self, index: int, plain: Any, out: memoryview) -> None:
        if index >= MOST_CHUNKS:
            raise CustomerError("a file of 4 PiB or more cannot be sealed", code="wrong-usage", where=self._where)
        self._aead.encrypt_into(self._nonce_of(index), plain, None, out)

    def decrypt(self, index: int, sealed: Any, out: memoryview) -> None:
        try:
            if len(sealed) < TAG_BYTES or index >= MOST_CHUNKS:
                raise InvalidTag
            self._aead.decrypt_into(self._nonce_of(index), sealed, None, out)
        except InvalidTag:
            place = f"byte {HEADER_BYTES + index * SEALED_CHUNK_BYTES}"
            where = f"{self._where}, {place}" if self._where else place
            raise _unauthentic("the ciphertext was altered, moved or cut off", where) from None

    def _nonce_of(self, index: int) -> bytes:
        return (self._nonce ^ index).to_bytes(NONCE_BYTES)


def _opened(header: bytes, key: bytes, context: bytes, where: str) -> _Cipher:
    if len(header) != HEADER_BYTES:
        raise _unauthentic("the ciphertext ends inside its header", where)
    cipher = _Cipher(key, header[:SALT_BYTES], context, where)
    if not hmac.compare_digest(cipher.commitment, header[SALT_BYTES:]):
        raise _unauthentic("it was encrypted under another key or for another place, or its header was altered", where)
    return cipher


def _wrapper(wrapping_key: bytes, label: str) -> AESGCM:
    return AESGCM(derive_key(wrapping_key, _WRAP_INFO + label.encode()))


def _pieces(source: IO[bytes], length: int) -> Iterator[memoryview]:
    """Yield what is left of a file in pieces of exactly `length` bytes, the last one shorter, from one buffer."""
    buffer = bytearray(length)
    view = memoryview(buffer)
    while True:
        filled = 0
        while filled < length:
            got = source.readinto(view[filled:])  # type: ignore[attr-defined]
            if not got:
                break
            filled += got
        if filled:
            yield view[:filled]
        if filled < length:
            return


def _unauthentic(message: str, where: str) -> CustomerError:
    return CustomerError(
        message, code="not-verified", where=where, remedy="ask for the package again, or restore it from a copy"
    )
