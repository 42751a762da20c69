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


class OneEntry:
    """An array of one axis and one entry, which some libraries take for an integer."""

    ndim = 1

    def __index__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return "OneEntry"


Refusal = tuple[Callable[[], Any], type[Exception], str]

REFUSALS: list[Refusal] = [
    # what is no array of numbers
    (lambda: conv_forward(None, W), TypeError, "conv_forward: x must be an array of numbers, not NoneType [ARR-C1]"),
    (lambda: conv_forward("image", W), TypeError, "conv_forward: x must be an array of numbers, has dtype <U5 [ARR-C1]"),
    (lambda: conv_forward(X, None), TypeError, "conv_forward: w must be an array of numbers, not NoneType [ARR-C1]"),
    (lambda: conv_forward(X > 0, W), TypeError, "conv_forward: x must be an array of numbers, has dtype bool [ARR-C1]"),
    (lambda: conv_forward(X, W, "b"), TypeError, "conv_forward: b must be an array of numbers, has dtype <U1 [ARR-C1]"),
    (lambda: conv_forward(np.ma.masked_array(X), W), TypeError, "conv_forward: x must be an array of numbers, not MaskedArray [ARR-C1]"),
    (lambda: conv_forward(np.zeros(3, "f4,f4"), W), TypeError, "conv_forward: x must be an array of numbers, has dtype [('f0', '<f4'), ('f1', '<f4')] [ARR-C1]"),
    (lambda: conv_backward(None, X, W), TypeError, "conv_backward: dz must be an array of numbers, not NoneType [ARR-C1]"),
    (lambda: dense_forward(None, B), TypeError, "dense_forward: x must be an array of numbers, not NoneType [ARR-C1]"),
    (lambda: dense_backward("dz", A, B), TypeError, "dense_backward: dz must be an array of numbers, has dtype <U2 [ARR-C1]"),
    (lambda: sigmoid(None), TypeError, "sigmoid: z must be an array of numbers, not NoneType [ARR-C1]"),
    (lambda: sigmoid_prime("1"), TypeError, "sigmoid_prime: z must be an array of numbers, has dtype <U1 [ARR-C1]"),
    (lambda: sigmoid(np.array([1], object)), TypeError, "sigmoid: z has dtype object, which has no exponential; use floats [ACT-C1]"),
    # ranks and sizes
    (lambda: conv_forward(np.ones((4, 5)), W), ValueError, "conv_forward: x must be (N, C, *D) with at least one spatial axis and no empty one, has shape (4, 5) [CONV-C1]"),
    (lambda: conv_forward(np.ones((2, 4, 0, 6)), W), ValueError, "conv_forward: x must be (N, C, *D) with at least one spatial axis and no empty one, has shape (2, 4, 0, 6) [CONV-C1]"),
    (lambda: conv_forward(X[:, :0], W), ValueError, "conv_forward: x must be (N, C, *D) with at least one spatial axis and no empty one, has shape (2, 0, 5, 6) [CONV-C1]"),
    (lambda: package.max_pool_forward(X[:, :0], 2), ValueError, "max_pool_forward: x must be (N, C, *D) with at least one spatial axis and no empty one, has shape (2, 0, 5, 6) [POOL-C1]"),
    (lambda: package.avg_pool_forward(X[:, :, :, :0], 2), ValueError, "avg_pool_forward: x must be (N, C, *D) with at least one spatial axis and no empty one, has shape (2, 4, 5, 0) [POOL-C1]"),
    (lambda: dense_forward(A[:, :0], B), ValueError, "dense_forward: x must be a matrix (N, m) with m, n ≥ 1, has shape (3, 0) [DENSE-C1]"),
    (lambda: dense_forward(A, B[:0]), ValueError, "dense_forward: w must be a matrix (m, n) with m, n ≥ 1, has shape (0, 2) [DENSE-C1]"),
    (lambda: conv_forward(X, np.ones((6, 4, 2))), ValueError, "conv_forward: w must be (F, C/groups, *K) with 2 spatial axes like x and no empty one, has shape (6, 4, 2) [CONV-C1]"),
    (lambda: conv_forward(X, np.ones((0, 4, 2, 3))), ValueError, "conv_forward: w must be (F, C/groups, *K) with 2 spatial axes like x and no empty one, has shape (0, 4, 2, 3) [CONV-C1]"),
    (lambda: conv_forward(np.ones((2, 5, 5, 6)), W), ValueError, "conv_forward: w expects 4 input channels per group, x has 5 in 1 group [CONV-C2]"),
    (lambda: conv_forward(X, W, groups=2), ValueError, "conv_forward: w expects 4 input channels per group, x has 4 in 2 groups [CONV-C2]"),
    (lambda: conv_forward(X, W, np.ones(5)), ValueError, "conv_forward: b has shape (5,), expected (6,) (one bias per filter of w) [CONV-C3]"),
    (lambda: conv_forward(X, W, 1.0), ValueError, "conv_forward: b has shape (), expected (6,) (one bias per filter of w) [CONV-C3]"),
    (lambda: conv_backward(DZ[:, :5], X, W), ValueError, "conv_backward: dz has shape (2, 5, 4, 4), expected (2, 6, 4, 4) (the shape of conv_forward's output) [CONV-C5]"),
    (lambda: conv_backward(DZ, X, W, stride=2), ValueError, "conv_backward: dz has shape (2, 6, 4, 4), expected (2, 6, 2, 2) (the shape of conv_forward's output) [CONV-C5]"),
    (lambda: dense_forward(np.ones(4), B), ValueError, "dense_forward: x must be a matrix (N, m) with m, n ≥ 1, has shape (4,) [DENSE-C1]"),
    (lambda: dense_forward(A, np.ones((4, 0))), ValueError, "dense_forward: w must be a matrix (m, n) with m, n ≥ 1, has shape (4, 0) [DENSE-C1]"),
    (lambda: dense_forward(A, B.T), ValueError, "dense_forward: w expects 2 features, x has 4 [DENSE-C2]"),
    (lambda: dense_forward(A, B, np.ones((1, 2))), ValueError, "dense_forward: b has shape (1, 2), expected (2,) (one bias per column of w) [DENSE-C3]"),
    (lambda: dense_backward(A, A, B), ValueError, "dense_backward: dz has shape (3, 4), expected (3, 2) (the shape of dense_forward's output) [DENSE-C4]"),
    # groups
    (lambda: conv_forward(X, W, groups=3), ValueError, "conv_forward: groups must divide the 4 channels of x and the 6 filters of w, is 3 [CONV-C4]"),
    (lambda: conv_forward(X, np.ones((5, 2, 2, 3)), groups=2), ValueError, "conv_forward: groups must divide the 4 channels of x and the 5 filters of w, is 2 [CONV-C4]"),
    (lambda: conv_forward(X, W, groups=0), ValueError, "conv_forward: groups must be at least 1, is 0 [CONV-C4]"),
    (lambda: conv_forward(X, W, groups=2.0), TypeError, "conv_forward: groups must be an int, is 2.0 [CONV-C4]"),
    # stride and dilation
    (lambda: conv_forward(X, W, stride=0), ValueError, "conv_forward: stride must be at least 1, is 0 [WIN-C1]"),
    (lambda: conv_forward(X, W, stride=(1, -1)), ValueError, "conv_forward: stride must be at least 1, is -1 [WIN-C1]"),
    (lambda: conv_forward(X, W, stride=(1, 1, 1)), ValueError, "conv_forward: stride must be an int or 2 ints, one per spatial axis, is (1, 1, 1) [WIN-C1]"),
    (lambda: conv_forward(X, W, stride=1.5), TypeError, "conv_forward: stride must be an int or 2 ints, one per spatial axis, is 1.5 [WIN-C1]"),
    (lambda: conv_forward(X, W, stride="2"), TypeError, "conv_forward: stride must be an int or 2 ints, one per spatial axis, is '2' [WIN-C1]"),
    (lambda: conv_forward(X, W, stride=None), TypeError, "conv_forward: stride must be an int or 2 ints, one per spatial axis, is None [WIN-C1]"),
    (lambda: conv_forward(X, W, stride=True), TypeError, "conv_forward: stride must be an int, is True [WIN-C1]"),
    (lambda: conv_backward(DZ, X, W, dilation=0), ValueError, "conv_backward: dilation must be at least 1, is 0 [WIN-C2]"),
    (lambda: conv_forward(X, W, stride=2**31), ValueError, "conv_forward: stride must be below 2**31, has 32 bits [WIN-C1]"),
    (lambda: conv_forward(X, W, dilation=10**30), ValueError, "conv_forward: dilation must be below 2**31, has 100 bits [WIN-C2]"),
    (lambda: conv_forward(X, W, groups=np.array([1, 2])), TypeError, "conv_forward: groups must be an int, is array([1, 2]) [CONV-C4]"),
    (lambda: conv_forward(X, W, stride=np.array(2.0)), TypeError, "conv_forward: stride must be an int or 2 ints, one per spatial axis, is array(2.) [WIN-C1]"),
    (lambda: conv_forward(X, W, groups=OneEntry()), TypeError, "conv_forward: groups must be an int, is OneEntry [CONV-C4]"),
    (lambda: conv_forward(X, W, dilation=(1,)), ValueError, "conv_forward: dilation must be an int or 2 ints, one per spatial axis, is (1,) [WIN-C2]"),
    # padding
    (lambda: conv_forward(X, W, padding=-1), ValueError, "conv_forward: padding must be at least 0, is -1 [WIN-C3]"),
    (lambda: conv_forward(X, W, padding=((0, 1), (0, -2))), ValueError, "conv_forward: padding must be at least 0, is -2 [WIN-C3]"),
    (lambda: conv_forward(X, W, padding="full"), ValueError, """conv_forward: padding must be "valid", "same" or numbers, is 'full' [WIN-C3]"""),
    (lambda: conv_forward(X, W, padding=(1, 2, 3)), ValueError, "conv_forward: padding must be an int or 2 entries, an int or a (before, after) pair per spatial axis, is (1, 2, 3) [WIN-C3]"),
    (lambda: conv_forward(X, W, padding=((1, 2, 3), (1, 2))), ValueError, "conv_forward: padding must be (before, after) on each axis, is (1, 2, 3) on one [WIN-C3]"),
    (lambda: conv_forward(X, W, padding=("1", "2")), TypeError, "conv_forward: padding must be an int, is '1' [WIN-C3]"),
    (lambda: conv_forward(X, W, padding=None), TypeError, "conv_forward: padding must be an int or 2 entries, an int or a (before, after) pair per spatial axis, is None [WIN-C3]"),
    (lambda: conv_forward(np.ones((1, 1, 5)), np.ones((1, 1, 2)), padding=(1, 2)), ValueError, "conv_forward: padding must be an int or 1 entries, an int or a (before, after) pair per spatial axis, is (1, 2) [WIN-C3]"),
    (lambda: conv_forward(X, W, padding={0: 1, 1: 2}), TypeError, "conv_forward: padding must be an int or 2 entries, an int or a (before, after) pair per spatial axis, is {0: 1, 1: 2} [WIN-C3]"),
    (lambda: conv_forward(X, W, stride=b"12"), TypeError, "conv_forward: stride must be an int or 2 ints, one per spatial axis, is b'12' [WIN-C1]"),
    (lambda: conv_forward(X, W, padding=("12", 1)), TypeError, "conv_forward: padding must be an int, is '12' [WIN-C3]"),
    # the window does not fit
    (lambda: conv_forward(X, np.ones((6, 4, 6, 3))), ValueError, "conv_forward: the window spans (6, 3) but the padded input only (5, 6): no output [WIN-C4]"),
    (lambda: conv_forward(X, W, dilation=(5, 1)), ValueError, "conv_forward: the window spans (6, 3) but the padded input only (5, 6): no output [WIN-C4]"),
    # pooling
    (lambda: package.max_pool_forward(None, 2), TypeError, "max_pool_forward: x must be an array of numbers, not NoneType [ARR-C1]"),
    (lambda: package.max_pool_forward(np.ones((2, 3)), 2), ValueError, "max_pool_forward: x must be (N, C, *D) with at least one spatial axis and no empty one, has shape (2, 3) [POOL-C1]"),
    (lambda: package.avg_pool_forward(X, 0), ValueError, "avg_pool_forward: window must be at least 1, is 0 [POOL-C2]"),
    (lambda: package.avg_pool_forward(X, (2, 2, 2)), ValueError, "avg_pool_forward: window must be an int or 2 ints, one per spatial axis, is (2, 2, 2) [POOL-C2]"),
    (lambda: package.max_pool_forward(X, 2.0), TypeError, "max_pool_forward: window must be an int or 2 ints, one per spatial axis, is 2.0 [POOL-C2]"),
    (lambda: package.max_pool_forward(X, 2, stride=0), ValueError, "max_pool_forward: stride must be at least 1, is 0 [WIN-C1]"),
    (lambda: package.max_pool_forward(X, 9), ValueError, "max_pool_forward: the window spans (9, 9) but the padded input only (5, 6): no output [WIN-C4]"),
    (lambda: package.max_pool_forward(X, 2, padding=2), ValueError, "max_pool_forward: padding must be smaller than the window, and no window may lie in it alone; pads are ((2, 2), (2, 2)), windows span (2, 2) [POOL-C3]"),
    (lambda: package.max_pool_forward(np.ones((1, 1, 1)), 2, padding=1, dilation=2), ValueError, "max_pool_forward: padding must be smaller than the window, and no window may lie in it alone; pads are ((1, 1),), windows span (3,) [POOL-C3]"),
    (lambda: package.max_pool_forward(np.ones((1, 1, 3)), 2, padding=((0, 2),)), ValueError, "max_pool_forward: padding must be smaller than the window, and no window may lie in it alone; pads are ((0, 2),), windows span (2,) [POOL-C3]"),
    (lambda: package.max_pool_forward(np.ones((1, 1, 2)), 2, stride=1, padding=2, dilation=3), ValueError, "max_pool_forward: padding must be smaller than the window, and no window may lie in it alone; pads are ((2, 2),), windows span (4,) [POOL-C3]"),
    (lambda: package.max_pool_backward(X, X, 2), ValueError, "max_pool_backward: dy has shape (2, 4, 5, 6), expected (2, 4, 2, 3) (the shape of the forward pass's output) [POOL-C4]"),
    (lambda: package.avg_pool_backward(X, X, 2), ValueError, "avg_pool_backward: dy has shape (2, 4, 5, 6), expected (2, 4, 2, 3) (the shape of the forward pass's output) [POOL-C4]"),
    (lambda: package.max_pool_forward(X + 0j, 2), TypeError, "max_pool_forward: x is complex128, and complex numbers have no order [POOL-C5]"),
    (lambda: conv_forward(X, np.ones((6, 4, 9, 3)), padding=((1, 2), (3, 4))), ValueError, "conv_forward: the window spans (9, 3) but the padded input only (8, 13): no output [WIN-C4]"),
    (lambda: package.max_pool_backward(X, X, 2, padding=2), ValueError, "max_pool_backward: padding must be smaller than the window, and no window may lie in it alone; pads are ((2, 2), (2, 2)), windows span (2, 2) [POOL-C3]"),
    (lambda: package.max_pool_backward(np.ones((2, 4, 2, 3)), X + 0j, 2), TypeError, "max_pool_backward: x is complex128, and complex numbers have no order [POOL-C5]"),
    (lambda: package.avg_pool_backward(X, X, 2, padding="full"), ValueError, """avg_pool_backward: padding must be "valid", "same" or numbers, is 'full' [WIN-C3]"""),
    (lambda: package.avg_pool_forward(X, 2, include_padding="no"), TypeError, "avg_pool_forward: include_padding must be True or False, is 'no' [POOL-C6]"),
    (lambda: package.avg_pool_backward(X, X, 2, include_padding=1), TypeError, "avg_pool_backward: include_padding must be True or False, is 1 [POOL-C6]"),
    # relu, softmax and losses
    (lambda: package.relu_prime(A + 0j), TypeError, "relu_prime: z is complex128, and complex numbers have no order [ACT-C2]"),
    (lambda: package.softmax(A + 0j), TypeError, "softmax: z is complex128, and complex numbers have no order [ACT-C2]"),
    (lambda: package.softmax_backward(1.0, 1.0), ValueError, "softmax_backward: there must be an axis of classes, and no empty one, shape is () [ACT-C3]"),
    (lambda: sigmoid_prime(np.array([1], object)), TypeError, "sigmoid_prime: z has dtype object, which has no exponential; use floats [ACT-C1]"),
    (lambda: package.cross_entropy(A.astype(object), [0, 1, 2]), TypeError, "cross_entropy: z has dtype object, of which there is no softmax; use floats [ACT-C1]"),
    (lambda: package.cross_entropy(np.ones((3, 0)), [0, 0, 0]), ValueError, "cross_entropy: z must be (N, K) with K ≥ 1, has shape (3, 0) [LOSS-C2]"),
    (lambda: package.relu(A + 0j), TypeError, "relu: z is complex128, and complex numbers have no order [ACT-C2]"),
    (lambda: package.relu_prime(None), TypeError, "relu_prime: z must be an array of numbers, not NoneType [ARR-C1]"),
    (lambda: package.softmax(1.0), ValueError, "softmax: there must be an axis of classes, and no empty one, shape is () [ACT-C3]"),
    (lambda: package.softmax(np.ones((2, 0))), ValueError, "softmax: there must be an axis of classes, and no empty one, shape is (2, 0) [ACT-C3]"),
    (lambda: package.softmax(np.array([1], object)), TypeError, "softmax: z has dtype object, which has no exponential; use floats [ACT-C1]"),
    (lambda: package.softmax_backward(A, B), ValueError, "softmax_backward: da has shape (3, 4), expected (4, 2) (the shape of a) [ACT-C4]"),
    (lambda: package.squared_error(np.ones((3, 1)), np.ones(3)), ValueError, "squared_error: y has shape (3,), expected (3, 1) (the shape of o; nothing is broadcast) [LOSS-C1]"),
    (lambda: package.squared_error_prime(A, B), ValueError, "squared_error_prime: y has shape (4, 2), expected (3, 4) (the shape of o; nothing is broadcast) [LOSS-C1]"),
    (lambda: package.cross_entropy(np.ones(3), [0]), ValueError, "cross_entropy: z must be (N, K) with K ≥ 1, has shape (3,) [LOSS-C2]"),
    (lambda: package.cross_entropy(A, [0, 1]), ValueError, "cross_entropy: labels has shape (2,), expected (3,) (one label per row of z) [LOSS-C2]"),
    (lambda: package.cross_entropy(A, [0.0, 1.0, 2.0]), TypeError, "cross_entropy: labels must be integers, have dtype float64 [LOSS-C3]"),
    (lambda: package.cross_entropy_prime(A, [0, 1, 4]), ValueError, "cross_entropy_prime: labels must be from 0 to 3, are 0 to 4 [LOSS-C3]"),
    (lambda: package.cross_entropy(A, [0, 1, -1]), ValueError, "cross_entropy: labels must be from 0 to 3, are -1 to 1 [LOSS-C3]"),
    (lambda: package.cross_entropy(A + 0j, [0, 1, 2]), TypeError, "cross_entropy: z has dtype complex128, of which there is no softmax; use floats [ACT-C2]"),
    # the gradient check
    (lambda: check_gradient(np.sin, np.cos, [np.array([1j])]), TypeError, "check_gradient: args[0] is complex; check real and imaginary parts apart [GRAD-C1]"),
    (lambda: check_gradient(lambda x: x > 0, np.cos, [A]), TypeError, "check_gradient: forward's output must be an array of numbers, has dtype bool [ARR-C1]"),
    (lambda: check_gradient(lambda x: (x, x), np.cos, [A]), TypeError, "check_gradient: forward returned 2 parts, expected one array: pass a function that returns z alone, without what backward needs besides [GRAD-C1]"),
    (lambda: check_gradient(lambda x: x * 1j, np.cos, [A]), TypeError, "check_gradient: forward's output is complex; check real and imaginary parts apart [GRAD-C1]"),
    (lambda: check_gradient(np.sin, np.cos, ["x"]), TypeError, "check_gradient: args[0] must be an array of numbers, has dtype <U1 [ARR-C1]"),
    (lambda: check_gradient(np.sin, lambda dz, x: dz, [A], dz=B), ValueError, "check_gradient: dz has shape (4, 2), forward's output (3, 4) [GRAD-C2]"),
    (lambda: check_gradient(dense_forward, dense_backward, [A, B]), ValueError, "check_gradient: backward returned 3 gradients, expected dx, dw; one gradient per argument, so pass the bias too [GRAD-C2]"),
    (lambda: check_gradient(dense_forward, lambda dz, x, w: dz, [A, B]), ValueError, "check_gradient: backward returned ndarray, expected dx, dw; one gradient per argument, so pass the bias too [GRAD-C2]"),
    (lambda: check_gradient(np.sin, lambda dz, x: None, [A]), ValueError, "check_gradient: there is no argument with a gradient to check [GRAD-C2]"),
    (lambda: check_gradient(lambda x: [[1], [1, 2]], np.cos, [A]), ValueError, "check_gradient: forward's output is not a rectangular array: setting an array element with a sequence. The requested array has an inhomogeneous shape after 1 dimensions. The detected shape was (2,) + inhomogeneous part. [ARR-C1]"),
]  # fmt: skip


