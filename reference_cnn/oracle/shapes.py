"""Which calls each function is asked with."""

from collections.abc import Callable
from typing import NamedTuple

from reference_cnn.oracle.call import TIES, Call, Draw, Effort, Offered, everything
from reference_cnn.oracle.fixed_vectors import conv_vectors, pool_vectors
from reference_cnn.oracle.layers import LAYERS, Family
from reference_cnn.oracle.windowed import conv_calls, draw_bias, draw_conv, draw_pool, draw_telling, pool_calls

# The widest arguments at which an activation of the dtype is still told from its limit, …
RANGES = {"float64": 740.0, "float32": 100.0, "float16": 16.0, "bfloat16": 88.0}
# … and the widest rows of logits of which a bound still says something.
SPREADS = {"float64": 2000.0, "float32": 300.0, "float16": 6.0, "bfloat16": 3.0}
# How far from 0 rows may lie, on either side, so that what is right for one row overflows or vanishes in another.
OFFSETS = {"float64": 1000.0, "float32": 200.0, "float16": 16.0, "bfloat16": 100.0}


# How far apart the sizes of numbers in one array may lie, as a factor upwards and downwards, so that sums of products
# neither overflow nor vanish.
MAGNITUDES = {"float64": 1e9, "float32": 1e9, "float16": 16.0, "bfloat16": 1e9}


def dense_calls(draw: Draw, effort: Effort, spread: float) -> list[Call]:
    """Return calls of a dense layer: sizes apart, all equal, and 1 each; and numbers from 1/spread to spread."""
    sizes = [(3, 4, 2), (5, 2, 7), (4, 4, 4), (1, 3, 2), (3, 1, 2), (3, 2, 1), (2, 60, 3), (9, 3, 17), (17, 9, 5)]
    ones = [(1, 1, 3), (1, 4, 1), (4, 1, 1), (1, 1, 1)]
    # More than 32 or 128 examples, 64 or 256 neurons, 128 or 1024 features.
    large = [(33, 5, 65), (2, 131, 3), (130, 2, 3), (2, 3, 300), (2, 1030, 3)]
    # Whole vectors and tiles of up to 128; of 6, 12 and 24; of 16 and 32 in all ways at once, and with what remains.
    whole = [(128, 2, 3), (2, 128, 3), (3, 2, 128), (6, 24, 5), (7, 6, 12), (32, 64, 32), (19, 35, 23)]
    # One example or one neuron, which need no product of matrices.
    thin = [(1, 67, 2), (1, 2, 67), (67, 3, 1), (3, 67, 1), (1, 16, 24), (1, 35, 37), (9, 1, 3)]
    # Larger than a tile in two ways, and in all three; many features and ten neurons, as many examples as features.
    whole += [(2, 35, 37), (35, 67, 66), (4, 70, 10), (6, 6, 3)]
    fixed = [_dense(*s, b=b) for s in sizes + ones + large + whole + thin for b in (False, True)]
    fixed += [_dense(3, 1, 5, b=False)._replace(scale=spread), _dense(4, 5, 3, b=True)._replace(scale=spread)]
    return fixed + [draw_dense(draw) for _ in range(effort.drawn)]


def draw_dense(draw: Draw, offered: Offered = everything) -> Call:
    """Draw a call of a dense layer that uses only offered features."""
    return _dense(draw(1, 5), draw(1, 8), draw(1, 8), b=draw_bias(draw, offered))


def _dense(n: int, features: int, neurons: int, *, b: bool) -> Call:
    shapes = [("x", (n, features)), ("w", (features, neurons))] + [("b", (neurons,))] * b
    return Call(tuple(shapes))


def activation_calls(draw: Draw, dtype: str, effort: Effort) -> list[Call]:
    """Return calls of an activation: tiny, ordinary and large numbers up to the range of the dtype, on 1 to 4 axes."""
    shapes = [(4099,), (8, 16), (2, 3, 5), (2, 3, 2, 5), (1, 1)]
    scales = (4.0, 12.0, 1e-3, 2.0, 1.0, 40.0, 88.0, RANGES[dtype])
    fixed = [Call((("z", shapes[i % len(shapes)]),), scale=s) for i, s in enumerate(scales)]
    fixed.append(Call((("z", (2, 3, 2, 1, 2)),)))
    # Of both signs, so in several elements.
    fixed += [Call((("z", (2, 128)),), scale=s) for s in (1e-9, 1e-30) if dtype != "float16"]
    return [c for c in fixed if c.scale <= RANGES[dtype]] + [draw_activation(draw) for _ in range(effort.drawn)]


