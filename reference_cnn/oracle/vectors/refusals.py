"""Which arguments must be refused: name, clause, why, shapes and values, keywords."""

from typing import Any

Refusal = tuple[str, str, str, dict[str, Any], dict[str, Any]]

X, W = (2, 4, 5, 4), (6, 4, 2, 3)
KEYWORDS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("zero-stride", "WIN-C1", "a stride of 0", {"stride": 0}),
    ("negative-stride", "WIN-C1", "a negative stride", {"stride": [1, -1]}),
    ("three-strides", "WIN-C1", "three strides for two axes", {"stride": [1, 1, 1]}),
    ("zero-dilation", "WIN-C2", "a dilation of 0", {"dilation": 0}),
    ("negative-padding", "WIN-C3", "negative padding", {"padding": -1}),
    ("unknown-padding", "WIN-C3", "padding that is neither numbers nor valid nor same", {"padding": "full"}),
    ("three-pads", "WIN-C3", "three pads for two axes", {"padding": [1, 2, 3]}),
    ("large-dilation", "WIN-C4", "a dilated kernel that is larger than the image", {"dilation": [5, 1]}),
    ("groups-do-not-divide", "CONV-C4", "groups that divide neither channels nor filters", {"groups": 3}),
    ("zero-groups", "CONV-C4", "no group", {"groups": 0}),
    ("channels-of-groups", "CONV-C2", "a kernel for all channels, and two groups", {"groups": 2}),
]
CONV_SHAPES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("image-rank", "CONV-C1", "an image without axes for batch and channels", {"x": (5, 4), "w": W}),
    ("kernel-rank", "CONV-C1", "a kernel with too few axes", {"x": X, "w": (6, 4, 2)}),
    ("channels", "CONV-C2", "a kernel for 5 channels, and an image of 4", {"x": X, "w": (6, 5, 2, 3)}),
    ("large-kernel", "WIN-C4", "a kernel that is larger than the image", {"x": X, "w": (6, 4, 6, 3)}),
]


def refusals(function: str) -> list[Refusal]:
    """Return what a function must refuse."""
    return REFUSALS.get(function, [])


def _conv(dz: tuple[int, ...] | None) -> list[Refusal]:
    """Without dz those of the forward pass."""
    first = {} if dz is None else {"dz": dz}
    shapes: list[Refusal] = [(name, clause, why, {**first, **given}, {}) for name, clause, why, given in CONV_SHAPES]
    return shapes + [(name, clause, why, {**first, "x": X, "w": W}, given) for name, clause, why, given in KEYWORDS]


def _pool(backward: bool) -> list[Refusal]:
    dy = {"dy": (1, 2, 2, 2)} if backward else {}
    image = {**dy, "x": (1, 2, 4, 5)}
    return [
        ("image-rank", "POOL-C1", "an image without axes for batch and channels", {**dy, "x": (4, 5), "window": 2}, {}),
        ("zero-window", "POOL-C2", "a window of no element", {**image, "window": 0}, {}),
        ("three-windows", "POOL-C2", "three sizes for two axes", {**image, "window": [2, 2, 2]}, {}),
        ("zero-stride", "WIN-C1", "a stride of 0", {**image, "window": 2}, {"stride": 0}),
        ("large-window", "WIN-C4", "a window that is larger than the image", {**image, "window": 6}, {}),
        ("large-padding", "POOL-C3", "padding as large as the window", {**image, "window": 2}, {"padding": 2}),
    ]


REFUSALS: dict[str, list[Refusal]] = {
    "conv_forward": [
        *_conv(None),
        ("bias", "CONV-C3", "5 biases for 6 filters", {"x": X, "w": W, "b": (5,)}, {}),
    ],
    "conv_backward": [
        *_conv((2, 6, 4, 2)),
        ("errors", "CONV-C5", "dz for 5 filters of 6", {"dz": (2, 5, 4, 2), "x": X, "w": W}, {}),
    ],
    "dense_forward": [
        ("rank", "DENSE-C1", "an x with one axis", {"x": (4,), "w": (4, 2)}, {}),
        ("features", "DENSE-C2", "weights for 2 features, and 4", {"x": (3, 4), "w": (2, 4)}, {}),
        ("bias", "DENSE-C3", "3 biases for 2 neurons", {"x": (3, 4), "w": (4, 2), "b": (3,)}, {}),
    ],
    "dense_backward": [
        ("features", "DENSE-C2", "weights for 2 features, and 4", {"dz": (3, 4), "x": (3, 4), "w": (2, 4)}, {}),
        ("errors", "DENSE-C4", "dz for 4 neurons of 2", {"dz": (3, 4), "x": (3, 4), "w": (4, 2)}, {}),
    ],
    "max_pool_forward": _pool(backward=False),
    "max_pool_backward": [
        *_pool(backward=True),
        ("errors", "POOL-C4", "dy for other outputs", {"dy": (1, 2, 4, 5), "x": (1, 2, 4, 5), "window": 2}, {}),
    ],
    "avg_pool_forward": _pool(backward=False),
    "avg_pool_backward": [
        *_pool(backward=True),
        ("errors", "POOL-C4", "dy for other outputs", {"dy": (1, 2, 4, 5), "x": (1, 2, 4, 5), "window": 2}, {}),
    ],
    "softmax": [("no-classes", "ACT-C3", "rows of no class", {"z": (2, 0)}, {})],
    "softmax_backward": [("shapes", "ACT-C4", "da of another shape than a", {"da": (3, 4), "a": (4, 3)}, {})],
    "squared_error": [("shapes", "LOSS-C1", "(3, 1) against (3,), not to be broadcast", {"o": (3, 1), "y": (3,)}, {})],
    "squared_error_prime": [
        ("shapes", "LOSS-C1", "(3, 1) against (3,), not to be broadcast", {"o": (3, 1), "y": (3,)}, {})
    ],
    **{
        name: [
            ("rank", "LOSS-C2", "logits with one axis", {"z": (3,), "labels": (3,)}, {}),
            ("labels", "LOSS-C2", "2 labels for 3 rows", {"z": (3, 4), "labels": (2,)}, {}),
            (
                "no-such-class",
                "LOSS-C3",
                "a label as large as the number of classes",
                {"z": (1, 1), "labels": (1,)},
                {},
            ),
        ]
        for name in ("cross_entropy", "cross_entropy_prime")
    },
}
