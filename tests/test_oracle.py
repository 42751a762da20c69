"""The verdicts: what is right passes, what is wrong fails, and what is not offered is said."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from strategies import Array

import reference_cnn
import reference_cnn.dense
from reference_cnn import conv_backward, conv_forward, dense_backward, dense_forward, sigmoid, sigmoid_prime, softmax
from reference_cnn._windows import Windows
from reference_cnn.oracle import TargetError, cases, check
from reference_cnn.oracle.cases import DTYPES
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets import UsageError
from reference_cnn.oracle.text import failure_text

Functions = dict[str, Callable[..., Any]]


@pytest.mark.spec("ORC-D2", "ORC-D5", "RND-N1", "RND-N2", "RND-N4", "RND-D3")
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_reference_passes(dtype: str) -> None:
    for seed in range(2):
        report = check("reference", dtype=dtype, seed=seed)
        assert report.passed, f"\n{report}"
        assert {r.verdict for r in report.results.values()} == {"pass"}
        assert all(0 <= r.worst <= 1 and not r.not_offered for r in report.results.values())


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks(rank: int) -> None:
    report = check("reference", rank=rank, functions=["conv_forward", "conv_backward"])
    assert report.passed, f"\n{report}"
    assert not check(FLIPPED, rank=rank).passed


@pytest.mark.spec("ORC-D3")
def test_scipy_passes_what_it_offers() -> None:
    report = check("scipy")
    assert report.passed, f"\n{report}"
    assert [n for n, r in report.results.items() if r.verdict == "pass"] == ["conv_forward", "conv_backward", "sigmoid"]
    halves = check("scipy", dtype="float16")  # correlate2d has no halves, and the target says so
    assert halves.results["conv_forward"].verdict == "missing"


@pytest.mark.spec("ORC-D3", "ORC-D4", "ORC-D5")
def test_the_article_fails_where_it_is_wrong_and_passes_where_it_is_right() -> None:
    for seed in range(2):
        results = check("article", seed=seed).results
        assert {n: r.verdict for n, r in results.items() if r.verdict != "missing"} == {
            "conv_forward": "pass",
            "conv_backward": "fail",
            "dense_forward": "fail",
            "dense_backward": "pass",
            "sigmoid": "pass",
            "sigmoid_prime": "fail",
        }
        assert results["conv_forward"].not_offered == ("b", "dilation", "groups", "padding", "stride")
        assert results["conv_backward"].not_offered == ("dx", "db", "dilation", "groups", "padding", "stride")
        assert results["dense_backward"].not_offered == ("db",)


def pads_before(x: Array, w: Array, b: Any = None, *, padding: Any = 0, **options: Any) -> Array:
    if padding == "same":
        pads = Windows.of(
            "test", x.shape[2:], w.shape[2:], options.get("stride", 1), padding, options.get("dilation", 1)
        ).pads
        padding = tuple(p[::-1] for p in pads)
    return conv_forward(x, w, b, padding=padding, **options)


def one_tap_short(dz: Array, x: Array, w: Array, **options: Any) -> Any:
    g = conv_backward(dz, x, w, **options)
    return g._replace(dx=np.concatenate([g.dx[..., :-1], 0 * g.dx[..., -1:]], axis=-1))


def odd_widths_only(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    z = conv_forward(x, w, b, **options)
    return z if x.shape[-1] % 2 else z[..., ::-1]


def third_image_wrong(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    z = conv_forward(x, w, b, **options)
    z[2:] = z[1:2]
    return z


def in_float32(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    return conv_forward(x.astype(np.float32), w.astype(np.float32), b, **options).astype(x.dtype)


def interleaved_groups(x: Array, w: Array, b: Any = None, *, groups: int = 1, **options: Any) -> Array:
    order = np.arange(len(w)).reshape(-1, groups).T.ravel()
    return conv_forward(x, w[order], None if b is None else b[order], groups=groups, **options)[:, np.argsort(order)]


def averaged(gradients: Any, count: int) -> list[Array]:
    dx, dw, db = gradients
    return [dx, dw / count, db / count]


FLIPPED: Functions = {
    "conv_forward": lambda x, w, *b, **o: conv_forward(x, np.flip(w, tuple(range(2, w.ndim))), *b, **o),
    "conv_backward": lambda dz, x, w, **o: conv_backward(dz, x, np.flip(w, tuple(range(2, w.ndim))), **o),
}

WRONG: dict[str, Functions] = {
    "flipped-kernel": FLIPPED,
    "zeros": {
        "conv_forward": lambda *a, **o: 0 * conv_forward(*a, **o),
        "dense_forward": lambda *a: 0 * dense_forward(*a),
        "sigmoid": lambda z: 0 * z,
        "sigmoid_prime": lambda z: 0 * z,
    },
    "pad-side": {"conv_forward": pads_before},
    "ignored-dilation": {"conv_forward": lambda *a, dilation=1, **o: conv_forward(*a, **o)},
    "stride-axis": {
        "conv_forward": lambda *a, stride=1, **o: conv_forward(
            *a, stride=stride[::-1] if isinstance(stride, tuple) else stride, **o
        )
    },
    "odd widths only": {"conv_forward": odd_widths_only},
    "third image": {"conv_forward": third_image_wrong},
    "narrower arithmetic": {"conv_forward": in_float32},
    "interleaved-groups": {"conv_forward": interleaved_groups},
    "missing-bias": {
        "conv_forward": lambda x, w, b=None, **o: conv_forward(x, w, **o),
        "dense_forward": lambda x, w, b=None: dense_forward(x, w),
    },
    "integer-output": {"conv_forward": lambda *a, **o: conv_forward(*a, **o).astype(int)},
    "mean-over-batch": {
        "conv_backward": lambda dz, x, w, **o: averaged(conv_backward(dz, x, w, **o), len(x)),
        "dense_backward": lambda dz, x, w: averaged(dense_backward(dz, x, w), len(x)),
    },
    "short-loop": {"conv_backward": one_tap_short},
    "db-one-image": {
        "conv_backward": lambda dz, x, w, **o: conv_backward(dz, x, w, **o)._replace(db=dz[0].sum(axis=(1, 2)))
    },
    "negated": {"conv_backward": lambda *a, **o: [-g for g in conv_backward(*a, **o)]},
    "dense-untransposed": {
        "dense_backward": lambda dz, x, w: dense_backward(dz, x, w)._replace(
            dx=dz @ w if w.shape[0] == w.shape[1] else dense_backward(dz, x, w).dx
        )
    },
    "prime-of-input": {"sigmoid_prime": lambda z: z * (1 - z)},
    "prime-twice": {"sigmoid_prime": lambda z: sigmoid_prime(sigmoid(z))},
    "tanh below 0": {"sigmoid": lambda z: (1 + np.tanh(z / 2)) / 2},
    "a wrong shape": {
        "conv_forward": lambda *a, **o: conv_forward(*a, **o)[:, :, None],
        "sigmoid": lambda z: sigmoid(z).ravel(),
    },
    "NaN": {"dense_forward": lambda *a: dense_forward(*a) + np.nan},
    "complex": {"dense_forward": lambda *a: dense_forward(*a) + 0j},
}


@pytest.mark.spec("ORC-D2", "ORC-D4", "ORC-D6")
@pytest.mark.parametrize("name", WRONG)
def test_wrong_implementations_fail(name: str) -> None:
    for seed in range(2):
        report = check(WRONG[name], seed=seed)
        assert not report.passed
        for function in WRONG[name]:
            result = report.results[function]
            assert result.verdict == "fail", f"{function} passed with seed {seed}\n{report}"
            assert result.failure is not None
            assert result.failure.case.size <= 40  # small enough to do by hand


@pytest.mark.spec("ORC-D4", "RND-N1")
def test_correct_implementations_organised_otherwise_pass() -> None:
    def by_einsum(x: Array, w: Array, b: Any = None, *, stride: int = 1, padding: int = 0) -> Array:
        x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        windows = sliding_window_view(x, w.shape[2:], (2, 3))[:, :, ::stride, ::stride]
        z = np.einsum("nchwij,fcij->nfhw", windows, w, optimize=False)
        return np.asfortranarray(z if b is None else z + b[:, None, None])

    def backwards_sum(x: Array, w: Array, b: Any = None) -> Array:
        z = np.zeros((len(x), w.shape[1]), x.dtype)
        for i in reversed(range(len(w))):
            z += x[:, i, None] * w[i]
        return z if b is None else b + z

    others: Functions = {
        "conv_forward": by_einsum,
        "conv_backward": lambda dz, x, w, **o: SimpleNamespace(**conv_backward(dz, x, w, **o)._asdict()),
        "dense_forward": backwards_sum,
        "dense_backward": lambda dz, x, w: {"dw": (x.T @ dz).astype(np.longdouble)},
        "sigmoid": lambda z: np.exp(-np.logaddexp(0, -z)),
        "sigmoid_prime": lambda z: sigmoid(z) * (1 - sigmoid(z)),
    }
    for dtype in ("float64", "float32"):
        for seed in range(2):
            report = check(others, dtype=dtype, seed=seed)
            assert report.passed, f"\n{report}"
    assert set(report.results["conv_forward"].not_offered) == {
        *("dilation", "groups", "stride per axis", "padding per axis", "padding per side"),
        *('padding="same"', 'padding="valid"'),
    }
    assert report.results["dense_backward"].not_offered == ("dx", "db")


@pytest.mark.spec("ORC-D4")
@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        (1, 2),
        {"dx": None},
        [],
        object(),
        np.array(["a"]),
        [[1, 2], [3]],
        np.zeros((0, 2)),
        np.zeros((300, 300)),
    ],
)
def test_whatever_comes_back_is_a_finding(answer: Any) -> None:
    for function in ("dense_forward", "dense_backward"):
        report = check({function: lambda *a: answer})
        assert report.results[function].verdict == "fail"
        assert f"{function}: wrong in" in str(report)
        assert json.loads(report.to_json())["results"][function]["failure"]["message"]


@pytest.mark.spec("ORC-D4")
@pytest.mark.parametrize("error", [SystemExit(0), RecursionError(), KeyError("k"), MemoryError()])
def test_whatever_is_raised_is_a_finding(error: BaseException) -> None:
    def raises(*a: Any) -> Any:
        raise error

    failure = check({"sigmoid": raises}).results["sigmoid"].failure
    assert failure is not None
    assert type(error).__name__ in failure.message


@pytest.mark.spec("ORC-D4")
def test_a_target_cannot_change_the_question() -> None:
    def careless(x: Array, w: Array, b: Any = None) -> Array:
        z = dense_forward(x, w, b)
        x[:], w[:] = 0, 0
        return z

    failure = check({"dense_forward": careless}).results["dense_forward"].failure
    assert failure is not None
    assert failure.message == "it writes into x"  # and no value is wrong


@pytest.mark.spec("ORC-D1")
def test_a_failure_can_be_asked_again() -> None:
    for dtype in ("float64", "float16"):
        report = check(FLIPPED, functions=["conv_forward"], dtype=dtype, seed=7)
        failure = report.results["conv_forward"].failure
        assert failure is not None
        again = check(FLIPPED, functions=["conv_forward"], dtype=dtype, seed=7, case=failure.case.text)
        same = again.results["conv_forward"].failure
        assert same is not None
        assert (same.message, same.got, same.expected, same.case) == (
            failure.message,
            failure.got,
            failure.expected,
            failure.case,
        )
        assert f"case='{failure.case.text}'" in failure.reproduce


@pytest.mark.spec("ORC-D9", "ORC-D10")
def test_a_convention_of_other_functions_changes_nothing() -> None:
    clipped = {"sigmoid": lambda z: 1 / (1 + np.exp(-np.clip(z, -50, 50)))}
    report = check(clipped, accept=["mean-over-batch", "transposed-weights"])
    assert not report.passed
    assert "relative to mean-over-batch and transposed-weights" in " ".join(str(report).split())
    assert json.loads(report.to_json())["accept"] == ["mean-over-batch", "transposed-weights"]
    assert cases("softmax", accept=("transposed-weights",)) == cases("softmax")
    for case in cases("softmax", accept=("transposed-weights",)):
        case.check(softmax)


@pytest.mark.spec("ORC-D10")
def test_who_does_not_have_the_convention_that_is_accepted_is_told_so() -> None:
    failure = (
        check("reference", functions=["conv_backward"], accept=["flipped-kernel"]).results["conv_backward"].failure
    )
    assert failure is not None
    assert failure.diagnosis == ()
    assert failure.condition == "Right by the definition itself, not by flipped-kernel."
    assert "help: Judge this function without --accept flipped-kernel." in failure_text(failure)
    assert "No known mistake" not in failure_text(failure)
    assert "[CONV-B" in failure_text(failure)
    assert "more: reference-cnn explain ORC-D10" in failure_text(failure)


@pytest.mark.spec("ORC-D10")
def test_same_lower_is_one_convention_of_all_that_have_windows() -> None:
    def lower(name: str) -> Callable[..., Any]:
        def function(*arrays: Any, **options: Any) -> Any:
            if options.get("padding") == "same":
                x, window = (arrays[-2], arrays[-1].shape[2:]) if "conv" in name else arrays[-2:]
                size = window if isinstance(window, tuple) else (window,) * 2
                given = (options.get("stride", size if "pool" in name else 1), "same", options.get("dilation", 1))
                pads = Windows.of("lower", x.shape[2:], size, *given).pads
                options["padding"] = tuple((after, before) for before, after in pads)
            return getattr(reference_cnn, name)(*arrays, **options)

        return function

    names = [f"{kind}_{way}" for kind in ("conv", "max_pool", "avg_pool") for way in ("forward", "backward")]
    names.remove("conv_forward")
    report = check({name: lower(name) for name in names}, accept=["same-lower"], profile="quick")
    assert report.passed, str(report)
    assert {r.verdict for n, r in report.results.items() if n in names} == {"pass"}
    upper = check("reference", functions=names, accept=["same-lower"], profile="quick")
    assert {r.verdict for r in upper.results.values()} == {"fail"}


@pytest.mark.spec("ORC-D6", "ORC-D7")
def test_the_report_in_words_and_as_json() -> None:
    report = check("article", functions=["conv_backward", "sigmoid"])
    text = str(report)
    assert "conv_backward: wrong in" in text
    assert "*" in text
    assert "your dw" in text
    assert "again: reference-cnn check article --only conv_backward --case" in text
    plain = json.loads(report.to_json())
    assert (plain["version"], plain["passed"], plain["dtype"], plain["seed"]) == (1, False, "float64", 0)
    result = plain["results"]["conv_backward"]
    assert set(result) == {
        *("verdict", "cases", "failed", "unasked", "uninformative", "notes", "worst", "not_offered", "failure")
    }
    assert (result["verdict"], result["worst"], result["failure"]["clause"]) == ("fail", "Infinity", "CONV-B2")
    assert result["failure"]["got"] != result["failure"]["expected"]
    assert plain["results"]["sigmoid"]["failure"] is None
    with pytest.raises(AssertionError, match="conv_backward: wrong in"):
        report.raise_for_failures()
    check("reference", functions=["sigmoid"]).raise_for_failures()


@pytest.mark.spec("ORC-D4")
def test_names_and_seconds_come_in_any_form() -> None:
    named: Any
    for named in (["relu"], ("relu",), {"relu": None}.keys(), np.array(["relu"])):
        assert list(check("reference", functions=named, timeout=np.float64(9)).results) == ["relu"]
    wrong: dict[str, Any]
    for wrong in ({"timeout": None}, {"timeout": "9"}, {"timeout": float("nan")}, {"functions": iter(["relu"])},
                  {"functions": 5}, {"accept": None}, {"accept": "relu-mask"}):  # fmt: skip
        with pytest.raises(UsageError, match=next(iter(wrong))):
            check("reference", **wrong)


@pytest.mark.spec("ORC-D1")
def test_cases_serve_any_test_runner() -> None:
    for function, layer in LAYERS.items():
        for case in cases(function, dtype="float32", seed=3):
            case.check(layer.reference)
    with pytest.raises(AssertionError, match=r"z is wrong.*\[CONV-F1\]"):
        cases("conv_forward")[0].check(FLIPPED["conv_forward"])


@pytest.mark.spec("ORC-D5")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"functions": ["conv"]}, "function must be one of conv_forward"),
        ({"dtype": "float8"}, "dtype must be one of float64"),
        ({"rank": 0}, "rank must be at least 1, is 0"),
        ({"accumulate": "int8"}, "accumulate must be one of float64"),
        ({"seed": -1}, "seed must be at least 0, is -1"),
        ({"case": "x=3y4"}, "cannot read 'x=3y4'"),
        ({"case": "x=1x1x3x3 w=1x1x2x2 colour=2"}, "unknown name 'colour'"),
        ({"case": "x=1x1x3x3 w=1x1x4x4", "functions": ["conv_forward"]}, r"the window spans .* \[WIN-C4\]"),
        ({"case": "x=1x1x3x3", "functions": ["conv_forward"]}, "fits none of conv_forward; a convolution has x and w"),
        ({"case": "z=3", "functions": ["conv_forward"]}, "case 'z=3' fits none of conv_forward"),
        *(
            ({"case": "z=2x3 scale=1e39", "functions": [f], "dtype": "float16"}, "numbers are too large for float16")
            for f in ("relu", "sigmoid")
        ),
    ],
)
def test_unusable_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check("reference", **arguments)


@pytest.mark.spec("ORC-D5")
def test_a_target_without_functions_is_refused() -> None:
    with pytest.raises(TargetError, match="dict offers none of the functions conv_forward"):
        check({"conv": conv_forward})
    with pytest.raises(TargetError, match="scipy offers none of dense_forward"):
        check("scipy", functions=["dense_forward"])


@pytest.mark.spec("ORC-D4", "ORC-D6")
def test_a_target_with_a_memory_is_a_finding() -> None:
    class Every7th:
        calls = 0

        def sigmoid(self, z: Array) -> Array:
            self.calls += 1
            return sigmoid(z) + (self.calls % 7 == 0)

    report = check(Every7th())
    assert report.results["sigmoid"].verdict == "fail"
    assert "sigmoid: wrong in" in str(report)


@pytest.mark.spec("ORC-D1", "ORC-D6")
def test_a_case_that_is_given_is_shown_as_it_is() -> None:
    for text in ("x=5x7 w=7x3 b=3", "b=3 w=7x3 x=5x7"):
        failure = check("article", case=text).results["dense_forward"].failure
        assert failure is not None
        assert failure.case.text == "x=5x7 w=7x3 b=3"
    lacking = check("article", case="x=1x1x5x5 w=1x1x2x2 stride=2", functions=["conv_forward"])
    assert lacking.results["conv_forward"].not_offered == ("stride",)
    with pytest.raises(ValueError, match="'x' twice"):
        check("article", case="x=1x1 x=2x2 w=1x1")


@pytest.mark.spec("ORC-D6")
def test_a_large_case_takes_a_few_times_the_memory_of_its_tensors() -> None:
    """Target and oracle together, which in two processes is less each."""
    tensors = (2 * 4 * 16 * 64 * 64 + 16 * 16 * 9) * 8
    tracemalloc.start()
    case = "x=4x16x64x64 w=16x16x3x3 padding=1"
    assert check("reference", functions=["conv_forward"], case=case, in_process=True).passed
    assert tracemalloc.get_traced_memory()[1] < 15 * tensors
    tracemalloc.stop()


@pytest.mark.spec("ORC-D4", "ORC-D5")
def test_targets_of_every_kind(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from reference_cnn import dense_forward\n")
    kinds: list[Any] = [
        reference_cnn.dense,
        "reference_cnn.dense",
        file,
        str(file),
        SimpleNamespace(dense_forward=dense_forward),
        {"dense_forward": dense_forward},
    ]
    for target in kinds:
        report = check(target, functions=["dense_forward"])
        assert report.passed, f"{target}\n{report}"
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def dense_forward(x, w, b=None):\n    return x @ w + 1\n")
    for target in (wrong, str(wrong), SimpleNamespace(dense_forward=lambda x, w, b=None: x @ w + 1)):
        assert not check(target).passed
