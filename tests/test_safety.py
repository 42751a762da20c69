"""What a target, a program or a file sends is never run, and nothing of it is left behind."""

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_protocol import FILES, Write, write

from reference_cnn.oracle import check

__all__ = ["write"]  # a fixture

PACKAGE = Path(__file__).parents[1] / "reference_cnn"
RUNS = {"eval", "exec", "compile", "__import__", "system", "popen", "getoutput", "getstatusoutput", "mktemp"}
UNPICKLES = {"pickle", "shelve", "marshal", "yaml", "dill", "cloudpickle", "joblib", "code", "runpy"}


def dangers(tree: ast.AST) -> Iterator[str]:
    """Yield the ways in which a module could run what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [*module.split("."), *(part for alias in node.names for part in alias.name.split("."))]
            yield from (name for name in names if name in UNPICKLES)
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = {k.arg: k.value for k in node.keywords}
            regular = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "re"
            if name in RUNS and not regular:
                yield name
            if "shell" in given:
                yield "shell"
            safe = given.get("allow_pickle")
            if name == "load" and getattr(getattr(node.func, "value", None), "id", "") in ("np", "numpy", "torch"):
                yield from [] if isinstance(safe, ast.Constant) and safe.value is False else ["load"]


@pytest.mark.spec("PROTO-D8")
def test_nothing_that_is_read_is_run() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 50
    found = {str(m.relative_to(PACKAGE)): list(dangers(ast.parse(m.read_text(encoding="utf-8")))) for m in modules}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    ("code", "danger"),
    [
        ("eval(x)", "eval"),
        ("builtins.exec(x)", "exec"),
        ("import pickle", "pickle"),
        ("from a.yaml import load", "yaml"),
        ("subprocess.run(x, shell=True)", "shell"),
        ("np.load(x)", "load"),
        ("np.load(x, allow_pickle=True)", "load"),
        ("os.system(x)", "system"),
    ],
)
def test_what_would_be_found(code: str, danger: str) -> None:
    assert list(dangers(ast.parse(code))) == [danger]


def test_what_is_harmless() -> None:
    assert list(dangers(ast.parse("np.load(x, allow_pickle=False); re.compile(x); json.loads(x)"))) == []


@pytest.mark.spec("PROTO-D6")
def test_an_exception_in_the_check_leaves_no_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = tmp_path / "folders"
    folders.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folders))
    seen: list[Path] = []

    def progress(function: str) -> None:
        seen.extend(folders.iterdir())
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        check(write(program=FILES), functions=["sigmoid"], case="z=1x3", progress=progress)
    assert len(seen) == 1
    assert list(folders.iterdir()) == []


@pytest.mark.spec("PROTO-D6", "PROTO-C2")
@pytest.mark.parametrize(
    ("end", "jobs", "status", "last"),
    [
        (signal.SIGINT, 1, 130, "reference-cnn: interrupted"),
        (signal.SIGTERM, 1, 130, "reference-cnn: interrupted"),
        (signal.SIGTERM, 2, 130, "reference-cnn: interrupted"),
        (signal.SIGHUP, 1, -signal.SIGHUP, ""),
        (signal.SIGKILL, 1, -signal.SIGKILL, ""),
        (signal.SIGKILL, 2, -signal.SIGKILL, ""),
    ],
)
def test_no_end_of_the_check_leaves_a_file_or_a_process(
    end: signal.Signals, jobs: int, status: int, last: str, write: Write, tmp_path: Path
) -> None:
    folders, mark = tmp_path / "folders", tmp_path / "mark"
    folders.mkdir()
    lines = f"open({str(mark)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}'); import time; time.sleep(99)"
    command = [
        sys.executable,
        "-m",
        "reference_cnn",
        "check",
        write(lines, FILES),
        "--case",
        "z=1x3",
        "--timeout",
        "99",
        "--jobs",
        str(jobs),
    ]
    environment = {**os.environ, "TMPDIR": str(folders), "PYTHONPATH": str(PACKAGE.parent)}
    # The background of a shell ignores an interrupt, and nohup a hang-up; what is started from there would do so too.
    before = {s: signal.signal(s, signal.default_int_handler) for s in (signal.SIGINT, signal.SIGHUP)}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for ignored, handler in before.items():
        signal.signal(ignored, handler)
    while not (mark.exists() and mark.read_text()):
        assert run.poll() is None
        time.sleep(0.02)
    assert len(list(folders.iterdir())) == jobs
    run.send_signal(end)
    _, said = run.communicate(timeout=30)
    assert run.returncode == status
    assert last in said
    # The program, and the worker that has asked it.
    processes = [Path("/proc") / number for number in mark.read_text().split()]
    for _ in range(1000):
        if not any(p.exists() for p in (*processes, *folders.iterdir())):
            break
        time.sleep(0.01)
    else:
        pytest.fail(f"something is left of {processes} or {list(folders.iterdir())}")
