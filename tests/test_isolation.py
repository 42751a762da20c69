"""Isolation: what a target does in its process is a finding of one case, and never changes the verdict on another."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from strategies import Array

from reference_cnn import dense_forward, sigmoid
from reference_cnn.cli import main
from reference_cnn.oracle import TargetError, check
from reference_cnn.oracle.again import SHARES, VARIES
from reference_cnn.oracle.purity import KEEPS
from reference_cnn.oracle.targets import UsageError
from reference_cnn.oracle.targets.ask import Answer
from reference_cnn.oracle.targets.remote import reach
from reference_cnn.oracle.targets.respond import Reply, respondent

# Everything is right but what is put into sigmoid_prime.
TARGET = """
import ctypes, fractions, os, signal, subprocess, sys, threading, time
import numpy as np
import reference_cnn
from reference_cnn import dense_forward, sigmoid

def right(z):
    return reference_cnn.sigmoid_prime(z)

def sigmoid_prime(z):
    {lines}
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(lines: str, *, before: str = "") -> str:
    Path("mine.py").write_text(before + TARGET.replace("{lines}", lines))
    return "mine.py"


WRONG = {
    "a segmentation fault": ("ctypes.string_at(0)", "crash", "it dies of SIGSEGV"),
    "an exit": ("os._exit(3)", "crash", "it ends with exit status 3"),
    "a signal": (
        "print('farewell'); sys.stdout.flush(); os.kill(0, 9)",
        "crash",
        "it dies of SIGKILL; its last words: farewell",
    ),
    "an endless loop": ("while True: pass", "hang", "it does not answer within 1.5 s"),
    "sleep with a lock": ("threading.Lock().acquire(); time.sleep(99)", "hang", "it does not answer within 1.5 s"),
    "an exit that can be caught": ("sys.exit(0)", "exception", "it raises SystemExit: 0"),
    "an interrupt": ("raise KeyboardInterrupt", "exception", "it raises KeyboardInterrupt"),
    "endless recursion": ("return sigmoid_prime(z)", "exception", "it raises RecursionError"),
    "all pipes closed": ("os.closerange(0, 99)", "crash", "it ends with exit status"),
    "memory": ("return np.ones(2**40)", "exception", "it raises"),
    "memory, bit by bit": (
        "return sum([bytearray(2**20) for _ in range(2**20)], 0)",
        "exception",
        "it raises MemoryError",
    ),
    "an array that is equal to all": (
        "return type('Equal', (np.ndarray,), {n: lambda *a: True for n in ('__eq__', '__ne__', '__sub__')})((1,))",
        "shape",
        "a_prime has shape (1,)",
    ),
    "a text": ("return 'right'", "dtype", "it returns a_prime as str, expected an array of numbers"),
    "an object that raises when it is read": (
        "return type('Odd', (), {'__array__': lambda *a: 1 / 0})()",
        "dtype",
        "it returns a_prime as Odd, expected an array of numbers",
    ),
    "complex": ("return right(z) + 0j", "dtype", "a_prime is complex: complex128"),
    "float32": ("return right(z.astype(np.float32))", "values", "a_prime is wrong"),
}


@pytest.mark.spec("PROTO-D8", "PROTO-C2", "PROTO-C3")
@pytest.mark.parametrize("name", WRONG)
def test_whatever_a_target_does_is_a_finding_and_the_check_goes_on(name: str) -> None:
    lines, kind, message = WRONG[name]
    report = check(
        write(lines),
        functions=["sigmoid_prime", "sigmoid"],
        case="z=3x2",
        timeout=1.5 if kind == "hang" else 30,
        memory=2**29 if "memory" in name else None,
    )
    failure = report.results["sigmoid_prime"].failure
    assert failure is not None
    assert failure.message.startswith(message), failure.message
    assert failure.kind == kind
    assert report.results["sigmoid"].verdict == "pass"


STATEFUL = """
from reference_cnn._windows import Windows
pads = {}

def conv_forward(x, w, b=None, *, padding=0, **options):
    if padding == "same":
        found = Windows.of("", x.shape[2:], w.shape[2:], options.get("stride", 1), "same", options.get("dilation", 1))
        padding = pads.setdefault((found.kernel, found.stride, found.dilation), found.pads)
    return reference_cnn.conv_forward(x, w, b, padding=padding, **options)
"""


SHARING = """
kept = {}

def dense_forward(x, w, b=0):
    kept["x"], kept["w"] = x.copy(), w.copy()
    return x @ w + b

def dense_backward(dz, *_):
    return dz @ kept["w"].T, kept["x"].T @ dz, dz.sum(axis=0)
"""


