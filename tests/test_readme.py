"""The README shows what the command really prints."""

import re
from pathlib import Path

import pytest

import reference_cnn
from reference_cnn.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_output_is_the_one_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.findall(r"<!-- output of: reference-cnn (.*?) -->\n```text\n(.*?)```", README, flags=re.DOTALL)
    assert shown
    for arguments, expected in shown:
        assert main(arguments.split()) == 0
        printed = [line.rstrip() for line in capsys.readouterr().out.strip("\n").splitlines()]
        assert printed == expected.rstrip().splitlines()


def test_the_test_command_is_what_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1]
    assert f"$ {script.replace(' --quiet', '')}" in README


def test_versions_agree() -> None:
    version = reference_cnn.__version__
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"reference_cnn {version}, CONV-B2" in README
