"""data/carried/: what the model does not express, losslessly; compressed where that helps."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ..model.naming import encoded
from .files import Ledger
from .layout import CARRIED

_TRIAL = 1 << 20


def write_carried(ledger: Ledger, name: str, pieces: Iterator[bytes]) -> dict[str, Any]:
    """Write one item and return {"name", "path", "bytes", "compressed"}; memory is about 1 MiB."""
    path = f"{CARRIED}/" + "/".join(encoded(part) for part in name.split("/") if part)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _TRIAL:
            break
    codec = pa.Codec("zstd")  # at its own level: CompressedOutputStream takes a name only
    helps = len(head) > 256 and len(codec.compress(head, asbytes=True)) < 0.9 * len(head)
    if helps:
        path += ".zst"
    total = 0
    with ledger.create(path) as file:
        sink = pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), codec.name) if helps else file
        for piece in _chain(head, pieces):
            sink.write(piece)
            total += len(piece)
        if helps:
            sink.close()
    return {"name": name, "path": path, "bytes": total, "compressed": helps}


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def read_carried(data: bytes, *, compressed: bool) -> bytes:
    """Return a carried item's bytes from its file's."""
    if not compressed:
        return data
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return bytes(stream.read())
