"""Which format a source is, by its content and never by its suffix alone."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from pathlib import Path

from ..errors import CustomerError
from ..plugin import FormatFacts, Head, third_party
from ..ports import ByteSource
from . import FORMATS
from .recognise import foreign

HEAD_BYTES = 65536


def detect(source: ByteSource) -> FormatFacts:
    """Return the facts of the source's format.

    Raise CustomerError: empty (a file of no bytes), unsupported-format (naming the format where
    it is known and not read yet).
    """
    candidates = sorted(all_formats().values(), key=lambda facts: -facts.precedence)
    if source.is_folder:
        folder = source.local_path()
        for facts in candidates:
            if facts.recognises_folder is not None and facts.recognises_folder(folder):
                return facts
        raise CustomerError(
            "the folder is no dataset of a known kind",
            code="unsupported-format",
            where=source.name,
            remedy="hand in one file, a DICOM series or a Zarr folder",
        )
    if source.size == 0:
        raise CustomerError("the file is empty", code="empty", where=source.name, remedy="ask for it again")
    head = head_of(source)
    for facts in candidates:
        if facts.recognises(head):
            return facts
    known = foreign(head)
    what = f"{known} is not read yet" if known else "its content is no format known here"
    raise CustomerError(what, code="unsupported-format", where=source.name, remedy="cdt formats lists what is read")


def all_formats() -> dict[str, FormatFacts]:
    """Return our own formats and those that installed packages register."""
    return {**third_party("format"), **FORMATS}


def head_of(source: ByteSource) -> Head:
    """Read what detection looks at."""
    raw = source.head(HEAD_BYTES)
    plain, wrapper = unwrap(raw)
    members: tuple[str, ...] = ()
    if raw.startswith(b"PK\x03\x04"):
        members = _zip_members(source.local_path())
    return Head(source.name, raw, plain, wrapper, members, source.local_path())


def unwrap(raw: bytes) -> tuple[bytes, str]:
    """Return the first bytes inside one layer of gzip, bzip2 or xz, and the layer's name."""
    try:
        if raw.startswith(b"\x1f\x8b"):
            return _gzip_head(raw), "gzip"
        if raw.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(raw, HEAD_BYTES), "bzip2"
        if raw.startswith(b"\xfd7zXZ\x00"):
            return lzma.LZMADecompressor().decompress(raw, HEAD_BYTES), "xz"
    except (OSError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile):
        return b"", "damaged"
    return raw, ""


def _gzip_head(raw: bytes) -> bytes:
    """Inflate the members that lie in the head: BGZF cuts a file into members of 64 KiB."""
    out, rest = b"", raw
    while rest.startswith(b"\x1f\x8b") and len(out) < HEAD_BYTES:
        inflater = zlib.decompressobj(wbits=31)
        out += inflater.decompress(rest, HEAD_BYTES - len(out))
        rest = inflater.unused_data
    return out


def _zip_members(path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return ()
