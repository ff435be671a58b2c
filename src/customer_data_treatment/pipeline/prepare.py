"""What is decided for an array before it is stored: how it is cut, its bound, its form, its codec."""

from dataclasses import dataclass, replace

from ..model.bound import asked_bound
from ..model.dataset import TEXT, ArrayField
from ..model.sample import ChunkGrid
from ..package.layout import chunk_shape, shard_shape
from .choose import Choice, allowed, auto_share, choose, trial_survey
from .context import Planning
from .survey import Survey, survey, trial_chunks

TEXT_ITEM = 16  # bytes a text value is taken for when chunks are cut


def grid_of(array: ArrayField) -> ChunkGrid:
    """Return how an array is cut; it depends on the array alone."""
    size = TEXT_ITEM if array.dtype == TEXT else array.numpy_dtype().itemsize
    chunk = chunk_shape(array.shape, size, array.source_chunks, array.spatial_axes)
    return ChunkGrid(array.shape, chunk, shard_shape(array.shape, chunk, size))


@dataclass(frozen=True, slots=True)
class Prepared:
    """What planning decided for one array; `found` holds the first pass where there was one,
    `auto_share` what of the exact bytes `auto` would about store, where nothing lossy was asked.
    """

    array: ArrayField
    grid: ChunkGrid
    choice: Choice
    found: Survey | None
    auto_share: float | None = None


def prepare(work: Planning, array: ArrayField) -> Prepared:
    """Resolve an array's bound, form and codec. rel, noise and auto cost one pass; lossless and abs a few chunks."""
    grid = grid_of(array)
    request = allowed(array, asked_bound(array.name, work.options.bounds))
    native = is_native(work, array)
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
    target = work.options.minimum_fidelity
    choice = choose(array, request, guess, samples, native=native, minimum_fidelity=target)
    share = auto_share(array, samples, native=native, target=target) if request.kind == "lossless" else None
    return Prepared(array, grid, choice, None, share)


def is_native(work: Planning, array: ArrayField) -> bool:
    """Tell whether an array stands in a group that follows its own specification."""
    groups = work.decoder.dataset.native_groups
    return any(group == "" or array.name.startswith(f"{group}/") for group in groups)


def surveyed(work: Planning, prepared: Prepared) -> Prepared:
    """Return a plan made again after a whole first pass."""
    array = prepared.array
    found = survey(work.decoder, array, prepared.grid, work.run, work.progress)
    samples = trial_chunks(work.decoder, array, prepared.grid)
    choice = choose(
        array,
        prepared.choice.asked,
        found,
        samples,
        native=is_native(work, array),
        minimum_fidelity=work.options.minimum_fidelity,
    )
    return replace(prepared, found=found, choice=choice)


def exact(work: Planning, prepared: Prepared, note: str) -> Choice:
    """Return the choice that stores an array exactly, and why."""
    lossless = replace(prepared.choice.asked, kind="lossless")
    samples = trial_chunks(work.decoder, prepared.array, prepared.grid)
    chosen = choose(prepared.array, lossless, Survey(), samples, native=False, minimum_fidelity=1.0)
    return replace(chosen, asked=prepared.choice.asked, note=note)
