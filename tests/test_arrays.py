"""What holds for every function: purity, dtypes, memory layouts, empty batches, NaN."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from strategies import Array, integers

from reference_cnn import (
    avg_pool_backward,
    avg_pool_forward,
    conv_backward,
    conv_forward,
    cross_entropy,
    cross_entropy_prime,
    dense_backward,
    dense_forward,
    max_pool_backward,
    max_pool_forward,
    relu,
    relu_prime,
    sigmoid,
    sigmoid_prime,
    softmax,
    softmax_backward,
    squared_error,
    squared_error_prime,
)

OPTIONS: dict[str, Any] = {"stride": (2, 1), "padding": ((0, 1), (2, 0)), "dilation": (1, 2), "groups": 2}
RNG = np.random.default_rng(0)
X, W, B = integers(RNG, (3, 4, 6, 5)), integers(RNG, (6, 2, 2, 2)), integers(RNG, (6,))
DZ = integers(RNG, (3, 6, 3, 5))
A, V, C, D = integers(RNG, (3, 4)), integers(RNG, (4, 2)), integers(RNG, (2,)), integers(RNG, (3, 2))

Call = tuple[Callable[..., Any], tuple[Array, ...]]
ALGEBRAIC: dict[str, Call] = {
    "conv_forward": (lambda x, w, b: conv_forward(x, w, b, **OPTIONS), (X, W, B)),
    "conv_forward, plain": (lambda x, w: conv_forward(x, w, groups=2), (X, W)),
    "conv_forward, 1×1": (lambda x, w: conv_forward(x, w[:, :, :1, :1], groups=2), (X, W)),
    "conv_backward": (lambda dz, x, w: conv_backward(dz, x, w, **OPTIONS), (DZ, X, W)),
    "dense_forward": (dense_forward, (A, V, C)),
    "dense_backward": (dense_backward, (D, A, V)),
}
SMOOTH: dict[str, Call] = {"sigmoid": (sigmoid, (A / 3,)), "sigmoid_prime": (sigmoid_prime, (A / 3,))}
ALL = {**ALGEBRAIC, **SMOOTH}


def arrays_in(result: Any) -> Iterator[Array]:
    yield from result if isinstance(result, tuple) else (result,)


@pytest.mark.spec("ARR-N2")
@pytest.mark.parametrize("name", ALL)
def test_nothing_is_written_and_nothing_is_shared(name: str) -> None:
    function, arguments = ALL[name]
    copies = [a.astype(float) for a in arguments]
    for a in copies:
        a.flags.writeable = False
    for output in arrays_in(function(*copies)):
        assert not any(np.shares_memory(output, a) for a in copies)
        assert output.flags.writeable
    for a, original in zip(copies, arguments):
        assert_array_equal(a, original)


@pytest.mark.spec("ARR-N2")
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: np.array(a, a.dtype.newbyteorder("S")),
    ],
    ids=["Fortran order", "every second", "backwards", "other byte order"],
)
def test_the_layout_of_memory_does_not_matter(name: str, layout: Callable[[Array], Array]) -> None:
    function, arguments = ALL[name]
    plain = [a.astype(float) for a in arguments]
    for a, b in zip(arrays_in(function(*map(layout, plain))), arrays_in(function(*plain))):
        assert_array_equal(a, b)
        assert a.dtype.isnative


@pytest.mark.spec("ARR-N1", "ARR-N4")
@pytest.mark.parametrize("name", ALGEBRAIC)
@pytest.mark.parametrize(
    "dtype",
    ["int32", "int64", "float16", "float32", "float64", "longdouble", "complex64", "complex128", "O", "bfloat16"],
)
def test_dtypes_are_preserved_and_small_integers_exact(name: str, dtype: str) -> None:
    function, arguments = ALGEBRAIC[name]
    if dtype in ("float16", "bfloat16"):  # where sums of products must stay below 2⁸ to be exact
        arguments = tuple(np.sign(a) for a in arguments)
    for output, expected in zip(
        arrays_in(function(*(a.astype(dtype) for a in arguments))), arrays_in(function(*arguments))
    ):
        assert output.dtype == np.dtype(dtype)
        assert_array_equal(output.astype(complex), expected.astype(complex))


@pytest.mark.spec("ARR-N1")
def test_each_output_has_the_dtype_of_its_own_formula() -> None:
    dz, x, w = DZ.astype(np.float32), X.astype(np.float64), W.astype(np.float16)
    assert [g.dtype for g in conv_backward(dz, x, w, **OPTIONS)] == ["float32", "float64", "float32"]
    d, a, v = D.astype(np.float16), A.astype(np.int8), V.astype(np.complex64)
    assert [g.dtype for g in dense_backward(d, a, v)] == ["complex64", "float16", "float16"]
    assert conv_forward(w[:, :, :2], w[:1], x[0, 0, :1, 0]).dtype == np.float64
    assert dense_forward(a, a.T).dtype == np.int8


@pytest.mark.spec("ARR-N1")
def test_complex_numbers_are_not_conjugated() -> None:
    i = np.array([[[1j]]])
    assert conv_forward(i, i).item() == -1
    assert [g.item() for g in conv_backward(i, i, i)] == [-1, -1, 1j]
    assert [g.item() for g in dense_backward(i[0], i[0], i[0])] == [-1, -1, 1j]


@pytest.mark.spec("ARR-N3")
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_floats_are_rounded_once(dtype: Any) -> None:
    many = np.ones((1, 1, 4096), dtype)
    assert conv_forward(many, many).item() == 4096  # in float16 itself sums of ones stop at 2048, in bfloat16 at 256
    assert dense_forward(many[0], many[0].T).item() == 4096
    _, dw, db = conv_backward(many, many, many[:, :, :1])
    assert (dw.item(), db.item()) == (4096, 4096)
    x, w = np.ones((1, 1, 1), dtype), np.ones((4096, 1, 1), dtype)
    assert conv_backward(np.ones((1, 4096, 1), dtype), x, w).dx.item() == 4096
    tall = many[0].T
    assert dense_backward(tall, tall, many[0, :, :1]).dw.item() == 4096
    assert dense_backward(many[0], many[0, :, :1], many[0]).dx.item() == 4096
    assert dense_backward(tall, tall, many[0, :, :1]).db.item() == 4096


@pytest.mark.spec("CONV-F2", "CONV-B4", "DENSE-F2", "DENSE-B4")
@pytest.mark.parametrize("dtype", ["float64", "int64", "O", "float16"])
def test_an_empty_batch(dtype: str) -> None:
    x, w, b, a, v = (array.astype(dtype) for array in (X[:0], W, B, A[:0], V))
    z = conv_forward(x, w, b, **OPTIONS)
    assert (z.shape, z.dtype) == ((0, 6, 3, 5), np.dtype(dtype))
    dx, dw, db = conv_backward(z, x, w, **OPTIONS)
    assert (dx.shape, dw.shape, db.shape) == (x.shape, w.shape, b.shape)
    assert (dw == 0).all()
    assert (db == 0).all()
    assert dense_forward(a, v).shape == (0, 2)
    dx, dw, db = dense_backward(dense_forward(a, v), a, v)
    assert (dx.shape, dw.shape, db.shape) == ((0, 4), (4, 2), (2,))
    assert (dw == 0).all()
    assert (db == 0).all()


@pytest.mark.spec("ARR-N5", "CONV-D2")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # ∞ − ∞, which NumPy rightly warns of
@pytest.mark.parametrize("special", [np.nan, np.inf])
def test_special_values_reach_exactly_what_reads_them(special: float) -> None:
    x, w, dz = np.abs(X).astype(float) + 1, np.abs(W).astype(float) + 1, np.abs(DZ).astype(float) + 1
    assert np.isfinite(conv_forward(x, w, **OPTIONS)).all()
    for index in [(0, 0, 0, 0), (1, 2, 3, 2), (2, 3, 5, 4)]:
        reads = np.zeros_like(x)
        reads[index] = 1
        x[index] = special
        assert_array_equal(~np.isfinite(conv_forward(x, w, **OPTIONS)), conv_forward(reads, w, **OPTIONS) != 0)
        assert_array_equal(
            ~np.isfinite(conv_backward(dz, x, w, **OPTIONS).dw), conv_backward(dz, reads, w, **OPTIONS).dw != 0
        )
        x[index] = 1
    # Without padding: dz times a padded 0 is not specified.
    dz, marks = np.ones((3, 6, 5, 4)), np.zeros((3, 6, 5, 4))
    dz[1, 2, 3, 0], marks[1, 2, 3, 0] = special, 1
    for got, read in zip(conv_backward(dz, x, w, groups=2), conv_backward(marks, x, w, groups=2)):
        assert_array_equal(~np.isfinite(got), read != 0)


@pytest.mark.spec("POOL-F1", "ACT-F2", "ARR-N5")
@pytest.mark.parametrize("dtype", [np.float64, np.longdouble, np.float16, ml_dtypes.bfloat16, object])
def test_nan_is_the_largest(dtype: Any) -> None:
    def compare(got: Array, expected: Any) -> None:
        assert got.dtype == dtype
        assert_array_equal(got.astype(float), expected)

    x, z = np.array([[[3.0, np.nan, -5.0, -7.0, 2.0]]], dtype), np.array([np.nan, -1, 2], dtype)
    y = max_pool_forward(x, 2, stride=1)
    compare(y, [[[np.nan, np.nan, -5, 2]]])
    compare(max_pool_backward(np.ones_like(y), x, 2, stride=1), [[[0, 2, 1, 0, 1]]])
    compare(relu(z), [np.nan, 0, 2])
    compare(relu_prime(z), [np.nan, 0, 1])
    compare(max_pool_forward(np.full((1, 1, 2), -np.inf, dtype), 2), [[[-np.inf]]])


@pytest.mark.spec("ARR-N1", "ARR-N2", "POOL-F1", "POOL-F2", "LOSS-F1", "LOSS-F2", "ACT-F3")
@pytest.mark.parametrize("dtype", ["int32", "float16", "float32", "float64", "longdouble", "O", "bfloat16"])
def test_dtypes_of_pooling_activations_and_losses(dtype: str) -> None:
    x, z, labels = X.astype(dtype), A.astype(dtype), np.array([0, 3, 1])
    mean = np.dtype("float64" if dtype == "int32" else dtype)
    dy = max_pool_forward(x, 2)
    for output in (dy, max_pool_backward(dy, x, 2), relu(z), relu_prime(z), squared_error_prime(z, z)):
        assert output.dtype == np.dtype(dtype)
        assert not np.shares_memory(output, x)
        assert not np.shares_memory(output, z)
    assert avg_pool_forward(x, 2).dtype == avg_pool_backward(dy, x, 2).dtype == mean
    assert dtype == "O" or squared_error(z, np.zeros_like(z)).dtype == mean
    if dtype != "O":
        outputs = (
            softmax(z),
            cross_entropy(z, labels),
            cross_entropy_prime(z, labels),
            softmax_backward(z, softmax(z)),
            sigmoid(z),
            sigmoid_prime(z),
        )
        assert all(o.dtype == mean for o in outputs)
        assert_array_equal(max_pool_forward(x, 2).astype(float), max_pool_forward(X, 2).astype(float))


@pytest.mark.spec("ACT-F3", "ACT-B3", "LOSS-F2", "LOSS-B2")
def test_softmax_and_cross_entropy_do_not_overflow_or_cancel() -> None:
    z = np.array([[1000.0, 0.0], [-1000.0, -1001.0], [0.0, 800.0]])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        a = softmax(z)
        assert_array_equal(a[0], [1, 0])
        assert cross_entropy(z, [1, 0, 1]) == pytest.approx(1000 + np.log1p(np.exp(-1)), rel=1e-15)
    # Sure and right: the gradient at the label is −exp(−40), which softmax − 1 would lose.
    assert cross_entropy_prime(np.array([[40.0, 0.0]]), [0])[0, 0] == pytest.approx(-np.exp(-40.0), rel=1e-14)
    # Where the right class has no probability at all, and where there is no other class.
    assert_array_equal(cross_entropy_prime(np.array([[2000.0, 0.0]]), [1]), [[1, -1]])
    assert_array_equal(cross_entropy_prime(np.array([[2000.0], [np.nan]]), [0, 0]), [[0], [np.nan]])


@pytest.mark.spec("ACT-F3", "ACT-B3", "LOSS-F2", "LOSS-B2")
def test_softmax_and_cross_entropy_row_by_row() -> None:
    z, labels = RNG.standard_normal((2, 3, 4)), np.array([3, 0, 1])
    da = RNG.standard_normal(z.shape)
    a = softmax(z)
    assert_array_equal(softmax(np.ones((3, 1))), np.ones((3, 1)))
    assert cross_entropy(np.ones((3, 1)), [0, 0, 0]) == 0
    for i in np.ndindex(2, 3):
        exponentials = np.exp(z[i])
        assert_allclose(a[i], exponentials / exponentials.sum(), rtol=1e-15)
        assert_array_equal(softmax(z[i]), a[i])
        assert_allclose(softmax_backward(da, a)[i], (np.diag(a[i]) - np.outer(a[i], a[i])) @ da[i], rtol=1e-13)
    assert cross_entropy(z[0], labels) == pytest.approx(-np.log(a[0][range(3), labels]).sum(), rel=1e-14)
    assert_allclose(cross_entropy_prime(z[0], labels), a[0] - np.eye(4)[labels], rtol=1e-14)
    exact = softmax_backward(np.array([Fraction(1), Fraction(3)]), np.array([Fraction(1, 3), Fraction(2, 3)]))
    assert exact.tolist() == [Fraction(-4, 9), Fraction(4, 9)]


@pytest.mark.spec("LOSS-F2", "LOSS-B2", "ARR-N3")
def test_cross_entropy_is_rounded_once_to_what_is_narrower_and_not_at_all_to_what_is_wider() -> None:
    z, labels = RNG.standard_normal((50, 7)).astype(np.float16), RNG.integers(0, 7, 50)
    for dtype in (np.float16, np.float32):
        narrow, wide = z.astype(dtype), z.astype(np.float64)
        assert cross_entropy(narrow, labels) == cross_entropy(wide, labels).astype(dtype)
        assert_array_equal(cross_entropy_prime(narrow, labels), cross_entropy_prime(wide, labels).astype(dtype))
    two, e, eps = np.array([[1, 0]], np.longdouble), np.exp(np.longdouble(-1)), float(np.finfo(np.longdouble).eps)
    assert abs(cross_entropy(two, [0]) - np.log1p(e)) <= 4 * eps
    assert_allclose(cross_entropy_prime(two, [0]) * (1 + e), [[-e, e]], rtol=4 * eps)


@pytest.mark.spec("ACT-N1", "ACT-F3", "LOSS-F2")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_too_small_becomes_0_without_a_warning(dtype: type[np.floating[Any]]) -> None:
    z = np.array([[-800, 800], [30000, -30000]], dtype)
    with np.errstate(all="raise"):
        assert_array_equal(sigmoid(z), [[0, 1], [1, 0]])
        assert_array_equal(sigmoid_prime(z), np.zeros((2, 2)))
        assert_array_equal(softmax(z), [[0, 1], [1, 0]])
        assert cross_entropy(z, [1, 0]) == 0
        assert_array_equal(cross_entropy_prime(z, [1, 0]), np.zeros((2, 2)))


@pytest.mark.spec("POOL-F2", "POOL-B2")
def test_padding_counts_in_an_average_where_it_is_asked_for() -> None:
    x = np.ones((1, 1, 4))
    assert_array_equal(avg_pool_forward(x, 2, padding=1), np.ones((1, 1, 3)))
    assert_array_equal(avg_pool_forward(x, 2, padding=1, include_padding=True), [[[0.5, 1, 0.5]]])
    dy = np.ones((1, 1, 3))
    assert_array_equal(avg_pool_backward(dy, x, 2, padding=1), [[[1, 0.5, 0.5, 1]]])
    assert_array_equal(avg_pool_backward(dy, x, 2, padding=1, include_padding=True), np.full((1, 1, 4), 0.5))


@pytest.mark.spec("POOL-F1", "POOL-B1", "POOL-B2", "LOSS-F1", "LOSS-F2")
def test_empty_batches_of_pooling_and_losses() -> None:
    x = np.zeros((0, 2, 4, 4))
    assert max_pool_forward(x, 2).shape == avg_pool_forward(x, 2).shape == (0, 2, 2, 2)
    assert max_pool_backward(x[:, :, :2, :2], x, 2).shape == avg_pool_backward(x[:, :, :2, :2], x, 2).shape == x.shape
    assert squared_error(x, x) == cross_entropy(np.zeros((0, 3)), np.zeros(0, int)) == 0


@pytest.mark.spec("ARR-N3", "POOL-B1", "POOL-B2")
def test_pooling_adds_up_narrow_floats_in_float32() -> None:
    # In float16 itself 2048 + 1 is 2048, however often.
    x = np.array([[[0, 0, 0, 0, 9, 0, 0, 0, 0]]], np.float16)
    dy = np.array([[[2048, 1, 1, 1, 1]]], np.float16)
    assert max_pool_backward(dy, x, 5, stride=1)[0, 0, 4] == 2052
    assert avg_pool_backward(4 * dy, np.zeros((1, 1, 8), np.float16), 4, stride=1)[0, 0, 3] == 2052
    assert avg_pool_forward(np.array([[[2048, 1, 1, 2]]], np.float16), 4).item() == 513
