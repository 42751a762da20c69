"""The catalogue: known mistakes, each a function that turns an implementation into the wrong one."""

from collections.abc import Sequence

from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes.activation import ACTIVATION
from reference_cnn.oracle.mistakes.another import ANOTHER
from reference_cnn.oracle.mistakes.bias_and_dtype import BIAS_AND_DTYPE
from reference_cnn.oracle.mistakes.conv_backward import BACKWARD
from reference_cnn.oracle.mistakes.conv_dx import INPUT_GRADIENT
from reference_cnn.oracle.mistakes.conv_forward import FORWARD
from reference_cnn.oracle.mistakes.conv_windows import WINDOWS
from reference_cnn.oracle.mistakes.dense import DENSE
from reference_cnn.oracle.mistakes.entry import Implementation, Mistake
from reference_cnn.oracle.mistakes.general import GENERAL
from reference_cnn.oracle.mistakes.loss import LOSS
from reference_cnn.oracle.mistakes.pool_windows import POOL_WINDOWS
from reference_cnn.oracle.mistakes.pooling import POOLING
from reference_cnn.oracle.mistakes.tiles import TILES

__all__ = ["CONVENTIONS", "MISTAKES", "Implementation", "Mistake", "accepted", "of_function"]

# In order of likelihood, which decides between two that no case tells apart.
CONVOLUTION = (*FORWARD, *BIAS_AND_DTYPE, *WINDOWS, *BACKWARD, *INPUT_GRADIENT)
POOLINGS = (*POOLING, *POOL_WINDOWS)
MISTAKES = {m.id: m for m in (*CONVOLUTION, *DENSE, *ACTIVATION, *POOLINGS, *LOSS, *ANOTHER, *GENERAL, *TILES)}
CONVENTIONS = tuple(m.id for m in MISTAKES.values() if m.kind == "convention")


def of_function(function: str) -> list[Mistake]:
    """The mistakes that concern a function."""
    return [m for m in MISTAKES.values() if function in m.functions]


def accepted(function: str, ids: Sequence[str]) -> Implementation:
    """The reference with these mistakes in it: what answers are judged by where they are accepted."""
    implementation: Implementation = LAYERS[function].reference
    for name in ids:
        implementation = MISTAKES[name].change(function, implementation)
    return implementation
