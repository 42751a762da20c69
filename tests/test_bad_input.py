"""Every refusal: its exception, and that the message names function, argument, values and clause."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import reference_cnn

# What is refused here would be refused by the type checker too, so it is not told what these are.
package: Any = reference_cnn
conv_forward, conv_backward = package.conv_forward, package.conv_backward
dense_forward, dense_backward = package.dense_forward, package.dense_backward
sigmoid, sigmoid_prime, check_gradient = package.sigmoid, package.sigmoid_prime, package.check_gradient

X, W = np.ones((2, 4, 5, 6)), np.ones((6, 4, 2, 3))
DZ = np.ones((2, 6, 4, 4))
A, B = np.ones((3, 4)), np.ones((4, 2))

Refusal = tuple[Callable[[], Any], type[Exception], str]

REFUSALS: list[Refusal] = [
    # what is no array of numbers
    (lambda: conv_forward(None, W), TypeError, r"conv_forward: x must be an array of numbers, not NoneType \[ARR-C1\]"),
    (lambda: conv_forward("image", W), TypeError, r"conv_forward: x .* has dtype <U5 \[ARR-C1\]"),
    (lambda: conv_forward(X, None), TypeError, r"conv_forward: w .* not NoneType \[ARR-C1\]"),
    (lambda: conv_forward(X > 0, W), TypeError, r"conv_forward: x .* has dtype bool \[ARR-C1\]"),
    (lambda: conv_forward(X, W, "b"), TypeError, r"conv_forward: b .* has dtype <U1 \[ARR-C1\]"),
    (lambda: conv_forward(np.ma.masked_array(X), W), TypeError, r"conv_forward: x .* not MaskedArray \[ARR-C1\]"),
    (lambda: conv_forward([[[1, 2], [3]]], W), ValueError, r"conv_forward: x is not a rectangular array.*\[ARR-C1\]"),
    (lambda: conv_forward(np.zeros(3, "f4,f4"), W), TypeError, r"conv_forward: x .* has dtype .*\[ARR-C1\]"),
    (lambda: conv_backward(None, X, W), TypeError, r"conv_backward: dz .* not NoneType \[ARR-C1\]"),
    (lambda: dense_forward(None, B), TypeError, r"dense_forward: x .* not NoneType \[ARR-C1\]"),
    (lambda: dense_backward("dz", A, B), TypeError, r"dense_backward: dz .* has dtype <U2 \[ARR-C1\]"),
    (lambda: sigmoid(None), TypeError, r"sigmoid: z .* not NoneType \[ARR-C1\]"),
    (lambda: sigmoid_prime("1"), TypeError, r"sigmoid_prime: z .* has dtype <U1 \[ARR-C1\]"),
    (lambda: sigmoid(np.array([1], object)), TypeError, r"sigmoid: z has dtype object.*\[ACT-C1\]"),
    # ranks and sizes
    (lambda: conv_forward(np.ones((4, 5)), W), ValueError, r"conv_forward: x must be \(N, C, \*D\).*\(4, 5\) \[CONV-C1\]"),
    (lambda: conv_forward(np.ones((2, 4, 0, 6)), W), ValueError, r"conv_forward: x .*\(2, 4, 0, 6\) \[CONV-C1\]"),
    (lambda: conv_forward(X, np.ones((6, 4, 2))), ValueError, r"conv_forward: w .* 2 spatial axes.*\(6, 4, 2\) \[CONV-C1\]"),
    (lambda: conv_forward(X, np.ones((0, 4, 2, 3))), ValueError, r"conv_forward: w .*\(0, 4, 2, 3\) \[CONV-C1\]"),
    (lambda: conv_forward(np.ones((2, 5, 5, 6)), W), ValueError, r"conv_forward: w expects 4 input channels per group, x has 5 in 1 group \[CONV-C2\]"),
    (lambda: conv_forward(X, W, groups=2), ValueError, r"conv_forward: w expects 4 input channels per group, x has 4 in 2 groups \[CONV-C2\]"),
    (lambda: conv_forward(X, W, np.ones(5)), ValueError, r"conv_forward: b has shape \(5,\), expected \(6,\).*\[CONV-C3\]"),
    (lambda: conv_forward(X, W, 1.0), ValueError, r"conv_forward: b has shape \(\), expected \(6,\).*\[CONV-C3\]"),
    (lambda: conv_backward(DZ[:, :5], X, W), ValueError, r"conv_backward: dz has shape \(2, 5, 4, 4\), expected \(2, 6, 4, 4\).*\[CONV-C5\]"),
    (lambda: conv_backward(DZ, X, W, stride=2), ValueError, r"conv_backward: dz .* expected \(2, 6, 2, 2\).*\[CONV-C5\]"),
    (lambda: dense_forward(np.ones(4), B), ValueError, r"dense_forward: x must be a matrix \(N, m\).*\(4,\) \[DENSE-C1\]"),
    (lambda: dense_forward(A, np.ones((4, 0))), ValueError, r"dense_forward: w must be a matrix \(m, n\).*\(4, 0\) \[DENSE-C1\]"),
    (lambda: dense_forward(A, B.T), ValueError, r"dense_forward: w expects 2 features, x has 4 \[DENSE-C2\]"),
    (lambda: dense_forward(A, B, np.ones((1, 2))), ValueError, r"dense_forward: b has shape \(1, 2\), expected \(2,\).*\[DENSE-C3\]"),
    (lambda: dense_backward(A, A, B), ValueError, r"dense_backward: dz has shape \(3, 4\), expected \(3, 2\).*\[DENSE-C4\]"),
    # groups
    (lambda: conv_forward(X, W, groups=3), ValueError, r"conv_forward: groups must divide the 4 channels of x and the 6 filters of w, is 3 \[CONV-C4\]"),
    (lambda: conv_forward(X, np.ones((5, 2, 2, 3)), groups=2), ValueError, r"conv_forward: groups must divide .* 5 filters.*\[CONV-C4\]"),
    (lambda: conv_forward(X, W, groups=0), ValueError, r"conv_forward: groups must be at least 1, is 0 \[CONV-C4\]"),
    (lambda: conv_forward(X, W, groups=2.0), TypeError, r"conv_forward: groups must be an int, is 2.0 \[CONV-C4\]"),
    # stride and dilation
    (lambda: conv_forward(X, W, stride=0), ValueError, r"conv_forward: stride must be at least 1, is 0 \[WIN-C1\]"),
    (lambda: conv_forward(X, W, stride=(1, -1)), ValueError, r"conv_forward: stride must be at least 1, is -1 \[WIN-C1\]"),
    (lambda: conv_forward(X, W, stride=(1, 1, 1)), ValueError, r"conv_forward: stride must be an int or 2 ints.*\(1, 1, 1\) \[WIN-C1\]"),
    (lambda: conv_forward(X, W, stride=1.5), TypeError, r"conv_forward: stride .* is 1.5 \[WIN-C1\]"),
    (lambda: conv_forward(X, W, stride="2"), TypeError, r"conv_forward: stride .* is '2' \[WIN-C1\]"),
    (lambda: conv_forward(X, W, stride=None), TypeError, r"conv_forward: stride .* is None \[WIN-C1\]"),
    (lambda: conv_forward(X, W, stride=True), TypeError, r"conv_forward: stride must be an int, is True \[WIN-C1\]"),
    (lambda: conv_backward(DZ, X, W, dilation=0), ValueError, r"conv_backward: dilation must be at least 1, is 0 \[WIN-C2\]"),
    (lambda: conv_forward(X, W, dilation=(1,)), ValueError, r"conv_forward: dilation must be an int or 2 ints.*\(1,\) \[WIN-C2\]"),
    (lambda: conv_forward(X, W, dilation=10**30), ValueError, r"conv_forward: dilation must be below 2\*\*31, has 100 bits \[WIN-C2\]"),
    (lambda: conv_forward(X, W, groups=np.array([1, 2])), TypeError, r"conv_forward: groups must be an int, is array.*\[CONV-C4\]"),
    (lambda: conv_forward(X, W, stride=np.array(2.0)), TypeError, r"conv_forward: stride .*\[WIN-C1\]"),
    # padding
    (lambda: conv_forward(X, W, padding=-1), ValueError, r"conv_forward: padding must be at least 0, is -1 \[WIN-C3\]"),
    (lambda: conv_forward(X, W, padding=((0, 1), (0, -2))), ValueError, r"conv_forward: padding must be at least 0, is -2 \[WIN-C3\]"),
    (lambda: conv_forward(X, W, padding="full"), ValueError, r"""conv_forward: padding must be "valid", "same" or numbers, is 'full' \[WIN-C3\]"""),
    (lambda: conv_forward(X, W, padding=(1, 2, 3)), ValueError, r"conv_forward: padding .* 2 entries.*\(1, 2, 3\) \[WIN-C3\]"),
    (lambda: conv_forward(X, W, padding=((1, 2, 3), (1, 2))), ValueError, r"conv_forward: padding must be \(before, after\).*\(1, 2, 3\).*\[WIN-C3\]"),
    (lambda: conv_forward(X, W, padding=("1", "2")), TypeError, r"conv_forward: padding must be an int, is '1' \[WIN-C3\]"),
    (lambda: conv_forward(X, W, padding=None), TypeError, r"conv_forward: padding .* is None \[WIN-C3\]"),
    (lambda: conv_forward(np.ones((1, 1, 5)), np.ones((1, 1, 2)), padding=(1, 2)), ValueError, r"conv_forward: padding .* 1 entries.*\[WIN-C3\]"),
    (lambda: conv_forward(X, W, padding={0: 1, 1: 2}), TypeError, r"conv_forward: padding must be an int or 2 entries.*\[WIN-C3\]"),
    (lambda: conv_forward(X, W, stride=b"12"), TypeError, r"conv_forward: stride .*\[WIN-C1\]"),
    (lambda: conv_forward(X, W, padding=("12", 1)), TypeError, r"conv_forward: padding must be an int, is '12' \[WIN-C3\]"),
    # the window does not fit
    (lambda: conv_forward(X, np.ones((6, 4, 6, 3))), ValueError, r"conv_forward: the window spans \(6, 3\) but the padded input only \(5, 6\).*\[WIN-C4\]"),
    (lambda: conv_forward(X, W, dilation=(5, 1)), ValueError, r"conv_forward: the window spans \(6, 3\).*\[WIN-C4\]"),
    # pooling
    (lambda: package.max_pool_forward(None, 2), TypeError, r"max_pool_forward: x .* not NoneType \[ARR-C1\]"),
    (lambda: package.max_pool_forward(np.ones((2, 3)), 2), ValueError, r"max_pool_forward: x must be \(N, C, \*D\).*\(2, 3\) \[POOL-C1\]"),
    (lambda: package.avg_pool_forward(X, 0), ValueError, r"avg_pool_forward: window must be at least 1, is 0 \[POOL-C2\]"),
    (lambda: package.avg_pool_forward(X, (2, 2, 2)), ValueError, r"avg_pool_forward: window must be an int or 2 ints.*\[POOL-C2\]"),
    (lambda: package.max_pool_forward(X, 2.0), TypeError, r"max_pool_forward: window .* is 2.0 \[POOL-C2\]"),
    (lambda: package.max_pool_forward(X, 2, stride=0), ValueError, r"max_pool_forward: stride must be at least 1, is 0 \[WIN-C1\]"),
    (lambda: package.max_pool_forward(X, 9), ValueError, r"max_pool_forward: the window spans \(9, 9\).*\[WIN-C4\]"),
    (lambda: package.max_pool_forward(X, 2, padding=2), ValueError, r"max_pool_forward: padding must be smaller.*\(\(2, 2\), \(2, 2\)\).*\[POOL-C3\]"),
    (lambda: package.max_pool_forward(np.ones((1, 1, 1)), 2, padding=1, dilation=2), ValueError, r"max_pool_forward: .* no window may lie in it alone.*\[POOL-C3\]"),
    (lambda: package.max_pool_backward(X, X, 2), ValueError, r"max_pool_backward: dy has shape \(2, 4, 5, 6\), expected \(2, 4, 2, 3\).*\[POOL-C4\]"),
    (lambda: package.avg_pool_backward(X, X, 2), ValueError, r"avg_pool_backward: dy .*\[POOL-C4\]"),
    (lambda: package.max_pool_forward(X + 0j, 2), TypeError, r"max_pool_forward: x is complex128.*\[POOL-C5\]"),
    (lambda: package.avg_pool_forward(X, 2, include_padding="no"), TypeError, r"avg_pool_forward: include_padding must be True or False, is 'no' \[POOL-C6\]"),
    (lambda: package.avg_pool_backward(X, X, 2, include_padding=1), TypeError, r"avg_pool_backward: include_padding .* is 1 \[POOL-C6\]"),
    # relu, softmax and losses
    (lambda: package.relu(A + 0j), TypeError, r"relu: z is complex128.*\[ACT-C2\]"),
    (lambda: package.relu_prime(None), TypeError, r"relu_prime: z .* not NoneType \[ARR-C1\]"),
    (lambda: package.softmax(1.0), ValueError, r"softmax: there must be an axis.*\(\) \[ACT-C3\]"),
    (lambda: package.softmax(np.ones((2, 0))), ValueError, r"softmax: there must be an axis.*\(2, 0\) \[ACT-C3\]"),
    (lambda: package.softmax(np.array([1], object)), TypeError, r"softmax: z has dtype object.*\[ACT-C1\]"),
    (lambda: package.softmax_backward(A, B), ValueError, r"softmax_backward: da has shape \(3, 4\), expected \(4, 2\).*\[ACT-C4\]"),
    (lambda: package.squared_error(np.ones((3, 1)), np.ones(3)), ValueError, r"squared_error: y has shape \(3,\), expected \(3, 1\).*\[LOSS-C1\]"),
    (lambda: package.squared_error_prime(A, B), ValueError, r"squared_error_prime: y .*\[LOSS-C1\]"),
    (lambda: package.cross_entropy(np.ones(3), [0]), ValueError, r"cross_entropy: z must be \(N, K\).*\(3,\) \[LOSS-C2\]"),
    (lambda: package.cross_entropy(A, [0, 1]), ValueError, r"cross_entropy: labels has shape \(2,\), expected \(3,\).*\[LOSS-C2\]"),
    (lambda: package.cross_entropy(A, [0.0, 1.0, 2.0]), TypeError, r"cross_entropy: labels must be integers.*\[LOSS-C3\]"),
    (lambda: package.cross_entropy_prime(A, [0, 1, 4]), ValueError, r"cross_entropy_prime: labels must be from 0 to 3, are 0 to 4 \[LOSS-C3\]"),
    (lambda: package.cross_entropy(A, [0, 1, -1]), ValueError, r"cross_entropy: labels .* are -1 to 1 \[LOSS-C3\]"),
    (lambda: package.cross_entropy(A + 0j, [0, 1, 2]), TypeError, r"cross_entropy: z has dtype complex128.*\[ACT-C2\]"),
    # the gradient check
    (lambda: check_gradient(np.sin, np.cos, [np.array([1j])]), TypeError, r"check_gradient: args\[0\] is complex.*\[GRAD-C1\]"),
    (lambda: check_gradient(lambda x: x > 0, np.cos, [A]), TypeError, r"check_gradient: forward's output .* has dtype bool \[ARR-C1\]"),
    (lambda: check_gradient(lambda x: [[1], [1, 2]], np.cos, [A]), ValueError, r"check_gradient: forward's output is not a rect.*\[ARR-C1\]"),
    (lambda: check_gradient(lambda x: x * 1j, np.cos, [A]), TypeError, r"check_gradient: forward's output is complex.*\[GRAD-C1\]"),
    (lambda: check_gradient(np.sin, np.cos, ["x"]), TypeError, r"check_gradient: args\[0\] .* has dtype <U1 \[ARR-C1\]"),
    (lambda: check_gradient(np.sin, lambda dz, x: dz, [A], dz=B), ValueError, r"check_gradient: dz has shape \(4, 2\), forward's output \(3, 4\) \[GRAD-C2\]"),
    (lambda: check_gradient(dense_forward, dense_backward, [A, B]), ValueError, r"check_gradient: backward returned 3 gradients, expected dx, dw; .* bias too \[GRAD-C2\]"),
    (lambda: check_gradient(dense_forward, lambda dz, x, w: dz, [A, B]), ValueError, r"check_gradient: backward returned ndarray, expected dx, dw.*\[GRAD-C2\]"),
    (lambda: check_gradient(np.sin, lambda dz, x: None, [A]), ValueError, r"check_gradient: there is no argument.*\[GRAD-C2\]"),
]  # fmt: skip


@pytest.mark.spec(
    "ARR-C1", "ACT-C1", "CONV-C1", "CONV-C2", "CONV-C3", "CONV-C4", "CONV-C5", "DENSE-C1", "DENSE-C2", "DENSE-C3",
    "DENSE-C4", "WIN-C1", "WIN-C2", "WIN-C3", "WIN-C4", "GRAD-C1", "GRAD-C2",
    "POOL-C1", "POOL-C2", "POOL-C3", "POOL-C4", "POOL-C5", "POOL-C6", "ACT-C2", "ACT-C3", "ACT-C4", "LOSS-C1", "LOSS-C2", "LOSS-C3",
)  # fmt: skip
@pytest.mark.parametrize(("call", "exception", "message"), REFUSALS, ids=[r[2][:60] for r in REFUSALS])
def test_refusal(call: Callable[[], Any], exception: type[Exception], message: str) -> None:
    with pytest.raises(exception, match=f"^{message}"):
        call()


@pytest.mark.spec("ARR-C2")
def test_dtypes_without_a_common_one_are_refused() -> None:
    with pytest.raises(TypeError, match=r"dense_forward: no common dtype for float16, bfloat16; .* \[ARR-C2\]"):
        dense_forward(A.astype(np.float16), B.astype(ml_dtypes.bfloat16))


@pytest.mark.spec("WIN-D2", "WIN-C1")
def test_numpy_integers_and_arrays_are_integers() -> None:
    expected = conv_forward(X, W, stride=(2, 1), padding=((1, 1), (0, 2)), groups=1)
    got = conv_forward(X, W, stride=np.array([2, 1]), padding=np.array([[1, 1], [0, 2]]), groups=np.int64(1))
    assert np.array_equal(got, expected)
    assert np.array_equal(conv_forward(X, W, padding=np.array(1)), conv_forward(X, W, padding=(np.array(1), 1)))
