"""Shapes and options of the cases: some fixed, each there for a reason, the others drawn."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from reference_cnn._windows import Windows, spans_of

T = TypeVar("T")

# draw(low, high) is an integer between them, both included; the same code serves NumPy's generator and Hypothesis,
# which shrinks towards low.
Draw = Callable[[int, int], int]

# How many cases are drawn besides the fixed ones: with every feature, and with the few that simple code offers.
DRAWN = 16
DRAWN_SIMPLE = 6
# … and of each target, calls with what it offers.
DRAWN_OFFERED = 32
SIMPLE = (
    {"b", "no b"},
    {"no b", "stride", "padding"},
    {"no b", "stride", "stride per axis", 'padding="same"', 'padding="valid"'},
)

# The widest arguments at which an activation of the dtype is still told from its limit.
RANGES = {"float64": 740.0, "float32": 100.0, "float16": 16.0, "bfloat16": 88.0}


class Call(NamedTuple):
    """Shapes by name, keyword arguments, and the scale of the numbers."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    options: tuple[tuple[str, Any], ...] = ()
    scale: float = 1.0

    @property
    def features(self) -> frozenset[str]:
        """What a target has to accept for this call; a target may offer some and not others."""
        found = {_feature(name, value) for name, value in self.options}
        names = [name for name, _ in self.shapes]
        if names[:2] == ["x", "w"]:
            found.add("b" if "b" in names else "no b")
        return frozenset(found)

    def with_bias(self) -> "Call":
        """Return the same call with a bias, one for each filter or neuron."""
        w = dict(self.shapes)["w"]
        return self._replace(shapes=(*self.without_bias().shapes, ("b", w[:1] if len(w) > 2 else w[1:])))

    def without_bias(self) -> "Call":
        """Return the same call for a function that has no b to ask about."""
        return self._replace(shapes=tuple((name, s) for name, s in self.shapes if name != "b"))


def _feature(name: str, value: Any) -> str:
    """A keyword and the form of its value: `stride`, `stride per axis`, `padding per side`, `padding="same"`."""
    if isinstance(value, str):
        return f'{name}="{value}"'
    if isinstance(value, tuple):
        return f"{name} per {'side' if isinstance(value[0], tuple) else 'axis'}"
    return name


def keyword_of(feature: str) -> str:
    """The keyword that a feature is a form of."""
    return re.split("[ =]", feature, maxsplit=1)[0]


def conv_call(x: Sequence[int], w: Sequence[int], *, b: bool = False, **options: Any) -> Call:
    """Return a call of a convolution."""
    shapes = [("x", tuple(x)), ("w", tuple(w))] + [("b", (w[0],))] * b
    return Call(tuple(shapes), tuple(options.items()))


