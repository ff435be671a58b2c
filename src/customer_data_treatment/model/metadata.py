"""What a customer says about their dataset: title, people, licence; and which of it is missing.

JSON, or YAML by its suffix. Keys are lower case, `license` and `licence` alike; an unknown key is a
finding, never lost silently. ORCID's check digit is ISO 7064 MOD 11-2; licences are SPDX
identifiers (https://spdx.org/licenses/) or addresses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..vocabulary import Severity
from .structured import fault, parse_structured
from .verdict import Finding

_CODE = "bad-metadata"
_SAME = {
    "licence": "license",
    "creator": "creators",
    "authors": "creators",
    "author": "creators",
    "identifiers": "identifier",
    "doi": "identifier",
    "publisher": "institution",
    "date": "dates",
    "name": "title",
    "contactpoint": "contact",
    "contact_point": "contact",
}
_KNOWN = (
    "title",
    "description",
    "creators",
    "license",
    "institution",
    "contact",
    "keywords",
    "identifier",
    "dates",
    "funding",
    "version",
    "language",
    "method",
    "related",
    "access",
    "ethics",
    "coverage",
    "repository",
)
_PERSON = ("name", "given_name", "family_name", "orcid", "affiliation", "email", "role")
_ORCID = re.compile(r"(?:https?://orcid\.org/)?((?:\d{4}-){3}\d{3}[\dXx])/?")
_ROR = re.compile(r"(?:https?://ror\.org/)?(0[a-hj-km-np-tv-z0-9]{6}\d{2})/?")
_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?)?)?")
# Identifiers that datasets and their code are given; another one is taken at its word, with a note.
SPDX = frozenset(
    [
        "0BSD",
        "AFL-3.0",
        "AGPL-3.0-only",
        "AGPL-3.0-or-later",
        "Apache-2.0",
        "Artistic-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "C-UDA-1.0",
        "CC-BY-1.0",
        "CC-BY-2.0",
        "CC-BY-2.5",
        "CC-BY-3.0",
        "CC-BY-3.0-US",
        "CC-BY-3.0-IGO",
        "CC-BY-4.0",
        "CC-BY-NC-2.0",
        "CC-BY-NC-3.0",
        "CC-BY-NC-4.0",
        "CC-BY-NC-ND-3.0",
        "CC-BY-NC-ND-4.0",
        "CC-BY-NC-SA-2.0",
        "CC-BY-NC-SA-3.0",
        "CC-BY-NC-SA-4.0",
        "CC-BY-ND-3.0",
        "CC-BY-ND-4.0",
        "CC-BY-SA-2.0",
        "CC-BY-SA-3.0",
        "CC-BY-SA-4.0",
        "CC-PDDC",
        "CC0-1.0",
        "CDLA-Permissive-1.0",
        "CDLA-Permissive-2.0",
        "CDLA-Sharing-1.0",
        "CECILL-2.1",
        "CERN-OHL-P-2.0",
        "DL-DE-BY-2.0",
        "DL-DE-ZERO-2.0",
        "ECL-2.0",
        "EPL-2.0",
        "EUPL-1.1",
        "EUPL-1.2",
        "etalab-2.0",
        "GFDL-1.3-only",
        "GFDL-1.3-or-later",
        "GPL-2.0-only",
        "GPL-2.0-or-later",
        "GPL-3.0-only",
        "GPL-3.0-or-later",
        "ISC",
        "LGPL-2.1-only",
        "LGPL-2.1-or-later",
        "LGPL-3.0-only",
        "LGPL-3.0-or-later",
        "LiLiQ-P-1.1",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "MS-PL",
        "MulanPSL-2.0",
        "NCSA",
        "NIST-PD",
        "NLOD-1.0",
        "NLOD-2.0",
        "O-UDA-1.0",
        "ODbL-1.0",
        "ODC-By-1.0",
        "OGC-1.0",
        "OGL-Canada-2.0",
        "OGL-UK-1.0",
        "OGL-UK-2.0",
        "OGL-UK-3.0",
        "OSL-3.0",
        "PDDL-1.0",
        "PostgreSQL",
        "Python-2.0",
        "SSPL-1.0",
        "TAPR-OHL-1.0",
        "Unlicense",
        "UPL-1.0",
        "W3C",
        "WTFPL",
        "Zlib",
    ]
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What was said, in one form, and what about it is missing or wrong.

    `record` has the keys of `_KNOWN`; creators are a list of mappings with `name` and, where given,
    `orcid` (bare) and `affiliation`; `license` is an SPDX identifier or an address.
    """

    record: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()