def draw_activation(draw: Draw) -> Call:
    """Draw a call of an activation."""
    return Call((("z", (draw(1, 4), draw(1, 9))),), scale=float(draw(1, 16)))


def logits_calls(draw: Draw, dtype: str, effort: Effort) -> list[Call]:
    """Return calls with rows of logits: ordinary ones, wide ones, and rows far apart."""
    shapes = [(3, 4), (5, 2), (4, 4), (1, 3), (3, 1), (9, 17), (2, 10)]
    scales = [1.0, min(10.0, SPREADS[dtype]), SPREADS[dtype], OFFSETS[dtype]]
    fixed = [Call((("z", shape),), scale=scales[i % len(scales)]) for i, shape in enumerate([*shapes, *shapes, (3, 4)])]
    # Whole vectors; more than 32 or 256 rows, 128 or 1024 classes, of the larger of which 16 bits say little.
    large = [
        Call((("z", shape),))
        for shape in [(37, 131), (128, 3), (3, 128), *[(260, 3), (2, 1030), (9, 300)] * (not dtype.endswith("16"))]
    ]
    # Wide rows, and distant ones if short, with what remains of vectors and tiles, of up to 128 classes and 32 rows.
    hard = [
        Call((("z", shape),), scale=s) for s in scales[2:] for shape in [(5, 5), (5, 9), (5, 19), (9, 137), (37, 4)]
    ]
    # And of more than 256 and 1024 classes, the largest of one row the last.
    hard += [Call((("z", shape),), scale=scales[2]) for shape in [(3, 300), (3, 1031)] * (not dtype.endswith("16"))]
    return [*fixed, *large, *hard] + [draw_logits(draw) for _ in range(effort.drawn)]


def sized_logits(rank: int) -> list[Call]:
    """Return calls with rows that a vector of 32 holds in part, or a few times, and with two classes."""
    return [Call((("z", shape),)) for shape in [(3, 33), (5, 65), (2, 100), (9, 24), (1, 2), (9, 2)]]


def draw_logits(draw: Draw) -> Call:
    """Draw a call with rows of logits."""
    return Call((("z", (draw(1, 4), draw(1, 6))),), scale=float(draw(1, 3)))


def error_calls(draw: Draw, effort: Effort, spread: float) -> list[Call]:
    """Return calls of an error: what a network with one output has, and other shapes; o close to y, and far from it."""
    shapes = [(3, 1), (5,), (4, 4), (2, 3, 4), (1, 1), (3, 5), (2, 3, 2, 4), (37, 131), (128,), (8, 12), (10007,)]
    fixed = [Call((("o", shape),)) for shape in shapes]
    fixed += [Call((("o", (3, 4)),), scale=1e-3), Call((("o", (5,)),), scale=spread)]
    return fixed + [draw_error(draw) for _ in range(effort.drawn)]


def draw_error(draw: Draw) -> Call:
    """Draw a call of an error."""
    return Call((("o", (draw(1, 5), draw(1, 6))),))


class Asking(NamedTuple):
    """How a family is asked: calls for every target, a call drawn from what one offers, and what a call states.

    And calls of which the sizes alone matter.
    """

    fixed: Callable[[Draw, int, str, Effort], list[Call]]
    drawn: Callable[[Draw, int, Offered], Call]
    options: tuple[str, ...] = ()
    sized: Callable[[int], list[Call]] = lambda rank: []


