"""Where state lives and what customer_config.yaml says.

Every key of the file is read. An unknown key or an impossible value is an error that names the key's
path and what it may be; `Settings.not_built` names the keys that were set and change nothing yet.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .errors import CustomerError

CONFIGURATION = "customer_config.yaml"

_LARGEST_FILE = 1 << 20


def state_folder() -> Path:
    """Return the folder that holds jobs, keys and compiled kernels: CDT_HOME, else the XDG state folder."""
    named = os.environ.get("CDT_HOME")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "cdt"


@dataclass(frozen=True, slots=True)
class QualityThresholds:
    """What a dataset should reach; missing one is a finding, and never makes values less exact."""

    minimum_quality_score: float | None = None
    target_compression_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class SecuritySettings:
    """How packages are sealed and operations recorded."""

    encryption_algorithm: str = "AES-256-GCM"
    key_rotation_days: int | None = None
    audit_all_operations: bool = False


@dataclass(frozen=True, slots=True)
class PerformanceTuning:
    """How much of the machine may be used; None leaves it to the product."""

    gpu_memory_fraction: float | None = None
    cpu_thread_pool_size: int | None = None
    disk_cache_size_gb: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """customer_config.yaml, whole; the defaults are what holds without one.

    `max_memory_usage_gb` is in GiB, over all requests together. `enable_*` permits and never demands.
    `not_built` holds key paths, in the file's order of keys, for one line on stderr; `origin` is the
    file, "" where there is none.
    """

    max_concurrent_requests: int = 4
    max_memory_usage_gb: float | None = None
    enable_gpu_acceleration: bool = False
    enable_quantum_optimization: bool = False
    enable_federated_learning: bool = True
    privacy_by_default: bool = False
    quality_thresholds: QualityThresholds = QualityThresholds()
    security_settings: SecuritySettings = SecuritySettings()
    performance_tuning: PerformanceTuning = PerformanceTuning()
    not_built: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class _Key:
    """One key: its kind, its range, and whether setting it changes anything yet."""

    kind: str  # "switch", "count", "amount" or "word"
    least: float = 0.0
    most: float = math.inf
    open_below: bool = False  # the least value itself is not allowed
    words: tuple[str, ...] = ()
    built: bool = True

    def allowed(self) -> str:
        """Say what the key may be."""
        if self.kind == "switch":
            return "true or false"
        if self.kind == "word":
            return " or ".join(self.words)
        noun = "a whole number" if self.kind == "count" else "a number"
        if self.open_below:
            return f"{noun} above {self.least:g}" + ("" if self.most == math.inf else f", at most {self.most:g}")
        return (
            f"{noun} of at least {self.least:g}"
            if self.most == math.inf
            else (f"{noun} from {self.least:g} to {self.most:g}")
        )

    def value(self, given: Any) -> Any:
        """Return the value; raise ValueError where it is not allowed (YAML's true is no number here)."""
        if self.kind == "switch":
            fits = isinstance(given, bool)
        elif self.kind == "word":
            fits = isinstance(given, str) and given in self.words
        else:
            numeric = int if self.kind == "count" else (int, float)
            fits = isinstance(given, numeric) and not isinstance(given, bool)
            fits = fits and self.least <= given <= self.most and not (self.open_below and given == self.least)
            fits = fits and math.isfinite(given)
        if not fits:
            raise ValueError(self.allowed())
        return given


_SWITCH = _Key("switch")
_FRACTION = _Key("amount", 0, 1, open_below=True)

# The file's keys, section by section; "" is the top. A switch that is not built may still be false.
KEYS: Mapping[str, Mapping[str, _Key]] = MappingProxyType(
    {
        "": {
            "max_concurrent_requests": _Key("count", 1, 100_000),
            "max_memory_usage_gb": _Key("amount", open_below=True),
            "enable_gpu_acceleration": _Key("switch", built=False),
            "enable_quantum_optimization": _Key("switch", built=False),
            "enable_federated_learning": _SWITCH,
            "privacy_by_default": _SWITCH,
        },
        "quality_thresholds": {
            "minimum_quality_score": _Key("amount", 0, 1),
            "target_compression_ratio": _FRACTION,
        },
        "security_settings": {
            "encryption_algorithm": _Key("word", words=("AES-256-GCM",)),
            "key_rotation_days": _Key("count", 1, 36_500, built=False),
            "audit_all_operations": _Key("switch", built=False),
        },
        "performance_tuning": {
            "gpu_memory_fraction": _Key("amount", 0, 1, open_below=True, built=False),
            "cpu_thread_pool_size": _Key("count", 1, 4096),
            "disk_cache_size_gb": _Key("amount", 0, built=False),
        },
    }
)
_SECTIONS: Mapping[str, type] = MappingProxyType(
    {
        "quality_thresholds": QualityThresholds,
        "security_settings": SecuritySettings,
        "performance_tuning": PerformanceTuning,
    }
)


def load_settings(named: Path | None = None) -> Settings:
    """Return the settings in force: `named` (--config), else CDT_CONFIG, else ./customer_config.yaml, else defaults.

    Raise CustomerError (bad-configuration) for a named file that is not there, and as parse_settings does.
    """
    chosen = named if named is not None else Path(os.environ["CDT_CONFIG"]) if os.environ.get("CDT_CONFIG") else None
    path = chosen if chosen is not None else Path(CONFIGURATION)
    try:
        with path.open("rb") as file:
            written = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError as error:
        if chosen is None:
            return Settings()
        raise _bad("there is no such file", str(path), "check --config and CDT_CONFIG") from error
    except OSError as error:
        raise _bad(f"it cannot be read: {error.strerror}", str(path), "check the path and its permissions") from error
    if len(written) > _LARGEST_FILE:
        raise _bad("it is larger than 1 MiB", str(path), "name a configuration file")
    return parse_settings(written, str(path))


def parse_settings(written: bytes, origin: str = CONFIGURATION) -> Settings:
    """Return the settings that a file's bytes say; raise CustomerError (bad-configuration) naming key and values."""
    document = _document(written, origin)
    values: dict[str, Any] = {}
    not_built: list[str] = []
    for key, given in document.items():
        if key in _SECTIONS:
            if given is not None and not isinstance(given, dict):
                raise _bad(f"{key} is a section, with keys below it", origin, _known(key))
            inner = _values(key, given or {}, origin, not_built)
            values[key] = replace(_SECTIONS[key](), **inner)
        else:
            values.update(_values("", {key: given}, origin, not_built))
    return Settings(**values, not_built=tuple(not_built), origin=origin)


def _values(section: str, given: Mapping[Any, Any], origin: str, not_built: list[str]) -> dict[str, Any]:
    values = {}
    for name, value in given.items():
        path = f"{section}.{name}" if section else str(name)
        key = KEYS[section].get(name) if isinstance(name, str) else None
        if key is None:
            raise _bad(f"there is no key {path[:100]!r}", origin, _known(section))
        try:
            values[name] = key.value(value)
        except ValueError as error:
            raise _bad(f"{path} cannot be {str(value)[:60]!r}", origin, f"it is {error}") from None
        if not key.built and value is not False:
            not_built.append(path)
    return values


def _document(written: bytes, origin: str) -> dict[Any, Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML's plain values; a key given twice is a mistake, not a choice."""

    def mapping(loader: Any, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [loader.construct_object(key, deep=True) for key, _ in node.value]
        if any(not isinstance(name, str | int | float | bool | None) for name in names):
            raise _bad("a key is no word", origin, "write KEY: VALUE")
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            raise _bad(f"{str(twice)[:60]} is given twice", f"{origin}, line {node.start_mark.line + 1}", "keep one")
        return {loader.construct_object(k, deep=True): loader.construct_object(v, deep=True) for k, v in node.value}

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        document = yaml.load(written, Loader=Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{origin}, line {mark.line + 1}" if mark else origin
        raise _bad("it is not YAML", where, "write KEY: VALUE, one a line") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _bad("it holds no keys", origin, "write KEY: VALUE, one a line")
    return document


def _known(section: str) -> str:
    names = [*KEYS[section], *(_SECTIONS if not section else ())]
    return f"known {'below ' + section if section else 'keys'}: {', '.join(names)}"


def _bad(message: str, origin: str, remedy: str) -> CustomerError:
    return CustomerError(message, code="bad-configuration", where=origin, remedy=remedy)
