"""Fixed calls of convolutions, each there for a reason."""

from collections.abc import Sequence
from typing import Any

from reference_cnn.oracle.call import Call
from reference_cnn.oracle.sizes import LONG, cycle, rotations


def conv_call(x: Sequence[int], w: Sequence[int], *, b: bool = False, **options: Any) -> Call:
    """Return a call of a convolution."""
    shapes = [("x", tuple(x)), ("w", tuple(w))] + [("b", (w[0],))] * b
    return Call(tuple(shapes), tuple(options.items()))


def fixed_convolutions(rank: int, spread: float) -> list[Call]:
    """Return calls of a convolution: one feature at a time, sizes with code of their own, and traps.

    Some have numbers of very different sizes, from 1/spread to spread.
    """
    d, k = cycle((8, 6, 5), rank), cycle((3, 2, 2), rank)
    x, w = (3, 2, *d), (4, 2, *k)
    even = cycle((7, 8, 6), rank)
    single = [
        conv_call(x, w),
        conv_call(x, w, b=True),
        conv_call((1, 1, *cycle((4, 5, 3), rank)), (1, 1, *cycle((2, 3, 2), rank))),
        conv_call(x, w, stride=2),
        conv_call(x, w, stride=cycle((2, 3, 1), rank)),
        conv_call(x, w, dilation=2),
        conv_call(x, w, dilation=cycle((3, 2, 1), rank)),
        conv_call(x, w, padding=1),
        conv_call(x, w, padding=cycle((2, 1, 0), rank)),
        conv_call(x, w, padding=cycle(((0, 1), (2, 1), (1, 0)), rank)),
        conv_call(x, w, padding=cycle(((2, 0), (0, 1), (1, 2)), rank)),
        conv_call(x, w, padding="valid"),
        conv_call(x, w, padding="same"),
        conv_call((2, 3, *even), (2, 3, *k), padding="same", stride=2),
        conv_call((2, 3, *even), (2, 3, *cycle((2, 3, 4), rank)), padding="same", stride=cycle((3, 2, 2), rank)),
        conv_call((2, 3, *even), (2, 3, *k), padding="valid", stride=2),
        conv_call((3, 4, *d), (6, 2, *k), groups=2),
        conv_call((2, 3, *d), (6, 1, *k), groups=3),
        conv_call((3, 2, *d), (4, 2, *[1] * rank), stride=2),  # taps with gaps between them
        conv_call((3, 2, *k), (4, 2, *k)),  # the kernel covers the image
        conv_call(
            (2, 3, *[2] * rank), (2, 3, *cycle((3, 4, 2), rank)), padding=1
        ),  # the kernel is larger than the image
        conv_call((3, 2, *d), (4, 2, *[1] * rank)),
        conv_call((3, 2, *cycle((5, 9, 7), rank)), (4, 2, *[3] * rank), b=True),
        conv_call((4, 2, *[6] * rank), (4, 2, *[3] * rank), b=True),  # as many filters as columns
        conv_call((2, 4, *[4] * rank), (6, 4, *[2] * rank), b=True),  # as many channels as rows and columns
        conv_call((4, 4, *[4] * rank), (4, 4, *[3] * rank)),  # nothing is told by a shape
        conv_call((4, 4, *[4] * rank), (4, 4, *[3] * rank), padding=1),
        # More images than a tile of 32, and more than one of 8 of everything.
        conv_call((34, 1, *cycle((3, 2, 4), rank)), (2, 1, *[2] * rank)),
        conv_call((9, 9, *cycle((4, 3, 2), rank)), (17, 9, *[2] * rank)),
        conv_call((1, 1, *([18, 18] if rank == 2 else [80])), (1, 1, *([13, 13] if rank == 2 else [65])))
        if rank < 3
        else conv_call((9, 1, *cycle((4, 3, 2), rank)), (9, 1, *cycle((2, 2, 1), rank))),
        # More than 32 channels or filters, 256 taps or positions.
        conv_call((2, 33, *cycle((4, 5, 3), rank)), (3, 33, *[3] * rank)),
        conv_call((2, 1, *cycle((4, 3, 3), rank)), (33, 1, *k)),
        conv_call((1, 1, *LONG[min(rank, 3)], *[3] * (rank - 3)), (2, 1, *[3] * rank), stride=2, padding=1),
        # Where "same" needs less padding than at stride 1, or more for the dilation.
        conv_call((3, 2, *cycle((4, 6, 5), rank)), (4, 2, *[3] * rank), padding="same", stride=2),
        conv_call((3, 2, *cycle((6, 4, 5), rank)), (4, 2, *cycle((2, 3, 2), rank)), padding="same", dilation=2),
    ]
    shortcuts = [
        # Kernels of one element, which need no windows, but all the rest.
        conv_call((3, 2, *d), (4, 2, *[1] * rank), padding=1),
        conv_call((1, 2, *d), (3, 2, *[1] * rank), stride=2, padding=1, b=True),
        conv_call((2, 2, *d), (3, 2, *[1] * rank), dilation=2),
        conv_call((2, 2, *d), (3, 2, *[1] * rank), stride=4, padding="same"),  # which needs none, not less than none
        conv_call((3, 4, *d), (6, 2, *[1] * rank), groups=2, b=True),
        conv_call((3, 4, *d), (6, 2, *[1] * rank), groups=2, stride=2),
        # Images as large as the kernel, which need no loop.
        conv_call((1, 2, *k), (4, 2, *k)),
        conv_call((2, 2, *k), (4, 2, *k), padding=1),
        conv_call((3, 4, *k), (6, 2, *k), groups=2),
        conv_call((2, 3, *[1] * rank), (2, 3, *[3] * rank), padding=1),
        # A filter for each channel, many groups, and groups of many channels.
        conv_call((2, 33, *cycle((4, 5, 3), rank)), (33, 1, *[3] * rank), groups=33),
        conv_call((2, 10, *d), (4, 5, *k), groups=2),
        # Sizes for which some have code of their own: patches, stems, far-reaching kernels.
        conv_call((2, 2, *d), (3, 2, *[2] * rank), stride=2, padding=1),
        conv_call((2, 2, *d), (3, 2, *[3] * rank), dilation=2, padding=2),
        conv_call((2, 2, *cycle((3, 4, 2), rank)), (3, 2, *[5] * rank), padding=4),
        conv_call((1, 2, *cycle((9, 10, 7), rank)), (2, 2, *[7] * rank), stride=2, padding=3),
        conv_call((2, 2, *[12] * rank), (3, 2, *[2] * rank), stride=5),
        conv_call((2, 2, *[14] * rank), (3, 2, *[2] * rank), dilation=12),
    ]
    # Longer than a vector or a tile of 128 or 256 in one way each, more than 1024 taps or outputs.
    long = [
        *(conv_call((1, 2, *row), (3, 2, *cycle((2, 1), rank))) for row in rotations((260, *[3] * (rank - 1)))),
        conv_call((130, 1, *cycle((2, 3), rank)), (2, 1, *[2] * rank)),
        conv_call((1, 2, *cycle((2, 3), rank)), (130, 2, *[2] * rank)),
        conv_call((1, 130, *(cycle((4, 3), rank) if rank > 1 else [11])), (2, 130, *[3 if rank > 1 else 9] * rank)),
        conv_call((1, 20, *cycle((3, 4, 2), rank)), (20, 10, *[2] * rank), groups=2),
        conv_call((4, 1, *cycle((34, 35, 2), rank)), (2, 1, *[2] * rank)),
    ]
    # Whole vectors and tiles of up to 128, in one way each.
    whole = [
        *(conv_call((1, 1, *cycle((2, 3), rank)), (128, 1, *[2] * rank), b=b) for b in (False, True)),
        conv_call((1, 128, *cycle((3, 2), rank)), (2, 128, *[2] * rank)),
        *(conv_call((1, 2, *row), (3, 2, *[2] * rank)) for row in rotations((129, *[3] * (rank - 1)))),
        *(
            conv_call((1, 2, *row), (3, 2, *[3] * rank), padding=1, b=True)
            for row in rotations((128, *[3] * (rank - 1)))
        ),
    ]
    # Where an error is small beside the largest number, and not beside what an element is made of.
    spread_out = [
        call._replace(scale=spread)
        for call in (
            conv_call((3, 1, *d), (2, 1, *[1] * rank)),
            conv_call((2, 2, *cycle((5, 6, 4), rank)), (3, 2, *[3] * rank), b=True),
        )
    ]
    traps = [
        # Where the division rounds down so much that swapped arguments keep the shape.
        conv_call((3, 2, 6, 5), (2, 2, 2, 2), stride=(3, 4), padding=((1, 1), (0, 1)), dilation=(2, 1)),
        conv_call((2, 3, 7, 6), (3, 3, 2, 2), stride=(4, 3), padding=((1, 0), (1, 1)), dilation=(3, 2)),
        conv_call((3, 4, 7, 8), (6, 2, 2, 3), stride=(2, 1), padding=((0, 1), (1, 0)), groups=2),
    ]
    return [
        *(single + shortcuts + long + whole + spread_out + traps * (rank == 2)),
        *_past_a_tile(rank),
        *_fast_paths(rank),
        *_spelled_out(rank),
    ]


