"""PyTorch: the operators of `torch.nn.functional`, and its automatic differentiation for what goes backward.

Pads that an operator does not know itself are put on before it.
"""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch.nn import functional

from reference_cnn._validate import Array
from reference_cnn._windows import Windows
from reference_cnn.oracle.targets.ask import of_torch

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVG_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def conv_forward(x: Array, w: Array, b: Array | None = None, **options: Any) -> Array:
    """conv1d, conv2d and conv3d."""
    arrays = (x, w) if b is None else (x, w, b)
    return of_torch(_conv(*map(_tensor, arrays), windows=_conv_windows(x, w, options), groups=options.get("groups", 1)))


def conv_backward(dz: Array, x: Array, w: Array, **options: Any) -> list[Array]:
    """The gradients of the same, of a bias of zeros too."""
    windows, groups = _conv_windows(x, w, options), options.get("groups", 1)
    arrays = (x, w, np.zeros(len(w), x.dtype))
    return _gradients(lambda x, w, b: _conv(x, w, b, windows=windows, groups=groups), dz, *arrays)


def dense_forward(x: Array, w: Array, b: Array | None = None) -> Array:
    """`linear`, which takes the weights the other way round."""
    return of_torch(functional.linear(_tensor(x), _tensor(w).T, None if b is None else _tensor(b)))


def dense_backward(dz: Array, x: Array, w: Array) -> list[Array]:
    """The gradients of the same, of a bias of zeros too."""
    arrays = (x, w, np.zeros(w.shape[1], x.dtype))
    return _gradients(lambda x, w, b: functional.linear(x, w.T, b), dz, *arrays)


def sigmoid(z: Array) -> Array:
    """torch.sigmoid."""
    return of_torch(torch.sigmoid(_tensor(z)))


def sigmoid_prime(z: Array) -> Array:
    """Its gradient."""
    return _gradients(torch.sigmoid, np.ones_like(z), z)[0]


def relu(z: Array) -> Array:
    """torch.relu."""
    return of_torch(torch.relu(_tensor(z)))


def relu_prime(z: Array) -> Array:
    """Its gradient."""
    return _gradients(torch.relu, np.ones_like(z), z)[0]


def softmax(z: Array) -> Array:
    """torch.softmax."""
    return of_torch(torch.softmax(_tensor(z), -1))


def max_pool_forward(x: Array, window: Any, **options: Any) -> Array:
    """max_pool1d, max_pool2d and max_pool3d."""
    return of_torch(_max_pool(_tensor(x), _pool_windows(x, window, options)))


def max_pool_backward(dy: Array, x: Array, window: Any, **options: Any) -> Array:
    """Their gradient."""
    windows = _pool_windows(x, window, options)
    return _gradients(lambda x: _max_pool(x, windows), dy, x)[0]


def avg_pool_forward(x: Array, window: Any, *, include_padding: bool = False, **options: Any) -> Array:
    """avg_pool1d, avg_pool2d and avg_pool3d."""
    return of_torch(_avg_pool(_tensor(x), _pool_windows(x, window, options), include_padding))


def avg_pool_backward(dy: Array, x: Array, window: Any, *, include_padding: bool = False, **options: Any) -> Array:
    """Their gradient."""
    windows = _pool_windows(x, window, options)
    return _gradients(lambda x: _avg_pool(x, windows, include_padding), dy, x)[0]


def squared_error(o: Array, y: Array) -> Array:
    """Half of mse_loss, summed."""
    return of_torch(functional.mse_loss(_tensor(o), _tensor(y), reduction="sum") / 2)


def squared_error_prime(o: Array, y: Array) -> Array:
    """Its gradient."""
    return _gradients(lambda o: functional.mse_loss(o, _tensor(y), reduction="sum") / 2, np.ones((), o.dtype), o)[0]


def cross_entropy(z: Array, labels: Array) -> Array:
    """cross_entropy, summed."""
    return of_torch(functional.cross_entropy(_tensor(z), torch.from_numpy(labels), reduction="sum"))


def cross_entropy_prime(z: Array, labels: Array) -> Array:
    """Its gradient."""
    target = torch.from_numpy(labels)
    return _gradients(lambda z: functional.cross_entropy(z, target, reduction="sum"), np.ones((), z.dtype), z)[0]


def _conv(x: Any, w: Any, b: Any = None, *, windows: Windows, groups: int) -> Any:
    x, pads = _padded(x, windows, 0.0, own=True)
    return CONV[x.ndim - 2](x, w, b, windows.stride, pads, windows.dilation, groups)


def _max_pool(x: Any, windows: Windows) -> Any:
    x, pads = _padded(x, windows, -torch.inf, own=_half(windows))
    return MAX_POOL[x.ndim - 2](x, windows.kernel, windows.stride, pads, windows.dilation)


def _avg_pool(x: Any, windows: Windows, include_padding: bool) -> Any:
    padded, pads = _padded(x, windows, 0.0, own=_half(windows))
    if padded is not x and not include_padding:
        raise NotImplementedError("what is put on before the operator, it cannot leave out of the mean")
    return AVG_POOL[x.ndim - 2](padded, windows.kernel, windows.stride, pads, False, include_padding)


def _padded(x: Any, windows: Windows, fill: float, *, own: bool) -> tuple[Any, tuple[int, ...]]:
    """Return x and the pads that are left to the operator: all if it can have its own, on both sides alike."""
    before = tuple(before for before, _ in windows.pads)
    if own and all(one == other for one, other in windows.pads):
        return x, before
    around = [side for pair in reversed(windows.pads) for side in pair]
    return functional.pad(x, around, value=fill), (0,) * len(before)


def _half(windows: Windows) -> bool:
    """Whether the pads are at most half the window, as the pooling operators want them."""
    return all(before <= k // 2 for (before, _), k in zip(windows.pads, windows.kernel))


def _conv_windows(x: Array, w: Array, options: dict[str, Any]) -> Windows:
    given = {"stride": 1, "padding": 0, "dilation": 1} | {k: v for k, v in options.items() if k != "groups"}
    return Windows.of("torch", x.shape[2:], w.shape[2:], **given)


def _pool_windows(x: Array, window: Any, options: dict[str, Any]) -> Windows:
    kernel = window if isinstance(window, tuple) else (window,) * (x.ndim - 2)
    given: dict[str, Any] = {"stride": kernel, "padding": 0, "dilation": 1} | options
    return Windows.of("torch", x.shape[2:], kernel, **given)


def _tensor(array: Array) -> Any:
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _gradients(function: Callable[..., Any], upstream: Array, *arrays: Array) -> list[Array]:
    tensors = [_tensor(a).requires_grad_() for a in arrays]
    gradients = torch.autograd.grad(function(*tensors), tensors, _tensor(upstream))
    return [of_torch(g) for g in gradients]
