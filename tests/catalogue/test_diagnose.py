"""The diagnosis: the true name first, and never a wrong one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from convolutions_by_hand import CONVOLUTIONS
from diagnosing import answers, drawn_pairs, fingerprint, made, verdict, ways, wrong
from others_by_hand import OTHERS
from test_mistakes import FAINT, SILENT

from reference_cnn import (
    avg_pool_forward,
    conv_backward,
    conv_forward,
    dense_backward,
    dense_forward,
    sigmoid,
    sigmoid_prime,
)
from reference_cnn.cli import main
from reference_cnn.oracle import cases, check
from reference_cnn.oracle.diagnose import LARGE, diagnose
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import CONVENTIONS, MISTAKES, accepted
from reference_cnn.oracle.targets.ask import ask

Function = Callable[..., Any]
# Where a mistake gives exceptions only, which are no evidence: the gradient has the shape of another stride.
LOUD = {("max_pool_backward", "pool-default-stride", 0), ("avg_pool_backward", "pool-default-stride", 0)}


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize(("dtype", "seed"), [("float64", 0), ("float32", 1)])
@pytest.mark.parametrize("function", LAYERS)
def test_single_mistakes_are_named(function: str, dtype: str, seed: int) -> None:
    asked, told = cases(function, dtype=dtype, seed=seed), set()
    # Which way a mistake is made in does not depend on the dtype.
    for mistake, way in (w for w in ways(function) if dtype == "float64" or w[1] == 0):
        given = answers(made(function, (mistake, way)), asked)
        # Some ways of a mistake, such as how low a finite number is, are not told apart by these questions.
        same = mistake.id, fingerprint(given)
        if same in told:
            continue
        told.add(same)
        named = diagnose(given)
        unnamed = dtype in SILENT.get(mistake.id, ()) or (function, mistake.id, way) in LOUD
        unnamed = unnamed or (mistake.id in FAINT and not wrong(given))
        assert named[:1] == (() if unnamed else (mistake.id,)), f"{mistake.id} {way}"


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("function", ["conv_forward", "dense_forward"])
def test_what_the_arithmetic_of_the_dtype_decides_is_named(function: str) -> None:
    """In float16 a sum may round to the next whole number before it is cut off there: float64 does not foretell it."""
    for way in (way for way in ways(function) if way[0].id == "integer-output"):
        assert diagnose(answers(made(function, way), cases(function, dtype="float16"))) == ("integer-output",)


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("seed", [3, 7])
def test_what_adds_up_from_call_to_call_remembers_the_large_ones_too(seed: int) -> None:
    """In these seeds a case too large to be compared has a kernel of the shape of a later small one."""
    (way,) = (way for way in ways("conv_backward") if way[0].id == "dw-doubled")
    assert diagnose(answers(made("conv_backward", way), cases("conv_backward", seed=seed))) == ("dw-doubled",)


@pytest.mark.spec("ORC-D9")
def test_what_forgets_after_a_large_case_does_not_add_up_from_call_to_call() -> None:
    (way,) = (way for way in ways("conv_backward") if way[0].id == "dw-doubled")
    adding, forgotten = made("conv_backward", way), []

    def forgetful(dz: Any, x: Any, w: Any, **options: Any) -> Any:
        forgotten.append(dz.size + x.size + w.size > LARGE)
        return (conv_backward if any(forgotten) else adding)(dz, x, w, **options)

    given = answers(forgetful, cases("conv_backward"))
    assert wrong(given)
    assert diagnose(given) == ()


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("function", ["conv_forward", "conv_backward", "dense_backward"])
def test_pairs_are_named(function: str) -> None:
    asked, others = cases(function), cases(function, seed=1)
    outcomes = []
    for steps in drawn_pairs(function, 0, 12):
        given = answers(made(function, *steps), asked)
        outcomes.append(verdict(diagnose(given), steps, given, others))
    told = [o for o in outcomes if o not in ("no pair", "not seen")]
    assert "another name" not in outcomes
    assert told.count("first") >= 0.8 * len(told) > 3


def changed(function: Function, change: Callable[..., Any]) -> Function:
    return lambda *a, **o: change(function(*a, **o))


def each(change: Callable[[Any], Any]) -> Function:
    return changed(conv_backward, lambda g: g._replace(dx=change(g.dx), dw=change(g.dw), db=change(g.db)))


def remembering(function: Function) -> Function:
    """A cache whose key is the shapes alone: the second question of the same shapes gets the first one's answer."""
    kept: dict[Any, Any] = {}

    def cached(*arrays: Any, **options: Any) -> Any:
        key = (*(np.shape(a) for a in arrays), str(options))
        return kept.setdefault(key, function(*arrays, **options))

    return cached