def parse_metadata(raw: bytes, name: str) -> Metadata:
    """Return the metadata a file gives; raise CustomerError (bad-metadata) where it is malformed.

    What is missing, unknown or implausible is a finding; only a wrong shape is an error.
    """
    document = parse_structured(raw, name, _CODE)
    if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
        raise fault("it is no object of named entries", name, _CODE, 1)
    said: dict[str, Any] = {}
    unknown = []
    for key, value in document.items():
        word = key.strip().lower().replace("-", "_").replace(" ", "_")
        word = _SAME.get(word, word)
        if word not in _KNOWN:
            unknown.append(key)
        elif word in said:
            raise fault(f"{key} says again what another key said", name, _CODE)
        elif value not in (None, "", [], {}):
            said[word] = value
    findings = [
        Finding("metadata-unknown", Severity.NOTE, "the metadata holds a key that is not understood", key)
        for key in unknown
    ]
    record = _shaped(said, name, findings)
    findings += _missing(record)
    return Metadata(MappingProxyType(record), tuple(findings))


def nothing_said() -> Metadata:
    """Return the metadata of a dataset about which nobody said anything: all of it is missing."""
    return Metadata(MappingProxyType({}), tuple(_missing({})))


def orcid_of(text: str) -> str | None:
    """Return the bare ORCID a text gives, None unless its check digit is right."""
    match = _ORCID.fullmatch(text.strip())
    if not match:
        return None
    digits = match[1].replace("-", "").upper()
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return match[1].upper() if digits[-1] == ("X" if check == 10 else str(check)) else None


