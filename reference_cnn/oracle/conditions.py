"""In which cases a function is wrong, and what these have in common."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

from reference_cnn._pattern import ALTERNATIVE
from reference_cnn.oracle import bounds
from reference_cnn.oracle.call import keyword_of, windows_of
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.judge import Failure, sizes_of
from reference_cnn.oracle.layers import LAYERS, axes, several

# In words, and which of the cases have it.
Property = tuple[str, list[bool]]

# With fewer cases on either side a condition may hold by accident.
FEWEST = 4
# What some right cases have too is said if all wrong ones would have it by accident no more often than that.
ACCIDENT = 1e-6
# What scale is no longer ordinary.
SCALES = (1e-6, 16)
# Sizes at which vectors and blocks of code have their ends; of those that fit the largest is the likeliest.
ENDS = tuple(2**k for k in range(10, 2, -1))
# Sizes above which something may go wrong.
COUNTS = (*ENDS, *range(1, 6))
# Fewer entries show no border, and no channel.
PICTURE = 24
# A pattern that says nothing of where the wrong entries are.
UNTELLING = re.compile(r"|its one entry is wrong|\d+ of \d+ entries (is|are) wrong")


def condition(judged: Sequence[tuple[Case, bool]], shown: Case | None = None) -> str:
    """Say when a function is wrong, given its cases in the order asked and whether each answer was; "" if unknown.

    One property of the call, or two together, which the wrong case that is shown has too; of several that fit, the
    first. Where NaN, infinity and ties are asked does not count, but is said if it does not fit.
    """
    wrong = [w for _, w in judged]
    plain = [k for k, (c, _) in enumerate(judged) if c.call.special is None]

    def fits(holds: Sequence[bool]) -> bool:
        return all(holds[k] == wrong[k] for k in plain)

    def aside(holds: Sequence[bool]) -> str:
        return "" if list(holds) == wrong else ", special values aside"

    if min(sum(wrong[k] for k in plain), sum(not wrong[k] for k in plain)) < FEWEST:
        return ""
    common = _common(judged, shown)
    for words, holds in [*common, *_together(common)]:
        if fits(holds):
            return f"Wrong in exactly the cases with {words}{aside(holds)}."
    # What is asked late may have something in common, which says more than that it is late.
    if not any(wrong[j] and not wrong[k] for j, k in pairwise(plain)):
        first = next(k for k in plain if wrong[k])
        from_then_on = [k >= first for k in range(len(wrong))]
        return f"Right in the first {first} calls, wrong in every later one{aside(from_then_on)}."
    return ""


def confined(judged: Sequence[tuple[Case, bool]], shown: Case | None = None) -> str:
    """Say which property, or two, every wrong case has and the fewest right ones; "" if that may be an accident.

    Given as to `condition`, for what depends on the numbers too, or on what has no words.
    """
    wrong = [w for _, w in judged]
    plain = [k for k, (c, _) in enumerate(judged) if c.call.special is None]

    def having(found: Property) -> int:
        return sum(found[1][k] for k in plain)

    common, failed = _common(judged, shown), sum(wrong[k] for k in plain)
    if not common or not failed:
        return ""
    best = min(common, key=having)
    both = min(_together(common), key=having, default=best)
    # Two together leave out some right cases in any case: half of them is no accident.
    words, holds = best = both if 2 * (having(both) - failed) <= having(best) - failed else best
    if (having(best) / len(plain)) ** failed > ACCIDENT:
        return ""
    among, every = sum(w and h for w, h in zip(wrong, holds)), sum(wrong)
    aside = "" if among == every else ", special values aside"
    return f"Wrong in {among} of the {sum(holds)} cases with {words}, and in no other{aside}."


def _common(judged: Sequence[tuple[Case, bool]], shown: Case | None) -> list[Property]:
    """What all wrong cases have in common, special values aside, and which cases have it."""
    found: dict[str, list[bool]] = {}
    for k, (case, _) in enumerate(judged):
        for words in _properties(case):
            found.setdefault(words, [False] * len(judged))[k] = True
    wrong = [k for k, (case, failed) in enumerate(judged) if failed and case.call.special is None]
    seen = set(found) if shown is None or shown.call.special else set(_properties(shown))
    return [(words, holds) for words, holds in found.items() if words in seen and all(holds[k] for k in wrong)]


def _together(found: Sequence[Property]) -> Iterable[Property]:
    """Each two of them."""
    for (one, a), (other, b) in combinations(found, 2):
        yield f"{one} and {other} together", [x and y for x, y in zip(a, b)]


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


def otherwise_wrong(failures: Sequence[Failure], shown: Failure) -> str:
    """How many go wrong in another way than the one that is shown, and the smallest of them; "" where none does."""
    others = [f for f in failures if f.kind not in (shown.kind, "note")]
    if not others:
        return ""
    first = min(others, key=lambda f: f.case.size)
    said = f"such as {first.case.text}: {first.finding.rstrip('.')}."
    return f"{len(others)} of the wrong ones are so in another way, {said}"


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
    if ALTERNATIVE in words:
        return set(words.split(ALTERNATIVE))
    factor, _, size = words.partition("; ")
    if size:
        number, _, name = size.partition(" is ")
        counted = re.sub(rf"\b{number}\b", "n", factor)
        return {factor, f"{counted}, n being {name}"}
    anywhere, at_the_end = words.replace(" (the last)", ""), re.sub(r" \d+ \(the last\)", " −1 (the last)", words)
    return {anywhere, at_the_end}


def _properties(case: Case) -> Iterable[str]:
    """What may be said of a call, the likeliest causes first."""
    shapes, options = dict(case.call.shapes), dict(case.call.options)
    features = {keyword_of(f) for f in case.call.features}
    # Whether the windows of a pooling overlap says more than that their stride is not theirs.
    last = {"stride"} if "window" in options else set()
    yield from (f for f in sorted(features - {"no"} - last) if not case.call.idle(f))
    if options.get("padding") == "same":
        yield 'padding="same"'
    if "window" in options and "stride" not in options:
        yield "no stride"
    whole = "exact numbers" if case.function == "softmax_backward" else "whole numbers"
    yield whole if case.exact else "numbers that are not whole"
    if case.call.scale < SCALES[0]:
        yield "tiny numbers"
    if case.call.scale > SCALES[1]:
        yield "numbers of very different sizes" if "w" in shapes else "large numbers"
    first, shape = case.call.shapes[0]
    named = [(name, size) for name, size in zip(axes(case.function, first, case.rank), shape) if " " not in name]
    if not named:
        yield from (f"more than {n} {'axis' if n == 1 else 'axes'}" for n in range(1, 4) if len(shape) > n)
        yield from ["other than 2 axes"] * (len(shape) != 2)
    for name, size in named:
        yield f"{'an odd' if size % 2 else 'an even'} number of {several(name)}"
        yield from _more_than(size, name)
    if "w" in shapes:
        windowed = LAYERS[case.function].family == "conv"
        yield from _more_than(*((shapes["w"][0], "filter") if windowed else (shapes["w"][1], "neuron")))
        if windowed:
            yield f"{'an odd' if math.prod(shapes['w'][2:]) % 2 else 'an even'} number of kernel entries"
    if len(shape) > 2 and ("w" in shapes or "window" in options):
        yield from _of_windows(case)
    yield from (f for f in last & features if not case.call.idle(f))


def _more_than(count: int, name: str) -> Iterable[str]:
    yield from (f"more than {n} {several(name) if n > 1 else name}" for n in COUNTS if count > n)


def _of_windows(case: Case) -> Iterable[str]:
    windows, shapes = windows_of(case.call), dict(case.call.shapes)
    if "w" in shapes:
        # Of the forward pass, and of the kernel's gradient.
        yield from (f"more than {n} terms in a sum" for n in ENDS if math.prod(shapes["w"][1:]) > n)
        yield from (
            f"more than {n} images times positions" for n in ENDS if shapes["x"][0] * math.prod(windows.out) > n
        )
    if any(s < e and o > 1 for s, e, o in zip(windows.stride, windows.spans, windows.out)):
        yield "windows that overlap"
    if len(set(windows.kernel)) > 1:
        yield "windows that are not square"
    if len(set(windows.stride)) > 1:
        yield "strides that differ"
    if any(before != after for before, after in windows.pads):
        yield "more padding on one side"
    if len({pad for pair in windows.pads for pad in pair}) > 1:
        yield "padding that differs"
    yield from _more_than(math.prod(shapes.get("w", ())[2:]), "kernel entry")
