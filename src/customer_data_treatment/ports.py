"""What the core asks of the world: the protocols that adapters and decoders satisfy."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .model.dataset import Dataset, RuleCount
from .request import CustomerDataRequest, RequestStatus

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Box = tuple[slice, ...]  # one slice(start, stop) an axis, both given, step 1; () for a 0-d array


@runtime_checkable
class ByteSource(Protocol):
    """A file, or a folder that is one dataset, open for reading; never written to."""

    @property
    def name(self) -> str:
        """The last part of the path or URL, for messages and suffixes."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the source as it came, all its files together."""
        ...

    @property
    def is_folder(self) -> bool:
        """Whether the source is a folder."""
        ...

    def local_path(self) -> Path:
        """Return a path that libraries can open (a remote source is spooled first)."""
        ...

    def head(self, length: int) -> bytes:
        """Return the first bytes of a file (b"" for a folder)."""
        ...

    def files(self) -> tuple[tuple[str, int], ...]:
        """Return (relative name with "/", bytes) of every file, sorted; one entry for a file."""
        ...


class Decoder(Protocol):
    """Facts first, then values on demand. One reader at a time; not thread-safe."""

    @property
    def dataset(self) -> Dataset:
        """The facts."""
        ...

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of that box: exact shape, C order, native byte order, stored numbers.

        Raise CustomerError when the bytes there cannot be decoded.
        """
        ...

    def batches(self, name: str) -> "Iterator[pa.RecordBatch]":
        """Yield a table's rows in order, in batches of any size, each bounded to about 8 MiB."""
        ...

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a carried item, in pieces of at most 1 MiB."""
        ...

    def rules(self) -> tuple[RuleCount, ...]:
        """Return what only the raw bytes show; complete once every field was read to its end."""
        ...

    def close(self) -> None:
        """Release files; safe to call twice."""
        ...


class RestoreSource(Protocol):
    """A treated package as a writer sees it: the same facts, the decoded values, the carried bytes.

    `dataset` names fields as the source did. `read` returns float fields in the source's dtype.
    """

    @property
    def dataset(self) -> Dataset:
        """The facts the decoder gave when the package was made."""
        ...

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return decoded values: exact shape, C order, the source's dtype in native byte order."""
        ...

    def batches(self, name: str) -> "Iterator[pa.RecordBatch]":
        """Yield a table's rows in order."""
        ...

    def carried(self, name: str) -> bytes:
        """Return a carried item whole; raise KeyError if the package has none of that name."""
        ...


class Progress(Protocol):
    """Told how far long work has come; draws nothing itself when no one watches."""

    def stage(self, name: str, total: int | None) -> None:
        """Start a stage of `total` bytes (None: unknown)."""
        ...

    def advance(self, amount: int) -> None:
        """Add to the running stage."""
        ...


class Staging(Protocol):
    """A package's folder while it is written: invisible under its name until `commit`."""

    @property
    def folder(self) -> Path:
        """The folder to write into, on the target's file system."""
        ...

    def commit(self) -> Path:
        """Put everything on disk, give the folder its name in one step, return the package's path."""
        ...

    def discard(self) -> None:
        """Remove the folder; safe after commit, which leaves nothing to remove."""
        ...


class KeyRing(Protocol):
    """Holds the keys that wrap package keys; never shows them."""

    def current_key_id(self) -> str:
        """Return the id of the key that new packages are wrapped with, making one at first use."""
        ...

    def key(self, key_id: str) -> bytes:
        """Return 32 bytes; raise FacilityError (no-key) naming the id where the ring lacks it."""
        ...


class JobEngine(Protocol):
    """Keeps requests and has them worked on, outside the caller's process and beyond its life."""

    def find(self, request_id: str) -> CustomerDataRequest | None:
        """Return the request stored under an id, None where there is none."""
        ...

    def submit(self, request: CustomerDataRequest) -> str:
        """Store a request durably, have it started when its turn comes, and return its id.

        The same request again changes nothing; raise CustomerError (request-conflict) for another one
        under the same id.
        """
        ...

    def status(self, request_id: str) -> RequestStatus:
        """Return where a request stands; raise CustomerError (unknown-request)."""
        ...

    def cancel(self, request_id: str) -> RequestStatus:
        """Stop a request that has not ended; one that has ended stays as it is."""
        ...

    def request_ids(self) -> tuple[str, ...]:
        """Return the ids of all requests, oldest first."""
        ...
