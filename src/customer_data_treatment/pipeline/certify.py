"""What the certificate says: score and level from the counts, fidelity from the fields, and the evidence beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from ..model.dataset import Dataset
from ..model.metadata import Metadata, nothing_said
from ..model.requirements import Requirements
from ..model.standards import Stated, standards_met
from ..model.verdict import CheckResult, Finding, Verdict, findings_of, judge, record_of, score
from ..package.certificate import content_digest
from ..package.files import Ledger
from ..package.layout import EVIDENCE, PLAN
from ..vocabulary import Dimension, RuleKind, Severity
from .fields import FieldOutcome
from .options import TreatOptions
from .source import SourceDigest

_NOT_CHECKED = (
    "who made the source and whether its metadata is true",
    "forgery: the certificate is not signed, so it finds damage, not an intended change",
)


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that stands when data/, evidence and plan are written."""

    dataset: Dataset
    options: TreatOptions
    requirements: Requirements
    ledger: Ledger
    source_name: str
    source: SourceDigest
    outcomes: tuple[FieldOutcome, ...]
    results: tuple[CheckResult, ...]
    findings: tuple[Finding, ...]
    carried: tuple[Mapping[str, Any], ...]
    plan: Mapping[str, Any]
    instant: str

    @property
    def auto_stored(self) -> int | None:
        """Return about the bytes that `--bound auto` would store, None where something lossy was asked already."""
        if any(request.kind != "lossless" for request in self.options.bounds):
            return None
        spared = sum(o.bytes_stored - o.auto_bytes for o in self.outcomes if o.auto_bytes is not None)
        return self.ledger.bytes_under("data/") - spared

    @property
    def metadata(self) -> Metadata:
        """Return what was said about the dataset, by the customer or by the file itself."""
        return self.requirements.metadata or nothing_said()


def fidelity_of(account: Account) -> tuple[float | None, str | None]:
    """Return (the worst field's fidelity, its name); (None, None) for a dataset without fields."""
    worst: tuple[float, str] | None = None
    for outcome in account.outcomes:
        for record in outcome.records:
            if "fidelity" in record and (worst is None or record["fidelity"]["value"] < worst[0]):
                worst = (record["fidelity"]["value"], record["name"])
    return worst if worst else (None, None)


def certify(account: Account, content_sha256: str | None = None) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Return the certificate's body and its findings. `content_sha256` is given for sealed packages (an HMAC)."""
    options = account.options
    fidelity, worst_field = fidelity_of(account)
    fidelity_gate = None if fidelity is None else fidelity >= options.minimum_fidelity
    verdict = judge(account.results, fidelity=fidelity_gate)
    findings = _findings(account, verdict, fidelity)
    body: dict[str, Any] = {
        "schema": 1,
        "issued": account.instant,
        "product": {"name": "customer-data-treatment", "version": version("customer-data-treatment")},
        "source": {
            "name": account.source_name,
            "bytes": account.source.bytes,
            "sha256": account.source.sha256,
            "files": len(account.source.files),
        },
        "format": account.dataset.format,
        "modality": str(options.modality or account.dataset.modality),
        "data_type": str(account.dataset.data_type),
        "level": str(verdict.level),
        "score": verdict.score,
        "fidelity": {"value": fidelity, "field": worst_field, "requested": options.minimum_fidelity},
        "dimensions": _dimensions(account.results, verdict),
        "gates": verdict.gates.record(),
        "checks": [record_of(result) for result in account.results],
        "fields": [record for outcome in account.outcomes for record in outcome.records],
        "findings": [_finding_record(finding) for finding in findings],
        "sizes": _sizes(account),
        "carried": _carried(account),
        "not_checked": _not_checked(account, verdict),
        "standards": standards_met(_stated(account, verdict)),
        "metadata": dict(account.dataset.metadata) | dict(account.metadata.record),
        "privacy": options.privacy_note or None,
        "content_sha256": content_sha256 or content_digest(account.ledger.records.values()),
    }
    return body, findings


def _dimensions(results: tuple[CheckResult, ...], verdict: Verdict) -> dict[str, Any]:
    found = {}
    for dimension, value in verdict.dimensions.items():
        deciding = [r for r in results if r.dimension is dimension and r.kind is RuleKind.SCORED and score(r) == value]
        found[str(dimension)] = {"score": value, "check": deciding[0].name if value is not None else None}
    return found


def _finding_record(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "message": finding.message,
        "where": finding.where,
    }


def _sizes(account: Account) -> dict[str, Any]:
    stored = account.ledger.bytes_under("data/")
    records = account.ledger.records
    return {
        "source": account.source.bytes,
        "decoded": sum(outcome.bytes_decoded for outcome in account.outcomes),
        "stored": stored,
        "papers": records[EVIDENCE].bytes + records[PLAN].bytes,
        "ratio": stored / account.source.bytes if account.source.bytes else None,
    }


