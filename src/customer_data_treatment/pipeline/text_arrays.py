"""Text arrays: Zarr `string`, and which values are missing as a bool array beside it."""

from dataclasses import replace
from typing import Any

import numpy as np
from blake3 import blake3
from numcodecs import VLenUTF8

from ..algorithms.observe import same_bytes
from ..errors import CustomerError, InternalFault
from ..model.chunk import Chunk
from ..model.outcome import ChunkTally
from ..model.sample import ChunkGrid
from ..model.statistics import Statistics
from ..package.arrays import ChunkWriter, array_document, padded
from ..package.layout import ARRAYS
from ..plugin import CodecCode
from .array_papers import encoding_record, plain_attributes, plan_record
from .choose import codec_named
from .context import Treatment
from .fields import EXACT_FIDELITY, FieldOutcome, Tally, statistics_record
from .prepare import TEXT_ITEM, Prepared
from .survey import ArrayChunk, chunks


def treat_text(work: Treatment, prepared: Prepared) -> FieldOutcome:
    """Store a text array as Zarr `string`, and which values are missing as a bool array beside it."""
    array, grid = prepared.array, prepared.grid
    node = work.nodes[array.name]
    small = array.size * TEXT_ITEM <= 16 << 20
    name = "zstd7-plain" if small else "zstd1-plain"
    code = codec_named(name)
    mask_name = f"{array.name}__missing"
    mask_node = f"{node}__missing"
    writer, masks = ChunkWriter(work.ledger, node, grid), ChunkWriter(work.ledger, mask_node, grid)
    watch = work.watch(array.name)
    tally, distinct = Tally(), set[str]()
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
    work: Treatment, prepared: Prepared, before: Statistics, tally: Tally, stored: int, codec: str
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
    whole = padded(missing, grid.chunk)
    return code.encode(whole), blake3(whole.tobytes()).digest()
