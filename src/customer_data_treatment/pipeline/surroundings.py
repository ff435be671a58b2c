"""What a treatment is given by whoever runs it: places, keys, the clock. Chosen in wiring, never here."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ..errors import CdtError
from ..plugin import FormatFacts
from ..ports import ByteSource, Decoder, KeyRing, Progress, Staging


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The adapters of one run.

    `instant` is the run's one instant, ISO 8601 UTC in whole seconds. `staging(target, overwrite)`
    makes the folder that becomes the package; `source(path, name)` opens a part of a folder; `open_decoder` opens a format, in a child where its
    facts ask for one; `scratch()` gives a private folder that holds plaintext of sealed packages while they are read.
    `explain` turns an OSError on the target's side into the product's own error.
    """

    staging: Callable[[Path, bool], Staging]
    source: Callable[[Path, str], ByteSource]
    open_decoder: Callable[[FormatFacts, ByteSource], Decoder]
    explain: Callable[[OSError, Path], CdtError]
    instant: str
    progress: Progress
    scratch: Callable[[], AbstractContextManager[Path]]
    key_ring: KeyRing | None = None
