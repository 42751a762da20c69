"""Structured fuzzing: whatever comes in, nothing goes out but what is documented.

`python tests/fuzz.py --seconds 20 [TARGET ...]` tries random inputs and says how many of each kind; with `--atheris`
they are those that atheris finds by the branches that they reach. A target is a function that draws one input, tries
it, and raises an AssertionError, or lets an exception through, where something undocumented happens; warnings are
errors. An input is its number: `--first N --inputs 1` tries it again.
"""

import argparse
import contextlib
import inspect
import io
import itertools
import json
import random
import re
import sys
import tempfile
import time
import tracemalloc
import unittest
import unittest.mock
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import reference_cnn
from reference_cnn import check_gradient
from reference_cnn.cli import main as command
from reference_cnn.oracle import check, notation, wire
from reference_cnn.oracle.call import Draw
from reference_cnn.oracle.cases import DTYPES, Case, cases
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets import TargetError, UsageError, ask, process, remote
from reference_cnn.oracle.text import failure_text

SPEC = Path(__file__).parents[1] / "spec"
# What a refusal of the layers and of the gradient check looks like [ARR-C1 and the constraints of each layer].
REFUSAL = re.compile(r"\w+: .*\[[A-Z]+-C\d+\]", flags=re.DOTALL)
ODD: tuple[Any, ...] = (
    *(None, "same", "valid", "", b"1", True, False, -1, 0, 1, 2, 3, 1.5, np.nan, np.int8(2), np.array(2), {1: 2}),
    *(np.array(2.0), np.array(True), [np.array(1.5), 1], np.array([[1], [2]]), "é", np.float64(2), np.bool_(True)),
    *((), (1,), (1, 2), (2, 1, 1), ((0, 1), (1, 0)), ((1,),), (None, 1), "12", [1, 1], np.array([1, 2]), np.array([1])),
    *(10**30, -(10**30), ((0, 1), "ab"), [[1, 0], [0, 1]], range(2), (2.0, 1), np.array([[0, 1], [1, 0]]), object),
)
OPTIONS = {
    n: [p.name for p in inspect.signature(layer.reference).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for n, layer in LAYERS.items()
}
KINDS = (*"bBhHiIlLefdgFDG?OSUMm", "bfloat16", "float8_e4m3fn", ">f8", ">i2", ">c16", ">g")


class Target(NamedTuple):
    """What to try, and how to see that it holds for the input that was drawn."""

    name: str
    about: str
    trial: Callable[[Draw], None]


TARGETS: dict[str, Target] = {}


def target(about: str) -> Callable[[Callable[[Draw], None]], Callable[[Draw], None]]:
    """Register a trial under its name."""

    def registered(trial: Callable[[Draw], None]) -> Callable[[Draw], None]:
        TARGETS[trial.__name__] = Target(trial.__name__, about, trial)
        return trial

    return registered


def one_of(draw: Draw, values: Sequence[Any]) -> Any:
    return values[draw(0, len(values) - 1)]


def an_array(draw: Draw, shape: Sequence[int]) -> Any:
    """Small whole numbers, mostly as floats; sometimes of any dtype, layout or shape, or no array at all."""
    kind = draw(0, 19)
    shape = [max(n + draw(-1, 1), 0) for n in shape[: draw(0, len(shape))]] if kind == 0 else list(shape)
    numbers = np.random.default_rng(draw(0, 2**31)).integers(0, 9, shape)
    if kind == 1:
        return one_of(draw, ODD)
    if kind == 2:
        return numbers.tolist()
    if kind == 3:
        return numbers.astype(float).T.copy().T[...]
    if kind < 8:
        return numbers.astype(one_of(draw, KINDS))
    return numbers.astype(one_of(draw, "fd"))


def an_option(draw: Draw, rank: int) -> Any:
    if draw(0, 3) == 0:
        return one_of(draw, ODD)
    return draw(1, 3) if draw(0, 1) else tuple(draw(0, 3) for _ in range(rank))


def attempt(function: Callable[[], Any], *, objects: bool = False) -> tuple[Any, str]:
    """What a function returns, and as what it refuses its arguments: both names and clause have to be there.

    What the elements of an array of objects do is theirs.
    """
    try:
        return function(), ""
    except (TypeError, ValueError) as error:
        if not objects and not REFUSAL.fullmatch(str(error)):
            raise
        return None, str(error)


@target("every function of the layers: arrays of any shape and dtype, any option")
def layers(draw: Draw) -> None:
    """No exception but a refusal that names function and clause, no warning, no memory beyond a multiple."""
    name = one_of(draw, list(LAYERS))
    layer, rank = LAYERS[name], draw(1, 3)
    n, c, f, k = draw(0, 2), draw(1, 4), draw(1, 4), draw(1, 2)
    size = [draw(1, 5) for _ in range(rank)]
    dense = layer.family == "dense"
    out = [n, f] if dense else [n, f if layer.family == "conv" else c, *(max(s - k + 1, 0) for s in size)]
    shapes = {"x": [n, c] if dense else [n, c, *size], "w": [c, f] if dense else [f, c, *[k] * rank], "b": [f]}
    shapes |= {"dz": out, "dy": out, "labels": [n]}
    given = [an_array(draw, shapes.get(a, [n, c])) for a in layer.arguments]
    given += [an_option(draw, rank) for _ in layer.positional]
    keywords = {o: an_option(draw, rank) for o in OPTIONS[name] if draw(0, 2) == 0}
    measured = draw(0, 99) == 0
    if measured:
        tracemalloc.start()
    objects = any(of_objects(a) for a in given)
    answer, refusal = attempt(lambda: layer.reference(*given, **keywords), objects=objects)
    if refusal:
        assert objects or refusal.startswith(f"{name}: "), f"{name}: {refusal}"
    elif measured:
        held = sum(np.asarray(a).nbytes for a in (*given, *(answer if isinstance(answer, tuple) else (answer,))))
        assert tracemalloc.get_traced_memory()[1] <= 2**25 + 64 * held, name
    tracemalloc.stop()


def of_objects(value: Any) -> bool:
    """Whether an argument is, or becomes, an array of objects."""
    try:
        return bool(np.asarray(value).dtype == object)
    except ValueError:
        return False


# A container that is no number may raise what it likes when it is reckoned with.
NUMERIC = [v for v in ODD if v is None or isinstance(v, int) or not of_objects(v)]
THEIRS: tuple[Callable[[Any], Any], ...] = (
    *(lambda z: z > 0, lambda z: [1, 2], lambda z: z * 1j, lambda z: "z", lambda z: None, lambda z: [[1], [1, 2]]),
    *(lambda z: z[:1], lambda z: z.astype("f"), lambda z: z.astype(object), lambda z: z / 0, lambda z: z[:0]),
)


class TheirError(Exception):
    """What the forward under test has raised itself."""


@target("the gradient check: right, wrong and absurd answers of forward and backward")
def gradcheck(draw: Draw) -> None:
    """It comes to a verdict, or refuses in its own name."""
    z = np.arange(draw(0, 3)) + (0.5 if draw(0, 1) else 0)
    if z.size and draw(0, 3) == 0:
        z[0] = one_of(draw, (np.inf, -np.inf, np.nan, 1e300, 5e-324)) if z.dtype.kind == "f" else 10**18
    forward = one_of(draw, (np.square, np.tanh, np.abs, lambda z: z.sum(), np.sqrt, np.cbrt, *THEIRS))
    answers = (*NUMERIC, z, 2 * z, z[:1], z.astype(complex), [z], [z, z], {"dz": z}, {"dw": z}, {"dx": z, "dz": None})
    answer = one_of(draw, answers)
    arguments = [z if draw(0, 4) else one_of(draw, NUMERIC)]
    dz = None if draw(0, 3) else one_of(draw, NUMERIC)

    def asked(*given: Any) -> Any:
        try:
            return forward(*given)
        except Exception as error:
            raise TheirError from error

    with contextlib.suppress(TheirError):
        found, refusal = attempt(lambda: check_gradient(asked, lambda dz, z: answer, arguments, dz=dz))
        assert refusal.startswith("check_gradient: ") or found, refusal
        assert refusal or (str(found) and found.verdict in ("right", "wrong", "unclear"))


def mutated(draw: Draw, text: str, words: Sequence[str]) -> str:
    """Cut, double, swap and replace parts of a text; put in what matters to its grammar."""
    for _ in range(draw(0, 4)):
        at, length = draw(0, len(text)), draw(0, 6)
        new = (one_of(draw, words), text[at : at + 2 * length], chr(draw(0, 0x2FF)), "")[draw(0, 3)]
        text = text[:at] + new + text[at + length :]
    return text


CALLS = (
    *("x=3x2x6x5 w=2x2x2x2 stride=3,4 padding=same", "x=2x1x5 window=2, padding=1:0, nan=x", "z=2x3 scale=1e3"),
    *("x=3x4 w=4x2 b=2", "a=2x3", "o=1x1 ties=x", "x=2x4x5x6 w=2x2x2x2 groups=2 dilation=1,2 padding=1:0,1:1"),
)
WORDS = (*"x=,: 09_", "-1", "x=", "window=", "nan=", "inf=z", "ties=", "scale=", "same", "True")


@target("the notation of a case")
def case_notation(draw: Draw) -> None:
    """A call that is written as it was read, or a UsageError."""
    try:
        call = notation.read(mutated(draw, one_of(draw, CALLS), WORDS))
    except UsageError:
        return
    assert notation.read(notation.write(call)) == call


@target("one question in that notation, asked of the reference")
def case_question(draw: Draw) -> None:
    """The reference passes whatever can be asked."""
    text = mutated(draw, one_of(draw, CALLS), WORDS)
    if re.search(r"\d{3}|[^\x00-\x7f]", text):
        return  # nobody asks about a thousand pixels here
    function = one_of(draw, list(LAYERS))
    try:
        report = check(reference_cnn, functions=[function], case=text, dtype=one_of(draw, DTYPES), profile="quick")
    except UsageError:
        return
    # A case that no wrong answer could fail does not count, and so nothing is left to judge.
    assert report.passed or report.results[function].verdict == "missing", text


ARGUMENTS = (
    *("check", "explain", "init", "vectors", "CONV-F1", "flipped-kernel", "loops", "x.py", "x.c", "relu", "float16"),
    *("--version", "--help", "-h", "--only", "--dtype", "--case", "--seed", "--rank", "--timeout", "--memory"),
    *("--accept", "--json", "--html", "--junit", "--profile", "--in-process", "--strict", "--exit-zero", "--layout"),
    *(
        "z=1x1",
        "-1",
        "0",
        "1",
        "1e-9",
        "nan",
        "quick",
        "reference",
        "no.such",
        "",
        "/",
        "\x00",
        "exec:",
        "exec:'",
        "\ud800",
    ),
)


@target("the command line")
def command_line(draw: Draw) -> None:
    """Exit status 0, 1 or 2, and a line that says why."""
    words = [one_of(draw, ("check", "explain", "init", "vectors", "train"))]
    words += [one_of(draw, ARGUMENTS) if draw(0, 9) else mutated(draw, "z=1x1", WORDS) for _ in range(draw(0, 5))]
    if words[0] == "vectors" and len(words) > 1 and draw(0, 99):
        words = words[:1]  # a second of work
    if words[0] == "train":
        words.append("--no-such-option")
    if words[0] == "check":
        # In this process, about one function and one question.
        words += ["--in-process", "--only", "relu", "--case", "z=1x1"]
    told, said = io.StringIO(), io.StringIO()
    silent = contextlib.ExitStack()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), silent:
        silent.enter_context(contextlib.redirect_stdout(told))
        silent.enter_context(contextlib.redirect_stderr(said))
        try:
            status: Any = command(words)
        except SystemExit as end:
            status = end.code
    assert status in (0, 1, 2), (words, status)
    assert status != 2 or said.getvalue(), words


