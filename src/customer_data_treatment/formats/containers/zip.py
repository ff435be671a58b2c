"""Members of a zip read by place, in bounded memory, their CRC held against their bytes.

A stored member is read where it lies. A deflated one is a stream: boxes in forward order cost one
pass; going back opens it again, and where that has cost four passes the member is unpacked to an
unnamed temporary file. Only Python's own methods (stored, deflate, bzip2, LZMA) are read.
"""

import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Self

from ...errors import CustomerError, FacilityError
from . import raw

_PIECE = 1 << 20
_METHODS = {
    zipfile.ZIP_STORED: "",
    zipfile.ZIP_DEFLATED: "deflate",
    zipfile.ZIP_BZIP2: "bzip2",
    zipfile.ZIP_LZMA: "lzma",
}
_DEFLATE_LIMIT = 1032  # no deflate stream unpacks to more bytes a byte
_PATIENCE = 4
_ENCRYPTED = 0x1
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class Archive:
    """An open zip: its members in order, the last one of each name."""

    def __init__(self, path: Path, where: str) -> None:
        """Read the central directory.

        Raise CustomerError: truncated or corrupt (no directory), unsupported-format (encrypted, an
        unknown method), absurd-header (a member that claims more than its method can give).
        """
        self.where = where
        self.file: BinaryIO = path.open("rb")
        try:
            self._zip = zipfile.ZipFile(self.file)
        except _DAMAGE as error:
            self.file.close()
            raise CustomerError(
                f"its zip directory cannot be read: {error}",
                code="truncated",
                where=where,
                remedy="fetch it again",
            ) from error
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        latest = {info.filename: info for info in infos}
        self.members = {name: Member(self, info) for name, info in latest.items()}
        self.shadowed = [Member(self, info) for info in infos if latest[info.filename] is not info]
        try:
            for info in infos:
                _expect_readable(info, where)
        except CustomerError:
            self.close()
            raise

    @property
    def compression(self) -> str | None:
        """Return the methods that compress its members, None where all are stored."""
        return ", ".join(sorted({m.method for m in self.members.values()} - {""})) or None

    def open(self, info: zipfile.ZipInfo) -> IO[bytes]:
        """Open a member as a stream; raise CustomerError (corrupt)."""
        try:
            return self._zip.open(info)
        except _DAMAGE as error:
            raise damaged(self.where, info.filename, error) from error

    def close(self) -> None:
        """Close the archive and what its members keep open; safe to call twice."""
        for member in self.members.values():
            member.close()
        self._zip.close()
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def _expect_readable(info: zipfile.ZipInfo, where: str) -> None:
    place = f"{where}, member {info.filename}"
    if info.flag_bits & _ENCRYPTED:
        raise CustomerError(
            "a member of the zip is encrypted", code="unsupported-format", where=place, remedy="unpack it with its password first"
        )  # fmt: skip
    if info.compress_type not in _METHODS:
        raise CustomerError(
            f"a member is compressed by zip method {info.compress_type}",
            code="unsupported-format",
            where=place,
            remedy="pack it again with deflate",
        )
    most = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATE_LIMIT}.get(info.compress_type)
    if most is not None and info.file_size > most * info.compress_size + 64:
        raise CustomerError(
            f"a member claims {info.file_size} bytes in {info.compress_size} compressed ones",
            code="absurd-header",
            where=place,
            remedy="fetch it again",
        )


def damaged(where: str, name: str, error: Exception) -> CustomerError:
    """Return the error for a member whose bytes or checksum are wrong."""
    said = " ".join(str(error).split())[:120] or type(error).__name__
    return CustomerError(
        f"a member of the zip cannot be unpacked: {said}",
        code="corrupt",
        where=f"{where}, member {name}",
        remedy="fetch it again",
    )


