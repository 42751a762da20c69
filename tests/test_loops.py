"""Rung 2: the layers equal the formulas written as explicit loops, exactly, on integers."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import arrays_of, conv_calls, dense_calls, examples, integers, pool_calls, seeds

import reference_cnn as reference
from reference_cnn.conv import parameter_gradients
from reference_cnn.oracle.call import Call
from reference_cnn.oracle.targets import loops


@pytest.mark.spec("CONV-F1", "CONV-D2", "WIN-D1", "WIN-D2", "WIN-D3")
@given(conv_calls(), seeds)
def test_conv_forward(call: Call, seed: int) -> None:
    arrays = arrays_of(call, seed)
    options = dict(call.options)
    assert (reference.conv_forward(*arrays, **options) == loops.conv_forward(*arrays, **options)).all()


@pytest.mark.spec("CONV-B1", "CONV-B2", "CONV-B3")
@given(conv_calls(), seeds)
def test_conv_backward(call: Call, seed: int) -> None:
    x, w = arrays_of(call, seed)[:2]
    options = dict(call.options)
    dz = integers(np.random.default_rng(seed + 1), reference.conv_forward(x, w, **options).shape)
    ours = reference.conv_backward(dz, x, w, **options)
    for ours_, theirs in zip(ours, loops.conv_backward(dz, x, w, **options)):
        assert ours_.shape == theirs.shape
        assert (ours_ == theirs).all()


@pytest.mark.spec("DENSE-F1", "DENSE-B1", "DENSE-B2", "DENSE-B3")
@examples(50)
@given(dense_calls(), seeds)
def test_dense(call: Call, seed: int) -> None:
    arrays = arrays_of(call, seed)
    z = reference.dense_forward(*arrays)
    assert (z == loops.dense_forward(*arrays)).all()
    dz = integers(np.random.default_rng(seed + 1), z.shape)
    for ours, theirs in zip(reference.dense_backward(dz, *arrays[:2]), loops.dense_backward(dz, *arrays[:2])):
        assert (ours == theirs).all()


@pytest.mark.spec("CONV-F1", "CONV-B1", "CONV-B2")
def test_large_images_are_split_into_blocks_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = arrays_of(Call((("x", (3, 4, 9, 7)), ("w", (6, 2, 3, 2)))), 0)
    options: dict[str, Any] = {"stride": (2, 1), "padding": ((1, 2), (0, 1)), "dilation": (1, 2), "groups": 2}
    whole = reference.conv_forward(x, w, **options)
    gradients = reference.conv_backward(whole, x, w, **options)
    for size in (1, 100, 1000):  # one row at a time, a few rows, a few images
        monkeypatch.setattr("reference_cnn._windows.BLOCK", size)
        assert (reference.conv_forward(x, w, **options) == whole).all()
        for a, b in zip(reference.conv_backward(whole, x, w, **options), gradients):
            assert (a == b).all()


@pytest.mark.spec("CONV-B2", "CONV-B3", "CONV-C5")
@pytest.mark.parametrize("options", [{}, {"stride": (2, 1), "padding": ((1, 2), (0, 1))}])
def test_a_first_layer_gets_the_same_gradients_without_that_of_the_data(options: dict[str, Any]) -> None:
    x, w = arrays_of(Call((("x", (3, 4, 9, 7)), ("w", (6, 4, 3, 2)))), 0)
    dz = reference.conv_forward(x, w, **options)
    _, *expected = reference.conv_backward(dz, x, w, **options)
    for ours, theirs in zip(parameter_gradients(dz, x, w, **options), expected, strict=True):
        assert (ours == theirs).all()
    with pytest.raises(ValueError, match=r"^parameter_gradients: dz has shape .* \[CONV-C5\]$"):
        parameter_gradients(dz[..., 1:], x, w, **options)


@pytest.mark.spec("CONV-B1", "CONV-B2", "CONV-B3", "ARR-N1", "ARR-N3")
@pytest.mark.parametrize(("dz", "x", "w"), [
    ("f4", "f4", "f8"), ("f4", "f8", "f4"), ("f8", "f4", "f4"), ("i8", "i8", "f8"), ("i8", "f8", "i8"),
    ("f8", "f8", "c16"), ("f8", "c16", "f8"), ("f2", "f2", "f8"), ("f2", "f8", "f2"),
])  # fmt: skip
def test_each_gradient_is_computed_in_the_dtype_of_its_own_formula(dz: str, x: str, w: str) -> None:
    rng = np.random.default_rng(0)
    shapes = ((dz, (2, 4, 4, 3)), (x, (2, 2, 5, 5)), (w, (4, 2, 2, 3)))
    arrays = [(2 * rng.standard_normal(shape)).astype(dtype) for dtype, shape in shapes]
    wide = reference.conv_backward(*(a.astype(np.complex128) for a in arrays))
    for gradient, exact, types in zip(reference.conv_backward(*arrays), wide, ((dz, w), (dz, x), (dz,))):
        assert gradient.dtype == np.result_type(*types)
        eps = np.finfo(gradient.dtype).eps if gradient.dtype.kind in "fc" else 0
        np.testing.assert_allclose(gradient, exact, rtol=8 * eps, atol=200 * eps)


@pytest.mark.spec("LOSS-F1", "LOSS-B1", "ARR-N4")
def test_squared_error_of_fractions_is_a_fraction() -> None:
    o = np.array([Fraction(1, 3), Fraction(2)], object)
    y = np.array([Fraction(1), Fraction(1, 2)], object)
    assert reference.squared_error(o, y) == Fraction(97, 72)
    assert isinstance(reference.squared_error(o, y), Fraction)
    assert reference.squared_error_prime(o, y).tolist() == [Fraction(-2, 3), Fraction(3, 2)]


Pooling = tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]


@pytest.mark.spec("POOL-D1", "POOL-F1", "POOL-B1")
@given(pool_calls(), seeds)
def test_max_pool(call: Pooling, seed: int) -> None:
    size, window, options = call
    rng = np.random.default_rng(seed)
    x = integers(rng, size)  # few numbers, so there are ties, and the first of them counts
    y = reference.max_pool_forward(x, window, **options)
    assert np.array_equal(y, loops.max_pool_forward(x, window, **options))
    dy = integers(rng, y.shape)
    dx = reference.max_pool_backward(dy, x, window, **options)
    assert np.array_equal(dx, loops.max_pool_backward(dy, x, window, **options))


@pytest.mark.spec("POOL-D1", "POOL-F2", "POOL-B2")
@given(pool_calls(dilated=False), st.booleans(), seeds)
def test_avg_pool(call: Pooling, include_padding: bool, seed: int) -> None:
    size, window, options = call
    rng = np.random.default_rng(seed)
    x = np.vectorize(Fraction, otypes=[object])(integers(rng, size))
    y = reference.avg_pool_forward(x, window, include_padding=include_padding, **options)
    assert np.array_equal(y, loops.avg_pool_forward(x, window, include_padding=include_padding, **options))
    dy = np.vectorize(Fraction, otypes=[object])(integers(rng, y.shape))
    dx = reference.avg_pool_backward(dy, x, window, include_padding=include_padding, **options)
    assert np.array_equal(dx, loops.avg_pool_backward(dy, x, window, include_padding=include_padding, **options))
    # ⟨dy, P·x⟩ = ⟨Pᵀ·dy, x⟩
    assert (dy * y).sum() == (dx * x).sum()
