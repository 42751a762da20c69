"""The protocol: what crosses is what was meant, and whatever a program does instead of answering is a finding."""

import fcntl
import inspect
import json
import os
import re
import stat
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from strategies import Array

from reference_cnn.oracle import Failure, TargetError, check, wire
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets import channel, process, remote
from reference_cnn.oracle.targets.ask import UnansweredError
from reference_cnn.oracle.targets.process import Program
from reference_cnn.oracle.words import explanation

SPEC = (Path(__file__).parents[1] / "spec" / "protocol.md").read_text(encoding="utf-8")
# Without site-packages, so that it starts at once.
PYTHON = f"exec:{sys.executable} -S -E"
QUESTION = "z=1x3"

# A right sigmoid in plain Python, until the lines that are put in its middle.
PROGRAM = """
import json, math, os, subprocess, sys, time

def say(message):
    print(json.dumps(message), flush=True)

for line in sys.stdin:
    request = json.loads(line)
    n = request["id"]
    if request["ask"] == "hello":
        say({"id": n, "protocol": 1, "functions": {"sigmoid": []}})
        continue
    z = request["arguments"]["z"]
    numbers = [float(v) for v in z["data"]]
    right = [math.exp(min(v, 0)) / (1 + math.exp(-abs(v))) for v in numbers]
    a = {**z, "data": ["NaN" if v != v else r for v, r in zip(numbers, right)]}
{lines}
    say({"id": n, "outputs": {"a": a}})
"""
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a program and return the target that runs it."""

    def written(lines: str = "", program: str = PROGRAM) -> str:
        path = tmp_path / "program.py"
        path.write_text(program.replace("{lines}", textwrap.indent(lines, "    ")))
        return f"{PYTHON} {path}"

    return written


def failure_of(target: str, **options: Any) -> Failure:
    """What `check` says of one question; a time limit that a right answer easily meets."""
    failure = (
        check(target, functions=["sigmoid"], case=QUESTION, **({"timeout": 5} | options)).results["sigmoid"].failure
    )
    assert failure is not None
    return failure


def same(a: Array, b: Array) -> bool:
    """Whether two arrays are equal in all: dtype, shape and values, NaN too."""
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind in "fcV")


@st.composite
def anything(draw: st.DrawFn) -> Array:
    """Arrays of every dtype that crosses as numbers, with all that a float can be."""
    name = draw(st.sampled_from([n for n, d in wire.DTYPES.items() if d.kind in "iubf" and d.itemsize <= 8]))
    return draw(arrays(wire.DTYPES[name], array_shapes(min_dims=0, min_side=0, max_side=3)))


@pytest.mark.spec("PROTO-D5")
@given(anything())
def test_numbers_are_read_back_exactly(array: Array) -> None:
    line = wire.line({"array": wire.as_numbers(array)})
    assert line.count(b"\n") == 1
    assert same(wire.from_numbers(wire.parse(line)["array"]), array)


@pytest.mark.spec("PROTO-D5")
def test_sixteen_bits_are_numbers() -> None:
    for name in ("float16", "bfloat16"):
        array = np.array([1 / 3, 6e-8, -0.0, np.nan, np.inf, -np.inf]).astype(wire.DTYPES[name])
        plain = wire.as_numbers(array)
        assert plain["dtype"] == name
        assert plain["data"][3:] == ["NaN", "Infinity", "-Infinity"]
        assert same(wire.from_numbers(json.loads(json.dumps(plain))), array)


@pytest.mark.spec("PROTO-D5")
@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_numbers_are_rounded_to_the_dtype(name: str) -> None:
    data = [0.1, -1e39, 1 + 2**-30]
    with np.errstate(over="ignore"):
        rounded = np.array(data).astype(wire.DTYPES[name])
    assert np.isneginf(rounded[1])
    assert same(wire.from_numbers({"dtype": name, "shape": [3], "data": data}), rounded)


@pytest.mark.spec("PROTO-D3", "PROTO-D4")
def test_the_table_has_every_function() -> None:
    rows = re.findall(r"^\| (`.*`) \| (.*?) \| (.*?) ?\| (.*) \|$", SPEC, flags=re.MULTILINE)
    found = {name: row[1:] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    words = {"None": "(the window)", "False": "false"}
    for name, layer in LAYERS.items():
        arguments = ", ".join(layer.arguments + layer.positional)
        parameters = inspect.signature(layer.reference).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
        keywords = ", ".join(f"{k} {words.get(str(v), v)}" for k, v in defaults.items())
        assert found.pop(name) == (arguments, keywords, ", ".join(layer.outputs))
    assert not found


@pytest.mark.spec("PROTO-D6")
@given(anything())
def test_bytes_are_read_back_exactly(array: Array) -> None:
    raw = wire.as_bytes(array)
    assert len(raw) == wire.byte_count(wire.header(array))
    assert same(wire.from_bytes(wire.header(array), raw), array)
    assert wire.as_bytes(np.array([[1, 2], [3, 4]], np.int16).T) == bytes([1, 0, 3, 0, 2, 0, 4, 0])


@pytest.mark.spec("PROTO-D1", "PROTO-D2", "PROTO-D3", "PROTO-D4")
def test_the_program_of_the_specification_passes(write: Write) -> None:
    program = re.findall(r"<!-- program -->\n```python\n(.*?)```", SPEC, flags=re.DOTALL)[0]
    assert program.count("\n") < 50
    report = check(write(program=program))
    assert report.passed, f"\n{report}"
    assert [n for n, r in report.results.items() if r.verdict == "pass"] == ["dense_forward"]
    narrow = check(write(program=program), dtype="float32")
    assert narrow.results["dense_forward"].verdict == "missing"
    assert narrow.results["dense_forward"].not_offered == ("any call",)


# What the program does before its right answer: the kind of the finding, and how its message begins.
MISBEHAVIOUR = {
    "says something first": ("print('loading', chr(27), flush=True)", "dtype", "it returns 'loading �', which is not"),
    "answers twice": (
        "say({'id': n - 1, 'outputs': {'a': a}})",
        "dtype",
        "it returns an answer with id 0 to request 1",
    ),
    "an id of another type": ("n = True", "dtype", "it returns an answer with id true to request 1"),
    "a list": ("say([n])", "dtype", "it returns '[1]', which is not a JSON object"),
    "bare NaN": ("a['data'][0] = float('nan')", "dtype", 'it returns \'{"id": 1, '),
    "a name twice": (
        'print(\'{"id": 1, "id": 1}\', flush=True)',
        "dtype",
        'it returns \'{"id": 1, "id": 1}\', which is not',
    ),
    "UTF-16": ("os.write(1, '{}'.encode('utf-16') + b'\\n')", "dtype", "it returns '��{�}�', which is not JSON"),
    "brackets for ever": ("print('[' * 10**6, flush=True)", "dtype", "it returns '[[["),
    "not UTF-8": ("os.write(1, bytes([255, 10]))", "dtype", "it returns '�', which is not JSON"),
    "half a line": (
        "os.write(1, b'{\"id\"'); sys.exit()",
        "crash",
        "it ends with exit status 0 in the middle of a line",
    ),
    "ends": ("sys.exit('no ' + chr(10) + chr(27))", "crash", "it ends with exit status 1; its last words: no / �"),
    "aborts": ("os.abort()", "crash", "it dies of SIGABRT"),
    "closes its output": ("os.close(1); time.sleep(99)", "crash", "it closes its standard input or output"),
    "no outputs": ("say({'id': n})", "dtype", "it returns neither an error nor outputs a"),
    "null": ("a = None", "dtype", "it returns neither an error nor outputs a"),
    "a number": ("a = 5", "dtype", "it returns a with 5, which is no array"),
    "an unknown kind of error": (
        "say({'id': n, 'error': 'x', 'kind': 'bad'})",
        "dtype",
        'it returns an error of kind "b',
    ),
    "an error": ("say({'id': n, 'error': 'x\\033', 'kind': 'failed'})", "exception", "it raises x�"),
    "another shape": ("a['shape'] = [3]", "shape", "a has shape (3,), expected (1, 3)"),
    "a shape of floats": ("a['shape'] = [1, 3.0]", "dtype", "it returns a with shape [1, 3.0], which is no list"),
    "a vast shape": ("a['shape'] = [10**9] * 9", "dtype", "it returns a with 3 data, which do not fill shape (100"),
    "no data": ("del a['data']", "dtype", "it returns a with no list of data but null"),
    "data missing": ("a['data'].pop()", "dtype", "it returns a with 2 data, which do not fill shape (1, 3)"),
    "nested data": ("a['data'] = [a['data']] * 3", "dtype", "it returns a with data[0] = [0."),
    "null for NaN": ("a['data'][1] = None", "dtype", "it returns a with data[1] = null in an array of float64"),
    "text": ("a['data'][2] = '1.5'", "dtype", 'it returns a with data[2] = "1.5" in an array of float64'),
    "a number too large": ("a['data'][0] = 10**400", "dtype", "it returns a with data that do not fit float64"),
    "no dtype": ("del a['dtype']", "dtype", "it returns a with dtype null, which is none of float64, "),
    "C's dtype": ("a['dtype'] = 'double'", "dtype", 'it returns a with dtype "double", which is none of float64, '),
    "halves as integers": ("a['dtype'] = 'int64'", "dtype", "it returns a with data[0] = 0."),
    "too few bytes": (
        "a = {'dtype': 'float64', 'shape': [3], 'bytes': 3}",
        "dtype",
        "it returns an array of 3 bytes, which should have 24",
    ),
    "a file": ("a['file'] = '/etc/hostname'", "dtype", "it returns a with a file '/etc/hostname', which is not in the"),
    "NaN": ("a['data'][0] = 'NaN'", "values", "a is wrong"),
}


@pytest.mark.spec("PROTO-C1", "PROTO-C3", "PROTO-C4", "PROTO-D4")
@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_whatever_a_program_does_instead_is_a_finding(name: str, write: Write) -> None:
    lines, kind, message = MISBEHAVIOUR[name]
    failure = failure_of(write(lines))
    assert failure.message.startswith(message), failure.message
    assert failure.kind == kind
    assert failure.message.isprintable()


@pytest.mark.spec("PROTO-C2", "PROTO-D1")
@pytest.mark.parametrize(
    ("lines", "more"),
    [
        ("time.sleep(99)", ""),
        ("while True: print('x' * 10**5, file=sys.stderr)", "; its last words: xx"),
        ("print('{\"id\": 1', end='', flush=True); time.sleep(99)", ": 8 bytes, but no line feed"),
    ],
)
def test_a_program_that_does_not_answer_is_ended(lines: str, more: str, write: Write) -> None:
    failure = failure_of(write(lines), timeout=0.5)
    assert failure.kind == "hang"
    assert failure.message.startswith(f"it does not answer within 0.5 s{more}")
    assert "a program of another language by hand [PROTO-D1]. Flush its output" in " ".join(explanation(failure))


@pytest.mark.spec("PROTO-C1")
def test_a_flood_is_cut_off(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LONGEST", 10**6)
    monkeypatch.setattr(channel, "LARGEST", 10**6)
    failure = failure_of(write("while True: print('x' * 10**5, end='')"))
    assert failure.message == "it returns more than 1000000 bytes without a line feed"
    failure = failure_of(write("a = {'dtype': 'float64', 'shape': [10**6], 'bytes': 8 * 10**6}"))
    assert failure.message == "it returns an array of more than 1000000 bytes"


def free(lock: Path) -> bool:
    """Whether nobody holds the lock; if somebody does, wait a little."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
            return False
    return True


