"""ONNX's reference evaluator: the operators Conv, Gemm and Sigmoid.

Pads are handed on as `pads`, "same" and "valid" as `auto_pad`, so that both ways of the operator are judged.
"""

from typing import Any

import numpy as np
from onnx import helper
from onnx.reference import ReferenceEvaluator

from reference_cnn._validate import Array


def conv_forward(
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
    if isinstance(padding, str):
        attributes["auto_pad"] = {"same": "SAME_UPPER", "valid": "VALID"}[padding]
    else:
        pairs = [p if isinstance(p, tuple) else (p, p) for p in _per_axis(padding, rank)]
        attributes["pads"] = [before for before, _ in pairs] + [after for _, after in pairs]
    return _run("Conv", [x, w] if b is None else [x, w, b], attributes)


def dense_forward(x: Array, w: Array, b: Array | None = None) -> Array:
    """The operator Gemm."""
    return _run("Gemm", [x, w] if b is None else [x, w, b], {})


def sigmoid(z: Array) -> Array:
    """The operator Sigmoid."""
    return _run("Sigmoid", [z], {})


def _per_axis(value: Any, rank: int) -> Any:
    return value if isinstance(value, tuple) else (value,) * rank


def _run(operator: str, inputs: list[Array], attributes: dict[str, Any]) -> Array:
    names = ["x", "w", "b"][: len(inputs)]
    element = helper.np_dtype_to_tensor_dtype(inputs[0].dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"], **attributes)],
        operator,
        [helper.make_tensor_value_info(name, element, a.shape) for name, a in zip(names, inputs)],
        [helper.make_tensor_value_info("y", element, None)],
    )
    model = helper.make_model(graph)
    outputs: Any = ReferenceEvaluator(model).run(None, dict(zip(names, inputs)))
    return np.asarray(outputs[0])
