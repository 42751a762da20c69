"""Fixed calls of poolings, each there for a reason."""

from collections.abc import Sequence
from typing import Any

from reference_cnn.oracle.call import Call
from reference_cnn.oracle.sizes import LONG, MANY, cycle, rotations


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
        pool_call((1, 2, *([18, 18] if rank == 2 else [150])), window=5 if rank == 2 else 65, stride=5, padding=2)
        if rank < 3
        else pool_call((1, 2, 9, *[3] * (rank - 1)), window=(5, *[1] * (rank - 1)), padding=(2, *[0] * (rank - 1))),
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
    return [
        *(fixed + special[own] + _past_a_tile(rank, own) + _spelled_out(rank, own) + _per_axis(rank, own)),
        *_of_one(rank, own),
        *_whole_vectors(rank, own),
        *_large_windows(rank, own),
    ]


def _past_a_tile(rank: int, own: str) -> list[Call]:
    """One option beside one size that is past the end of a vector or a tile; and windows of which few are asked."""
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
        pool_call(
            (1, 1, *MANY[min(rank, 3)], *[1] * (rank - 3)), window=cycle((2, 2, 2), 3)[:rank] + (1,) * (rank - 3)
        ),
    ]


def _spelled_out(rank: int, own: str) -> list[Call]:
    """Options that say what holds without them, or for each axis and side what one number says for all."""
    x, ones, twos = (3, 2, *cycle((7, 9, 6), rank)), (1,) * rank, (2,) * rank
    nothing: list[dict[str, Any]] = [
        {"stride": 2},
        {"padding": 0},
        {"padding": (0,) * rank},
        {"padding": ((0, 0),) * rank},
    ]
    alike: list[dict[str, Any]] = [{"stride": twos}, {"stride": ones}, {"padding": ones}, {"padding": ((1, 1),) * rank}]
    its_own: list[dict[str, Any]] = (
        [{own: 1}, {own: ones}, {own: twos}]
        if own == "dilation"
        else [{own: False}, {own: True}, {own: False, "padding": 1}]
    )
    symmetrical, window = (cycle(((1, 1), (2, 2)), rank), 5) if rank < 3 else (cycle(((1, 1), (0, 0)), rank), 3)
    return [
        *(pool_call(x, window=2, **options) for options in nothing + alike + its_own),
        pool_call(x, window=twos),
        pool_call(x, window=window, padding=symmetrical),
    ]


def _per_axis(rank: int, own: str) -> list[Call]:
    """All options with a value for each axis; "same" with each kind of window and stride; a window like the image."""
    x, window, strides = (2, 2, *cycle((7, 9, 6), rank)), cycle((3, 2, 2), rank), cycle((2, 1, 3), rank)
    its_own: list[dict[str, Any]] = [{}, {own: cycle((1, 2), rank) if own == "dilation" else True}]
    options: list[dict[str, Any]] = [
        *({"window": window, "stride": strides, "padding": p} for p in (cycle((1, 0), rank), "same")),
        *({"window": of, "stride": 1, "padding": "same"} for of in (2, 4, 3, window)),
        *({"window": of, "padding": "same"} for of in (3, window)),
    ]
    return [
        *(pool_call(x, **o, **more) for o in options for more in its_own),
        pool_call(x, window=x[2:]),
    ]


def _whole_vectors(rank: int, own: str) -> list[Call]:
    """Images and channels that vectors divide, with every option."""
    options: list[dict[str, Any]] = [
        *({"window": 2, "padding": 1}, {"window": 3, "stride": 2, "padding": 1}, {"window": 3, "padding": "same"}),
        {"window": 2, "stride": 1, "padding": 1, own: 2 if own == "dilation" else True},
    ]
    return [pool_call((8, 4, *cycle((5, 6, 4), rank)), **o) for o in options]


def _of_one(rank: int, own: str) -> list[Call]:
    """One image, as a trained network is given; one channel; images as wide as high; each with one option at a time."""
    d = cycle((7, 8, 6), rank)
    options: list[dict[str, Any]] = [
        *({}, {"stride": 1}, {"padding": 1}, {"padding": "same"}),
        {"stride": 1, "dilation": 2} if own == "dilation" else {"stride": 2, "padding": 1, own: True},
    ]
    return [
        pool_call(x, window=window, **o)
        for x in ((1, 2, *d), (2, 1, *d), (2, 2, *[7] * rank))
        for window in (2, 3)
        for o in options
    ]


def _large_windows(rank: int, own: str) -> list[Call]:
    """Windows of 5 and more, for which sums and maxima run along, with every option; and of more than 128 elements."""
    large = 5 if rank < 3 else 4
    options: list[dict[str, Any]] = [
        *({}, {"stride": 1, "padding": 2}, {"stride": 2}, {"stride": 2, "padding": "same"}),
        {"stride": 1, "dilation": 2} if own == "dilation" else {"stride": 2, "padding": 2, own: True},
    ]
    return [
        *(pool_call((2, 2, *cycle((10, 11, 8), rank)), window=large, **o) for o in options),
        *[pool_call((1, 1, 13, 14), window=12, stride=1)] * (rank == 2),
    ]