def conv_calls(rank: int, draw: Draw) -> list[Call]:
    """Return calls of a convolution: one feature at a time, known traps, and drawn ones with everything at once."""
    d, k = _cycle((8, 6, 5), rank), _cycle((3, 2, 2), rank)
    x, w = (3, 2, *d), (4, 2, *k)
    even = _cycle((7, 8, 6), rank)
    single = [
        conv_call(x, w),
        conv_call(x, w, b=True),
        conv_call((1, 1, *_cycle((4, 5, 3), rank)), (1, 1, *_cycle((2, 3, 2), rank))),
        conv_call(x, w, stride=2),
        conv_call(x, w, stride=_cycle((2, 3, 1), rank)),
        conv_call(x, w, dilation=2),
        conv_call(x, w, dilation=_cycle((3, 2, 1), rank)),
        conv_call(x, w, padding=1),
        conv_call(x, w, padding=_cycle((2, 1, 0), rank)),
        conv_call(x, w, padding=_cycle(((0, 1), (2, 1), (1, 0)), rank)),
        conv_call(x, w, padding=_cycle(((2, 0), (0, 1), (1, 2)), rank)),
        conv_call(x, w, padding="valid"),
        conv_call(x, w, padding="same"),
        conv_call((2, 3, *even), (2, 3, *k), padding="same", stride=2),
        conv_call((2, 3, *even), (2, 3, *_cycle((2, 3, 4), rank)), padding="same", stride=_cycle((3, 2, 2), rank)),
        conv_call((2, 3, *even), (2, 3, *k), padding="valid", stride=2),
        conv_call((3, 4, *d), (6, 2, *k), groups=2),
        conv_call((2, 3, *d), (6, 1, *k), groups=3),
        conv_call((3, 2, *d), (4, 2, *[1] * rank), stride=2),  # taps with gaps between them
        conv_call((3, 2, *k), (4, 2, *k)),  # the kernel covers the image
        conv_call(
            (2, 3, *[2] * rank), (2, 3, *_cycle((3, 4, 2), rank)), padding=1
        ),  # the kernel is larger than the image
        conv_call((3, 2, *d), (4, 2, *[1] * rank)),
        conv_call((3, 2, *d), (4, 2, *[3] * rank), b=True),
        conv_call((4, 2, *[6] * rank), (4, 2, *[3] * rank), b=True),  # as many filters as columns
        conv_call((2, 4, *[4] * rank), (6, 4, *[2] * rank), b=True),  # as many channels as rows and columns
        conv_call((4, 4, *[4] * rank), (4, 4, *[3] * rank)),  # nothing is told by a shape
        conv_call((4, 4, *[4] * rank), (4, 4, *[3] * rank), padding=1),
        # More than a tile of 8 of everything.
        conv_call((9, 9, *_cycle((4, 3, 2), rank)), (17, 9, *[2] * rank)),
        conv_call((1, 1, *[18] * rank), (1, 1, *[9] * rank))
        if rank < 3
        else conv_call((9, 1, 4, 3, 2), (9, 1, 2, 2, 1)),
        # Where "same" needs less padding than at stride 1, or more for the dilation.
        conv_call((3, 2, *_cycle((4, 6, 5), rank)), (4, 2, *[3] * rank), padding="same", stride=2),
        conv_call((3, 2, *_cycle((6, 4, 5), rank)), (4, 2, *_cycle((2, 3, 2), rank)), padding="same", dilation=2),
    ]
    traps = [
        # Where the division rounds down so much that swapped arguments keep the shape.
        conv_call((3, 2, 6, 5), (2, 2, 2, 2), stride=(3, 4), padding=((1, 1), (0, 1)), dilation=(2, 1)),
        conv_call((2, 3, 7, 6), (3, 3, 2, 2), stride=(4, 3), padding=((1, 0), (1, 1)), dilation=(3, 2)),
        conv_call((3, 4, 7, 8), (6, 2, 2, 3), stride=(2, 1), padding=((0, 1), (1, 0)), groups=2),
    ]
    simple = [draw_telling(draw, rank, offered.__contains__) for offered in SIMPLE for _ in range(DRAWN_SIMPLE)]
    return single + traps * (rank == 2) + simple + [draw_telling(draw, rank) for _ in range(DRAWN)]


def windows_of(call: Call) -> Windows:
    """Where the windows of a convolution lie."""
    shapes, options = dict(call.shapes), {"stride": 1, "padding": 0, "dilation": 1} | dict(call.options)
    options.pop("groups", None)
    return Windows.of("case", shapes["x"][2:], shapes["w"][2:], **options)


def draw_telling(draw: Draw, rank: int, offered: Callable[[str], bool] = lambda feature: True) -> Call:
    """Draw a call of which at least half the outputs, and half the taps, do not lie in the padding alone."""
    while True:
        call = draw_conv(draw, rank, offered)
        inside = windows_of(call).inside
        outputs, taps = (math.prod(i.any(axis=axis).mean() for i in inside) for axis in (1, 0))
        if min(outputs, taps) >= 1 / 2:
            return call