@pytest.mark.spec(
    "ARR-C1", "ACT-C1", "CONV-C1", "CONV-C2", "CONV-C3", "CONV-C4", "CONV-C5", "DENSE-C1", "DENSE-C2", "DENSE-C3",
    "DENSE-C4", "WIN-C1", "WIN-C2", "WIN-C3", "WIN-C4", "GRAD-C1", "GRAD-C2",
    "POOL-C1", "POOL-C2", "POOL-C3", "POOL-C4", "POOL-C5", "POOL-C6", "ACT-C2", "ACT-C3", "ACT-C4", "LOSS-C1", "LOSS-C2", "LOSS-C3",
)  # fmt: skip
@pytest.mark.parametrize(("call", "exception", "message"), REFUSALS, ids=[r[2][:60] for r in REFUSALS])
def test_refusal(call: Callable[[], Any], exception: type[Exception], message: str) -> None:
    with pytest.raises(exception) as caught:
        call()
    assert str(caught.value) == message


Arguments = dict[str, Any]

# Every function with its arrays, as they are accepted.
ACCEPTED: dict[str, tuple[Arguments, tuple[Any, ...]]] = {
    "conv_forward": ({"x": X, "w": W, "b": np.ones(6)}, ()),
    "conv_backward": ({"dz": DZ, "x": X, "w": W}, ()),
    "dense_forward": ({"x": A, "w": B, "b": np.ones(2)}, ()),
    "dense_backward": ({"dz": np.ones((3, 2)), "x": A, "w": B}, ()),
    "sigmoid": ({"z": A}, ()),
    "sigmoid_prime": ({"z": A}, ()),
    "relu": ({"z": A}, ()),
    "relu_prime": ({"z": A}, ()),
    "softmax": ({"z": A}, ()),
    "softmax_backward": ({"da": A, "a": A}, ()),
    "max_pool_forward": ({"x": X}, (2,)),
    "max_pool_backward": ({"dy": np.ones((2, 4, 2, 3)), "x": X}, (2,)),
    "avg_pool_forward": ({"x": X}, (2,)),
    "avg_pool_backward": ({"dy": np.ones((2, 4, 2, 3)), "x": X}, (2,)),
    "squared_error": ({"o": A, "y": A}, ()),
    "squared_error_prime": ({"o": A, "y": A}, ()),
    "cross_entropy": ({"z": A, "labels": np.zeros(3, int)}, ()),
    "cross_entropy_prime": ({"z": A, "labels": np.zeros(3, int)}, ()),
}


