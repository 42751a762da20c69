"""How many small requests a second pass through the protocol: `python tests/protocol_speed.py TARGET…`."""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn.oracle.targets.remote import reach

# The best of so many runs of so many seconds: a machine that is busy otherwise can only be slower.
RUNS, SECONDS = 5, 1.0


def per_second(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> float:
    """Return how often a function can be called in a second."""
    best = 0.0
    for _ in range(RUNS):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < SECONDS:
            function(*arguments, **keywords)
            count += 1
        best = max(best, count / spent)
    return best


def main() -> None:
    """Ask every target for a sigmoid of 6 numbers, and for a convolution of 24 numbers with 8 into 8."""
    z, x, w = (np.linspace(-1, 1, np.prod(n)).reshape(n) for n in ((2, 3), (2, 1, 3, 4), (2, 1, 2, 2)))
    for name in sys.argv[1:]:
        target = reach(name)
        sigmoids = per_second(target.functions["sigmoid"], z)
        convolutions = per_second(target.functions["conv_forward"], x, w, stride=2)
        target.close()
        print(f"{name}: {sigmoids:.0f} sigmoids a second, {convolutions:.0f} convolutions")


if __name__ == "__main__":
    main()
