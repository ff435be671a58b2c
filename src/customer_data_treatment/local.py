"""The adapters of one machine: files, the contained child, the key ring, the clock. Part of the wiring."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from .adapters.contained import open_contained
from .adapters.files import LocalSource, LocalStaging, scratch_folder, surroundings_error
from .adapters.key_ring import FileKeyRing
from .adapters.remote import is_remote, spool
from .errors import CustomerError
from .formats.detect import all_formats
from .model.bound import parse_bound
from .pipeline.options import TreatOptions
from .pipeline.run import Silent
from .pipeline.surroundings import Surroundings
from .plugin import FormatCode, FormatFacts, load
from .ports import ByteSource, Decoder, Progress
from .settings import load_settings, state_folder
from .vocabulary import DataModalityType, Level, Word

Chosen = TypeVar("Chosen", bound=Word)


def surroundings(progress: Progress | None = None) -> Surroundings:
    """Return this machine's surroundings; raise CustomerError (bad-configuration) for an odd SOURCE_DATE_EPOCH."""
    home = state_folder()
    return Surroundings(
        staging=lambda target, overwrite: LocalStaging(target, overwrite=overwrite),
        source=lambda path, name: LocalSource(path, shown_as=name),
        open_decoder=open_decoder,
        explain=surroundings_error,
        instant=instant(),
        progress=progress or Silent(),
        scratch=lambda: scratch_folder(home / "scratch"),
        key_ring=FileKeyRing(home / "keys"),
    )


def open_decoder(facts: FormatFacts, source: ByteSource) -> Decoder:
    """Open a source's decoder: in a child where its reader can abort the interpreter."""
    if facts.contained:
        return open_contained(facts, source)
    code: FormatCode = load(all_formats(), facts.name)
    if code.contain is not None and code.contain(source):
        return open_contained(facts, source)
    return code.open(source)


def source_of(text: str) -> ByteSource:
    """Return the source that a path or URL names; a remote one is spooled under CDT_HOME first."""
    if is_remote(text):
        return spool(text, state_folder() / "scratch")
    return LocalSource(Path(text))


def instant(clock: Callable[[], float] = time.time) -> str:
    """Return the run's one instant, ISO 8601 UTC: SOURCE_DATE_EPOCH, else now, in whole seconds."""
    named = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        seconds = int(named) if named is not None else int(clock())
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError) as error:
        raise CustomerError(
            "SOURCE_DATE_EPOCH is no count of seconds", code="bad-configuration", remedy="unset it or give an integer"
        ) from error


def treat_options(
    bounds: list[str] | None,
    modality: str | None,
    level: str | None,
    schema: Path | None,
    checksums: Path | None,
    metadata: Path | None,
    seal: bool,
    memory: str | None,
    workers: int | None,
    cluster: str | None,
    config: Path | None,
    *,
    overwrite: bool,
) -> TreatOptions:
    """Return the options that flags and configuration give; flags win.

    Raise CustomerError: wrong-usage, bad-bound, bad-configuration, or not-built-yet for --cluster.
    """
    if cluster is not None:
        raise CustomerError(
            "--cluster is not built yet", code="not-built-yet", remedy="leave it out: one machine does the work"
        )
    settings = load_settings(config)
    if settings.not_built:
        print(f"cdt: not built yet, no effect: {', '.join(settings.not_built)} ({settings.origin})", file=sys.stderr)
    most = settings.max_memory_usage_gb
    ceiling = int(most * (1 << 30)) if most is not None else None
    threads = settings.performance_tuning.cpu_thread_pool_size
    chosen = workers or min(threads or DEFAULT_WORKERS, os.cpu_count() or 1)
    return TreatOptions(
        bounds=tuple(parse_bound(text) for text in bounds or ()),
        modality=_word(DataModalityType, modality, "--modality"),
        level=_word(Level, level, "--level"),
        schema=schema,
        checksums=checksums,
        metadata=metadata,
        seal=seal or settings.privacy_by_default,
        memory=parse_size(memory) if memory else min(DEFAULT_MEMORY, ceiling or DEFAULT_MEMORY),
        workers=chosen,
        overwrite=overwrite,
        minimum_quality=settings.quality_thresholds.minimum_quality_score,
        target_ratio=settings.quality_thresholds.target_compression_ratio,
    )


DEFAULT_WORKERS = 4
DEFAULT_MEMORY = 512 << 20
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text: str) -> int:
    """Return the bytes that "512MiB", "2GB" or "1000000" mean; raise CustomerError (wrong-usage)."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if found is None or found[2].upper() not in _UNITS:
        raise CustomerError(
            f"{text!r} is no size", code="wrong-usage", remedy="write 512MiB, 2GiB or a number of bytes"
        )
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _word(kind: type[Chosen], text: str | None, option: str) -> Chosen | None:
    if text is None:
        return None
    for word in kind:
        if text.lower() in (str(word.value).lower(), word.name.lower()):
            return word
    allowed = ", ".join(str(word.value) for word in kind)
    raise CustomerError(f"{option} {text} is unknown", code="wrong-usage", remedy=f"one of {allowed}")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give progress that draws on stderr where that is a terminal, else none."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bar(bars)


class _Bar:
    """One bar, the stage that runs now."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._task: Any = None

    def stage(self, name: str, total: int | None) -> None:
        """Start a stage."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(name, total=total)

    def advance(self, amount: int) -> None:
        """Add to the running stage."""
        if self._task is not None:
            self._bars.advance(self._task, amount)
