"""No false alarm: a dozen right convolutions that are organised otherwise pass in every dtype."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from strategies import Array

from reference_cnn._windows import Windows
from reference_cnn.oracle import Case, cases
from reference_cnn.oracle.cases import DTYPES
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.targets.ask import ask

# A way to multiply windows (N, C, kh, kw, oh, ow) with kernels (F, C, kh, kw) and a bias (F,), or 0, for one group.
Way = Callable[[Array, Array, Array], Array]


def along(b: Array) -> Array:
    return b[:, None, None]


def im2col(windows: Array, w: Array, b: Array) -> Array:
    n, c, kh, kw, oh, ow = windows.shape
    z = w.reshape(len(w), -1) @ windows.reshape(n, c * kh * kw, oh * ow)
    return z.reshape(n, len(w), oh, ow) + along(b)


def taps(windows: Array, w: Array, b: Array, *, reverse: bool = False) -> Array:
    z = np.zeros((len(windows), len(w), *windows.shape[4:]), w.dtype)
    for c, i, j in list(np.ndindex(w.shape[1:]))[:: -1 if reverse else 1]:
        z += windows[:, None, c, i, j] * along(w[:, c, i, j])
    return z + along(b)


def bias_first(windows: Array, w: Array, b: Array) -> Array:
    z = np.zeros((len(windows), len(w), *windows.shape[4:]), w.dtype) + along(b)
    for c, i, j in np.ndindex(w.shape[1:]):
        z += windows[:, None, c, i, j] * along(w[:, c, i, j])
    return z


def by_einsum(windows: Array, w: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ncijhw,fcij->nfhw", windows, w, optimize=False)) + along(b)


def by_tensordot(windows: Array, w: Array, b: Array) -> Array:
    return np.moveaxis(np.tensordot(w, windows, ((1, 2, 3), (1, 2, 3))), 1, 0) + along(b)


def products(windows: Array, w: Array) -> Array:
    """Every product by itself, those of one sum along the last axis."""
    n, _, _, _, oh, ow = windows.shape
    each = windows[:, None] * w[None, ..., None, None]
    return np.ascontiguousarray(each.reshape(n, len(w), -1, oh, ow).transpose(0, 1, 3, 4, 2))


def pairwise(windows: Array, w: Array, b: Array) -> Array:
    """np.sum adds in pairs along a contiguous axis."""
    return np.asarray(products(windows, w).sum(axis=-1)) + along(b)


def sorted_by_size(windows: Array, w: Array, b: Array) -> Array:
    each = products(windows, w)
    order = np.argsort(-np.abs(each.astype(float)), axis=-1)
    return np.asarray(np.take_along_axis(each, order, -1).cumsum(axis=-1)[..., -1]) + along(b)


def by_fsum(windows: Array, w: Array, b: Array) -> Array:
    each = products(windows, w)
    sums = [math.fsum(row) for row in each.reshape(-1, each.shape[-1]).tolist()]
    return np.array(sums).reshape(each.shape[:-1]).astype(w.dtype) + along(b)


def kahan(windows: Array, w: Array, b: Array) -> Array:
    total = low = np.zeros((), w.dtype)
    for term in np.moveaxis(products(windows, w), -1, 0):
        corrected = term - low
        following = total + corrected
        total, low = following, (following - total) - corrected
    return np.asarray(total + along(b))


def by_channel(windows: Array, w: Array, b: Array) -> Array:
    parts = [np.einsum("nijhw,fij->nfhw", windows[:, c], w[:, c], optimize=False) for c in range(w.shape[1])]
    return np.asarray(sum(parts[1:], parts[0]) + along(b))


def scattered(windows: Array, w: Array, b: Array) -> Array:
    """Image by image and position by position, what each output gets from a window at once."""
    z = np.empty((len(windows), len(w), *windows.shape[4:]), w.dtype)
    for n, h, v in np.ndindex(len(windows), *windows.shape[4:]):
        z[n, :, h, v] = w.reshape(len(w), -1) @ windows[n, :, :, :, h, v].ravel() + b
    return z


def channels_last_inside(windows: Array, w: Array, b: Array) -> Array:
    last = np.ascontiguousarray(windows.transpose(0, 4, 5, 2, 3, 1))
    kernel = np.ascontiguousarray(w.transpose(2, 3, 1, 0)).reshape(-1, len(w))
    return np.moveaxis(last.reshape(*last.shape[:3], -1) @ kernel + b, -1, 1)


def in_a_wider_dtype(windows: Array, w: Array, b: Array) -> Array:
    return by_einsum(windows.astype(np.float64), w.astype(np.float64), b.astype(np.float64)).astype(w.dtype)


WAYS: dict[str, Way] = {
    "im2col": im2col,
    "tap by tap": taps,
    "in the reverse order": lambda windows, w, b: taps(windows, w, b, reverse=True),
    "the bias first": bias_first,
    "einsum": by_einsum,
    "tensordot": by_tensordot,
    "pairwise": pairwise,
    "sorted by size": sorted_by_size,
    "fsum": by_fsum,
    "compensated": kahan,
    "channel by channel": by_channel,
    "position by position": scattered,
    "channels last inside": channels_last_inside,
    "a wider dtype": in_a_wider_dtype,
    "Fortran order": lambda windows, w, b: np.asfortranarray(by_einsum(windows, w, b)),
}


# ∞ − ∞, which the correction forms, is no number: such sums are not right for infinities.
FINITE = ["compensated"]


def right(name: str, case: Case) -> bool:
    """Whether a way to add is right for the numbers of a case."""
    return name not in FINITE or "inf" not in case.text


def organised(way: Way) -> Callable[..., Array]:
    """The convolution that forms its sums so: 16-bit numbers in float32, rounded at the end."""

    def conv(x: Array, w: Array, b: Any = None, *, groups: int = 1, **options: Any) -> Array:
        wide = np.float32 if x.dtype.itemsize == 2 else x.dtype
        given = {"stride": 1, "padding": 0, "dilation": 1} | options
        windows = Windows.of("test", x.shape[2:], w.shape[2:], **given)
        padded = np.pad(x.astype(wide), ((0, 0), (0, 0), *windows.pads))
        view = windows.view(padded).transpose(2, 3, 0, 1, 4, 5)
        bias = np.zeros(len(w), wide) if b is None else b.astype(wide)
        parts = zip(*(np.split(a, groups, axis) for a, axis in ((view, 1), (w.astype(wide), 0), (bias, 0))))
        z = np.concatenate([way(*part) for part in parts], axis=1)
        return z if z.dtype == x.dtype else z.astype(x.dtype)

    return conv


@cache
def asked(dtype: str, seed: int) -> list[Case]:
    """The cases of one seed, whose right answers all ways share."""
    return cases("conv_forward", dtype=dtype, seed=seed, profile="quick")


@pytest.mark.spec("ORC-D4", "RND-N1", "RND-D3")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", WAYS)
def test_right_convolutions_organised_otherwise_pass(name: str, dtype: str) -> None:
    function = organised(WAYS[name])
    for case in (case for case in asked(dtype, 0) if right(name, case)):
        failure = judge(case, ask(function, case)).failure
        assert failure is None, f"{case}: {failure.message}"


if __name__ == "__main__":  # the same over more seeds: `python tests/test_organised.py`
    for seed in range(20):
        for dtype in DTYPES:
            for name, way in WAYS.items():
                counted = [case for case in asked(dtype, seed) if right(name, case)]
                wrong = [str(case) for case in counted if judge(case, ask(organised(way), case)).failure]
                assert not wrong, (name, wrong[0])
        print(f"{len(WAYS)} ways, {len(DTYPES)} dtypes, seed {seed}: nothing is wrong", flush=True)
