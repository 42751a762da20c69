"""Small questions to show a mistake by, the smallest first."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

import reference_cnn
from reference_cnn._validate import Array


@dataclass(frozen=True)
class Question:
    """Arrays by name, keyword arguments, and what else has to be known of them."""

    arrays: dict[str, Array]
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""


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
# How many numbers more one takes rather than an option.
OPTION = 8
POOL_OPTIONS: list[dict[str, Any]] = [{}, {"stride": 1}, {"padding": 1, "stride": 1}, {"padding": 1}]


def _image(*rows: list[float]) -> Array:
    """One image, filter or error of one channel."""
    return np.array([[rows]], dtype=np.float64)


def _maps(*maps: list[list[float]]) -> Array:
    """One image or error of several channels."""
    return np.array([maps], dtype=np.float64)


# What generic small integers do not show, or not as clearly, and the numbers of the errata. Powers of ten let one read
# off which element is multiplied by what.
SPECIAL: dict[str, list[Question]] = {
    "flipped-kernel": [Question({"x": _image([1, 7, 2], [11, 1, 23], [2, 2, 2]), "w": _image([1, 1], [0, 1])})],
    "transposed-kernel": [Question({"x": _image([1, 2], [3, 4]), "w": _image([1, 2], [0, 1])})],
    "short-kernel-loop": [Question({"x": _image([1, 2, 3]), "w": _image([1, 10])})],
    "interleaved-channels": [
        Question({"x": _maps([[1]], [[2]], [[3]], [[4]]), "w": _maps([[1]], [[10]]).repeat(2, axis=0)}, {"groups": 2})
    ],
    "short-loop": [Question({"x": _image([1, 2, 3]), "w": _image([2, 1])})],
    "stride-axis": [Question({"x": _image([2, 5, 1, 3]), "w": _image([-1])}, {"stride": (2, 3)})],
    "ignored-dilation": [Question({"x": _image([1, 2, 3]), "w": _image([1, 10])}, {"dilation": 2, "stride": 2})],
    "dilation-plus-one": [Question({"x": _image([1, 2, 3, 4]), "w": _image([1, 10])}, {"dilation": 2, "stride": 2})],
    "dilation-axis": [
        Question({"x": _image([1, 2, 3, 4, 5]), "w": _image([1, 10])}, {"dilation": (1, 2), "stride": 2})
    ],
    "stride-dilation": [Question({"x": _image([1, 2, 3]), "w": _image([1, 10])}, {"stride": 2})],
    "padding-twice": [
        Question({"x": _image([1, 2, 3]), "w": _image([1, 10])}, {"padding": ((0, 0), (1, 0)), "stride": 2})
    ],
    "same-lower": [Question({"x": _image([1, 2]), "w": _image([1, 10])}, {"padding": "same"})],
    "pad-half": [Question({"x": _image([1, 2, 3, 4]), "w": _image([1, 10, 100])}, {"padding": "same", "stride": 2})],
    "same-stride-1": [
        Question({"x": _image([1, 2, 3, 4]), "w": _image([1, 10, 100])}, {"padding": "same", "stride": 2})
    ],
    "im2col-order": [Question({"x": _maps([[1, 2]], [[3, 4]]), "w": _maps([[1, 10]], [[100, 1000]])})],
    "swapped-space": [Question({"x": _image([1, 2, 3], [4, 5, 6]), "w": _image([1, 10], [100, 1000])})],
    "narrow-accumulation": [
        Question({"x": _image([2048, 1, 1, 1]).astype(np.float16), "w": _image([1, 1, 1, 1]).astype(np.float16)})
    ],
    "ignored-strides": [
        Question({"x": _image([1, 2], [3, 4]).swapaxes(2, 3), "w": _image([1])}, note="where x is a transposed view")
    ],
    "mean-over-positions": [Question({"dz": _image([2, 4]), "x": _image([1, 3]), "w": _image([-1])})],
    "dw-stride": [Question({"dz": _image([1, 10]), "x": _image([1, 2, 3]), "w": _image([1])}, {"stride": 2})],
    "dw-stride-dilation": [
        Question({"dz": _image([1, 2]), "x": _image([1, 2, 3, 4]), "w": _image([1, 1])}, {"stride": 2})
    ],
    "dw-product-of-means": [
        Question(
            {
                "dz": np.array([-5.0, 1]).reshape(2, 1, 1, 1),
                "x": np.array([-3.0, -2]).reshape(2, 1, 1, 1),
                "w": _image([1]),
            }
        )
    ],
    "dw-scrambled-map": [
        Question(
            {
                "dz": _maps([[0, 1], [2, 3]], [[10, 11], [12, 13]]),
                "x": _image([1, 2], [3, 4]),
                "w": _maps([[1]], [[1]]).swapaxes(0, 1),
            }
        )
    ],
    "transposed-weights": [Question({"x": np.array([[1.0, 2]]), "w": np.array([[1.0, 2], [3, 4]])})],
    "dense-untransposed": [
        Question({"dz": np.array([[1.0, 2]]), "x": np.array([[1.0, 1]]), "w": np.array([[1.0, 2], [3, 4]])})
    ],
    "dense-updated-weights": [
        Question(
            {"dz": np.array([[2.0]]), "x": np.array([[1.0]]), "w": np.array([[1.0]])},
            note="with a learning rate of 0.1",
        )
    ],
    "flatten-order": [
        Question(
            {"x": np.array([[1.0, 2, 3, 4]]), "w": np.array([[1.0], [10], [100], [1000]])},
            note="where x holds two channels of two pixels",
        )
    ],
    "integer-output": [Question({"x": _image([1.5, 2]), "w": _image([3, 1])})],
    "prime-of-input": [Question({"z": np.array([2.0])})],
    "sigmoid-overflow": [Question({"z": np.array([-12, 0, 12], np.float16)})],
    "sigmoid-by-tanh": [Question({"z": np.array([-40.0, 0, 40])})],
    "sigmoid-clip": [Question({"z": np.array([-600.0, 0, 600])})],
    "sigmoid-prime-cancel": [Question({"z": np.array([-40.0, 0, 40])})],
    "relu-capped": [Question({"z": np.array([5.0, 6, 7])})],
    "relu-mask": [Question({"z": np.array([-1.0, 0, 1])})],
    "softmax-global-max": [Question({"z": np.array([[1000.0, 1000], [0, 0]])})],
    "softmax-no-max": [Question({"z": np.array([[1000.0, 1000]])})],
    "softmax-no-sum": [Question({"da": np.array([[1.0, 0]]), "a": np.array([[0.75, 0.25]])})],
    "softmax-unweighted": [Question({"da": np.array([[1.0, 0]]), "a": np.array([[0.75, 0.25]])})],
    "softmax-log": [Question({"z": np.array([[0.0, 2]])})],
    "softmax-axis": [Question({"z": np.array([[0.0, 2], [1, 1]])})],
    "log-of-softmax": [Question({"z": np.array([[0.0, 1000]]), "labels": np.array([0])})],
    "added-epsilon": [Question({"z": np.array([[0.0, 40]]), "labels": np.array([0])})],
    "label-not-subtracted": [Question({"z": np.array([[0.0, 0]]), "labels": np.array([0])})],
    "same-dilation-1": [Question({"x": _image([1, 2, 3]), "w": _image([1, 10])}, {"padding": "same", "dilation": 2})],
    "sum-tail": [Question({"x": _image([1, 2, 3]), "w": _image([1, 10, 100])})],
    "output-tail": [Question({"x": _image([1, 2, 3]), "w": _image([2])})],
    "sigmoid-ratio": [Question({"z": np.array([-800.0, 0, 800])})],
    "pool-ignored-dilation": [Question({"x": _image([1, 5, 3])}, {"window": (1, 2), "dilation": 2})],
    "pool-finite-init": [Question({"x": _image([-2e9, -3e9])}, {"window": (1, 2)})],
    "pool-all-ties": [Question({"dy": _image([5]), "x": _image([3, 3])}, {"window": (1, 2)})],
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
    """Numbers to work with; an option costs more than a few of them."""
    return sum(math.prod(s) for s in shapes[0].values()) + OPTION * len(shapes[1])


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
    for o, size, window in product(POOL_OPTIONS, SPACES[1:], KERNELS[1:]):
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