LINES = (
    '{"id": 1, "outputs": {"a": {"dtype": "float64", "shape": [1, 3], "data": [0.5, "NaN", -2]}}}',
    '{"id": 1, "outputs": {"a": {"dtype": "float64", "shape": [1, 3], "bytes": 24}}}',
    '{"id": 1, "outputs": {"a": {"dtype": "int8", "shape": [], "data": [7]}}, "arguments": {"z": 5}}',
    '{"id": 1, "outputs": {"a": {"dtype": "bool", "shape": [0, 3], "file": "FOLDER/a"}}}',
    '{"id": 1, "error": "no", "kind": "refused"}',
    '{"id": 0, "protocol": 1, "functions": {"sigmoid": ["b", null]}, "arrays": "files"}',
)
TOKENS = (
    *(
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        '"',
        "\n",
        "null",
        "true",
        "1e999",
        "-0",
        "9" * 20,
        "9" * 5000,
        "[" * 400,
        "\\ud800",
    ),
    *('"dtype"', '"complex128"', '"longdouble"', '"bfloat16"', '"shape"', '"data"', '"file"', '"bytes"', '"arrays"'),
    *("NaN", '"NaN"', "\\u0000", '"frames"', '"id"', '"outputs"', '"arguments"', '"error"', '"kind"', "FOLDER"),
    *(
        "[1, 3]",
        f"[{'1, ' * 99}1]",
        f"[0, {'9' * 30}]",
        f"[{'9' * 4000}]",
        f"[{'9' * 9}]",
        f"{'9' * 4000}, {'9' * 4000}",
    ),
)