def _past_a_tile(rank: int) -> list[Call]:
    """One option beside one size that is past the end of a vector or a tile, whose remainder has code of its own."""
    d, k = cycle((4, 5, 3), rank), [2] * rank
    images, channels, filters = (35, 1, 2), (2, 35, 1), (2, 1, 35)

    def larger(kernel: Sequence[int], n: int, c: int, f: int, **options: Any) -> Call:
        groups = options.get("groups", 1)
        return conv_call((n, groups * c, *d), (groups * f, c, *kernel), **options)

    options: list[dict[str, Any]] = [
        *({"padding": 1}, {"padding": "same"}, {"stride": 2}, {"dilation": 2}, {"groups": 2}),
        *({"dilation": 2, "padding": 2}, {"groups": 2, "stride": 2}),
    ]
    longer = [(*d[:axis], 35, *d[axis + 1 :]) for axis in {0, rank - 1}]
    return [
        *(larger(k, *sizes, b=True) for sizes in ((67, 1, 2), (2, 67, 1), (2, 1, 67))),
        *(larger(k, *sizes, **o) for sizes in (images, channels, filters) for o in options),
        *(conv_call((1, 1, *size), (2, 1, *k), b=True) for size in rotations((70, *[3] * (rank - 1)))),
        *(conv_call((1, o.get("groups", 1), *size), (2, 1, *k), **o) for size in longer for o in options),
        # Kernels of one element, and of 3, as networks have them.
        *(larger([1] * rank, *sizes) for sizes in (images, channels, filters)),
        *(
            larger([3] * rank, *sizes, **o)
            for sizes in (channels, filters)
            for o in ({}, {"stride": 2}, {"padding": 1})
        ),
        larger([5 if rank < 3 else 3] * rank, 1, 9, 1, padding=2),
        # Many groups, of several filters or channels each.
        conv_call((1, 4, *d), (8, 1, *k), groups=4, b=True),
        conv_call((1, 12, *d), (12, 2, *k), groups=6),
    ]


