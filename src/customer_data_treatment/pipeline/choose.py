"""How a field is stored: its bound resolved to an absolute one, its form, its codec - by bytes, never by speed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..algorithms.observe import observe
from ..algorithms.quantise import grid_for, grid_of_integers, power_of_two_step
from ..algorithms.similarity import ks_distance, lattice_unit, spread, ssim
from ..codecs import CODECS
from ..codecs.bounded import EXACT, Form, restored, store
from ..errors import CustomerError
from ..model.bound import LOSSLESS, BoundRequest
from ..model.dataset import TEXT, ArrayField
from ..model.statistics import Statistics
from ..plugin import CodecCode, load
from ..vocabulary import Role
from .survey import Survey

_SMALL = 16 << 20


@dataclass(frozen=True, slots=True)
class Choice:
    """A field's form and codec, what was asked, and why it is exact where a bound was allowed."""

    form: Form
    codec: str
    asked: BoundRequest
    note: str = ""


def allowed(array: ArrayField, request: BoundRequest) -> BoundRequest:
    """Return the request, or lossless where this field may not be lossy.

    Raise CustomerError (unknown-field) where a bound names a field that is not numeric.
    """
    if request.kind == "lossless":
        return request
    dtype = array.numpy_dtype()
    if request.field is not None:
        if array.dtype == TEXT or dtype.kind not in "fiu":
            raise CustomerError(
                f"{request.field} is not numeric and stays exact",
                code="unknown-field",
                remedy="name a numeric field; cdt inspect lists them",
            )
        return request
    if dtype.kind != "f" or array.role is not Role.MEASUREMENT:
        return LOSSLESS
    return request


def codec_named(name: str) -> CodecCode:
    """Return the code of a codec."""
    code: CodecCode = load(CODECS, name)
    return code


def best_codec(samples: "list[np.ndarray[Any, Any]]", total_bytes: int) -> tuple[str, int]:
    """Return (codec, bytes of the samples under it): the fewest bytes, ties to the first in the table."""
    small = total_bytes <= _SMALL
    names = [facts.name for facts in CODECS.values() if facts.small == small]
    if not samples:
        return names[0], 0
    sizes = {name: sum(len(codec_named(name).encode(s)) for s in samples) for name in names}
    chosen = min(names, key=lambda name: sizes[name])
    return chosen, sizes[chosen]


def absolute_bound(array: ArrayField, request: BoundRequest, found: Survey) -> float | None:
    """Return the bound in stored numbers that rel, abs or noise asks for; None where it has no meaning."""
    factor = abs(array.scale[0]) if array.scale and array.scale[0] else 1.0
    statistics = found.statistics
    if request.kind == "abs":
        return request.amount / factor
    if statistics.minimum is None or statistics.maximum is None:
        return None
    if request.kind == "rel":
        return request.amount * (float(statistics.maximum) - float(statistics.minimum))
    if request.kind == "noise" and found.noise:
        return request.amount * found.noise
    return None


def bounded_form(
    array: ArrayField, bound: float, statistics: Statistics, negative_zeros: int, unit: float | None, *, native: bool
) -> Form | None:
    """Return the packed form where all values are finite or missing in one way, else the rounded one, else None."""
    dtype = array.numpy_dtype()
    if dtype.kind in "iu":
        return _integer_form(array, bound, statistics, native=native)
    infinite = statistics.positive_infinite + statistics.negative_infinite
    one_hole = statistics.missing == 0 or statistics.nan == 0
    plain = infinite == 0 and negative_zeros == 0 and one_hole and array.scale is None
    if plain and not native and dtype.itemsize >= 4 and statistics.minimum is not None:
        hole = float(array.fill) if statistics.missing and array.fill is not None else None
        assert statistics.maximum is not None
        grid = grid_for(float(statistics.minimum), float(statistics.maximum), bound, dtype, hole, unit)
        if grid is not None:
            return Form("packed", bound, grid=grid)
    step = power_of_two_step(bound)
    return Form("rounded", bound, step=step) if step > 0.0 else None


def _integer_form(array: ArrayField, bound: float, statistics: Statistics, *, native: bool) -> Form | None:
    """Return the packed form; where scale or specification forbid one, multiples of a power of two in place."""
    if statistics.minimum is None or statistics.maximum is None or bound < 1.0:
        return None
    if native or array.scale is not None:
        step = 1 << (int(bound).bit_length())
        return Form("rounded", float(int(bound)), step=float(step)) if step <= np.iinfo(array.dtype).max else None
    hole = int(array.fill) if statistics.missing and array.fill is not None else None
    grid = grid_of_integers(int(statistics.minimum), int(statistics.maximum), bound, hole)
    return Form("packed", float(int(bound)), grid=grid) if grid else None


