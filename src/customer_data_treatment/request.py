"""What a customer asks for, what became of it, and which state may follow which. Imports no numpy.

    from customer_data_treatment import CustomerDataRequest
    request = CustomerDataRequest(request_id="study_001", customer_id="hospital", data_path=Path("cohort.zarr"))

A request is a value: equal fields, equal request. Its requirements stay as they were written; `terms_of`
reads them at the door, where what is unknown, impossible or not built yet is refused by name.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from .errors import CustomerError
from .vocabulary import (
    CustomerDataType,
    DataModalityType,
    Level,
    ProcessingMode,
    ProcessingPriority,
    RequestState,
)

# What may follow what. A running request is queued again only when its machine stopped under it.
TRANSITIONS: Mapping[RequestState, frozenset[RequestState]] = MappingProxyType(
    {
        RequestState.QUEUED: frozenset({RequestState.RUNNING, RequestState.FAILED, RequestState.CANCELLED}),
        RequestState.RUNNING: frozenset(
            {RequestState.COMPLETED, RequestState.FAILED, RequestState.CANCELLED, RequestState.QUEUED}
        ),
        RequestState.COMPLETED: frozenset(),
        RequestState.FAILED: frozenset(),
        RequestState.CANCELLED: frozenset(),
    }
)
FINAL = frozenset(state for state, followers in TRANSITIONS.items() if not followers)

# Requirements that the mission names and that nothing here can honour yet.
NOT_BUILT_PRIVACY = (
    "homomorphic_encryption",
    "secure_aggregation",
    "secure_multiparty_computation",
    "zero_knowledge_proofs",
    "k_anonymity",
    "l_diversity",
    "t_closeness",
    "deidentification",
    "perfect_forward_secrecy",
    "key_rotation_days",
    "audit_logging",
    "access_control",
)
NOT_BUILT_MODES = (ProcessingMode.REAL_TIME, ProcessingMode.STREAMING)

NOTHING_RELEASED = "differential privacy: nothing was released, so no privacy budget was spent"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_Member = TypeVar("_Member", bound=Enum)


@dataclass(frozen=True)
class CustomerDataRequest:
    """One dataset to treat, for whom and how.

    `data_path` is a file, or a folder that is one dataset. `data_type`, `modality_types` and
    `estimated_size_tb` (10^12 bytes) are hints: a mismatch is a finding. `output_location` is where the package goes,
    CDT_HOME/packages/REQUEST_ID unless told otherwise. `participating_institutions` names the sites
    of a federated request; none or one means that the data is treated where it lies. `metadata`,
    `schema_path` and `checksums_path` are what the command line takes as --metadata, --schema, --checksums.

    Enums may be given by their word ("federated"). Raise CustomerError (wrong-usage) for a value of
    another kind than the field's.
    """

    request_id: str
    customer_id: str
    data_path: Path
    institution_name: str = ""
    data_type: CustomerDataType | None = None
    modality_types: tuple[DataModalityType, ...] = ()
    processing_mode: ProcessingMode = ProcessingMode.BATCH
    priority: ProcessingPriority = ProcessingPriority.NORMAL
    estimated_size_tb: float | None = None
    privacy_requirements: Mapping[str, Any] = field(default_factory=dict)
    quality_requirements: Mapping[str, Any] = field(default_factory=dict)
    output_location: Path | None = None
    participating_institutions: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    schema_path: Path | None = None
    checksums_path: Path | None = None

    def __post_init__(self) -> None:
        """Bring every field into its one form; a list becomes a tuple, a word its enum member."""
        kinds: dict[str, Callable[[str, Any], Any]] = {
            "request_id": _text,
            "customer_id": _text,
            "institution_name": _text,
            "data_path": _path,
            "data_type": lambda name, value: None if value is None else _member(CustomerDataType, name, value),
            "modality_types": lambda name, value: tuple(
                _member(DataModalityType, name, v) for v in _items(name, value)
            ),
            "processing_mode": lambda name, value: _member(ProcessingMode, name, value),
            "priority": lambda name, value: _member(ProcessingPriority, name, value),
            "estimated_size_tb": lambda name, value: None if value is None else _amount(name, value, open_below=False),
            "privacy_requirements": _mapping,
            "quality_requirements": _mapping,
            "metadata": _mapping,
            "output_location": _path_or_none,
            "schema_path": _path_or_none,
            "checksums_path": _path_or_none,
            "participating_institutions": lambda name, value: tuple(_text(name, v) for v in _items(name, value)),
        }
        for item in fields(self):
            object.__setattr__(self, item.name, kinds[item.name](item.name, getattr(self, item.name)))


@dataclass(frozen=True, slots=True)
class Terms:
    """A request's requirements, read: what the treatment and the policy act on.

    `seal` is None where the request leaves it to the institution. `shrink` says that a compression ratio
    was asked for, which means automatic bounds. `privacy_note` is recorded in the certificate.
    """

    seal: bool | None = None
    minimum_quality: float | None = None
    minimum_fidelity: float | None = None
    compression_ratio: float | None = None
    privacy_note: str = ""

    @property
    def shrink(self) -> bool:
        """Say whether values may be stored with a bound."""
        return self.compression_ratio is not None


def terms_of(request: CustomerDataRequest) -> Terms:
    """Return what a request asks for.

    Raise CustomerError: wrong-usage for an unknown or impossible requirement, not-built-yet for one
    that cannot be honoured yet; the message names it.
    """
    if not _ID.match(request.request_id):
        raise _wrong(
            "request_id",
            "it names a folder, so it takes 1 to 128 letters, digits, dots, dashes and underscores, not starting with a dot",
        )
    if not request.customer_id.strip():
        raise _wrong("customer_id", "it cannot be empty")
    if request.processing_mode in NOT_BUILT_MODES:
        raise _not_built(f"processing_mode {request.processing_mode.name}", "ask for BATCH or FEDERATED")
    if len(request.participating_institutions) > 1:
        raise _not_built(
            f"a federation of {len(request.participating_institutions)} institutions", "send one request for each site"
        )
    seal, note = _privacy(request.privacy_requirements)
    quality = _quality(request.quality_requirements)
    return Terms(seal=seal, privacy_note=note, **quality)


def _privacy(asked: Mapping[str, Any]) -> tuple[bool | None, str]:
    known = ("encryption_required", "differential_privacy", "epsilon", "delta")
    for name, value in asked.items():
        if name in NOT_BUILT_PRIVACY:
            if value is not None and value is not False:
                raise _not_built(f"privacy requirement {name}", "leave it out, or set it to False")
        elif name not in known:
            raise _unknown("privacy_requirements", name, (*known, *NOT_BUILT_PRIVACY))
    seal = asked.get("encryption_required")
    private = asked.get("differential_privacy")
    for name in ("encryption_required", "differential_privacy"):
        if not isinstance(asked.get(name), bool | None):
            raise _wrong(f"privacy_requirements[{name!r}]", "it is True or False")
    for name in ("epsilon", "delta"):
        if asked.get(name) is not None:
            _amount(f"privacy_requirements[{name!r}]", asked[name], most=math.inf if name == "epsilon" else 1.0)
            if not private:
                raise _wrong(f"privacy_requirements[{name!r}]", "it needs differential_privacy: True")
    return seal, NOTHING_RELEASED if private else ""


def _quality(asked: Mapping[str, Any]) -> dict[str, Any]:
    known = ("minimum_quality", "minimum_fidelity", "compression_ratio")
    for name in asked:
        if name not in known:
            raise _unknown("quality_requirements", name, known)
    return {
        name: _amount(f"quality_requirements[{name!r}]", value, most=1.0, open_below=name == "compression_ratio")
        for name, value in asked.items()
        if value is not None
    }


@dataclass(frozen=True)
class ProcessingResult:
    """What a completed request came to.

    `quality_score` is None where nothing could be assessed, `fidelity` 1.0 where every field is exact.
    `compression_ratio` is bytes under data/ over bytes of the source (0.3 is a 70 % reduction).
    `processed_data_location` is the package; its report and certificate lie in it. `findings` are
    objects with code, severity, message, where.
    """

    request_id: str
    quality_score: float | None
    compression_ratio: float
    processed_data_location: Path
    level: Level
    fidelity: float | None
    format: str
    modality: str
    bytes_source: int
    bytes_stored: int
    sealed: bool
    findings: tuple[dict[str, Any], ...] = ()
    privacy_note: str = ""
    federation_note: str = ""
    seconds: float = 0.0

    @property
    def quality_report(self) -> Path:
        """Return the path of the report a person reads (encrypted when sealed: `cdt show` opens it)."""
        return self.processed_data_location / "report.html"

    @property
    def certificate(self) -> Path:
        """Return the path of the certificate a program reads."""
        return self.processed_data_location / "certificate.json"


@dataclass(frozen=True)
class RequestStatus:
    """Where a request stands. Times are ISO 8601 UTC; `history` holds (time, state, note), oldest first.

    `stage`, `done` and `total` (bytes, None where unknown) are the worker's last word on its progress.
    `error` is there when failed, `result` when completed.
    """

    request_id: str
    state: RequestState
    priority: ProcessingPriority
    processing_mode: ProcessingMode
    submitted_at: str
    started_at: str | None = None
    finished_at: str | None = None
    stage: str = ""
    done: int = 0
    total: int | None = None
    history: tuple[tuple[str, RequestState, str], ...] = ()
    error: Mapping[str, str] | None = None
    result: ProcessingResult | None = None

    def record(self) -> dict[str, Any]:
        """Return the dictionary that get_request_status gives: plain words, and the result as an object."""
        found: dict[str, Any] = {
            "request_id": self.request_id,
            "status": str(self.state),
            "priority": str(self.priority),
            "processing_mode": str(self.processing_mode),
            "submitted_at": self.submitted_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "progress": {"stage": self.stage, "done": self.done, "total": self.total},
            "history": [{"at": at, "status": str(state), "note": note} for at, state, note in self.history],
        }
        if self.error is not None:
            found["error"] = dict(self.error)
        if self.result is not None:
            found["result"] = self.result
        return found


def encode(value: CustomerDataRequest | ProcessingResult) -> bytes:
    """Return the canonical JSON of a request or a result: equal values, equal bytes.

    Raise CustomerError (wrong-usage) for a requirement that JSON cannot say.
    """
    try:
        return msgspec.json.encode(value, enc_hook=_plain, order="deterministic")
    except (TypeError, ValueError, NotImplementedError, OverflowError, RecursionError) as error:
        raise CustomerError(
            f"a requirement holds what JSON cannot say: {error}",
            code="wrong-usage",
            remedy="use numbers, text, True and False",
        ) from error


def decode_request(written: bytes) -> CustomerDataRequest:
    """Return the request that `encode` wrote."""
    return msgspec.json.decode(written, type=CustomerDataRequest, dec_hook=_rich)


def decode_result(written: bytes) -> ProcessingResult:
    """Return the result that `encode` wrote."""
    return msgspec.json.decode(written, type=ProcessingResult, dec_hook=_rich)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(type(value).__name__)


def _rich(kind: Any, value: Any) -> Any:
    if kind is Path or (isinstance(kind, type) and issubclass(kind, Path)):
        return Path(value)
    raise NotImplementedError(str(kind))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise _wrong(name, "it is text")
    return value


def _path(name: str, value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value) or "\x00" in str(value):
        raise _wrong(name, "it is a path")
    return Path(value)


def _path_or_none(name: str, value: Any) -> Path | None:
    return None if value is None else _path(name, value)


def _items(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | Mapping) or not hasattr(value, "__iter__"):
        raise _wrong(name, "it is a list")
    return tuple(value)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong(name, "it is a dictionary of requirement names")
    return dict(value)


def _member(kind: type[_Member], name: str, value: Any) -> _Member:
    try:
        return value if isinstance(value, kind) else kind(value.lower() if isinstance(value, str) else value)
    except (ValueError, TypeError):
        words = ", ".join(str(member.name) for member in kind)
        raise _wrong(name, f"it is one of {words}") from None


def _amount(name: str, value: Any, *, most: float = math.inf, open_below: bool = True) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or value > most or (open_below and value == 0):
        low = "above 0" if open_below else "of at least 0"
        raise _wrong(name, f"it is a number {low}" + ("" if most == math.inf else f", at most {most:g}"))
    return float(value)


def _wrong(name: str, rule: str) -> CustomerError:
    return CustomerError(f"{name} cannot be taken", code="wrong-usage", where="request", remedy=rule)


def _unknown(holder: str, name: str, known: tuple[str, ...]) -> CustomerError:
    return CustomerError(
        f"{holder} holds an unknown requirement {name[:80]!r}",
        code="wrong-usage",
        where="request",
        remedy=f"known are {', '.join(known)}",
    )


def _not_built(what: str, remedy: str) -> CustomerError:
    return CustomerError(f"{what} is not built yet", code="not-built-yet", where="request", remedy=remedy)
