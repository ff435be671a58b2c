"""What treat would do: bounds, codecs, chunk shapes, and a forecast of size, time and memory that is printed, not stored."""

import shutil
from pathlib import Path
from typing import Any

from ..errors import FacilityError
from ..formats.detect import detect
from ..model.bound import asked_bound
from ..model.dataset import TEXT, ArrayField, TableField
from ..ports import ByteSource
from .array_papers import plan_record
from .choose import codec_named
from .context import Planning
from .memory import planned_peak, workers_within
from .options import TreatOptions
from .prepare import prepare
from .run import Run
from .surroundings import Surroundings
from .survey import trial_chunks
from .treat import refuse_unknown_fields

_BYTES_PER_SECOND = 150e6  # a cautious figure for one worker; bench/ has measured ones


def plan(source: ByteSource, options: TreatOptions, surroundings: Surroundings, target: Path | None) -> dict[str, Any]:
    """Return the plan and its forecast. rel, noise and auto bounds cost one pass over their fields.

    Raise FacilityError: memory-plan, or disk-full where the target's disk will not hold the forecast.
    """
    found = detect(source)
    with Run(workers_within(options.memory, options.workers)) as run:
        decoder = surroundings.open_decoder(found, source)
        try:
            refuse_unknown_fields(decoder.dataset, options)
            work = Planning(decoder, options, run, surroundings.progress)
            fields, decoded, stored = _fields(work, source)
        finally:
            decoder.close()
        peak = planned_peak(run.workers)
    if target is not None:
        _refuse_full_disk(target, stored)
    return {
        "schema": 1,
        "source": source.name,
        "format": found.name,
        "modality": str(options.modality or found.modality),
        "fields": fields,
        "forecast": {
            "bytes_source": source.size,
            "bytes_decoded": decoded,
            "bytes_stored": stored,
            "compression_ratio": stored / source.size if source.size else None,
            "seconds": round(decoded / _BYTES_PER_SECOND + 1.0, 1),
            "memory_bytes": peak,
            "workers": run.workers,
        },
    }


def _fields(work: Planning, source: ByteSource) -> tuple[list[dict[str, Any]], int, int]:
    records: list[dict[str, Any]] = []
    decoded = stored = 0
    for item in work.decoder.dataset.fields:
        if isinstance(item, TableField):
            columns = {c.name: _column(item, c.name, work.options) for c in item.columns}
            records.append({"field": item.name, "kind": "table", "columns": columns})
            decoded += source.size
            stored += source.size // 2
            continue
        prepared = prepare(work, item)
        records.append(plan_record(prepared))
        size = item.size * (16 if item.dtype == TEXT else item.numpy_dtype().itemsize)
        decoded += size
        stored += round(size * _share(work, item, prepared))
    return records, decoded, stored


def _column(table: TableField, name: str, options: TreatOptions) -> dict[str, Any]:
    """Return how a column would be stored: its bound is resolved when the whole table has been seen."""
    request = asked_bound(f"{table.name}/{name}", options.bounds)
    form = "exact" if request.kind == "lossless" else "rounded"
    return {"form": form, "codec": "parquet-zstd", "bound_asked": str(request), "bound": None}


def _share(work: Planning, array: ArrayField, prepared: Any) -> float:
    """Return stored over decoded bytes of the trial chunks."""
    from ..codecs.bounded import store

    if array.dtype == TEXT or array.size == 0:
        return 0.3
    code = codec_named(prepared.choice.codec)
    before = after = 0
    for sample in trial_chunks(work.decoder, array, prepared.grid)[:4]:
        held, errors, _ = store(sample, prepared.choice.form, array.fill)
        before += sample.nbytes
        after += len(code.encode(held)) if not errors.broken else sample.nbytes
    return after / before if before else 1.0


def _refuse_full_disk(target: Path, stored: int) -> None:
    parent = target.absolute().parent
    while not parent.exists():
        parent = parent.parent
    free = shutil.disk_usage(parent).free
    if stored > free:
        raise FacilityError(
            f"the package would take about {stored} bytes, {free} are free",
            code="disk-full",
            where=str(target),
            remedy="free space or choose another target",
        )
