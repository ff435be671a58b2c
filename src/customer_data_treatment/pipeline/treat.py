"""The mission in one function: intake, decode, check, treat, encode, store, certify, deliver."""

import json
import platform
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..checks.run import bind_checks, run_checks
from ..errors import CustomerError, FacilityError
from ..formats.detect import detect
from ..model import facts
from ..model.checksums import judge_checksums
from ..model.dataset import ArrayField, Dataset, Field, TableField
from ..model.outcome import Outcome
from ..model.requirements import Requirements, read_requirements
from ..model.verdict import CheckResult, Finding
from ..package.arrays import ArrayTree
from ..package.attributes import jsonable
from ..package.carried import write_carried
from ..package.evidence import EvidenceWriter
from ..package.files import Ledger
from ..package.layout import PLAN
from ..ports import ByteSource
from ..vocabulary import Level
from .certify import Account
from .context import Treatment
from .deliver import deliver
from .fields import FieldOutcome
from .memory import workers_within
from .options import TreatOptions
from .run import Run
from .source import DigestThread, SourceDigest, source_changed
from .surroundings import Surroundings

_VERSIONED = ("numpy", "numcodecs", "pyarrow", "zarr", "numba", "blake3")
FACTS = "dataset.json"


@dataclass(frozen=True, slots=True)
class TreatSummary:
    """The answer of `cdt treat --json`, and what people are told beside it."""

    package: Path
    format: str
    modality: str
    level: Level
    score: float | None
    fidelity: float | None
    bytes_source: int
    bytes_decoded: int
    bytes_stored: int
    seconds: float
    peak_rss_bytes: int
    findings: tuple[Finding, ...]
    body: Mapping[str, Any] = field(default_factory=dict)
    datasets: tuple[Mapping[str, Any], ...] = ()
    auto_stored: int | None = None  # about what `--bound auto` would store, where nothing lossy was asked

    def reaches(self, level: Level) -> bool:
        """Tell whether the package's level is `level` or better."""
        order = list(Level)
        return order.index(self.level) <= order.index(level)

    @property
    def compression_ratio(self) -> float | None:
        """Return the bytes under data/ over the bytes of the source."""
        return self.bytes_stored / self.bytes_source if self.bytes_source else None

    def record(self) -> dict[str, Any]:
        """Return the JSON answer."""
        submission = {"datasets": list(self.datasets)} if self.datasets else {}
        return submission | {
            "schema": 1,
            "package": str(self.package),
            "format": self.format,
            "modality": self.modality,
            "level": str(self.level),
            "score": self.score,
            "fidelity": self.fidelity,
            "bytes_source": self.bytes_source,
            "bytes_decoded": self.bytes_decoded,
            "bytes_stored": self.bytes_stored,
            "compression_ratio": self.compression_ratio,
            "seconds": round(self.seconds, 3),
            "throughput_bytes_per_s": round(self.bytes_decoded / self.seconds) if self.seconds else None,
            "peak_rss_bytes": self.peak_rss_bytes,
            "findings": len(self.findings),
        }


def treat(source: ByteSource, target: Path, options: TreatOptions, surroundings: Surroundings) -> TreatSummary:
    """Treat one dataset into a package at `target` and return what became of it.

    Memory stays within `options.memory` above the imports. The source is only read. Nothing is
    visible at `target` before everything is; on any error nothing is left there. Raise CustomerError
    for a source that cannot be taken, FacilityError for surroundings that fail.
    """
    began = time.monotonic()
    requirements = read_requirements(options.schema, options.checksums, options.metadata)
    detect(source)
    with committed(target, options, surroundings) as folder:
        body, findings, auto_stored = treat_into(source, folder, options, requirements, surroundings)
    return replace(summary_of(target, body, findings, time.monotonic() - began), auto_stored=auto_stored)


@contextmanager
def committed(target: Path, options: TreatOptions, surroundings: Surroundings) -> Iterator[Path]:
    """Give a staging folder that becomes `target` if the block ends well, and vanishes if it does not."""
    staging = surroundings.staging(target, options.overwrite)
    try:
        yield staging.folder
        staging.commit()
    except MemoryError as error:
        raise _no_memory(options) from error
    except OSError as error:
        raise surroundings.explain(error, target) from error
    finally:
        staging.discard()


def treat_into(
    source: ByteSource, folder: Path, options: TreatOptions, requirements: Requirements, surroundings: Surroundings
) -> tuple[dict[str, Any], tuple[Finding, ...], int | None]:
    """Write a whole package of one dataset into `folder`; return the certificate's body, the findings, and about
    what `--bound auto` would store (None where a bound was asked).
    """
    found = detect(source)
    with Run(workers_within(options.memory, options.workers)) as run:
        digest = DigestThread(source, tuple(item.algorithm for item in requirements.checksums))
        try:
            decoder = surroundings.open_decoder(found, source)
            try:
                account = _store(decoder, folder, options, requirements, surroundings, run, digest)
            finally:
                decoder.close()
        except BaseException as error:
            digest.cancel()
            if isinstance(error, CustomerError) and digest.moved():
                raise source_changed(source.name) from error
            raise
    body, findings = deliver(account, folder, surroundings)
    return body, findings, account.auto_stored


