"""Voxels behind a gzip layer, read forward, with places to start again from.

A copy of zlib's state (about 40 KiB) is kept at most every 1/128 of the data, so that a box that lies
behind the reader costs a part of the file and not the whole (the idea of zran.c, zlib's examples).
"""

import zlib
from pathlib import Path
from typing import Any, BinaryIO

from ....errors import CustomerError
from ...containers.gzip import open_plain

_PIECE = 1 << 16
_PLACES = 128


class PlainStream:
    """The plain bytes of a file behind one compressed layer, at any position, best read forward."""

    def __init__(self, path: Path, layer: str, where: str, expected: int) -> None:
        self._path = path
        self._where = where
        self._spacing = max(1 << 20, expected // _PLACES)
        self._layer = layer
        self._engine: _Gzip | _Reopened = (_Gzip if layer == "gzip" else _Reopened)(path, where)
        self._places: list[Any] = [self._engine.place()]

    def read_at(self, position: int, target: memoryview) -> int:
        """Fill `target` with the bytes from `position`; return how many there were."""
        self._seek(position)
        done = 0
        while done < len(target):
            piece = self._step(min(_PIECE, len(target) - done))
            if not piece:
                break
            target[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def drain(self, position: int) -> int:
        """Read from `position` to the end, so that the layer's checksum is held; return the end."""
        self._seek(position)
        while self._step(_PIECE):
            pass
        return self._engine.at

    def _seek(self, position: int) -> None:
        best = max((place for place in self._places if place[0] <= position), key=lambda place: place[0])
        if position < self._engine.at or best[0] > self._engine.at:
            self._engine.back_to(best)
        while self._engine.at < position and self._step(min(_PIECE, position - self._engine.at)):
            pass

    def _step(self, length: int) -> bytes:
        piece = self._engine.read(length)
        if self._engine.at >= self._places[-1][0] + self._spacing and len(self._places) <= _PLACES:
            self._places.append(self._engine.place())
        return piece

    def close(self) -> None:
        """Close the file."""
        self._engine.close()


class _Gzip:
    """Members of gzip one after another (RFC 1952); each state can be copied."""

    def __init__(self, path: Path, where: str) -> None:
        self._file: BinaryIO = path.open("rb")
        self._where = where
        self._inflater = zlib.decompressobj(wbits=31)
        self._rest = b""
        self._ended = False
        self.at = 0

    def place(self) -> Any:
        return self.at, self._file.tell(), self._inflater.copy(), self._rest, self._ended

    def back_to(self, place: Any) -> None:
        self.at, compressed, inflater, self._rest, self._ended = place
        self._inflater = inflater.copy()
        self._file.seek(compressed)

    def read(self, length: int) -> bytes:
        while not self._ended:
            data = self._rest or self._file.read(_PIECE)
            if not data:
                raise self._error("truncated", "the gzip stream ends before its data does")
            try:
                piece = self._inflater.decompress(data, length)
            except zlib.error as error:
                raise self._error("corrupt", f"its gzip layer is damaged ({error})") from error
            self._rest = self._inflater.unconsumed_tail
            if self._inflater.eof:
                self._next_member(self._inflater.unused_data)
            if piece:
                self.at += len(piece)
                return piece
        return b""

    def _next_member(self, rest: bytes) -> None:
        rest = rest.lstrip(b"\0")
        while len(rest) < 2 and (more := self._file.read(_PIECE)):
            rest = (rest + more).lstrip(b"\0")
        self._ended = not rest
        self._rest = rest
        self._inflater = zlib.decompressobj(wbits=31)
        if rest and not rest.startswith(b"\x1f\x8b"):
            raise self._error("corrupt", "foreign bytes follow the gzip stream")

    def _error(self, code: str, message: str) -> CustomerError:
        place = f"{self._where}, compressed byte {self._file.tell()}"
        return CustomerError(message, code=code, where=place, remedy="fetch it again")

    def close(self) -> None:
        self._file.close()


class _Reopened:
    """bzip2 and xz, whose states can't be copied: going back opens the file again."""

    def __init__(self, path: Path, where: str) -> None:
        self._path, self._where = path, where
        self._file = open_plain(path, where=where)
        self.at = 0

    def place(self) -> Any:
        return (self.at,)

    def back_to(self, place: Any) -> None:
        if place[0] > self.at:
            return
        self._file.close()
        self._file = open_plain(self._path, where=self._where)
        self.at = 0

    def read(self, length: int) -> bytes:
        piece = self._file.read(length)
        self.at += len(piece)
        return piece

    def close(self) -> None:
        self._file.close()
