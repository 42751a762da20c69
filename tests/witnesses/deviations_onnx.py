"""onnx 1.22.0: the reference Conv with auto_pad really is wrong. Run by `nox -s deviations`, which installs it."""

import numpy as np
import onnx
import pytest

from reference_cnn.oracle import cases, check
from reference_cnn.oracle.call import Call, numpy_draw
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.targets.ask import ask
from reference_cnn.oracle.targets.onnx import target
from reference_cnn.oracle.windowed import draw_conv

AUTOMATIC = ('padding="same"', 'padding="valid"')


def test_this_is_the_version_with_the_defect() -> None:
    assert onnx.__version__ == "1.22.0"


@pytest.mark.spec("ORC-D5", "ORC-D6", "WIN-D3")
def test_the_check_fails_with_a_counterexample_for_pen_and_paper() -> None:
    for seed in range(5):
        report = check("onnx", seed=seed, functions=["conv_forward", "dense_forward", "sigmoid"])
        assert not report.passed
        assert {n for n, r in report.results.items() if r.failure} == {"conv_forward"}
        failure = report.results["conv_forward"].failure
        assert failure is not None
        assert failure.case.call.features & set(AUTOMATIC)
        assert failure.case.size <= 12


@pytest.mark.spec("ORC-D5")
def test_explicit_pads_are_right() -> None:
    for seed in range(5):
        for case in cases("conv_forward", seed=seed):
            if not case.call.features & set(AUTOMATIC):
                case.check(target.conv_forward)


@pytest.mark.spec("WIN-D3")
@pytest.mark.parametrize("feature", AUTOMATIC)
def test_how_often_it_is_wrong(feature: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A fifth of all random configurations or more; the figure is printed."""
    draw = numpy_draw(0)
    others = {"stride", "stride per axis", "dilation", "dilation per axis", "groups", "no b"}
    calls: list[Call] = []
    while len(calls) < 300:
        call = draw_conv(draw, 2, ({feature} | others).__contains__)
        calls += [call] * (feature in call.features)
    template = cases("conv_forward")[0]
    asked = [type(template)("conv_forward", call) for call in calls]
    wrong = np.sum([judge(c, ask(target.conv_forward, c)).failure is not None for c in asked])
    with capsys.disabled():
        print(f"\nonnx {onnx.__version__}: {feature} wrong in {wrong} of {len(calls)} random configurations")
    assert wrong > len(calls) / 5
