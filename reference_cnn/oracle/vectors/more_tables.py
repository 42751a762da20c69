"""Which questions the vectors ask of activations and losses, and what each is there to catch."""

from typing import Any

from reference_cnn.oracle.call import Call
from reference_cnn.oracle.vectors.question import Entry
from reference_cnn.oracle.vectors.tables import SIGNS, reals

SUBGRADIENT = "at 0 the derivative is 0 here; every number from 0 to 1 is a subgradient"
WIDE, SINGLE = ("float64",), ("float64", "float32")

ORDINARY = [-8, -4.5, -2, -1, -0.5, -0.125, 0, 0.25, 1, 1.5, 3, 8]
# float16's exp(−z) overflows from z = −11.09 on.
SIXTEEN_BITS = [[-16, -12, -11.25, -10], [10, 11.25, 12, 16]]
TAILS = [[-87, -60, -40, -20.5, -17], [17, 20.5, 40, 60, 87]]
FAR_TAILS = [-744, -700, -400, -100, 100, 400, 700, 744]
LOGITS = [[1, 2, -0.5, 0], [-1, 3, 1.5, 0.25], [0, 0, 0, 0]]
# What one row needs is wrong for the next.
FAR_APART = [[1000, 1001.5, 999], [-1000, -1002, -1000.25], [0, 1, -1]]
SPREAD = [[60, 0, -60], [-40.5, 40, 12]]


def _given(name: str, values: Any, flags: str = "", argument: str = "z", reason: str = "", **more: Any) -> Entry:
    shape = _shape(values)
    call = Call(((argument, shape),))
    return Entry(name, call, flags, given={argument: values, **more.pop("given", {})}, reason=reason, **more)


def _shape(values: Any) -> tuple[int, ...]:
    return (len(values), *_shape(values[0])) if isinstance(values, list) else ()


def sigmoid() -> list[Entry]:
    """Return the questions of the sigmoid, tails included."""
    return [
        _given("ordinary", ORDINARY, "sigmoid-sign sigmoid-by-tanh tanh-for-sigmoid"),
        _given("sixteen-bits", SIXTEEN_BITS, "sigmoid-overflow sigmoid-by-tanh"),
        _given("tails", TAILS, "sigmoid-by-tanh", dtypes=("float64", "float32", "bfloat16")),
        _given("far-tails", FAR_TAILS, "sigmoid-by-tanh sigmoid-clip sigmoid-ratio", dtypes=WIDE),
        *reals(Call((("z", (2, 3)),)), "sigmoid-sign", "narrow-arithmetic"),
    ]


def sigmoid_prime() -> list[Entry]:
    """Return the questions of the sigmoid's derivative, of z and not of sigmoid(z)."""
    return [
        _given(
            "ordinary", ORDINARY, f"prime-of-input prime-twice prime-one prime-not-derived tanh-for-sigmoid {SIGNS}"
        ),
        _given("sixteen-bits", SIXTEEN_BITS, "prime-of-input"),
        _given("tails", TAILS, "prime-of-input sigmoid-by-tanh", dtypes=("float64", "float32", "bfloat16")),
        _given("far-tails", FAR_TAILS, "prime-of-input", dtypes=WIDE),
        *reals(Call((("z", (2, 3)),)), "prime-twice", "narrow-arithmetic"),
    ]


def relu() -> list[Entry]:
    """Return the questions of the rectifier."""
    return [
        _given("plain", [[-3, 0, 2], [1, -1, 8]], "relu-leaky relu-capped relu-absolute"),
        Entry("real-float64", Call((("z", (2, 3)),)), "narrow-arithmetic", "float64"),
    ]


def relu_prime() -> list[Entry]:
    """Return the questions of the rectifier's derivative; at 0 there are other answers."""
    return [
        _given(
            "plain",
            [[-3, 4, 2], [1, -1, 8]],
            f"prime-one prime-not-derived relu-leaky relu-capped relu-absolute {SIGNS}",
        ),
        _given("zero", [-1, 0, 2], "relu-mask", reason=SUBGRADIENT),
    ]


