"""When text is a table: its lines agree on two or more columns under one delimiter.

One column is a table only under a .csv or .tsv name. Quoted fields follow RFC 4180. This looks at
the head alone; a row that disagrees further on is refused by the decoder, by its line number.
"""

import csv
import io
import re
from dataclasses import dataclass

DELIMITERS = (",", "\t", ";", "|")
_TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
_MOST_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Delimited:
    """A guess from the head: the delimiter, the encoding, and how many columns the lines have.

    `quoting` is False where quotes are plain characters (they only agree when read so). `trimmed`
    says that the tabs of trailing empty cells were stripped from the lines. `preamble` counts the
    comment lines ("#") before the first row.
    """

    delimiter: str
    encoding: str
    columns: int
    quoting: bool = True
    trimmed: bool = False
    preamble: int = 0


def delimited(head: bytes, name: str, *, complete: bool | None = None) -> Delimited | None:
    """Return how the text is delimited, or None where it is no table.

    The delimiter that the most rows agree on wins, then the one with more columns. `complete` says
    whether the head is the whole text (a head shorter than 64 KiB is).
    """
    decoded = decode_text(head)
    if decoded is None:
        return None
    text, encoding = decoded
    if complete is None:
        complete = len(head) < 65536
    named = _plain_name(name).endswith(_TABLE_SUFFIXES)
    tabular = named or _plain_name(name).endswith((".txt", ".data", ".dat"))
    best: tuple[tuple[float, int, bool], Delimited] | None = None
    for delimiter in DELIMITERS:
        preamble, body = _without_comments(text, delimiter)
        if feature_table(body) and not named:
            return None
        for quoting in (True, False) if delimiter == "\t" and '"' in body else (True,):
            widths = _widths(body, delimiter, complete=complete, quoting=quoting)
            if not widths or max(widths) < 2 or (len(widths) < 2 and complete and not tabular):
                continue  # one line alone agrees with nothing
            width = widths[0] if widths[0] > 1 else max(set(widths), key=widths.count)
            if delimiter == "\t" and len(widths) > 2 and set(widths[1:]) == {widths[0] + 1}:
                width, widths = widths[1], widths[1:]  # R's write.table: the row names have no header
            trimmed = delimiter == "\t" and _is_trimmed(body, widths)
            agreement = 1.0 if trimmed else widths.count(width) / len(widths)
            # A ragged file is still a table when most rows agree: the decoder names the row that does not.
            if width > 1 and agreement >= (0.5 if named else 0.9):
                found = Delimited(delimiter, encoding, width, quoting and not trimmed, trimmed, preamble)
                rank = (agreement, width, quoting)
                best = max(best, (rank, found), key=lambda item: item[0]) if best else (rank, found)
    if best:
        return best[1]
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
    start = head[:65536]
    if any(byte < 9 or 13 < byte < 32 for byte in set(start)) or b"\x7f" in start:
        return None
    for cut in range(4):  # the head may end inside a character
        try:
            return head[: len(head) - cut].decode("utf-8-sig"), "utf-8"
        except UnicodeDecodeError:
            continue
    return head.decode("latin-1"), "latin-1"


_FEATURE = re.compile(r"^[^\t\n]*\t[^\t\n]*\t[^\t\n]+\t\d+\t\d+\t[^\t\n]*\t[-+.?]\t[.012]\t[^\t\n]*$")


def feature_table(text: str) -> str | None:
    """Return "GTF" or "GFF" for text whose rows are genomic features, though no header says so.

    Nine columns: integers in 4 and 5, a strand in 7, a phase in 8 (GFF3 specification 1.26).
    """
    lines = [line.rstrip("\r") for line in text[:65536].split("\n")]
    rows = [line for line in lines if line and not line.startswith("#")][:20]
    rows = rows[:-1] if len(rows) > 1 and len(rows) < 20 else rows  # the last may be cut
    if not rows or sum(_FEATURE.match(row) is not None for row in rows) < 0.9 * len(rows):
        return None
    return "GTF" if re.search(r'\b(gene|transcript)_id "', rows[0]) else "GFF"


def _plain_name(name: str) -> str:
    lower = name.lower()
    for wrapper in (".gz", ".bz2", ".xz"):
        lower = lower.removesuffix(wrapper)
    return lower


def _without_comments(text: str, delimiter: str) -> tuple[int, str]:
    """Return how many comment lines stand first, and the rest; a last one with cells is the header."""
    if text.lower().startswith("sep=") and text[5:6] in ("\r", "\n"):
        return 1, text[text.find("\n") + 1 :]  # spreadsheets name the delimiter so
    count, at, last = 0, 0, 0
    while text.startswith("#", at):
        end = text.find("\n", at)
        if end < 0:
            return 0, text
        count, last, at = count + 1, at, end + 1
    if count and delimiter in text[last:at]:
        cells = text[last:at].count(delimiter)
        following = text[at : text.find("\n", at) if "\n" in text[at:] else len(text)]
        if following.count(delimiter) == cells:
            return count - 1, text[last:]
    return count, text[at:]


def _is_trimmed(text: str, widths: list[int]) -> bool:
    """Tell whether an editor stripped trailing tabs: most rows are short and no line ends in a tab."""
    short = sum(width < widths[0] for width in widths)
    return (
        max(widths) == widths[0] > 2
        and 2 * short > len(widths)
        and '"' not in text
        and "\t\n" not in text
        and "\t\r" not in text
    )


def _widths(text: str, delimiter: str, *, complete: bool, quoting: bool) -> list[int]:
    lines = io.StringIO(text, newline="")
    if quoting:
        reader = csv.reader(lines, delimiter=delimiter)
    else:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    rows: list[int] = []
    try:
        for _, row in zip(range(_MOST_ROWS), reader, strict=False):
            rows.append(len(row))
    except csv.Error:  # a cell beyond the csv module's limit: judge by the rows before it
        complete = True
    if not complete and len(rows) > 1 and len(rows) < _MOST_ROWS:
        rows = rows[:-1]  # the last line of the head may be cut
    return [width for width in rows if width]
