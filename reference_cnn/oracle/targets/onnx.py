"""ONNX's reference evaluator."""

from typing import Any

from onnx import ModelProto
from onnx.reference import ReferenceEvaluator

from reference_cnn._validate import Array
from reference_cnn.oracle.targets.operators import Operators


def _execute(model: ModelProto, inputs: dict[str, Array]) -> Any:
    outputs: Any = ReferenceEvaluator(model).run(None, inputs)
    return outputs[0]


target = Operators(_execute)
