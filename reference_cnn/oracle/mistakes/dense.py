"""Mistakes in the dense layer."""

from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.mistakes.entry import Backward, Implementation, Mistake, Wrap, asking, gradients

# What people subtract before they use the weights.
RATES = (0.1, 0.01, 1.0, 0.5, 0.001, 0.0003)


def _product(a: Array, b: Array, dtype: Any) -> Array:
    """In float64, since BLAS knows no 16-bit floats."""
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(dtype)


def _dx_untransposed(call: Backward) -> Array:
    return _product(call.dz, call.w, call.dz.dtype)


def _dw_transposed(call: Backward) -> Array:
    return np.asarray(call.answer.dw.T)


def _db_of_images(call: Backward) -> Array:
    return np.asarray(call.dz.sum(axis=1, dtype=np.float64)).astype(call.dz.dtype)


def _transposed_backward(below: Implementation) -> Implementation:
    """Weights (n, m): what is learnt about them has their shape."""

    def wrong(dz: Array, x: Array, w: Array) -> Any:
        g = below(dz, x, w.T)
        return g._replace(dw=g.dw.T)

    return wrong


def _updated(rate: float) -> Wrap:
    def dx(call: Backward) -> Any:
        return call.again(w=(call.w - rate * call.answer.dw).astype(call.w.dtype)).dx

    return gradients(dx=dx)


def _flattened_otherwise(channels: int) -> Wrap:
    def flat(x: Array) -> Array:
        if x.shape[1] % channels:
            return x
        return x.reshape(len(x), channels, -1).swapaxes(1, 2).reshape(x.shape)

    return asking(lambda x, w, b, o: (flat(x), w, b, o))


DENSE = (
    Mistake(
        "transposed-weights",
        "You take the weights as (n, m), one row for each neuron, where the definition has (m, n).",
        "z = x @ w; or keep your convention and say so.",
        "symmetric weights; unless there are as many inputs as neurons, the sizes do not fit",
        {"dense_forward": (asking(lambda x, w, b, o: (x, w.T, b, o)),), "dense_backward": (_transposed_backward,)},
        kind="convention",
    ),
    Mistake(
        "dense-untransposed",
        "You forget a transpose: dx = dz @ w.",
        "dx = dz @ w.T.",
        "symmetric weights; unless there are as many inputs as neurons, the sizes do not fit",
        {"dense_backward": (gradients(dx=_dx_untransposed),)},
        ("tvm#5695✓",),
    ),
    Mistake(
        "dense-dw-transposed",
        "Your dw is transposed: dz.T @ x.",
        "dw = x.T @ dz has the shape of w.",
        "a symmetric dw; another shape comes out unless there are as many inputs as neurons",
        {"dense_backward": (gradients(dw=_dw_transposed),)},
        ("tvm#5695✓",),
    ),
    Mistake(
        "dense-updated-weights",
        "You update the weights before you compute dx with them.",
        "Compute all gradients with the weights of the forward pass, then update.",
        "a learning rate near 0",
        {"dense_backward": tuple(_updated(rate) for rate in RATES)},
        ("the article",),
        errata=("ERR-D4",),
    ),
    Mistake(
        "db-neurons",
        "You sum db over the neurons: one number for each image.",
        "db = dz.sum(axis=0): one number for each neuron.",
        "another shape comes out unless there are as many images as neurons",
        {"dense_backward": (gradients(db=_db_of_images),)},
    ),
    Mistake(
        "flatten-order",
        "You flatten the maps in another order than the weights expect: channels last against channels first.",
        "Flatten (N, C, H, W) as it is, x.reshape(N, -1), on both sides.",
        "one channel, or one pixel",
        {"dense_forward": tuple(_flattened_otherwise(c) for c in (2, 3, 4, 5))},
        ("keras#9696✓",),
    ),
)
