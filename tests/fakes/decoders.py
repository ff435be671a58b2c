"""A decoder that misbehaves in the way its source's first word says: abort, hang, print, ..."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from customer_data_treatment.errors import CustomerError
from customer_data_treatment.model.dataset import (
    TEXT,
    ArrayField,
    Carried,
    Column,
    Dataset,
    RuleCount,
    TableField,
)
from customer_data_treatment.model.verdict import Finding
from customer_data_treatment.plugin import FormatCode, FormatFacts
from customer_data_treatment.ports import Box, ByteSource
from customer_data_treatment.vocabulary import (
    CustomerDataType,
    DataModalityType,
    Dimension,
    RuleKind,
    Severity,
)

NUMBERS = np.arange(600_000, dtype="float64").reshape(300, 2000)
WORDS = np.array([["a", None], ["ü€", ""]], dtype=object)
TABLE = pa.record_batch({"n": pa.array([1, None, 3]), "lists": pa.array([[1.5], [], None])})


class WilfulDecoder:
    """Open anything; obey the word in the file."""

    def __init__(self, source: ByteSource) -> None:
        self._word = source.local_path().read_text()
        self._obey("open")
        table = TableField("table", TABLE.schema, tuple(Column(n) for n in TABLE.schema.names), 3 * 4)
        self.dataset = Dataset(
            format="Wilful",
            modality=DataModalityType.GENERAL,
            data_type=CustomerDataType.GENERAL,
            fields=(
                ArrayField("numbers", NUMBERS.shape, "float64", fill=np.float64(-1), attributes={"v": np.arange(3)}),
                ArrayField("words", WORDS.shape, TEXT),
                ArrayField("scalar", (), "datetime64[ns]"),
                ArrayField("none", (0, 3), "complex64"),
                table,
            ),
            carried=(Carried("papers", "bytes"),),
            findings=(Finding("odd", Severity.NOTE, "an oddity"),),
        )

    def _obey(self, when: str) -> None:
        match self._word.split():
            case ["abort", at] if at == when:
                os.write(2, b"terminate called after throwing an instance of 'std::runtime_error'\n")
                os.abort()
            case ["segfault", at] if at == when:
                ctypes.string_at(0)
            case ["kill", at] if at == when:
                os.kill(os.getpid(), signal.SIGKILL)
            case ["hang", at] if at == when:
                while True:
                    time.sleep(0.05)
            case ["memory", at] if at == when:
                np.ones(1 << 40, dtype="uint8")
            case ["exit", at] if at == when:
                os._exit(3)
            case ["refuse", at] if at == when:
                raise CustomerError("it is short", code="truncated", where="byte 7", remedy="fetch it again")
            case ["bug", at] if at == when:
                raise ZeroDivisionError("oops")
            case ["print", at] if at == when:
                print("x" * 200_000, flush=True)
                print("y" * 200_000, file=sys.stderr, flush=True)

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        self._obey("read")
        if name == "scalar":
            return np.array("2020-01-02", dtype="datetime64[ns]")
        if name == "none":
            return np.zeros((0, 3), dtype="complex64")[box]
        return (NUMBERS if name == "numbers" else WORDS)[box]

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        for number in range(4):
            if number == 2:
                self._obey("batches")
            yield TABLE

    def carried(self, name: str) -> Iterator[bytes]:
        self._obey("carried")
        yield b"p" * (1 << 20)
        yield b"q"

    def rules(self) -> tuple[RuleCount, ...]:
        return (RuleCount("r", Dimension.VALIDITY, RuleKind.SCORED, 3, 3, 1, "one is odd", ("row 2",)),)

    def close(self) -> None:
        pass


WILFUL = FormatCode(open=WilfulDecoder)
FACTS = FormatFacts(
    name="Wilful",
    family=CustomerDataType.GENERAL,
    modality=DataModalityType.GENERAL,
    suffixes=(),
    code="tests.fakes.decoders:WILFUL",
    recognises=lambda head: True,
    contained=True,
)