@pytest.mark.spec("PROTO-C3", "PROTO-C2")
def test_what_it_has_started_ends_with_it(write: Write, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    child = f"import fcntl, time; f = open({str(lock)!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True)"
    child += "; time.sleep(99)"
    lines = f"p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); p.stdout.readline()"
    for end in ("os._exit(0)", "time.sleep(99)", ""):
        check(write(f"{lines}; {end}"), case=QUESTION, timeout=0.5)
        assert any(free(lock) for _ in range(500))  # it was killed, but is nobody's to wait for


@pytest.mark.spec("PROTO-C3")
def test_a_program_that_dies_is_started_again(write: Write) -> None:
    lines = "if len(z['shape']) == 1 and z['shape'][0] > 1000 and all(map(math.isfinite, numbers)): os.abort()"
    # Every start begins with request 0, so that a greeting may be written out.
    program = PROGRAM.replace('say({"id": n, "protocol"', 'say({"id": 0, "protocol"')
    result = check(write(lines, program)).results["sigmoid"]
    assert result.failure is not None
    assert (result.verdict, result.failure.kind, result.failed, result.unasked) == ("fail", "crash", 2, 0)
    assert result.cases > 20


@pytest.mark.spec("PROTO-C3", "ORC-D6")
def test_a_crash_is_not_made_smaller(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "IN_A_ROW", 99)
    monkeypatch.setattr(remote, "IN_ALL", 99)
    log = tmp_path / "log"
    program = f"open({str(log)!r}, 'a').write('started, ')\n" + PROGRAM
    result = check(write("if len(z['data']) > 20: os.abort()", program)).results["sigmoid"]
    assert result.failed > 5
    # Once at first and once after each death, unless nothing was asked after the last.
    assert result.failed <= log.read_text().count("started, ") <= result.failed + 1


@pytest.mark.spec("PROTO-C3", "ORC-D7")
def test_a_program_that_dies_again_and_again_is_asked_no_more(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    report = check(write("os.abort()"))
    result = report.results["sigmoid"]
    assert (result.verdict, result.failed, result.cases) == ("fail", 3, 3)
    assert result.unasked > 15
    assert f"sigmoid: wrong in 3 of 3 cases; {result.unasked} more were not asked" in str(report)
    assert json.loads(report.to_json())["results"]["sigmoid"]["unasked"] == result.unasked
    monkeypatch.setattr(remote, "IN_ALL", 5)
    lame = write("if n == 2: os.abort()")  # never twice in a row: an answer, a death, a new start, an answer …
    assert check(lame).results["sigmoid"].failed == 5


@pytest.mark.spec("PROTO-D2", "PROTO-C3")
@pytest.mark.parametrize(
    ("greeting", "message"),
    [
        ("os.abort()", "cannot be asked: it dies of SIGABRT"),
        ("sys.exit('not today')", "cannot be asked: it ends with exit status 1; its last words: not today"),
        ("print('hello', flush=True)", "cannot be asked: it returns 'hello', which is not JSON"),
        ("say({'id': n, 'error': None})", "greets with error null"),
        ("say({'id': n, 'protocol': 2, 'functions': {'sigmoid': []}})", "it returns protocol 2 where 1 is spoken"),
        ("say({'id': n, 'protocol': 1, 'functions': {'sigmoid': []}, 'arrays': 'x'})", 'it returns arrays "x" where'),
        ("say({'id': n, 'protocol': 1})", 'greets without "functions"'),
        ("say({'id': n, 'protocol': 1, 'functions': {'sigmoid': 'stride'}})", 'greets without "functions"'),
        ("say({'id': n, 'protocol': 1, 'functions': {'sin': []}})", "offers none of the functions conv_forward"),
        ("say({'id': n, 'error': 'no' + chr(10) + chr(27) + 'GPU', 'kind': 'failed'})", "no �GPU"),
    ],
)
def test_a_program_that_cannot_be_asked(greeting: str, message: str, write: Write) -> None:
    target = write(program=PROGRAM.replace("    if request", f"    {greeting}\n    if request"))
    with pytest.raises(TargetError, match=re.escape(message)):
        check(target)


@pytest.mark.spec("PROTO-C3")
def test_what_a_program_has_written_before_it_ended_is_quoted() -> None:
    program = channel.Channel([sys.executable, "-S", "-E", "-c", "print('usage: x')"])
    os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)  # nobody reads what is written to it now
    with pytest.raises(UnansweredError, match="it ends with exit status 0, having written 'usage: x'"):
        program.write(b"{}\n", channel.Deadline.after(5))
    program.kill()


@pytest.mark.spec("PROTO-C3")
def test_a_program_that_stops_listening(write: Write) -> None:
    deaf = PROGRAM.replace("        continue", "        time.sleep(99)")
    target = write(program=deaf.replace("        say", "        os.close(0); say"))
    assert failure_of(target).message == "it closes its standard input or output"


@pytest.mark.spec("PROTO-D2")
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("exec:", 'exec: names no program; write "exec:./program arguments"'),
        ("exec:./absent", "exec:./absent cannot be started (No such file or directory)"),
        ("exec:'", "exec:' cannot be read as a command (No closing quotation)"),
    ],
)
def test_no_program(target: str, message: str) -> None:
    with pytest.raises(TargetError, match=re.escape(message)):
        check(target)


