"""The proofs of arrays: every chunk decoded, its digest and statistics; every value beside its source's."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from blake3 import blake3

from ..algorithms.observe import observe, same_bytes
from ..codecs.bounded import decoded_statistics, restored, store
from ..model.dataset import TEXT, ArrayField
from ..model.statistics import Statistics
from ..package.layout import ARRAYS
from ..package.opened import OpenedPackage
from ..package.stored import StoredArray
from ..ports import Decoder, Progress
from .survey import own

Problem = Callable[[str, str], None]


def _chunks(stored: StoredArray) -> Iterator[tuple[int, tuple[int, ...], int, tuple[slice, ...]]]:
    index = 0
    for shard, inner in stored.grid.boxes():
        for place, box in inner:
            yield index, shard, place, box
            index += 1


def prove_chunks(
    stored: StoredArray, name: str, digests: Mapping[str, list[str]], problem: Problem, where: str
) -> None:
    """Decode every chunk of an array and hold its digest against the evidence."""
    expected = digests.get(name, [])
    for index, shard, place, _ in _chunks(stored):
        try:
            chunk = stored.chunk(shard, place)
        except (ValueError, OSError) as error:
            problem(where, f"chunk {index} does not decode: {error}")
            continue
        if index >= len(expected) or blake3(chunk.tobytes()).hexdigest() != expected[index]:
            problem(where, f"chunk {index} does not decode to the values the bound was proven on")
    stored.close()


def prove_text(opened: OpenedPackage, field: ArrayField, digests: Mapping[str, list[str]], problem: Problem) -> None:
    """Decode every chunk of a text array, and of the mask of what is missing in it, and hold their digests."""
    where = f"{ARRAYS}/{opened.facts['nodes'][field.name]}"
    prove_chunks(opened.array(field.name), field.name, digests, problem, where)
    mask = opened.missing_mask(field.name)
    if mask is not None:
        prove_chunks(mask, f"{field.name}__missing", digests, problem, where)


def prove_array(
    opened: OpenedPackage, field: ArrayField, digests: Mapping[str, list[str]], problem: Problem, progress: Progress
) -> Statistics:
    """Decode every chunk of an array, hold its digest against the evidence, return the statistics of it all."""
    stored = opened.array(field.name)
    expected = digests.get(field.name, [])
    total = Statistics()
    for index, shard, place, box in _chunks(stored):
        where = f"{ARRAYS}/{opened.facts['nodes'][field.name]}/c/{'/'.join(map(str, shard))}".rstrip("/")
        try:
            chunk = stored.chunk(shard, place)
        except (ValueError, OSError) as error:
            problem(where, f"chunk {index} does not decode: {error}")
            continue
        digest = blake3(chunk.reshape(-1).view(np.uint8).data).hexdigest()
        if index >= len(expected) or digest != expected[index]:
            problem(where, f"chunk {index} does not decode to the values the bound was proven on")
        inside = tuple(slice(0, part.stop - part.start) for part in box)
        values = np.ascontiguousarray(chunk[inside]) if inside else chunk
        if stored.form.grid is not None:
            statistics = decoded_statistics(values.reshape(-1), stored.form.grid)
        else:
            statistics, _ = observe(restored(values, stored.form, field.numpy_dtype()), field.fill)
        total = statistics if index == 0 else total.merge(statistics)
        progress.advance(values.size * field.numpy_dtype().itemsize)
    stored.close()
    return total


def array_against(
    opened: OpenedPackage,
    field: ArrayField,
    decoder: Decoder,
    records: Mapping[str, Mapping[str, Any]],
    problem: Problem,
    progress: Progress,
) -> None:
    """Hold every stored value of an array against the source's, its largest error against the bound."""
    stored = opened.array(field.name)
    where = f"{ARRAYS}/{opened.facts['nodes'][field.name]}"
    largest = 0.0
    for index, shard, place, box in _chunks(stored):
        source = own(decoder.read(field.name, box))
        if field.dtype == TEXT:
            if not _same_text(opened.read(field.name, box), source):
                problem(where, f"chunk {index} does not hold the source's text")
            continue
        values = stored.values(shard, place, box)
        again, errors, _ = store(source, stored.form, field.fill)
        if errors.broken or not same_bytes(np.ascontiguousarray(again), values):
            problem(where, f"chunk {index} is not what the source's values give")
        largest = max(largest, _largest_error(source, values, stored, field))
        progress.advance(source.nbytes)
    stored.close()
    bound = stored.form.bound
    if bound is not None and largest > bound:
        problem(where, f"its largest error is {largest!r}, its bound {bound!r}")
    stated = records[field.name].get("error")
    if stated is not None and largest > stated["max"]:
        problem("certificate.json", f"the largest error of {field.name} is larger than stated")


def _same_text(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]") -> bool:
    return a.shape == b.shape and a.reshape(-1).tolist() == b.reshape(-1).tolist()


def _largest_error(
    source: "np.ndarray[Any, Any]", values: "np.ndarray[Any, Any]", stored: StoredArray, field: ArrayField
) -> float:
    """Return the largest |decoded - original| in plain numpy, as a reader of the package would compute it."""
    if stored.form.name == "exact" or source.size == 0:
        return 0.0
    decoded = restored(values, stored.form, source.dtype).astype(np.float64)
    original = source.astype(np.float64)
    compared = np.isfinite(original)
    if field.fill is not None:
        compared &= source != field.fill
    worst = float(np.abs(decoded[compared] - original[compared]).max()) if compared.any() else 0.0
    if stored.form.grid is not None:
        wide = values.astype(np.float64) * stored.form.grid.step + stored.form.grid.offset
        worst = max(worst, float(np.abs(wide[compared] - original[compared]).max()) if compared.any() else 0.0)
    return worst
