"""Fixed calls of convolutions and poolings, each there for a reason."""

from collections.abc import Sequence
from typing import Any, TypeVar

from reference_cnn.oracle.call import Call

T = TypeVar("T")

# Sizes with rows of more than 32, and at stride 2 more than 256 outputs, for each number of axes.
LONG = {1: (600,), 2: (34, 36), 3: (9, 10, 35)}


def conv_call(x: Sequence[int], w: Sequence[int], *, b: bool = False, **options: Any) -> Call:
    """Return a call of a convolution."""
    shapes = [("x", tuple(x)), ("w", tuple(w))] + [("b", (w[0],))] * b
    return Call(tuple(shapes), tuple(options.items()))


def fixed_convolutions(rank: int, spread: float) -> list[Call]:
    """Return calls of a convolution: one feature at a time, sizes and layers with code of their own, and traps.

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
        conv_call((1, 1, *[18] * rank), (1, 1, *[13] * rank))
        if rank < 3
        else conv_call((9, 1, 4, 3, 2), (9, 1, 2, 2, 1)),
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
    # Layers as networks have them, for which many have code of their own, and which may forget the bias there.
    everyday = [
        conv_call((2, 2, *cycle((5, 6, 4), rank)), (3, 2, *[3] * rank), padding=1, b=True),
        conv_call((2, 2, *cycle((5, 7, 6), rank)), (3, 2, *[3] * rank), padding=1, stride=2, b=True),
        conv_call((2, 2, *cycle((5, 6, 4), rank)), (3, 2, *[1] * rank), b=True),
        conv_call((2, 2, *cycle((5, 6, 4), rank)), (3, 2, *[5 if rank < 3 else 3] * rank), padding=2),
        conv_call((2, 2, *cycle((5, 6, 4), rank)), (3, 2, *[3] * rank), padding="same", dilation=2),
        conv_call((2, 3, *cycle((5, 6, 4), rank)), (3, 1, *[3] * rank), padding=1, groups=3, b=True),
        conv_call((2, 3, *cycle((5, 6, 4), rank)), (3, 1, *[3] * rank), padding=1, groups=3, stride=2, b=True),
        conv_call((2, 2, *cycle((4, 6, 4), rank)), (3, 2, *[2] * rank), stride=2, b=True),
        conv_call((2, 2, *cycle((6, 8, 6), rank)), (3, 2, *[4] * rank), padding=1, stride=2, b=True),
        conv_call((2, 2, *cycle((6, 7, 5), rank)), (3, 2, *[5] * rank), padding=2, stride=2, b=True),
        # And those with more than 8 images, channels or groups.
        conv_call((9, 2, *cycle((4, 5, 3), rank)), (3, 2, *[3] * rank), padding=1, stride=2, b=True),
        conv_call((1, 9, *cycle((11, 12, 3), rank)), (2, 9, *[2] * rank), b=True),
        conv_call((2, 16, *cycle((4, 5, 3), rank)), (16, 1, *[3] * rank), padding=1, groups=16, stride=2, b=True),
    ]
    # Longer than a vector or a tile of 128 or 256 in one way each, more than 1024 taps or outputs.
    long = [
        *(conv_call((1, 2, *row), (3, 2, *cycle((2, 1), rank))) for row in rotations((260, *[3] * (rank - 1)))),
        conv_call((130, 1, *cycle((2, 3), rank)), (2, 1, *[2] * rank)),
        conv_call((1, 2, *cycle((2, 3), rank)), (130, 2, *[2] * rank)),
        conv_call((1, 130, *cycle((4, 3), rank)), (2, 130, *[3] * rank)),
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
        *(single + shortcuts + everyday + long + whole + spread_out + traps * (rank == 2)),
        *_past_a_tile(rank),
        *_fast_paths(rank),
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
        *(larger(k, *(67 if n == 35 else n for n in sizes), b=True) for sizes in (images, channels, filters)),
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
        # Images of one row.
        *(
            conv_call((2, 2, *[1] * (rank - 1), 5), (3, 2, *[1] * (rank - 1), 2), **o)
            for o in ({"b": True}, {"padding": 1})
        ),
    ]


def pool_call(x: Sequence[int], **options: Any) -> Call:
    """Return a call of a pooling."""
    return Call((("x", tuple(x)),), tuple(options.items()))


def fixed_poolings(rank: int, own: str) -> list[Call]:
    """Return calls of a pooling: one feature at a time, overlaps and gaps; `own` is the option that the other lacks."""
    x = (3, 2, *cycle((7, 9, 5), rank))
    fixed = [
        pool_call((2, 3, *cycle((6, 4, 4), rank)), window=2),
        pool_call(x, window=2),  # a remainder that no window reads
        pool_call(x, window=cycle((3, 2, 2), rank)),
        pool_call(x, window=2, stride=1),
        pool_call(x, window=3, stride=2),
        pool_call(x, window=2, stride=3),  # gaps between the windows
        pool_call(x, window=cycle((2, 3, 2), rank), stride=cycle((2, 1, 3), rank)),
        pool_call(x, window=2, stride=1, padding=1),
        pool_call(x, window=2, padding=1),
        pool_call(x, window=3, stride=2, padding=1),
        pool_call(x, window=3, stride=2, padding=cycle((0, 1, 1), rank)),
        pool_call(x, window=3, stride=2, padding=cycle(((0, 1), (1, 0), (2, 1)), rank)),
        pool_call(x, window=4, stride=2, padding=cycle(((2, 0), (0, 1), (1, 2)), rank)),
        pool_call(x, window=2, stride=2, padding="same"),
        pool_call(x, window=3, stride=2, padding="same"),
        pool_call((2, 2, *cycle((6, 8, 4), rank)), window=3, stride=2, padding="same"),
        pool_call(x, window=3, stride=2, padding="valid"),
        pool_call((2, 2, *[4] * rank), window=4),
        pool_call((4, 4, *[4] * rank), window=2, stride=1),  # nothing is told by a shape
        pool_call(x, window=1, stride=2),
        # More than a tile of 8 of everything.
        pool_call((9, 9, *cycle((4, 3, 3), rank)), window=2, stride=1),
        pool_call((1, 2, *[18] * rank), window=5, stride=5, padding=2)
        if rank < 3
        else pool_call((1, 2, 9, 3, 3), window=(5, 1, 1), padding=(2, 0, 0)),
        # More than 128 channels, or 256 positions.
        pool_call((1, 130, *cycle((4, 3, 3), rank)), window=2),
        pool_call((1, 1, *LONG[min(rank, 3)], *[3] * (rank - 3)), window=3, stride=2, padding=1),
        # The window covers the image.
        pool_call((2, 2, *[3] * rank), window=3, padding=1),
        # One axis alone, no overlap with padding, and what keeps the size.
        pool_call(x, window=cycle((1, 3), rank), padding=cycle((0, 1), rank)),
        pool_call(x, window=cycle((3, 1), rank), padding=cycle((1, 0), rank)),
        pool_call(x, window=2, stride=3, padding=1),
        pool_call(x, window=3, stride=1, padding=1),
        pool_call((2, 2, *cycle((8, 6, 4), rank)), window=1, stride=4, padding="same"),  # not less than none
        pool_call((2, 2, *cycle((5, 6, 4), rank)), window=3, stride=1, padding="same"),
        pool_call((2, 2, *cycle((4, 5, 3), rank)), window=1),
        # Longer than a vector, or a tile of 128 or 256, in one way each.
        *(pool_call((1, 2, *row), window=cycle((2, 1), rank)) for row in rotations((260, *[3] * (rank - 1)))),
        pool_call((130, 1, *cycle((3, 4, 2), rank)), window=2),
        # Whole vectors and tiles of up to 128, and some images with padding.
        *(pool_call((1, 2, *row), window=cycle((2, 1), rank)) for row in rotations((256, *[3] * (rank - 1)))),
        pool_call((128, 1, *cycle((3, 4, 2), rank)), window=2),
        pool_call((1, 128, *cycle((4, 3, 3), rank)), window=2),
        pool_call((9, 2, *cycle((4, 5, 3), rank)), window=3, stride=2, padding=1),
        # A window of more elements than 8 bits count.
        *[pool_call((3, 8, 17, 18), window=(17, 18))] * (rank == 2),
        pool_call((1, 1, *cycle((8, 9, 1), rank)), window=cycle((7, 7, 1), rank), padding=cycle((3, 2, 0), rank)),
    ]
    special = {
        "dilation": [
            pool_call(x, window=2, stride=1, dilation=2),
            pool_call(x, window=2, stride=1, dilation=cycle((3, 1), rank)),
            pool_call(x, window=2, stride=1, dilation=cycle((1, 3), rank)),
            pool_call((2, 2, *[3] * rank), window=2, dilation=2),  # the window covers the image
            pool_call(x, window=cycle((2, 3, 2), rank), stride=2, dilation=cycle((3, 2, 1), rank), padding=1),
        ],
        "include_padding": [
            pool_call(x, window=2, stride=1, padding=1, include_padding=True),
            pool_call(x, window=3, stride=2, padding=cycle(((0, 1), (1, 0), (2, 1)), rank), include_padding=True),
            pool_call(x, window=3, stride=2, padding="same", include_padding=True),
        ],
    }
    return fixed + special[own] + _poolings_past_a_tile(rank, own)


def _poolings_past_a_tile(rank: int, own: str) -> list[Call]:
    """One option beside one size that is past the end of a vector or a tile; and windows that only some images have."""
    d = cycle((6, 7, 5), rank)
    options: list[dict[str, Any]] = [
        *({"window": 2, "padding": 1}, {"window": 3, "stride": 1}, {"window": 3, "stride": 2, "padding": 1}),
        {"window": 2, "dilation": 2} if own == "dilation" else {"window": 2, "padding": 1, own: True},
    ]
    larger = [(35, 1, *d), (1, 35, *d), *((1, 1, *d[:axis], 35, *d[axis + 1 :]) for axis in {0, rank - 1})]
    return [
        *(pool_call(size, **o) for size in larger for o in options),
        # One answer for each map, of more than two images; and windows that hang over both edges.
        pool_call((3, 2, *[3] * rank), window=3),
        pool_call((2, 2, *[2] * rank), window=4, stride=1, padding=1),
        pool_call((2, 2, *d), window=cycle((1, 3), rank), stride=cycle((2, 1), rank)),
        # More elements than 16 bits count.
        *[pool_call((1, 1, 182, 183), window=2)] * (rank == 2),
    ]


def rotations(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every order in which the sizes follow each other in a circle."""
    return [(*sizes[k:], *sizes[:k]) for k in range(len(sizes))]


def cycle(values: tuple[T, ...], count: int) -> tuple[T, ...]:
    """Return `count` of the values, over and over."""
    return tuple(values[i % len(values)] for i in range(count))