def a_line(draw: Draw) -> str:
    return mutated(draw, one_of(draw, LINES), TOKENS)


@target("arrays and lines of the wire format")
def wire_format(draw: Draw) -> None:
    """An array that is written as it was read, or a WireError of one printable line."""
    line, raw = a_line(draw).encode("utf-8", "surrogatepass"), bytes(draw(0, 48))
    try:
        message = wire.parse(line)
        outputs = message.get("outputs")
        value = outputs.get("a") if isinstance(outputs, dict) else outputs
        array = wire.from_bytes(value, raw) if draw(0, 3) == 0 else wire.from_numbers(value)
        told = ""
    except wire.WireError as error:
        told = str(error)
    assert not told or (told.isprintable() and len(told) < 10**4), told
    if not told and array.dtype.kind != "c":
        again = wire.from_numbers(json.loads(wire.line(wire.as_numbers(array))))
        assert array.dtype == again.dtype
        assert array.shape == again.shape


class Pretended:
    """A channel out of which whatever was drawn comes."""

    pid = 0

    def __init__(self, draw: Draw, folder: str) -> None:
        self._draw, self._folder = draw, folder

    def write(self, data: bytes, deadline: object) -> None:
        assert data

    def read_line(self, deadline: object) -> bytes:
        return a_line(self._draw).replace("FOLDER", self._folder).encode("utf-8", "surrogatepass")

    def read(self, count: int, deadline: object) -> bytes:
        if count > 10**6:
            raise ask.UnansweredError("malformed", "an array of too many bytes")
        return bytes(count)

    def close(self) -> None: ...

    kill = close


