"""The command: exit status, options, and what it says about targets that cannot be used."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reference_cnn import cli
from reference_cnn.cli import main

RIGHT = "import reference_cnn\ndense_forward = reference_cnn.dense_forward\n"
WRONG = "def dense_forward(x, w, b=None):\n    return x @ w * 2\n"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.spec("ORC-D5")
def test_exit_status(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    assert main(["check", "right.py"]) == 0
    assert main(["check", "wrong.py"]) == 1
    assert main(["check", "wrong.py", "--exit-zero"]) == 0
    assert main(["check", str(tmp_path / "wrong.py"), "--only", "sigmoid"]) == 2


@pytest.mark.spec("ORC-D5")
@pytest.mark.parametrize(
    ("target", "content", "message"),
    [
        ("absent.py", None, "absent.py does not exist or is not a file; give the path of a Python file"),
        (".", None, "give a path that ends with .py"),
        (
            "a/b.txt",
            "",
            "a/b.txt is not a Python file; give a path that ends with .py; a program in another language is given by",
        ),
        ("layers.c", "", "exec:node program.js"),
        (f"a.{'b' * 5000}", None, "does not import (ModuleNotFoundError"),
        ("broken.py", "def f(:\n", "broken.py does not import (SyntaxError"),
        (
            "raising.py",
            "1 / 0\n",
            "raising.py does not import (ZeroDivisionError: division by zero); correct the file first",
        ),
        ("leaving.py", "import sys\nsys.exit(0)\n", "leaving.py does not import (SystemExit"),
        ("empty.py", "", "empty.py offers none of the functions conv_forward"),
        ("no.such.module", None, "no.such.module does not import (ModuleNotFoundError"),
        ("", None, "give a path that ends with .py, a module that imports, or one of reference"),
    ],
)
def test_a_target_that_cannot_be_used(
    target: str, content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / target).parent.mkdir(exist_ok=True)
        (tmp_path / target).write_text(content)
    assert main(["check", target]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


@pytest.mark.spec("ORC-D5")
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["check", "loops", "--dtype", "int8"],
        ["check", "loops", "--only", "tanh"],
        ["check", "loops", "--seed", "x"],
        ["vectors", "a\0b"],
        ["vectors", "a", "--seed", "-1"],
        ["train", "--seed", "-1"],
    ],
)
def test_unusable_options(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: reference-cnn" in capsys.readouterr().err


@pytest.mark.spec("ORC-D1", "ORC-D5")
def test_unusable_values_are_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--seed", "-1"], ["--rank", "0"], ["--case", "x=1"], ["--json", "no/such/folder/f.json"]):
        assert main(["check", "reference", "--only", "dense_forward", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "explain", interrupted)
    assert main(["explain", "CONV-F1"]) == 130
    assert capsys.readouterr().err == "reference-cnn: interrupted\n"


@pytest.mark.spec("ORC-D7")
def test_json(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    assert main(["check", "wrong.py", "--json", "report.json", "--dtype", "float32", "--seed", "5"]) == 1
    plain = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (plain["version"], plain["passed"], plain["dtype"], plain["seed"]) == (1, False, "float32", 5)
    assert plain["results"]["dense_forward"]["failure"]["pattern"] == "its one entry is wrong"
    assert plain["results"]["sigmoid"]["verdict"] == "missing"


@pytest.mark.spec("ORC-D7")
def test_an_earlier_report_is_not_taken_for_one_of_a_target_that_cannot_be_judged(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text("def relu(z):\n    return z * (z > 0)\n")
    written = [f"--{kind}={kind}.txt" for kind in ("json", "html", "junit")]
    assert main(["check", "layers.py", "--profile", "quick", "--exit-zero", *written]) == 0
    assert len(list(tmp_path.glob("*.txt"))) == 3
    (tmp_path / "layers.py").write_text("def relu(z:\n")
    assert main(["check", "layers.py", *written]) == 2
    assert not list(tmp_path.glob("*.txt"))


@pytest.mark.spec("ORC-D1", "ORC-D6")
def test_the_line_that_asks_again_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    main(["check", "wrong.py", "--seed", "3"])
    first = capsys.readouterr().out
    line = next(line for line in first.splitlines() if "again:" in line)
    command = line.split("again: reference-cnn ")[1]
    assert command == 'check wrong.py --only dense_forward --case "x=1x1 w=1x1" --seed 3'
    assert main(["check", "wrong.py", "--only", "dense_forward", "--case", "x=1x1 w=1x1", "--seed", "3"]) == 1
    again = capsys.readouterr().out
    assert [x for x in first.splitlines() if "z[0, 0] is" in x] == [x for x in again.splitlines() if "z[0, 0] is" in x]


@pytest.mark.spec("ORC-D6")
@pytest.mark.parametrize(("function", "options"), [
    ("def relu(z):\n    return np.maximum(z, 0).astype(np.float64)", ["--strict", "--dtype", "float32"]),
    ("def relu(z):\n    time.sleep(0.7)\n    return np.maximum(z, 0)", ["--timeout", "0.5"]),
    ("def relu(z):\n    np.ones(10**8)\n    return np.maximum(z, 0)", ["--memory", "100"]),
])  # fmt: skip
def test_the_line_that_asks_again_has_the_options_that_made_it_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], function: str, options: list[str]
) -> None:
    (tmp_path / "wrong.py").write_text(f"import time\nimport numpy as np\n{function}\n")
    asked = ["check", "wrong.py", "--only", "relu", "--profile", "quick"]
    assert main([*asked, *options]) == 1
    line = capsys.readouterr().out.split("again: reference-cnn ")[1].splitlines()[0]
    assert " ".join(options[:2]) in line
    assert main(shlex.split(line)) == 1


@pytest.mark.spec("ORC-D4")
def test_neighbours_of_a_file_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "neighbour_of_target.py").write_text(RIGHT)
    (tmp_path / "code" / "mine.py").write_text("from neighbour_of_target import dense_forward\n")
    assert main(["check", "code/mine.py"]) == 0


@pytest.mark.spec("ORC-D5")
def test_it_runs_as_a_module_without_colour_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "reference_cnn", "check", "article"]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert run.returncode == 1
    assert run.stderr == ""
    assert "\x1b" not in run.stdout
    assert max(len(line) for line in run.stdout.splitlines() if "again:" not in line) <= 80
    assert list(tmp_path.iterdir()) == []


@pytest.mark.spec("ORC-D7")
def test_junit_has_a_case_for_each_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, target = tmp_path / "report.xml", tmp_path / "mine.py"
    target.write_text(
        "from reference_cnn import relu\n"
        "def sigmoid(z):\n    return 0 * z\n"
        "def dense_forward(*a):\n    raise RuntimeError('a bell \\x07 and <tags>')\n"
    )
    only = [word for name in ("relu", "sigmoid", "dense_forward", "softmax") for word in ("--only", name)]
    assert main(["check", str(target), *only, "--junit", str(file)]) == 1
    suite = ElementTree.parse(file).getroot()
    assert {n: suite.get(n) for n in ("tests", "failures", "errors", "skipped")} == {
        **{"tests": "4", "failures": "1"},
        **{"errors": "1", "skipped": "1"},
    }
    found = {case.get("name"): [child.tag for child in case] for case in suite}
    assert found == {"relu": [], "sigmoid": ["failure"], "dense_forward": ["error"], "softmax": ["skipped"]}
    error = suite.find("testcase[@name='dense_forward']/error")
    assert error is not None
    assert "<tags>" in str(error.get("message"))
    assert "again: reference-cnn check" in str(suite.findtext("testcase[@name='sigmoid']/failure"))


@pytest.mark.spec("ORC-D5")
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if it were a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    question = ["check", "reference", "--only", "relu", "--profile", "quick"]
    assert main(question) == 0
    assert "\x1b[32m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(question) == 0
    assert "\x1b[32m" not in capsys.readouterr().out


@pytest.mark.spec("ORC-D7")
def test_a_report_goes_into_a_file_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.py").write_text(RIGHT)
    for words, said in (
        (["--json", "mine.py"], "mine.py is the target, or two reports at once"),
        (["--json", "both", "--html", "./both"], "both is the target, or two reports at once"),
        (["--junit", "none/report.xml"], "none is no folder, so none/report.xml cannot be written"),
    ):
        assert main(["check", "mine.py", *words]) == 2
        assert said in capsys.readouterr().err
    assert (tmp_path / "mine.py").read_text() == RIGHT
    # Nothing is removed unless all can be written; what is no file may be given twice.
    (tmp_path / "old").write_text("an earlier report")
    assert main(["check", "mine.py", "--json", "old", "--junit", "none/report.xml"]) == 2
    assert (tmp_path / "old").exists()
    assert main(["check", "mine.py", "--profile", "quick", "--json", os.devnull, "--html", os.devnull]) == 0
