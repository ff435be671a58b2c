"""What passes between a contained decoder and its parent: frames of one kind byte, a length, a payload.

The parent asks in JSON. The child answers each question with one frame: facts and rule counts pickled, arrays
as raw bytes behind a line of JSON, record batches as Arrow IPC, errors by value. The child handles foreign
bytes, so the parent unpickles nothing but the facts' own types.
"""

import io
import json
import pickle
import struct
from typing import Any

from ..errors import CdtError, CustomerError, FacilityError, InternalFault, PolicyRefusal

HEADER = struct.Struct(">cQ")
PIECE = 1 << 20  # bytes written or read at once

READY, FACTS, SHAPE, VALUES, BATCH, BYTES, END, ERROR = (b"R", b"F", b"S", b"V", b"B", b"C", b"Z", b"E")

# No answer is longer than this, whatever a child that went wrong announces.
LONGEST = 1 << 30

_ERRORS: dict[str, type[CdtError]] = {
    kind.__name__: kind for kind in (CustomerError, FacilityError, PolicyRefusal, InternalFault)
}
_TRUSTED = {
    "builtins": {"complex", "slice", "set", "frozenset", "bytearray", "range"},
    "collections": {"OrderedDict"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"scalar", "_reconstruct"},
    "numpy._core.numeric": {"_frombuffer"},
}


_PACKAGE = "customer_data_treatment"
_ARROW = {
    *(
        "Schema",
        "Field",
        "DataType",
        "schema",
        "field",
        "KeyValueMetadata",
        "_reconstruct_schema",
        "type_for_alias",
    ),
    *(
        "struct",
        "list_",
        "large_list",
        "map_",
        "dictionary",
        "binary",
        "timestamp",
        "time32",
        "time64",
        "duration",
    ),
    *("decimal32", "decimal64", "decimal128", "decimal256"),
}


class _FactsOnly(pickle.Unpickler):
    """Build facts: this package's frozen records, numpy values, Arrow types. Nothing that acts."""

    def find_class(self, module: str, name: str) -> Any:
        ours = module in (f"{_PACKAGE}.vocabulary", f"{_PACKAGE}.plugin") or module.startswith(f"{_PACKAGE}.model.")
        arrow = module == "pyarrow.lib" and (name in _ARROW or name.endswith(("Type", "type_for_alias")))
        if ours or arrow or name in _TRUSTED.get(module, ()):
            found = super().find_class(module, name)
            if ours and not isinstance(found, type):
                raise pickle.UnpicklingError(f"{module}.{name} is no type")
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no fact")


def facts_to_bytes(facts: Any) -> bytes:
    """Pickle facts (a Dataset, rule counts)."""
    return pickle.dumps(facts, protocol=pickle.HIGHEST_PROTOCOL)


def facts_from_bytes(payload: bytes) -> Any:
    """Unpickle facts; raise pickle.UnpicklingError on anything else."""
    return _FactsOnly(io.BytesIO(payload)).load()


def error_to_bytes(error: CdtError) -> bytes:
    """Write an error by value."""
    return json.dumps({"kind": type(error).__name__, **error.record()}).encode()


def error_from_bytes(payload: bytes) -> CdtError:
    """Return the error that the child met."""
    said = json.loads(payload)
    kind = _ERRORS.get(said["kind"], InternalFault)
    return kind(said["message"], code=said["code"], where=said["where"], remedy=said["remedy"])
