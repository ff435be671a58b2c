"""One array field from its source to its shards: each chunk encoded, decoded again and compared before it counts."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from blake3 import blake3
from numcodecs import VLenUTF8

from ..algorithms.observe import observe, same_bytes
from ..algorithms.quantise_errors import Errors
from ..algorithms.similarity import ks_distance, pearson, spread
from ..codecs.bounded import Form, store
from ..errors import CustomerError, InternalFault
from ..model.bound import asked_bound
from ..model.chunk import Chunk
from ..model.dataset import TEXT, ArrayField
from ..model.outcome import ChunkTally
from ..model.sample import ChunkGrid
from ..model.statistics import Statistics
from ..package.arrays import ChunkWriter, array_document, field_attributes
from ..package.attributes import DECODED, fill_attribute, jsonable, misread
from ..package.layout import ARRAYS, chunk_shape, shard_shape
from ..package.pictures import picture_of
from ..plugin import CodecCode
from .choose import (
    Choice,
    allowed,
    choose,
    codec_named,
    decoded_sample,
    finite_sorted,
    tiles_ssim,
    trial_survey,
)
from .context import Planning, Treatment
from .fields import EXACT_FIDELITY, Fidelity, FieldOutcome, statistics_record
from .sketch import ArraySketch
from .source import source_changed
from .survey import ArrayChunk, Collector, Survey, checksum, chunks, survey, trial_chunks
from .watch import Watch

_TEXT_ITEM = 16  # bytes a text value is taken for when chunks are cut


def grid_of(array: ArrayField) -> ChunkGrid:
    """Return how an array is cut; it depends on the array alone."""
    size = _TEXT_ITEM if array.dtype == TEXT else array.numpy_dtype().itemsize
    chunk = chunk_shape(array.shape, size, array.source_chunks, array.spatial_axes)
    return ChunkGrid(array.shape, chunk, shard_shape(array.shape, chunk, size))


@dataclass(frozen=True, slots=True)
class Prepared:
    """What planning decided for one array; `found` holds the first pass where there was one."""

    array: ArrayField
    grid: ChunkGrid
    choice: Choice
    found: Survey | None
    auto_share: float | None = None


def prepare(work: Planning, array: ArrayField) -> Prepared:
    """Resolve an array's bound, form and codec. rel, noise and auto cost one pass; lossless and abs a few chunks."""
    grid = grid_of(array)
    request = allowed(array, asked_bound(array.name, work.options.bounds))
    native = _is_native(work, array)
    samples = trial_chunks(work.decoder, array, grid) if array.size and array.dtype != TEXT else []
    if request.kind in ("rel", "noise", "auto") and array.size:
        found = survey(work.decoder, array, grid, work.run, work.progress)
        choice = choose(array, request, found, samples, native=native, minimum_fidelity=work.options.minimum_fidelity)
        return Prepared(array, grid, choice, found)
    guess = trial_survey(array, samples)
    if request.kind == "abs" and guess.statistics.minimum is not None and guess.statistics.maximum is not None:
        low, high = float(guess.statistics.minimum), float(guess.statistics.maximum)
        margin = (high - low) / 2.0
        guess.statistics = replace(guess.statistics, minimum=low - margin, maximum=high + margin)
    choice = choose(array, request, guess, samples, native=native, minimum_fidelity=work.options.minimum_fidelity)
    return Prepared(array, grid, choice, None)


def _is_native(work: Planning, array: ArrayField) -> bool:
    groups = work.decoder.dataset.native_groups
    return any(group == "" or array.name.startswith(f"{group}/") for group in groups)


@dataclass
class _Tally:
    """What the chunks of one array added up to."""

    before: Statistics = field(default_factory=Statistics)
    after: Statistics = field(default_factory=Statistics)
    errors: Errors = field(default_factory=Errors)
    decoded: int = 0
    chunks: int = 0


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
        return _treat_text(work, prepared)
    try:
        outcome, fidelity = _attempt(work, prepared)
    except _FormBroken:
        work.discard(prepared.array.name)
        if prepared.found is None:
            prepared = _surveyed(work, prepared)
        else:
            prepared = replace(prepared, choice=_exact(work, prepared, "a value could not keep the bound"))
        try:
            outcome, fidelity = _attempt(work, prepared)
        except _FormBroken:
            work.discard(prepared.array.name)
            prepared = replace(prepared, choice=_exact(work, prepared, "a value could not keep the bound"))
            outcome, fidelity = _attempt(work, prepared)
    if prepared.choice.asked.kind == "auto" and fidelity.value < work.options.minimum_fidelity:
        work.discard(prepared.array.name)
        note = "no bounded form reached the fidelity asked for, so it is stored exactly"
        outcome, _ = _attempt(work, replace(prepared, choice=_exact(work, prepared, note)))
    return outcome


