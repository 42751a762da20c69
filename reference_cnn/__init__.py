"""A verified reference implementation of a convolutional network's layers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reference_cnn.activation import relu, relu_prime, sigmoid, sigmoid_prime, softmax, softmax_backward
from reference_cnn.conv import ConvGradients, conv_backward, conv_forward
from reference_cnn.dense import DenseGradients, dense_backward, dense_forward
from reference_cnn.loss import cross_entropy, cross_entropy_prime, squared_error, squared_error_prime
from reference_cnn.pooling import avg_pool_backward, avg_pool_forward, max_pool_backward, max_pool_forward

if TYPE_CHECKING:
    from reference_cnn.gradcheck import ArgumentCheck, GradientCheck, check_gradient

__version__ = "0.1.0"

__all__ = [
    "ArgumentCheck",
    "ConvGradients",
    "DenseGradients",
    "GradientCheck",
    "avg_pool_backward",
    "avg_pool_forward",
    "check_gradient",
    "conv_backward",
    "conv_forward",
    "cross_entropy",
    "cross_entropy_prime",
    "dense_backward",
    "dense_forward",
    "max_pool_backward",
    "max_pool_forward",
    "relu",
    "relu_prime",
    "sigmoid",
    "sigmoid_prime",
    "softmax",
    "softmax_backward",
    "squared_error",
    "squared_error_prime",
]


def __getattr__(name: str) -> Any:
    """Import the gradient check when it is first asked for: it takes as long as all the layers."""
    if name in ("ArgumentCheck", "GradientCheck", "check_gradient", "gradcheck"):
        module = import_module("reference_cnn.gradcheck")
        return module if name == "gradcheck" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what is imported later, too."""
    return sorted({*globals(), *__all__})
