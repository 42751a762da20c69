"""The other libraries that benchmark.py measures: calls on the same arrays, by name."""

import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn._validate import Array

Sizes = tuple[int, ...]
Shape = tuple[Sizes, Sizes, dict[str, int]]
Call = Callable[[], Any]


def torch_settings(threads: int) -> dict[str, Call]:
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return {}


def torch_conv(shape: Shape, data: tuple[Array, ...], dtype: str) -> dict[str, Call]:
    import torch

    x, w, b, dz = map(torch.from_numpy, data)
    rank, options = x.ndim - 2, shape[2]
    conv = [torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d][rank - 1]
    s, p, d = ([options.get(k, v)] * rank for k, v in (("stride", 1), ("padding", 0), ("dilation", 1)))
    rest = (dz, x, w, [len(w)], s, p, d, False, [0] * rank, options.get("groups", 1), [True] * 3)
    return {
        "torch forward": lambda: conv(x, w, b, s, p, d, options.get("groups", 1)),
        "torch backward": lambda: torch.ops.aten.convolution_backward(*rest),
    }


def jax_conv(shape: Shape, data: tuple[Array, ...], dtype: str) -> dict[str, Call]:
    import jax

    x, w, b, dz = map(jax.numpy.asarray, data)
    rank, o = x.ndim - 2, shape[2]

    def conv(x: Any, w: Any, b: Any) -> Any:
        z = jax.lax.conv_general_dilated(
            x, w, [o.get("stride", 1)] * rank, [(o.get("padding", 0),) * 2] * rank,
            rhs_dilation=[o.get("dilation", 1)] * rank, feature_group_count=o.get("groups", 1),
        )  # fmt: skip
        return z + b.reshape(-1, *[1] * rank)

    derivative: Callable[..., Any] = jax.vjp
    forward, backward = jax.jit(conv), jax.jit(lambda dz, *a: derivative(conv, *a)[1](dz))
    wait: Callable[[Any], Any] = jax.block_until_ready
    return {"jax forward": lambda: wait(forward(x, w, b)), "jax backward": lambda: wait(backward(dz, x, w, b))}


def keras_conv(shape: Shape, data: tuple[Array, ...], dtype: str) -> dict[str, Call]:
    import jax
    from keras import ops

    options: dict[str, Any] = dict(shape[2])
    if options.pop("padding", 0):
        options["padding"] = "same"  # of the same size; which side has the odd zero does not matter to the time
    options = {{"stride": "strides", "dilation": "dilation_rate"}.get(k, k): v for k, v in options.items()}
    options.pop("groups", None)
    x, w = jax.numpy.asarray(data[0]), jax.numpy.asarray(np.moveaxis(data[1], (0, 1), (-1, -2)))
    conv = jax.jit(lambda x, w: ops.conv(x, w, data_format="channels_first", **options))
    wait: Callable[[Any], Any] = jax.block_until_ready
    return {"keras forward": lambda: wait(conv(x, w))}


def onnxruntime_conv(shape: Shape, data: tuple[Array, ...], dtype: str) -> dict[str, Call]:
    if dtype == "float64":  # its Conv is for float32
        return {}
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    # Or its threads would go on waiting in a loop while the others are measured.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = onnx_model(shape, data).SerializeToString()
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    feed = dict(zip("xwb", data))
    return {"onnxruntime forward": lambda: session.run(None, feed)}


def onnx_model(shape: Shape, data: tuple[Array, ...]) -> Any:
    from onnx import helper

    rank, o = data[0].ndim - 2, shape[2]
    attributes: dict[str, Any] = {"strides": [o.get("stride", 1)] * rank, "dilations": [o.get("dilation", 1)] * rank}
    attributes |= {"pads": [o.get("padding", 0)] * 2 * rank, "group": o.get("groups", 1)}
    element = helper.np_dtype_to_tensor_dtype(data[0].dtype)
    inputs = [helper.make_tensor_value_info(n, element, a.shape) for n, a in zip("xwb", data)]
    output = [helper.make_tensor_value_info("z", element, None)]
    graph = helper.make_graph([helper.make_node("Conv", list("xwb"), ["z"], **attributes)], "conv", inputs, output)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def onnx_conv(shape: Shape, data: tuple[Array, ...]) -> dict[str, Call]:
    from onnx.reference import ReferenceEvaluator

    session, feed = ReferenceEvaluator(onnx_model(shape, data)), dict(zip("xwb", data))
    return {"onnx forward": lambda: session.run(None, feed)}


def scipy_conv(shape: Shape, data: tuple[Array, ...]) -> dict[str, Call]:
    from scipy.signal import correlate2d

    x, w, b, dz = data
    p, s = shape[2].get("padding", 0), shape[2].get("stride", 1)
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))

    def conv() -> Array:
        z = np.empty_like(dz)
        for n, f in itertools.product(range(len(x)), range(len(w))):
            z[n, f] = b[f] + sum(correlate2d(i, k, "valid")[::s, ::s] for i, k in zip(padded[n], w[f]))
        return z

    return {"scipy forward": conv}


def torch_pool(kind: str, x: Array, dy: Array, window: int, options: dict[str, int]) -> dict[str, Call]:
    import torch

    tx, tdy = torch.from_numpy(x), torch.from_numpy(dy)
    k, s, p = ([v] * 2 for v in (window, options.get("stride", window), options.get("padding", 0)))
    aten = torch.ops.aten
    if kind == "avg":
        return {"torch forward": lambda: aten.avg_pool2d(tx, k, s, p, False, False),
                "torch backward": lambda: aten.avg_pool2d_backward(tdy, tx, k, s, p, False, False, None)}  # fmt: skip
    # Its backward is given the places of the maxima, ours finds them again: both passes together are what compares.
    places = aten.max_pool2d_with_indices(tx, k, s, p)[1]
    return {"torch forward": lambda: aten.max_pool2d_with_indices(tx, k, s, p),
            "torch backward": lambda: aten.max_pool2d_with_indices_backward(
                tdy, tx, k, s, p, [1, 1], False, places)}  # fmt: skip


def torch_dense(x: Array, w: Array) -> dict[str, Call]:
    import torch

    tx, tw, tb = map(torch.from_numpy, (x, w, w[0]))

    def backward() -> Any:
        dz = tx @ tw
        return dz @ tw.T, tx.T @ dz, dz.sum(0)

    return {"torch forward": lambda: torch.addmm(tb, tx, tw), "torch backward": backward}


def expit(z: Array) -> dict[str, Call]:
    from scipy import special

    return {"scipy": lambda: special.expit(z)}
