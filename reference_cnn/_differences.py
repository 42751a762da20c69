"""Derivatives from differences, each with how far it may be off; used by gradcheck."""

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import NamedTuple

import numpy as np

from reference_cnn._validate import Array

# Steps of the difference quotients go by halves from the coordinate's magnitude, or 1 if that is larger, down to this
# times its magnitude, or times 1 if that is smaller; but to no fewer than ULPS units in the coordinate's last place.
FINEST = 2.0**-27
ULPS = 8
# No more steps than this, however far a coordinate's magnitude is from 1.
MOST_STEPS = 128
# The noise is estimated from a handful of samples, so an answer may lie this many times farther off than it says.
NOISE_MARGIN = 8.0
# So many units in the last place an output moves by a step over which a slope of 1 is seen.
REACH = 8.0
# Beside outputs that change, one that does not is looked at so many of the largest steps away.
FAR = 2.0**10
# So many steps show that E is straight around a place, and so many halves above these whether it is farther off.
STRAIGHT, ABOVE = 5, (4, 6)
# At so many places along a step its slope is looked for; at more, if those of the fewer do not explain it.
ALONG = (8, 64)
# A differentiable function rises less and less over so many halves; noise does not keep its sign so often.
HALVES = 8
# Where it does not come down to this share of its rise over these, the steps are too large for it.
STEEP = 16


class Differences(NamedTuple):
    """∂E/∂x of every coordinate, E = Σ dz·z.

    The true value lies within `error` of `derivative`. Where forward has a kink, the one-sided derivatives lie there,
    `derivative` ± `jump`/2; elsewhere `jump` is 0. An infinite `error`: the differences do not tell.
    """

    derivative: Array
    error: Array
    jump: Array


def exact_differences(evaluate: Callable[[Array], Array], x: Array, dz: Array) -> Differences:
    """Central differences with h = 1: the derivative of whatever is at most quadratic in each coordinate [GRAD-D1].

    Whether it is so is checked with h = 2: quotients must agree and second differences grow by 4.
    """
    upstream = dz.astype(object)
    centre = evaluate(x).astype(object)
    derivative = np.zeros(x.shape, object)
    error = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        slopes, bends = [], []
        for h in (1, 2):
            above, below = (evaluate(_moved(x, index, s)).astype(object) for s in (h, -h))
            # Arrays of no axes turn into plain numbers on the way, which may have no sum.
            slope, bend = (np.asarray(upstream * v).sum() for v in (above - below, above - 2 * centre + below))
            slopes.append(Fraction(slope) / (2 * h) if abs(slope) < np.inf else np.nan)
            bends.append(bend)
        derivative[index] = slopes[0]
        if slopes[0] != slopes[1] or bends[1] != 4 * bends[0]:
            error[index] = np.inf
    return Differences(derivative, error, np.zeros(x.shape))


def differences(evaluate: Callable[[Array], Array], x: Array, dz: Array) -> Differences:
    """Central differences over many steps, extrapolated to 0 [GRAD-D2]; one-sided ones tell the kinks [GRAD-D3]."""
    centre = evaluate(x)
    if centre.dtype.kind != "f":
        # Whole numbers, or objects, that come of floats.
        centre = centre.astype(float)
    h = _steps(x.ravel())
    places = list(np.ndindex(x.shape))
    ladders = [_ladder(evaluate, centre, x, i, dz, steps) for i, steps in zip(places, h)]
    slopes, bends, rounding = (np.array(column) for column in zip(*ladders))
    noise = np.maximum(rounding, NOISE_MARGIN * _scatter(h, slopes)) / h
    derivative, slope_error = _extrapolate(slopes, noise, (2, 4, 6, 8))
    # A difference of one-sided quotients takes E four times over a step, a central quotient twice over two.
    jump, jump_error = _extrapolate(bends, 4 * noise, (1, 3, 5, 7))
    kink = np.abs(jump) > 10 * jump_error
    # A jump too small to be seen would move the derivative by half of itself: the error covers it.
    error = slope_error + np.where(kink, jump_error, np.abs(jump) + jump_error) / 2
    stairs = [_stairs(evaluate, x, i, dz, *rows) for i, *rows in zip(places, h, slopes, rounding)]
    error = np.maximum(error, np.maximum(stairs, _jumps(h, slopes, rounding)))
    found = Differences(derivative, error, np.where(kink, jump, 0))
    return Differences(*(column.reshape(x.shape) for column in found))


