"""The layers as ONNX's operators, whoever runs them.

Pads are handed on as `pads`, "same" and "valid" as `auto_pad`, so that both ways of an operator are judged.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, helper

from reference_cnn._validate import Array

# Versions that the oldest supported onnx, and the newest ONNX Runtime, both know.
OPSET, IR_VERSION = 21, 10


class Operators:
    """Conv, Gemm, the activations, MaxPool, AveragePool and SoftmaxCrossEntropyLoss."""

    def __init__(self, execute: Callable[[ModelProto, dict[str, Array]], Any]) -> None:
        """Take what runs a model of one node and returns its one output."""
        self.execute = execute

    def run(self, operator: str, inputs: list[Array], attributes: dict[str, Any]) -> Array:
        """Run one operator."""
        names = ["x", "w", "b"][: len(inputs)]
        element = helper.np_dtype_to_tensor_dtype
        graph = helper.make_graph(
            [helper.make_node(operator, names, ["y"], **attributes)],
            operator,
            [helper.make_tensor_value_info(name, element(a.dtype), a.shape) for name, a in zip(names, inputs)],
            [helper.make_tensor_value_info("y", element(inputs[0].dtype), None)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        return np.asarray(self.execute(model, dict(zip(names, inputs))))

    def conv_forward(
        self,
        x: Array,
        w: Array,
        b: Array | None = None,
        *,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Array:
        """The operator Conv."""
        rank = x.ndim - 2
        attributes: dict[str, Any] = {
            "kernel_shape": w.shape[2:],
            "strides": _per_axis(stride, rank),
            "dilations": _per_axis(dilation, rank),
            "group": groups,
        }
        attributes |= _padding(padding, rank)
        return self.run("Conv", [x, w] if b is None else [x, w, b], attributes)

    def dense_forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        """The operator Gemm."""
        return self.run("Gemm", [x, w] if b is None else [x, w, b], {})

    def sigmoid(self, z: Array) -> Array:
        """The operator Sigmoid."""
        return self.run("Sigmoid", [z], {})

    def relu(self, z: Array) -> Array:
        """The operator Relu."""
        return self.run("Relu", [z], {})

    def softmax(self, z: Array) -> Array:
        """The operator Softmax."""
        return self.run("Softmax", [z], {"axis": -1})

    def max_pool_forward(self, x: Array, window: Any, **options: Any) -> Array:
        """The operator MaxPool."""
        return self.run("MaxPool", [x], _pool(x, window, options))

    def avg_pool_forward(self, x: Array, window: Any, *, include_padding: bool = False, **options: Any) -> Array:
        """The operator AveragePool."""
        return self.run("AveragePool", [x], _pool(x, window, options) | {"count_include_pad": int(include_padding)})

    def cross_entropy(self, z: Array, labels: Array) -> Array:
        """The operator SoftmaxCrossEntropyLoss, summed."""
        return self.run("SoftmaxCrossEntropyLoss", [z, labels], {"reduction": "sum"})


def _pool(x: Array, window: Any, options: dict[str, Any]) -> dict[str, Any]:
    rank = x.ndim - 2
    kernel = _per_axis(window, rank)
    given = {"stride": kernel, "dilation": 1, "padding": 0} | options
    attributes = {"kernel_shape": kernel, "strides": _per_axis(given["stride"], rank)}
    if "dilation" in options:
        attributes["dilations"] = _per_axis(given["dilation"], rank)
    return attributes | _padding(given["padding"], rank)


def _padding(padding: Any, rank: int) -> dict[str, Any]:
    if isinstance(padding, str):
        return {"auto_pad": {"same": "SAME_UPPER", "valid": "VALID"}[padding]}
    pairs = [p if isinstance(p, tuple) else (p, p) for p in _per_axis(padding, rank)]
    return {"pads": [before for before, _ in pairs] + [after for _, after in pairs]}


def _per_axis(value: Any, rank: int) -> Any:
    return value if isinstance(value, tuple) else (value,) * rank
