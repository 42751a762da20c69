"""Mistakes put into conv_backward by hand: the quick tests fail at once, and the report has the clause."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import PACKAGE, ROOT

# What stands in conv_backward, and what a slip would make of it.
SLIPS = {
    "a swapped axis": ("parts[(slice(None), *k)]", "parts[(slice(None), *k[::-1])]"),
    "a dropped tap": ("in np.ndindex(windows.kernel):", "in list(np.ndindex(windows.kernel))[1:]:"),
    "a wrong crop": ("dx[images] = inside", "dx[images] = scattered[tuple(slice(s) for s in inside.shape)]"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_conv_backward_fails_the_quick_tests_with_its_clause(slip: str, tmp_path: Path) -> None:
    right, wrong = SLIPS[slip]
    shutil.copytree(PACKAGE, tmp_path / "reference_cnn", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "spec", tmp_path / "spec")
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__", "catalogue"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = tmp_path / "reference_cnn" / "conv.py"
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    tests = [f"tests/test_{name}.py" for name in ("loops", "adjoint")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "HYPOTHESIS_PROFILE": "mutation"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 1
    report = run.stdout.partition("- Clauses -")[2]
    # That of dx, which all three make wrong; whichever test is the first to fail, in random order.
    assert "\nCONV-B1 (conv.md)\n**" in report
