"""A decoder in a child process, behind the same port: foreign bytes that end their reader do not end us.

The child gets a bounded address space and processor time, dies with its parent, and is killed when it
neither answers nor reads for `patience` seconds. What it prints is kept for the error, never shown.
"""

import contextlib
import fcntl
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import CdtError, CustomerError, FacilityError, InternalFault
from ..model.dataset import Dataset, RuleCount
from ..plugin import FormatFacts
from ..ports import Box, ByteSource
from . import contained_wire as wire

MEMORY = 2 << 30  # address space above the imports; resident memory is what --memory caps
PATIENCE = 120.0
_CRASHES = {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP}
_STDERR_KEPT = 2000


def open_contained(
    facts: FormatFacts, source: ByteSource, *, memory: int = MEMORY, patience: float = PATIENCE
) -> "ContainedDecoder":
    """Open the source with its format's decoder in a child process.

    `memory` bounds the child's address space in bytes above its imports; `patience` is how many seconds it
    may stay without progress (an answer, or bytes read). Raise what the decoder raises; CustomerError
    (corrupt) where the child crashed or hung on these bytes; FacilityError (child-died) where something
    else ended it; FacilityError (missing-extra).
    """
    return ContainedDecoder(facts, source, memory=memory, patience=patience)


class ContainedDecoder:
    """A Decoder whose work is done by a child. One reader at a time; not thread-safe."""

    def __init__(self, facts: FormatFacts, source: ByteSource, *, memory: int, patience: float) -> None:
        self._where = source.name
        self._keys = count()
        self._rules: tuple[RuleCount, ...] | None = None
        self._child = _Child(source.name, patience)
        self._ended = weakref.finalize(self, self._child.end)
        try:
            self._child.ask(_order(facts, source, memory))
            self._child.receive(wire.READY)
            self.baseline_rss_bytes = self._child.peak_rss()
            self.dataset: Dataset = self._facts(Dataset)
        except BaseException:
            self.close()
            raise

    @property
    def peak_rss_bytes(self) -> int:
        """The child's high-water mark of resident memory, its imports included; kept after close."""
        return self._child.peak_rss()

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box."""
        self._child.ask({"ask": "read", "name": name, "box": [[part.start, part.stop] for part in box]})
        said = json.loads(bytes(self._child.receive(wire.SHAPE)))
        shape, dtype = tuple(said["shape"]), np.dtype(said["dtype"])
        if shape != tuple(part.stop - part.start for part in box):
            raise self._confused()
        if dtype.kind == "O":
            column = _batch(self._child.receive(wire.BATCH)).column(0)
            out = np.empty(prod(shape), dtype=object)
            out[:] = column.to_pylist()
            return out.reshape(shape)
        out = np.empty(shape, dtype=dtype)
        flat = out.reshape(-1).view(np.uint8).data if out.size else memoryview(bytearray())
        self._child.receive(wire.VALUES, into=flat)
        return out

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield a table's rows in order, each batch asked for when it is wanted."""
        for payload in self._pull("batches", name, wire.BATCH):
            yield _batch(payload)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a carried item."""
        for payload in self._pull("carried", name, wire.BYTES):
            yield bytes(payload)

    def rules(self) -> tuple[RuleCount, ...]:
        """Return the decoder's rule counts, after close those it gave last."""
        if self._ended.alive or self._rules is None:
            self._child.ask({"ask": "rules"})
            self._rules = self._facts(tuple)
        return self._rules

    def close(self) -> None:
        """End the child; safe to call twice."""
        self._ended()

    def _pull(self, ask: str, name: str, kind: bytes) -> Iterator[bytearray]:
        key = next(self._keys)
        question: dict[str, Any] = {"ask": ask, "name": name, "id": key}
        finished = False
        try:
            while True:
                self._child.ask(question)
                try:
                    payload = self._child.receive(kind, wire.END)
                except CdtError:
                    finished = True
                    raise
                if payload is None:
                    finished = True
                    return
                yield payload
                question = {"ask": "next", "id": key}
        finally:
            if not finished and self._child.alive:
                self._child.ask({"ask": "drop", "id": key})
                self._child.receive(wire.END)

    def _facts(self, kind: type) -> Any:
        payload = self._child.receive(wire.FACTS)
        try:
            found = wire.facts_from_bytes(bytes(payload))
        except (pickle.UnpicklingError, ImportError, AttributeError, TypeError, ValueError) as error:
            raise InternalFault(f"its contained reader gave facts that are none: {error}", where=self._where) from error
        if not isinstance(found, kind):
            raise self._confused()
        return found

    def _confused(self) -> InternalFault:
        return InternalFault("its contained reader answered something else than it was asked", where=self._where)


def _order(facts: FormatFacts, source: ByteSource, memory: int) -> dict[str, Any]:
    return {
        "format": facts.name,
        "code": facts.code,
        "modules": facts.modules,
        "extra": facts.extra,
        "path": str(source.local_path().absolute()),
        "name": source.name,
        "size": source.size,
        "is_folder": source.is_folder,
        "files": source.files(),
        "memory": memory,
        # A guard against loops, not a budget: an hour, and ten seconds a megabyte.
        "seconds": 3600 + source.size // 100_000,
        "parent": os.getpid(),
        "by_signal": threading.current_thread() is threading.main_thread(),
    }


