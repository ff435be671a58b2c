"""Records as blocks of whole lines, cut into columns by Arrow's kernels rather than cell by cell."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....errors import CustomerError

BLOCK_BYTES = 1 << 20
_LONGEST_LINE = 256 << 20


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines without their ends, the number of each, and what was odd between them."""

    lines: pa.StringArray
    numbers: "np.ndarray[Any, Any]"
    carriage_returns: int = 0
    blank: tuple[int, ...] = ()
    unfinished: bool = False  # the last line has no line end
    spaces: bool = False  # a space stands somewhere
    gaps: bool = False  # a field is empty, or begins or ends with a space


@dataclass(frozen=True, slots=True)
class Cells:
    """A block cut into columns. `fixed` are CHROM ... INFO; `cells` runs over the samples of each record in turn."""

    numbers: "np.ndarray[Any, Any]"
    fixed: tuple[pa.StringArray, ...]
    format: pa.StringArray | None = None
    rest: pa.StringArray | None = None
    cells: pa.StringArray | None = None
    samples: int = 0
    spaces: bool = True
    gaps: bool = True

    @property
    def rows(self) -> int:
        """Return the number of records."""
        return len(self.numbers)


def blocks(stream: BinaryIO, line: int, where: str) -> Iterator[Block]:
    """Yield the rest of a stream as blocks of about 1 MiB; `line` is the number of the first line.

    Raise CustomerError: corrupt (bytes that are no UTF-8 text, NUL), absurd-header (a line beyond 256 MiB).
    """
    while data := stream.read(BLOCK_BYTES):
        if not data.endswith(b"\n"):
            data += stream.readline(_LONGEST_LINE)
            if len(data) > _LONGEST_LINE:
                raise CustomerError(
                    "a line is longer than 256 MiB", code="absurd-header", where=f"{where}, line {line}"
                )
        block = make_block(data, line, where)
        line += data.count(b"\n")
        yield block


def make_block(data: bytes, line: int, where: str) -> Block:
    """Return the block that these bytes are."""
    _expect_text(data, line, where)
    unfinished = not data.endswith(b"\n")
    body = data if unfinished else data[:-1]
    one = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, len(body)], np.int32)), pa.py_buffer(body))
    lines = pc.split_pattern(one, "\n").values
    numbers = np.arange(line, line + len(lines), dtype=np.int64)
    returns = 0
    if b"\r" in data:
        ending = pc.ends_with(lines, "\r")
        returns = pc.sum(ending).as_py() or 0
        lines = pc.utf8_rtrim(lines, "\r")
    blank: tuple[int, ...] = ()
    if pc.min(pc.binary_length(lines)).as_py() == 0:
        keep = pc.not_equal(lines, "")
        kept = keep.to_numpy(zero_copy_only=False)
        blank = tuple(int(number) for number in numbers[~kept])
        lines, numbers = lines.filter(keep), numbers[kept]
    spaces = b" " in data
    gaps = b"\t\t" in data or b"\t\n" in data or b"\n\t" in data or data[0] == 9
    gaps = gaps or (spaces and any(edge in data for edge in (b"\t ", b" \t", b"\n ", b" \n", b" \r")))
    return Block(lines, numbers, returns, blank, unfinished, spaces, gaps or data[:1] == b" ")


def _expect_text(data: bytes, line: int, where: str) -> None:
    if data.isascii() and b"\0" not in data:
        return
    at = data.find(b"\0")
    what = "a NUL byte"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        if at < 0 or error.start < at:
            at, what = error.start, "bytes that are not UTF-8 text"
    if at >= 0:
        number = line + data.count(b"\n", 0, at)
        raise CustomerError(
            f"a record holds {what}", code="corrupt", where=f"{where}, line {number}", remedy="fetch it again"
        )


def cut(block: Block, columns: int, where: str) -> Cells:
    """Return the block's columns; `columns` is how many the column header names.

    Raise CustomerError (ragged-row) naming the first line with another number of columns.
    """
    splits = min(columns, 9)
    parts = pc.split_pattern(block.lines, "\t", max_splits=splits)
    lengths = pc.list_value_length(parts).to_numpy(zero_copy_only=False)
    expected = min(columns, 10)
    _expect_columns(lengths, expected, block.numbers, columns, where)
    rows = len(block.numbers)
    flat = parts.values
    taken = [flat.take(pa.array(np.arange(rows, dtype=np.int64) * expected + j)) for j in range(expected)]
    fixed = tuple(taken[:8])
    if columns <= 9:
        return Cells(block.numbers, fixed, taken[8] if columns == 9 else None, spaces=block.spaces, gaps=block.gaps)
    samples = columns - 9
    if samples == 1:
        if pc.any(pc.match_substring(taken[9], "\t")).as_py():
            extra = np.where(pc.match_substring(taken[9], "\t").to_numpy(zero_copy_only=False), 2, 1)
            _expect_columns(extra, 1, block.numbers, columns, where)
        return Cells(block.numbers, fixed, taken[8], taken[9], taken[9], 1, block.spaces, block.gaps)
    each = pc.split_pattern(taken[9], "\t")
    _expect_columns(pc.list_value_length(each).to_numpy(zero_copy_only=False), samples, block.numbers, columns, where)
    return Cells(block.numbers, fixed, taken[8], taken[9], each.values, samples, block.spaces, block.gaps)


def _expect_columns(
    lengths: "np.ndarray[Any, Any]", expected: int, numbers: "np.ndarray[Any, Any]", columns: int, where: str
) -> None:
    wrong = np.flatnonzero(lengths != expected)
    if len(wrong):
        at = int(wrong[0])
        found = columns - expected + int(lengths[at])
        more = "or more " if lengths[at] > expected else ""
        raise CustomerError(
            f"it has {found} {more}columns where the column header names {columns}",
            code="ragged-row",
            where=f"{where}, line {int(numbers[at])}",
            remedy="part the columns by single tabs and give every record all of them",
        )