def _steps(x: Array) -> Array:
    """Steps for each coordinate, (n, K), from large to small; NaN where a coordinate has fewer than another."""
    place = np.abs(x.astype(float))
    magnitude = 2.0 ** np.floor(np.log2(np.where(place > 0, place, 1)))
    coarsest, unit = np.maximum(magnitude, 1), np.spacing(np.abs(x)).astype(float)
    finest = np.maximum(FINEST * np.minimum(magnitude, 1), ULPS * np.where(place > 0, unit, 0))
    h = coarsest[:, None] * 2.0 ** -np.arange(MOST_STEPS)
    usable = h >= finest[:, None]
    # None where a coordinate is infinite; but five there must be for the table that is made of them.
    return np.where(usable, h, np.nan)[:, : max(usable.sum(axis=1).max(), 5)]


def _moved(x: Array, index: tuple[int, ...], step: float) -> Array:
    moved = x.copy()
    moved[index] += step
    return moved


def _ladder(
    evaluate: Callable[[Array], Array], centre: Array, x: Array, index: tuple[int, ...], dz: Array, h: Array
) -> tuple[Array, Array, Array]:
    """Central quotients, differences of the one-sided quotients, and the rounding of E; NaN where unusable."""
    slopes, bends, rounding = (np.full(len(h), np.nan) for _ in range(3))
    wide = centre.astype(np.longdouble)
    sizes: dict[int, Array] = {}
    changed = np.zeros(centre.shape, bool)
    for k in np.flatnonzero(np.isfinite(h)):
        up, down = _moved(x, index, h[k]), _moved(x, index, -h[k])
        above, below = (evaluate(a).astype(np.longdouble) for a in (up, down))
        if np.isfinite(above).all() and np.isfinite(below).all():
            slopes[k] = (dz * (above - below)).sum() / (np.longdouble(up[index]) - np.longdouble(down[index]))
            bends[k] = (dz * ((above - wide) + (below - wide))).sum() / h[k]
            sizes[int(k)] = np.maximum(np.abs(above), np.abs(below))
            # Both sides may round to one number that is not the one between them.
            changed |= (above != below) | (above != wide)
    info, place = np.finfo(centre.dtype), abs(float(x[index]))
    size = sizes[min(sizes)] if sizes else np.zeros(centre.shape)
    hidden = _hidden(evaluate, centre, x, index, dz * size, changed, h)
    for step, size in sizes.items():
        # An output that changes at any step is rounded at all of them, or underflows; x ± h is rounded too.
        outputs = (np.abs(dz) * (info.eps * np.where(changed, size, 0) + info.smallest_normal)).sum()
        moved = np.finfo(x.dtype).eps * (place + h[step]) * (abs(slopes[step]) + abs(bends[step]))
        rounding[step] = outputs + moved + hidden * h[step]
    return slopes, bends, rounding


def _hidden(
    evaluate: Callable[[Array], Array],
    centre: Array,
    x: Array,
    index: tuple[int, ...],
    terms: Array,
    changed: Array,
    h: Array,
) -> float:
    """Which slope rounding swallows at the largest step, in terms of E that change at none, but do farther away."""
    eps = float(np.finfo(centre.dtype).eps)
    reach = REACH * eps * float(np.max(np.abs(centre), initial=0, where=~changed))
    if changed.all() or (not changed.any() and reach <= h[0]):
        return 0  # a slope of 1 would have been seen
    reach = max(reach, FAR * float(h[0]))
    with np.errstate(all="ignore"):
        farther = _changed(evaluate, centre, _moved(x, index, reach), _moved(x, index, -reach))
        return eps * float(np.linalg.norm(terms[farther & ~changed])) / float(h[0])


def _changed(evaluate: Callable[[Array], Array], centre: Array, *places: Array) -> Array:
    """Which outputs change at far places; so far away forward may refuse, and then any may."""
    try:
        return np.asarray(np.any([evaluate(place) != centre for place in places], axis=0))
    except Exception:
        return np.ones(centre.shape, bool)


