"""Small questions to show a mistake by, the smallest first."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import reference_cnn
from reference_cnn._validate import Array


class Question(NamedTuple):
    """Arrays by name, and keyword arguments."""

    arrays: dict[str, Array]
    options: dict[str, Any]


SPACES = [(1, 1), (1, 2), (2, 1), (1, 3), (2, 2), (1, 4), (2, 3), (3, 2), (3, 3), (3, 4), (4, 4)]
KERNELS = [(1, 1), (1, 2), (2, 1), (1, 3), (2, 2), (2, 3)]
CONV_OPTIONS: list[dict[str, Any]] = [
    {},
    {"stride": 2},
    {"stride": (1, 2)},
    {"stride": (2, 1)},
    {"dilation": 2},
    {"dilation": 2, "stride": 2},
    {"padding": 1},
    {"padding": ((0, 1), (0, 0))},
    {"padding": ((0, 0), (0, 1))},
    {"padding": ((0, 1), (0, 0)), "stride": 2},
    {"padding": "same"},
    {"padding": "same", "stride": 2},
    {"groups": 2},
]
POOL_OPTIONS: list[dict[str, Any]] = [{}, {"stride": 1}, {"padding": 1, "stride": 1}, {"padding": 1}]

# What generic small integers do not show.
SPECIAL: dict[str, list[Question]] = {
    "stride-axis": [Question({"x": np.array([[[[2.0, 5, 1, 3]]]]), "w": -np.ones((1, 1, 1, 1))}, {"stride": (2, 3)})],
    "dilation-plus-one": [
        Question({"x": np.array([[[[2.0, 1, 4, 3]]]]), "w": np.array([[[[3.0, 1]]]])}, {"dilation": 2, "stride": 2})
    ],
    "narrow-accumulation": [
        Question({"x": np.array([[[[2048, 1, 1, 1]]]], np.float16), "w": np.ones((1, 1, 1, 4), np.float16)}, {})
    ],
    "ignored-strides": [
        Question({"x": np.array([[[[1.0, 2], [3, 4]]]]).swapaxes(2, 3), "w": np.ones((1, 1, 1, 1))}, {})
    ],
    "sigmoid-overflow": [Question({"z": np.array([-12, 0, 12], np.float16)}, {})],
    "sigmoid-by-tanh": [Question({"z": np.array([-40.0, 0, 40])}, {})],
    "sigmoid-prime-cancel": [Question({"z": np.array([-40.0, 0, 40])}, {})],
    "integer-output": [
        Question({"x": np.array([[[[1.5, 2]]]]), "w": np.array([[[[3.0, 1]]]])}, {}),
        Question({"x": np.array([[1.5, 2]]), "w": np.array([[3.0], [1]])}, {}),
    ],
    "relu-mask": [Question({"z": np.array([-1.0, 0, 1])}, {})],
    "softmax-global-max": [Question({"z": np.array([[1000.0, 1000], [0, 0]])}, {})],
    "softmax-no-max": [Question({"z": np.array([[1000.0, 1000]])}, {})],
    "log-of-softmax": [Question({"z": np.array([[0.0, 1000]]), "labels": np.array([0])}, {})],
    "pool-all-ties": [
        Question({"dy": np.array([[[[5.0]]]]), "x": np.array([[[[3.0, 3]]]])}, {"window": (1, 2)}),
    ],
}


def questions(mistake: str, function: str) -> Iterator[Question]:
    """Questions about a function, some for this mistake alone."""
    yield from SPECIAL.get(mistake, ())
    kind = function.partition("_")[0]
    if kind in ("conv", "dense"):
        for shapes, options in sorted(_conv() if kind == "conv" else _dense(), key=_size):
            arrays = {name: _numbers(name, *shape) for name, shape in shapes.items()}
            yield Question(_with_dz(kind, arrays, options) if function.endswith("backward") else arrays, options)
    elif kind in ("max", "avg"):
        yield from _pool(function)
    elif kind in ("squared", "cross"):
        yield from _loss(kind)
    else:
        yield from _elements(function)


Shapes = tuple[dict[str, tuple[int, ...]], dict[str, Any]]


def _size(shapes: Shapes) -> int:
    return sum(math.prod(s) for s in shapes[0].values()) + len(shapes[1])


def _numbers(name: str, *shape: int) -> Array:
    """Small whole numbers without 0."""
    rng = np.random.default_rng([*shape, *name.encode()])
    return np.asarray(rng.choice([-3.0, -2, -1, 1, 2, 3, 4, 5], shape))


def _conv() -> Iterator[Shapes]:
    for n, c, f, o, size, kernel, b in product((1, 2, 3), (1, 2), (1, 2), CONV_OPTIONS, SPACES, KERNELS, (False, True)):
        groups = o.get("groups", 1)
        room = [i + 2 * (o.get("padding") == 1) for i in size]
        if all(r >= o.get("dilation", 1) * (k - 1) + 1 for r, k in zip(room, kernel)):
            shapes: dict[str, tuple[int, ...]] = {"x": (n, groups * c, *size), "w": (groups * f, c, *kernel)}
            yield shapes | ({"b": (groups * f,)} if b else {}), o


def _dense() -> Iterator[Shapes]:
    for n, m, k, b in product((1, 2, 3), (1, 2, 3, 4), (1, 2, 3), (False, True)):
        shapes: dict[str, tuple[int, ...]] = {"x": (n, m), "w": (m, k)}
        yield shapes | ({"b": (k,)} if b else {}), {}


def _with_dz(kind: str, arrays: dict[str, Array], options: dict[str, Any]) -> dict[str, Array]:
    forward = reference_cnn.conv_forward if kind == "conv" else reference_cnn.dense_forward
    x, w = arrays["x"], arrays["w"]
    return {"dz": _numbers("dz", *forward(x, w, **options).shape), "x": x, "w": w}


def _pool(function: str) -> Iterator[Question]:
    for size, window, o in product(SPACES[1:], KERNELS[1:], POOL_OPTIONS):
        x = _numbers("x", 1, 1, *size)
        # Numbers that are all negative tell padding with 0, or a start from 0.
        for image in (x, -np.abs(x)):
            options = {"window": window, **o}
            try:
                y = getattr(reference_cnn, function.replace("backward", "forward"))(image, **options)
            except ValueError:
                continue
            arrays = {"dy": _numbers("dy", *y.shape)} if function.endswith("backward") else {}
            yield Question(arrays | {"x": image}, options)


def _loss(kind: str) -> Iterator[Question]:
    for n, k in product((1, 2, 3), (1, 2, 3)):
        if kind == "squared":
            yield Question({"o": _numbers("o", n, k), "y": _numbers("y", n, k)}, {})
        else:
            yield Question({"z": _numbers("z", n, k), "labels": np.arange(n) % k}, {})


def _elements(function: str) -> Iterator[Question]:
    for shape in ((1,), (2,), (1, 2), (2, 2), (2, 3)):
        z = _numbers("z", *shape)
        yield Question({"da": z, "a": reference_cnn.softmax(z)} if function == "softmax_backward" else {"z": z}, {})
