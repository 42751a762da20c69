"""The catalogue: every mistake is rejected where it can show, composes, and is explained with an example."""

import re

import numpy as np
import pytest
from convolutions_by_hand import naive_forward
from diagnosing import alike, answers, made, ways

import reference_cnn
from reference_cnn import conv_backward, conv_forward
from reference_cnn.cli import main
from reference_cnn.explain import explain
from reference_cnn.oracle import cases
from reference_cnn.oracle.cases import DTYPES
from reference_cnn.oracle.examples import explain_mistakes
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import MISTAKES, Mistake, accepted
from reference_cnn.oracle.targets.ask import ask
from reference_cnn.oracle.text import LINES, WIDTH

# Where a mistake does not show in the numbers that come back: in no dtype, or in some only.
SILENT = {
    "ignored-strides": DTYPES,  # the arguments of a case are contiguous
    "written-input": DTYPES,  # and copies
    "sigmoid-prime-cancel": DTYPES,  # what the bound grants everybody
    "sigmoid-overflow": ("float64", "float32", "bfloat16"),  # 1/∞ is 0 to within the smallest normal number
    "log-of-softmax": ("bfloat16",),  # it has too few digits for bounds on logits that underflow
    "narrow-arithmetic": ("float16", "bfloat16"),  # than which there is nothing narrower
}
# Which limit, or which ε or lowest number, shows in the shorter dtypes depends on their range and digits.
FAINT = ("sigmoid-clip", "added-epsilon", "pool-finite-init")


@pytest.mark.spec("ORC-D8")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", LAYERS)
def test_every_mistake_is_rejected_in_each_dtype_in_which_it_can_show(function: str, dtype: str) -> None:
    for seed in range(2):
        asked = cases(function, dtype=dtype, seed=seed)
        for mistake, way in ways(function):
            if mistake.id in FAINT and dtype != "float64":
                continue
            implementation = made(function, (mistake, way))
            rejected = any(judge(case, ask(implementation, case)).failure for case in asked)
            assert rejected == (dtype not in SILENT.get(mistake.id, ())), f"{mistake.id} {way}, seed {seed}"


@pytest.mark.spec("ORC-D8")
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_every_mistake_is_explained_with_an_example_that_shows_it(mistake: Mistake) -> None:
    text = explain_mistakes(mistake.id)
    assert text.startswith(
        f"{mistake.id}: {'a difference of convention' if mistake.kind != 'error' else 'an error'} in "
    )
    flat = " ".join(text.split())
    for said in (mistake.diagnosis, f"help: {mistake.remedy}", mistake.hides, *mistake.seen, *mistake.errata):
        assert " ".join(said.split()) in flat
    assert re.search(r"\b[Yy]our? ", mistake.diagnosis), "not in the second person"
    example = text.split("For example, ")[1]
    assert "your " in example
    assert "right " in example
    only_shape = {"ignored-stride", "ignored-padding", "pad-order", "same-dilation-1"}
    only_shape |= {"pool-default-stride", "pool-rounded-up", "db-kept-axes"}
    assert "*" in example or mistake.id in only_shape
    assert len(re.findall(r"\d+", example)) <= 60, "too large to do by hand"
    assert len(text.splitlines()) <= LINES
    assert max(map(len, text.splitlines())) <= WIDTH


ERRATA = {
    "flipped-kernel": ("ERR-D1", ["*13 *31        9 32", "*15  *5       14 26"]),
    "dw-product-of-means": ("ERR-D2", ["*10       13"]),
    "dw-scrambled-map": ("ERR-D3", ["0 1        10 11", "2 3        12 13"]),
    "dense-updated-weights": ("ERR-D4", ["2    1   1   *1.6      2"]),
    "missing-bias": ("ERR-D5", ["-3   -1   -3   *3            0"]),
    "prime-of-input": ("ERR-D10", ["2   *-2           0.104994"]),
}


@pytest.mark.spec("ORC-D8")
def test_mistakes_of_the_article_are_explained_with_the_numbers_of_their_errata() -> None:
    assert {m.id: m.errata for m in MISTAKES.values() if m.errata} == {m: (e,) for m, (e, _) in ERRATA.items()}
    for mistake, (erratum, lines) in ERRATA.items():
        text = explain_mistakes(mistake)
        assert f"Erratum: reference-cnn explain {erratum}" in text
        assert explain(erratum).startswith(erratum)
        assert [line for line in lines if line not in text] == []
    # For the first filter the maps become [[0, 2], [10, 12]], which meet the image [[1, 2], [3, 4]].
    assert f"\n*{0 * 1 + 2 * 2 + 10 * 3 + 12 * 4} " in explain_mistakes("dw-scrambled-map")


@pytest.mark.spec("ORC-D8")
def test_mistakes_compose_and_leave_other_functions_alone() -> None:
    x, w, b = (np.random.default_rng(0).integers(-5, 6, s) for s in ((2, 2, 5, 5), (3, 2, 2, 2), (3,)))
    flipped = MISTAKES["missing-bias"].change(
        "conv_forward", MISTAKES["flipped-kernel"].change("conv_forward", conv_forward)
    )
    assert np.array_equal(flipped(x, w, b, stride=2), conv_forward(x, w[..., ::-1, ::-1], stride=2))
    assert MISTAKES["missing-bias"].change("sigmoid", reference_cnn.sigmoid) is reference_cnn.sigmoid


@pytest.mark.spec("ORC-D8")
def test_a_convention_is_the_same_in_both_passes() -> None:
    """Backward of the flipped kernel is the derivative of the forward with the flipped kernel."""
    x, w = (np.random.default_rng(0).integers(-5, 6, s).astype(float) for s in ((2, 2, 5, 4), (3, 2, 2, 3)))
    forward, backward = (accepted(f, ["flipped-kernel"]) for f in ("conv_forward", "conv_backward"))
    assert np.array_equal(forward(x, w), naive_forward(x, w, flip=True))
    dz = np.arange(forward(x, w).size).reshape(forward(x, w).shape) - 3.0
    dx, dw, _ = backward(dz, x, w)
    assert (dz * forward(x, w)).sum() == (dx * x).sum() == (dw * w).sum()
    assert not np.array_equal(dw, conv_backward(dz, x, w).dw)


@pytest.mark.spec("ORC-D8")
def test_no_two_mistakes_are_the_same() -> None:
    for function in LAYERS:
        asked = [c for c in cases(function) if c.size < 400]
        known = [
            (m, i, answers(made(function, (m, i)), asked)) for m, i in ways(function) if m.id not in (*SILENT, *FAINT)
        ]
        for k, (one, i, given) in enumerate(known):
            for other, j, others in known[:k]:
                assert one is other or not alike(given, others), f"{one.id} {i} and {other.id} {j} in {function}"


def test_the_command_explains_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "flipped-kernel"]) == 0
    assert capsys.readouterr().out.startswith("flipped-kernel: a difference of convention")
    assert main(["explain", "dw-product-of-means+missing-bias"]) == 0
    assert "\n\nmissing-bias: an error" in capsys.readouterr().out
    assert main(["explain", "fliped-kernel"]) == 2
    assert "there is no 'fliped-kernel'; did you mean flipped-kernel?" in capsys.readouterr().err
