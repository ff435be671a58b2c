"""Standards as lists of what a machine can check; met and unmet, never "certified".

FAIR: the RDA FAIR Data Maturity Model (2020, doi:10.15497/rda00050), those of its 41 indicators that
a machine can judge from a package and its metadata. NIH: the Final Policy for Data Management and
Sharing (NOT-OD-21-013) and its elements of a plan (NOT-OD-21-014). ISO 15189:2022 speaks of
laboratories; only its clauses on records and information are within a dataset's reach.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .metadata import is_persistent


@dataclass(frozen=True, slots=True)
class Stated:
    """What a standard's requirement may look at: the metadata, and facts of the package.

    `facts` are words of _FACTS that hold: "open-format" (Zarr and Parquet), "content-digest",
    "provenance", "manifest", "metadata-plain" (papers stay readable when the data is sealed),
    "units" (every measurement has units), "types", "schema", "checked" (validity assessed),
    "source-digest", "deidentified", "sealed", "software", "time-stamped", "community-format".
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    facts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StandardRequirement:
    """One requirement: its number in the standard, what it asks, and the test."""

    standard: str
    number: str
    text: str
    met: Callable[[Stated], bool]


def _says(*words: str) -> Callable[[Stated], bool]:
    return lambda stated: all(bool(stated.metadata.get(word)) for word in words)


def _holds(*facts: str) -> Callable[[Stated], bool]:
    return lambda stated: set(facts) <= stated.facts


def _identified(stated: Stated) -> bool:
    return is_persistent(str(stated.metadata.get("identifier", "")))


def _machine_licence(stated: Stated) -> bool:
    from .metadata import SPDX

    licence = str(stated.metadata.get("license", ""))
    return licence in SPDX or licence.startswith(("http://", "https://"))


def _people_identified(stated: Stated) -> bool:
    return any("orcid" in person for person in stated.metadata.get("creators", ()))


FAIR, NIH, ISO = (
    "FAIR (RDA FDM indicators)",
    "NIH data management and sharing",
    "ISO 15189:2022 (records and information)",
)

REQUIREMENTS: tuple[StandardRequirement, ...] = (
    StandardRequirement(FAIR, "RDA-F1-01D", "the data has a persistent identifier", _identified),
    StandardRequirement(FAIR, "RDA-F1-02D", "the data has a globally unique identifier", _holds("content-digest")),
    StandardRequirement(FAIR, "RDA-F2-01M", "rich metadata is given for discovery", _says("title", "description", "creators", "keywords")),
    StandardRequirement(FAIR, "RDA-F3-01M", "metadata includes the identifier of the data", _holds("content-digest", "manifest")),
    StandardRequirement(FAIR, "RDA-F4-01M", "metadata can be harvested and indexed", _holds("provenance", "metadata-plain")),
    StandardRequirement(FAIR, "RDA-A1-01M", "metadata says how to get access", _says("contact")),
    StandardRequirement(FAIR, "RDA-A2-01M", "metadata stays available when the data is not", _holds("metadata-plain")),
    StandardRequirement(FAIR, "RDA-I1-01D", "the data uses a standard representation", _holds("open-format")),
    StandardRequirement(FAIR, "RDA-I1-02D", "the data's representation is machine-understandable", _holds("open-format", "types")),
    StandardRequirement(FAIR, "RDA-I1-02M", "metadata is machine-understandable (JSON-LD)", _holds("provenance")),
    StandardRequirement(FAIR, "RDA-I3-03M", "metadata refers to other metadata by identifiers", _people_identified),
    StandardRequirement(FAIR, "RDA-R1-01M", "attributes allow reuse: every field is typed, every measurement has units", _holds("types", "units")),
    StandardRequirement(FAIR, "RDA-R1.1-01M", "metadata states the licence", _says("license")),
    StandardRequirement(FAIR, "RDA-R1.1-02M", "the licence is a standard one", _machine_licence),
    StandardRequirement(FAIR, "RDA-R1.1-03M", "the licence is machine-understandable", _machine_licence),
    StandardRequirement(FAIR, "RDA-R1.2-01M", "provenance follows a community's standard", _holds("provenance")),
    StandardRequirement(FAIR, "RDA-R1.2-02M", "provenance follows a cross-community language (PROV, schema.org)", _holds("provenance", "software")),
    StandardRequirement(FAIR, "RDA-R1.3-01D", "the data complies with a community standard", _holds("community-format")),
    StandardRequirement(NIH, "1 Data type", "the data is described", _says("title", "description")),
    StandardRequirement(NIH, "2 Tools", "software needed to reproduce the data is named with its version", _holds("software")),
    StandardRequirement(NIH, "3 Standards", "data and metadata follow common standards", _holds("open-format", "provenance")),
    StandardRequirement(NIH, "4 Preservation", "a persistent identifier is stated", _identified),
    StandardRequirement(NIH, "4 Preservation", "a repository is named", _says("repository")),
    StandardRequirement(NIH, "5 Access", "access and reuse are stated", _says("license", "contact")),
    StandardRequirement(NIH, "5 Access", "funding is acknowledged", _says("funding")),
    StandardRequirement(NIH, "6 Oversight", "who is responsible is named", _says("institution", "contact")),
    StandardRequirement(ISO, "7.4.1.6", "results carry their units", _holds("units")),
    StandardRequirement(ISO, "7.6.3", "the integrity of data is verified when it is transferred", _holds("source-digest", "manifest")),
    StandardRequirement(ISO, "7.6.3", "changes to data are recorded: who, when, what", _holds("provenance", "time-stamped")),
    StandardRequirement(ISO, "8.4.2", "records are kept from alteration unseen", _holds("manifest", "content-digest")),
    StandardRequirement(ISO, "8.4.2", "records name the person or body responsible", _says("institution")),
)  # fmt: skip


def standards_met(stated: Stated) -> list[dict[str, Any]]:
    """Return, for each standard, how many of its machine-checkable requirements are met, and which are not.

    The answer's form is the certificate's: standard, met, of, missing ("NUMBER: what is asked").
    """
    reports = []
    for standard in dict.fromkeys(requirement.standard for requirement in REQUIREMENTS):
        asked = [requirement for requirement in REQUIREMENTS if requirement.standard == standard]
        missing = [requirement for requirement in asked if not requirement.met(stated)]
        reports.append(
            {
                "standard": standard,
                "met": len(asked) - len(missing),
                "of": len(asked),
                "missing": [f"{requirement.number}: {requirement.text}" for requirement in missing],
            }
        )
    return reports