ASKING: dict[Family, Asking] = {
    "conv": Asking(
        lambda draw, rank, dtype, effort: conv_calls(rank, draw, effort, MAGNITUDES[dtype]),
        draw_conv,
        ("stride", "padding", "dilation", "groups"),
        conv_vectors,
    ),
    "dense": Asking(
        lambda draw, rank, dtype, effort: dense_calls(draw, effort, MAGNITUDES[dtype]),
        lambda draw, rank, offered: draw_dense(draw, offered),
    ),
    "activation": Asking(
        lambda draw, rank, dtype, effort: activation_calls(draw, dtype, effort),
        lambda draw, rank, offered: draw_activation(draw),
    ),
    "softmax": Asking(
        lambda draw, rank, dtype, effort: [
            *logits_calls(draw, dtype, effort),
            Call((("z", (7,)),)),
            Call((("z", (2, 3, 4)),)),
            Call((("z", (2, 3, 11)),), scale=OFFSETS[dtype]),
            *(Call((("z", shape),)) for shape in [(2, 3, 2, 4), (3, 12, 20), (4, 4, 4), (40,)]),
        ],
        lambda draw, rank, offered: draw_logits(draw),
        sized=sized_logits,
    ),
    "logits": Asking(
        lambda draw, rank, dtype, effort: logits_calls(draw, dtype, effort),
        lambda draw, rank, offered: draw_logits(draw),
        sized=sized_logits,
    ),
    "error": Asking(
        lambda draw, rank, dtype, effort: error_calls(draw, effort, MAGNITUDES[dtype]),
        lambda draw, rank, offered: draw_error(draw),
    ),
    "max pool": Asking(
        lambda draw, rank, dtype, effort: pool_calls(rank, draw, "dilation", effort),
        lambda draw, rank, offered: draw_pool(draw, rank, offered, "dilation"),
        ("window", "stride", "padding", "dilation"),
        lambda rank: pool_vectors(rank, "dilation"),
    ),
    "average pool": Asking(
        lambda draw, rank, dtype, effort: pool_calls(rank, draw, "include_padding", effort),
        lambda draw, rank, offered: draw_pool(draw, rank, offered, "include_padding"),
        ("window", "stride", "padding", "include_padding"),
        lambda rank: pool_vectors(rank, "include_padding"),
    ),
}


def calls(function: str, draw: Draw, rank: int, dtype: str, effort: Effort) -> list[Call]:
    """Return the calls of a function that every target is asked with, none twice."""
    fixed = ASKING[LAYERS[function].family].fixed(draw, rank, dtype, effort)
    if function.startswith("sigmoid"):
        # Around 0 it hardly changes, unlike a rectifier.
        fixed = [call for call in fixed if call.scale >= 1e-3]
    return list(dict.fromkeys(_stated(call, function) for call in fixed))


def sized_calls(function: str, rank: int) -> list[Call]:
    """Return the calls of a function of which the sizes alone matter, and one kind of numbers tells all."""
    return list(dict.fromkeys(_stated(call, function) for call in ASKING[LAYERS[function].family].sized(rank)))


def drawn_call(function: str, draw: Draw, rank: int, offered: Offered) -> Call:
    """Draw a call of a function that uses only offered features."""
    return _stated(ASKING[LAYERS[function].family].drawn(draw, rank, offered), function)


def more_calls(function: str, draw: Draw, rank: int, offered: Offered, effort: Effort) -> list[Call]:
    """Draw calls that use only offered features; functions without options have none to combine."""
    family = LAYERS[function].family
    if not ASKING[family].options:
        return []
    if family == "conv":
        return [_stated(draw_telling(draw, rank, offered), function) for _ in range(effort.offered)]
    return [drawn_call(function, draw, rank, offered) for _ in range(effort.offered)]


def fits(function: str, call: Call) -> bool:
    """Whether the call's names, axes and options are those of the function."""
    layer, shapes, options = LAYERS[function], dict(call.shapes), dict(call.options)
    if set(options) - set(ASKING[layer.family].options) or set(layer.positional) - set(options):
        return False
    if call.special and (call.special[1] not in layer.arguments or (call.special[1] == "b" and "b" not in shapes)):
        return False
    # Which gradient a NaN or an infinity in x gets is nobody's to say; equal numbers matter to that gradient alone.
    of_maximum = function == "max_pool_backward" and call.special is not None and call.special[1] == "x"
    if call.special and of_maximum != (call.special == TIES):
        return False
    axes = {name: len(shape) for name, shape in call.shapes}
    if layer.family in ("conv", "dense"):
        right = {"x", "w"} | ({"b"} & set(shapes) & set(layer.arguments))
        if set(shapes) != right or axes["w"] != axes["x"]:
            return False
        return axes["x"] > 2 if layer.family == "conv" else axes["x"] == 2
    stated = {name for name in layer.arguments if name not in DERIVED}
    return set(shapes) == stated and (layer.family != "logits" or axes["z"] == 2)


# Arguments whose shapes follow from the others.
DERIVED = ("dz", "dy", "da", "y", "labels")


def _stated(call: Call, function: str) -> Call:
    """Return the call without a bias where there is none to ask about, and with a where z is not an argument."""
    names = LAYERS[function].arguments
    call = call if "b" in names else call.without_bias()
    if "a" in names:
        call = call._replace(shapes=tuple(("a", shape) for _, shape in call.shapes))
    return call