@pytest.mark.spec("PROTO-D2")
def test_keywords_that_are_none(write: Write) -> None:
    odd = '"sigmoid": ["x", "x", "class", "arguments", "keywords", "a b", ""]'
    assert check(write(program=PROGRAM.replace('"sigmoid": []', odd).replace("{lines}", "")), case=QUESTION).passed


@pytest.mark.spec("PROTO-C2")
def test_a_program_that_never_greets(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START", 0.3)
    with pytest.raises(TargetError, match=r"cannot be asked: it does not answer within 0\.3 s"):
        check(write(program="import time; time.sleep(99)"))


@pytest.mark.spec("PROTO-D2", "PROTO-D3")
def test_a_keyword_is_sent_only_where_it_is_offered(write: Write) -> None:
    picky = PROGRAM.replace('"sigmoid": []', '"conv_forward": ["stride"]').partition("    z = ")[0]
    picky += """
    assert set(request["keywords"]) <= {"stride"}
    say({"id": n, "error": "", "kind": "not implemented"})
"""
    assert check(write(program=picky)).results["conv_forward"].verdict == "missing"


# Numbers by the module `array`; large ones through files both ways.
FILES = """
import array, json, math, os, sys

def say(message):
    print(json.dumps(message), flush=True)

for line in sys.stdin:
    request = json.loads(line)
    if request["ask"] == "hello":
        say({"id": request["id"], "protocol": 1, "functions": {"sigmoid": []}, "arrays": "files"})
        continue
    z = request["arguments"]["z"]
    numbers = array.array("d", z["data"] if "data" in z else open(z["file"], "rb").read())
    assert ("file" in z) == (len(numbers) > 16384) and os.listdir(request["folder"]) == ["z"] * ("file" in z)
    path = os.path.join(request["folder"], "answer")
    with open(path, "wb") as file:
        file.write(array.array("d", [1 / (1 + math.exp(-v)) for v in numbers]).tobytes())
{lines}
    say({"id": request["id"], "outputs": {"a": {"dtype": z["dtype"], "shape": z["shape"], "file": path}}})
"""


@pytest.mark.spec("PROTO-D6", "PROTO-C4")
def test_files(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = tmp_path / "folders"
    folders.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folders))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").touch()
    answer = "[1 / (1 + math.exp(-v)) for v in numbers]"
    plain = f"say({{'id': request['id'], 'outputs': {{'a': {{**z, 'data': {answer}}}}}}}); continue"
    gone = "os.remove(path); os.rmdir(request['folder'])"
    for question in ("z=1x3", "z=100x200"):
        assert check(write(program=FILES), case=question).passed
    for lines, message in {
        "os.truncate(path, 7)": "a with 7 bytes, which do not fill shape (1, 3) of float64",
        "os.truncate(path, 10**9)": "a with 25 bytes, which do not fill shape (1, 3)",
        "os.remove(path)": "a with a file that cannot be read",
        "os.remove(path); os.mkdir(path)": "a with a file that cannot be read",
        "path = '/dev/zero'": "a with a file '/dev/zero', which is not in the folder of the request",
        "os.abort()": "it dies of SIGABRT",
        f"{gone}; os.symlink({str(mine)!r}, request['folder']); {plain}": "folder can no longer be used (it is a link)",
        f"{gone}; open(request['folder'], 'w'); {plain}": "its folder can no longer be used (Not a directory)",
        f"{gone}; {plain}": "its folder can no longer be used (No such file or directory)",
    }.items():
        assert message in failure_of(write(lines, FILES)).message
    assert list(folders.iterdir()) == []
    assert list(mine.iterdir()) == [mine / "precious"]


@pytest.mark.spec("PROTO-D6")
def test_the_folder_is_private_and_removed(write: Write, tmp_path: Path) -> None:
    program = Program([sys.executable, write(program=FILES).split()[-1]])
    program.start()
    for _ in range(2):  # the second time it would see what is left of the first
        answer = program.ask("sigmoid", arguments={"z": np.zeros((100, 200))}, keywords={})
    folder = Path(answer["outputs"]["a"]["file"]).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (program.read(answer["outputs"]["a"]) == 0.5).all()
    program.close()
    assert not folder.exists()
