"""Which questions the vectors ask of convolutions, poolings and dense layers, and what each is there to catch."""

from dataclasses import replace
from typing import Any

from reference_cnn.oracle.call import Call
from reference_cnn.oracle.fixed_convolutions import conv_call
from reference_cnn.oracle.fixed_poolings import pool_call
from reference_cnn.oracle.vectors.question import Entry, Kind

ODD_ZERO = 'the odd zero of padding="same" goes after the image; ONNX also knows SAME_LOWER, with it before'
TIE = "the whole dy goes to the first maximum in C order; others choose another, or share it"
SIGNS = "negated-gradient doubled-gradient halved-gradient"
ANY_GRADIENT = " ".join(
    [SIGNS, *(f"{d}-{how}" for d in ("dx", "dw", "db") for how in ("negated", "twice", "half", "zero"))]
)
REALS: tuple[Kind, ...] = ("float64", "float32", "half")

# Name, call, what it catches in the forward pass, and what in the backward pass.
CONVOLUTIONS: list[tuple[str, Call, str, str]] = [
    ("plain", conv_call((3, 2, 5, 4), (4, 2, 3, 2)),
     "flipped-kernel im2col-order reshaped-output first-channel-only channels-not-summed short-loop"
     " short-kernel-loop swapped-space activated output-tail one-image-only",
     "mean-over-batch mean-of-gradients mean-over-positions dw-flipped dw-last-image dw-product-of-means"
     " dw-scrambled-map dw-reshaped-errors dx-unrotated dx-overwrite db-mean db-one-image short-loop im2col-order"
     " short-kernel-loop flipped-kernel dw-doubled db-one-number dw-mean db-kept-axes"
     f" gradient-order dx-reshaped-kernel {ANY_GRADIENT}"),
    ("bias", conv_call((2, 3, 4, 4), (3, 3, 2, 2), b=True),
     "missing-bias bias-twice bias-per-channel bias-per-tap subtracted-bias bias-axis", "db-axes"),
    ("all-alike", conv_call((4, 4, 4, 4), (4, 4, 3, 3), padding=1),
     "transposed-kernel swapped-channels guessed-layout reinterpreted-layout",
     "transposed-kernel dw-transposed dw-swapped-channels db-axes"),
    ("one-by-one", conv_call((2, 3, 3, 4), (2, 3, 1, 1), stride=2), "ignored-stride", "dx-tail dx-stride dw-stride"),
    ("stride", conv_call((2, 2, 6, 5), (3, 2, 3, 2), stride=2), "ignored-stride", "dw-stride dx-stride dx-tail"),
    ("stride-per-axis", conv_call((2, 2, 6, 7), (2, 2, 2, 2), stride=(2, 3)), "stride-axis", "dx-tail stride-axis"),
    ("dilation", conv_call((2, 2, 5, 6), (3, 2, 2, 3), dilation=2),
     "ignored-dilation dilation-plus-one", "dw-stride-dilation dw-ignored-dilation dx-ignored-dilation"),
    ("padding", conv_call((2, 2, 3, 4), (3, 2, 2, 3), padding=1), "ignored-padding padding-twice", "dx-crop"),
    ("padding-per-axis", conv_call((2, 2, 3, 4), (3, 2, 2, 3), padding=(0, 2)), "pad-order", "dx-crop"),
    ("padding-per-side", conv_call((2, 2, 4, 3), (3, 2, 3, 2), padding=((0, 1), (2, 1))), "pad-side pad-order",
     "dx-crop"),
    ("valid", conv_call((2, 2, 4, 3), (3, 2, 3, 2), padding="valid"), "", ""),
    ("same", conv_call((2, 2, 6, 5), (3, 2, 5, 3), padding="same", stride=(3, 2)), "pad-half same-stride-1", "dx-crop"),
    ("same-dilated", conv_call((2, 2, 4, 5), (3, 2, 2, 3), padding="same", dilation=(2, 1)), "same-dilation-1", ""),
    ("same-odd", conv_call((2, 2, 4, 5), (3, 2, 2, 2), padding="same"), "same-lower", "same-lower"),
    ("groups", conv_call((2, 4, 4, 3), (6, 2, 2, 2), groups=2),
     "interleaved-groups interleaved-channels ignored-groups",
     "interleaved-groups interleaved-channels dw-ignored-groups"),
    ("groups-bias", conv_call((2, 4, 3, 4), (6, 2, 2, 2), groups=2, b=True), "bias-of-first-group", ""),
    ("depthwise", conv_call((2, 3, 3, 4), (6, 1, 2, 2), groups=3), "interleaved-groups ignored-groups",
     "dw-ignored-groups"),
    # More terms in a sum than blocks of them mostly have, and no whole number of blocks: of z, and of dw.
    ("long-sum", conv_call((1, 3, 7, 8), (2, 3, 7, 7)), "sum-tail", ""),
    ("many-positions", conv_call((3, 1, 7, 7), (2, 1, 1, 1)), "output-tail", "sum-tail"),
    ("larger-kernel", conv_call((2, 2, 2, 3), (3, 2, 4, 3), padding=1), "ignored-padding", "dx-crop"),
    ("stride-dilation", conv_call((2, 2, 7, 7), (3, 2, 3, 3), stride=(1, 2), dilation=(2, 1)), "stride-dilation",
     "dw-stride-dilation"),
    # Where the division rounds down so much that swapped arguments keep the shape.
    ("slack-1", conv_call((3, 2, 6, 5), (2, 2, 2, 2), stride=(3, 4), padding=((1, 1), (0, 1)), dilation=(2, 1)),
     "stride-axis pad-side pad-order swapped-channels ignored-padding", "dw-stride-dilation dx-crop dx-tail"),
    ("slack-2", conv_call((2, 3, 7, 6), (3, 3, 2, 2), stride=(4, 3), padding=((1, 0), (1, 1)), dilation=(3, 2)),
     "stride-axis ignored-dilation dilation-plus-one ignored-padding", "dw-stride-dilation dx-tail dw-transposed"),
    ("slack-3", conv_call((3, 4, 7, 8), (6, 2, 2, 3), stride=(2, 1), padding=((0, 1), (1, 0)), groups=2),
     "interleaved-groups pad-side", "dw-ignored-groups dx-crop"),
    ("slack-4", conv_call((2, 2, 9, 11), (3, 2, 2, 2), stride=(4, 5), dilation=(2, 3)),
     "ignored-dilation dilation-plus-one dilation-axis", "dx-tail dilation-axis"),
    ("slack-5", conv_call((2, 2, 9, 8), (3, 2, 3, 3), stride=4, padding=((1, 0), (0, 1))), "ignored-padding",
     "dx-crop"),
    ("one-axis", conv_call((2, 2, 6), (3, 2, 3), b=True, stride=2, padding=((1, 2),)), "flipped-kernel pad-side",
     "dx-crop"),
    ("three-axes", conv_call((2, 1, 3, 4, 3), (2, 1, 2, 3, 2), padding=(1, 0, 0), stride=(2, 1, 1)), "flipped-kernel",
     "dw-stride"),
]  # fmt: skip
REAL_CONVOLUTION = conv_call((2, 2, 4, 3), (2, 2, 3, 2), b=True, padding=((1, 0), (0, 1)))


