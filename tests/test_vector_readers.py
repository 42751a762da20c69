"""The readers that spec/vectors.md prints: right implementations pass, wrong ones and bad files are named."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_implementations import HERE, OFFERED, compiled, implementation, parts, tool

ROOT = Path(__file__).parents[1]
SPEC = ROOT / "spec"
READERS = dict(
    re.findall(
        r"^<!-- reader: (\S+) -->\n```\w+\n(.*?)^```",
        (SPEC / "vectors.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
)
PYTHON, JAVASCRIPT = "read_vectors.py", "read_vectors.mjs"

# What stands for a user's own functions: a program of another language, asked over the protocol.
PYTHON_LAYERS = """
from reference_cnn.oracle.targets.remote import reach

def in_order(function):
    def asked(*arrays, **keywords):
        answer = function(*arrays, **keywords)
        return tuple(answer[name] for name in ("dx", "dw", "db")) if isinstance(answer, dict) else answer
    return asked

globals().update((name, in_order(function)) for name, function in reach({target!r}).functions.items())
"""
JAVASCRIPT_LAYERS = """
import { spawnSync } from "node:child_process";
const ask = (name) => (given, keywords) => {
  const line = JSON.stringify({ id: 1, ask: name, arguments: given, keywords });
  return JSON.parse(spawnSync(PROGRAM, { input: `${line}\\n` }).stdout).outputs;
};
""" + "".join(f'export const {name} = ask("{name}");\n' for name in OFFERED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both readers beside a copy of the vectors, and functions that offer nothing."""
    for name, text in READERS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copytree(SPEC / "vectors", tmp_path / "vectors")
    (tmp_path / "layers.py").write_text("")
    (tmp_path / "layers.mjs").write_text("export const nothing = 0;\n")
    return tmp_path