class Member:
    """One member; `fill` puts its bytes from a place on into memory (raw.Fill)."""

    def __init__(self, archive: Archive, info: zipfile.ZipInfo) -> None:
        self._archive, self.info = archive, info
        self.name, self.size = info.filename, info.file_size
        self.method = _METHODS.get(info.compress_type, "unknown")
        self._stream: IO[bytes] | None = None
        self._at = 0
        self._unpacked = 0
        self._spool: Any = None
        self._stored_at: int | None = None
        self._verified = False

    def fill(self, target: memoryview, at: int) -> None:
        """Fill memory with the member's bytes from `at` on; raise CustomerError (corrupt)."""
        if not self.method:
            raw.fill(
                self._archive.file.fileno(),
                target,
                self._start() + at,
                self._archive.where,
            )
            return
        if self._spool is not None:
            raw.fill(self._spool.fileno(), target, at, self._archive.where)
            return
        if at < self._at and self._unpacked > _PATIENCE * self.size:
            self._unpack()
            self.fill(target, at)
            return
        self._move(at)
        done = 0
        while done < len(target):
            piece = self._next(min(_PIECE, len(target) - done))
            target[done : done + len(piece)] = piece
            done += len(piece)
        if self._at == self.size:
            self._finish()

    def _start(self) -> int:
        """Return where a stored member's bytes lie: behind its local header (APPNOTE 4.3.7)."""
        if self._stored_at is None:
            head = os.pread(self._archive.file.fileno(), 30, self.info.header_offset)
            if len(head) < 30 or head[:4] != b"PK\x03\x04":
                raise damaged(
                    self._archive.where,
                    self.name,
                    ValueError("its local header is missing"),
                )
            names, extra = struct.unpack("<HH", head[26:30])
            self._stored_at = self.info.header_offset + 30 + names + extra
        return self._stored_at

    def _move(self, at: int) -> None:
        if self._stream is None or at < self._at:
            if self._stream is not None:
                self._stream.close()
            self._stream = self._archive.open(self.info)
            self._at = 0
        while self._at < at:
            self._next(min(_PIECE, at - self._at))

    def _next(self, size: int) -> bytes:
        assert self._stream is not None
        try:
            piece = self._stream.read(size)
        except _DAMAGE as error:
            raise damaged(self._archive.where, self.name, error) from error
        if not piece and size:
            raise damaged(self._archive.where, self.name, EOFError("it ends too soon"))
        self._at += len(piece)
        self._unpacked += len(piece)
        return piece

    def _finish(self) -> None:
        """Read the end, where Python holds the CRC against the bytes."""
        assert self._stream is not None
        try:
            self._stream.read(1)
        except _DAMAGE as error:
            raise damaged(self._archive.where, self.name, error) from error
        self._verified = True

    def _unpack(self) -> None:
        spool = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the member)
        try:
            for piece in self.pieces():
                spool.write(piece)
            spool.flush()
        except OSError as error:
            spool.close()
            raise FacilityError(
                f"the member {self.name} cannot be unpacked: {error.strerror}", code="disk-full", remedy="free space in TMPDIR"
            ) from error  # fmt: skip
        except BaseException:
            spool.close()
            raise
        self._spool = spool

    def pieces(self) -> Iterator[bytes]:
        """Yield all its bytes, at most 1 MiB at a time, and hold the CRC against them."""
        with self._archive.open(self.info) as stream:
            done = 0
            while True:
                try:
                    piece = stream.read(_PIECE)
                except _DAMAGE as error:
                    raise damaged(self._archive.where, self.name, error) from error
                if not piece:
                    break
                done += len(piece)
                yield piece
        if done != self.size:
            raise damaged(self._archive.where, self.name, EOFError("it ends too soon"))
        self._verified = True

    def verify(self) -> None:
        """Hold the CRC against the bytes, unless reading has done so already; raise CustomerError (corrupt)."""
        if not self._verified:
            for _ in self.pieces():
                pass

    def close(self) -> None:
        """Let go of the stream and the temporary file."""
        for held in (self._stream, self._spool):
            if held is not None:
                held.close()
        self._stream, self._spool = None, None