def _batch(payload: bytearray) -> pa.RecordBatch:
    with pa.ipc.open_stream(pa.py_buffer(payload)) as reader:
        return reader.read_next_batch()


class _Child:
    """The process and its pipes."""

    def __init__(self, where: str, patience: float) -> None:
        self._where = where
        self._patience = patience
        self._said = b""  # the tail of what it printed
        self._peak = 0
        self._read = 0
        environment = dict(os.environ)
        # The child finds this very package, whatever the parent's sys.path; never the working folder (-P).
        root = str(Path(__file__).resolve().parents[2])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
        # Pools that reserve address space ahead would eat the limit; one decoder is one thread.
        environment |= {
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "customer_data_treatment.entrypoints", "decoder"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=environment,
            )
        except OSError as error:
            raise FacilityError(
                f"no reader process could be started: {error.strerror}", code="child-died", where=where
            ) from error
        assert self._process.stdout and self._process.stderr
        with contextlib.suppress(OSError, AttributeError):  # fewer wake-ups a chunk, where the system allows
            fcntl.fcntl(self._process.stdout.fileno(), fcntl.F_SETPIPE_SZ, wire.PIECE)
        self._selector = selectors.DefaultSelector()
        for stream in (self._process.stdout, self._process.stderr):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def peak_rss(self) -> int:
        """Return VmHWM in bytes, the last known once the child is gone."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self._peak = max(self._peak, int(line.split()[1]) * 1024)
        return self._peak

    def ask(self, question: dict[str, Any]) -> None:
        """Send one question; a child that is gone is reported by what ended it."""
        stream = self._process.stdin
        assert stream is not None
        if stream.closed:
            raise InternalFault("its contained reader was closed already", where=self._where)
        try:
            stream.write(json.dumps(question).encode() + b"\n")
        except OSError as error:
            raise self._obituary() from error

    def receive(self, *kinds: bytes, into: memoryview | None = None) -> Any:
        """Return the payload of the next frame, None for END; raise the error it carries."""
        header = bytearray(wire.HEADER.size)
        self._fill(memoryview(header))
        kind, length = wire.HEADER.unpack(header)
        if kind == wire.ERROR and length < wire.PIECE:
            payload = bytearray(length)
            self._fill(memoryview(payload))
            error = wire.error_from_bytes(bytes(payload))
            error.where = error.where or self._where
            if self._said:
                error.add_note(f"the reader printed: {self._said.decode('utf-8', 'replace')}")
            raise error
        if kind not in kinds or (length > wire.LONGEST if into is None else length != len(into)):
            self.end()
            raise InternalFault("its contained reader answered out of turn", where=self._where)
        if into is not None:
            self._fill(into)
            return into
        payload = bytearray(length)
        self._fill(memoryview(payload))
        return None if kind == wire.END else payload

    def _fill(self, view: memoryview) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        deadline = time.monotonic() + self._patience
        while view:
            ready = [key.fileobj for key, _ in self._selector.select(timeout=min(1.0, self._patience))]
            if stdout in ready:
                got = os.readv(stdout.fileno(), [view[: wire.PIECE]])
                if got == 0:
                    raise self._obituary()
                view = view[got:]
                deadline = time.monotonic() + self._patience
            self._listen(ready)
            if not ready and self._reads_on():
                deadline = time.monotonic() + self._patience
            if time.monotonic() > deadline:
                self.end()
                raise CustomerError(
                    f"its reader made no progress for {self._patience:g} s and was stopped",
                    code="corrupt",
                    where=self._where,
                    remedy="check the file with the tool that wrote it",
                )

    def _listen(self, ready: list[Any]) -> None:
        """Keep the tail of what the child prints."""
        stderr = self._process.stderr
        if stderr is None or stderr not in ready:
            return
        try:
            text = os.read(stderr.fileno(), 1 << 16)
        except BlockingIOError:
            return
        if not text:
            self._selector.unregister(stderr)
        self._said = (self._said + text)[-_STDERR_KEPT:]

    def _reads_on(self) -> bool:
        """Whether the child has read more of its source since this was last asked."""
        try:
            text = Path(f"/proc/{self._process.pid}/io").read_text()
        except OSError:
            return False
        read = int(text.split()[1])  # rchar
        moved, self._read = read != self._read, read
        return moved

    def _obituary(self) -> CdtError:
        """Return the error that says how the child ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.returncode
        self._listen([self._process.stderr] if self._process.stderr in self._selector.get_map() else [])
        self.end()
        cause = signal.Signals(-code) if code is not None and -code in set(signal.Signals) else None
        if cause in _CRASHES:
            error: CdtError = CustomerError(
                f"its reader died on it ({cause.name})",
                code="corrupt",
                where=self._where,
                remedy="check the file with the tool that wrote it, or fetch it again",
            )
        elif cause is signal.SIGXCPU:
            error = CustomerError("its reader ran without end", code="corrupt", where=self._where)
        else:
            how = cause.name if cause else f"exit status {code}"
            error = FacilityError(
                f"the process that read it was ended ({how})",
                code="child-died",
                where=self._where,
                remedy="try again; with less load or more memory if it was killed",
            )
        if self._said:
            error.add_note(f"the reader printed: {self._said.decode('utf-8', 'replace')}")
        return error

    def end(self) -> None:
        """Hang up, kill and reap."""
        self.peak_rss()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