def choose(
    array: ArrayField,
    request: BoundRequest,
    found: Survey,
    samples: "list[np.ndarray[Any, Any]]",
    *,
    native: bool,
    minimum_fidelity: float,
) -> Choice:
    """Return how a field is stored: of the allowed forms, the one whose samples take the fewest bytes."""
    total = array.size * array.numpy_dtype().itemsize
    exact_codec, exact_bytes = best_codec([_as_stored(s) for s in samples], total)
    exact = Choice(EXACT, exact_codec, request)
    if request.kind == "lossless" or array.size == 0:
        return exact
    finite = finite_sorted(found.sample, array.fill)
    if spread(finite) == 0.0:
        return Choice(EXACT, exact_codec, request, "its spread is zero, so it is stored exactly")
    if not np.isfinite(spread(finite)):
        return Choice(EXACT, exact_codec, request, "its spread passes double precision, so it is stored exactly")
    unit = lattice_unit(finite, array.numpy_dtype()) if array.numpy_dtype().kind == "f" else None
    if request.kind == "auto":
        form = _auto_form(array, found, finite, unit, native=native, target=minimum_fidelity)
    else:
        bound = absolute_bound(array, request, found) or 0.0
        usable = 0.0 < bound < np.inf
        form = (
            bounded_form(array, bound, found.statistics, found.negative_zeros, unit, native=native) if usable else None
        )
    if form is None:
        return Choice(EXACT, exact_codec, request, "no bounded form keeps what was asked, so it is stored exactly")
    stored = [store(s, form, array.fill)[0] for s in samples]
    codec, size = best_codec(stored, total)
    if size >= exact_bytes:
        return Choice(EXACT, exact_codec, request, "the bounded form would be no smaller, so it is stored exactly")
    return Choice(form, codec, request)


def _as_stored(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    return values.view(np.int64) if values.dtype.kind in "mM" else values


def finite_sorted(sample: "np.ndarray[Any, Any] | None", fill: Any) -> "np.ndarray[Any, Any]":
    """Return a sample's finite, present values as sorted float64."""
    if sample is None:
        return np.empty(0)
    values = sample[sample != fill] if fill is not None else sample
    values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    values.sort()
    return values


def decoded_sample(sample: "np.ndarray[Any, Any]", form: Form, fill: Any) -> "np.ndarray[Any, Any]":
    """Return what a sample decodes to in a form, in its own dtype."""
    return restored(store(sample, form, fill)[0], form, sample.dtype)


def _auto_form(
    array: ArrayField,
    found: Survey,
    finite: "np.ndarray[Any, Any]",
    unit: float | None,
    *,
    native: bool,
    target: float,
) -> Form | None:
    """Return the coarsest form whose fidelity on the sample reaches the target, or None.

    Bounds fall by halves from (1 - target) of the spread: a larger one cannot pass, since the error
    over the spread is itself a term of fidelity.
    """
    bound = (1.0 - target) * spread(finite)
    for _ in range(24):
        form = bounded_form(array, bound, found.statistics, found.negative_zeros, unit, native=native)
        if form is not None and sample_fidelity(array, found, finite, form) >= target:
            return form
        bound /= 2.0
    return None


def sample_fidelity(array: ArrayField, found: Survey, finite: "np.ndarray[Any, Any]", form: Form) -> float:
    """Return the terms of fidelity that the sample and the tiles decide: 1 - KS, and SSIM where it applies."""
    fill = array.fill
    after = decoded_sample(finite.astype(array.numpy_dtype()), form, fill).astype(np.float64)
    score = 1.0 - ks_distance(finite, after)
    if found.tiles is not None and score > 0.9:
        value = tiles_ssim(found.tiles, form, fill, spread(finite))
        score = score if value is None else min(score, value)
    return score


def tiles_ssim(tiles: "np.ndarray[Any, Any]", form: Form, fill: Any, value_range: float) -> float | None:
    """Return the mean SSIM of an image field's tiles before and after; missing values count as non-finite."""
    before = tiles.astype(np.float64)
    after = decoded_sample(tiles, form, fill).astype(np.float64)
    if fill is not None:
        before[tiles == fill] = np.nan
    return ssim(before, after, value_range)


def trial_survey(array: ArrayField, samples: "list[np.ndarray[Any, Any]]", most: int = 1 << 20) -> Survey:
    """Return a survey of the trial chunks alone, its range doubled: the guess that a single pass starts from."""
    found = Survey()
    for i, values in enumerate(samples):
        statistics, zeros = observe(values, array.fill)
        found.statistics = found.statistics.merge(statistics) if i else statistics
        found.negative_zeros += zeros
    found.sample = (
        np.concatenate([s.reshape(-1)[:: max(1, s.size * len(samples) // most)] for s in samples]) if samples else None
    )
    return found


def auto_share(array: ArrayField, samples: "list[np.ndarray[Any, Any]]", *, native: bool, target: float) -> float:
    """Return about what share of the exact bytes `auto` would store, from the trial chunks; 1.0 where nothing less."""
    if array.dtype == TEXT or array.numpy_dtype().kind != "f" or array.role is not Role.MEASUREMENT or not samples:
        return 1.0
    found = trial_survey(array, samples, most=1 << 16)
    finite = finite_sorted(found.sample, array.fill)
    if not 0.0 < spread(finite) < np.inf:
        return 1.0
    form = _auto_form(array, found, finite, None, native=native, target=target)
    if form is None:
        return 1.0
    total = array.size * array.numpy_dtype().itemsize
    exact = best_codec(samples[:2], total)[1]
    bounded = best_codec([store(s, form, array.fill)[0] for s in samples[:2]], total)[1]
    return min(1.0, bounded / exact) if exact else 1.0
