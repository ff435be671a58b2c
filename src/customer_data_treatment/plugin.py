"""The kinds of plug-in on one page, and `load`, the only place that imports one.

A plug-in is a frozen record of facts and pure functions. Each plug-in folder's `__init__` holds a
static table `name -> facts`, readable without importing the code behind it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import FacilityError
from .vocabulary import CustomerDataType, DataModalityType, Dimension

if TYPE_CHECKING:
    import numpy as np

    from .model.chunk import Chunk
    from .model.dataset import Dataset
    from .model.outcome import Outcome
    from .model.requirements import Requirements
    from .model.verdict import CheckResult
    from .ports import ByteSource, Decoder, RestoreSource

ENTRY_POINT_GROUP = "customer_data_treatment.plugins"


@dataclass(frozen=True, slots=True)
class Head:
    """The start of a file, as detection sees it.

    `raw` is the first 64 KiB; `plain` the same after undoing gzip, bzip2 or xz (one layer);
    `wrapper` names that layer, "" if none. `members` are the entry names of a zip. `path` is
    there for the formats that share a container and can only be told apart inside it.
    """

    name: str
    raw: bytes
    plain: bytes
    wrapper: str
    members: tuple[str, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class FormatCode:
    """The functions of a format; `write` is None where no writer exists.

    `contain` tells the sources whose reader can abort the interpreter, where only some of a format's do.
    """

    open: "Callable[[ByteSource], Decoder]"
    write: "Callable[[RestoreSource, Path], None] | None" = None
    contain: "Callable[[ByteSource], bool] | None" = None


@dataclass(frozen=True, slots=True)
class FormatFacts:
    """What is known of a format without its code.

    `code` is "package.module:ATTRIBUTE" of a FormatCode. `recognises(head)` decides by content;
    the name only breaks ties of text.
    `lost` says what treating loses, "" if nothing. `extra` is the optional dependency set.
    `modules` are the third-party modules the code imports, checked before it runs. `contained`
    formats run in a child, since their reader can abort the interpreter. A higher `precedence`
    is asked first. `restored_as` names the format that its writer gives where it is another one.
    """

    name: str
    family: CustomerDataType
    modality: DataModalityType
    suffixes: tuple[str, ...]
    code: str
    recognises: Callable[[Head], bool]
    recognises_folder: Callable[[Path], bool] | None = None
    lost: str = ""
    extra: str | None = None
    modules: tuple[str, ...] = ()
    contained: bool = False
    precedence: int = 0
    restores: bool = True
    restored_as: str = ""


@dataclass(frozen=True, slots=True)
class Observer:
    """One check at work on one field: what to count in a chunk, how counts join, what they say.

    `field` is the array or table it watches, None when it only concludes. `observe(chunk)` gives a
    partial; `merge(a, b)` is associative, and commutative too unless the check looks across the
    edge of chunks (monotonic): merge in chunk order and both hold. `conclude` gets None where no
    chunk came. All three are picklable.
    """

    name: str
    field: str | None
    observe: "Callable[[Chunk], Any]"
    merge: Callable[[Any, Any], Any]
    conclude: "Callable[[Any | None, Outcome], tuple[CheckResult, ...]]"


@dataclass(frozen=True, slots=True)
class CheckCode:
    """The function of a check: the observers it wants for a dataset under its requirements."""

    bind: "Callable[[Dataset, Requirements], tuple[Observer, ...]]"


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What is known of a check without its code; `code` is "package.module:ATTRIBUTE" of a CheckCode."""

    name: str
    dimension: Dimension
    code: str
    extra: str | None = None
    modules: tuple[str, ...] = ()


def load(table: Mapping[str, Any], name: str) -> Any:
    """Import and return the code behind one entry of a plug-in table.

    Raise FacilityError (missing-extra) naming what to install when a dependency is absent.
    """
    facts = table[name]
    module_name, _, attribute = facts.code.partition(":")
    try:
        for needed in getattr(facts, "modules", ()):
            import_module(needed)
        return getattr(import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        extra = getattr(facts, "extra", None)
        if extra is None or (error.name or "").startswith("customer_data_treatment"):
            raise
        raise FacilityError(
            f"{name} needs {error.name}, which is not installed",
            code="missing-extra",
            remedy=f"pip install 'customer-data-treatment[{extra}]'",
        ) from error


def third_party(kind: str) -> dict[str, Any]:
    """Return the facts that installed packages register as "KIND.NAME" entry points."""
    prefix = f"{kind}."
    return {
        point.name.removeprefix(prefix): point.load()
        for point in entry_points(group=ENTRY_POINT_GROUP)
        if point.name.startswith(prefix)
    }


@dataclass(frozen=True, slots=True)
class CodecFacts:
    """What is known of a codec without its code.

    `code` is "package.module:ATTRIBUTE" of a CodecCode; `small` codecs are tried on fields of up to
    16 MiB, the others on larger ones.
    """

    name: str
    code: str
    small: bool


@dataclass(frozen=True, slots=True)
class CodecCode:
    """The functions of a codec over whole chunks.

    `encode(values)` returns the frame of a C-contiguous array, the same bytes on every machine;
    `decode(frame, out)` fills a C-contiguous array of the same size and raises ValueError where the
    frame does not hold it; `metadata(itemsize)` is its entry in a Zarr v3 codec list.
    """

    encode: "Callable[[np.ndarray[Any, Any]], bytes]"
    decode: "Callable[[bytes, np.ndarray[Any, Any]], None]"
    metadata: Callable[[int], dict[str, Any]]
