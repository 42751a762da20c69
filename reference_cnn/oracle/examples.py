"""A mistake explained: what, why, what helps, and an example small enough to do by hand, worked out on the spot."""

import inspect

import numpy as np

import reference_cnn
from reference_cnn._gradients import unpack
from reference_cnn._validate import Array
from reference_cnn.explain import explain
from reference_cnn.oracle.layers import LAYERS, signature
from reference_cnn.oracle.mistakes import MISTAKES, Implementation, Mistake, of_function
from reference_cnn.oracle.questions import Question, questions
from reference_cnn.oracle.text import LINES, blocks_of, laid_out, side_by_side, wrapped

# How many questions are tried for one that shows in numbers what others show in a shape.
PATIENCE = 600
OUTPUTS = {"conv_backward": ("dx", "dw", "db"), "dense_backward": ("dx", "dw", "db")}


def explain_mistakes(names: str) -> str:
    """Explain one mistake of the catalogue, or several joined by "+"."""
    return "\n\n".join(_explained(MISTAKES[name]) for name in names.split("+"))


def explain_function(name: str) -> str:
    """Explain a function: how it is called, what it owes, and which mistakes are known."""
    what = (inspect.getdoc(LAYERS[name].reference) or "").partition("\n\n")[0]
    ids = ", ".join(m.id for m in of_function(name))
    known_mistakes = "\n".join(wrapped(f"Known mistakes, each with an example (reference-cnn explain ID): {ids}."))
    return "\n\n".join([signature(name), what, *map(explain, LAYERS[name].clauses), known_mistakes])


def known(names: str) -> bool:
    """Whether these are ids of mistakes."""
    return all(name in MISTAKES for name in names.split("+"))


def _explained(mistake: Mistake) -> str:
    """Everything the catalogue knows, and an example for the first function for which there is one."""
    what = "a difference of convention" if mistake.kind == "convention" else "an error"
    paragraphs = [
        f"{mistake.id}: {what} in {', '.join(mistake.functions)}",
        mistake.diagnosis,
        f"help: {mistake.remedy}",
        f"Where it hides: {mistake.hides}.",
    ]
    if mistake.seen:
        confirmed = " (✓: confirmed or fixed there)" * any("✓" in s for s in mistake.seen)
        paragraphs.append(f"Seen: {', '.join(mistake.seen)}{confirmed}.")
    paragraphs += [f"Erratum: reference-cnn explain {e}" for e in mistake.errata]
    lines = [line for p in paragraphs for line in wrapped(p)]
    return "\n".join([*lines, "", *example(mistake)]).rstrip()


def example(mistake: Mistake) -> list[str]:
    """The smallest input that shows the mistake, with the wrong answer and the right one."""
    function, way, question = _telling(mistake)
    right = _answer(getattr(reference_cnn, function), function, question)
    wrong = _answer(mistake.wraps[function][way](getattr(reference_cnn, function)), function, question, mistake)
    options = "".join(f", {k}={v!r}" for k, v in question.options.items())
    dtype = next(iter(question.arrays.values())).dtype
    said = [question.note] * bool(question.note) + ["the second of two equal calls"] * mistake.stateful
    call = ", ".join([f"For example, {function}({', '.join(question.arrays)}{options}) in {dtype}", *said])
    lines = [*wrapped(f"{call}:"), ""]
    given = [b for name, a in question.arrays.items() for b in blocks_of(name, a.astype(float))]
    if isinstance(wrong, str) or isinstance(right, str):
        return [*lines, *side_by_side(given), f"Yours raises {wrong}"]
    answers: list[list[str]] = []
    for name, value in right.items():
        if not _equal(value, wrong[name]):
            yours, its = ("", "") if wrong[name].shape == value.shape else (f" {wrong[name].shape}", f" {value.shape}")
            answers += blocks_of(f"your {name}{yours}", wrong[name], _marks(wrong[name], value))
            answers += blocks_of(f"right {name}{its}", value)
    return [*lines, *laid_out(given, answers, LINES)[:-1]]


Telling = tuple[str, int, Question]


def _telling(mistake: Mistake) -> Telling:
    """The first question whose answers differ: in their numbers, else in shape, else by an exception."""
    found: dict[str, Telling] = {}
    for function in mistake.functions:
        for way, wrap in enumerate(mistake.wraps[function]):
            for tried, question in enumerate(questions(mistake.id, function)):
                right = _answer(getattr(reference_cnn, function), function, question)
                wrong = _answer(wrap(getattr(reference_cnn, function)), function, question, mistake)
                found.setdefault(_difference(right, wrong), (function, way, question))
                if "numbers" in found or (tried > PATIENCE and set(found) & {"shape", "exception"}):
                    break
    return next(found[how] for how in ("numbers", "shape", "exception") if how in found)


def _difference(right: dict[str, Array] | str, wrong: dict[str, Array] | str) -> str:
    if isinstance(right, str):
        return "no question"
    if isinstance(wrong, str):
        return "exception"
    if any(a.shape != wrong[name].shape for name, a in right.items()):
        return "shape"
    return "none" if all(_equal(a, wrong[name]) for name, a in right.items()) else "numbers"


def _equal(a: Array, b: Array) -> bool:
    """Whether two arrays print alike: a difference that is not shown explains nothing."""
    marks = _marks(a, b)
    return marks is not None and not marks.any()


def _marks(a: Array, b: Array) -> Array | None:
    """Where two arrays differ, if they have one shape."""
    if a.shape != b.shape:
        return None
    return np.asarray(~np.isclose(a.astype(float), b.astype(float), rtol=1e-5, atol=0, equal_nan=True))


def _answer(
    function: Implementation, name: str, question: Question, mistake: Mistake | None = None
) -> dict[str, Array] | str:
    """The outputs by name, or the exception in words; what a function leaves of its argument counts as an output."""
    arrays = {n: a.copy(order="K") for n, a in question.arrays.items()}
    with np.errstate(all="ignore"):
        try:
            answer = function(*arrays.values(), **question.options)
            if mistake is not None and mistake.stateful:
                answer = function(*arrays.values(), **question.options)
        except (ValueError, TypeError, IndexError) as error:
            return f"{type(error).__name__}: {error}"
    names = OUTPUTS.get(name, ("answer",))
    values = [answer] if len(names) == 1 else unpack(answer, names)
    after = {f"{n} afterwards": a for n, a in arrays.items()}
    return {n: np.asarray(v) for n, v in zip(names, values)} | after
