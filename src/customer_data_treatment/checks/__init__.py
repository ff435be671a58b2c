"""The checks: name -> facts. `bind_checks` and `run_checks` (checks.run) put them to work."""

from collections.abc import Mapping
from types import MappingProxyType

from ..plugin import CheckFacts
from ..vocabulary import Dimension

_PACKAGE = "customer_data_treatment.checks"

CHECKS: Mapping[str, CheckFacts] = MappingProxyType(
    {
        facts.name: facts
        for facts in (
            CheckFacts("completeness", Dimension.COMPLETENESS, f"{_PACKAGE}.completeness:COMPLETENESS"),
            CheckFacts("structure", Dimension.CONSISTENCY, f"{_PACKAGE}.consistency:STRUCTURE"),
            CheckFacts("duplicates", Dimension.CONSISTENCY, f"{_PACKAGE}.repetition:DUPLICATES"),
            CheckFacts("references", Dimension.CONSISTENCY, f"{_PACKAGE}.consistency:REFERENCES"),
            CheckFacts("witnesses", Dimension.ACCURACY, f"{_PACKAGE}.accuracy:WITNESSES"),
            CheckFacts("ranges", Dimension.VALIDITY, f"{_PACKAGE}.validity:RANGES"),
            CheckFacts("cells", Dimension.VALIDITY, f"{_PACKAGE}.validity:CELLS"),
            CheckFacts("schema", Dimension.VALIDITY, f"{_PACKAGE}.conformance:SCHEMA"),
            CheckFacts("records", Dimension.REPRODUCIBILITY, f"{_PACKAGE}.reproducibility:RECORDS"),
        )
    }
)