@pytest.mark.spec("ORC-D6", "ORC-N2")
def test_what_is_kept_from_another_function_is_said_and_all_are_asked_again() -> None:
    Path("mine.py").write_text(SHARING)
    failure = check("mine.py", profile="quick").results["dense_backward"].failure
    assert failure is not None
    assert failure.finding.startswith("after other calls, ")
    assert failure.remedy == SHARES
    assert failure.reproduce == "reference-cnn check mine.py --profile quick"
    # Asked alone it only raises.
    alone = check("mine.py", profile="quick", functions=["dense_backward"]).results["dense_backward"].failure
    assert alone is not None
    assert alone.finding.startswith("it raises KeyError: 'w' (mine.py, line 9)")


@pytest.mark.spec("ORC-D6", "ORC-N2")
@pytest.mark.parametrize(("options", "flags"), [
    ({}, ""), ({"rank": 1, "profile": "quick", "seed": 3, "dtype": "float32"},
               " --dtype float32 --seed 3 --rank 1 --profile quick"),
])  # fmt: skip
def test_a_wrong_answer_that_takes_other_calls_is_said_to(options: dict[str, Any], flags: str) -> None:
    """Its case alone would be right; what is told to ask again asks everything."""
    Path("mine.py").write_text("import reference_cnn\n" + STATEFUL)
    failure = check("mine.py", functions=["conv_forward"], **options).results["conv_forward"].failure
    assert failure is not None
    assert failure.message.startswith("after other calls, z ")
    assert failure.remedy == KEEPS
    assert failure.reproduce == f"reference-cnn check mine.py --only conv_forward{flags}"
    same = check("mine.py", functions=["conv_forward"], case=failure.case.text, dtype=failure.case.dtype)
    assert same.passed


@pytest.mark.spec("ORC-D6")
def test_a_wrong_answer_that_does_not_come_again_is_said_to_be_wrong_at_times() -> None:
    """Wrong at every tenth call: other calls before it are no better explanation than chance."""
    failure = check(write("calls.append(1); return right(z) + (len(calls) % 10 == 0)", before="calls = []\n"),
                    functions=["sigmoid_prime"]).results["sigmoid_prime"].failure  # fmt: skip
    assert failure is not None
    assert failure.message.startswith("at times, a_prime is wrong: ")
    assert failure.remedy == VARIES
    assert failure.reproduce == "reference-cnn check mine.py --only sigmoid_prime"


@pytest.mark.spec("ORC-D6")
def test_a_target_that_can_be_loaded_once_only_is_judged() -> None:
    """Such as one that holds a device: whether a wrong answer comes again elsewhere cannot be asked."""
    taken = "open('taken', 'x').close()\n"
    failure = check(write("return right(z) + (z.size > 9)", before=taken)).results["sigmoid_prime"].failure
    assert failure is not None
    assert failure.message.startswith("a_prime is wrong: ")
    assert "--case" in failure.reproduce


@pytest.mark.spec("PROTO-D8")
def test_processes_that_a_target_spawns_find_its_file() -> None:
    pool = "ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn'))"
    lines = f"with {pool} as pool: return pool.submit(right, z).result()"
    before = "import multiprocessing\nfrom concurrent.futures import ProcessPoolExecutor\n"
    report = check(write(lines, before=before), case="z=3")
    assert report.results["sigmoid_prime"].verdict == "pass", f"\n{report}"


@pytest.mark.spec("PROTO-D8")
@pytest.mark.parametrize("name", ["json", "numpy", "not-a-name"])
def test_a_file_does_not_take_the_name_of_another_module(name: str) -> None:
    Path(f"{name}.py").write_text("from reference_cnn import relu\nimport json, numpy\nassert json.dumps, numpy.ones\n")
    assert check(f"{name}.py", functions=["relu"]).passed


@pytest.mark.spec("PROTO-D8")
@pytest.mark.parametrize(
    "lines",
    [
        "print('x' * 10**6); return right(z)",
        "os.write(1, b'{\"id\": 1}'); os.write(2, bytes(10**6)); return right(z)",
        "sys.stdout.close(); sys.stderr.close(); return right(z)",
        "os.closerange(0, 3); return right(z)",
        "assert sys.stdin.read() == ''; return right(z)",
        "os.fork(); return right(z)",
        "subprocess.run(['echo', '{}'], check=True); return right(z)",
        "return right(z).astype(np.longdouble)",
        "return right(z).astype('>f8')",
        "return np.asfortranarray(right(z))",
        "return right(z).tolist()",
        "return np.array([v if v != v else fractions.Fraction(v) for v in right(z).flat]).reshape(z.shape)",
    ],
)
def test_what_is_no_wrong_answer_passes(lines: str) -> None:
    report = check(write(lines), functions=["sigmoid_prime"])
    assert report.passed, f"\n{report}"


