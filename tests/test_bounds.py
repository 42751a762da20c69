"""The bounds: no order of summation exceeds them, and they are no wider than they need be."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Array, dense_calls, seeds

from reference_cnn import conv_backward, dense_forward
from reference_cnn.oracle import Case, bounds, cases, check, notation
from reference_cnn.oracle.bounds import Precision, gamma, unit
from reference_cnn.oracle.call import Call, windows_of
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets import loops
from reference_cnn.oracle.targets.ask import Answer, ask


def any_order(rng: np.random.Generator, dtype: Any) -> Any:
    """A dense layer that adds its terms in a random tree, each product and sum rounded to dtype."""

    def forward(x: Array, w: Array, b: Any = None) -> Array:
        terms = [x[:, i, None] * w[i] for i in range(len(w))] + (
            [] if b is None else [np.broadcast_to(b, (len(x), len(b)))]
        )
        while len(terms) > 1:
            i, j = sorted(rng.choice(len(terms), 2, replace=False))
            terms[i] = (terms[i] + terms.pop(j)).astype(dtype)
        return np.asarray(terms[0]).astype(dtype)

    return forward


@pytest.mark.spec("RND-N1", "RND-D1", "RND-D2")
@settings(max_examples=200)
@given(dense_calls(), st.sampled_from(["float64", "float32", "float16", "bfloat16"]), seeds)
def test_no_order_of_summation_exceeds_the_bound(call: Call, dtype: str, seed: int) -> None:
    case = Case("dense_forward", call, "rounding", dtype, seed, accumulate=dtype)
    case.check(any_order(np.random.default_rng(seed), np.dtype(dtype)))


@pytest.mark.spec("RND-N1")
def test_the_bound_of_two_terms_is_nearly_reached() -> None:
    """Over a thousand sums of two products, some come within a factor of 1.5 of the bound."""
    worst = 0.0
    for seed in range(20):
        case = Case("dense_forward", notation.read("x=10x2 w=2x5"), "rounding", "float32", seed)
        x, w = case.arguments.values()
        value, bound = case.expected["z"]
        worst = max(worst, float((np.abs((x[:, :1] * w[:1] + x[:, 1:] * w[1:]).astype(float) - value) / bound).max()))
    assert 1 / 1.5 < worst <= 1


@pytest.mark.spec("RND-N1", "ARR-N3")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_accumulation_is_told_from_wide(dtype: str) -> None:
    """Sums formed in 16 bits exceed the default bound, and lie within the bound for such sums."""

    def narrow(x: Array, w: Array, b: Any = None) -> Array:
        z = np.zeros((len(x), w.shape[1]), x.dtype)
        for i in range(len(w)):
            z = (z + (x[:, i, None] * w[i]).astype(x.dtype)).astype(x.dtype)
        return z if b is None else (z + b).astype(x.dtype)

    assert not check({"dense_forward": narrow}, dtype=dtype).passed
    assert check({"dense_forward": narrow}, dtype=dtype, accumulate=dtype).passed


@pytest.mark.spec("RND-N1")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_bias_may_be_added_after_rounding(dtype: str) -> None:
    def rounded_twice(x: Array, w: Array, b: Any = None) -> Array:
        z = (x.astype(np.float32) @ w.astype(np.float32)).astype(x.dtype)
        return z if b is None else (z + b).astype(x.dtype)

    for seed in range(5):
        assert check({"dense_forward": rounded_twice}, dtype=dtype, seed=seed).passed


@pytest.mark.spec("RND-N1")
def test_gamma_times_nothing() -> None:
    """So many terms that γ is infinite: of sums of zeros the bound is 0 all the same."""
    case = Case(
        "conv_backward", notation.read("x=1x1x2x1 w=256x1x1x1 stride=2"), "rounding", "bfloat16", accumulate="bfloat16"
    )
    bound = case.expected["dx"].bound
    assert not np.isnan(bound).any()
    assert bound[0, 0, 1, 0] < 1e-30 < bound[0, 0, 0, 0]
    assert judge(case, ask(conv_backward, case)).failure is None


@pytest.mark.spec("RND-D1")
def test_gamma() -> None:
    assert gamma(0, 0.1) == 0
    assert gamma(2, 0.25) == 1
    assert gamma(4, 0.25) == float("inf")
    assert [unit(t) for t in ("float64", "float32", "float16", "bfloat16")] == [2.0**-53, 2.0**-24, 2.0**-11, 2.0**-8]
    assert unit(ml_dtypes.bfloat16) == 2.0**-8


@pytest.mark.spec("RND-N3")
def test_flushing_to_zero_is_allowed_in_float32_but_not_in_float16() -> None:
    def flushed(z: Array) -> Array:
        a = 1 / (1 + np.exp(-z.astype(np.longdouble)))
        return np.where(a < bounds.finfo(z.dtype).smallest_normal, 0, a).astype(z.dtype)

    assert check({"sigmoid": flushed}, dtype="float32").passed
    assert check({"sigmoid": flushed}, dtype="float64").passed
    assert not check({"sigmoid": flushed}, dtype="float16").passed
    assert Precision.of("float16").accumulate == "float32"


def naive(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


@pytest.mark.spec("RND-N2")
def test_the_usual_formulas_of_the_sigmoid_pass_and_the_lossy_one_does_not() -> None:
    for dtype in ("float64", "float32"):
        assert check({"sigmoid": naive, "sigmoid_prime": lambda z: naive(z) * (1 - naive(z))}, dtype=dtype).passed
        assert check({"sigmoid": lambda z: np.exp(-np.logaddexp(0, -z))}, dtype=dtype).passed
        assert not check({"sigmoid": lambda z: (1 + np.tanh(z / 2)) / 2}, dtype=dtype).passed
    assert not check({"sigmoid": naive}, dtype="float16").passed  # it overflows, and returns 0 for 1e-5


@pytest.mark.spec("RND-N1", "RND-N2")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_every_bound_has_power(dtype: str) -> None:
    """No bound is so wide that zeros would pass for many elements of an answer.

    But for the far tail of sigmoid_prime, which a·(1 − a) loses and may lose.
    """
    for function in ("conv_forward", "conv_backward", "dense_forward", "dense_backward", "sigmoid"):
        for case in cases(function, dtype=dtype, tiers=("rounding",)):
            for output, (value, bound) in case.expected.items():
                assert (np.abs(value) > bound)[value != 0].mean() > 0.9, f"{case}: {output}"


@pytest.mark.spec("ORC-N5")
def test_a_bound_as_wide_as_the_numbers_says_nothing() -> None:
    """Sums of 4000 terms in bfloat16: any number would pass, were it not for the exact tier."""
    text = "x=2x4000 w=4000x3"
    wide = check(
        {"dense_forward": lambda x, w: 0 * dense_forward(x, w)}, dtype="bfloat16", accumulate="bfloat16", case=text
    )
    assert wide.results["dense_forward"].verdict == "fail"
    right = check("reference", dtype="bfloat16", accumulate="bfloat16", case=text).results["dense_forward"]
    assert (right.verdict, right.cases, right.uninformative) == ("pass", 1, 1)
    assert "1 case does not count" in str(check("reference", dtype="bfloat16", accumulate="bfloat16", case=text))
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        assert all(c.informative for c in cases("conv_forward", dtype=dtype))


@pytest.mark.spec("ORC-N5")
def test_nothing_but_cases_that_say_nothing_is_no_verdict() -> None:
    report = check("reference", dtype="bfloat16", functions=["softmax"], case="z=1x400")
    assert report.results["softmax"].verdict == "missing"
    assert not report.passed
    assert json.loads(report.to_json())["results"]["softmax"]["uninformative"] == 1


# Every function that sums, with the number of roundings that RND-N1 counts for each output.
SUMS: list[tuple[str, str, dict[str, int]]] = [
    ("dense_forward", "x=3x4 w=4x2", {"z": 4}),
    ("dense_forward", "x=3x4 w=4x2 b=2", {"z": 5}),
    ("dense_backward", "x=3x4 w=4x2", {"dx": 2, "dw": 3, "db": 3}),
    ("conv_forward", "x=2x4x5x6 w=6x2x2x3 groups=2", {"z": 12}),
    ("conv_forward", "x=2x4x5x6 w=6x2x2x3 b=6 groups=2 padding=1", {"z": 13}),
    ("conv_backward", "x=2x4x5x6 w=6x2x2x3 groups=2", {"dx": 18, "dw": 32, "db": 32}),
    ("conv_backward", "x=2x3x5 w=4x3x2", {"dx": 8, "dw": 8, "db": 8}),
    ("max_pool_backward", "x=2x3x5x6 window=2,3 stride=1", {"dx": 7}),
    ("avg_pool_forward", "x=2x3x5x6 window=2,3 stride=1", {"y": 6 + 3 + 5}),  # 2·(1 + 1/2 + … + 1/6) is 4.9
    ("avg_pool_forward", "x=2x3x5x6 window=2 stride=1", {"y": 4 + 3 + 5}),  # 2·(1 + 1/2 + 1/3 + 1/4) is 4.2
    ("avg_pool_backward", "x=2x3x5x6 window=2,3 stride=1", {"dx": 7}),
    ("softmax_backward", "a=3x5", {"dz": 8}),
    ("squared_error", "o=3x4", {"E": 18}),
    ("squared_error_prime", "o=3x4", {"do": 1}),
]
UNITS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
UNDERFLOW = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-24, "bfloat16": 2.0**-126}


def sizes_of(function: str, case: Case) -> list[Array]:
    """Σ|x||w| + |b|, by loops over the absolute values."""
    arrays = {name: np.abs(a.astype(float)) for name, a in case.arguments.items()}
    if function == "softmax_backward":
        da, a = arrays.values()
        return [a * (da + (da * a).sum(axis=1, keepdims=True))]
    if function.startswith("squared_error"):
        return [np.abs(getattr(loops, function)(*(a.astype(float) for a in case.arguments.values())))]
    if function == "max_pool_backward":
        arrays["x"] = case.arguments["x"]
    sizes = getattr(loops, function)(*arrays.values(), *case.positional, **case.keywords)
    return [np.asarray(s) for s in (sizes if isinstance(sizes, tuple) else (sizes,))]


@pytest.mark.spec("RND-N1", "RND-N3", "RND-D1", "RND-D2")
@pytest.mark.parametrize(("dtype", "accumulate"), [
    ("float64", None), ("float32", None), ("float16", None), ("bfloat16", None),
    ("float16", "float16"), ("bfloat16", "bfloat16"), ("float32", "float64"),
])  # fmt: skip
@pytest.mark.parametrize(("function", "text", "terms"), SUMS, ids=[f"{f} {t}" for f, t, _ in SUMS])
def test_the_bound_of_a_sum_is_that_of_the_specification(
    function: str, text: str, terms: dict[str, int], dtype: str, accumulate: str | None
) -> None:
    case = Case(function, notation.read(text), "rounding", dtype, accumulate=accumulate)
    u, v = UNITS[accumulate or ("float32" if dtype.endswith("16") else dtype)], UNITS[dtype]
    reference = float(np.finfo(np.longdouble).eps) / 2 if dtype == "float64" else UNITS["float64"]
    b = case.arguments.get("b")
    assert list(case.expected) == list(terms)
    for (z, bound), size, n in zip(case.expected.values(), sizes_of(function, case), terms.values()):
        sums = n * u / (1 - n * u) * size
        right = sums + (n + 2) * UNDERFLOW[dtype] + n * reference / (1 - n * reference) * size
        if u < v:
            before = 0 if b is None else np.abs(z - b.astype(float).reshape(-1, *[1] * (z.ndim - 2)))
            right = right + v * (1 + v) * (np.abs(z) + before + 2 * sums)
        np.testing.assert_allclose(bound.astype(float), right.astype(float), rtol=1e-9)
        assert z.dtype == bound.dtype == (np.longdouble if dtype == "float64" else np.float64)


@pytest.mark.spec("RND-N4")
def test_one_logarithm_of_a_sum_is_granted_and_a_running_one_is_not() -> None:
    case = Case("softmax", notation.read("z=4x4 scale=300"), "rounding", "float32", seed=5)

    def one(z: Array) -> Array:
        largest = z.max(axis=-1, keepdims=True)
        return np.asarray(np.exp(z - (largest + np.log(np.exp(z - largest).sum(axis=-1, keepdims=True)))))

    case.check(one)
    with pytest.raises(AssertionError, match="a is wrong"):
        case.check(lambda z: np.exp(z - np.logaddexp.reduce(z, axis=-1, keepdims=True)))


@pytest.mark.spec("RND-D3")
@pytest.mark.parametrize("dtype", UNITS)
def test_whole_answers_are_those_of_unlimited_integers(dtype: str) -> None:
    asked = (
        ("conv_forward", "x=1x32x14x14 w=4x32x3x3 b=4 padding=1", range(1)),
        ("conv_backward", "x=2x16x14x14 w=8x16x3x3 padding=1", range(1)),
        ("dense_forward", "x=2x1000 w=1000x3", range(30)),  # of which some add up numbers of one sign
    )
    largest = 0
    for function, text, drawn in asked:
        for case in (Case(function, notation.read(text), "exact", dtype, seed) for seed in drawn):
            right = bounds.call(case, {name: a.astype(np.int64).astype(object) for name, a in case.plain.items()})
            for name, (value, bound) in case.expected.items():
                assert (value == right[name]).all()
                assert value.dtype == (np.longdouble if dtype == "float64" else np.float64)
                assert not bound.any()
                largest = max(largest, np.abs(right[name]).max())
    assert largest > {"float16": 1000, "bfloat16": 50}.get(dtype, 2**11)


@pytest.mark.spec("RND-D3")
@pytest.mark.parametrize("dtype", UNITS)
def test_whole_squares_and_averages_may_be_rounded_in_between(dtype: str) -> None:
    """As the sums are, and no further where the result is narrower: their value is a number of its dtype."""
    u = UNITS["float32" if dtype.endswith("16") else dtype]
    for function, text in (
        ("squared_error", "o=3x4"),
        ("avg_pool_forward", "x=1x2x4x4 window=2"),
        ("dense_forward", "x=3x4 w=4x2"),
    ):
        case = Case(function, notation.read(text), "exact", dtype)
        ((_, bound),) = case.expected.values()
        assert (bound > 0).all() == (function != "dense_forward")
        assert (bound < 10**4 * u).all()
    squares = Case("squared_error", notation.read("o=3x4"), "exact", dtype)
    value, bound = squares.expected["E"]
    narrower = dtype.endswith("16")
    right = (1 + narrower) * gamma(18, u) * value + 20 * UNDERFLOW[dtype]
    np.testing.assert_allclose(
        bound, right + gamma(18, 2.0**-53 if dtype != "float64" else 2.0**-64) * value, rtol=1e-6
    )


@pytest.mark.spec("RND-D3", "ORC-D4")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_norm_and_a_running_mean_are_right_in_float32_and_rounded(dtype: str) -> None:
    """An answer of 0 may be a little more, and one that is not rounded to the dtype a little off."""

    def norm(o: Array, y: Array) -> Array:
        return np.asarray(np.linalg.norm((o.astype(np.float32) - y.astype(np.float32)).ravel()) ** 2 / 2)

    def running_mean(x: Array, window: Any, **options: Any) -> Array:
        windows = windows_of(Call((("x", x.shape),), (("window", window), *options.items())))
        mean = np.zeros((*x.shape[:2], *windows.out), np.float32)
        for k, tap in enumerate(windows.view(x.astype(np.float32)).reshape(-1, *mean.shape), 1):
            mean += (tap - mean) / np.float32(k)
        return mean

    unpadded = [c for c in cases("avg_pool_forward", dtype=dtype, tiers=("exact",)) if "padding" not in c.keywords]
    for implementation, asked in (
        (norm, cases("squared_error", dtype=dtype, tiers=("exact",))),
        (running_mean, [case for case in unpadded if "include_padding" not in case.keywords]),
    ):
        for case in asked:
            answer = implementation(*case.arguments.values(), *case.positional, **case.keywords)
            name = LAYERS[case.function].outputs[0]
            for kept in (answer, answer.astype(dtype)):
                assert judge(case, Answer("answered", {name: kept})).failure is None, str(case)
        assert len(asked) > 15


@pytest.mark.spec("RND-N1")
def test_a_convention_costs_a_rounding_more_each_way() -> None:
    call = notation.read("x=3x4 w=4x2")
    plain = Case("dense_backward", call, "rounding", "float32")
    mean = Case("dense_backward", call, "rounding", "float32", accept=("mean-over-batch",))
    sizes = [s / d for s, d in zip(sizes_of("dense_backward", plain), (1, 3, 3))]
    for (name, (_, bound)), size, n in zip(mean.expected.items(), sizes, (3, 4, 4)):
        u, reference = UNITS["float32"], UNITS["float64"]
        right = 2 * (gamma(n, u) * size + (n + 2) * UNDERFLOW["float32"] + gamma(n, reference) * size)
        np.testing.assert_allclose(bound, right, rtol=1e-9, err_msg=name)
    # A mean of whole numbers is whole by chance only; where it is, it is exact.
    exact = Case("dense_backward", call, "exact", "float32", accept=("mean-over-batch",))
    assert any((e.bound > 0).any() for e in exact.expected.values())
    assert all((e.bound == 0).all() for e in Case("dense_backward", call, "exact", "float32").expected.values())
    flipped = Case("dense_forward", call, "exact", "float32", accept=("transposed-weights",)).expected["z"]
    assert (flipped.value % 2 != 0).any()
    assert (flipped.bound == 0).all()


@pytest.mark.spec("RND-N2", "RND-N4", "RND-N3")
@pytest.mark.parametrize("dtype", UNITS)
def test_the_allowances_are_those_of_the_specification(dtype: str) -> None:
    def asked(function: str, text: str, **options: Any) -> tuple[dict[str, Array], Array, Array]:
        case = Case(function, notation.read(text), "rounding", dtype, **options)
        ((value, bound),) = case.expected.values()
        arrays = {n: a if n == "labels" else a.astype(float) for n, a in case.arguments.items()}
        return arrays, value.astype(float), (bound.astype(float) - UNDERFLOW[dtype]) / UNITS[dtype]

    text = "z=5x4 scale=3"
    arrays, a, units = asked("sigmoid", text)
    z = arrays["z"]
    np.testing.assert_allclose(units, (8 + 2 * np.abs(z)) * a, rtol=1e-6)
    arrays, a, units = asked("sigmoid", text, accept=("sigmoid-by-tanh",))
    np.testing.assert_allclose(units, (8 + 2 * np.abs(arrays["z"])) * a + 2, rtol=1e-6)
    arrays, slope, units = asked("sigmoid_prime", text)
    z = arrays["z"]
    np.testing.assert_allclose(units, (8 + 2 * np.abs(z)) * slope + 2 / (1 + np.exp(-z)), rtol=1e-6)

    def row(z: Array) -> Array:
        spread = z.max(axis=1) - z.min(axis=1)
        return np.asarray(z.shape[1] + 8 + 4 * spread + 2 * np.abs(z).max(axis=1))

    arrays, a, units = asked("softmax", text)
    z = arrays["z"]
    np.testing.assert_allclose(units, row(z)[:, None] * a, rtol=1e-6)
    arrays, _, units = asked("cross_entropy", text)
    z = arrays["z"]
    spread = z.max(axis=1) - z.min(axis=1)
    np.testing.assert_allclose(units, row(z).sum() + (5 + 2) * (2 * spread + np.log(4)).sum(), rtol=1e-6)
    arrays, dz, units = asked("cross_entropy_prime", text)
    z, right = arrays["z"], row(arrays["z"])[:, None] * dz
    at = np.arange(5), arrays["labels"]
    right[at] = row(z) + 4
    np.testing.assert_allclose(units, right, rtol=1e-6)


@pytest.mark.spec("RND-N1")
def test_what_selects_has_no_bound_and_large_products_are_computed_in_float64() -> None:
    for function, text in (("relu", "z=3x4"), ("relu_prime", "z=3x4"), ("max_pool_forward", "x=1x2x4x5 window=2")):
        ((_, bound),) = Case(function, notation.read(text), "rounding", "float32").expected.values()
        assert (bound == 0).all()
    small, large = (Case("dense_forward", notation.read(t), "rounding") for t in ("x=9x9 w=9x9", "x=99x99 w=99x99"))
    assert small.expected["z"].value.dtype == np.longdouble
    assert large.expected["z"].value.dtype == np.float64
    # From ten million products on.
    many = Case("dense_forward", notation.read("x=100x100 w=100x10"), "rounding")
    assert many.expected["z"].value.dtype == np.float64
    whole = Case("dense_forward", notation.read("x=3x4 w=4x2")).expected["z"]
    assert (whole.bound == 0).all()
    assert whole.bound.shape == whole.value.shape


@pytest.mark.spec("RND-N3", "ORC-D1")
@pytest.mark.parametrize(("dtype", "scale"), [("float64", 1e290), ("float32", 1e36), ("bfloat16", 1e36)])
@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("dense_forward", "x=2x3 w=3x2"),
        ("dense_backward", "x=2x3 w=3x2"),
        ("conv_forward", "x=1x1x5 w=1x1x3"),
        ("conv_backward", "x=1x1x5 w=1x1x3"),
    ],
)
def test_sums_that_may_overflow_are_not_judged_and_the_others_are(
    function: str, text: str, dtype: str, scale: float
) -> None:
    def too_large(case: Case) -> dict[str, list[Any]]:
        arguments = {n: a.astype(np.longdouble) for n, a in case.arguments.items()}
        largest = float(bounds.finfo(dtype).max)
        return {n: (m > largest).tolist() for n, m in bounds.magnitudes(case, arguments).items()}

    case = Case(function, notation.read(f"{text} scale={scale}"), "rounding", dtype)
    assert {n: np.isinf(e.bound).tolist() for n, e in case.expected.items()} == too_large(case)
    assert np.any([np.any(f) for f in too_large(case).values()])
    right = LAYERS[function].reference

    def doubled(first: Array, *others: Array) -> Any:
        return right(2 * first, *others)

    assert check({function: right}, dtype=dtype, case=case.text, functions=[function]).passed
    if function.startswith("conv"):  # by norms, which overflow sooner, little can be told
        by_norm = check({function: right}, dtype=dtype, case=case.text, functions=[function], algorithm="fft")
        assert by_norm.results[function].verdict in ("pass", "missing")
    failure = check({function: doubled}, dtype=dtype, case=case.text, functions=[function]).results[function].failure
    assert failure is not None
    assert failure.output is not None
    assert failure.index is not None
    assert not np.array(too_large(failure.case)[failure.output])[failure.index]
