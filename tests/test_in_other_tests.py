"""In other people's tests: the examples of spec/verdict.md run as they are printed, under pytest and under unittest."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

VERDICT = Path(__file__).parents[1] / "spec" / "verdict.md"
EXAMPLES = dict(zip(("pytest", "unittest"), re.findall(r"```python\n(.*?)```", VERDICT.read_text("utf-8"), re.DOTALL)))
RIGHT = "from reference_cnn import conv_forward as my_conv_forward\n"
# Wrong for all but square kernels.
WRONG = """
from reference_cnn import conv_forward

def my_conv_forward(x, w, b=None, **options):
    return conv_forward(x, w.swapaxes(2, 3) if w.shape[2] == w.shape[3] else w, b, **options)
"""
RUNNERS = {
    "pytest": ["pytest", "-q", "-p", "no:cacheprovider", "-x", "test_mine.py"],
    "unittest": ["unittest", "-f", "test_mine"],
}


@pytest.mark.spec("ORC-D1")
@pytest.mark.parametrize("runner", RUNNERS)
def test_the_examples_run_and_fail_with_the_whole_message(runner: str, tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(EXAMPLES[runner])
    command = [sys.executable, "-m", *RUNNERS[runner]]

    def run(layers: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "my_layers.py").write_text(layers)
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # plugins take longer than the tests
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
        )

    right = run(RIGHT)
    assert right.returncode == 0, right.stdout + right.stderr
    wrong = run(WRONG)
    said = wrong.stdout + wrong.stderr
    assert wrong.returncode == 1
    assert "z is wrong" in said
    assert "[CONV-F1]" in said
    assert "x=3x2x6x6 w=4x2x3x3" in said or re.search(r"w=\d+x\d+x(\d+)x\1", said)
