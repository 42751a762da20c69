"""Rung 2: PyTorch's convolutions and their gradients, in float64 and float32."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from strategies import Array, conv_calls, seeds

from reference_cnn.oracle import Case
from reference_cnn.oracle.call import Call, windows_of

CONV = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}


class Witness:
    """PyTorch's convolution for one call; its pads are put on first, since PyTorch has no asymmetric ones."""

    def __init__(self, call: Call) -> None:
        self.pads = [p for pair in reversed(windows_of(call).pads) for p in pair]

    def forward(self, x: Any, w: Any, b: Any = None, *, padding: Any = 0, **options: Any) -> Any:
        x, w = torch.as_tensor(x), torch.as_tensor(w)
        padded = torch.nn.functional.pad(x, self.pads)
        return CONV[x.ndim - 2](padded, w, None if b is None else torch.as_tensor(b), **options)

    def backward(self, dz: Array, x: Array, w: Array, **options: Any) -> Any:
        leaves = [torch.tensor(a, requires_grad=True) for a in (x, w, np.zeros(len(w), w.dtype))]
        self.forward(*leaves, **options).backward(torch.tensor(dz))
        return [leaf.grad for leaf in leaves]


@pytest.mark.spec("CONV-F1", "CONV-B1", "CONV-B2", "CONV-B3", "RND-N1")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=100)
@given(conv_calls(), seeds)
def test_convolution_and_its_gradients(dtype: str, call: Call, seed: int) -> None:
    witness = Witness(call)
    for tier in ("exact", "rounding"):
        Case("conv_forward", call, tier, dtype, seed).check(witness.forward)
        Case("conv_backward", call.without_bias(), tier, dtype, seed).check(witness.backward)
