"""Encryption against the published vectors, the peer implementation, and every kind of tampering."""

import hashlib
import io
import json
import os
import random
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_data_treatment.errors import CustomerError
from customer_data_treatment.privacy import encryption
from customer_data_treatment.privacy.encryption import (
    CHUNK_BYTES,
    HEADER_BYTES,
    SEALED_CHUNK_BYTES,
    DecryptingFile,
    Encryptor,
)
from tests.corpus_path import CORPUS

KEY = bytes(range(32))
CONTEXT = b"package 1\x00data/a"
VECTORS = "crypto_vectors/wycheproof/c2sp_chunked_encryption_aes_256_gcm_test.json"
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 40_000, 17 * CHUNK_BYTES + 5]


def encrypted(message: bytes, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    sink = io.BytesIO()
    encryption.encrypt(io.BytesIO(message), sink, key, context)
    return sink.getvalue()


def decrypted(sealed: bytes, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    sink = io.BytesIO()
    encryption.decrypt(io.BytesIO(sealed), sink, key, context)
    return sink.getvalue()


def read_whole(sealed: bytes, key: bytes = KEY, context: bytes = CONTEXT) -> bytes:
    with DecryptingFile(io.BytesIO(sealed), key, context) as file:
        return file.read()


def vectors() -> list[Any]:
    if CORPUS is None:
        return []
    loaded = json.loads((CORPUS / VECTORS).read_text())
    return [case for group in loaded["testGroups"] for case in group["tests"]]


@pytest.mark.skipif(CORPUS is None, reason="the corpus is not here")
@pytest.mark.parametrize("reading", [decrypted, read_whole])
def test_all_published_vectors(reading: Any) -> None:
    cases = vectors()
    assert len(cases) == 35
    for case in cases:
        sealed = zlib.decompress(bytes.fromhex(case["ct"]))
        key, context = bytes.fromhex(case["key"]), bytes.fromhex(case["ctx"])
        if case["result"] == "valid":
            message = reading(sealed, key, context)
            assert len(message) == case["msgLength"], case["comment"]
            assert hashlib.sha512(message).hexdigest() == case["msgSha512"], case["comment"]
        else:
            with pytest.raises(CustomerError) as caught:
                reading(sealed, key, context)
            assert caught.value.code == "not-verified", case["comment"]


@pytest.mark.parametrize("size", SIZES)
def test_the_peer_reads_ours_and_we_read_the_peers(size: int) -> None:
    message = random.Random(size).randbytes(size)
    peer = Cobblestone256Decryptor(KEY, CONTEXT)
    sealed = encrypted(message)
    assert peer.update(sealed) + peer.finalize() == message
    theirs = Cobblestone256Encryptor(KEY, CONTEXT)
    assert decrypted(theirs.update(message) + theirs.finalize()) == message
    assert len(sealed) == encryption.ciphertext_bytes(size)
    assert encryption.plaintext_bytes(len(sealed)) == size


@given(st.lists(st.integers(0, 40_000), max_size=6))
@settings(max_examples=30, deadline=None)
def test_pieces_of_any_size_make_the_same_message(sizes: list[int]) -> None:
    message = random.Random(7).randbytes(sum(sizes))
    sink = io.BytesIO()
    encryptor = Encryptor(sink, KEY, CONTEXT)
    place = 0
    for size in sizes:
        assert encryptor.write(message[place : place + size]) == size
        place += size
    encryptor.close()
    assert decrypted(sink.getvalue()) == message


@given(st.integers(0, 60_000), st.integers(0, 70_000))
@settings(max_examples=60, deadline=None)
def test_random_access_gives_the_slice(offset: int, length: int) -> None:
    message = random.Random(3).randbytes(50_000)
    with DecryptingFile(io.BytesIO(encrypted_once()), KEY, CONTEXT) as file:
        assert file.read_at(offset, length) == message[offset : offset + length]
        buffered = io.BufferedReader(file, 100)
        buffered.seek(-10, io.SEEK_END)
        assert buffered.read() == message[-10:]


_ONCE: list[bytes] = []


def encrypted_once() -> bytes:
    if not _ONCE:
        _ONCE.append(encrypted(random.Random(3).randbytes(50_000)))
    return _ONCE[0]


@given(st.integers(0, 10**9), st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_any_flipped_bit_is_seen(place: int, bit: int) -> None:
    sealed = bytearray(encrypted_once())
    sealed[place % len(sealed)] ^= 1 << bit
    for reading in (decrypted, read_whole):
        with pytest.raises(CustomerError):
            reading(bytes(sealed))


@pytest.mark.parametrize("reading", [decrypted, read_whole])
def test_cut_extended_swapped_or_foreign_is_seen(reading: Any) -> None:
    sealed = encrypted_once()
    first = HEADER_BYTES
    a, b = (
        sealed[first : first + SEALED_CHUNK_BYTES],
        sealed[first + SEALED_CHUNK_BYTES : first + 2 * SEALED_CHUNK_BYTES],
    )
    rest = sealed[first + 2 * SEALED_CHUNK_BYTES :]
    tampered = [sealed[:n] for n in (0, 10, 56, 57, 72, len(a) + 56, len(sealed) - 1)]
    tampered += [sealed + b"\0", sealed + rest, sealed[:first] + b + a + rest, sealed[:first] + a + a + rest]
    tampered += [sealed[:first] + a + rest]
    for bad in tampered:
        with pytest.raises(CustomerError):
            reading(bad)
    for key, context in ((KEY[::-1], CONTEXT), (KEY, b"package 2\x00data/a"), (KEY[:16], CONTEXT)):
        with pytest.raises(CustomerError):
            reading(sealed, key, context)


def test_two_encryptions_share_nothing() -> None:
    assert encrypted(b"same") != encrypted(b"same")


def test_memory_stays_bounded(tmp_path: Path) -> None:
    plain, sealed, back = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    plain.write_bytes(os.urandom(8 << 20))
    tracemalloc.start()
    with plain.open("rb") as source, sealed.open("wb") as sink:
        encryption.encrypt(source, sink, KEY, CONTEXT)
    with sealed.open("rb") as source, back.open("wb") as sink:
        encryption.decrypt(source, sink, KEY, CONTEXT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert back.read_bytes() == plain.read_bytes()
    assert peak < 1 << 20


def test_wrapped_keys_open_only_as_they_were_wrapped() -> None:
    key = encryption.new_key()
    wrapped = encryption.wrap_key(KEY, key, "package", b"id 1")
    assert key not in wrapped and encryption.unwrap_key(KEY, wrapped, "package", b"id 1") == key
    altered = bytes([wrapped[0] ^ 1]) + wrapped[1:]
    for attempt in (
        (KEY[::-1], wrapped, "package", b"id 1"),
        (KEY, altered, "package", b"id 1"),
        (KEY, wrapped, "file", b"id 1"),
        (KEY, wrapped, "package", b"id 2"),
        (KEY, wrapped[:-1], "package", b"id 1"),
    ):
        with pytest.raises(CustomerError):
            encryption.unwrap_key(*attempt)