def _fast_paths(rank: int) -> list[Call]:
    """What code for one kind of layer forgets of the rest: one option at a time."""
    d, per_side = cycle((7, 9, 6), rank), cycle(((0, 1), (2, 0), (1, 0)), rank)
    strides, one, two, three, large = cycle((2, 3, 1), rank), *([k] * rank for k in (1, 2, 3, 7 if rank < 3 else 4))
    return [
        *(conv_call((3, 4, *d), (6, 2, *k), groups=2, b=True) for k in (two, three)),
        conv_call((3, 4, *d), (6, 2, *one), groups=2, stride=2, b=True),
        conv_call((3, 4, *d), (6, 2, *one), groups=2, padding=1),
        conv_call((4, 3, *d), (3, 1, *one), groups=3, stride=2),
        conv_call((4, 3, *d), (3, 1, *three), groups=3, b=True),
        conv_call((4, 3, *d), (3, 1, *three), groups=3, stride=strides),
        conv_call((4, 3, *d), (3, 1, *three), groups=3, padding=per_side),
        conv_call((3, 2, *d), (4, 2, *one), stride=strides),
        conv_call((3, 2, *d), (4, 2, *one), padding=per_side),
        conv_call((3, 2, *d), (4, 2, *two), stride=2, padding=per_side),
        conv_call((3, 2, *d), (4, 2, *cycle((2, 3), rank)), stride=cycle((2, 3), rank), b=True),
        conv_call((3, 2, *d), (4, 2, *two), stride=3, padding=1),
        conv_call((3, 2, *d), (4, 2, *large[:-1], 6), b=True)
        if rank < 3
        else conv_call((3, 2, *d), (4, 2, *large), b=True),
        conv_call((3, 4, *d), (6, 2, *large), groups=2, padding=1),
        conv_call((3, 2, *d), (4, 2, *large), padding=per_side),
        conv_call((1, 2, *two), (4, 2, *two), b=True),
        conv_call((3, 2, *d), (4, 2, *[4] * rank)),
        conv_call((3, 2, *d), (4, 2, *three), dilation=2, b=True),
        conv_call((3, 4, *d), (6, 2, *two), groups=2, stride=4),
        # Images of one row.
        *(
            conv_call((2, 2, *[1] * (rank - 1), 5), (3, 2, *[1] * (rank - 1), 2), **o)
            for o in ({"b": True}, {"padding": 1})
        ),
    ]


def _spelled_out(rank: int) -> list[Call]:
    """Options that say what holds without them, or for each axis and side what one number says for all."""
    x, w, ones = (3, 2, *cycle((7, 9, 6), rank)), (4, 2, *cycle((3, 2, 2), rank)), (1,) * rank
    nothing: list[dict[str, Any]] = [
        *({"stride": 1}, {"padding": 0}, {"dilation": 1}, {"groups": 1}),
        *({"stride": ones}, {"padding": (0,) * rank}, {"padding": ((0, 0),) * rank}, {"dilation": ones}),
        {"stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    ]
    alike: list[dict[str, Any]] = [
        *({"stride": (2,) * rank}, {"dilation": (2,) * rank}, {"padding": ones}),
        *({"padding": ((1, 1),) * rank}, {"padding": cycle(((1, 1), (2, 2), (0, 0)), rank)}),
    ]
    return [conv_call(x, w, **options) for options in nothing + alike]