def conv_forward() -> list[Entry]:
    """Return the questions of the forward pass."""
    image = [[[[1, 7, 2], [11, 1, 23], [2, 2, 2]]]]
    article = Entry(
        "article",
        conv_call((1, 1, 3, 3), (1, 1, 2, 2)),
        "flipped-kernel",
        given={"x": image, "w": [[[[1, 1], [0, 1]]]]},
    )
    rows = [_convolution(name, call, flags) for name, call, flags, _ in CONVOLUTIONS]
    return [article, *rows, *reals(REAL_CONVOLUTION, "narrow-accumulation integer-output")]


def conv_backward() -> list[Entry]:
    """Return the questions of the backward pass, which has no bias to be asked with."""
    rows = [_convolution(name, call.without_bias(), flags) for name, call, _, flags in CONVOLUTIONS]
    return [*rows, *reals(REAL_CONVOLUTION.without_bias())]


def _convolution(name: str, call: Call, flags: str) -> Entry:
    return Entry(name, call, flags, reason=ODD_ZERO if name == "same-odd" else "")


def reals(call: Call, flags: str = "", most_digits: str = "") -> list[Entry]:
    """One call with the real numbers of each dtype: what is formed in a narrower one is off by more than the bound."""
    return [Entry(f"real-{kind}", call, f"{flags} {most_digits * (kind == 'float64')}", kind) for kind in REALS]


def _dense(n: int, features: int, neurons: int, *, b: bool = False) -> Call:
    shapes = [("x", (n, features)), ("w", (features, neurons))] + [("b", (neurons,))] * b
    return Call(tuple(shapes))


def dense_forward() -> list[Entry]:
    """Return the questions of the dense layer."""
    return [
        Entry("plain", _dense(3, 4, 2), "flatten-order activated one-image-only"),
        Entry("long-sum", _dense(2, 147, 2), "sum-tail"),
        Entry("bias", _dense(3, 4, 2, b=True), "missing-bias bias-twice subtracted-bias"),
        Entry("square", _dense(4, 4, 4), "transposed-weights"),
        Entry("one-row", _dense(1, 3, 2, b=True)),
        Entry("flattened", _dense(2, 60, 2), "flatten-order"),
        *reals(_dense(3, 5, 2, b=True), "integer-output"),
    ]


def dense_backward() -> list[Entry]:
    """Return the questions of the dense layer's gradients."""
    batch = "dw-doubled mean-over-batch mean-of-gradients dw-last-image dw-product-of-means db-mean db-one-image"
    return [
        Entry(
            "plain",
            _dense(3, 4, 2),
            f"{batch} dw-mean db-one-number db-kept-axes dense-updated-weights gradient-order {ANY_GRADIENT}",
        ),
        Entry("long-sum", _dense(147, 2, 3), "sum-tail"),
        Entry("square", _dense(4, 4, 4), "transposed-weights dense-untransposed dense-dw-transposed db-neurons"),
        Entry("one-row", _dense(1, 3, 2)),
        *reals(_dense(3, 4, 2)),
    ]