@pytest.mark.spec("PROTO-D8")
@pytest.mark.parametrize(
    "trick",
    [
        "np.allclose = np.array_equal = lambda *a, **k: True",
        "np.abs = np.max = np.isfinite = lambda *a, **k: np.zeros(())",
        "from reference_cnn.oracle import bounds, judge\njudge.judge = bounds.expected = lambda *a: None",
        "import threading\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()",
    ],
)
def test_a_wrong_answer_stays_wrong_whatever_is_patched(trick: str) -> None:
    before = f"import numpy as np\n{trick}\n"
    assert not check(write("return 2 * right(z)", before=before), functions=["sigmoid_prime"]).passed


@pytest.mark.spec("PROTO-D8")
def test_an_answer_that_is_changed_later_was_right() -> None:
    """No value is wrong; that it changes may be seen where the machine is slow, and then looks like a side effect."""
    lines = "a = right(z); threading.Timer(0.01, a.fill, [0]).start(); return a"
    failure = check(write(lines), functions=["sigmoid_prime"]).results["sigmoid_prime"].failure
    assert failure is None or failure.kind == "purity"


@pytest.mark.spec("PROTO-C3", "PROTO-C2")
@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("import os; os._exit(4)\n", "mine.py cannot be asked: it ends with exit status 4"),
        ("import ctypes; ctypes.string_at(0)\n", "mine.py cannot be asked: it dies of SIGSEGV"),
        ("1 / 0\n", r"mine.py does not import \(ZeroDivisionError: division by zero\); correct the file first"),
    ],
)
def test_a_target_that_does_not_load(before: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        check(write("pass", before=before))


@pytest.mark.spec("PROTO-D8")
def test_what_cannot_be_named_is_judged_in_process_and_the_report_says_so() -> None:
    here = {"sigmoid": lambda z: sigmoid(z)}
    for target in (here, SimpleNamespace(**here)):
        report = check(target)
        assert report.in_process
        assert ", seed 0, in process. Right" in str(report)
        assert '"in_process": true' in report.to_json()
    named = check(write("return right(z)"), functions=["sigmoid"])
    assert not named.in_process
    assert "in process" not in str(named)


@pytest.mark.spec("PROTO-D8")
def test_in_process_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("return right(z)", before="import os\nos.environ['SEEN_BY'] = str(os.getpid())\n")
    monkeypatch.setenv("SEEN_BY", "nobody")
    assert main(["check", file, "--only", "sigmoid"]) == 0
    assert os.environ["SEEN_BY"] == "nobody"
    assert main(["check", file, "--only", "sigmoid", "--in-process"]) == 0
    assert os.environ["SEEN_BY"] == str(os.getpid())
    assert "in process" in capsys.readouterr().out


@pytest.mark.spec("PROTO-D8")
def test_modules_are_looked_for_where_this_process_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somewhere").mkdir()
    write("return right(z)")
    Path("mine.py").rename("somewhere/a_module_of_mine.py")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])  # "" is wherever one is
    asked: dict[str, Any] = {"functions": ["sigmoid"], "profile": "quick"}
    with pytest.raises(TargetError, match=r"a_module_of_mine does not import \(ModuleNotFoundError"):
        check("a_module_of_mine", **asked)
    with monkeypatch.context() as where:
        where.syspath_prepend(tmp_path / "somewhere")
        assert check("a_module_of_mine", **asked).passed
    # Then in the working directory, as a command that is no `python -m` does not by itself.
    monkeypatch.chdir("somewhere")
    assert check("a_module_of_mine", **asked).passed
    Path(tmp_path / "a_module_of_mine.py").write_text("def sigmoid(z):\n    return 0 * z\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert not check("a_module_of_mine", **asked).passed
    assert "a_module_of_mine" not in sys.modules


@pytest.mark.spec("PROTO-C2")
def test_limits_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    unusable: list[dict[str, Any]] = [
        *({"timeout": 0}, {"timeout": float("inf")}, {"timeout": 1e7}, {"timeout": "1"}),
        *({"memory": 0}, {"memory": 1.5}, {"memory": 10**30}),
    ]
    for limits in unusable:
        with pytest.raises(UsageError, match=r"must be|cannot be set"):
            check("reference", **limits)
    with pytest.raises(SystemExit):
        main(["check", "reference", "--timeout", "0"])
    assert "must be positive and finite, is 0" in capsys.readouterr().err


@pytest.mark.spec("PROTO-C2")
def test_the_options_reach_the_process() -> None:
    large = write("time.sleep(0.2); return right(z) + np.empty(2**28)[0] * 0")
    question = ["check", large, "--case", "z=1x2", "--only", "sigmoid_prime"]
    assert main([*question, "--timeout", "0.1"]) == 1
    assert main([*question, "--memory", "100"]) == 1
    assert main(question) == 0


IMPURE = """
import numpy as np
import reference_cnn

last = np.zeros(6)

def sigmoid(z):  # writes to its argument
    z[...] = reference_cnn.sigmoid(z)
    return np.array(z)

def sigmoid_prime(z):  # returns a view of its argument
    return z[:, ::-1]

def dense_forward(x, w, b=None):  # overwrites its last answer
    last[:] = (x @ w).ravel()
    return last.reshape(2, 3)

def dense_backward(dz, x, w):  # tells what it was given
    return [np.array([*a.strides, a.flags.writeable, a.flags.c_contiguous]) for a in (dz, x, w)]
"""


def reply_and_recall(name: str, arguments: list[Array], *, in_process: bool) -> tuple[Reply, Answer, Answer]:
    """Ask, read the answer again, and again after asking something else."""
    Path("mine.py").write_text(IMPURE)
    target = reach("mine.py", in_process=in_process)
    function = respondent(target.functions[name], name)
    reply = function.reply(arguments, {})
    at_once = function.recall(reply)
    function.reply([a + 1 for a in arguments], {})
    later = function.recall(reply)
    target.close()
    return reply, at_once, later


@pytest.mark.spec("PROTO-D7")
@pytest.mark.parametrize("in_process", [True, False])
def test_a_reply_shows_what_became_of_the_arguments_and_the_answer(in_process: bool) -> None:  # pytest's
    z, x, w = np.linspace(-2, 2, 6).reshape(2, 3), np.arange(8.0).reshape(2, 4), np.arange(12.0).reshape(4, 3)
    kept = z.copy()

    def one(answer: Answer) -> Array:
        (output,) = answer.outputs.values()
        assert output is not None
        return output

    reply, at_once, later = reply_and_recall("sigmoid", [z], in_process=in_process)
    assert (reply.deeds, reply.view) == (("writes into z",), False)
    assert (z == kept).all()  # but not into ours
    assert all((one(a) == one(reply.answer)).all() for a in (at_once, later))

    reply, at_once, later = reply_and_recall("sigmoid_prime", [z], in_process=in_process)
    assert (reply.deeds, reply.view) == ((), True)
    assert (one(reply.answer) == z[:, ::-1]).all()
    assert (one(at_once) == 1 - z[:, ::-1]).all()  # what it is a view of has been overwritten

    reply, at_once, later = reply_and_recall("dense_forward", [x, w], in_process=in_process)
    assert (reply.deeds, reply.view) == ((), False)
    assert all((one(a) == dense_forward(x, w)).all() for a in (reply.answer, at_once))
    assert (one(later) == dense_forward(x + 1, w + 1)).all()  # overwritten


@pytest.mark.spec("PROTO-D7")
@pytest.mark.parametrize("in_process", [True, False])
def test_strides_and_writeability_cross(in_process: bool) -> None:  # pytest's
    dz, x, w = np.arange(12.0).reshape(2, 6)[:, ::-2], np.asfortranarray(np.ones((2, 4))), np.ones((4, 3))
    w.flags.writeable = False
    reply, *_ = reply_and_recall("dense_backward", [dz, x, w], in_process=in_process)
    told = [a.tolist() for a in reply.answer.outputs.values() if a is not None]
    assert told == [[*dz.strides, 1, 0], [*x.strides, 1, 0], [*w.strides, 0, 1]]
    assert not reply.deeds


@pytest.mark.spec("PROTO-D7")
def test_a_reply_of_a_lost_process_cannot_be_read_again() -> None:
    target = reach(write("os._exit(0)"))
    good = respondent(target.functions["sigmoid"], "sigmoid")
    bad = respondent(target.functions["sigmoid_prime"], "sigmoid_prime")
    reply = good.reply([np.zeros(3)], {})
    assert bad.reply([np.zeros(3)], {}).answer.outcome == "crash"
    assert good.reply([np.ones(3)], {}).answer.outcome == "answered"
    assert good.recall(reply).outcome == "not asked"
    assert good.reply([np.ones(3)], {}, into=reply).answer.outcome == "answered"
    target.close()
