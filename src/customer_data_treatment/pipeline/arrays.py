"""One array field from its source to its shards: each chunk encoded, decoded again and compared before it counts."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from blake3 import blake3

from ..algorithms.observe import observe, same_bytes
from ..algorithms.quantise_errors import Errors
from ..algorithms.similarity import ks_distance, pearson, spread
from ..codecs.bounded import Form, store
from ..errors import InternalFault
from ..model.chunk import Chunk
from ..model.dataset import TEXT, ArrayField
from ..model.outcome import ChunkTally
from ..model.sample import ChunkGrid
from ..model.statistics import Statistics
from ..package.arrays import ChunkWriter, padded
from ..package.layout import ARRAYS
from ..package.pictures import picture_of
from ..plugin import CodecCode
from .array_papers import document, encoding_record, plan_record
from .choose import codec_named, decoded_sample, finite_sorted, tiles_ssim
from .context import Treatment
from .fields import EXACT_FIDELITY, Fidelity, FieldOutcome, Tally, statistics_record
from .prepare import Prepared, exact, surveyed
from .sketch import ArraySketch
from .source import source_changed
from .survey import ArrayChunk, Collector, Survey, checksum, chunks
from .watch import Watch


@dataclass(frozen=True, slots=True)
class _Encoded:
    chunk: ArrayChunk
    frame: bytes
    digest: bytes
    before: Statistics
    after: Statistics
    errors: Errors
    partials: tuple[Any, ...]


class _FormBroken(Exception):
    """A value could not keep the bound in the chosen form."""


def treat_array(work: Treatment, prepared: Prepared) -> FieldOutcome:
    """Store one array and return what became of it.

    A form that breaks (a single pass guessed too small a range) is chosen again after a whole
    survey; an auto form whose final fidelity falls short is stored exactly instead.
    """
    if prepared.array.dtype == TEXT:
        from .text_arrays import treat_text

        return treat_text(work, prepared)
    try:
        outcome, fidelity = _attempt(work, prepared)
    except _FormBroken:
        work.discard(prepared.array.name)
        if prepared.found is None:
            prepared = surveyed(work, prepared)
        else:
            prepared = replace(prepared, choice=exact(work, prepared, "a value could not keep the bound"))
        try:
            outcome, fidelity = _attempt(work, prepared)
        except _FormBroken:
            work.discard(prepared.array.name)
            prepared = replace(prepared, choice=exact(work, prepared, "a value could not keep the bound"))
            outcome, fidelity = _attempt(work, prepared)
    if prepared.choice.asked.kind == "auto" and fidelity.value < work.options.minimum_fidelity:
        work.discard(prepared.array.name)
        note = "no bounded form reached the fidelity asked for, so it is stored exactly"
        outcome, _ = _attempt(work, replace(prepared, choice=exact(work, prepared, note)))
    return outcome


def _attempt(work: Treatment, prepared: Prepared) -> tuple[FieldOutcome, Fidelity]:
    array, grid, choice, found = prepared.array, prepared.grid, prepared.choice, prepared.found
    node = work.nodes[array.name]
    bounded = choice.form.name != "exact"
    collector = None if found is not None else Collector(array, grid, with_tiles=bounded)
    watch = work.watch(array.name)
    writer = ChunkWriter(work.ledger, node, grid)
    sketch = ArraySketch(array)
    tally = Tally()
    code = codec_named(choice.codec)

    def encode(chunk: ArrayChunk) -> _Encoded:
        if found is not None and found.checksums[chunk.index] != checksum(chunk.values):
            raise source_changed(array.name)
        if collector is not None:
            collector.take(chunk.index, chunk.values)
        sketch.take(chunk.box, chunk.values)
        return _encode(chunk, array, grid, choice.form, code, watch, counted=found is not None)

    try:
        for done in work.run.ordered(chunks(work.decoder, array, grid, work.progress), encode):
            writer.append(done.chunk.shard, done.chunk.place, done.frame)
            _add(tally, done)
            watch.merge(done.partials)
            worst = done.errors.largest if bounded else None
            work.evidence.chunk(array.name, done.chunk.index, done.before.count, done.digest, worst)
    except BaseException:
        writer.abandon()
        raise
    writer.close()
    if found is not None:
        tally.before = found.statistics
        tally.after = tally.after if bounded else found.statistics
    seen = found or Survey(sample=collector.sample if collector else None, tiles=collector.tiles if collector else None)
    return _conclude(work, prepared, seen, sketch, tally, writer.bytes, code)


def _encode(
    chunk: ArrayChunk,
    array: ArrayField,
    grid: ChunkGrid,
    form: Form,
    code: CodecCode,
    watch: Watch,
    *,
    counted: bool,
) -> _Encoded:
    """Encode one chunk, decode it again, and accept it only if it holds the very numbers that were proven.

    What a survey has counted, chunk by chunk in the same order, is not counted again.
    """
    before = Statistics(count=chunk.values.size) if counted else observe(chunk.values, array.fill)[0]
    stored, errors, after = store(chunk.values, form, array.fill)
    if errors.broken:
        raise _FormBroken
    whole = padded(stored, grid.chunk)
    frame = code.encode(whole)
    again = np.empty_like(whole)
    code.decode(frame, again)
    if not same_bytes(whole, again):
        raise InternalFault(f"a chunk of {array.name} did not decode to what was encoded", code="internal")
    start = tuple(part.start for part in chunk.box)
    partials = watch.observe(Chunk(array.name, chunk.index, start, chunk.values))
    kept = replace(chunk, values=chunk.values[:0] if chunk.values.ndim else chunk.values)
    return _Encoded(kept, frame, blake3(_bytes(again).data).digest(), before, after or before, errors, partials)


def _bytes(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    return values.reshape(-1).view(np.uint8)


def _add(tally: Tally, done: _Encoded) -> None:
    first = tally.chunks == 0
    tally.before = done.before if first else tally.before.merge(done.before)
    tally.after = done.after if first else tally.after.merge(done.after)
    tally.errors = tally.errors.merge(done.errors)
    tally.chunks += 1


def _conclude(
    work: Treatment,
    prepared: Prepared,
    seen: Survey,
    sketch: ArraySketch,
    tally: Tally,
    stored_bytes: int,
    code: CodecCode,
) -> tuple[FieldOutcome, Fidelity]:
    array, choice = prepared.array, prepared.choice
    dtype = array.numpy_dtype()
    before = finite_sorted(seen.sample, array.fill)
    after: np.ndarray[Any, Any] | None = None
    fidelity = EXACT_FIDELITY
    if choice.form.name != "exact":
        # Every form is monotone, so the decoded sample stands sorted as the original does.
        after = decoded_sample(before.astype(dtype), choice.form, array.fill).astype(np.float64)
        fidelity = _fidelity(array, choice.form, seen, tally, before, after)
    document(work, prepared, code, tally.before)
    work.evidence.statistics("before", array.name, tally.before)
    work.evidence.statistics("after", array.name, tally.after)
    record = {
        "name": array.name,
        "kind": "array",
        "node": f"{ARRAYS}/{work.nodes[array.name]}",
        "shape": list(array.shape),
        "dtype": array.dtype,
        "units": array.units,
        "scale": None if array.scale is None else [float(part) for part in array.scale],
        "role": str(array.role),
        "encoding": encoding_record(choice),
        "bytes_decoded": array.size * dtype.itemsize,
        "bytes_stored": stored_bytes,
        "fidelity": fidelity.record(),
        "error": _error_record(tally, before, exact=choice.form.name == "exact"),
        "statistics": {"before": statistics_record(tally.before), "after": statistics_record(tally.after)},
    }
    picture = picture_of(before, after, choice.form.bound, **sketch.drawn(choice.form))
    outcome = FieldOutcome(
        (record,),
        {array.name: tally.before},
        ChunkTally(tally.chunks, tally.chunks, tally.chunks),
        array.size * dtype.itemsize,
        stored_bytes,
        plan_record(prepared),
        {array.name: picture},
        auto_bytes=None if prepared.auto_share is None else round(stored_bytes * prepared.auto_share),
    )
    return outcome, fidelity


def _fidelity(
    array: ArrayField,
    form: Form,
    seen: Survey,
    tally: Tally,
    before: "np.ndarray[Any, Any]",
    after: "np.ndarray[Any, Any]",
) -> Fidelity:
    width = spread(before)
    if width == 0.0:
        return Fidelity(0.0 if tally.errors.largest else None, None, None, None)
    n = tally.before.finite
    r = pearson(tally.before.m2, tally.after.m2, tally.errors.squares, tally.errors.total, n)
    ks = 1.0 - ks_distance(before, after)
    similarity = tiles_ssim(seen.tiles, form, array.fill, width) if seen.tiles is not None else None
    return Fidelity(1.0 - tally.errors.largest / width, r, ks, similarity)


def _error_record(tally: Tally, before: "np.ndarray[Any, Any]", *, exact: bool) -> dict[str, float | None]:
    if exact or not tally.before.finite:
        return {"max": 0.0, "mean": 0.0, "rms_over_spread": 0.0}
    n = tally.before.finite
    width = spread(before)
    rms = float(np.sqrt(tally.errors.squares / n))
    mean = tally.errors.total / n
    return {
        "max": tally.errors.largest,
        "mean": mean if np.isfinite(mean) else None,
        "rms_over_spread": rms / width if width and np.isfinite(rms / width) else None,
    }