def every(count: int, function: Function, change: Callable[[Any], Any]) -> Function:
    """Wrong in one call of so many, as where threads write to the same memory."""
    calls = iter(range(10**6))
    return lambda *a, **o: (change if next(calls) % count == count - 1 else lambda z: z)(function(*a, **o))


def of_rows(index: Any, value: float) -> Callable[[Any], Any]:
    """Overwrite a part of an answer."""

    def change(z: Any) -> Any:
        z = z.copy()
        z[index] = value
        return z

    return change


OUTSIDE: dict[str, list[Function]] = {
    "conv_forward": [
        changed(conv_forward, lambda z: z + 1),
        changed(conv_forward, lambda z: z * 3),
        changed(conv_forward, abs),
        changed(conv_forward, lambda z: z * 0.999),
        changed(conv_forward, lambda z: z[::-1]),
        changed(conv_forward, lambda z: z[..., ::-1]),
        changed(conv_forward, np.zeros_like),
        lambda x, w, b=None, **o: conv_forward(abs(x), w, b, **o),
        lambda x, w, b=None, **o: conv_forward(np.roll(x, 1, -1), w, b, **o),
        # a known mistake, but not always
        lambda x, w, b=None, **o: conv_forward(x, w[..., ::-1, ::-1] if x.shape[-1] % 2 else w, b, **o),
        # loops, indices, a cache, threads, and narrow integers
        changed(conv_forward, of_rows((..., 0), 0)),
        changed(conv_forward, of_rows((slice(None), slice(None, None, 2)), 1)),
        lambda x, w, b=None, **o: conv_forward(x, w, None if b is None else b[::-1], **o),
        lambda x, w, b=None, **o: conv_forward(x, np.roll(w, 1, 0), b, **o),
        remembering(conv_forward),
        every(3, conv_forward, np.zeros_like),
        changed(conv_forward, lambda z: ((z + 16) % 32 - 16).astype(z.dtype)),
    ],
    "conv_backward": [
        each(lambda g: g + 1),
        each(lambda g: g**2),
        each(abs),
        changed(conv_backward, lambda g: g._replace(dx=g.dx[::-1])),
        changed(conv_backward, lambda g: g._replace(dw=g.dw * 3)),
        changed(conv_backward, lambda g: g._replace(dw=g.dw / len(g.dx) ** 2)),
        changed(conv_backward, lambda g: g._replace(dw=np.roll(g.dw, 1, -1))),
        changed(conv_backward, lambda g: g._replace(dx=np.roll(g.dx, 1, 1))),
        every(2, conv_backward, lambda g: g._replace(db=-g.db)),
    ],
    "dense_forward": [
        changed(dense_forward, lambda z: z + 1),
        changed(dense_forward, lambda z: np.minimum(z, 0)),
        # what is a known mistake of whole numbers, and not of others
        changed(dense_forward, lambda z: np.where(z > -0.9, z, 0)),
    ],
    "squared_error_prime": [lambda o, y: np.clip(o - y, -1, 1)],
    "relu_prime": [lambda z: (z > -0.5).astype(z.dtype)],
    "dense_backward": [lambda dz, x, w: dense_backward(dz[::-1], x, w)],
    "sigmoid": [np.arctan, lambda z: np.maximum(z, 0), lambda z: sigmoid(z) ** 2, lambda z: 1 / (1 + 2.0**-z)],
    "sigmoid_prime": [lambda z: 1 - sigmoid(z), lambda z: 1 / (1 + z**2), lambda z: sigmoid_prime(z) + 1e-3],
}


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("function", OUTSIDE)
@pytest.mark.parametrize("seed", range(2))
def test_what_is_not_in_the_catalogue_gets_no_name(function: str, seed: int) -> None:
    assert sum(map(len, OUTSIDE.values())) >= 30
    for number, implementation in enumerate(OUTSIDE[function]):
        given = answers(implementation, cases(function, seed=seed))
        assert wrong(given), f"{function} {number} is not seen to be wrong"
        assert diagnose(given) == (), f"{function} {number}"
    assert diagnose(answers(LAYERS[function].reference, cases(function, seed=seed))) == ()


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("other", ["sum-tail", "dw-product-of-means"])
def test_a_wrong_shape_does_not_hide_another_mistake(other: str) -> None:
    """The gradients in another order have other shapes; their numbers are looked at all the same."""
    order, second = (next(w for w in ways("dense_backward") if w[0].id == name) for name in ("gradient-order", other))
    given = answers(made("dense_backward", second, order), cases("dense_backward"))
    assert set(diagnose(given)[0].split("+")) == {"gradient-order", other}


