"""The rows of delimited text, streamed as batches of text columns.

pyarrow's CSV reader splits rows and cells (RFC 4180); this stands around it and refuses ragged rows
and quotes that never close. A bare empty cell comes as null, a quoted one as "".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from ...errors import CustomerError
from .plain_text import BLOCKS, Layout, PlainText, Seen, open_stream
from .slow_rows import line_of_last_row, ragged

_ROWS_A_BLOCK = 32


def text_batches(layout: Layout, seen: Seen | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the data rows as batches of `layout.columns` string columns named by their numbers.

    A batch holds the rows of one block of text. Lines without a character are no rows, except in a
    table of one column, where they are missing cells. At the end `seen`, if given, holds what the
    bytes showed. Raise CustomerError (ragged-row, corrupt, truncated) and NotUtf8.
    """
    with open_stream(layout) as stream:
        last: pa.RecordBatch | None = None
        with _arrow_errors(layout) as refused:
            for batch in _reader(stream, layout, refused):
                stream.block_used()
                if batch.num_rows:
                    last = batch
                    yield batch
        if last is not None:
            _expect_closed(stream.seen.tail, last, layout)
        if seen is not None:
            for name in Seen.__dataclass_fields__:
                setattr(seen, name, getattr(stream.seen, name))


def next_block(block: int) -> int | None:
    """Return the next larger block size, None after the largest."""
    return next((size for size in BLOCKS if size > block), None)


def block_for(row: int) -> int:
    """Return the block size that holds at least some dozen rows of that many bytes, where one does."""
    return next((size for size in BLOCKS if size >= _ROWS_A_BLOCK * row), BLOCKS[-1])


class RowTooLong(Exception):
    """A row is longer than the block."""


def _reader(stream: PlainText, layout: Layout, refused: list[int]) -> Iterator[pa.RecordBatch]:
    if stream.is_empty():
        return  # pyarrow refuses an empty text
    names = [str(number) for number in range(layout.columns)]

    def refuse(row: Any) -> str:
        refused.append(row.number)
        return "error"

    yield from arrow_csv.open_csv(
        pa.PythonFile(_Blocks(stream), mode="r"),
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=layout.block, column_names=names),
        parse_options=arrow_csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if layout.quoting else False,
            newlines_in_values=layout.quoting,
            ignore_empty_lines=layout.columns > 1,
            invalid_row_handler=refuse,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            check_utf8=False,
        ),
    )


@contextmanager
def _arrow_errors(layout: Layout) -> Iterator[list[int]]:
    refused: list[int] = []
    try:
        yield refused
    except pa.ArrowInvalid as error:
        if refused:
            raise ragged(layout, refused[0]) from error
        if "straddl" in str(error) or "block size" in str(error):
            if next_block(layout.block) is None:
                raise CustomerError(
                    f"a row is longer than {layout.block >> 20} MiB",
                    code="corrupt",
                    where=layout.where,
                    remedy="look for a quote that never closes",
                ) from error
            raise RowTooLong from error
        raise CustomerError(
            "its rows cannot be told apart", code="corrupt", where=layout.where, remedy="save it again"
        ) from error
    except pa.ArrowException as error:
        raise CustomerError(
            f"it cannot be read as text: {str(error).splitlines()[0]}", code="corrupt", where=layout.where
        ) from error


def _expect_closed(tail: bytes, last: pa.RecordBatch, layout: Layout) -> None:
    """Refuse a text that ends inside quotes: pyarrow takes the rest of the file for one cell.

    The text then ends with a cell's opening quote and the cell's own characters.
    """
    value = last.column(layout.columns - 1)[last.num_rows - 1].as_py()
    if not layout.quoting or value is None:
        return
    written = b'"' + value.encode("utf-8").replace(b'"', b'""')
    before = tail[: -len(written)][-1:]
    if tail.endswith(written) and before in (b"", b"\n", b"\r", layout.delimiter.encode()):
        line = line_of_last_row(layout)
        raise CustomerError(
            "a quote opens and never closes",
            code="truncated",
            where=f"{layout.where}, line {line}",
            remedy="fetch it again, or close the quote",
        )


class _Blocks:
    """A PlainText as pyarrow reads it."""

    def __init__(self, stream: PlainText) -> None:
        self._stream = stream
        self.closed = False

    def readable(self) -> bool:
        return True

    def read(self, length: int) -> bytes:
        return self._stream.block(length)

    def close(self) -> None:
        self.closed = True