def read(reader: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a reader as the specification says."""
    commands = {
        PYTHON: [sys.executable, "-m", "unittest", "read_vectors"],
        JAVASCRIPT: [tool("node"), "--test", JAVASCRIPT],
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        commands[reader], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120
    )


@pytest.mark.spec("VEC-D2", "VEC-D3")
@pytest.mark.parametrize("language", ["C", "JavaScript"])
def test_the_python_reader_passes_what_is_right(language: str, folder: Path, tmp_path: Path) -> None:
    target = implementation(language, tmp_path)
    (folder / "layers.py").write_text(PYTHON_LAYERS.format(target=target))
    run = read(PYTHON, folder)
    assert run.returncode == 0, run.stderr
    assert "OK" in run.stderr


@pytest.mark.spec("VEC-D2", "VEC-D3")
def test_the_javascript_reader_passes_what_is_right(folder: Path) -> None:
    """The functions themselves, as their author has them, without a protocol."""
    above, layers, _ = parts(HERE / "layers.mjs")
    (folder / "layers.mjs").write_text(f"{above}{layers}export const {{ {', '.join(OFFERED)} }} = functions;\n")
    run = read(JAVASCRIPT, folder)
    assert run.returncode == 0, run.stdout
    assert passed(run) > 100


@pytest.mark.spec("VEC-D2", "VEC-D3")
def test_the_javascript_reader_passes_a_program_in_c(folder: Path) -> None:
    program = implementation("C", folder).removeprefix("exec:")
    (folder / "layers.mjs").write_text(JAVASCRIPT_LAYERS.replace("PROGRAM", json.dumps(program)))
    run = read(JAVASCRIPT, folder)
    assert run.returncode == 0, run.stdout
    assert passed(run) > 100


def passed(run: subprocess.CompletedProcess[str]) -> int:
    """How many tests Node has seen pass."""
    found = re.search(r"^. pass (\d+)$", run.stdout, flags=re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.mark.spec("VEC-D4")
@pytest.mark.parametrize("reader", [PYTHON, JAVASCRIPT])
def test_a_planted_mistake_fails_the_cases_that_are_flagged(reader: str, folder: Path) -> None:
    target = compiled(folder, HERE / "layers.c", "-DFLIPPED")
    (folder / "layers.py").write_text(PYTHON_LAYERS.format(target=target))
    program = json.dumps(target.removeprefix("exec:"))
    (folder / "layers.mjs").write_text(JAVASCRIPT_LAYERS.replace("PROGRAM", program))
    run = read(reader, folder)
    assert run.returncode == 1
    shown = run.stdout + run.stderr
    failed = set(re.findall(r"(?:FAIL: .*\[|^\s*(?:not ok \d+ - |✖ ))(\w+/[\w-]+)", shown, flags=re.MULTILINE))
    file = json.loads((SPEC / "vectors" / "conv_forward.json").read_text(encoding="utf-8"))
    flagged = {c["id"] for g in file["groups"] for c in g["cases"] if "flipped-kernel" in c["flags"]}
    assert flagged <= failed
    assert {name.partition("/")[0] for name in failed} == {"conv_forward", "conv_backward"}


BAD: dict[str, Callable[[str], str]] = {
    "cut in half": lambda text: text[: len(text) // 2],
    "empty": lambda text: "",
    "of a newer version": lambda text: text.replace('"format": 1', '"format": 2'),
    "without a version": lambda text: text.replace('"format"', '"version"'),
    "without groups": lambda text: text.replace('"groups"', '"tests"'),
    "no object": lambda text: "[]",
    "of another kind": lambda text: re.sub(r'"dtypes": \[[^]]*\]', '"dtypes": 3', text),
    # What a reader might pass over in silence.
    "of another function": lambda text: text.replace('"function": "relu"', '"function": "relux"'),
    "of an unknown dtype": lambda text: text.replace('"float64"', '"float46"'),
    "with an unknown result": lambda text: text.replace('"valid"', '"vaild"'),
    "without outputs": lambda text: text.replace('"outputs"', '"output"'),
    "with outputs cut short": lambda text: re.sub(r'(?s)("outputs": .*?"data": \[[^,]*),[^]]*', r"\1", text),
    "with arguments cut short": lambda text: re.sub(r'(?s)("z": .*?"data": \[[^,]*),[^]]*', r"\1", text),
    "with bounds cut short": lambda text: re.sub(r'("float32": )0', r"\1[0]", text),
}
SAYS = {
    "of a newer version": "format 2, and this reader knows 1",
    "without a version": "format",
    "of another function": "it is about relux",
}


@pytest.mark.spec("VEC-C1")
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("reader", [PYTHON, JAVASCRIPT])
def test_a_bad_file_is_named_and_no_pass(reader: str, bad: str, folder: Path) -> None:
    path = folder / "vectors" / "relu.json"
    good = path.read_text(encoding="utf-8")
    path.write_text(BAD[bad](good), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != good
    run = read(reader, folder)
    assert run.returncode != 0
    shown = run.stdout + run.stderr
    assert re.search(r"vectors.relu\.json cannot be read: \S+", shown), shown
    assert SAYS.get(bad, "") in shown


@pytest.mark.spec("VEC-C1")
@pytest.mark.parametrize("reader", [PYTHON, JAVASCRIPT])
def test_a_folder_without_files_is_no_pass(reader: str, folder: Path) -> None:
    for path in (folder / "vectors").iterdir():
        path.unlink()
    run = read(reader, folder)
    assert run.returncode != 0
    assert "there are no cases in the folder vectors" in run.stdout + run.stderr


@pytest.mark.spec("VEC-C1")
@pytest.mark.parametrize("reader", [PYTHON, JAVASCRIPT])
def test_functions_without_a_known_name_are_no_pass(reader: str, folder: Path) -> None:
    run = read(reader, folder)
    assert run.returncode != 0
    assert "has none of the functions" in run.stdout + run.stderr