def _stairs(
    evaluate: Callable[[Array], Array],
    x: Array,
    index: tuple[int, ...],
    dz: Array,
    h: Array,
    slopes: Array,
    rounding: Array,
) -> float:
    """How far slopes over larger steps lie from that of the smallest, if those along the way do not explain it; else 0.

    Code that rounds inside, to fewer digits than it returns, rises by stairs, which may slope themselves: the smallest
    steps, on one of them, show nothing of E's own slope.
    """
    usable = np.flatnonzero(np.isfinite(slopes))
    if len(usable) < STRAIGHT:
        return 0
    last, noise = usable[-1], rounding / h
    apart = np.abs(slopes[usable] - slopes[last]) > noise[usable] + noise[last]
    first = usable[np.flatnonzero(apart)[-1] + 1] if apart.any() and not apart[-1] else 0
    if first < max(ABOVE) or last - first + 1 < STRAIGHT:
        return 0

    def slope_at(place: Array) -> float:
        up, down = (_moved(place, index, step) for step in (h[last], -h[last]))
        return float((dz * (evaluate(up).astype(np.longdouble) - evaluate(down))).sum() / (up[index] - down[index]))

    for k, count in product([first - above for above in ABOVE], ALONG):
        shares = (np.arange(count) + 0.5) / count * 2 - 1
        with np.errstate(all="ignore"):
            along = np.array([slope_at(_moved(x, index, share * h[k])) for share in shares])
            low, middle, high = np.quantile(along, (0.25, 0.5, 0.75))
            off = abs(slopes[last] - slopes[k])
            # Where a stair ends just there, the slope is that of the jump.
            mean = along.mean(where=~(np.abs(along - middle) > 8 * (off + high - low)))
        if off <= 4 * noise[last] or abs(mean - slopes[k]) <= off / 2:
            return 0
    return float(2 * np.abs(slopes[first - ABOVE[0] : first] - slopes[last]).max())


def _jumps(h: Array, slopes: Array, rounding: Array) -> Array:
    """Infinite for each coordinate where E jumps, or is too steep for all steps; else 0.

    Over the smallest steps it rises about as much as over larger ones, and more than rounding brings about.
    """
    jumps = np.zeros(len(h))
    for row, (rises, costs) in enumerate(zip(slopes * h, rounding)):
        last = np.flatnonzero(np.isfinite(rises))[-HALVES:]
        r = rises[last] * np.sign(rises[last[-1:]])
        if len(r) == HALVES and (r > NOISE_MARGIN * costs[last]).all() and r[-1] > r[0] / STEEP:
            jumps[row] = np.inf
    return jumps


def _scatter(h: Array, slopes: Array) -> Array:
    """The noise in E as it shows, per coordinate and step.

    Where steps are so small that quotients differ by noise alone, their differences times the step are the noise, the
    same at every step. They are looked at in the finer third of the steps; at those, from the step on, so that a steep
    function, whose quotients still move but settle down, is not taken for a noisy one.
    """
    scatter = np.abs(np.diff(slopes, append=np.nan)) * h / 2
    noise = np.zeros_like(h)
    for row, samples in zip(noise, scatter):
        usable = np.flatnonzero(np.isfinite(samples))
        if len(usable):
            from_here_on = np.maximum.accumulate(samples[usable][::-1])[::-1]
            # Four samples at least, or they might agree by accident.
            third, four = (max(len(usable) - n, 0) for n in (max(len(usable) // 3, 4), 4))
            row[:] = from_here_on[np.clip(np.searchsorted(usable, np.arange(len(row))), third, four)]
    # A coordinate whose few samples happen to agree is not believed: its noise is at least the typical one.
    return np.asarray(np.maximum(noise, np.median(noise[:, -1])))


def _extrapolate(values: Array, noise: Array, powers: tuple[int, ...]) -> tuple[Array, Array]:
    """Extrapolate values at steps 2⁻ᵏ to step 0, an expansion in these powers of the step.

    Of all entries of Neville's table take the one with the smallest error. The error of an entry is how far it lies
    from the two that it was made from, and from those at smaller steps beyond their noise; plus its own noise.
    """
    best, error = np.zeros(len(values)), np.full(len(values), np.inf)
    table = values
    for column, power in enumerate(powers, 1):
        improved = table[:, 1:] + (table[:, 1:] - table[:, :-1]) / (2.0**power - 1)
        moved = np.maximum(np.abs(improved - table[:, 1:]), np.abs(improved - table[:, :-1]))
        for k in range(improved.shape[1] - 1):
            finer = np.abs(improved[:, k + 1 :] - improved[:, k, None]) - 2 * noise[:, column + k + 1 :]
            moved[:, k] = np.maximum(moved[:, k], np.nan_to_num(finer).max(axis=1))
        off = np.nan_to_num(moved + noise[:, column:], nan=np.inf)
        chosen = off.argmin(axis=1)[:, None]
        smallest = np.take_along_axis(off, chosen, 1)[:, 0]
        better = smallest < error
        best = np.where(better, np.take_along_axis(improved, chosen, 1)[:, 0], best)
        error = np.where(better, smallest, error)
        table = improved
    return best, error
