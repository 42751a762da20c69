"""How far convolutions by Fourier's and Winograd's algorithms may be off: bounds in norm [RND-N5, RND-N6]."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import bounds
from reference_cnn.oracle.call import windows_of
from reference_cnn.oracle.layers import LAYERS

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case

ALGORITHMS = ("direct", "winograd", "fft")
# Taps of the kernels that Winograd's F(2, 3) is for.
TAPS = 3


class Norms(NamedTuple):
    """Of each map of the three arrays of a convolution: the Euclidean norm, or the largest element and the sum."""

    x: Array
    w: Array
    dz: Array


def widened(case: "Case", right: dict[str, bounds.Expected]) -> dict[str, bounds.Expected]:
    """The expected answers with the bounds of the case's algorithm; a direct answer is as good."""
    if case.algorithm == "direct" or LAYERS[case.function].family != "conv":
        return right
    of_kind = _fourier if case.algorithm == "fft" else _winograd
    found = dict(right)
    for output in ("z", "dx", "dw"):
        if output in right:
            value, bound = right[output]
            with np.errstate(over="ignore", invalid="ignore"):  # of norms that overflow
                off = np.broadcast_to(of_kind(case, output), value.shape)
                found[output] = bounds.Expected(value, np.maximum(bound, _rounded(case, value, off)))
    return found


def _rounded(case: "Case", value: Array, off: Array) -> Array:
    """What is off by so much, after a bias has been added and the result rounded, each time to the result's dtype."""
    u = bounds.Precision.of(case.dtype, case.accumulate).output_unit
    bias = case.plain.get("b")
    before = 0 if bias is None else np.abs(value - bias.astype(float).reshape(-1, *[1] * (value.ndim - 2)))
    return np.asarray(off + u * (1 + u) * (np.abs(value) + before + 2 * off))


def _fourier(case: "Case", output: str) -> Array:
    """[RND-N5]: the spectra, their products and sums over channels, and the way back."""
    u = bounds.unit(bounds.Precision.of(case.dtype, case.accumulate).accumulate)
    windows = windows_of(case.call)
    sizes = [d + sum(pads) + span for d, pads, span in zip(case.shapes["x"][2:], windows.pads, windows.spans)]
    stages = sum(1 + math.ceil(math.log2(size)) for size in sizes)
    each = u + bounds.gamma(4, u) * (math.sqrt(2) + u)
    transform = stages * each / (1 - stages * each)
    terms, taps = _terms(case, output)
    spectrum = (1 + transform) ** 2 * (1 + math.sqrt(2) * bounds.gamma(2, u)) * (1 + bounds.gamma(terms, u)) - 1
    back = transform * (math.sqrt(taps) + spectrum)
    euclidean = {n: np.sqrt((a**2).sum(axis=_space(a), keepdims=True)) for n, a in _maps(case).items()}
    return (spectrum + back + bounds.gamma(2, u)) * _products(case, output, Norms(**euclidean))


def _winograd(case: "Case", output: str) -> Array:
    """[RND-N6]: 6 for each axis is what the transforms may magnify; nothing where F(2, 3) does not apply."""
    windows = windows_of(case.call)
    axes = len(windows.kernel)
    if {*windows.stride, *windows.dilation} != {1} or set(windows.kernel) != {TAPS}:
        return np.zeros(())
    u = bounds.unit(bounds.Precision.of(case.dtype, case.accumulate).accumulate)
    maps = _maps(case)
    largest = {n: np.abs(a).max(axis=_space(a), keepdims=True) for n, a in maps.items()}
    total = {n: np.abs(a).sum(axis=_space(a), keepdims=True) for n, a in maps.items()}
    norms = Norms(largest["x"], total["w"], total["dz"] if output == "dw" else largest["dz"])
    terms, _ = _terms(case, output)
    tiles = math.prod(-(-n // 2) for n in windows.out) if output == "dw" else 1
    return bounds.gamma(terms * tiles + 5 * axes + 2, u) * 6.0**axes * _products(case, output, norms)


def _maps(case: "Case") -> dict[str, Array]:
    """x, w and dz in float64; a forward pass has no dz, and none is asked for."""
    arrays = {n: a.astype(np.float64) for n, a in case.plain.items() if n != "b"}
    return {"dz": np.zeros((1, 1, *arrays["x"].shape[2:])), **arrays}


def _space(array: Array) -> tuple[int, ...]:
    return tuple(range(2, array.ndim))


def _terms(case: "Case", output: str) -> tuple[int, int]:
    """How many maps are added up for an output, and how many elements the smaller factor of a map has."""
    filters, channels = case.shapes["w"][:2]
    taps = math.prod(case.shapes["w"][2:])
    if output == "dw":
        return case.shapes["x"][0], math.prod(windows_of(case.call).out)
    return (channels if output == "z" else filters // case.keywords.get("groups", 1)), taps


def _products(case: "Case", output: str, norms: Norms) -> Array:
    """Σ of the products of two norms over the maps that meet: the reference, with maps of a single element."""
    groups = {"groups": case.keywords.get("groups", 1)}
    if output == "z":
        return np.asarray(LAYERS["conv_forward"].reference(norms.x, norms.w, **groups))
    return np.asarray(getattr(LAYERS["conv_backward"].reference(norms.dz, norms.x, norms.w, **groups), output))
