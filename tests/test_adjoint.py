"""Rung 4: algebra in exact arithmetic. The backward is the transpose of the forward, and the forward is linear."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from strategies import Array, conv_calls, dense_calls, examples, inner, seeds

from reference_cnn import conv_backward, conv_forward, dense_backward, dense_forward
from reference_cnn.oracle.call import Call


def fractions(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Fractions with numerators and denominators of one digit."""
    numbers = np.empty(shape, object)
    for index in np.ndindex(shape):
        numbers[index] = Fraction(int(rng.integers(-9, 10)), int(rng.integers(1, 10)))
    return numbers


@pytest.mark.spec("CONV-B1", "CONV-B2", "CONV-B3", "ARR-N4")
@examples(50)
@given(conv_calls(), seeds)
def test_conv_backward_is_the_transpose(call: Call, seed: int) -> None:
    rng, options = np.random.default_rng(seed), dict(call.options)
    shapes = dict(call.shapes)
    x, v, w, u = (fractions(rng, shapes[name]) for name in "xxww")
    b = fractions(rng, (len(w),))
    dz = fractions(rng, conv_forward(x, w, **options).shape)
    dx, dw, db = conv_backward(dz, x, w, **options)
    assert inner(dz, conv_forward(v, w, **options)) == inner(dx, v)
    assert inner(dz, conv_forward(x, u, **options)) == inner(dw, u)
    assert inner(dz, conv_forward(0 * x, w, b, **options)) == inner(db, b)


@pytest.mark.spec("CONV-F1", "ARR-N4")
@examples(50)
@given(conv_calls(), seeds)
def test_conv_forward_is_linear_in_each_argument(call: Call, seed: int) -> None:
    rng, options = np.random.default_rng(seed), dict(call.options)
    shapes = dict(call.shapes)
    x, v, w, u = (fractions(rng, shapes[name]) for name in "xxww")
    s = Fraction(7, 3)
    plain = conv_forward(x, w, **options)
    assert (conv_forward(x + s * v, w, **options) == plain + s * conv_forward(v, w, **options)).all()
    assert (conv_forward(x, w + s * u, **options) == plain + s * conv_forward(x, u, **options)).all()
    assert (conv_forward(x, w, np.full(len(w), s), **options) == plain + s).all()


@pytest.mark.spec("DENSE-F1", "DENSE-B1", "DENSE-B2", "DENSE-B3", "ARR-N4")
@examples(50)
@given(dense_calls(), seeds)
def test_dense_backward_is_the_transpose_of_a_linear_map(call: Call, seed: int) -> None:
    rng, shapes = np.random.default_rng(seed), dict(call.shapes)
    x, v, w, u = (fractions(rng, shapes[name]) for name in "xxww")
    b, s = fractions(rng, (w.shape[1],)), Fraction(-5, 7)
    dz = fractions(rng, (len(x), w.shape[1]))
    dx, dw, db = dense_backward(dz, x, w)
    assert inner(dz, dense_forward(v, w)) == inner(dx, v)
    assert inner(dz, dense_forward(x, u)) == inner(dw, u)
    assert inner(dz, dense_forward(0 * x, w, b)) == inner(db, b)
    assert (dense_forward(x + s * v, w, b) == dense_forward(x, w, b) + s * dense_forward(v, w)).all()
