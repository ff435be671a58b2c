"""Treat the world's scientific data: decode, check, shrink within a proven bound, seal, certify.

The promised names are resolved on first use, so that importing the package loads no numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .request import CustomerDataRequest
    from .vocabulary import CustomerDataType, DataModalityType, ProcessingMode, ProcessingPriority
    from .wiring import AdvancedCustomerDataOrchestrator

__version__ = "0.1.0"

_HOMES = {
    "AdvancedCustomerDataOrchestrator": "wiring",
    "CustomerDataRequest": "request",
    "CustomerDataType": "vocabulary",
    "DataModalityType": "vocabulary",
    "ProcessingMode": "vocabulary",
    "ProcessingPriority": "vocabulary",
}

__all__ = [
    "AdvancedCustomerDataOrchestrator",
    "CustomerDataRequest",
    "CustomerDataType",
    "DataModalityType",
    "ProcessingMode",
    "ProcessingPriority",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Return a promised name from the module that defines it (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
