"""Code of its own for a size and an option, or for a kind of layer and an option, is asked about.

An independent opponent had a hundred such layers called right, each wrong on one of these paths alone.
"""

import functools
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from strategies import Array

from reference_cnn.oracle import cases
from reference_cnn.oracle.call import Call, windows_of
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets.ask import ask

# Whether a call takes the path: of x, w (the window's size for a pooling), whether there is a bias, and the options.
Path = Callable[[tuple[int, ...], tuple[int, ...], bool, dict[str, Any]], bool]


def per(form: str, value: Any) -> bool:
    """Whether an option has a value for each axis, or for each side of each."""
    return isinstance(value, tuple) and form == ("side" if isinstance(value[0], tuple) else "axis")


def grouped(x: tuple[int, ...], o: dict[str, Any]) -> bool:
    """Neither a plain convolution nor a depthwise one."""
    return bool(1 < o.get("groups", 1) < x[1])


CONVOLUTIONS: dict[str, Path] = {
    "a bias beyond 64 channels": lambda x, w, b, o: b and x[1] > 64 and not o,
    "a bias beyond 64 filters": lambda x, w, b, o: b and w[0] > 64 and w[0] % 64 > 0 and not o,
    "a bias beyond 32 images": lambda x, w, b, o: b and x[0] > 32 and not o,
    "a bias beyond 64 columns": lambda x, w, b, o: b and x[3] > 65 and (x[3] - w[3] + 1) % 64 > 0 and not o,
    "padding beyond 16 channels": lambda x, w, b, o: x[1] > 16 and o == {"padding": 1},
    "stride beyond 16 channels": lambda x, w, b, o: x[1] > 16 and o == {"stride": 2},
    "dilation beyond 16 channels": lambda x, w, b, o: x[1] > 16 and o == {"dilation": 2},
    "stride beyond 16 filters": lambda x, w, b, o: w[0] > 16 and o == {"stride": 2},
    "groups beyond 16 images": lambda x, w, b, o: x[0] > 16 and "groups" in o,
    "padding beyond 8 images": lambda x, w, b, o: x[0] > 8 and o == {"padding": 1},
    "same beyond 16 columns": lambda x, w, b, o: x[3] > 16 and o == {"padding": "same"},
    "groups beyond 16 columns": lambda x, w, b, o: x[3] > 16 and o == {"groups": 2},
    "padded dilation beyond 16 columns": lambda x, w, b, o: x[3] > 20 and set(o) == {"dilation", "padding"},
    "strided groups beyond 16 columns": lambda x, w, b, o: x[3] > 33 and set(o) == {"groups", "stride"},
    "1×1 beyond 8 channels": lambda x, w, b, o: w[2:] == (1, 1) and x[1] > 8 and not o,
    "1×1 beyond 8 filters": lambda x, w, b, o: w[2:] == (1, 1) and w[0] > 8 and not o,
    "1×1 beyond 4 images": lambda x, w, b, o: w[2:] == (1, 1) and x[0] > 4 and not o,
    "3×3 beyond 4 filters": lambda x, w, b, o: w[2:] == (3, 3) and w[0] > 4 and not o and x[1] == 1,
    "3×3 at stride 2 beyond 3 channels": lambda x, w, b, o: w[2:] == (3, 3) and x[1] > 3 and o == {"stride": 2},
    "more than 4 groups of several": lambda x, w, b, o: o.get("groups", 1) > 4 and w[1] > 1,
    "a bias of plain groups": lambda x, w, b, o: b and grouped(x, o) and len(o) == 1 and w[2:] != (1, 1),
    "a bias of strided 1×1 groups": lambda x, w, b, o: b and grouped(x, o) and "stride" in o and w[2:] == (1, 1),
    "a bias of plain depthwise ones": lambda x, w, b, o: b and o == {"groups": x[1]} and x[1] > 2,
    "a bias of large kernels": lambda x, w, b, o: b and min(w[2:]) >= 6,
    "groups of large kernels": lambda x, w, b, o: o.get("groups", 1) > 1 and min(w[2:]) >= 5,
    "large kernels with pads per side": lambda x, w, b, o: per("side", o.get("padding")) and min(w[2:]) >= 5,
    "1×1 with strides": lambda x, w, b, o: w[2:] == (1, 1) and per("axis", o.get("stride")),
    "1×1 with pads per side": lambda x, w, b, o: w[2:] == (1, 1) and per("side", o.get("padding")),
    "patches with pads per side": lambda x, w, b, o: per("side", o.get("padding")) and o.get("stride") == w[2] == w[3],
    "a bias of patches that are no squares": lambda x, w, b, o: b and o.get("stride") == w[2:] and w[2] != w[3],
    "a bias of one row": lambda x, w, b, o: b and x[2] == 1 < x[3] and w[3] > 1,
    "a bias of kernels like the image": lambda x, w, b, o: b and x[2:] == w[2:] and max(w[2:]) > 1 and not o,
    "4×4": lambda x, w, b, o: w[2:] == (4, 4) and not o,
    "a bias of dilated 3×3": lambda x, w, b, o: b and w[2:] == (3, 3) and o == {"dilation": 2},
    "groups with far strides": lambda x, w, b, o: o.get("groups", 1) > 1 and o.get("stride") == 4,
    "a stride of 1": lambda x, w, b, o: o == {"stride": 1},
    "a padding of 0": lambda x, w, b, o: o == {"padding": 0},
    "a dilation of 1": lambda x, w, b, o: o == {"dilation": 1},
    "one group": lambda x, w, b, o: o == {"groups": 1},
    "all that holds anyway": lambda x, w, b, o: o == {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    "strides of 1": lambda x, w, b, o: o == {"stride": (1, 1)},
    "pads of 0": lambda x, w, b, o: o == {"padding": (0, 0)},
    "no pads at any side": lambda x, w, b, o: o == {"padding": ((0, 0), (0, 0))},
    "dilations of 1": lambda x, w, b, o: o == {"dilation": (1, 1)},
    "equal strides": lambda x, w, b, o: o == {"stride": (2, 2)},
    "equal dilations": lambda x, w, b, o: o == {"dilation": (2, 2)},
    "equal pads": lambda x, w, b, o: o == {"padding": (1, 1)},
    "equal pads at all sides": lambda x, w, b, o: o == {"padding": ((1, 1), (1, 1))},
    "symmetrical pads": lambda x, w, b, o: o == {"padding": ((1, 1), (2, 2))},
}  # fmt: skip
# Kernels as networks have them, and options that code of their own may forget.
KERNELS: dict[str, Path] = {
    "depthwise 3×3": lambda x, w, b, o: w[1:] == (1, 3, 3) and w[0] == x[1] == o.get("groups"),
    "3×3 with a multiplier": lambda x, w, b, o: w[1:] == (1, 3, 3) and w[0] > x[1] == o.get("groups"),
    "depthwise 5×5": lambda x, w, b, o: w[1:] == (1, 5, 5) and w[0] == x[1] == o.get("groups"),
    "grouped 3×3": lambda x, w, b, o: w[2:] == (3, 3) and grouped(x, o),
    "3×3": lambda x, w, b, o: w[2:] == (3, 3) and "groups" not in o,
    "5×5": lambda x, w, b, o: w[2:] == (5, 5) and "groups" not in o,
    "4×4": lambda x, w, b, o: w[2:] == (4, 4) and "groups" not in o,
    "1×1": lambda x, w, b, o: w[2:] == (1, 1) and "groups" not in o,
    "grouped 1×1": lambda x, w, b, o: w[2:] == (1, 1) and grouped(x, o),
}
FORGOTTEN: dict[str, Path] = {
    "a bias with padding": lambda x, w, b, o: b and o.get("padding") == 1,
    "same": lambda x, w, b, o: o.get("padding") == "same" and "stride" not in o,
    "same with stride": lambda x, w, b, o: o.get("padding") == "same" and o.get("stride") == 2,
    "padded dilation": lambda x, w, b, o: "padding" in o and o.get("dilation") == 2,
    "strides that differ": lambda x, w, b, o: per("axis", o.get("stride")) and set(o) <= {"stride", "groups"},
    "pads per axis": lambda x, w, b, o: per("axis", o.get("padding")) and "stride" not in o,
    "pads per side": lambda x, w, b, o: per("side", o.get("padding")) and "stride" not in o,
    "strides and pads": lambda x, w, b, o: per("axis", o.get("padding")) and per("axis", o.get("stride")),
    "everything for each axis": lambda x, w, b, o: per("side", o.get("padding")) and {"stride", "dilation"} <= set(o),
}


def of_groups(w: tuple[int, ...], o: dict[str, Any]) -> int:
    """How many filters there are for each of several groups; 0 where there is one."""
    groups = o.get("groups", 1)
    return w[0] // groups if groups > 1 else 0


def row(x: tuple[int, ...], w: tuple[int, ...], o: dict[str, Any]) -> int:
    """How many outputs a row has."""
    return windows_of(Call((("x", x), ("w", w)), tuple(o.items()))).out[-1]


def multiple(of: str, n: int) -> Path:
    """A path for sizes that a vector or a tile divides."""
    places = {"images": (0, 0), "channels": (1, 1), "filters": (1, 0), "neurons": (1, 1), "features": (1, 0)}
    array, axis = places[of]
    return lambda x, w, b, o: (x, w)[array][axis] % n == 0


def plain(kernel: tuple[int, ...], *options: str) -> Path:
    """A path for one kernel with certain options, whatever their values."""
    return lambda x, w, b, o: w[2:] == kernel and set(o) == set(options)


def most(option: Any) -> int:
    """The largest number of an option."""
    return max(map(most, option)) if isinstance(option, tuple) else option if isinstance(option, int) else 0


TILES = {"images": (6, 7, 8), "filters": (12, 24), "channels": (6, 12, 13)}
ROWS = ((1, 7), (7, 1))
# What vectors and tiles divide, kernels and options larger than most; another opponent, after layers that are in use.
CONVOLUTIONS |= {
    "strides with whole vectors of channels": lambda x, w, b, o: w[1] % 4 == 0 and most(o.get("stride")) > 1,
    "dilation with whole vectors of channels": lambda x, w, b, o: w[1] % 4 == 0 and most(o.get("dilation")) > 1,
    "a bias with whole vectors of channels": lambda x, w, b, o: b and w[1] % 4 == 0 and w[2:] == (3, 3),
    "pads per side of whole vectors": lambda x, w, b, o: w[1] % 8 == 0 and per("side", o.get("padding")),
    "padding of 16 channels": lambda x, w, b, o: w[1] % 16 == 0 and "padding" in o,
    "padding of 16 filters": lambda x, w, b, o: w[0] % 16 == 0 and "groups" not in o and "padding" in o,
    "strides with 8 filters": lambda x, w, b, o: w[0] % 8 == 0 and "groups" not in o and most(o.get("stride")) > 1,
    **{f"{n} {of}": multiple(of, n) for of, several in TILES.items() for n in several},
    "more than 16 of everything": lambda x, w, b, o: min(x[0], x[1], w[0]) > 16,
    "rows of 8 at a stride": lambda x, w, b, o: most(o.get("stride")) > 1 and row(x, w, o) % 16 == 0,
    "rows of 16 with dilation": lambda x, w, b, o: most(o.get("dilation")) > 1 and row(x, w, o) % 16 == 0,
    "rows and columns beyond 64": lambda x, w, b, o: min(x[2:]) > 65,
    "a bias of 7×7": lambda x, w, b, o: b and w[2:] == (7, 7),
    "dilation of 6×6 and more": lambda x, w, b, o: min(w[2:]) > 5 and most(o.get("dilation")) > 1,
    "same of 6×6 and more": lambda x, w, b, o: min(w[2:]) > 5 and o.get("padding") == "same" and "stride" in o,
    "strided groups of 6×6 and more": lambda x, w, b, o: min(w[2:]) > 5 and {"groups", "stride"} <= set(o),
    "padded depthwise 7×7": lambda x, w, b, o: w[1:] == (1, 7, 7) and {"groups", "padding"} <= set(o),
    **{f"{k[0]}×{k[1]}": plain(k) for k in ROWS},
    **{f"padded {k[0]}×{k[1]}": plain(k, "padding") for k in ROWS},
    "11×11 at stride 4": lambda x, w, b, o: w[2:] == (11, 11) and o == {"stride": 4},
    "padding beyond 4": lambda x, w, b, o: most(o.get("padding")) > 4,
    "padded dilation beyond 4": lambda x, w, b, o: most(o.get("dilation")) > 4 and "padding" in o,
    "strides with dilation beyond 4": lambda x, w, b, o: most(o.get("dilation")) > 4 and "stride" in o,
    "a bias with dilation beyond 4": lambda x, w, b, o: b and most(o.get("dilation")) > 4,
    "strides beyond 7": lambda x, w, b, o: most(o.get("stride")) > 7,
    "strides in groups of 4 channels": lambda x, w, b, o: (
        of_groups(w, o) > 0 and w[1] == 4 and most(o.get("stride")) > 1
    ),
    "a bias of groups of 4 channels": lambda x, w, b, o: b and of_groups(w, o) > 0 and w[1] == 4,
    "groups of 4 and 4": lambda x, w, b, o: of_groups(w, o) == w[1] == 4,
    "padding in groups of 4 filters": lambda x, w, b, o: of_groups(w, o) > 3 and "padding" in o,
    "more than 4 groups with dilation": lambda x, w, b, o: o.get("groups", 1) > 4 and "dilation" in o,
    "more than 3 groups with pads per side": lambda x, w, b, o: (
        o.get("groups", 1) > 3 and per("side", o.get("padding"))
    ),
    "strides of one row": lambda x, w, b, o: x[2] == 1 and most(o.get("stride")) > 1,
    "dilation of one column": lambda x, w, b, o: x[3] == 1 and w[2] > 1 and most(o.get("dilation")) > 1,
    "a bias of three taps in one row": lambda x, w, b, o: b and x[2] == 1 and w[3] == 3,
    "dilation with one of everything": lambda x, w, b, o: x[:2] == (1, 1) and w[0] == 1 and "dilation" in o,
    "strides and pads per side": lambda x, w, b, o: (
        per("side", o.get("padding")) and per("axis", o.get("stride")) and "dilation" not in o and "groups" not in o
    ),
}  # fmt: skip


# Of which a batch, a colour image or a layer of a network has more; and what is as wide as high.
ONE: dict[str, Path] = {
    "one image": lambda x, w, b, o: x[0] == 1,
    "one channel": lambda x, w, b, o: x[1] == 1,
    "one filter": lambda x, w, b, o: w[0] == 1,
    "a square": lambda x, w, b, o: x[2] == x[3],
}
CONVOLUTIONS |= {
    "5×5 of one channel": lambda x, w, b, o: x[1] == 1 and w[2:] == (5, 5),
    "a bias of 5×5 of one image": lambda x, w, b, o: b and x[0] == 1 and w[2:] == (5, 5),
    "depthwise 3×3 of one image": lambda x, w, b, o: x[0] == 1 < x[1] and w[1:] == (1, 3, 3),
    "grouped 3×3 of one image": lambda x, w, b, o: x[0] == 1 and w[2:] == (3, 3) and grouped(x, o),
    "same 3×3 of one filter": lambda x, w, b, o: w[0] == 1 and w[2:] == (3, 3) and o.get("padding") == "same",
    "depthwise 3×3 of a square": lambda x, w, b, o: x[2] == x[3] and w[1:] == (1, 3, 3) and x[1] > 1,
    "5×5 of a square at stride 2": lambda x, w, b, o: x[2] == x[3] and w[2:] == (5, 5) and o == {"stride": 2},
}  # fmt: skip


# Every kernel beside every option where vectors of channels, filters or outputs have nothing left; a third opponent.
SQUARE = (1, 2, 3, 4, 5, 7)
VECTORS: dict[str, Path] = {
    "whole vectors of channels": lambda x, w, b, o: x[1] % 8 == 0 and "groups" not in o,
    "whole vectors of filters": lambda x, w, b, o: w[0] % 8 == 0 and "groups" not in o,
    "rows of 8": lambda x, w, b, o: row(x, w, o) >= 8 and x[1] > 1 and "groups" not in o,
}
OPTIONS: dict[str, Path] = {
    "a stride": lambda x, w, b, o: most(o.get("stride")) > 1 and "padding" not in o,
    "stride and padding": lambda x, w, b, o: most(o.get("stride")) > 1 and isinstance(o.get("padding"), int),
    "a bias with padding": lambda x, w, b, o: b and isinstance(o.get("padding"), int),
    "same": lambda x, w, b, o: o.get("padding") == "same",
    "dilation": lambda x, w, b, o: most(o.get("dilation")) > 1,
}
CONVOLUTIONS |= {
    "depthwise 5×5 of whole vectors": lambda x, w, b, o: w[1:] == (1, 5, 5) and x[1] % 8 == 0 and "stride" in o,
    "strided depthwise 3×3 in rows of 8": lambda x, w, b, o: (
        w[1:] == (1, 3, 3) and x[1] > 1 and most(o.get("stride")) > 1 and row(x, w, o) >= 8
    ),
    "grouped 5×5": lambda x, w, b, o: w[2:] == (5, 5) and grouped(x, o),
    "patches of whole vectors": lambda x, w, b, o: o == {"stride": 4} and w[2:] == (4, 4) and x[1] % 8 == 0,
    "3×3 with 8 rows and columns": lambda x, w, b, o: (
        w[2:] == (3, 3) and not o and min(x[2:]) > 9 and max(x[2:]) < 16 and x[1] > 1
    ),
    "more than 32 filters and terms": lambda x, w, b, o: w[0] > 32 and w[1] > 32,
    "filters, 32 places and 256 terms": lambda x, w, b, o: w[0] > 4 and w[1] * w[2] * w[3] > 256 and "groups" not in o,
    "same of a square kernel with strides": lambda x, w, b, o: (
        w[2] == w[3] and o.get("padding") == "same" and per("axis", o.get("stride"))
    ),
    "strides of a square": lambda x, w, b, o: x[2] == x[3] and w[2] == w[3] and per("axis", o.get("stride")),
    "dilations of one row": lambda x, w, b, o: x[2] == w[2] == 1 and per("axis", o.get("dilation")),
}  # fmt: skip


def both(one: Path, other: Path) -> Path:
    return lambda x, w, b, o: one(x, w, b, o) and other(x, w, b, o)


CONVOLUTIONS |= {
    f"{kernel}, {option}": both(holds, forgotten)
    for kernel, holds in KERNELS.items()
    for option, forgotten in FORGOTTEN.items()
}
CONVOLUTIONS |= {
    f"{k}×{k}, {vector}, {option}": both(both(holds, plain_kernel), given)
    for vector, holds in VECTORS.items()
    for option, given in OPTIONS.items()
    for k in SQUARE
    for plain_kernel in [lambda x, w, b, o, k=k: w[2:] == (k, k)]
    if (k, option) != (1, "same") or vector != "rows of 8"
}
POOLINGS: dict[str, Path] = {
    "padding beyond 8 channels": lambda x, w, b, o: x[1] > 8 and o == {"padding": 1},
    "overlap beyond 8 channels": lambda x, w, b, o: x[1] > 9 and o == {"stride": 1} and w == (3, 3),
    "overlap beyond 8 images": lambda x, w, b, o: x[0] > 9 and o == {"stride": 1},
    "padded overlap beyond 8 channels": lambda x, w, b, o: x[1] > 9 and o == {"stride": 2, "padding": 1},
    "overlap beyond 16 columns": lambda x, w, b, o: x[3] > 16 and o == {"stride": 1},
    "three images, each one window": lambda x, w, b, o: x[0] == 3 and x[2:] == w,
    "same at stride 1 with even windows": lambda x, w, b, o: o == {"stride": 1, "padding": "same"} and w == (2, 2),
    "same at stride 1 with large even windows": lambda x, w, b, o: (
        o == {"stride": 1, "padding": "same"} and w == (4, 4)
    ),
    "same with the stride of the window": lambda x, w, b, o: o == {"padding": "same"} and w == (3, 3),
    "same with a window for each axis": lambda x, w, b, o: o == {"padding": "same"} and w[0] != w[1],
    "all for each axis": lambda x, w, b, o: (
        per("axis", o.get("padding")) and per("axis", o.get("stride")) and w[0] != w[1]
    ),
    "a window of no square, like the image": lambda x, w, b, o: w == x[2:] and w[0] != w[1],
    "windows over both edges": lambda x, w, b, o: min(w) > max(x[2:]),
    "a stride like the window": lambda x, w, b, o: w == (2, 2) and o == {"stride": 2},
    "a padding of 0": lambda x, w, b, o: o == {"padding": 0},
    "pads of 0": lambda x, w, b, o: o == {"padding": (0, 0)},
    "no pads at any side": lambda x, w, b, o: o == {"padding": ((0, 0), (0, 0))},
    "equal strides": lambda x, w, b, o: o == {"stride": (2, 2)},
    "strides of 1": lambda x, w, b, o: o == {"stride": (1, 1)},
    "equal pads": lambda x, w, b, o: o == {"padding": (1, 1)},
    "equal pads at all sides": lambda x, w, b, o: o == {"padding": ((1, 1), (1, 1))},
    "symmetrical pads": lambda x, w, b, o: o == {"padding": ((1, 1), (2, 2))},
}
POOLINGS |= {
    "overlap in one channel": lambda x, w, b, o: x[1] == 1 and w == (2, 2) and o == {"stride": 1},
    "padding of one image": lambda x, w, b, o: x[0] == 1 and w == (3, 3) and o == {"padding": 1},
    "same of a square": lambda x, w, b, o: x[2] == x[3] and w == (3, 3) and o == {"padding": "same"},
    "padding of whole vectors of channels": lambda x, w, b, o: x[1] % 4 == 0 and "padding" in o,
    "padding of 8 images": lambda x, w, b, o: x[0] % 8 == 0 and "padding" in o,
    "same of whole vectors of channels": lambda x, w, b, o: x[1] % 4 == 0 and o.get("padding") == "same",
    "5×5 at stride 1": lambda x, w, b, o: min(w) > 4 and o.get("stride") == 1 and "padding" in o,
    "overlapping 5×5": lambda x, w, b, o: w == (5, 5) and o == {"stride": 2},
    "same of 5×5": lambda x, w, b, o: w == (5, 5) and o.get("padding") == "same",
    "windows of more than 128": lambda x, w, b, o: w[0] * w[1] > 128 and max(w) < 17,
    "plain halves in rows of 8": lambda x, w, b, o: w == (2, 2) and not o and 16 <= x[3] < 64 and x[1] > 1,
    "3×3 at stride 2 in rows of 8": lambda x, w, b, o: (
        w == (3, 3) and o == {"stride": 2, "padding": 1} and x[3] > 15 and x[1] % 8 == 0
    ),
    "4×4 of whole vectors, same": lambda x, w, b, o: (
        w == (4, 4) and x[1] % 8 == 0 and o == {"stride": 2, "padding": "same"}
    ),
    "5×5 of whole vectors": lambda x, w, b, o: w == (5, 5) and x[1] % 8 == 0 and "padding" in o,
    "all of 7×7 of one image": lambda x, w, b, o: x[0] == 1 and x[2:] == w == (7, 7),
    "256 maps": lambda x, w, b, o: x[0] * x[1] > 256,
}
MAXIMA: dict[str, Path] = {
    **POOLINGS,
    "dilated 5×5": lambda x, w, b, o: min(w) > 4 and o.get("dilation") == 2,
    "a dilation of 1": lambda x, w, b, o: o == {"dilation": 1},
    "dilations of 1": lambda x, w, b, o: o == {"dilation": (1, 1)},
    "equal dilations": lambda x, w, b, o: o == {"dilation": (2, 2)},
}
AVERAGES: dict[str, Path] = {
    **POOLINGS,
    "padding that 5×5 counts": lambda x, w, b, o: min(w) > 4 and "padding" in o and o.get("include_padding") is True,
    "padding that is not counted": lambda x, w, b, o: o == {"include_padding": False},
    "padding that is not there": lambda x, w, b, o: o == {"include_padding": True},
    "same that is counted, with a window for each axis": lambda x, w, b, o: (
        w[0] != w[1] and o == {"padding": "same", "include_padding": True}
    ),
    "same that is counted at stride 1": lambda x, w, b, o: (
        w == (3, 3) and o == {"stride": 1, "padding": "same", "include_padding": True}
    ),
    "padding that is there and not counted": lambda x, w, b, o: o == {"padding": 1, "include_padding": False},
}
DENSE: dict[str, Path] = {
    "one example of many features": lambda x, w, b, o: x[0] == 1 and x[1] > 8,
    "one example, many neurons": lambda x, w, b, o: x[0] == 1 and w[1] > 8,
    "one neuron, many examples": lambda x, w, b, o: w[1] == 1 and x[0] > 8,
    "one neuron of many features": lambda x, w, b, o: w[1] == 1 and x[1] > 8,
    "more than 16 of everything": lambda x, w, b, o: min(x[0], x[1], w[1]) > 16,
    "whole tiles of 32": lambda x, w, b, o: x[0] % 32 == x[1] % 32 == w[1] % 32 == 0,
    **{f"{n} examples": multiple("images", n) for n in TILES["images"][:2]},
    "24 features": multiple("features", 24),
    "more than 32 features and neurons": lambda x, w, b, o: min(x[1], w[1]) > 32,
    "more than 32 examples and features": lambda x, w, b, o: min(x) > 32,
    "one example, whole vectors": lambda x, w, b, o: x[0] == 1 and min(w) > 7,
    "ten neurons of many features": lambda x, w, b, o: w[1] == 10 and x[1] > 63,
    "as many examples as features": lambda x, w, b, o: x[0] == x[1] > 4,
    "12 neurons": multiple("neurons", 12),
}
FAMILIES: dict[str, dict[str, Path]] = {
    **dict.fromkeys(("dense_forward", "dense_backward"), DENSE),
    **dict.fromkeys(("conv_forward", "conv_backward"), CONVOLUTIONS),
    **dict.fromkeys(("max_pool_forward", "max_pool_backward"), MAXIMA),
    **dict.fromkeys(("avg_pool_forward", "avg_pool_backward"), AVERAGES),
}
TAKEN = [(f, path) for f, paths in FAMILIES.items() for path in paths if "bias" not in path or f == "conv_forward"]


# Their right answers are formed once.
standard = functools.cache(cases)


def rejected(function: str, implementation: Callable[..., Any], seed: int) -> bool:
    """Whether one of the standard cases shows that it is wrong."""
    return any(judge(case, ask(implementation, case)).failure for case in standard(function, seed=seed))


@pytest.mark.spec("ORC-D2", "ORC-D8")
@pytest.mark.parametrize(("function", "path"), TAKEN)
def test_a_path_of_its_own_is_taken(function: str, path: str) -> None:
    layer = LAYERS[function]

    def wrong(*arguments: Any, **options: Any) -> Any:
        answer = layer.reference(*arguments, **options)
        named = dict(zip((*layer.arguments, *layer.positional), arguments))
        if "window" in named:
            call = Call((("x", named["x"].shape),), (("window", named["window"]), *options.items()))
            kernel: tuple[int, ...] = windows_of(call).kernel
        else:
            kernel = named["w"].shape
        if not FAMILIES[function][path](named["x"].shape, kernel, named.get("b") is not None, options):
            return answer
        return tuple(2 * a for a in answer) if isinstance(answer, tuple) else 2 * answer + 1

    assert all(rejected(function, wrong, seed) for seed in range(2))


@pytest.mark.spec("ORC-D2")
def test_each_option_alone_is_asked_of_one_image_channel_and_filter_and_of_a_square() -> None:
    """Whatever code of its own such a size may have, with each kernel that networks have."""
    calls = [case.call for case in standard("conv_forward", seed=0)]
    asked = [(dict(c.shapes), {k: v for k, v in c.options if k != "groups"}) for c in calls]
    options: list[dict[str, Any]] = [{}, {"stride": 2}, {"padding": 1}, {"dilation": 2}]
    for size, kernel, option in product(ONE, (1, 3, 5), [*options, {"padding": "same", "stride": 2}]):
        found = [s for s, o in asked if o == option and s["w"][2:] == (kernel, kernel) and ("b" in s or option)]
        assert any(ONE[size](s["x"], s["w"], False, {}) for s in found), (size, kernel, option)


def rows_without_maximum(rows: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """A softmax that looks for the largest in a part of each row, or not at all."""

    def softmax(z: Array) -> Array:
        with np.errstate(all="ignore"):
            e = np.exp(z - rows(z))
            return np.asarray(e / e.sum(axis=-1, keepdims=True))

    return softmax


SOFTMAX = {
    "the first 64": lambda z: z[..., :64].max(axis=-1, keepdims=True),
    "the first 256": lambda z: z[..., :256].max(axis=-1, keepdims=True),
    "the first 1024": lambda z: z[..., :1024].max(axis=-1, keepdims=True),
    "whole vectors of 4": lambda z: z[..., : max(z.shape[-1] // 4 * 4, 1)].max(axis=-1, keepdims=True),
    "whole vectors of 32": lambda z: z[..., : z.shape[-1] // 32 * 32 or None].max(axis=-1, keepdims=True),
    "none on three axes": lambda z: z.max(axis=-1, keepdims=True) if z.ndim < 3 else 0,
    "none after 32 rows": lambda z: np.where(np.arange(len(z))[:, None] < 32, z.max(axis=-1, keepdims=True), 0)
    if z.ndim == 2 else z.max(axis=-1, keepdims=True),
}  # fmt: skip


@pytest.mark.spec("ORC-D2", "ACT-F3")
@pytest.mark.parametrize("rows", SOFTMAX)
def test_the_largest_logit_is_looked_for_everywhere(rows: str) -> None:
    for seed in range(2):
        assert rejected("softmax", rows_without_maximum(SOFTMAX[rows]), seed)


@pytest.mark.spec("ORC-D2", "ORC-D4")
@pytest.mark.parametrize("kept_by", ["kernel", "size"])
@pytest.mark.parametrize(("function", "kernel"), [("conv_forward", "w"), ("max_pool_forward", "window")])
def test_padding_that_is_kept_by_too_little_shows(function: str, kernel: str, kept_by: str) -> None:
    """What "same" comes to depends on the image's size and the kernel's, and each changes without the other."""
    layer = LAYERS[function]
    for seed in range(2):
        kept: dict[Any, Any] = {}

        def remembering(*arguments: Any, kept: dict[Any, Any] = kept, **options: Any) -> Any:
            if options.get("padding") != "same":
                return layer.reference(*arguments, **options)
            shapes = tuple((n, a.shape) for n, a in zip(layer.arguments, arguments) if n in ("x", "w"))
            named = {"window": arguments[1]} if kernel == "window" else {}
            windows = windows_of(Call(shapes, tuple({**named, **options}.items())))
            key = windows.stride, windows.dilation, windows.kernel if kept_by == "kernel" else windows.size
            return layer.reference(*arguments, **{**options, "padding": kept.setdefault(key, windows.pads)})

        assert rejected(function, remembering, seed)


@pytest.mark.spec("ORC-D2", "ORC-D4")
def test_a_plan_that_is_kept_by_shapes_alone_shows() -> None:
    """Two calls may have all shapes in common, that of the result too, and differ in their options."""
    layer = LAYERS["conv_backward"]
    for seed in range(2):
        kept: dict[Any, dict[str, Any]] = {}

        def planned(*arguments: Any, kept: dict[Any, dict[str, Any]] = kept, **options: Any) -> Any:
            plan = kept.setdefault(tuple(a.shape for a in arguments), options)
            # But padding and groups, of which it knows.
            known = {name: value for name, value in options.items() if name in ("padding", "groups")}
            return layer.reference(*arguments, **{**plan, **known})

        assert rejected("conv_backward", planned, seed)