def _surveyed(work: Treatment, prepared: Prepared) -> Prepared:
    array = prepared.array
    found = survey(work.decoder, array, prepared.grid, work.run, work.progress)
    samples = trial_chunks(work.decoder, array, prepared.grid)
    choice = choose(
        array,
        prepared.choice.asked,
        found,
        samples,
        native=_is_native(work, array),
        minimum_fidelity=work.options.minimum_fidelity,
    )
    return replace(prepared, found=found, choice=choice)


def _exact(work: Treatment, prepared: Prepared, note: str) -> Choice:
    lossless = replace(prepared.choice.asked, kind="lossless")
    samples = trial_chunks(work.decoder, prepared.array, prepared.grid)
    chosen = choose(prepared.array, lossless, Survey(), samples, native=False, minimum_fidelity=1.0)
    return replace(chosen, asked=prepared.choice.asked, note=note)


def _attempt(work: Treatment, prepared: Prepared) -> tuple[FieldOutcome, Fidelity]:
    array, grid, choice, found = prepared.array, prepared.grid, prepared.choice, prepared.found
    node = work.nodes[array.name]
    bounded = choice.form.name != "exact"
    collector = None if found is not None else Collector(array, grid, with_tiles=bounded)
    watch = work.watch(array.name)
    writer = ChunkWriter(work.ledger, node, grid)
    sketch = ArraySketch(array)
    tally = _Tally()
    code = codec_named(choice.codec)

    def encode(chunk: ArrayChunk) -> _Encoded:
        if found is not None and found.checksums[chunk.index] != checksum(chunk.values):
            raise source_changed(array.name)
        if collector is not None:
            collector.take(chunk.index, chunk.values)
        sketch.take(chunk.box, chunk.values)
        return _encode(chunk, array, grid, choice.form, code, watch)

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
    seen = found or Survey(sample=collector.sample if collector else None, tiles=collector.tiles if collector else None)
    return _conclude(work, prepared, seen, sketch, tally, writer.bytes, code)


def _encode(
    chunk: ArrayChunk, array: ArrayField, grid: ChunkGrid, form: Form, code: CodecCode, watch: Watch
) -> _Encoded:
    """Encode one chunk, decode it again, and accept it only if it holds the very numbers that were proven."""
    before, _ = observe(chunk.values, array.fill)
    stored, errors, after = store(chunk.values, form, array.fill)
    if errors.broken:
        raise _FormBroken
    padded = _padded(stored, grid.chunk)
    frame = code.encode(padded)
    again = np.empty_like(padded)
    code.decode(frame, again)
    if not same_bytes(padded, again):
        raise InternalFault(f"a chunk of {array.name} did not decode to what was encoded", code="internal")
    start = tuple(part.start for part in chunk.box)
    partials = watch.observe(Chunk(array.name, chunk.index, start, chunk.values))
    kept = replace(chunk, values=chunk.values[:0] if chunk.values.ndim else chunk.values)
    return _Encoded(kept, frame, blake3(_bytes(again).data).digest(), before, after or before, errors, partials)


def _bytes(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    return values.reshape(-1).view(np.uint8)


def _padded(values: "np.ndarray[Any, Any]", chunk: tuple[int, ...]) -> "np.ndarray[Any, Any]":
    """Return the values in a whole chunk: Zarr stores edge chunks at full size."""
    if values.shape == chunk:
        return np.ascontiguousarray(values)
    out = np.zeros(chunk, values.dtype)
    out[tuple(slice(0, n) for n in values.shape)] = values
    return out


def _add(tally: _Tally, done: _Encoded) -> None:
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
    tally: _Tally,
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
    _document(work, prepared, code, tally)
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
    )
    return outcome, fidelity


