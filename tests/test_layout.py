"""Channels last: the same verdicts on targets that have them there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import Array

import reference_cnn as reference
from reference_cnn.oracle import check


def first(name: str, a: Any) -> Any:
    if not isinstance(a, np.ndarray) or a.ndim < 3:
        return a
    return np.moveaxis(a, (-1, -2), (0, 1)) if "w" in name else np.moveaxis(a, -1, 1)


def last(name: str, a: Array) -> Array:
    if a.ndim < 3:
        return a
    return np.moveaxis(a, (0, 1), (-1, -2)) if "w" in name else np.moveaxis(a, 1, -1)


def conv_forward(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    return last("z", reference.conv_forward(first("x", x), first("w", w), b, **options))


def conv_backward(dz: Array, x: Array, w: Array, **options: Any) -> Any:
    gradients = reference.conv_backward(first("dz", dz), first("x", x), first("w", w), **options)
    return {name: last(name, g) for name, g in gradients._asdict().items()}


def max_pool_backward(dy: Array, x: Array, window: Any, **options: Any) -> Array:
    return last("dx", reference.max_pool_backward(first("dy", dy), first("x", x), window, **options))


RIGHT: dict[str, Callable[..., Any]] = {
    "conv_forward": conv_forward,
    "conv_backward": conv_backward,
    "max_pool_backward": max_pool_backward,
    "dense_forward": reference.dense_forward,
}


@pytest.mark.spec("ORC-D11")
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_right_targets_pass_in_their_layout_only(rank: int) -> None:
    report = check(RIGHT, layout="channels_last", rank=rank)
    assert report.passed, f"\n{report}"
    assert sum(r.verdict == "pass" for r in report.results.values()) == len(RIGHT)
    assert not check({"conv_forward": conv_forward}, rank=rank).passed
    assert not check({"conv_forward": reference.conv_forward}, layout="channels_last", rank=rank).passed


@pytest.mark.spec("ORC-D11", "ORC-N2")
def test_mistakes_and_side_effects_are_found_there_too(tmp_path: Path) -> None:
    def flipped(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
        return conv_forward(x, w[::-1, ::-1], b, **options)

    def written(x: Array, w: Array, b: Any = None) -> Array:
        z = conv_forward(x, w, b)
        x *= 0
        return z

    failure = check({"conv_forward": flipped}, layout="channels_last").results["conv_forward"].failure
    assert failure is not None
    assert "layout='channels_last'" in failure.reproduce
    impure = check({"conv_forward": written}, layout="channels_last").results["conv_forward"].failure
    assert impure is not None
    assert impure.message == "it writes into x"
    file = tmp_path / "last.py"
    file.write_text(
        "import numpy as np, reference_cnn as r\n"
        "def max_pool_forward(x, window, **o):\n"
        "    return np.moveaxis(r.max_pool_forward(np.moveaxis(x, -1, 1), window, **o), 1, -1)\n"
    )
    assert check(str(file), layout="channels_last").passed


@pytest.mark.spec("ORC-D11")
def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="layout must be one of channels_first, channels_last, is 'NHWC'"):
        check(RIGHT, layout="NHWC")
