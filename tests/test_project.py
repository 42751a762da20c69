"""What the workflow and CONTRIBUTING.md say about the project's own tools is so."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
NOXFILE = (ROOT / "noxfile.py").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def listed(pattern: str, text: str) -> list[str]:
    """The words of the one list in square brackets behind `pattern`."""
    (words,) = re.findall(pattern + r"\[(.*?)\]", text)
    return [word.strip(' "') for word in words.split(",")]


def test_the_workflow_runs_the_sessions_that_nox_runs() -> None:
    tests_with_python, others = re.findall(r'run: python -m nox --error-on-missing-interpreters -s "(.*)"', WORKFLOW)
    assert (tests_with_python, others) == ("tests-${{ matrix.python }}", "${{ matrix.session }}")
    # The site takes too long to be made each time that a contributor runs nox.
    default = listed(r"nox\.options\.sessions = ", NOXFILE)
    assert sorted(["tests", *listed("session: ", WORKFLOW)]) == sorted([*default, "docs"])


def test_the_workflow_tests_every_python_that_the_metadata_name() -> None:
    classifiers = PROJECT["project"]["classifiers"]
    named = [c.rpartition(" ")[2] for c in classifiers if re.search(r"Python :: 3\.\d+$", c)]
    assert listed("python: ", WORKFLOW) == listed("PYTHONS = ", NOXFILE) == named
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"


def test_the_workflow_may_only_read_and_pins_its_actions() -> None:
    assert re.findall(r"permissions:\n((?:  .*\n)+)", WORKFLOW) == ["  contents: read\n"]
    actions = re.findall(r"uses: (.*)", WORKFLOW)
    assert actions
    assert all(re.fullmatch(r"[\w/-]+@v\d+\.\d+\.\d+", action) for action in actions)


def test_every_check_that_is_left_out_has_its_reason() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## What sp-repo-review asks")[2]
    answered = set()
    for prefix, first, last in re.findall(r"^\| ([A-Z]+)(\d+)(?: to [A-Z]+(\d+))?", table, flags=re.MULTILINE):
        answered |= {f"{prefix}{number:03}" for number in range(int(first), int(last or first) + 1)}
    assert answered == set(PROJECT["tool"]["repo-review"]["ignore"])


def test_every_session_that_a_document_names_is_one() -> None:
    sessions = {node.name for node in ast.parse(NOXFILE).body if isinstance(node, ast.FunctionDef)}
    documents = [*ROOT.glob("*.md"), *(ROOT / "spec").glob("*.md")]
    commands = [c for d in documents for c in re.findall(r"nox -s ([a-z0-9. -]+)", d.read_text(encoding="utf-8"))]
    named = [word for command in commands for word in command.partition(" --")[0].split()]
    assert len(named) > 5
    assert {word.partition("-3.")[0] for word in named} <= sessions


def test_no_file_has_the_marks_of_a_merge() -> None:
    places = (
        *ROOT.glob("*.*"),
        *(p for d in ("reference_cnn", "spec", "tests", ".github") for p in (ROOT / d).rglob("*")),
    )
    texts = [p for p in places if p.suffix in (".py", ".md", ".toml", ".txt", ".yml", ".json", ".js", ".mjs", ".c")]
    assert len(texts) > 150
    assert [p.name for p in texts if re.search(r"^(<{7}|>{7}) ", p.read_text(encoding="utf-8"), re.MULTILINE)] == []