def softmax() -> list[Entry]:
    """Return the questions of the softmax: ordinary rows, rows far apart, wide rows."""
    return [
        _given("plain", LOGITS, "softmax-axis softmax-log softmax-all"),
        _given("one-axis", [1, 2, -0.5, 0, 3]),
        _given("three-axes", [LOGITS, LOGITS[::-1]], "softmax-axis"),
        _given("far-apart", FAR_APART, "softmax-global-max softmax-no-max", dtypes=SINGLE),
        _given("wide", SPREAD, dtypes=SINGLE),
        *reals(Call((("z", (2, 3)),)), "softmax-axis", "narrow-arithmetic added-epsilon"),
    ]


def softmax_backward() -> list[Entry]:
    """Return the questions of the softmax's gradient; rows of a add up to 1 exactly."""
    return [
        Entry(
            "plain",
            Call((("a", (3, 4)),)),
            f"softmax-diagonal softmax-axis softmax-unweighted softmax-no-sum softmax-all softmax-of-output {SIGNS}",
        ),
        Entry("one-axis", Call((("a", (5,)),)), "softmax-diagonal"),
        Entry("three-axes", Call((("a", (2, 3, 2)),)), "softmax-axis"),
        *reals(Call((("a", (2, 3)),)), "softmax-diagonal", "narrow-arithmetic"),
    ]


def squared_error() -> list[Entry]:
    """Return the questions of the squared error."""
    return _errors(
        "loss-broadcast loss-extra-mean",
        "loss-mean-of-entries loss-unhalved negated-loss absolute-error root-of-squares",
    )


def squared_error_prime() -> list[Entry]:
    """Return the questions of the squared error's derivative."""
    # A doubled gradient is here what a missing half is.
    return _errors(
        "loss-broadcast loss-extra-mean negated-gradient halved-gradient",
        "loss-mean-of-entries loss-unhalved absolute-error",
    )


def _errors(column: str, matrix: str) -> list[Entry]:
    return [
        Entry("column", Call((("o", (3, 1)),)), column),
        Entry("matrix", Call((("o", (2, 3)),)), matrix),
        Entry("one-axis", Call((("o", (5,)),)), "loss-extra-mean"),
        *reals(Call((("o", (2, 3)),)), matrix),
    ]


def cross_entropy() -> list[Entry]:
    """Return the questions of the cross-entropy, sure of the wrong class too."""
    return _logits("loss-extra-mean softmax-twice negated-loss log-base", "log-of-softmax added-epsilon")


def cross_entropy_prime() -> list[Entry]:
    """Return the questions of the cross-entropy's derivative."""
    plain = f"loss-extra-mean softmax-twice label-not-subtracted ones-subtracted {SIGNS}"
    return _logits(plain, "softmax-twice labels-of-all")


def _logits(plain: str, sure: str) -> list[Entry]:
    return [
        _given("plain", LOGITS, plain, given={"labels": [3, 1, 0]}),
        _given("far-apart", FAR_APART, "softmax-twice softmax-no-max", given={"labels": [2, 0, 1]}, dtypes=SINGLE),
        _given("wide", SPREAD, "softmax-twice", given={"labels": [0, 2]}, dtypes=SINGLE),
        _given("sure-and-right", SPREAD, given={"labels": [0, 1]}, dtypes=SINGLE),
        _given("sure-and-wrong", [[-500, 500, 0], [300, -700, 0.5]], sure, given={"labels": [0, 1]}, dtypes=SINGLE),
        *reals(Call((("z", (2, 3)),)), plain, "narrow-arithmetic"),
    ]


MORE_TABLES = {
    table.__name__: table
    for table in (
        *(sigmoid, sigmoid_prime, relu, relu_prime, softmax, softmax_backward),
        *(squared_error, squared_error_prime, cross_entropy, cross_entropy_prime),
    )
}