@target("greetings and answers of a program")
def answers(draw: Draw) -> None:
    """A greeting is taken or refused with a TargetError; an answer becomes one, or an UnansweredError."""
    program = process.Program(["-"])
    with tempfile.TemporaryDirectory() as folder:
        pretended: Any = Pretended(draw, folder)
        if draw(0, 1):
            try:
                greeting = program._exchange(pretended, {"ask": "hello"}, 9)
                program._settle(greeting)
                program._folder = folder if program._form == "files" else None
                remote._offered("-", greeting)
            except (TargetError, ask.UnansweredError):
                program.stop()
                return
        program._channel, program._number = pretended, 1
        keywords: Any = one_of(draw, (None, [], ["stride", "", "class", "\ud800", "stride"]))
        function = remote.Remote(program, one_of(draw, ("sigmoid", "conv_backward")), keywords)
        if draw(0, 1):
            reply = function.reply([np.ones((1, 3))], {})
            assert reply.answer.finding is not None
            if reply.answer.outcome == "answered" and program._channel:
                function.recall(reply)
        else:
            ask.call(function, "sigmoid", [np.ones((1, 3))], {})
        program.stop()


FILE = (SPEC / "vectors" / "relu.json").read_text(encoding="utf-8")
# Strings, numbers and all else, one by one.
PARTS = re.findall(r'"[^"]*"|[\w.+-]+|.', FILE, flags=re.DOTALL)
MARKS = (*TOKENS, "[" * 10**5, "0", "2", '"format"', '"cases"', '"dtypes"', '"valid"', '"relu"', '"softmax"')


