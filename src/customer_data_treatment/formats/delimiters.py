"""When text is a table: its lines agree on two or more columns under one delimiter.

One column is a table only under a .csv or .tsv name. Quoted fields follow RFC 4180. This looks at
the head alone; a row that disagrees further on is refused by the decoder, by its line number.
"""

import csv
import io
from dataclasses import dataclass

DELIMITERS = (",", "\t", ";", "|")
_TABLE_SUFFIXES = (".csv", ".tsv", ".tab")


@dataclass(frozen=True, slots=True)
class Delimited:
    """A guess from the head: the delimiter, the encoding, and how many columns the lines have."""

    delimiter: str
    encoding: str
    columns: int


def delimited(head: bytes, name: str) -> Delimited | None:
    """Return how the text is delimited, or None where it is no table.

    The delimiter that the most rows agree on wins, then the one with more columns.
    """
    decoded = decode_text(head)
    if decoded is None:
        return None
    text, encoding = decoded
    named = _plain_name(name).endswith(_TABLE_SUFFIXES)
    best: tuple[float, int, Delimited] | None = None
    for delimiter in DELIMITERS:
        widths = _widths(text, delimiter, complete=len(head) < 65536)
        if not widths or max(widths) < 2:
            continue
        width = widths[0] if widths[0] > 1 else max(set(widths), key=widths.count)
        agreement = widths.count(width) / len(widths)
        # A ragged file is still a table when most rows agree: the decoder names the row that does not.
        if width > 1 and agreement >= (0.5 if named else 0.9):
            score = (agreement, width, Delimited(delimiter, encoding, width))
            best = max(best, score, key=lambda item: item[:2]) if best else score
    if best:
        return best[2]
    if named and text.strip():
        lower = _plain_name(name)
        return Delimited("\t" if lower.endswith((".tsv", ".tab")) else ",", encoding, 1)
    return None


def decode_text(head: bytes) -> tuple[str, str] | None:
    """Return (text, encoding) of bytes that are text: UTF-8, UTF-16 with its mark, else Latin-1.

    None where control bytes say that they are not text.
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2].decode("utf-16", "replace"), "utf-16"
    if any(byte < 9 or 13 < byte < 32 for byte in set(head)) or b"\x7f" in head:
        return None
    for cut in range(4):  # the head may end inside a character
        try:
            return head[: len(head) - cut].decode("utf-8-sig"), "utf-8"
        except UnicodeDecodeError:
            continue
    return head.decode("latin-1"), "latin-1"


def _plain_name(name: str) -> str:
    lower = name.lower()
    for wrapper in (".gz", ".bz2", ".xz"):
        lower = lower.removesuffix(wrapper)
    return lower


def _widths(text: str, delimiter: str, *, complete: bool) -> list[int]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for _, row in zip(range(2000), reader, strict=False)]
    except csv.Error:
        return []
    if not complete and len(rows) > 1 and len(rows) < 2000:
        rows = rows[:-1]  # the last line of the head may be cut
    return [len(row) for row in rows if row]