def _fidelity(
    array: ArrayField,
    form: Form,
    seen: Survey,
    tally: _Tally,
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


def _error_record(tally: _Tally, before: "np.ndarray[Any, Any]", *, exact: bool) -> dict[str, float | None]:
    if exact or not tally.before.finite:
        return {"max": 0.0, "mean": 0.0, "rms_over_spread": 0.0}
    n = tally.before.finite
    width = spread(before)
    rms = float(np.sqrt(tally.errors.squares / n))
    return {
        "max": tally.errors.largest,
        "mean": tally.errors.total / n,
        "rms_over_spread": rms / width if width else None,
    }


def encoding_record(choice: Choice) -> dict[str, Any]:
    """Return how a field is stored, as certificate and plan say it."""
    form = choice.form
    found: dict[str, Any] = {
        "form": form.name,
        "codec": choice.codec,
        "bound_asked": str(choice.asked),
        "bound": form.bound,
    }
    if form.grid is not None:
        found |= {
            "dtype": form.grid.dtype,
            "scale_factor": form.grid.step,
            "add_offset": form.grid.offset,
            "missing": "NaN" if form.grid.hole is None else "fill",
        }
    if form.step is not None:
        found["step"] = form.step
    if choice.note:
        found["note"] = choice.note
    return found


def plan_record(prepared: Prepared) -> dict[str, Any]:
    """Return one array's entry of the plan."""
    return {
        "field": prepared.array.name,
        "kind": "array",
        "chunk": list(prepared.grid.chunk),
        "shard": list(prepared.grid.shard),
        "encoding": encoding_record(prepared.choice),
    }


def _document(work: Treatment, prepared: Prepared, code: CodecCode, tally: _Tally) -> None:
    """Write the array's zarr.json: attributes that readers decode stand in the form they expect."""
    array, choice = prepared.array, prepared.choice
    source = array.numpy_dtype()
    stored = choice.form.stored_dtype(source)
    attributes = plain_attributes(work, array, tally.before)
    fill = fill_attribute(array.fill, stored) if choice.form.grid is None else None
    if array.fill is not None and fill is None:
        attributes["cdt_fill_value"] = jsonable(array.fill)
    attributes = field_attributes(choice.form, attributes, fill)
    if array.scale is not None:
        attributes |= {"scale_factor": float(array.scale[0]), "add_offset": float(array.scale[1])}
    if choice.form.grid is not None:
        attributes["cdt_source_dtype"] = source.name
    attributes |= _time_attributes(source, tally.before)
    document = array_document(prepared.grid, stored, code, work.dimensions[array.name], attributes)
    work.tree.array(work.nodes[array.name], document)


def _time_attributes(dtype: "np.dtype[Any]", seen: Statistics) -> dict[str, str]:
    """Return the CF words for a datetime or timedelta field, none where xarray could not decode its range."""
    if dtype.kind not in "mM":
        return {}
    unit, count = np.datetime_data(dtype)
    words = _TIME_WORDS.get((unit, count))
    own = {"cdt_source_dtype": str(dtype)}
    if words is None:
        return own
    if dtype.kind == "m":
        fits = unit in ("ns", "us", "ms", "s")
        return own | ({"units": words, "dtype": f"timedelta64[{unit}]"} if fits else {})
    said = {"units": f"{words} since 1970-01-01", "calendar": "proleptic_gregorian"}
    return own if misread(said, seen.minimum, seen.maximum) else own | said


_TIME_WORDS = {
    ("ns", 1): "nanoseconds",
    ("us", 1): "microseconds",
    ("ms", 1): "milliseconds",
    ("s", 1): "seconds",
    ("m", 1): "minutes",
    ("h", 1): "hours",
    ("D", 1): "days",
}


def plain_attributes(work: Treatment, array: ArrayField, seen: Statistics) -> dict[str, Any]:
    """Return an array's own attributes as JSON, those that xarray would misread renamed, with a finding."""
    found = {str(k): jsonable(v) for k, v in array.attributes.items() if k not in DECODED}
    if array.units is not None and "units" not in found:
        found["units"] = array.units
    scale = (array.scale or (1.0, 0.0)) if seen.minimum is not None else None
    ends: list[Any] = [seen.minimum, seen.maximum]
    if scale is not None and seen.minimum is not None and seen.maximum is not None:
        ends = sorted((seen.minimum * scale[0] + scale[1], seen.maximum * scale[0] + scale[1]))
    for name in misread(found, *ends):
        found[f"cdt_source_{name}"] = found.pop(name)
        work.note_misread(array.name, name)
    original = array.name.rpartition("/")[2]
    if work.nodes[array.name].rpartition("/")[2] != original:
        found["cdt_source_name"] = array.name
    given = [d for d in array.dimensions if d is not None]
    if given and list(work.dimensions[array.name]) != list(array.dimensions):
        found["cdt_source_dimensions"] = list(array.dimensions)
    return found


def _treat_text(work: Treatment, prepared: Prepared) -> FieldOutcome:
    """Store a text array as Zarr `string`, and which values are missing as a bool array beside it."""
    array, grid = prepared.array, prepared.grid
    node = work.nodes[array.name]
    small = array.size * _TEXT_ITEM <= 16 << 20
    name = "zstd7-plain" if small else "zstd1-plain"
    code = codec_named(name)
    mask_name = f"{array.name}__missing"
    mask_node = f"{node}__missing"
    writer, masks = ChunkWriter(work.ledger, node, grid), ChunkWriter(work.ledger, mask_node, grid)
    watch = work.watch(array.name)
    tally, distinct = _Tally(), set[str]()
    digests: list[bytes] = []
    try:
        for chunk in chunks(work.decoder, array, grid, work.progress):
            missing = np.array([item is None for item in chunk.values.reshape(-1)], bool).reshape(chunk.values.shape)
            frame, digest, size = _encode_text(chunk, missing, grid, code)
            mask, mask_digest = _encode_mask(missing, grid, code)
            writer.append(chunk.shard, chunk.place, frame)
            masks.append(chunk.shard, chunk.place, mask)
            digests.append(mask_digest)
            start = tuple(part.start for part in chunk.box)
            watch.merge(watch.observe(Chunk(array.name, chunk.index, start, chunk.values)))
            part = Statistics(count=chunk.values.size, missing=int(missing.sum()))
            tally.before = tally.before.merge(part)
            tally.chunks += 1
            tally.decoded += size
            work.evidence.chunk(array.name, chunk.index, chunk.values.size, digest, None)
            if len(distinct) <= _MOST_DISTINCT:
                distinct.update(item for item in chunk.values.reshape(-1) if item is not None)
    except BaseException:
        writer.abandon()
        masks.abandon()
        raise
    writer.close()
    masks.close()
    exact = len(distinct) <= _MOST_DISTINCT
    before = replace(tally.before, distinct=len(distinct) if exact else None, distinct_exact=exact)
    attributes = plain_attributes(work, array, before)
    work.tree.array(node, array_document(grid, None, code, work.dimensions[array.name], attributes))
    if before.missing:
        document = array_document(grid, np.dtype(bool), code, work.dimensions[array.name], {"cdt_missing_of": node})
        work.tree.array(mask_node, document)
        for number, digest in enumerate(digests):
            work.evidence.chunk(mask_name, number, 0, digest, None)
    else:
        work.ledger.discard(f"{ARRAYS}/{mask_node}/")
    return _text_outcome(work, prepared, before, tally, writer.bytes + (masks.bytes if before.missing else 0), name)


_MOST_DISTINCT = 1 << 16


def _text_outcome(
    work: Treatment, prepared: Prepared, before: Statistics, tally: _Tally, stored: int, codec: str
) -> FieldOutcome:
    array = prepared.array
    for part in ("before", "after"):
        work.evidence.statistics(part, array.name, before)
    choice = replace(prepared.choice, codec=codec)
    record = {
        "name": array.name,
        "kind": "array",
        "node": f"{ARRAYS}/{work.nodes[array.name]}",
        "shape": list(array.shape),
        "dtype": array.dtype,
        "units": array.units,
        "role": str(array.role),
        "encoding": encoding_record(choice),
        "bytes_decoded": tally.decoded,
        "bytes_stored": stored,
        "fidelity": EXACT_FIDELITY.record(),
        "error": {"max": 0.0, "mean": 0.0, "rms_over_spread": 0.0},
        "statistics": {"before": statistics_record(before), "after": statistics_record(before)},
    }
    tallied = ChunkTally(tally.chunks, tally.chunks, tally.chunks)
    plan = plan_record(replace(prepared, choice=choice))
    return FieldOutcome((record,), {array.name: before}, tallied, tally.decoded, stored, plan)


def _encode_text(
    chunk: ArrayChunk, missing: "np.ndarray[Any, Any]", grid: ChunkGrid, code: CodecCode
) -> tuple[bytes, bytes, int]:
    """Return (frame, digest, decoded bytes) of a chunk of text; missing values are empty strings."""
    full = np.full(grid.chunk, "", dtype=object)
    held = tuple(slice(0, n) for n in chunk.values.shape) or ...
    full[held] = np.where(missing, "", chunk.values)
    try:
        raw = np.frombuffer(bytearray(VLenUTF8().encode(full.reshape(-1))), np.uint8)
    except UnicodeEncodeError as error:
        raise CustomerError("a text value is no valid Unicode", code="corrupt", where=f"chunk {chunk.index}") from error
    frame = code.encode(raw)
    again = np.empty_like(raw)
    code.decode(frame, again)
    if not same_bytes(raw, again):
        raise InternalFault("a chunk of text did not decode to what was encoded", code="internal")
    return frame, blake3(again.tobytes()).digest(), raw.nbytes - 4 - 4 * full.size


def _encode_mask(missing: "np.ndarray[Any, Any]", grid: ChunkGrid, code: CodecCode) -> tuple[bytes, bytes]:
    padded = _padded(missing, grid.chunk)
    return code.encode(padded), blake3(padded.tobytes()).digest()
