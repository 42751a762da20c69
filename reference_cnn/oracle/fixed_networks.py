"""Fixed calls of convolutions as networks have them, and of sizes that vectors and tiles divide, with all options."""

from typing import Any

from reference_cnn.oracle.call import Call
from reference_cnn.oracle.fixed_convolutions import conv_call
from reference_cnn.oracle.sizes import cycle


def fixed_networks(rank: int) -> list[Call]:
    """Return calls of convolutions for which many have code of their own, which may forget what others do."""
    networks = [*_everyday(rank), *_of_networks(rank), *_of_one(rank)]
    return [*networks, *_whole_vectors(rank), *_all_large(rank), *_large_kernels(rank), *_far(rank)]


def _everyday(rank: int) -> list[Call]:
    """Layers as networks have them, for which many have code of their own, and which may forget the bias there."""
    return [
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


def _of_networks(rank: int) -> list[Call]:
    """Kernels as networks have them, for which many have code of their own, with every option that it may forget."""
    # The more axes the smaller, since its taps are as many as its power.
    d, large = cycle((6, 8, 5), rank), {1: 5, 2: 5, 3: 4}.get(rank, 3)
    strides, pads, sides = (cycle(of, rank) for of in ((2, 1, 3), (1, 0, 2), ((0, 1), (2, 0), (1, 0))))
    kinds = [  # channels, filters, the size of the kernel, groups
        *((3, 3, 3, 3), (3, 6, 3, 3), (3, 3, large, 3), (4, 6, 3, 2)),
        *((2, 3, 3, 1), (2, 3, large, 1), (2, 3, min(large, 4), 1), (2, 3, 1, 1), (4, 6, 1, 2)),
    ]
    options: list[dict[str, Any]] = [
        *({}, {"b": True}),
        *(
            {"b": True, "padding": 1},
            {"padding": "same"},
            {"padding": "same", "stride": 2},
            {"dilation": 2, "padding": 2},
        ),
        *({"stride": strides}, {"padding": pads}, {"padding": sides}, {"stride": strides, "padding": pads}),
        *(
            {"stride": strides, "padding": sides},
            {"stride": strides, "dilation": cycle((1, 2), rank), "padding": sides},
        ),
    ]
    layers: list[tuple[Any, Any, dict[str, Any]]] = [
        ((3, c, *d), (f, c // g, *[k] * rank), {"groups": g} if g > 1 else {}) for c, f, k, g in kinds
    ]
    return [
        *(conv_call(x, w, **o, **groups) for x, w, groups in layers for o in options),
        # Patches, each a token.
        conv_call((2, 2, *[2 * large] * rank), (3, 2, *[large] * rank), stride=large),
        # "same" for other sizes with the same kernel, and with another one for the same size.
        *(
            conv_call((2, 2, *cycle(of, rank)), (3, 2, *[3] * rank), padding="same", stride=2)
            for of in ((7, 8), (6, 7))
        ),
        conv_call((2, 2, *cycle((7, 8), rank)), (3, 2, *[2] * rank), padding="same", stride=2),
    ]


def _of_one(rank: int) -> list[Call]:
    """One image, as a trained network is given; one channel, as grey images have; one filter; images as wide as high.

    Each with kernels as networks have them, and one option at a time.
    """
    options: list[dict[str, Any]] = [
        *({"b": True}, {"stride": 2}, {"padding": 1}, {"dilation": 2}),
        {"padding": "same", "stride": 2},
    ]
    calls = []
    for k in (1, 3, 5)[: 3 if rank < 3 else 2]:
        d, square, kernel = cycle((2 * k + 1, 2 * k + 2), rank), [2 * k + 1] * rank, [k] * rank
        sizes: list[tuple[Any, Any, dict[str, Any]]] = [
            ((1, 2, *d), (3, 2, *kernel), {}),
            ((2, 1, *d), (3, 1, *kernel), {}),
            ((2, 2, *d), (1, 2, *kernel), {}),
            ((2, 2, *square), (3, 2, *kernel), {}),
        ]
        sizes += [
            ((1, 3, *d), (3, 1, *kernel), {"groups": 3}),
            ((2, 3, *square), (3, 1, *kernel), {"groups": 3}),
            ((1, 4, *d), (6, 2, *kernel), {"groups": 2}),
        ] * (k == 3)
        calls += [conv_call(x, w, **o, **groups) for x, w, groups in sizes for o in options]
    return calls


def _whole_vectors(rank: int) -> list[Call]:
    """Images, channels and filters, in groups too, and rows of outputs that vectors divide, with every option."""
    d, k, sides = cycle((4, 5, 3), rank), cycle((3, 3, 2), rank), cycle(((0, 1), (2, 0), (1, 0)), rank)
    options: list[dict[str, Any]] = [
        *({"b": True}, {"stride": 2}, {"dilation": 2, "padding": 1}, {"padding": 1}, {"padding": sides}),
        {"padding": "same", "stride": 2},
    ]
    kinds: list[tuple[int, int, dict[str, Any]]] = [(16, 16, {}), (8, 8, {"groups": 2}), (8, 8, {"groups": 8})]
    last: list[tuple[int, dict[str, Any]]] = [(33, {"stride": 2}), (18, {"dilation": 2}), (15, {"padding": 1})]
    return [
        *(
            conv_call((8, c, *d), (f, c // groups.get("groups", 1), *k), **o, **groups)
            for c, f, groups in kinds
            for o in options
        ),
        *(conv_call((1, 2, *cycle((5, 4), rank - 1), size), (2, 2, *[2] * rank), **o) for size, o in last),
    ]


def _all_large(rank: int) -> list[Call]:
    """More of everything at once than of a tile of 6, 8, 12 or 16, and than one of 32, in part or whole."""
    d, k = cycle((3, 2, 2), rank), cycle((2, 2, 1), rank)
    return [
        conv_call((18, 24, *d), (24, 24, *k), b=True),
        conv_call((7, 13, *d), (14, 13, *k), b=True),
        conv_call((6, 12, *d), (12, 12, *k), padding=1),
        conv_call((1, 1, *[70, 71][:rank], *[1] * (rank - 2)), (1, 1, *[2, 2][:rank], *[1] * (rank - 2))),
    ]


def _large_kernels(rank: int) -> list[Call]:
    """Kernels of 6 and more along an axis, or along one alone, for which other algorithms are taken."""
    large = 7 if rank < 3 else 4
    d, k, row = cycle((8, 9, 5), rank), [large] * rank, [*[1] * (rank - 1), large]
    lying = cycle((*[0] * (rank - 1), large // 2), rank)
    return [
        conv_call((2, 2, *d), (3, 2, *k), b=True),
        conv_call((1, 2, *[2 * large] * rank), (2, 2, *k), dilation=2),
        conv_call((2, 2, *d), (3, 2, *[large - 1] * rank), padding="same", stride=3),
        conv_call((2, 4, *d), (6, 2, *k), stride=2, groups=2),
        conv_call((2, 3, *d), (3, 1, *k), padding=large // 2, groups=3),
        *(conv_call((2, 2, *d), (3, 2, *of)) for of in (row, row[::-1])),
        conv_call((2, 2, *d), (3, 2, *row), padding=lying),
        conv_call((2, 2, *d), (3, 2, *row[::-1]), padding=lying[::-1]),
        conv_call((1, 2, *cycle((15, 19), rank)), (2, 2, *[11] * rank), stride=4)
        if rank < 3
        else conv_call((1, 2, *d), (2, 2, *k), stride=2),
        conv_call((2, 2, *cycle((5, 11, 3), rank)), (3, 2, *[3] * rank), padding=1),
    ]


def _far(rank: int) -> list[Call]:
    """Strides, dilations and padding of more than 4; thin images; and what the shapes alone do not tell apart."""
    d, thin, patch = cycle((7, 8, 6), rank), [1] * (rank - 1), 16 if rank < 3 else 6
    one: list[dict[str, Any]] = [{"dilation": 2}, {"stride": 2}, {"padding": 1}]
    return [
        conv_call((1, 2, *d), (3, 2, *[3] * rank), padding=6, dilation=6),
        conv_call((1, 4, *[13] * rank), (4, 2, *[2] * rank), b=True, dilation=5, groups=2),
        conv_call((1, 2, *[13] * rank), (3, 2, *[2] * rank), stride=2, dilation=5),
        conv_call((1, 2, *cycle((19, 18, 9), rank)), (3, 2, *[2] * rank), stride=8),
        conv_call((1, 1, *cycle((2 * patch, patch), rank)), (2, 1, *[patch] * rank), stride=patch),
        conv_call((2, 2, *thin, 9), (3, 2, *thin, 3), stride=(*thin, 2)),
        conv_call((2, 2, *thin, 9), (3, 2, *thin, 3), b=True),
        conv_call((2, 2, 9, *thin), (3, 2, 3, *thin), dilation=(2, *thin)),
        *(conv_call((1, 1, *d), (1, 1, *[2] * rank), **o) for o in one),
        *(conv_call((1, 1, *[7] * rank), (1, 1, *[3] * rank), **o) for o in one[:2]),
    ]
