"""The built-in targets: frameworks pass, but for the deviations of spec/deviations.md, each pinned here."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from strategies import Array

from reference_cnn.oracle import Case, check, notation
from reference_cnn.oracle.layers import LAYERS

# PyTorch adds up 16-bit gradients, and squares, in 16 bits.
NARROW = {
    "conv_backward": "is wrong",
    "max_pool_backward": "dx is wrong",
    "avg_pool_backward": "dx is wrong",
    "squared_error": "E is wrong",
}

# Where each target is wrong, and by what it shows; everything else that it offers passes.
DEVIATIONS: dict[tuple[str, str], dict[str, str]] = {
    ("onnx", "float64"): {
        "max_pool_forward": "y is wrong",
        "avg_pool_forward": "y is wrong",
        "cross_entropy": "E is wrong",
    },
    ("onnxruntime", "float32"): {
        "sigmoid": "a is wrong",
        "max_pool_forward": "y is wrong",
        "avg_pool_forward": "y is wrong",
        "conv_forward": "z is wrong",
    },
    ("torch", "float64"): {},
    ("torch", "float32"): {},
    ("torch", "float16"): NARROW,
    ("torch", "bfloat16"): NARROW,
}

# Where it depends on the processor whether a target is wrong (spec/deviations.md).
PROCESSOR = {("torch", "float16"): {"conv_backward"}, ("torch", "bfloat16"): {"conv_forward", "conv_backward"}}


def loses_infinity() -> bool:
    """Whether PyTorch answers ∞·3 + 3 with NaN in bfloat16, as oneDNN does where there is AVX512_BF16."""
    x = torch.tensor([[[[1, torch.inf]]]], dtype=torch.bfloat16)
    return bool(torch.nn.functional.conv2d(x, torch.full((1, 1, 1, 2), 3, dtype=torch.bfloat16)).isnan())


@pytest.mark.spec("ORC-D3", "ORC-D4", "ORC-D5", "RND-N1", "RND-N2", "RND-N4")
@pytest.mark.parametrize(("target", "dtype"), DEVIATIONS)
def test_a_framework_passes_but_for_its_deviations(target: str, dtype: str) -> None:
    report = check(target, dtype=dtype)
    wrong = {n: r.failure.message for n, r in report.results.items() if r.failure}
    known = DEVIATIONS[target, dtype]
    # What oneDNN does to 16-bit convolutions depends on the processor, and on the number of threads.
    processor = PROCESSOR.get((target, dtype), set())
    assert set(wrong) - processor == set(known) - processor, f"\n{report}"
    for name, words in [(n, w) for n, w in known.items() if n not in processor]:
        assert words in wrong[name]
    assert sum(r.verdict == "pass" for r in report.results.values()) >= 4


@pytest.mark.spec("ORC-N1")
def test_an_infinity_is_lost_in_bfloat16_where_onednn_loses_it() -> None:
    case = "x=1x1x1x2 w=1x1x1x2 b=1 dilation=1,1 inf=x"
    assert check("torch", dtype="bfloat16", functions=["conv_forward"], case=case).passed != loses_infinity()


def loses_rows() -> bool:
    """Whether PyTorch puts the rows of an output of one column in wrong places, as oneDNN does where there is AMX."""
    x, w = (torch.ones(shape, dtype=torch.bfloat16) for shape in ((1, 3, 6, 3), (1, 3, 2, 3)))
    return not bool((torch.nn.functional.conv2d(x, w, stride=(1, 2)) == 18).all())


@pytest.mark.spec("ORC-D5")
def test_rows_are_lost_in_bfloat16_where_onednn_loses_them() -> None:
    case = "x=1x3x6x3 w=1x3x2x3 stride=1,2"
    assert check("torch", dtype="bfloat16", functions=["conv_forward"], case=case).passed != loses_rows()


@pytest.mark.spec("ORC-D5", "ORC-N1")
@pytest.mark.parametrize(
    ("target", "function", "case", "words"),
    [
        ("onnx", "avg_pool_forward", "x=1x1x2x2 window=2 nan=x", "expected nan"),
        ("onnx", "avg_pool_forward", "x=1x1x1x2 window=1 stride=2 padding=same", "index can't contain negative"),
        ("onnx", "max_pool_forward", "x=1x1x2 window=1 stride=2 padding=same", "y is wrong"),
        ("onnx", "max_pool_forward", "x=1x1x2x2 window=2 stride=1,1 padding=0:1,0:1", "y has shape"),
        ("onnxruntime", "conv_forward", "x=1x1x1x4 w=1x1x1x1 stride=4 padding=same", "z is wrong"),
        ("onnxruntime", "max_pool_forward", "x=1x1x2x3 stride=2 window=2 nan=x", "expected nan"),
        ("onnxruntime", "max_pool_forward", "x=1x1x2x3 window=2 dilation=2 padding=same", "y has shape"),
    ],
)
def test_the_listed_cases(target: str, function: str, case: str, words: str) -> None:
    report = check(target, dtype="float32", functions=[function], case=case)
    assert not report.passed
    assert words in str(report)


@pytest.mark.spec("ORC-D5")
def test_narrow_sums_are_what_is_wrong_with_pytorchs_halves() -> None:
    assert check("torch", dtype="float16", accumulate="float16", functions=["conv_backward", "squared_error"]).passed


@pytest.mark.spec("ORC-D5")
def test_pytorch_on_three_axes() -> None:
    pools = [name for name, layer in LAYERS.items() if "pool" in layer.family]
    results = check("torch", rank=3, functions=pools).results
    assert {n for n, r in results.items() if r.failure} == {"avg_pool_forward", "avg_pool_backward"}
    failure = results["avg_pool_forward"].failure
    assert failure is not None
    assert "smaller than kernel size" in failure.message


@pytest.mark.spec("ORC-D5")
@pytest.mark.parametrize("target", ["jax", "keras"])
def test_jax_and_keras(target: str) -> None:
    """Each new shape is compiled, so only some functions are asked, and few drawn cases."""
    functions = ["dense_forward", "dense_backward", "sigmoid", "sigmoid_prime", "relu", "relu_prime", "softmax"]
    report = check(target, functions=functions, profile="quick")
    assert report.passed, f"\n{report}"


@pytest.mark.spec("ORC-D5")
def test_what_jax_and_keras_do_with_windows() -> None:
    pooling = check("keras", functions=["max_pool_forward"], case="x=1x1x4x4 window=2")
    assert not pooling.passed
    assert "inconsistent window_strides" in str(pooling)
    assert check("keras", functions=["max_pool_forward"], case="x=1x1x4x4 window=2 stride=2").passed
    assert check("jax", case="x=3x4x7x8 w=6x2x2x3 stride=2,1 padding=0:1,1:0 groups=2").passed


@pytest.mark.spec("RND-N1")
@pytest.mark.parametrize("target", ["jax", "keras"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_jax_adds_16_bits_in_16_bits_where_it_reduces(target: str, dtype: str) -> None:
    dense_backward = importlib.import_module(f"reference_cnn.oracle.targets.{target}").dense_backward
    case = Case("dense_backward", notation.read("x=33x5 w=5x65"), "rounding", dtype)
    with pytest.raises(AssertionError, match="db is wrong"):
        case.check(dense_backward)
    replace(case, accumulate=dtype).check(dense_backward)


@pytest.mark.spec("ORC-D4")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_tensors_that_want_a_gradient_are_read(dtype: str) -> None:
    def relu(z: Array) -> torch.Tensor:
        return torch.tensor(np.maximum(z, 0).astype(np.float64)).to(getattr(torch, dtype)).requires_grad_()

    found = check({"relu": relu}, dtype=dtype).results["relu"]
    assert found.verdict == "pass"
    assert not found.notes


@pytest.mark.spec("RND-N2")
@pytest.mark.parametrize("target", ["jax", "keras"])
@pytest.mark.parametrize("function", ["sigmoid", "sigmoid_prime"])
def test_jaxs_exponential_overflows_in_float16(target: str, function: str) -> None:
    answer = getattr(importlib.import_module(f"reference_cnn.oracle.targets.{target}"), function)
    z = np.array([-11, -11.1], np.float16)
    assert [float(a) > 0 for a in answer(z)] == [True, False]
    assert not check(target, dtype="float16", functions=[function], case="z=8x16 scale=12").passed
