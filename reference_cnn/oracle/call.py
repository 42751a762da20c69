"""One call of a function: shapes, options and scale, which a case puts numbers to."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from reference_cnn._windows import Windows

# draw(low, high) is an integer between them, both included; the same code serves NumPy's generator and Hypothesis,
# which shrinks towards low.
Draw = Callable[[int, int], int]
# Whether a target accepts a feature of a call.
Offered = Callable[[str], bool]

# Equal numbers in x, in the place of a special value.
TIES = ("ties", "x")
# What an option is when it is not given; for the stride of a pooling, that is the window.
DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "include_padding": False}


class Effort(NamedTuple):
    """How many calls are drawn besides the fixed ones.

    `drawn` with every feature, `simple` of each handful of features that simple code offers, `offered` of each target
    with what it offers.
    """

    drawn: int
    simple: int
    offered: int


PROFILES = {"quick": Effort(2, 1, 8), "standard": Effort(16, 6, 32), "thorough": Effort(160, 30, 320)}


def everything(feature: str) -> bool:
    """What a target offers of which nothing is known."""
    return True


class Call(NamedTuple):
    """Shapes by name, keyword arguments, the scale of the numbers, and a special value in one of the arguments."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    options: tuple[tuple[str, Any], ...] = ()
    scale: float = 1.0
    special: tuple[str, str] | None = None

    @property
    def features(self) -> frozenset[str]:
        """What a target has to accept for this call; a target may offer some and not others."""
        found = {_feature(name, value) for name, value in self.options}
        names = [name for name, _ in self.shapes]
        if names[:2] == ["x", "w"]:
            found.add("b" if "b" in names else "no b")
        return frozenset(found)

    def idle(self, name: str) -> bool:
        """Whether an option is as good as not given."""
        options = dict(self.options)
        if name == "stride" and "window" in options:
            windows = windows_of(self)
            return windows.stride == windows.kernel
        return name in options and name in DEFAULTS and set(_flat(options[name])) == {DEFAULTS[name]}

    def tells(self, feature: str) -> bool:
        """Whether the option of a feature does something, and not the same along each axis or on both sides."""
        name = keyword_of(feature)
        value: Any = dict(self.options).get(name)
        if feature.endswith("per side") or value == "same":
            return any(before != after for before, after in windows_of(self).pads)
        return not self.idle(name) and not (feature.endswith("per axis") and len(value) > len(set(value)) == 1)

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


def _flat(value: Any) -> list[Any]:
    """The numbers of an option, whatever its form."""
    return [number for entry in value for number in _flat(entry)] if isinstance(value, tuple) else [value]


def keyword_of(feature: str) -> str:
    """The keyword that a feature is a form of."""
    return re.split("[ =]", feature, maxsplit=1)[0]


def windows_of(call: Call) -> Windows:
    """Where the windows of a convolution or a pooling lie."""
    shapes, options = dict(call.shapes), dict(call.options)
    size = shapes["x"][2:]
    window = options.get("window", shapes.get("w", (0, 0))[2:])
    kernel = window if isinstance(window, tuple) else (window,) * len(size)
    stride = options.get("stride", kernel if "window" in options else 1)
    return Windows.of("case", size, kernel, stride, options.get("padding", 0), options.get("dilation", 1))


def numpy_draw(*seed: int) -> Draw:
    """Draw from NumPy's generator."""
    rng = np.random.default_rng(seed)
    return lambda low, high: int(rng.integers(low, high + 1))