def _pooling(name: str, size: tuple[int, ...], flags: str = "", **options: Any) -> Entry:
    return Entry(name, pool_call((2, 2, *size), **options), flags)


def max_pool_forward() -> list[Entry]:
    """Return the questions of max pooling: half the maps are negative throughout."""
    return _max_pools(
        "pool-small-init pool-kind pool-minimum",
        *("pool-default-stride", "pool-rounded-up", "pool-zero-pad", "", "narrow-arithmetic"),
    )


def max_pool_backward() -> list[Entry]:
    """Return the questions of max pooling's gradient; a tie may be broken otherwise."""
    tied = [[[[1, 3, 3, 0], [3, 2, 1, 3], [-1, -1, -2, 5]]]]
    ties = Entry("ties", pool_call((1, 1, 3, 4), window=2, stride=1), "pool-all-ties", given={"x": tied}, reason=TIE)
    first, overlapping = f"{SIGNS} pool-kind pool-minimum pool-small-init", "pool-overwrite pool-mask"
    padded = "pool-zero-pad dx-crop"
    return [*_max_pools(first, "pool-default-stride", "pool-argmax-side", padded, overlapping), ties]


def _same_odd() -> Entry:
    return replace(_pooling("same-odd", (5, 4), "same-lower", window=2, stride=2, padding="same"), reason=ODD_ZERO)


def _max_pools(
    first: str, default: str, remainder: str, padded: str, overlapping: str, digits: str = ""
) -> list[Entry]:
    return [
        _pooling("plain", (4, 6), f"{first} {default}", window=2),
        _pooling("remainder", (5, 4), f"{default} {remainder}", window=(3, 2)),
        _pooling("overlap", (5, 4), overlapping, window=3, stride=1),
        _pooling("gaps", (5, 6), window=2, stride=(3, 4)),
        _pooling("padding", (3, 4), padded, window=2, stride=2, padding=1),
        _pooling("padding-per-side", (4, 5), padded, window=3, stride=2, padding=((0, 1), (2, 1))),
        _pooling("dilation", (5, 6), "pool-ignored-dilation", window=(2, 3), stride=1, dilation=2),
        _pooling("same", (5, 7), padded, window=3, stride=2, padding="same"),
        _same_odd(),
        _pooling("one-axis", (6,), window=3, stride=2, padding=1),
        _pooling("three-axes", (3, 2, 4), window=2, stride=1),
        # Below every number that stands for −∞ in float32.
        Entry(
            "lowest",
            pool_call((1, 1, 2, 2), window=2, padding=1),
            "pool-finite-init",
            dtypes=("float64",),
            given={"x": [[[[-6e38, -5e38], [-4e38, -7e38]]]]},
        ),
        Entry("real-float64", pool_call((2, 1, 4, 3), window=2, stride=1), digits, kind="float64"),
        Entry("real-float32", pool_call((2, 1, 4, 3), window=2, stride=1), kind="float32"),
    ]


def avg_pool_forward() -> list[Entry]:
    """Return the questions of average pooling."""
    real = pool_call((1, 2, 4, 3), window=3, stride=2, padding=1)
    averages = _avg_pools("pool-sum pool-kind", "pool-rounded-up", "pool-divisor", "", "")
    return [*averages, *reals(real, "pool-divisor integer-output")]


def avg_pool_backward() -> list[Entry]:
    """Return the questions of average pooling's gradient."""
    real = pool_call((1, 2, 4, 3), window=3, stride=2, padding=1)
    return [
        *_avg_pools(f"{SIGNS} pool-kind pool-sum", "", "pool-backward-divisor", "pool-overwrite", "dx-crop"),
        *reals(real, "pool-backward-divisor"),
    ]


def _avg_pools(first: str, remainder: str, padded: str, overlapping: str, per_side: str) -> list[Entry]:
    return [
        _pooling("plain", (4, 6), f"{first} pool-default-stride", window=2),
        _pooling("remainder", (5, 5), f"pool-default-stride {remainder}", window=(4, 2)),
        _pooling("overlap", (3, 4), overlapping, window=2, stride=1),
        _pooling("gaps", (5, 6), window=2, stride=(3, 4)),
        _pooling("padding", (3, 4), padded, window=2, stride=2, padding=1),
        _pooling("padding-counted", (3, 4), padded, window=2, stride=2, padding=1, include_padding=True),
        _pooling("padding-per-side", (4, 5), f"{padded} {per_side}", window=2, stride=2, padding=((0, 1), (1, 0))),
        _pooling("same", (5, 7), padded, window=3, stride=2, padding="same"),
        _same_odd(),
        _pooling("one-axis", (6,), padded, window=2, stride=2, padding=1),
        _pooling("three-axes", (3, 2, 4), overlapping, window=2, stride=1),
    ]


TABLES = {
    table.__name__: table
    for table in (
        *(conv_forward, conv_backward, dense_forward, dense_backward),
        *(max_pool_forward, max_pool_backward, avg_pool_forward, avg_pool_backward),
    )
}
