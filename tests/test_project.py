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


def test_the_workflow_runs_the_sessions_that_nox_runs_and_the_site() -> None:
    tests_with_python, others = re.findall(r'run: python -m nox --error-on-missing-interpreters -s "(.*)"', WORKFLOW)
    assert (tests_with_python, others) == ("tests-${{ matrix.python }}", "${{ matrix.session }}")
    default = set(listed(r"nox\.options\.sessions = ", NOXFILE))
    assert set(listed("session: ", WORKFLOW)) == default - {"tests"} | {"docs"}


def test_the_workflow_tests_every_python_that_the_metadata_name() -> None:
    commands = [c for d in documents for c in re.findall(r"nox -s ([a-z0-9. -]+)", d.read_text(encoding="utf-8"))]
    named = [word for command in commands for word in command.partition(" -- ")[0].split()]
    assert len(named) > 5
    assert {word.partition("-3.")[0] for word in named} <= sessions
