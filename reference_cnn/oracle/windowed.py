"""Calls of convolutions and poolings: the fixed ones, and others that are drawn."""

import math
from collections.abc import Callable
from typing import Any

from reference_cnn._windows import Windows, spans_of
from reference_cnn.oracle.call import Call, Draw, Effort, Offered, everything, windows_of
from reference_cnn.oracle.fixed_convolutions import conv_call, fixed_convolutions
from reference_cnn.oracle.fixed_networks import fixed_networks
from reference_cnn.oracle.fixed_poolings import fixed_poolings, pool_call

# So many numbers that differ, as a maximum wants them, has even bfloat16.
DISTINCT = 128
# Features that simple code offers, and nothing besides.
SIMPLE = (
    {"b", "no b"},
    {"no b", "stride", "padding"},
    {"no b", "stride", "stride per axis", 'padding="same"', 'padding="valid"'},
)


def conv_calls(rank: int, draw: Draw, effort: Effort, spread: float) -> list[Call]:
    """Return calls of a convolution: the fixed ones, and drawn ones with everything at once."""
    simple = [draw_telling(draw, rank, offered.__contains__) for offered in SIMPLE for _ in range(effort.simple)]
    drawn = [draw_telling(draw, rank) for _ in range(effort.drawn)]
    return fixed_convolutions(rank, spread) + fixed_networks(rank) + simple + drawn


def draw_telling(draw: Draw, rank: int, offered: Offered = everything) -> Call:
    """Draw a call of which at least half the outputs, and half the taps, do not lie in the padding alone."""
    while True:
        call = draw_conv(draw, rank, offered)
        inside = windows_of(call).inside
        outputs, taps = (math.prod(i.any(axis=axis).mean() for i in inside) for axis in (1, 0))
        if min(outputs, taps) >= 1 / 2:
            return call


def draw_conv(draw: Draw, rank: int, offered: Offered = everything) -> Call:
    """Draw a call of a convolution that uses only offered features."""
    forms = _forms(draw, rank)
    options = _draw_options(draw, offered, {n: forms[n] for n in ("stride", "dilation", "padding", "groups")})
    kernel = tuple(draw(1, 4 if rank < 3 else 3) for _ in range(rank))
    groups, channels, filters = options.get("groups", 1), draw(1, 3), draw(1, 3)
    x = (draw(1, 4), groups * channels, *_draw_size(draw, kernel, options))
    return conv_call(x, (groups * filters, channels, *kernel), b=draw_bias(draw, offered), **options)


def draw_bias(draw: Draw, offered: Offered) -> bool:
    """Draw whether there is a bias, if that is for the caller to say."""
    possible = [b for feature, b in (("no b", False), ("b", True)) if offered(feature)]
    return possible[draw(0, len(possible) - 1)]


def draw_pool(draw: Draw, rank: int, offered: Offered, own: str) -> Call:
    """Draw a call of a pooling that uses only offered features; `own` is the option that the other one lacks."""
    while True:
        forms = _forms(draw, rank)
        options = _draw_options(draw, offered, {n: forms[n] for n in ("window", "stride", "padding", own)})
        options.setdefault("window", draw(2, 3) if offered("window") else forms["window"]["window per axis"]())
        window = options["window"]
        kernel = window if isinstance(window, tuple) else (window,) * rank
        x = (draw(1, 3), draw(1, 3), *_draw_size(draw, kernel, options))
        call = pool_call(x, **options)
        if _poolable(call) and math.prod(windows_of(call).spans) <= DISTINCT:
            return call


def _poolable(call: Call) -> bool:
    """Whether the padding is as small as a pooling wants it [POOL-C3]."""
    windows = windows_of(call)
    return all(max(p) < s for p, s in zip(windows.pads, windows.spans)) and all(
        i.any(axis=1).all() for i in windows.inside
    )


def _forms(draw: Draw, rank: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """The forms in which each option can be given."""

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(low, high) for _ in range(rank))

    return {
        "window": {"window per axis": lambda: per_axis(1, 4 if rank < 3 else 3)},
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
        "include_padding": {"include_padding": lambda: True},
    }


def _draw_options(draw: Draw, offered: Offered, forms: dict[str, dict[str, Callable[[], Any]]]) -> dict[str, Any]:
    """Draw for each option whether it is given, and in which of the offered forms."""
    options = {}
    for name, choices in forms.items():
        possible = [form for form in choices if offered(form)]
        chosen = draw(0, len(possible))
        if chosen:
            options[name] = choices[possible[chosen - 1]]()
    return options


def _draw_size(draw: Draw, kernel: tuple[int, ...], options: dict[str, Any]) -> list[int]:
    """Draw sizes as small as the pads allow, so that some images are smaller than the kernel."""
    gaps = options.get("dilation", 1)
    spans = spans_of(kernel, gaps if isinstance(gaps, tuple) else (gaps,) * len(kernel))
    pads = Windows.of("draw", spans, kernel, 1, options.get("padding", 0), gaps).pads
    return [max(s - sum(p), 1) + draw(0, 5) for s, p in zip(spans, pads)]


def pool_calls(rank: int, draw: Draw, own: str, effort: Effort) -> list[Call]:
    """Return calls of a pooling: the fixed ones, and drawn ones with everything at once."""
    return fixed_poolings(rank, own) + [draw_pool(draw, rank, everything, own) for _ in range(effort.drawn)]
