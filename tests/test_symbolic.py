"""Rung 4: with SymPy symbols in the arrays, the backward is the symbolic derivative of the forward, for all inputs."""

from typing import Any

import numpy as np
import pytest
import sympy
from strategies import Array

from reference_cnn import conv_backward, conv_forward, dense_backward, dense_forward

CONFIGURATIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((1, 1, 4), (1, 1, 2), {}),
    ((2, 2, 5), (2, 2, 2), {"stride": 2, "padding": ((1, 2),)}),
    ((1, 2, 5), (2, 1, 2), {"dilation": 3, "groups": 2, "padding": 1}),
    ((1, 1, 3, 3), (1, 1, 2, 2), {}),
    ((2, 1, 3, 4), (2, 1, 2, 3), {"padding": 1}),
    ((1, 2, 4, 3), (1, 2, 2, 2), {"stride": (2, 1)}),
    ((1, 2, 4, 3), (2, 2, 2, 1), {"padding": ((0, 1), (2, 0)), "stride": (1, 3)}),
    ((1, 1, 5, 4), (1, 1, 2, 2), {"dilation": (2, 3)}),
    ((1, 4, 3, 2), (2, 2, 2, 2), {"groups": 2, "padding": "same"}),
    ((1, 3, 3, 3), (3, 1, 2, 2), {"groups": 3, "stride": 2, "padding": "same"}),
    ((2, 2, 4, 4), (2, 1, 2, 2), {"groups": 2, "stride": (3, 2), "dilation": (1, 2), "padding": ((1, 0), (0, 2))}),
    ((1, 1, 2, 3, 2), (1, 1, 2, 2, 1), {}),
    ((1, 2, 3, 2, 3), (2, 2, 2, 1, 2), {"stride": (2, 1, 2), "padding": ((1, 0), (0, 1), (1, 1))}),
    ((1, 1, 2, 2, 3), (1, 1, 1, 2, 2), {"dilation": (1, 1, 2), "padding": "same"}),
]


def symbols(name: str, shape: tuple[int, ...]) -> Array:
    """An array of one symbol per element."""
    array = np.empty(shape, object)
    for index in np.ndindex(shape):
        array[index] = sympy.Symbol(f"{name}_{'_'.join(map(str, index))}")
    return array


def assert_derivative(error: Any, array: Array, gradient: Array) -> None:
    assert gradient.shape == array.shape
    for index in np.ndindex(array.shape):
        assert sympy.expand(sympy.diff(error, array[index]) - gradient[index]) == 0


@pytest.mark.spec("CONV-B1", "CONV-B2", "CONV-B3", "ARR-N4")
@pytest.mark.parametrize(("x_shape", "w_shape", "options"), CONFIGURATIONS)
def test_conv_backward(x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any]) -> None:
    x, w, b = symbols("x", x_shape), symbols("w", w_shape), symbols("b", w_shape[:1])
    z = conv_forward(x, w, b, **options)
    dz = symbols("dz", z.shape)
    error = sympy.expand((dz * z).sum())
    for array, gradient in zip((x, w, b), conv_backward(dz, x, w, **options)):
        assert_derivative(error, array, gradient)


@pytest.mark.spec("DENSE-B1", "DENSE-B2", "DENSE-B3", "ARR-N4")
def test_dense_backward() -> None:
    x, w, b, dz = (symbols(*a) for a in (("x", (2, 3)), ("w", (3, 2)), ("b", (2,)), ("dz", (2, 2))))
    error = sympy.expand((dz * dense_forward(x, w, b)).sum())
    for array, gradient in zip((x, w, b), dense_backward(dz, x, w)):
        assert_derivative(error, array, gradient)