def _shaped(said: dict[str, Any], name: str, findings: list[Finding]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for word, value in said.items():
        if word in ("title", "description", "language", "version", "method"):
            record[word] = _text(value, word, name)
        elif word == "keywords":
            items = re.split(r"[,;]", value) if isinstance(value, str) else value
            if not isinstance(items, list) or not all(isinstance(item, str | int) for item in items):
                raise fault("keywords is no list of words", name, _CODE)
            record[word] = [str(item).strip() for item in items if str(item).strip()]
        elif word == "creators":
            people = value if isinstance(value, list) else [value]
            record[word] = [_person(person, name, findings) for person in people]
        elif word == "license":
            record[word] = _licence(value, name, findings)
        elif word == "institution":
            record[word] = _institution(value, name, findings)
        elif word == "contact":
            record[word] = _contact(value, name, findings)
        elif word == "identifier":
            items = value if isinstance(value, list) else [value]
            record[word] = _text(items[0], word, name)
            if len(items) > 1:
                record["related"] = [_text(item, word, name) for item in items[1:]]
        elif word == "dates":
            record[word] = _dates(value, name, findings)
        else:
            record.setdefault(word, value)
    return record


def _text(value: Any, word: str, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise fault(f"{word} is no text", name, _CODE)
    return str(value).strip()


def _person(value: Any, name: str, findings: list[Finding]) -> dict[str, Any]:
    if isinstance(value, str):
        return {"name": value.strip()}
    if not isinstance(value, Mapping):
        raise fault("a creator is neither a name nor an object", name, _CODE)
    given = {str(key).strip().lower().replace("-", "_"): item for key, item in value.items() if item}
    person: dict[str, Any] = {
        word: _text(given[word], f"a creator's {word}", name)
        for word in _PERSON
        if isinstance(given.get(word), str | int)
    }
    if isinstance(given.get("affiliation"), Mapping):
        person["affiliation"] = _institution(given["affiliation"], name, findings)
    person.setdefault("name", " ".join(filter(None, (person.get("given_name"), person.get("family_name")))))
    if not person["name"]:
        raise fault("a creator has no name", name, _CODE)
    if "orcid" in person:
        orcid = orcid_of(person.pop("orcid"))
        if orcid is None:
            findings.append(
                Finding(
                    "metadata-orcid",
                    Severity.WARNING,
                    "an ORCID's check digit is wrong, so it is left out",
                    "creators",
                )
            )
        else:
            person["orcid"] = orcid
    return person


def _licence(value: Any, name: str, findings: list[Finding]) -> str:
    if isinstance(value, Mapping):
        value = value.get("id") or value.get("url") or value.get("name") or ""
    text = _text(value, "license", name)
    by_case = {known.lower(): known for known in SPDX}
    tail = re.sub(r"^https?://spdx\.org/licenses/|\.(html|json)$", "", text)
    if tail.lower() in by_case:
        return by_case[tail.lower()]
    if not re.fullmatch(r"https?://\S+", text):
        findings.append(
            Finding(
                "metadata-licence",
                Severity.WARNING,
                "the licence is neither a known SPDX identifier nor an address",
                "license",
            )
        )
    return text


def _institution(value: Any, name: str, findings: list[Finding]) -> dict[str, str]:
    if isinstance(value, str):
        return {"name": value.strip()}
    if not isinstance(value, Mapping):
        raise fault("an institution is neither a name nor an object", name, _CODE)
    record = {str(key).lower(): _text(item, "institution", name) for key, item in value.items() if item}
    if "ror" in record and not _ROR.fullmatch(record["ror"]):
        findings.append(
            Finding(
                "metadata-ror",
                Severity.WARNING,
                "a ROR identifier is malformed, so it is left out",
                "institution",
            )
        )
        del record["ror"]
    if not record.get("name"):
        raise fault("an institution has no name", name, _CODE)
    return record


def _contact(value: Any, name: str, findings: list[Finding]) -> Any:
    given = {"email": value} if isinstance(value, str) and "@" in value else value
    if isinstance(given, str):
        return given.strip()
    if not isinstance(given, Mapping):
        raise fault("contact is neither an address nor an object", name, _CODE)
    record = {str(key).lower(): _text(item, "contact", name) for key, item in given.items() if item}
    if "email" in record and not _EMAIL.fullmatch(record["email"]):
        findings.append(
            Finding("metadata-contact", Severity.WARNING, "the contact's e-mail address is malformed", "contact")
        )
    return record


def _dates(value: Any, name: str, findings: list[Finding]) -> dict[str, str]:
    given = value if isinstance(value, Mapping) else {"issued": value}
    record = {str(key).lower(): _text(item, "dates", name) for key, item in given.items() if item is not None}
    for key, text in record.items():
        if not all(_DATE.fullmatch(part) for part in text.split("/")):
            findings.append(
                Finding("metadata-date", Severity.WARNING, "a date is not written as ISO 8601", f"dates.{key}")
            )
    return record


_ASKED = {
    "title": "no title was stated",
    "creators": "no creator was stated",
    "license": "no licence was stated, so nobody may reuse it",
    "institution": "no institution was stated",
    "contact": "no contact was stated",
    "keywords": "no keywords were stated",
    "description": "no description was stated",
}


def _missing(record: Mapping[str, Any]) -> list[Finding]:
    found = [
        Finding(f"metadata-{word}-missing", Severity.NOTE, message, "metadata")
        for word, message in _ASKED.items()
        if not record.get(word)
    ]
    if record.get("creators") and not any("orcid" in person for person in record["creators"]):
        found.append(Finding("metadata-orcid-missing", Severity.NOTE, "no creator has an ORCID", "metadata, creators"))
    return found


def is_persistent(identifier: str) -> bool:
    """Return whether an identifier is of a persistent kind: DOI, Handle, ARK, PURL, w3id or an accession."""
    text = identifier.strip()
    kinds = r"(https?://)?(hdl\.handle\.net/|n2t\.net/ark:|purl\.|w3id\.org/|identifiers\.org/)|ark:|hdl:|urn:"
    return bool(_DOI.fullmatch(text) or re.match(kinds, text) or re.fullmatch(r"[A-Z]{2,6}[_-]?[A-Z]?\d{4,}", text))
