"""What the oracle knows about each function: its arguments, its outputs, and what their axes are called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import reference_cnn as reference

SPACE = {1: ("position",), 2: ("row", "column"), 3: ("depth", "row", "column")}


@dataclass(frozen=True)
class Layer:
    """One function that a target may offer; `outputs` are the names of its results in order."""

    reference: Callable[..., Any]
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    clauses: tuple[str, ...]


LAYERS = {
    "conv_forward": Layer(reference.conv_forward, ("x", "w", "b"), ("z",), ("CONV-F1",)),
    "conv_backward": Layer(
        reference.conv_backward, ("dz", "x", "w"), ("dx", "dw", "db"), ("CONV-B1", "CONV-B2", "CONV-B3")
    ),
    "dense_forward": Layer(reference.dense_forward, ("x", "w", "b"), ("z",), ("DENSE-F1",)),
    "dense_backward": Layer(
        reference.dense_backward, ("dz", "x", "w"), ("dx", "dw", "db"), ("DENSE-B1", "DENSE-B2", "DENSE-B3")
    ),
    "sigmoid": Layer(reference.sigmoid, ("z",), ("a",), ("ACT-F1",)),
    "sigmoid_prime": Layer(reference.sigmoid_prime, ("z",), ("a_prime",), ("ACT-B1",)),
}


def axes(function: str, array: str, rank: int) -> tuple[str, ...]:
    """Names of the axes of an argument or output, "dx" like "x"."""
    space = SPACE.get(rank, tuple(f"axis {a}" for a in range(rank)))
    named = {
        "x": ("image", "channel", *space),
        "w": ("filter", "channel", *(f"kernel {s}" for s in space)),
        "b": ("filter",),
        "z": ("image", "filter", *space),
    }
    if function.startswith("dense"):
        named = {"x": ("example", "feature"), "w": ("feature", "neuron"), "b": ("neuron",), "z": ("example", "neuron")}
    if function.startswith("sigmoid"):
        return tuple(f"axis {a}" for a in range(rank))
    return named[array.removeprefix("d")]
