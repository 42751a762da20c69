"""The questions: reproducible, exact where they claim to be, and never without a bite."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import conv_calls, dense_calls, seeds

from reference_cnn import relu
from reference_cnn.oracle import Case, bounds, cases, notation
from reference_cnn.oracle.call import Call
from reference_cnn.oracle.cases import DTYPES, Tier
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import CONVENTIONS
from reference_cnn.oracle.targets import UsageError

dtypes = st.sampled_from(["float64", "float32", "float16", "bfloat16"])


@pytest.mark.spec("ORC-D1")
@given(st.one_of(conv_calls(), dense_calls()))
def test_a_call_survives_being_written_and_read(call: Call) -> None:
    read = notation.read(notation.write(call))
    assert (dict(read.shapes), dict(read.options), read.scale) == (dict(call.shapes), dict(call.options), call.scale)


@pytest.mark.spec("ORC-D1")
@given(conv_calls(), dtypes, seeds)
def test_the_numbers_follow_from_the_fields(call: Call, dtype: str, seed: int) -> None:
    for tier in ("exact", "rounding"):
        one, other = (Case("conv_forward", call, tier, dtype, seed) for _ in range(2))
        for a, b in zip(one.arguments.values(), other.arguments.values()):
            assert np.array_equal(a, b)
            assert a.dtype == np.dtype(dtype)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(
            one.arguments.values(), Case("conv_forward", call, "rounding", dtype, seed + 1).arguments.values()
        )
    )


@pytest.mark.spec("ORC-N2")
def test_the_case_with_other_numbers_has_their_answer() -> None:
    case = Case("relu", Call((("z", (3,)),)), "exact", "float64", 0)
    z = np.array([-3.0, 0.0, 5.0])
    other = case.with_numbers({"z": z})
    assert other.arguments["z"] is z
    assert other.expected["a"].value.tolist() == [0, 0, 5]
    assert (other.dtype, case.with_numbers({"z": z}, "float32").dtype) == ("float64", "float32")
    assert case.arguments["z"] is not z


@pytest.mark.spec("RND-D3", "RND-D2")
@settings(max_examples=60)
@given(conv_calls(), dtypes, seeds)
def test_every_partial_sum_of_the_exact_tier_is_exact(call: Call, dtype: str, seed: int) -> None:
    for function, asked in (("conv_forward", call), ("conv_backward", call.without_bias())):
        case = Case(function, asked, "exact", dtype, seed)
        limit = 2 ** {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[dtype]
        for magnitude in bounds.magnitudes(case, {n: a.astype(float) for n, a in case.arguments.items()}).values():
            assert (magnitude <= limit).all()
        assert all((a.astype(float) % 1 == 0).all() for a in case.arguments.values())
        assert all((e.bound == 0).all() for e in case.expected.values())


@pytest.mark.spec("RND-D2")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", LAYERS)
def test_nothing_is_infinite_unless_something_infinite_is_given(function: str, dtype: str) -> None:
    for case in cases(function, dtype=dtype, profile="quick"):
        if case.tier != "special":
            assert all(np.isfinite(array).all() for expected in case.expected.values() for array in expected)


@pytest.mark.spec("ORC-D2")
def test_the_numbers_of_large_maps_differ_and_are_finite() -> None:
    # They are drawn in six ways, one of them nearly as large as the dtype has.
    for seed in range(12):
        case = Case("max_pool_forward", notation.read("x=1x1x182x183 window=2"), "rounding", "float64", seed)
        x = case.plain["x"]
        assert np.isfinite(x).all()
        assert len(np.unique(x)) == x.size


@pytest.mark.spec("RND-D3")
def test_large_sums_become_sparse_rather_than_inexact() -> None:
    call = notation.read("x=1x64x9x9 w=2x64x3x3")
    case = Case("conv_forward", call, "exact", "bfloat16")
    magnitude = bounds.magnitudes(case, {n: a.astype(float) for n, a in case.arguments.items()})["z"]
    assert magnitude.max() <= 256
    assert (case.arguments["x"] != 0).any()
    assert (magnitude > 0).any()


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("function", LAYERS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_answer_is_zero_or_constant(function: str, rank: int) -> None:
    """A case whose right answer is all zeros, or all the same, would let nearly anything pass."""
    for seed in range(3):
        for case in cases(function, rank=rank, seed=seed, tiers=("exact", "rounding")):
            for output, (value, _) in case.expected.items():
                # An average pooling spreads the gradient of a single window evenly.
                alone = "dy" in case.arguments and case.arguments["dy"].size == 1
                assert value.size < 8 or np.unique(value).size > 1 or alone, f"{case}: {output}"


@pytest.mark.spec("ORC-D2")
def test_all_forms_of_all_options_are_asked() -> None:
    for seed in range(3):
        features = set().union(*(c.call.features for c in cases("conv_forward", seed=seed)))
        assert features == {
            "b", "no b", "stride", "stride per axis", "dilation", "dilation per axis", "groups", "padding",
            "padding per axis", "padding per side", 'padding="same"', 'padding="valid"',
        }  # fmt: skip


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("function", ["conv_forward", "conv_backward", "dense_forward", "dense_backward"])
def test_no_question_is_degenerate(function: str) -> None:
    """No array is the same backwards, so none is constant or a symmetric kernel; sizes differ, and batches have 3."""
    for seed, dtype in enumerate(("float64", "float32", "float16", "bfloat16")):
        asked = cases(function, dtype=dtype, seed=seed, tiers=("exact", "rounding"))
        for case in asked:
            for name, array in case.plain.items():
                same = array.size > 1 and (array == np.flip(array)).all() and (array != 0).all()
                assert not same, f"{case}: {name}"
        shapes = [dict(case.call.shapes) for case in asked]
        assert sum(s["x"][0] >= 3 for s in shapes) > len(asked) / 3
        sizes = [(*s["x"], s["w"][0 if len(s["w"]) > 2 else 1]) for s in shapes]
        assert sum(len(set(s)) == len(s) for s in sizes) > len(asked) / 5
        assert {True, False} == {s["x"][-1] % 2 == 0 for s in shapes} == {s["x"][-1] > s["x"][-2] for s in shapes}
        if "conv" in function:
            assert {True, False} == {s["w"][-1] == s["w"][-2] for s in shapes}


@pytest.mark.spec("ORC-D1")
@pytest.mark.parametrize("scale", ["3", "1e+06", "0.001", "13131313.0", "0.1234567"])
def test_a_scale_is_written_with_the_digits_that_it_has(scale: str) -> None:
    call = notation.read(f"z=2x3 scale={scale}")
    assert call.scale == float(scale)
    assert notation.write(call) == f"z=2x3 scale={scale}"


@pytest.mark.spec("ORC-N5")
@pytest.mark.parametrize(("tier", "value", "bound", "informative"), [
    # On the exact tier one whole number must be told from the next.
    ("exact", [1, 2], [0.49, 0], True), ("exact", [1, 2], [0, 0.5], False),
    # A 0 must be noticed in the place of a quarter of the numbers, which are not 0 themselves, and there must be some;
    ("rounding", [3, 2, 1, 7, 0], [3, 2, 1, 6, 0], True), ("rounding", [3, 2, 1, 7, 0], [3, 2, 1, 7, 0], False),
    ("rounding", [*range(1, 10)], [0.5, 1.5, *range(3, 10)], False),
    ("rounding", [0, 0], [0, 0], True), ("rounding", [], [], False),
    # the mean in that of all,
    ("rounding", [-3, 3, -3, 3], [2.9] * 4, True), ("rounding", [2, 4, 2, 4], [1, 1, 1, 1], False),
    ("rounding", [2, 2.5], [0.2] * 2, True), ("rounding", [2, 2.5], [0.25] * 2, False),
    ("rounding", [2, 2], [0.1] * 2, True),
    # and so must their neighbours.
    ("rounding", [4, 6, 8, 10, 12], [8, 2, 2, 2, 2], False), ("rounding", [4, 6, 8, 10, 12], [7.9, 2, 2, 2, 2], True),
    ("rounding", [1, 9, 1, 9], [0.5] * 4, True),
    ("special", [1, 2], [9, 9], True),
])  # fmt: skip
def test_a_case_counts_if_its_bounds_reject_zeros_the_mean_and_the_neighbours(
    tier: Tier, value: list[float], bound: list[float], informative: bool
) -> None:
    case = Case("relu", notation.read("z=1x4"), tier)
    vars(case)["expected"] = {"a": bounds.Expected(np.array(value, float), np.array(bound, float))}
    assert case.informative == informative


@pytest.mark.spec("ORC-D1")
def test_a_case_travels_by_its_fields() -> None:
    case = Case("dense_forward", notation.read("x=3x4 w=4x2"), "rounding", "float32", 7, "float64", ("flipped-kernel",))
    assert case.expected
    state = case.__getstate__()
    assert list(state) == ["function", "call", "tier", "dtype", "seed", "accumulate", "accept", "algorithm"]
    assert pickle.loads(pickle.dumps(case)) == case
    assert "expected" not in vars(pickle.loads(pickle.dumps(case)))


@pytest.mark.spec("ORC-D1", "ORC-D10")
def test_a_case_tells_its_shapes() -> None:
    for function, text, rank in (
        *(
            ("conv_forward", "x=2x4x7 w=6x4x3", 1),
            ("max_pool_forward", "x=2x4x7x5x6 window=2", 3),
            ("relu", "z=2x3", 2),
        ),
        *(("avg_pool_backward", "x=2x4x7x5 window=2", 2), ("dense_forward", "x=3x4 w=4x2", 2)),
    ):
        assert Case(function, notation.read(text)).rank == rank
    call = notation.read("x=3x4 w=4x2")
    assert Case("dense_forward", call).shapes == {"x": (3, 4), "w": (4, 2)}
    assert Case("dense_forward", call, accept=("transposed-weights",)).shapes == {"x": (3, 4), "w": (2, 4)}
    assert Case("dense_forward", call, accept=("missing-bias",)).shapes == {"x": (3, 4), "w": (4, 2)}


@pytest.mark.spec("ORC-D1")
def test_what_a_case_has_not_got_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^case x=3x4 w=4x2 has no special value$"):
        _ = Case("dense_forward", notation.read("x=3x4 w=4x2")).special
    monkeypatch.setattr("reference_cnn.oracle.numbers.draw", lambda *_: None)  # which few calls are large enough for
    with pytest.raises(UsageError, match=r"^case x=3x4 w=4x2: too large for exact data in bfloat16$"):
        _ = Case("dense_forward", notation.read("x=3x4 w=4x2"), dtype="bfloat16").arguments


@pytest.mark.spec("ORC-D1")
def test_a_case_can_be_asked_in_any_test() -> None:
    case = Case("relu", notation.read("z=1x1"))
    case.check(relu)
    with pytest.raises(AssertionError, match=r"a is wrong: its one entry is wrong[\s\S]*z=1x1"):
        case.check(lambda z: z + 1)

    def unfinished(z: object) -> object:
        raise NotImplementedError("later")

    with pytest.raises(NotImplementedError, match=r"^relu z=1x1 float64 exact: NotImplementedError: later$"):
        case.check(unfinished)
    assert {c.rank for c in cases("conv_forward")} == {2}
    assert {c.seed for c in cases("conv_forward")} == {0}
    assert str(Case("relu", notation.read("z=1x1"))) == "relu z=1x1 float64 exact"
    assert (case.seed, case.accumulate) == (0, None)


@pytest.mark.spec("ORC-D2")
def test_another_seed_draws_other_shapes_and_numbers() -> None:
    one, again, other = (cases("conv_forward", seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert len({c.text for c in other} - {c.text for c in one}) > 10
    shared = {c.text: c for c in one if c.tier == "exact" and c.size > 9}
    assert all(
        any((a != b).any() for a, b in zip(c.arguments.values(), shared[c.text].arguments.values()))
        for c in other
        if c.tier == "exact" and c.text in shared
    )


@pytest.mark.spec("ORC-D1")
@pytest.mark.parametrize(("options", "message"), [
    ({"function": "conv"}, f"function must be one of {', '.join(LAYERS)}, is 'conv'"),
    ({"dtype": "int8"}, "dtype must be one of float64, float32, float16, bfloat16, is 'int8'"),
    ({"accumulate": "int8"}, "accumulate must be one of float64, float32, float16, bfloat16, is 'int8'"),
    ({"profile": "slow"}, "profile must be one of quick, standard, thorough, is 'slow'"),
    ({"algorithm": "magic"}, "algorithm must be one of direct, winograd, fft, is 'magic'"),
    ({"tiers": ("exact", "odd")}, "tier must be one of exact, rounding, special, is 'odd'"),
    ({"accept": ("flipped-kernel", "odd")}, f"accept must be one of {', '.join(CONVENTIONS)}, is 'odd'"),
    ({"rank": 0}, "rank must be at least 1, is 0"),
    ({"seed": -1}, "seed must be at least 0, is -1"), ({"seed": 0.5}, "seed must be an integer, is 0.5"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_what_can(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as found:
        cases(**({"function": "conv_forward"} | options))
    assert str(found.value) == f"cases: {message}"
    assert cases("relu", rank=1, seed=0, profile="quick")


@pytest.mark.spec("ORC-D1", "ORC-N1", "ORC-D15")
def test_options_reach_every_case() -> None:
    options: dict[str, Any] = {
        "dtype": "float32", "seed": 3, "accumulate": "float64", "accept": ("flipped-kernel",), "algorithm": "fft",
    }  # fmt: skip
    asked = cases("conv_forward", rank=1, profile="quick", **options)
    assert {c.tier for c in asked} == {"exact", "rounding", "special"}
    for case in asked:
        assert {name: getattr(case, name) for name in options} == options
        assert case.rank == 1
    # In a transform, infinities turn into NaN; where there is none, they are asked about.
    assert {c.call.special[0] for c in asked if c.call.special} == {"nan"}
    for function, algorithm in (("conv_forward", "direct"), ("dense_forward", "fft")):
        some = cases(function, profile="quick", algorithm=algorithm)
        assert {c.call.special[0] for c in some if c.call.special} == {"nan", "inf", "-inf"}
    assert {c.tier for c in cases("relu", tiers=("rounding",))} == {"rounding"}
    assert {c.tier for c in cases("relu", tiers=("special",))} == {"special"}
    assert len(cases("conv_forward", profile="thorough")) > len(cases("conv_forward")) > len(asked)


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("function", ["conv_forward", "max_pool_backward", "avg_pool_forward"])
def test_any_number_of_axes_has_cases(function: str) -> None:
    for rank in (4, 6, 7):
        found = cases(function, rank=rank, profile="quick")
        assert {c.rank for c in found} == {rank}
        assert found[-1].expected
