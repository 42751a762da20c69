"""Rung 2: ONNX's reference evaluator, and ONNX's own node tests."""

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from onnx import helper
from onnx.backend.test.case.node import collect_testcases
from strategies import conv_calls, dense_calls, seeds

import reference_cnn as reference
from reference_cnn._windows import Windows
from reference_cnn.oracle import Case, cases, check
from reference_cnn.oracle.call import Call
from reference_cnn.oracle.targets.onnx import target as onnx


@pytest.mark.spec("CONV-F1", "CONV-D2", "WIN-D1", "WIN-D2", "WIN-D3", "RND-N1")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=150)
@given(conv_calls(), seeds)
def test_conv_agrees_within_the_bound(dtype: str, call: Call, seed: int) -> None:
    Case("conv_forward", call, "rounding", dtype, seed).check(onnx.conv_forward)


@pytest.mark.spec("DENSE-F1", "RND-N1")
@given(dense_calls(), seeds)
def test_gemm_agrees_within_the_bound(call: Call, seed: int) -> None:
    Case("dense_forward", call, "rounding", "float64", seed).check(onnx.dense_forward)


@pytest.mark.spec("ACT-F1", "RND-N2")
@pytest.mark.parametrize("case", cases("sigmoid"), ids=str)
def test_sigmoid_agrees_within_the_bound(case: Case) -> None:
    case.check(onnx.sigmoid)


@pytest.mark.spec("ORC-D3", "ORC-D5")
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_built_in_target_passes(rank: int) -> None:
    for seed in range(5):
        report = check("onnx", rank=rank, seed=seed, functions=["conv_forward", "dense_forward", "sigmoid"])
        assert report.passed, f"\n{report}"
        assert report.results["conv_forward"].not_offered == ()


@cache
def node_tests() -> dict[str, list[Any]]:
    """ONNX's tests of single nodes by operator; they are registered once, when their modules are first imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # making the tests of other operators overflows, which is theirs to do
        collected = collect_testcases(None)
    found: dict[str, list[Any]] = {}
    for test in collected:
        if test.model and len(test.model.graph.node) == 1:
            found.setdefault(test.model.graph.node[0].op_type, []).append(test)
    return found


def options_of(attributes: dict[str, Any], rank: int) -> dict[str, Any]:
    """Attributes of the operator Conv as keyword arguments."""
    pads = attributes.get("pads", [0] * 2 * rank)
    automatic = {"NOTSET": tuple(zip(pads[:rank], pads[rank:])), "SAME_UPPER": "same", "VALID": "valid"}
    padding = automatic.get(attributes.get("auto_pad", b"NOTSET").decode())
    return {
        "stride": tuple(attributes.get("strides", [1] * rank)),
        "dilation": tuple(attributes.get("dilations", [1] * rank)),
        "groups": attributes.get("group", 1),
        "padding": padding,
    }


@pytest.mark.spec("CONV-F1", "DENSE-F1", "ACT-F1", "WIN-D2")
def test_onnx_own_node_tests() -> None:
    asked = []
    for operator in ("Conv", "Gemm", "Sigmoid"):
        for test in node_tests()[operator]:
            attributes = {a.name: helper.get_attribute_value(a) for a in test.model.graph.node[0].attribute}
            for inputs, (expected,) in test.data_sets:
                if operator == "Conv":
                    x, w, *b = inputs
                    options = options_of(attributes, x.ndim - 2)
                    if options["padding"] is None:  # SAME_LOWER: the pads of "same", the other way round
                        windows = Windows.of(
                            "test", x.shape[2:], w.shape[2:], options["stride"], "same", options["dilation"]
                        )
                        options["padding"] = tuple(p[::-1] for p in windows.pads)
                    got = reference.conv_forward(x, w, *b, **options)
                elif operator == "Gemm":
                    a, b_, *c = inputs
                    a = attributes.get("alpha", 1.0) * (a.T if attributes.get("transA") else a)
                    z = reference.dense_forward(a, b_.T if attributes.get("transB") else b_)
                    got = z + attributes.get("beta", 1.0) * (c[0] if c else 0)
                else:
                    got = reference.sigmoid(*inputs)
                # Their answers are float32, and were computed in it.
                np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
                asked.append(test.name)
    assert len(asked) >= 15
    assert {n.split("_")[1] for n in asked} >= {"conv", "gemm", "sigmoid", "basic"}
