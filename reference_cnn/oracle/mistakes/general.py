"""Mistakes of any function: too narrow a dtype; and of any derivative: a sign, a factor, nothing at all."""

from itertools import permutations
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.mistakes.entry import NARROWER, Implementation, Mistake, Wrap, answering, times

# Derivatives with one result, and those with three.
ONE = (
    *("sigmoid_prime", "relu_prime", "softmax_backward", "max_pool_backward", "avg_pool_backward"),
    *("squared_error_prime", "cross_entropy_prime"),
)
THREE = ("conv_backward", "dense_backward")
# Those that do not add up products: of sums it is the accumulation that is narrow.
ROUNDED = ("relu", "max_pool_forward", "sigmoid", "sigmoid_prime", "softmax", "softmax_backward", "cross_entropy",
           "cross_entropy_prime")  # fmt: skip


def _narrowed(below: Implementation) -> Implementation:
    """The numbers are rounded to half their precision first."""

    def narrow(a: Any) -> Any:
        return a.astype(NARROWER[a.dtype]) if getattr(a, "dtype", None) in NARROWER else a

    def wrong(*arguments: Any, **options: Any) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(below(*map(narrow, arguments), **options)).astype(arguments[0].dtype)

    return wrong


def _in_order(*order: str) -> Wrap:
    """The gradients returned in another order than (dx, dw, db)."""
    return answering(
        lambda g, *a, **o: g._replace(**{name: getattr(g, other) for name, other in zip(g._fields, order)})
    )


GENERAL = (
    Mistake(
        "gradient-order",
        "You return the gradients in another order than dx, dw, db.",
        "Return dx, dw, db, or a mapping with these names.",
        "nowhere, unless their shapes agree and nobody looks at the numbers",
        dict.fromkeys(
            THREE, tuple(_in_order(*order) for order in permutations(("dx", "dw", "db")) if order != ("dx", "dw", "db"))
        ),
    ),
    Mistake(
        "narrow-arithmetic",
        "Your answers are right for numbers rounded to a narrower dtype, in which you seem to compute.",
        "Compute in the dtype of the arguments: look for a cast, and for an array that was made without dtype=.",
        "whole numbers, and tolerances of the narrower dtype",
        dict.fromkeys(ROUNDED, (_narrowed,)),
        native=True,
    ),
    Mistake(
        "negated-gradient",
        "Your derivatives have the wrong sign.",
        "Return ∂E/∂x itself: the minus of gradient descent belongs to the update. Of (y − o)²/2 it is o − y.",
        "gradients that are 0",
        times(-1, THREE + ONE),
    ),
    Mistake(
        "doubled-gradient",
        "Your derivatives are twice what they should be.",
        "Look for a gradient that is added twice, or a 2 that the ½ of E should have cancelled.",
        "gradients that are 0",
        # Of a squared error it is the missing ½, a mistake of its own.
        times(2, THREE + tuple(name for name in ONE if name != "squared_error_prime")),
    ),
    Mistake(
        "halved-gradient",
        "Your derivatives are half of what they should be.",
        "Look for a ½ too many: that of E cancels the 2 of the square.",
        "gradients that are 0",
        times(0.5, THREE + ONE),
    ),
    *(
        Mistake(
            f"{gradient}-{name}",
            f"Your {gradient} {says}.",
            remedy,
            "gradients that are 0",
            times(factor, THREE, gradient),
        )
        for gradient in ("dx", "dw", "db")
        for name, factor, says, remedy in (
            ("negated", -1, "has the wrong sign", "Return the gradient itself; the minus belongs to the update."),
            ("twice", 2, "is twice what it should be", "Look for a gradient that is added twice."),
            ("half", 0.5, "is half of what it should be", "Look for a factor ½ that the loss already has."),
            ("zero", 0, "is 0 throughout", "Compute it, or return None for a gradient that you do not offer."),
        )
    ),
)
