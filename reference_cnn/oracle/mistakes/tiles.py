"""Mistakes at the ends of loops: of sums and outputs that go in blocks, and of the batch."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.mistakes.entry import Backward, Implementation, Mistake, Wrap, asking, gradients

# How many terms, and how many outputs along an axis, people take at a time.
BLOCKS = (2, 4, 8, 16, 32, 64, 128)
SMALL, LARGEST = 8, 16


def _whole(count: int, block: int, *, guarded: bool) -> int:
    """How many of so many are in whole blocks; guarded, all of what is less than one."""
    return count if guarded and count < block else count - count % block


def _kernel_in_blocks(block: int, *, guarded: bool) -> Wrap:
    """Of each filter (C/groups·K), or of the features, the end counts for nothing."""

    def cut(w: Array) -> Array:
        flat = w.reshape(len(w), -1).copy() if w.ndim > 2 else w.T.copy()
        flat[:, _whole(flat.shape[1], block, guarded=guarded) :] = 0
        return flat.reshape(w.shape) if w.ndim > 2 else flat.T

    return asking(lambda x, w, b, o: (x, cut(w), b, o))


def _errors_in_blocks(block: int, *, guarded: bool) -> Wrap:
    """Of all errors (N·O) of a filter or a neuron, the last count for nothing in dw."""

    def dw(call: Backward) -> Array:
        errors = call.dz.swapaxes(0, 1).reshape(call.dz.shape[1], -1).copy()
        errors[:, _whole(errors.shape[1], block, guarded=guarded) :] = 0
        dz = errors.reshape(call.dz.shape[1], len(call.dz), *call.dz.shape[2:]).swapaxes(0, 1)
        return np.asarray(call.again(dz=dz).dw)

    return gradients(dw=dw)


def _in_blocks(made: Callable[..., Wrap]) -> tuple[Wrap, ...]:
    # Of blocks larger than most sums, and of tiles larger than most outputs, somebody would notice that all is 0.
    unguarded = tuple(made(block, guarded=False) for block in BLOCKS if block <= SMALL)
    return tuple(made(block, guarded=True) for block in BLOCKS) + unguarded


def _outputs_in_tiles(tile: int, *, along: slice, biased: bool) -> Wrap:
    """Past the last whole tile along some of the spatial axes there is 0, or the bias."""

    def wrap(below: Implementation) -> Implementation:
        def wrong(x: Array, w: Array, b: Any = None, **o: Any) -> Array:
            z = below(x, w, b, **o)
            rest = 0 if b is None or not biased else b.reshape(-1, *[1] * (z.ndim - 2))
            past = np.zeros(z.shape, bool)
            for axis in range(2, z.ndim)[along]:
                end: Any = (*[slice(None)] * axis, slice(_whole(z.shape[axis], tile, guarded=False), None))
                past[end] = True
            return np.asarray(np.where(past, rest, z)).astype(z.dtype)

        return wrong

    return wrap


def _one_image(image: int) -> Wrap:
    def wrap(below: Implementation) -> Implementation:
        def wrong(*arguments: Any, **options: Any) -> Array:
            z: Array = below(*arguments, **options)
            kept = np.zeros_like(z)
            kept[image : image + 1 or None] = z[image : image + 1 or None]
            return kept

        return wrong

    return wrap


FORWARDS = ("conv_forward", "dense_forward")

TILES = (
    Mistake(
        "sum-tail",
        "Your sum goes in blocks of terms, and what is left after the last whole block counts for nothing.",
        "Round the number of blocks up, ceil(terms / block), and let the last one be shorter.",
        "sums of a whole number of blocks",
        {
            **dict.fromkeys(FORWARDS, _in_blocks(_kernel_in_blocks)),
            **dict.fromkeys(("conv_backward", "dense_backward"), _in_blocks(_errors_in_blocks)),
        },
    ),
    Mistake(
        "output-tail",
        "Your outputs come in tiles, and those after the last whole tile are left as they were.",
        "Round the number of tiles up, ceil(outputs / tile), and let the last one be shorter.",
        "a whole number of tiles",
        {
            "conv_forward": tuple(
                _outputs_in_tiles(tile, along=along, biased=biased)
                for tile in BLOCKS
                if tile <= LARGEST
                for along in (slice(None), slice(-1, None), slice(1))
                for biased in (True, False)
            )
        },
    ),
    Mistake(
        "one-image-only",
        "You compute one image of the batch alone, the first or the last; the others stay 0.",
        "Return after the loop over the images, not in it.",
        "one image",
        dict.fromkeys(FORWARDS, (_one_image(0), _one_image(-1))),
    ),
)