def draw_conv(draw: Draw, rank: int, offered: Callable[[str], bool] = lambda feature: True) -> Call:
    """Draw a call of a convolution that uses only offered features."""

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(low, high) for _ in range(rank))

    forms: dict[str, dict[str, Callable[[], Any]]] = {
        "stride": {"stride": lambda: draw(2, 3), "stride per axis": lambda: per_axis(1, 4)},
        "dilation": {"dilation": lambda: draw(2, 3), "dilation per axis": lambda: per_axis(1, 4)},
        "padding": {
            "padding": lambda: draw(1, 2),
            "padding per axis": lambda: per_axis(0, 2),
            "padding per side": lambda: tuple(zip(per_axis(0, 2), per_axis(0, 2))),
            'padding="same"': lambda: "same",
            'padding="valid"': lambda: "valid",
        },
        "groups": {"groups": lambda: draw(2, 3)},
    }
    options = {}
    for name, choices in forms.items():
        possible = [form for form in choices if offered(form)]
        chosen = draw(0, len(possible))
        if chosen:
            options[name] = choices[possible[chosen - 1]]()
    kernel = per_axis(1, 4 if rank < 3 else 3)
    gaps = options.get("dilation", 1)
    spans = spans_of(kernel, gaps if isinstance(gaps, tuple) else (gaps,) * rank)
    pads = Windows.of("draw_conv", spans, kernel, 1, options.get("padding", 0), gaps).pads
    # As small as the pads allow, so that some images are smaller than the kernel.
    size = [max(s - sum(p), 1) + draw(0, 5) for s, p in zip(spans, pads)]
    groups, channels, filters = options.get("groups", 1), draw(1, 3), draw(1, 3)
    x = (draw(1, 4), groups * channels, *size)
    return conv_call(x, (groups * filters, channels, *kernel), b=_draw_bias(draw, offered), **options)


def _draw_bias(draw: Draw, offered: Callable[[str], bool]) -> bool:
    possible = [b for feature, b in (("no b", False), ("b", True)) if offered(feature)]
    return possible[draw(0, len(possible) - 1)]


def dense_calls(draw: Draw) -> list[Call]:
    """Return calls of a dense layer: sizes apart, all equal, and 1 each."""
    sizes = [(3, 4, 2), (5, 2, 7), (4, 4, 4), (1, 3, 2), (3, 1, 2), (3, 2, 1), (2, 60, 3), (9, 3, 17), (17, 9, 5)]
    fixed = [_dense(*s, b=b) for s in sizes for b in (False, True)]
    return fixed + [draw_dense(draw) for _ in range(DRAWN)]


def draw_dense(draw: Draw, offered: Callable[[str], bool] = lambda feature: True) -> Call:
    """Draw a call of a dense layer that uses only offered features."""
    return _dense(draw(1, 5), draw(1, 8), draw(1, 8), b=_draw_bias(draw, offered))


def _dense(n: int, features: int, neurons: int, *, b: bool) -> Call:
    shapes = [("x", (n, features)), ("w", (features, neurons))] + [("b", (neurons,))] * b
    return Call(tuple(shapes))


def activation_calls(draw: Draw, dtype: str) -> list[Call]:
    """Return calls of an activation: tiny, ordinary and large numbers up to the range of the dtype, on 1 to 3 axes."""
    shapes = [(97,), (8, 16), (2, 3, 5), (1, 1)]
    fixed = [
        Call((("z", shapes[i % 4]),), scale=s) for i, s in enumerate((4.0, 12.0, 1e-3, 1.0, 40.0, 88.0, RANGES[dtype]))
    ]
    return [c for c in fixed if c.scale <= RANGES[dtype]] + [draw_activation(draw) for _ in range(DRAWN)]


def draw_activation(draw: Draw) -> Call:
    """Draw a call of an activation."""
    return Call((("z", (draw(1, 4), draw(1, 9))),), scale=float(draw(1, 16)))


def more_calls(function: str, rank: int, draw: Draw, offered: Callable[[str], bool]) -> list[Call]:
    """Draw calls of a convolution that use only offered features; the other functions have hardly any."""
    if not function.startswith("conv"):
        return []
    calls = [draw_telling(draw, rank, offered) for _ in range(DRAWN_OFFERED)]
    return [call if function.endswith("forward") else call.without_bias() for call in calls]


def numpy_draw(*seed: int) -> Draw:
    """Draw from NumPy's generator."""
    rng = np.random.default_rng(seed)
    return lambda low, high: int(rng.integers(low, high + 1))


def _cycle(values: tuple[T, ...], count: int) -> tuple[T, ...]:
    return tuple(values[i % len(values)] for i in range(count))
