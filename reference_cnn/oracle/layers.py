"""What the oracle knows about each function: its arguments, its outputs, and what their axes are called."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import reference_cnn as reference

# Functions of one family are asked with calls of the same shapes.
Family = Literal["conv", "dense", "activation", "softmax", "max pool", "average pool", "error", "logits"]
# Those whose arrays are images.
WINDOWED: tuple[Family, ...] = ("conv", "max pool", "average pool")

SPACE = {1: ("position",), 2: ("row", "column"), 3: ("depth", "row", "column")}


@dataclass(frozen=True)
class Layer:
    """One function that a target may offer.

    `arguments` are its arrays, `positional` the options that follow them without a keyword, `outputs` the names of its
    results in order.
    """

    family: Family
    reference: Callable[..., Any]
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    clauses: tuple[str, ...]
    positional: tuple[str, ...] = ()


def _layers() -> dict[str, Layer]:
    gradients = ("dx", "dw", "db")
    window = ("window",)
    rows: list[tuple[Any, ...]] = [
        ("conv", "conv_forward", ("x", "w", "b"), ("z",), ("CONV-F1",)),
        ("conv", "conv_backward", ("dz", "x", "w"), gradients, ("CONV-B1", "CONV-B2", "CONV-B3")),
        ("dense", "dense_forward", ("x", "w", "b"), ("z",), ("DENSE-F1",)),
        ("dense", "dense_backward", ("dz", "x", "w"), gradients, ("DENSE-B1", "DENSE-B2", "DENSE-B3")),
        ("activation", "sigmoid", ("z",), ("a",), ("ACT-F1",)),
        ("activation", "sigmoid_prime", ("z",), ("a_prime",), ("ACT-B1",)),
        ("activation", "relu", ("z",), ("a",), ("ACT-F2",)),
        ("activation", "relu_prime", ("z",), ("a_prime",), ("ACT-B2",)),
        ("max pool", "max_pool_forward", ("x",), ("y",), ("POOL-F1",), window),
        ("max pool", "max_pool_backward", ("dy", "x"), ("dx",), ("POOL-B1",), window),
        ("average pool", "avg_pool_forward", ("x",), ("y",), ("POOL-F2",), window),
        ("average pool", "avg_pool_backward", ("dy", "x"), ("dx",), ("POOL-B2",), window),
        ("softmax", "softmax", ("z",), ("a",), ("ACT-F3",)),
        ("softmax", "softmax_backward", ("da", "a"), ("dz",), ("ACT-B3",)),
        ("error", "squared_error", ("o", "y"), ("E",), ("LOSS-F1",)),
        ("error", "squared_error_prime", ("o", "y"), ("do",), ("LOSS-B1",)),
        ("logits", "cross_entropy", ("z", "labels"), ("E",), ("LOSS-F2",)),
        ("logits", "cross_entropy_prime", ("z", "labels"), ("dz",), ("LOSS-B2",)),
    ]
    return {name: Layer(family, getattr(reference, name), *rest) for family, name, *rest in rows}


LAYERS = _layers()


def axes(function: str, array: str, rank: int) -> tuple[str, ...]:
    """Names of the axes of an argument or output, "dx" like "x"."""
    space = SPACE.get(rank, tuple(f"axis {a}" for a in range(rank)))
    images, classes = ("image", "channel", *space), ("example", "class")
    named: dict[Family, dict[str, tuple[str, ...]]] = {
        "conv": {
            "x": images,
            "w": ("filter", "channel", *(f"kernel {s}" for s in space)),
            "b": ("filter",),
            "z": ("image", "filter", *space),
        },
        "dense": {
            "x": ("example", "feature"),
            "w": ("feature", "neuron"),
            "b": ("neuron",),
            "z": ("example", "neuron"),
        },
        "max pool": {"x": images, "y": images},
        "average pool": {"x": images, "y": images},
        "logits": {"z": classes, "labels": classes[:1], "E": ()},
        "error": {"E": ()},
    }
    plain = tuple(f"axis {a}" for a in range(rank))
    return named.get(LAYERS[function].family, {}).get(array.removeprefix("d"), plain)


def channels_last(names: tuple[str, ...], array: str) -> tuple[str, ...]:
    """The axes of an image or a kernel as a target with the channels last has them: behind the spatial ones."""
    kernel = array.removeprefix("d") == "w"
    return (*names[2:], names[1], names[0]) if kernel else (names[0], *names[2:], *names[1:2])


def signature(function: str) -> str:
    """How a function is called, without types."""
    found = inspect.signature(LAYERS[function].reference)
    bare = [p.replace(annotation=p.empty) for p in found.parameters.values()]
    return f"{function}{found.replace(parameters=bare, return_annotation=found.empty)}"


def several(axis: str) -> str:
    """What is counted along an axis of this name: its plural."""
    if axis.startswith("axis "):
        return f"entries along {axis}"
    return f"{axis[:-1]}ies" if axis.endswith("y") else f"{axis}es" if axis.endswith("s") else f"{axis}s"
