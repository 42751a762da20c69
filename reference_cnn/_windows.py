"""Padding and sliding windows, shared by convolution and pooling (clauses WIN, spec/windows.md)."""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import DTypeLike

from reference_cnn._validate import Array, entries, integer, is_sequence

PerAxis = int | Sequence[int]
Index = tuple[Any, ...]
Padding = int | str | Sequence[int] | Sequence[tuple[int, int]]

# Patches are copied in blocks of about this many elements: small enough for the cache, large enough for the GEMM.
BLOCK = 2**18


class Windows(NamedTuple):
    """Where the windows of a layer lie: one entry per spatial axis, sizes in elements."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    out: tuple[int, ...]

    @classmethod
    def of(
        cls,
        function: str,
        size: tuple[int, ...],
        kernel: tuple[int, ...],
        stride: PerAxis,
        padding: Padding,
        dilation: PerAxis,
    ) -> "Windows":
        """Check stride, dilation and padding, and work out pads [WIN-D2, WIN-D3] and output sizes [WIN-D1]."""
        steps = positive(function, "stride", stride, len(size), "WIN-C1")
        gaps = positive(function, "dilation", dilation, len(size), "WIN-C2")
        spans = spans_of(kernel, gaps)
        pads = _pads(function, padding, size, spans, steps)
        out = tuple((i + sum(p) - e) // s + 1 for i, p, e, s in zip(size, pads, spans, steps))
        if min(out) < 1:
            padded = tuple(i + sum(p) for i, p in zip(size, pads))
            raise ValueError(
                f"{function}: the window spans {spans} but the padded input only {padded}: no output [WIN-C4]"
            )
        return cls(size, kernel, steps, gaps, pads, out)

    def padded(self, shape: tuple[int, ...], dtype: DTypeLike) -> tuple[Array, Array]:
        """Return zeros for the padded input of `shape` (N, C, *size), and the view of its interior."""
        whole = np.zeros((*shape[:2], *(i + sum(p) for i, p in zip(self.size, self.pads))), dtype)
        interior: Index = (..., *(slice(p, p + i) for i, (p, _) in zip(self.size, self.pads)))
        return whole, whole[interior]

    def view(self, padded: Array, *, writeable: bool = False) -> Array:
        """View the padded input (N, C, *P) tap by tap, (*kernel, N, C, *out): view[k] is what tap k reads."""
        images, channels, *steps = padded.strides
        taps = (t * d for t, d in zip(steps, self.dilation))
        moves = (t * s for t, s in zip(steps, self.stride))
        # Nothing outside `padded` is viewed: `out` counts the windows that fit, each with all its taps [WIN-D1].
        shape, strides = (*self.kernel, *padded.shape[:2], *self.out), (*taps, images, channels, *moves)
        return as_strided(padded, shape, strides, writeable=writeable)

    @property
    def spans(self) -> tuple[int, ...]:
        """How many elements a window reaches over, from its first tap to its last."""
        return spans_of(self.kernel, self.dilation)

    @property
    def inside(self) -> list[Array]:
        """Which taps of which window lie inside the input, not in padding: per axis a boolean array (out, kernel)."""
        found = []
        for size, k, s, d, (before, _), o in zip(*self):
            places = np.arange(o)[:, None] * s + np.arange(k) * d - before
            found.append((places >= 0) & (places < size))
        return found

    def taps(self) -> Iterator[tuple[Index, Index]]:
        """For each tap, in C order: the outputs for which it lies inside the input, and what they read there."""
        axes = []
        for size, kernel, s, d, (before, _), out in zip(*self):
            shifts = [k * d - before for k in range(kernel)]
            ranges = [range(max(-(t // s), 0), min((size - 1 - t) // s + 1, out)) for t in shifts]
            axes.append([
                (slice(r.start, r.stop), slice(r.start * s + t, r.stop * s + t, s)) if r else (slice(0), slice(0))
                for r, t in zip(ranges, shifts)
            ])  # fmt: skip
        for places in product(*axes):
            yield (..., *(o for o, _ in places)), (..., *(i for _, i in places))

    def blocks(self, shape: tuple[int, ...]) -> Iterator[tuple[slice, list[slice]]]:
        """Split the batch into slices of images, and the first output axis into rows, of about BLOCK elements.

        The input has `shape` (N, C, *size). The workspace so depends on the size of one row of patches, never on N.
        """
        images, channels = shape[:2]
        row = channels * math.prod(self.kernel) * math.prod(self.out[1:])
        rows = min(max(BLOCK // row, 1), self.out[0])
        step = max(BLOCK // (row * self.out[0]), 1)
        for start in range(0, images, step):
            yield slice(start, start + step), [slice(r, r + rows) for r in range(0, self.out[0], rows)]


class Scratch:
    """Memory that is written to again for every block; fresh memory would cost as much as what is done with it."""

    def __init__(self, dtype: DTypeLike) -> None:
        """Start empty; the first block is the largest, and decides over the size."""
        self.memory = np.empty(0, dtype)

    def shaped(self, *shape: int) -> Array:
        """Return an array of this shape, with anything in it; the last one that was returned is overwritten."""
        size = math.prod(shape)
        if size > self.memory.size:
            self.memory = np.empty(size, self.memory.dtype)
        return self.memory[:size].reshape(shape)


def spans_of(kernel: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """dilation·(kernel − 1) + 1 on each axis."""
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation))


def positive(function: str, name: str, value: PerAxis, count: int, clause: str) -> tuple[int, ...]:
    """Return one int of at least 1 per spatial axis."""
    values = entries(function, name, value, count, "ints, one per spatial axis", clause)
    return tuple(integer(function, name, v, 1, clause) for v in values)


def _pads(
    function: str, padding: Padding, size: tuple[int, ...], spans: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * len(size)
        if padding == "same":
            totals = [max((-(-i // s) - 1) * s + e - i, 0) for i, s, e in zip(size, stride, spans)]
            return tuple((t // 2, t - t // 2) for t in totals)
        raise ValueError(f'{function}: padding must be "valid", "same" or numbers, is {padding!r} [WIN-C3]')
    what = "entries, an int or a (before, after) pair per spatial axis"
    return tuple(_pair(function, p) for p in entries(function, "padding", padding, len(size), what, "WIN-C3"))


def _pair(function: str, pad: Any) -> tuple[int, int]:
    pair = tuple(pad) if is_sequence(pad) else (pad, pad)
    if isinstance(pad, str):
        raise TypeError(f"{function}: padding must be an int, is {pad!r} [WIN-C3]")
    if len(pair) != 2:
        raise ValueError(f"{function}: padding must be (before, after) on each axis, is {pair!r} on one [WIN-C3]")
    before, after = (integer(function, "padding", p, 0, "WIN-C3") for p in pair)
    return before, after