@target("files of test vectors, in the reader that spec/vectors.md prints")
def vector_file(draw: Draw) -> None:
    """Nothing but a file of format 1 passes; what is none is named."""
    words = list(PARTS)
    for _ in range(draw(0, 3)):
        # Two in three of them near the beginning, where the format is.
        at = draw(0, min(len(words) - 1, one_of(draw, (9, 99, 10**9))))
        words[at : at + draw(0, 2)] = [one_of(draw, (*MARKS, *words[:20]))]
    text = "".join(words).encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("vectors").mkdir()
        Path("vectors/relu.json").write_bytes(text)
        found = unittest.TestResult()
        READER["Vectors"]("test_vectors").run(found)
    assert found.testsRun == 1
    try:
        whole = json.loads(text)["format"] == 1
    except (ValueError, LookupError, TypeError, RecursionError):
        whole = False
    if not whole:
        ((_, said),) = found.errors
        assert "vectors/relu.json cannot be read: " in said, said


def reader() -> dict[str, Any]:
    """The reader, with the reference for the functions that it is to judge."""
    found = re.search(r"^<!-- reader: read_vectors.py -->\n```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found
    names: dict[str, Any] = {"__name__": "read_vectors"}
    with unittest.mock.patch.dict(sys.modules, {"layers": reference_cnn}):
        exec(found[1], names)
    return names


PAGE = (SPEC / "vectors.md").read_text(encoding="utf-8")
READER = reader()

WILD = (np.nan, np.inf, -np.inf, 1e308, -0.0, 5e-324, np.longdouble("1e4000"))
NUMBERS = "bBhHiIlLefdgO?"
QUESTIONS = [c for name in LAYERS for c in cases(name, profile="quick")[::5]]


@target("the judge and its words: whatever a function returns")
def judged(draw: Draw) -> None:
    """Every answer is right, wrong or noted, and what is wrong can be said."""
    case: Case = one_of(draw, QUESTIONS)
    right = [e.value for e in case.expected.values()]
    parts: list[Any] = []
    for value in right:
        numbers = np.array(value)
        with np.errstate(all="ignore"):
            for _ in range(draw(0, 2) if numbers.size else 0):
                numbers[tuple(draw(0, s - 1) for s in numbers.shape)] = one_of(draw, WILD)
            kinds = (numbers, numbers.T, numbers[None], numbers[:1] if numbers.ndim else numbers, numbers.tolist())
            parts.append(one_of(draw, (*kinds, numbers.astype(one_of(draw, NUMBERS)), one_of(draw, ODD))))
    result = one_of(draw, (tuple(parts), parts, parts[0], dict(zip(case.expected, parts)), None))
    failure = judge(case, ask.read(result, case.function, draw(0, 4)), strict=draw(0, 1) == 1).failure
    if failure:
        assert failure_text(failure)


def fuzz(name: str, first: int, inputs: int, seconds: float = float("inf")) -> int:
    """Try so many inputs, or as many as there is time for; return how many. What goes wrong names its input."""
    end = time.monotonic() + seconds
    trial = TARGETS[name].trial
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in itertools.count(first):
            if number - first >= inputs or time.monotonic() > end:
                return number - first
            try:
                trial(random.Random(number).randint)
            except Exception as error:
                error.add_note(f"again: python tests/fuzz.py {name} --first {number} --inputs 1")
                raise
    raise AssertionError


def by_coverage(name: str, seconds: float) -> None:
    """Let atheris choose the inputs; it ends the process."""
    import atheris  # noqa: PLC0415  # not for every Python

    def one(data: bytes) -> None:
        provider = atheris.FuzzedDataProvider(data)
        TARGETS[name].trial(provider.ConsumeIntInRange)

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}", "-max_len=4096"], one)
    atheris.Fuzz()


def main() -> None:
    """Fuzz the targets that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", choices=[*TARGETS, []], help=f"of {', '.join(TARGETS)}; without one all"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--inputs", type=int, default=10**9, help="how many of each target at most")
    parser.add_argument("--seconds", type=float, default=20, help="time for each target")
    parser.add_argument("--atheris", action="store_true", help="inputs chosen by coverage; one target")
    options = parser.parse_args()
    if options.atheris:
        (name,) = options.targets
        by_coverage(name, options.seconds)
    for name in options.targets or TARGETS:
        begun = time.monotonic()
        count = fuzz(name, options.first, options.inputs, options.seconds)
        print(f"{name}: {count} inputs in {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
