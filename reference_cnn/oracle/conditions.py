"""In which cases a function is wrong, and what these have in common."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

from reference_cnn.oracle import bounds
from reference_cnn.oracle.call import keyword_of, windows_of
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.judge import Failure, sizes_of
from reference_cnn.oracle.layers import LAYERS, axes, several

# With fewer cases on either side a condition may hold by accident.
FEWEST = 4
# Fewer entries show no border, and no channel.
PICTURE = 24
# A pattern that says nothing of where the wrong entries are.
UNTELLING = re.compile(r"|its one entry is wrong|\d+ of \d+ entries (is|are) wrong")


def condition(judged: Sequence[tuple[Case, bool]]) -> str:
    """Say when a function is wrong, given its cases in the order asked and whether each answer was; "" if unknown.

    One property of the call, or two together; of several that fit, the first. Where NaN, infinity and ties are asked
    does not count, but is said if it does not fit.
    """
    wrong = [w for _, w in judged]
    plain = [k for k, (c, _) in enumerate(judged) if c.call.special is None]

    def fits(holds: Sequence[bool]) -> bool:
        return all(holds[k] == wrong[k] for k in plain)

    def aside(holds: Sequence[bool]) -> str:
        return "" if list(holds) == wrong else ", special values aside"

    if min(sum(wrong[k] for k in plain), sum(not wrong[k] for k in plain)) < FEWEST:
        return ""
    if not any(wrong[j] and not wrong[k] for j, k in pairwise(plain)):
        first = next(k for k in plain if wrong[k])
        from_then_on = [k >= first for k in range(len(wrong))]
        return f"Right in the first {first} calls, wrong in every later one{aside(from_then_on)}."
    found: dict[str, list[bool]] = {}
    for k, (case, _) in enumerate(judged):
        for words in _properties(case):
            found.setdefault(words, [False] * len(judged))[k] = True
    for words, holds in found.items():
        if fits(holds):
            return f"Wrong in exactly the cases with {words}{aside(holds)}."
    able = [(words, holds) for words, holds in found.items() if all(holds[k] for k in plain if wrong[k])]
    for (one, a), (other, b) in combinations(able, 2):
        both = [x and y for x, y in zip(a, b)]
        if fits(both):
            return f"Wrong in exactly the cases with {one} and {other} together{aside(both)}."
    return ""


def typical(failures: Sequence[Failure], shown: Failure) -> tuple[str, Failure | None]:
    """Say which pattern most wrong answers follow, if the one shown does not; and give one in which it is seen.

    Half of those with more than one entry have to follow it, and a quarter of all. The smallest case has often lost it
    with its sizes: in a single entry there is no last column.
    """
    kinds = [(f, kinds_of(f.pattern)) for f in _plain(failures, shown)]
    counts = Counter(kind for _, found in kinds for kind in found)
    kind, count = counts.most_common(1)[0] if counts else ("", 0)
    several_entries = sum(f.wrong is not None and f.wrong.size > 1 for f, _ in kinds)
    if count < max(FEWEST, several_entries / 2, len(failures) / 4):
        return "", seen_best(failures, shown)
    best = seen_best([f for f, found in kinds if kind in found], shown)
    if best is None or kind in kinds_of(shown.pattern):
        return "", best
    share = "every wrong case" if count == len(failures) else f"{count} of {len(failures)} wrong cases"
    return f"In {share}, {best.case.text} for one, {kind}.", best


def seen_best(failures: Sequence[Failure], shown: Failure) -> Failure | None:
    """The wrong answer that shows best where it is wrong: not too small, and else the smallest."""

    def bluntness(failure: Failure) -> tuple[bool, bool, int]:
        assert failure.wrong is not None
        return failure.wrong.size < PICTURE, 1 in failure.case.call.shapes[0][1], failure.case.size

    return min(_plain(failures, shown), key=bluntness, default=None)


def _plain(failures: Sequence[Failure], shown: Failure) -> list[Failure]:
    """Wrong values of the same output, without special values in the arguments."""
    return [f for f in failures if f.output == shown.output and f.wrong is not None and f.case.call.special is None]


def scaled(failures: Sequence[Failure]) -> str:
    """Say of wrong losses, single numbers, by which number, size or product of two sizes all are wrong."""
    if len(failures) < FEWEST or any(f.got is None or f.right is None or f.right.ndim for f in failures):
        return ""
    sizes = [sizes_of(f.case) | {"entries": math.prod(f.case.call.shapes[0][1])} for f in failures]
    names = [name for name in sizes[0] if all(name in s for s in sizes)]
    factors = {f"the number of {name}": [s[name] for s in sizes] for name in names}
    factors |= {f"the number of {a} times {b}": [s[a] * s[b] for s in sizes] for a, b in combinations(names, 2)}
    factors |= {str(n): [n] * len(failures) for n in (-1, *range(2, 11))}
    for words, each in factors.items():
        for done, power in (("times", 1), ("divided by", -1)):
            if all(_is(f, float(n) ** power) for f, n in zip(failures, each)):
                return f"Every wrong answer is the right one {done} {words}."
    return ""


def _is(failure: Failure, factor: float) -> bool:
    """Whether a wrong number is the right one times a factor, within its bound."""
    assert failure.got is not None
    assert failure.expected is not None
    assert failure.bound is not None
    right, rounding = factor * failure.expected, 2 * bounds.unit(failure.case.dtype)
    if not math.isfinite(right):
        return failure.got == right or (math.isnan(right) and math.isnan(failure.got))
    return abs(failure.got - right) <= abs(factor) * failure.bound + rounding * abs(right)


def kinds_of(pattern: str) -> set[str]:
    """What a pattern says that may be true of other sizes too, in words; nothing where it only counts wrong entries.

    Column 2, the last of three, is the same in the case of another as column 2, or as the last; and a factor of 2, the
    number of images, as 2 or as that number.
    """
    if UNTELLING.fullmatch(pattern):
        return set()
    words = re.sub(r"^\d+ of \d+ entries (is|are) wrong, ", "the wrong entries are ", pattern)
    factor, _, size = words.partition("; ")
    if size:
        number, _, name = size.partition(" is ")
        counted = re.sub(rf"\b{number}\b", "n", factor)
        return {factor, f"{counted}, n being {name}"}
    return {words.replace(" (the last)", ""), re.sub(r" \d+ \(the last\)", " −1 (the last)", words)}


def _properties(case: Case) -> Iterable[str]:
    """What may be said of a call, the likeliest causes first."""
    shapes, options = dict(case.call.shapes), dict(case.call.options)
    features = {keyword_of(f) for f in case.call.features}
    # Whether the windows of a pooling overlap says more than that their stride is not theirs.
    last = {"stride"} if "window" in options else set()
    yield from (f for f in sorted(features - {"no"} - last) if not case.call.idle(f))
    yield "numbers that are not whole" if case.tier == "rounding" else "whole numbers"
    first, shape = case.call.shapes[0]
    named = [(name, size) for name, size in zip(axes(case.function, first, case.rank), shape) if " " not in name]
    if not named:
        yield from (f"more than {n} {'axis' if n == 1 else 'axes'}" for n in range(1, 4) if len(shape) > n)
    for name, size in named:
        yield f"{'an odd' if size % 2 else 'an even'} number of {several(name)}"
        yield from (f"more than {n} {several(name) if n > 1 else name}" for n in range(1, 6) if size > n)
    if "w" in shapes:
        windowed = LAYERS[case.function].family == "conv"
        name, count = ("filters", shapes["w"][0]) if windowed else ("neurons", shapes["w"][1])
        yield from (f"{name} above {n}" for n in range(1, 6) if count > n)
        if windowed:
            yield f"{'an odd' if math.prod(shapes['w'][2:]) % 2 else 'an even'} number of kernel entries"
    if len(shape) > 2 and ("w" in shapes or "window" in options):
        yield from _of_windows(case)
    yield from (f for f in last & features if not case.call.idle(f))


def _of_windows(case: Case) -> Iterable[str]:
    windows = windows_of(case.call)
    if any(s < e for s, e in zip(windows.stride, windows.spans)):
        yield "windows that overlap"
    if len(set(windows.kernel)) > 1:
        yield "windows that are not square"
    if len(set(windows.stride)) > 1:
        yield "strides that differ"
    if any(before != after for before, after in windows.pads):
        yield "more padding on one side"
