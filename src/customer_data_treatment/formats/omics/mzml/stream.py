"""The XML as bytes: hashed and measured on its way to the parser, and carried without its arrays."""

import hashlib
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ...containers.gzip import open_plain

_CHECKSUM = b"<fileChecksum>"
_START = re.compile(rb"<(?:\w+:)?(spectrum|chromatogram)(?=[\s>])")
_BINARY = re.compile(rb"<(?:\w+:)?binary(?:\s[^>]*)?>")
_LONGEST_TAG = 64
_PIECE = 1 << 18


class Tap:
    """A readable stream that notes where spectra begin and the SHA-1 up to the checksum's start tag.

    The checksum covers all bytes from the beginning to the end of `<fileChecksum>` (mzML 1.1.0, 4.1).
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha1 = hashlib.sha1()
        self._held = b""
        self._at = 0  # position of _held
        self.sealed = False
        self.starts = {b"spectrum": array("q"), b"chromatogram": array("q")}

    @property
    def digest(self) -> str:
        """Return the SHA-1 in hexadecimal."""
        return self._sha1.hexdigest()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, as the parser asks."""
        data = self._file.read(_PIECE if size < 0 else size)
        self._look(data)
        return data

    def _look(self, data: bytes) -> None:
        text = self._held + data
        keep = min(len(text), _LONGEST_TAG) if data else 0
        done = len(text) - keep
        for match in _START.finditer(text):
            if match.start() < done:
                self.starts[match[1]].append(self._at + match.start())
        if not self.sealed:
            end = text.find(_CHECKSUM)
            self.sealed = 0 <= end < done
            self._sha1.update(text[: end + len(_CHECKSUM)] if self.sealed else text[:done])
        self._held, self._at = text[done:], self._at + done


def skeleton(path: Path, where: str) -> Iterator[bytes]:
    """Yield the XML's bytes without the text of its `binary` elements."""
    with open_plain(path, where=where) as file:
        held, inside = b"", False
        while True:
            data = file.read(_PIECE)
            text = held + data
            out = bytearray()
            at = 0
            while at < len(text):
                if inside:
                    end = text.find(b"<", at)
                    at, inside = (len(text), True) if end < 0 else (end, False)
                    continue
                match = _BINARY.search(text, at)
                if match is None:
                    break
                out += text[at : match.end()]
                at, inside = match.end(), True
            keep = 0 if inside or not data else min(_LONGEST_TAG, len(text) - at)
            out += b"" if inside else text[at : len(text) - keep]
            held = text[len(text) - keep :] if keep else b""
            if out:
                yield bytes(out)
            if not data:
                return
