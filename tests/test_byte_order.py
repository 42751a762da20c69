"""Bytes in the other order and threads in another number: the same values, native results."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from strategies import Array

from reference_cnn import check_gradient, sigmoid, sigmoid_prime
from reference_cnn.oracle import cases, check
from reference_cnn.oracle.layers import LAYERS


def swapped(array: Any) -> Array:
    """The same numbers with the bytes of each in the other order."""
    a = np.asarray(array)
    return a.astype(a.dtype.newbyteorder("S"))


def answers(function: Callable[..., Any], *given: Any, **keywords: Any) -> list[Array]:
    result = function(*given, **keywords)
    return [np.asarray(a) for a in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.spec("ARR-N1", "ARR-N2")
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_arguments_of_the_other_byte_order(name: str, dtype: str) -> None:
    for case in cases(name, dtype=dtype, profile="quick", tiers=("rounding",))[:6]:
        function, options = LAYERS[name].reference, case.keywords
        plain = answers(function, *case.arguments.values(), *case.positional, **options)
        other = answers(function, *map(swapped, case.arguments.values()), *case.positional, **options)
        for a, b in zip(plain, other, strict=True):
            assert_array_equal(a, b)
            assert a.dtype == b.dtype
            assert b.dtype.isnative


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("name", LAYERS)
def test_answers_of_the_other_byte_order(name: str) -> None:
    reference = LAYERS[name].reference

    def function(*given: Any, **keywords: Any) -> tuple[Array, ...] | Array:
        parts = [swapped(a) for a in answers(reference, *given, **keywords)]
        return tuple(parts) if len(parts) > 1 else parts[0]

    assert check({name: function}, functions=[name], profile="quick").passed


@pytest.mark.spec("GRAD-D2")
def test_a_gradient_of_the_other_byte_order() -> None:
    z = swapped(np.array([-1.0, 0.25]))
    assert check_gradient(sigmoid, lambda dz, z: swapped(dz * sigmoid_prime(z)), [z]).passed


# Large enough for OpenBLAS to share the work out; whole numbers, whose sums are exact in whatever order.
THREADS = """
import numpy as np
from reference_cnn import conv_backward, conv_forward, dense_backward, dense_forward
draw = np.random.default_rng(0)
x, w, v = (draw.integers(-9, 10, s) for s in ((4, 16, 40, 40), (32, 16, 3, 3), (300, 200)))
a = draw.integers(-9, 10, (400, 300))
def compare(function, *given):
    exact, floats = (function(*(g.astype(t) for g in given)) for t in (np.int64, np.float64))
    for e, f in zip(exact if isinstance(exact, tuple) else [exact], floats if isinstance(exact, tuple) else [floats]):
        assert (e == f).all()
    return exact
compare(conv_backward, compare(conv_forward, x, w), x, w)
compare(dense_backward, compare(dense_forward, a, v), a, v)
"""


@pytest.mark.spec("CONV-F1", "CONV-B2", "DENSE-F1", "DENSE-B2")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_any_number_of_threads(threads: str) -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    run = subprocess.run([sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
