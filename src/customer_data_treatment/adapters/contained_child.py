"""The child's side of a contained decoder: open one source, answer questions until the parent hangs up.

Standard output belongs to the answers, so the libraries' own printing goes to standard error, which the
parent keeps for its error report.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ..errors import CdtError, CustomerError, FacilityError, InternalFault
from ..plugin import load
from ..ports import Decoder
from . import contained_wire as wire

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class SourceCopy:
    """A ByteSource by value: what the parent's source said of itself."""

    path: str
    name: str
    size: int
    is_folder: bool
    listing: tuple[tuple[str, int], ...]

    def local_path(self) -> Path:
        """Return the path on this machine."""
        return Path(self.path)

    def head(self, length: int) -> bytes:
        """Return the first bytes of a file, b"" for a folder."""
        if self.is_folder:
            return b""
        with self.local_path().open("rb") as file:
            return file.read(length)

    def files(self) -> tuple[tuple[str, int], ...]:
        """Return (relative name, bytes) of every file."""
        return self.listing


@dataclass(frozen=True, slots=True)
class _Code:
    """What plugin.load asks of a format's facts."""

    code: str
    modules: tuple[str, ...]
    extra: str | None


def serve() -> None:
    """Read the order from standard input, open the source, answer until standard input ends."""
    questions, answers = _claim_streams()
    order = json.loads(questions.readline())
    _die_with(order["parent"], order["by_signal"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _Server(questions, answers).run(order)


def _claim_streams() -> tuple[BinaryIO, BinaryIO]:
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return questions, answers


def _die_with(parent: int, by_signal: bool) -> None:
    """End when the parent does, also in the middle of a decode.

    The kernel's signal follows the *thread* that started us, so it is asked for only where that was the
    parent's main thread; a watching thread covers the rest.
    """
    if by_signal and sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _limit(memory: int, seconds: int) -> None:
    """Bound address space above what is mapped already, and processor time; no core files."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    _lower(resource.RLIMIT_CPU, seconds)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (soft, hard))


class _Server:
    def __init__(self, questions: BinaryIO, answers: BinaryIO) -> None:
        self._questions = questions
        self._answers = answers
        self._running: dict[int, Iterator[Any]] = {}
        self._decoder: Decoder | None = None

    def run(self, order: dict[str, Any]) -> None:
        self._answer(lambda: self._open(order))
        if self._decoder is None:
            return
        for line in self._questions:
            question = json.loads(line)
            self._answer(lambda: self._reply(question))  # noqa: B023 - called at once
        self._decoder.close()

    def _answer(self, act: Any) -> None:
        """Run one step; whatever goes wrong in it becomes an error frame."""
        try:
            act()
        except CdtError as error:
            self._send(wire.ERROR, wire.error_to_bytes(error))
        except MemoryError:
            self._running.clear()
            too_large = CustomerError(
                "reading it takes more memory than its reader is allowed",
                code="corrupt",
                remedy="check the file; a sound one of its size needs far less",
            )
            self._send(wire.ERROR, wire.error_to_bytes(too_large))
        except BrokenPipeError:
            os._exit(1)
        except OSError as failure:
            failed = FacilityError(f"its reader failed: {failure.strerror or failure}", code="child-died")
            self._send(wire.ERROR, wire.error_to_bytes(failed))
        except Exception as failure:
            fault = InternalFault(f"its reader failed: {type(failure).__name__}: {failure}")
            self._send(wire.ERROR, wire.error_to_bytes(fault))

    def _open(self, order: dict[str, Any]) -> None:
        facts = _Code(order["code"], tuple(order["modules"]), order["extra"])
        code = load({order["format"]: facts}, order["format"])
        self._send(wire.READY, b"")
        _limit(order["memory"], order["seconds"])
        listing = tuple((name, size) for name, size in order["files"])
        source = SourceCopy(order["path"], order["name"], order["size"], order["is_folder"], listing)
        decoder: Decoder = code.open(source)
        payload = wire.facts_to_bytes(decoder.dataset)
        self._decoder = decoder
        self._send(wire.FACTS, payload)

    def _reply(self, question: dict[str, Any]) -> None:
        decoder = self._decoder
        assert decoder is not None
        match question["ask"]:
            case "read":
                box = tuple(slice(start, stop) for start, stop in question["box"])
                self._send_array(decoder.read(question["name"], box))
            case "batches":
                self._running[question["id"]] = iter(decoder.batches(question["name"]))
                self._next(question["id"])
            case "carried":
                self._running[question["id"]] = iter(decoder.carried(question["name"]))
                self._next(question["id"])
            case "next":
                self._next(question["id"])
            case "drop":
                running = self._running.pop(question["id"], None)
                close = getattr(running, "close", None)
                if close is not None:
                    close()
                self._send(wire.END, b"")
            case "rules":
                self._send(wire.FACTS, wire.facts_to_bytes(decoder.rules()))

    def _next(self, key: int) -> None:
        running = self._running.get(key)
        if running is None:
            self._send(wire.END, b"")
            return
        try:
            item = next(running)
        except BaseException as end:
            del self._running[key]
            if not isinstance(end, StopIteration):
                raise
            self._send(wire.END, b"")
            return
        if isinstance(item, pa.RecordBatch):
            self._send(wire.BATCH, _ipc(item))
        else:
            self._send(wire.BYTES, item)

    def _send_array(self, values: "np.ndarray[Any, Any]") -> None:
        shape = {"shape": list(values.shape), "dtype": values.dtype.str}
        self._send(wire.SHAPE, json.dumps(shape).encode())
        if values.dtype == object:
            column = pa.array(values.reshape(-1).tolist(), type=pa.large_string())
            self._send(wire.BATCH, _ipc(pa.RecordBatch.from_arrays([column], names=["text"])))
            return
        flat: Any = np.ascontiguousarray(values).reshape(-1).view(np.uint8) if values.size else b""
        self._send(wire.VALUES, memoryview(flat))

    def _send(self, kind: bytes, payload: Any) -> None:
        view = memoryview(payload).cast("B") if len(payload) else memoryview(b"")
        self._write(memoryview(wire.HEADER.pack(kind, len(view))))
        for start in range(0, len(view), wire.PIECE):
            self._write(view[start : start + wire.PIECE])

    def _write(self, view: memoryview) -> None:
        while view:
            view = view[os.write(self._answers.fileno(), view) :]


def _ipc(batch: pa.RecordBatch) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
