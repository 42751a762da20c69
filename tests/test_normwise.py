"""Fourier's and Winograd's algorithms: rejected as direct ones, admitted by name, and wrong when they are wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from diagnosing import made, ways
from strategies import Array

from reference_cnn import conv_backward, conv_forward
from reference_cnn.cli import main
from reference_cnn.oracle import cases, check
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.targets import UsageError
from reference_cnn.oracle.targets.ask import ask


def spectra(*arrays: Array, size: list[int]) -> list[Array]:
    return [np.fft.rfftn(a, size, axes=(2, 3)) for a in arrays]


def back(spectrum: Array, size: list[int]) -> Array:
    return np.fft.irfftn(spectrum, size, axes=(2, 3))


def fourier_forward(x: Array, w: Array, b: Any = None, *, stride: int = 1, padding: int = 0) -> Array:
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    size = list(x.shape[2:])
    of_x, of_w = spectra(x, w, size=size)
    z = back(np.einsum("ncij,fcij->nfij", of_x, of_w.conj()), size)
    z = z[:, :, : size[0] - w.shape[2] + 1 : stride, : size[1] - w.shape[3] + 1 : stride]
    return np.asarray(z if b is None else z + b[:, None, None])


def fourier_backward(dz: Array, x: Array, w: Array, *, stride: int = 1, padding: int = 0) -> list[Array]:
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    size = list(x.shape[2:])
    spread = np.zeros((*dz.shape[:2], *((n - 1) * stride + 1 for n in dz.shape[2:])), dz.dtype)
    spread[:, :, ::stride, ::stride] = dz
    of_dz, of_x, of_w = spectra(spread, x, w, size=size)
    dx = back(np.einsum("nfij,fcij->ncij", of_dz, of_w), size)
    dw = back(np.einsum("ncij,nfij->fcij", of_x, of_dz.conj()), size)[:, :, : w.shape[2], : w.shape[3]]
    return [dx[:, :, padding : size[0] - padding, padding : size[1] - padding], dw, dz.sum((0, 2, 3))]


# F(2, 3), as Lavin and Gray (2016) have it.
ON_X = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
ON_W = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
ON_Z = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


def winograd(x: Array, w: Array) -> Array:
    height, width = (n - 2 for n in x.shape[2:])
    x = np.pad(x, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)))
    g, t, a = (m.astype(x.dtype) for m in (ON_W, ON_X, ON_Z))
    kernel = g @ w @ g.T
    z = np.zeros((len(x), len(w), height + height % 2, width + width % 2), x.dtype)
    for i in range(0, height, 2):
        for j in range(0, width, 2):
            tile = t @ x[:, :, i : i + 4, j : j + 4] @ t.T
            z[:, :, i : i + 2, j : j + 2] = a @ np.einsum("ncij,fcij->nfij", tile, kernel) @ a.T
    return z[:, :, :height, :width]


def winograd_forward(x: Array, w: Array, b: Any = None, *, stride: Any = 1, padding: Any = 0) -> Array:
    if w.shape[2:] != (3, 3) or stride != 1 or not isinstance(padding, int):
        return conv_forward(x, w, b, stride=stride, padding=padding)
    z = winograd(np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))), w)
    return z if b is None else z + b[:, None, None]


def winograd_backward(dz: Array, x: Array, w: Array) -> Any:
    gradients = conv_backward(dz, x, w)
    if w.shape[2:] != (3, 3):
        return gradients
    around = np.pad(dz, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return gradients._replace(dx=winograd(around, w.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]))


TARGETS: dict[str, dict[str, Callable[..., Any]]] = {
    "fft": {"conv_forward": fourier_forward, "conv_backward": fourier_backward},
    "winograd": {"conv_forward": winograd_forward, "conv_backward": winograd_backward},
}
# A question with 3 by 3 kernels and many channels, for which a quick profile leaves little room.
LARGE = "x=2x16x13x12 w=4x16x3x3"


@pytest.mark.spec("RND-N5", "RND-N6", "ORC-D15")
@pytest.mark.parametrize("algorithm", TARGETS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_algorithm_passes_by_its_name_and_not_as_a_direct_one(algorithm: str, dtype: str) -> None:
    target = TARGETS[algorithm]
    for seed in range(2):
        report = check(target, dtype=dtype, seed=seed, algorithm=algorithm)
        assert report.passed, f"\n{report}"
        assert f"within the bounds of {algorithm}, in norm only" in " ".join(str(report).split())
    assert check(target, dtype=dtype, algorithm=algorithm, case=LARGE).passed
    for function in target if algorithm == "fft" else ["conv_forward"]:
        assert check(target, dtype=dtype, functions=[function]).results[function].verdict == "fail"


@pytest.mark.spec("RND-N5", "RND-N6", "ORC-D15")
@pytest.mark.parametrize("algorithm", TARGETS)
@pytest.mark.parametrize("function", ["conv_forward", "conv_backward"])
def test_every_mistake_is_wrong_under_every_algorithm(function: str, algorithm: str) -> None:
    asked = cases(function, dtype="float32", algorithm=algorithm)
    counted = [case for case in asked if case.informative]
    assert len(counted) > 0.9 * len(asked)
    for mistake, way in ways(function):
        if mistake.id in ("ignored-strides", "written-input"):
            continue  # these need other questions
        wrong = made(function, (mistake, way))
        assert any(judge(case, ask(wrong, case)).failure for case in counted), f"{mistake.id} {way}"


@pytest.mark.spec("ORC-D15")
def test_whole_numbers_count_as_far_as_the_bound_tells_them_apart() -> None:
    for algorithm in TARGETS:
        for case in cases("conv_forward", dtype="float32", algorithm=algorithm, tiers=("exact",)):
            bound = case.expected["z"].bound
            assert case.informative == bool((bound < 0.5).all())
            judged = judge(case, ask(lambda *a, **o: conv_forward(*a, **o) + 1, case))
            assert judged.failure or not case.informative
    vague = check("reference", dtype="float32", algorithm="fft", case="x=1x4000x7x7 w=2x4000x3x3")
    assert vague.results["conv_forward"].uninformative


def test_an_algorithm_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="algorithm must be one of direct, winograd, fft, is 'strassen'"):
        cases("conv_forward", algorithm="strassen")
    assert main(["check", "reference", "--only", "conv_forward", "--algorithm", "fft", "--profile", "quick"]) == 0
    assert "in norm only" in " ".join(capsys.readouterr().out.split())