@pytest.mark.spec("ARR-C1")
@pytest.mark.parametrize(("function", "name"), [(f, n) for f, (arrays, _) in ACCEPTED.items() for n in arrays])
def test_every_array_is_refused_by_its_name(function: str, name: str) -> None:
    arrays, others = ACCEPTED[function]
    refusal = f"^{function}: {name} must be an array of numbers, has dtype <U1 \\[ARR-C1\\]$"
    with pytest.raises(TypeError, match=refusal):
        getattr(package, function)(*(arrays | {name: "a"}).values(), *others)
    refusal = f"^{function}: {name} is not a rectangular array: .* \\[ARR-C1\\]$"
    with pytest.raises(ValueError, match=refusal):
        getattr(package, function)(*(arrays | {name: [[1], [2, 3]]}).values(), *others)


@pytest.mark.spec("ARR-C2")
@pytest.mark.parametrize(
    ("function", "first", "second"),
    [
        *(("conv_forward", "x", "w"), ("conv_forward", "w", "b"), ("conv_backward", "dz", "w")),
        *(("conv_backward", "dz", "x"), ("dense_forward", "x", "w"), ("dense_forward", "w", "b")),
        *(("dense_backward", "dz", "w"), ("dense_backward", "dz", "x"), ("softmax_backward", "da", "a")),
        *(("squared_error", "o", "y"), ("squared_error_prime", "o", "y")),
    ],
)
def test_dtypes_of_one_formula_without_a_common_one_are_refused(function: str, first: str, second: str) -> None:
    arrays, others = ACCEPTED[function]
    narrow = {first: arrays[first].astype(np.float16), second: arrays[second].astype(ml_dtypes.bfloat16)}
    refusal = f"^{function}: no common dtype for [a-z0-9, ]+; convert one of them \\[ARR-C2\\]$"
    with pytest.raises(TypeError, match=refusal):
        getattr(package, function)(*(arrays | narrow).values(), *others)


@pytest.mark.spec("ARR-C2")
def test_dtypes_without_a_common_one_are_refused() -> None:
    with pytest.raises(TypeError, match=r"dense_forward: no common dtype for float16, bfloat16; .* \[ARR-C2\]"):
        dense_forward(A.astype(np.float16), B.astype(ml_dtypes.bfloat16))


@pytest.mark.spec("WIN-D2", "WIN-C1")
def test_numpy_integers_and_arrays_are_integers() -> None:
    expected = conv_forward(X, W, stride=(2, 1), padding=((1, 1), (0, 2)), groups=1)
    got = conv_forward(X, W, stride=np.array([2, 1]), padding=np.array([[1, 1], [0, 2]]), groups=np.int64(1))
    assert np.array_equal(got, expected)
    # The largest there may be: one window then.
    assert np.array_equal(conv_forward(X, W, stride=2**31 - 1), conv_forward(X, W)[:, :, :1, :1])
    assert np.array_equal(conv_forward(X, W, padding=np.array(1)), conv_forward(X, W, padding=(np.array(1), 1)))
