"""The decoder and the writer that VCF and BCF share: a stream of VCF text in, one table out, and back.

Memory: about ten times a 1 MiB block of text. Values are read in order; a second pass opens the
stream again.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ....errors import CustomerError
from ....model.dataset import Carried, Dataset, RuleCount
from ....model.verdict import Finding
from ....ports import Box, RestoreSource
from ....vocabulary import CustomerDataType, DataModalityType
from . import bgzf
from .blocks import Block, blocks, cut
from .fixed_rules import FixedRules
from .header import Header, read_header
from .header_rules import check_header
from .info_rules import check_info
from .layout import TABLE, Layout, schema_of, table_field
from .learn import learn
from .records import Parsed, to_lines, trimmed
from .sample_rules import check_counts, check_samples
from .structural import check_structural
from .tally import Tally

HEADER, LAYOUT = "header.vcf", "layout.json"
_PIECE = 1 << 20


class VariantDecoder:
    """Read variant calls, in text or turned into text, as the table `variants`."""

    def __init__(
        self,
        open_text: Callable[[], BinaryIO],
        *,
        format_name: str,
        where: str,
        compression: str | None = None,
        narrow: bool = False,
        bgzf: bool = False,
        file_rules: tuple[RuleCount, ...] = (),
        findings: tuple[Finding, ...] = (),
    ) -> None:
        """Read the header and the first block, from which the columns follow.

        `open_text` opens the plain text anew. `narrow`: floats have 32 bits. `file_rules` are counted
        by the caller. Raise CustomerError: corrupt, truncated, ragged-row, absurd-header, unsupported-format.
        """
        self._open = open_text
        self._where = where
        self._file_rules = file_rules
        self._rules: tuple[RuleCount, ...] = ()
        stream = open_text()
        try:
            self._header = read_header(stream, where)
            self._layout = self._learn(stream, narrow, bgzf)
        finally:
            stream.close()
        self._schema = schema_of(self._layout)
        self.dataset = Dataset(
            format=format_name,
            modality=DataModalityType.GENOMIC_SEQUENCES,
            data_type=CustomerDataType.MULTI_OMICS,
            fields=(table_field(self._layout, self._header),),
            carried=(
                Carried(HEADER, "the header, byte for byte, sample names included", "text/x-vcf"),
                Carried(LAYOUT, "the order of keys and the types of the columns", "application/json"),
            ),
            findings=findings,
            source_compression=compression,
            random_access=False,
        )

    def _learn(self, stream: BinaryIO, narrow: bool, is_bgzf: bool) -> Layout:
        header = self._header
        found = blocks(stream, header.column_line + 1, self._where)
        first = next((block for block in found if len(block.numbers)), None)
        cells = cut(first, len(header.columns), self._where) if first is not None else None
        whole = first is None or next(found, None) is None
        crlf = bool(first and first.carriage_returns * 2 > len(first.numbers))
        layout = learn(header, cells, whole=whole, narrow=narrow, crlf=crlf, bgzf=is_bgzf)
        if whole and cells is not None:
            return trimmed(layout, Parsed(cells, layout, self._where))
        return trimmed(layout, None) if whole else layout

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Raise KeyError: there are no arrays."""
        raise KeyError(name)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the records in order, in batches of about 1 MiB of text; rules are counted on the way."""
        if name != TABLE:
            raise KeyError(name)
        tally = Tally()
        check_header(self._header, tally)
        if not self._header.raw.endswith(b"\n"):
            tally.add("final-newline", 1, [f"line {self._header.column_line}"])
        fixed = FixedRules(self._header, tally)
        stream = self._open()
        try:
            self._header_again(stream)
            for block in blocks(stream, self._header.column_line + 1, self._where):
                self._lines(block, tally)
                if not len(block.numbers):
                    continue
                parsed = self._guarded(block)
                self._check(parsed, fixed, tally)
                yield parsed.batch(self._schema)
        finally:
            stream.close()
        self._rules = (*self._file_rules, *tally.counts())

    def _header_again(self, stream: BinaryIO) -> None:
        if read_header(stream, self._where).raw != self._header.raw:
            raise CustomerError("the header changed between two readings", code="source-changed", where=self._where)

    def _guarded(self, block: Block) -> Parsed:
        try:
            return Parsed(cut(block, len(self._header.columns), self._where), self._layout, self._where)
        except pa.ArrowException as error:  # a capacity of Arrow: no valid record comes near it
            raise CustomerError(
                f"its records cannot be held as a table: {str(error).splitlines()[0]}",
                where=f"{self._where}, line {int(block.numbers[0])}",
            ) from error

    def _lines(self, block: Block, tally: Tally) -> None:
        count = max(1, len(block.numbers) + len(block.blank))
        last = [f"line {int(block.numbers[-1])}"] if len(block.numbers) else []
        tally.add("final-newline", count, last if block.unfinished else [])
        tally.add("blank-line", count, [f"line {number}" for number in block.blank])
        mixed = block.carriage_returns if not self._layout.crlf else count - block.carriage_returns
        tally.add("line-ends", count, [f"lines {int(block.numbers[0])} ff."] if mixed and last else [], mixed)

    def _check(self, parsed: Parsed, fixed: FixedRules, tally: Tally) -> None:
        fixed.check(parsed)
        check_info(parsed, self._header, tally)
        counted = check_samples(parsed, self._header, tally)
        check_counts(parsed, counted, tally)
        check_structural(parsed, self._header, tally)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the header's bytes, or the layout as JSON."""
        data = {HEADER: self._header.raw, LAYOUT: self._layout.dump()}[name]
        for at in range(0, len(data), _PIECE):
            yield data[at : at + _PIECE]

    def rules(self) -> tuple[RuleCount, ...]:
        """Return the counts of the last complete reading."""
        return self._rules

    def close(self) -> None:
        """Do nothing: a stream is open only while its batches are read."""


def write_vcf(package: RestoreSource, target: Path) -> None:
    """Write VCF text; BGZF where the target is called .gz or .bgz."""
    layout = Layout.load(package.carried(LAYOUT))
    with target.open("wb") as file:
        sink: Any = bgzf.Writer(file) if target.suffix.lower() in (".gz", ".bgz") else file
        sink.write(package.carried(HEADER))
        for batch in package.batches(TABLE):
            sink.write(to_lines(batch, layout))
        if sink is not file:
            sink.close()


def header_of(package: RestoreSource) -> Header:
    """Return the header that a package carries."""
    from .header import parse_header

    return parse_header(package.carried(HEADER), HEADER)
