"""What code may have a path of its own for: a mistake on it shows in those cases alone that take it."""

import math
from itertools import combinations, permutations

from reference_cnn.oracle.call import Call, keyword_of, windows_of

# Sizes after which a tile, a vector or a counter of this many elements is at its end.
TILES = (1, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)


def paths(call: Call) -> frozenset[str]:
    """The paths that a call takes; a mistake may need several at once."""
    windowed = "window" in dict(call.options) or len(dict(call.shapes).get("w", ())) > 2
    sizes, taken = _windowed(call) if windowed else _plain(call)
    found = {path for path, holds in taken.items() if holds}
    found |= {f"more than {t} {name}" for name, size in sizes.items() for t in TILES if size > t}
    return call.features | found | {f"one {name}" for name, size in sizes.items() if size == 1}


def _plain(call: Call) -> tuple[dict[str, int], dict[str, bool]]:
    """Sizes by name, and the other paths of a dense layer, an activation, a softmax or a loss."""
    shapes = [shape for name, shape in call.shapes if name != "b"]
    first = shapes[0]
    sizes = {"rows": first[0], "columns": first[-1], "numbers": math.prod(first)}
    sizes |= {"neurons": shapes[-1][-1]} if len(shapes) > 1 else {}
    return sizes, {
        f"{len(first)} axes": True,
        **_compared(sizes),
        # Each range of numbers is another part of a curve, and another chance to overflow or to vanish.
        f"numbers up to {call.scale:g}": True,
    }


def _compared(sizes: dict[str, int]) -> dict[str, bool]:
    """Which sizes are larger than which, and which are equal, so that one taken for the other is not noticed."""
    pairs = list(combinations(sizes.items(), 2))
    larger = {f"more {a} than {b}": m > n for one, other in pairs for (a, m), (b, n) in permutations((one, other))}
    return larger | {f"as many {a} as {b}": m == n for (a, m), (b, n) in pairs}


def _windowed(call: Call) -> tuple[dict[str, int], dict[str, bool]]:
    """Sizes by name, and the other paths of a convolution or a pooling."""
    shapes, windows = dict(call.shapes), windows_of(call)
    images, channels, *space = shapes["x"]
    filters, per_group, *_ = shapes.get("w", (0, 1))
    sizes = {"images": images, "channels": channels, "rows": space[0], "columns": space[-1], "filters": filters}
    sizes |= {"outputs": math.prod(windows.out), "taps": math.prod(windows.kernel) * per_group}
    spans = windows.spans
    tail = [(i + sum(p) - e) % s for i, p, e, s in zip(windows.size, windows.pads, spans, windows.stride)]
    one = [k == 1 for k in windows.kernel]
    return sizes, {
        "a stride": max(windows.stride) > 1,
        "windows apart": any(s > e for s, e in zip(windows.stride, spans)),
        "windows that overlap": any(s < e for s, e in zip(windows.stride, spans)),
        "windows side by side": windows.stride == windows.kernel and not all(one),
        "an unread tail": any(tail),
        "no unread tail": not any(tail),
        "one output": math.prod(windows.out) == 1,
        "as many outputs as inputs": windows.out == windows.size,
        "windows that cover the image": spans == windows.size,
        "windows larger than the image": any(e > i for e, i in zip(spans, windows.size)),
        "windows of one element": all(one),
        "windows along the first axis alone": all(one[1:]),
        "windows along the last axis alone": all(one[:-1]),
        "an even window": any(k % 2 == 0 for k in windows.kernel),
        "an odd window": any(k % 2 for k in windows.kernel),
        "padding": any(map(any, windows.pads)),
        "padding to count where there is none": dict(call.options).get("include_padding", False)
        and not any(map(any, windows.pads)),
        "more padding before": any(before > after for before, after in windows.pads),
        "more padding after": any(before < after for before, after in windows.pads),
        "as much padding as a window has room for": any(max(p) == e - 1 for p, e in zip(windows.pads, spans)),
        "more dilation along the first axis": windows.dilation[0] > max(windows.dilation[1:]),
        "more dilation along the last axis": windows.dilation[-1] > max(windows.dilation[:-1]),
        "a filter for each channel": per_group == 1 and channels > 1 and filters > 0,
        "all square": len(set(space)) == len(set(windows.kernel)) == 1,
        "as many filters as channels": filters == channels,
        "as many filters as columns": filters == windows.out[-1],
        "as many channels as rows and columns": len({channels, *space}) == 1,
        "numbers of very different sizes": call.scale > 1,
        **{f"{feature} that says nothing": call.idle(keyword_of(feature)) for feature in call.features},
        **{f"{feature}, alike": not call.tells(feature) for feature in call.features},
    }
