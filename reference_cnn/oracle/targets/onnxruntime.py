"""ONNX Runtime on its CPU provider."""

from typing import Any

import onnxruntime
from onnx import ModelProto
from onnxruntime.capi import onnxruntime_pybind11_state as state

from reference_cnn._validate import Array
from reference_cnn.oracle.targets.operators import Operators

QUIET = onnxruntime.SessionOptions()
QUIET.log_severity_level = 4  # only what is fatal: a refusal is reported by us
QUIET.intra_op_num_threads = 1  # the cases are small


def _execute(model: ModelProto, inputs: dict[str, Array]) -> Any:
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), QUIET, providers=["CPUExecutionProvider"])
        return session.run(None, inputs)[0]
    except (state.NotImplemented, state.InvalidArgument, state.RuntimeException, state.Fail) as error:
        # It says which dtypes, pads and dilations an operator does not take.
        raise NotImplementedError(str(error)) from error


target = Operators(_execute)