@pytest.mark.spec("ORC-D9")
def test_another_output_has_other_roundings() -> None:
    """In this seed dw, in the place of dx, is farther off than dx may be."""
    for way in (way for way in ways("dense_backward") if way[0].id == "gradient-order"):
        given = answers(made("dense_backward", way), cases("dense_backward", dtype="float32", seed=2))
        assert diagnose(given) == ("gradient-order",)


@pytest.mark.spec("ORC-D9")
def test_exceptions_alone_are_no_evidence() -> None:
    """Ignoring the stride gives too many outputs; whoever raises there may have any reason."""

    def refusing(x: Any, w: Any, b: Any = None, *, stride: Any = 1, **o: Any) -> Any:
        if stride != 1:
            raise RuntimeError("out of order")
        return conv_forward(x, w, b, **o)

    assert diagnose(answers(refusing, [c for c in cases("conv_forward") if c.keywords in ({}, {"stride": 2})])) == ()


@pytest.mark.spec("ORC-D9")
def test_what_only_the_second_tier_or_call_shows_is_named_too() -> None:
    """Of all shapes once, adding up from call to call shows on real numbers only: those come second."""
    asked = [c for c in cases("dense_backward") if c.call.shapes[1][1] in ((4, 2), (2, 7), (3, 1))]
    wrong = made("dense_backward", (MISTAKES["dw-last-image"], 0), (MISTAKES["dw-doubled"], 0))
    assert diagnose(answers(wrong, asked)) == ("dw-last-image+dw-doubled",)

    def imprecise(dw: Any) -> Any:
        return np.where(dw % 1 == 0, dw, dw * np.float32(1 + 1.5e-6))

    stride = made("conv_backward", (MISTAKES["dw-stride"], 0))
    rough = changed(stride, lambda g: g._replace(dw=imprecise(g.dw)))
    # Adding up below it would change nothing but how closely numbers are compared.
    assert diagnose(answers(rough, cases("conv_backward", dtype="float32"))) == ("dw-stride",)


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize(("function", "implementation", "named"), CONVOLUTIONS + OTHERS)
def test_other_peoples_code_is_named(function: str, implementation: Function, named: str) -> None:
    for seed in range(2):
        failure = check({function: implementation}, seed=seed).results[function].failure
        assert failure is not None
        assert failure.diagnosis == (named,)


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_an_average_that_is_cut_off_is_no_narrow_sum(dtype: str) -> None:
    def cut_off(x: Any, window: Any, **o: Any) -> Any:
        y = avg_pool_forward(x.astype(float), window, **o)
        rounded = y.astype(dtype)
        return np.where(abs(rounded.astype(float)) > abs(y), np.nextafter(rounded, np.zeros_like(rounded)), rounded)

    failure = check({"avg_pool_forward": cut_off}, dtype=dtype).results["avg_pool_forward"].failure
    assert failure is not None
    assert failure.diagnosis == ()


@pytest.mark.spec("ORC-D9")
def test_computing_in_a_narrower_dtype_is_named() -> None:
    def narrow(x: Any, w: Any, b: Any = None, **o: Any) -> Any:
        return conv_forward(x.astype(np.float32), w.astype(np.float32), b, **o).astype(np.float32)

    failure = check({"conv_forward": narrow}).results["conv_forward"].failure
    assert failure is not None
    assert failure.diagnosis == ("narrow-accumulation",)


@pytest.mark.spec("ORC-D9")
def test_questions_are_asked_until_one_explanation_is_left() -> None:
    def wrong(dz: Any, x: Any, w: Any) -> Any:
        return {"dw": x.T @ dz / len(x)}

    asked = [c for c in cases("dense_backward") if c.call.shapes[0][1][0] == 2]
    vague = diagnose(answers(wrong, asked))
    # Of two, a mean is a half.
    assert vague == ("mean-over-batch", "mean-of-gradients", "dw-mean", "halved-gradient", "dw-half")
    told = diagnose(answers(wrong, asked), lambda case: ask(wrong, case), cases("dense_backward", seed=1))
    assert told == ("mean-over-batch", "mean-of-gradients", "dw-mean")  # without a dx nothing tells them apart

    def neither(dz: Any, x: Any, w: Any) -> Any:
        return wrong(dz, x, w) if len(x) == 2 else {"dw": 7 * w}

    assert diagnose(answers(neither, asked), lambda case: ask(neither, case), cases("dense_backward", seed=1)) == ()