def _carried(account: Account) -> list[dict[str, Any]]:
    described = {item.name: item.description for item in account.dataset.carried}
    return [
        {"name": item["name"], "bytes": item["bytes"], "description": described[item["name"]]}
        for item in account.carried
    ]


def _not_checked(account: Account, verdict: Verdict) -> list[str]:
    found = [
        f"{dimension}: no check of this dataset speaks of it"
        for dimension, value in verdict.dimensions.items()
        if value is None
    ]
    if not account.requirements.checksums:
        found.append("the delivery's own checksums: none were given (--checksums)")
    if not account.requirements.tables:
        found.append("what the customer says the data must be: no schema was given (--schema)")
    return found + list(_NOT_CHECKED)


def _stated(account: Account, verdict: Verdict) -> Stated:
    facts = {
        "open-format",
        "content-digest",
        "provenance",
        "manifest",
        "types",
        "source-digest",
        "software",
        "time-stamped",
        "community-format",
        "metadata-plain",
    }
    measurements = [r for o in account.outcomes for r in o.records if r.get("role") == "measurement" and "units" in r]
    if measurements and all(record["units"] for record in measurements):
        facts.add("units")
    if account.requirements.tables:
        facts.add("schema")
    if verdict.dimensions.get(Dimension.VALIDITY) is not None:
        facts.add("checked")
    if account.options.seal:
        facts.add("sealed")
    return Stated(dict(account.dataset.metadata) | dict(account.metadata.record), frozenset(facts))


def _findings(account: Account, verdict: Verdict, fidelity: float | None) -> tuple[Finding, ...]:
    found = [*account.findings, *findings_of(account.results)]
    found += _about_size(account)
    options = account.options
    if fidelity is not None and fidelity < options.minimum_fidelity:
        found.append(
            Finding(
                "fidelity-below-request",
                Severity.ERROR,
                f"fidelity {fidelity:.6f} is below the {options.minimum_fidelity} asked for",
            )
        )
    if options.minimum_quality is not None and (verdict.score is None or verdict.score < options.minimum_quality):
        reached = "none could be given" if verdict.score is None else f"it is {verdict.score:.6f}"
        found.append(
            Finding(
                "quality-below-request",
                Severity.WARNING,
                f"a quality score of {options.minimum_quality} was asked for; {reached}",
            )
        )
    declared = options.hints.get("data_type")
    if declared and declared not in (str(account.dataset.data_type), "general"):
        found.append(
            Finding(
                "data-type-differs",
                Severity.NOTE,
                f"the data was announced as {declared} and is {account.dataset.data_type}",
            )
        )
    found += _about_announced_bytes(account)
    return tuple(found) + account.metadata.findings


def _about_announced_bytes(account: Account) -> list[Finding]:
    """Say so where a request announced over twice or under half of what came; it is an estimate, no promise."""
    announced, came = float(account.options.hints.get("bytes", "0")), account.source.bytes
    if not announced or 0.5 <= came / announced <= 2.0:
        return []
    return [Finding("size-differs", Severity.NOTE, f"about {announced:.3g} bytes were announced and {came} came")]


def _about_size(account: Account) -> list[Finding]:
    target = account.options.target_ratio
    sizes = _sizes(account)
    if target is None or sizes["ratio"] is None or sizes["ratio"] <= target:
        return []
    compression = account.dataset.source_compression
    why = f"; the source was compressed already ({compression})" if compression else ""
    return [
        Finding(
            "compression-target-missed",
            Severity.WARNING,
            f"data/ is {sizes['ratio']:.3f} of the source where {target} was aimed at{why}",
        )
    ]


# What a certificate says of a field that speaks of its values, not of its shape or its errors.
_OF_VALUES = ("statistics",)
_OF_VALUES_IN_ENCODING = ("scale_factor", "add_offset", "step", "bound")


def without_values(body: dict[str, Any], account: Account) -> dict[str, Any]:
    """Return the body of a sealed package: what stays plain holds no values, and of the file's own words none."""
    fields = []
    for record in body["fields"]:
        kept = {name: value for name, value in record.items() if name not in _OF_VALUES}
        if "encoding" in kept:
            encoding = kept["encoding"]
            kept["encoding"] = {n: v for n, v in encoding.items() if n not in _OF_VALUES_IN_ENCODING}
        if "error" in kept:
            kept["error"] = None
        fields.append(kept)
    return body | {"fields": fields, "metadata": dict(account.metadata.record), "sealed": True}