def _store(
    decoder: Any,
    folder: Path,
    options: TreatOptions,
    requirements: Requirements,
    surroundings: Surroundings,
    run: Run,
    digest: DigestThread,
) -> Account:
    """Write data/, evidence and plan, and return everything the certificate is made from."""
    dataset: Dataset = decoder.dataset
    refuse_unknown_fields(dataset, options)
    ledger = Ledger(folder)
    evidence = EvidenceWriter(ledger)
    observers = bind_checks(dataset, requirements)
    work = Treatment(
        decoder, options, run, surroundings.progress, ledger, ArrayTree(ledger), evidence, tuple(observers)
    )
    outcomes = _treat_fields(work)
    carried = [write_carried(ledger, item.name, decoder.carried(item.name)) for item in dataset.carried]
    _write_facts(work, carried)
    evidence.close()
    plan = plan_of(dataset, outcomes)
    ledger.write(PLAN, json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode())
    origin = digest.result()
    results = _results(work, outcomes, requirements, digest.name, digest.is_folder, origin)
    return Account(
        dataset=dataset,
        options=options,
        requirements=requirements,
        ledger=ledger,
        source_name=digest.name,
        source=origin,
        outcomes=tuple(outcomes),
        results=tuple(results),
        findings=(*dataset.findings, *work.findings),
        carried=tuple(carried),
        plan=plan,
        instant=surroundings.instant,
    )


def _treat_fields(work: Treatment) -> list[FieldOutcome]:
    dataset = work.decoder.dataset
    work.progress.stage("treating", decoded_bytes(dataset))
    outcomes = []
    for path, attributes in dataset.groups.items():
        work.tree.group(work.nodes.get(path, path), jsonable(attributes))
    for item in dataset.fields:
        outcomes.append(_treat_field(work, item))
    if dataset.native is not None:
        work.tree.root_attributes["cdt_native"] = dataset.native
    if any(isinstance(item, ArrayField) for item in dataset.fields):
        work.tree.close()
    return outcomes


def _treat_field(work: Treatment, field: Field) -> FieldOutcome:
    """Store one field; kernels are compiled code that tables need not load."""
    if isinstance(field, TableField):
        from .tables import treat_table

        return treat_table(work, field)
    from .arrays import treat_array
    from .prepare import prepare

    return treat_array(work, prepare(work, field))


def decoded_bytes(dataset: Dataset) -> int | None:
    """Return about how many bytes decoding gives; None where a table does not say its rows."""
    total = 0
    for item in dataset.fields:
        if isinstance(item, TableField):
            return None
        total += item.size * (16 if item.dtype == "string" else item.numpy_dtype().itemsize)
    return total


def _write_facts(work: Treatment, carried: list[dict[str, Any]]) -> None:
    record = facts.to_record(work.decoder.dataset, jsonable)
    record |= {
        "nodes": work.nodes,
        "tables": work.tables,
        "stored": {item["name"]: [item["path"], item["compressed"]] for item in carried},
    }
    text = json.dumps(record, sort_keys=True, ensure_ascii=False, allow_nan=False)
    work.ledger.write(f"data/carried/{FACTS}", text.encode("utf-8", "surrogatepass"))


def plan_of(dataset: Dataset, outcomes: list[FieldOutcome]) -> dict[str, Any]:
    """Return the decisions that were carried out: no forecasts, no speeds, no paths."""
    return {
        "schema": 1,
        "format": dataset.format,
        "fields": [outcome.plan for outcome in outcomes],
        "versions": {"customer-data-treatment": version("customer-data-treatment")}
        | {name: version(name) for name in _VERSIONED},
    }


def _results(
    work: Treatment,
    outcomes: list[FieldOutcome],
    requirements: Requirements,
    name: str,
    is_folder: bool,
    origin: SourceDigest,
) -> list[CheckResult]:
    statistics = {name: value for outcome in outcomes for name, value in outcome.statistics.items()}
    chunks = {outcome.records[0]["name"]: outcome.tally for outcome in outcomes}
    delivered: tuple[CheckResult, ...] = ()
    if requirements.checksums:
        delivered = judge_checksums(requirements.checksums, origin.files, name, is_folder=is_folder)
    outcome = Outcome(
        dataset=work.decoder.dataset,
        statistics=statistics,
        requirements=requirements,
        rules=work.decoder.rules(),
        chunks=chunks,
        recorded={"source digest": True, "plan": True, "software versions": True},
        delivered=delivered,
        reread=work.decoder.batches,
    )
    return run_checks(work.observers, work.partials(), outcome)


def refuse_unknown_fields(dataset: Dataset, options: TreatOptions) -> None:
    """Raise CustomerError (unknown-field) where a bound names a field the dataset does not have."""
    known = set()
    for item in dataset.fields:
        if isinstance(item, TableField):
            known |= {f"{item.name}/{column.name}" for column in item.columns}
        else:
            known.add(item.name)
    for request in options.bounds:
        if request.field is not None and request.field not in known:
            raise CustomerError(
                f"there is no field {request.field!r}",
                code="unknown-field",
                remedy="cdt inspect lists the fields; a column is TABLE/COLUMN",
            )


def summary_of(package: Path, body: Mapping[str, Any], findings: tuple[Finding, ...], seconds: float) -> TreatSummary:
    """Return the answer of a treatment from its certificate's body."""
    return TreatSummary(
        package=package,
        format=body["format"],
        modality=body["modality"],
        level=Level(body["level"]),
        score=body["score"],
        fidelity=body["fidelity"]["value"],
        bytes_source=body["sizes"]["source"],
        bytes_decoded=body["sizes"]["decoded"],
        bytes_stored=body["sizes"]["stored"],
        seconds=seconds,
        peak_rss_bytes=peak_rss(),
        findings=findings,
        body=body,
        datasets=tuple(body.get("datasets", ())),
    )


def peak_rss() -> int:
    """Return the high-water mark of resident memory in bytes, our children's largest added."""
    unit = 1 if platform.system() == "Darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + children) * unit


def _no_memory(options: TreatOptions) -> FacilityError:
    return FacilityError(
        "the memory planned for was not to be had",
        code="memory-plan",
        remedy=f"free memory, or ask for less than --memory {options.memory >> 20}MiB",
    )