@pytest.mark.spec("ORC-D9", "ORC-D7")
def test_the_articles_mistakes_are_named_with_their_errata() -> None:
    report = check("article")
    named = {name: r.failure.diagnosis for name, r in report.results.items() if r.failure}
    assert named == {
        "conv_backward": ("dw-product-of-means+dw-scrambled-map",),
        "dense_forward": ("missing-bias",),
        "sigmoid_prime": ("prime-of-input",),
    }
    text = str(report)
    for said in ("dw-product-of-means [ERR-D2]", "dw-scrambled-map [ERR-D3]", "missing-bias [ERR-D5]", "[ERR-D10]"):
        assert said in text
    plain = json.loads(report.to_json())["results"]
    assert plain["dense_forward"]["failure"]["diagnosis"] == ["missing-bias"]
    again = check("article", case="x=3x2 w=2x5 b=5").results["dense_forward"].failure
    assert again is not None
    assert again.diagnosis == ("missing-bias",)


@pytest.mark.spec("ORC-D6", "ORC-D9")
def test_a_failure_fits_a_terminal() -> None:
    shown = ["flipped-kernel", "interleaved-groups", "narrow-accumulation", "dx-overwrite", "mean-of-gradients"]
    wrong = {f: MISTAKES[m].change(f, LAYERS[f].reference) for m in shown for f in MISTAKES[m].functions}
    for function, implementation in [*wrong.items(), ("conv_forward", OUTSIDE["conv_forward"][3])]:
        for case in (None, *(["x=2x4x9x9 w=6x4x3x3", "x=1x1x24x2 w=1x1x2x2"] if function == "conv_forward" else [])):
            text = str(check({function: implementation}, functions=[function], case=case))
            failure = text.split(f"{function}: wrong in")[1].split("\n\ndict, ", maxsplit=1)[0].rstrip().splitlines()
            assert len(failure) <= 25
            assert max(len(line) for line in failure if "again:" not in line) <= 80
    text = str(check({"conv_forward": wrong["conv_forward"]}))
    assert "more: reference-cnn explain narrow-accumulation" in text


@pytest.mark.spec("ORC-D9")
def test_a_convention_says_how_to_accept_it() -> None:
    wrong = {"conv_forward": MISTAKES["flipped-kernel"].change("conv_forward", conv_forward)}
    text = " ".join(str(check(wrong)).split())
    assert "This is another convention; --accept flipped-kernel judges the rest relative to it." in text
    assert "help: Multiply x[o + k] with w[k]" in text


@pytest.mark.spec("ORC-D10")
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("name", CONVENTIONS)
def test_an_accepted_convention_is_right_and_the_rest_is_judged_by_it(name: str, dtype: str) -> None:
    functions = MISTAKES[name].functions
    theirs = {f: MISTAKES[name].change(f, LAYERS[f].reference) for f in functions}
    report = check(theirs, functions=functions, dtype=dtype, accept=[name])
    assert report.passed, f"\n{report}"
    # Who computes as accurately as the definition keeps a convention of accuracy, too.
    if dtype == "float64":
        same = check("reference", functions=functions, accept=[name]).passed
        assert same == (name == "sigmoid-by-tanh")


@pytest.mark.spec("ORC-D10")
def test_mistakes_are_named_beside_an_accepted_convention() -> None:
    wrong = accepted("conv_backward", ["flipped-kernel", "mean-over-batch", "dx-overwrite"])
    accept = ["flipped-kernel", "mean-over-batch"]
    failure = check({"conv_backward": wrong}, accept=accept).results["conv_backward"].failure
    assert failure is not None
    assert failure.diagnosis == ("dx-overwrite",)
    assert f"accept={accept}" in failure.reproduce
    with pytest.raises(ValueError, match="accept must be one of flipped-kernel"):
        check("reference", accept=["dx-overwrite"])


@pytest.mark.spec("ORC-D10")
def test_the_command_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def dense_backward(dz, x, w):\n    return dz @ w.T, x.T @ dz / len(x), dz.mean(axis=0)\n")
    assert main(["check", str(file)]) == 1
    assert "--accept mean-over-batch" in " ".join(capsys.readouterr().out.split())
    assert main(["check", str(file), "--accept", "mean-over-batch"]) == 0
