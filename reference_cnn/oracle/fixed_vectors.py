"""Fixed calls with every kernel, or window, beside every option, of sizes that vectors divide: all in one call each.

Whole numbers tell all that there is to tell of sizes, so that they are asked with these alone where they can be.
"""

from typing import Any

from reference_cnn.oracle.call import Call
from reference_cnn.oracle.fixed_convolutions import conv_call
from reference_cnn.oracle.fixed_poolings import pool_call
from reference_cnn.oracle.sizes import VECTOR, cycle

# Larger kernels take long in large calls, and fewer code paths.
SMALL = 3


def conv_vectors(rank: int) -> list[Call]:
    """Return calls of convolutions for code that goes by vectors of channels, filters or outputs, or by tiles."""
    kernels = [[k] * rank for k in ((1, 2, 3, 4, 5, 7) if rank < 3 else (1, 2, 3))]
    kernels += [[*cycle((1, 3), rank)], [*cycle((3, 2), rank)]] * (rank > 1)
    calls = [_call(k, options, turn) for k in kernels for turn, options in enumerate(_options(k))]
    for groups, kinds in ((2, kernels[::2]), (VECTOR, kernels[2:5])):
        calls += [_call(k, o, turn, groups) for k in kinds for turn, o in enumerate(_options(k)[:8])]
    return [*calls, *_of_tiles(rank), *_by_shape(rank)]


def _options(kernel: list[int]) -> list[dict[str, Any]]:
    """Each option for which there may be code of its own, or none; one number where the kernel is as long as wide."""
    rank, half = len(kernel), tuple(max(k // 2, 1) for k in kernel)
    strides, sides = cycle((2, 1), rank), cycle(((0, 1), (2, 0), (1, 0)), rank)
    padding, patch = (half[0], kernel[0]) if len(set(kernel)) == 1 else (half, tuple(kernel))
    return [
        *({"b": True}, {"stride": 2, "b": True}, {"padding": padding, "b": True}, {"padding": "same", "stride": 2}),
        *({"stride": 2, "padding": padding}, {"padding": sides, "b": True}, {"dilation": 2, "padding": padding}),
        *({"stride": 3, "padding": padding}, {"padding": "same", "stride": 2, "dilation": 2}),
        *({"padding": "same", "stride": strides, "b": True}, {"stride": patch, "b": True}),
        {"stride": strides, "padding": cycle((1, 0), rank)},
        {"dilation": 3, "b": True},
        {"stride": 3, "dilation": 3},
    ]


def _call(kernel: list[int], options: dict[str, Any], turn: int, groups: int = 1) -> Call:
    """A call with rows of outputs, or as many in all directions, and one image, or more, by turns."""
    rank = len(kernel)
    given = {name: value for name, value in options.items() if name != "b"}
    few = max(kernel) <= SMALL and rank < 3
    outputs = [3 if turn % 3 or not few else VECTOR + 1] * (rank - 1) + [VECTOR + turn % 2]
    if given.get("padding") == "same":  # alike, so that only the options tell one from another
        outputs = [3] * (rank - 1) + [VECTOR]
    size = [_size(out, kernel[axis], given, axis) for axis, out in enumerate(outputs)]
    x, w = ((1, 2, VECTOR if few else 1)[turn % 3], VECTOR, *size), (VECTOR, VECTOR // groups, *kernel)
    return conv_call(x, w, **(options if groups == 1 else {**options, "groups": groups}))


def _size(out: int, kernel: int, options: dict[str, Any], axis: int) -> int:
    """How long an axis is that has so many outputs."""
    stride, dilation, padding = (
        value[axis] if isinstance(value, tuple) else value
        for value in (options.get("stride", 1), options.get("dilation", 1), options.get("padding", 0))
    )
    if padding == "same":
        return int(out * stride)
    both = sum(padding) if isinstance(padding, tuple) else 2 * padding
    return max(int((out - 1) * stride + dilation * (kernel - 1) + 1 - both), 1)


def _of_tiles(rank: int) -> list[Call]:
    """Products of matrices that are larger than a tile in two ways, and in all three: filters, terms and places."""
    one, d = [1] * (rank - 1), cycle((10, 9, 2), rank) if rank > 1 else (72,)
    return [
        conv_call((1, 35, *one, 7), (37, 35, *one, 1), b=True),
        conv_call((1, 35, *d), (37, 35, *[2] * min(rank, 2), *[1] * (rank - 2))),
        conv_call((1, 33, *one, 12), (7, 33, *one, 9)),
    ]


def _by_shape(rank: int) -> list[Call]:
    """Where shapes say that one number will do for all axes, and options do not; and some with many places."""
    thin, twos, unequal = [1] * (rank - 1), cycle((2, 1), rank), cycle((1, 2), rank)
    large, long = 5 if rank < 3 else 3, [12] * min(rank, 2) + [1] * (rank - 2)
    sides = cycle(((0, 1), (2, 0), (1, 0)), rank)
    return [
        conv_call((2, 2, *[9] * rank), (3, 2, *[3] * rank), stride=twos),
        conv_call((2, 2, *[9] * rank), (3, 2, *[3] * rank), dilation=twos),
        conv_call((2, 2, *thin, 9), (3, 2, *thin, 3), dilation=unequal),
        conv_call((2, 3, *thin, 9), (3, 1, *thin, 3), b=True, groups=3, dilation=unequal),
        conv_call((1, 2, *long), (3, 2, *[1] * rank)),
        conv_call((1, 2, *cycle((5, 6, 4), rank)), (3, 2, *[3] * rank), padding=sides),  # one image, and no bias
        conv_call((1, 4, *[large] * rank), (8, 1, *[large] * rank), groups=4, padding=large // 2),
    ]


def pool_vectors(rank: int, own: str) -> list[Call]:
    """Return calls of a pooling: every window beside every option, with whole vectors of channels and outputs."""
    calls = []
    for window in (2, 3, 4, 5) if rank < 3 else (2, 3):
        options: list[dict[str, Any]] = [
            *({}, {"stride": 2}, {"stride": 1, "padding": window // 2}, {"stride": 2, "padding": window // 2}),
            *({"padding": "same", "stride": 2}, {"stride": 3}, {"padding": "same", "stride": cycle((2, 1), rank)}),
            {"stride": 1, own: 2} if own == "dilation" else {"stride": 1, "padding": window // 2, own: True},
        ]
        for turn, o in enumerate(options):
            step = o.get("stride", window)
            row = (VECTOR + turn % 2) * (step if isinstance(step, int) else step[-1])
            lines = row if turn % 3 == 1 else 3 * window
            calls.append(pool_call(((1, 2)[turn % 2], VECTOR, *[lines] * (rank - 1), row + window), window=window, **o))
    # All of an image, and many maps.
    whole = [pool_call((n, VECTOR, *[of] * rank), window=of) for n, of in ((1, 7), (2, 7), (1, 8)) if rank < 3]
    return [*calls, *whole, pool_call((4, 66, *cycle((4, 3, 3), rank)), window=2)]
