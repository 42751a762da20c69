"""Implementations in C and JavaScript pass, a mistake planted in one is found, skeletons are ready to be checked."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from reference_cnn import conv_forward
from reference_cnn.cli import main
from reference_cnn.oracle import check
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets.remote import reach

ROOT = Path(__file__).parents[1]
HERE, SKELETONS = ROOT / "tests" / "implementations", ROOT / "reference_cnn" / "skeletons"
OFFERED = ["conv_forward", "conv_backward", "dense_forward", "dense_backward", "sigmoid", "sigmoid_prime"]


def tool(name: str) -> str:
    """Find a compiler or an interpreter; where there is none CI fails, and others are told."""
    path = shutil.which(name)
    if path is None:
        missing = f"{name} is not installed: implementations in other languages are not tested"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    assert path is not None
    return path


def compiled(folder: Path, source: Path, *options: str) -> str:
    """Compile a program, with every warning an error, and return the target that runs it."""
    program = folder / f"{source.stem}{''.join(options)}"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", *options]
    subprocess.run([tool("cc"), *flags, "-o", str(program), str(source), "-lm"], check=True)
    return f"exec:{program}"


def implementation(language: str, folder: Path) -> str:
    if language == "C":
        return compiled(folder, HERE / "layers.c")
    return f"exec:{tool('node')} {HERE / 'layers.mjs'}"


@pytest.mark.spec("PROTO-D3", "PROTO-D4", "PROTO-D5", "ORC-D5")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("language", ["C", "JavaScript"])
def test_an_implementation_passes(language: str, dtype: str, tmp_path: Path) -> None:
    target = implementation(language, tmp_path)
    for functions, seed, rank in ((OFFERED, 0, 2), (OFFERED[:2], 1, 1), (OFFERED[:2], 2, 3)):
        report = check(target, functions=functions, dtype=dtype, seed=seed, rank=rank)
        assert report.passed, f"\n{report}"
        assert all(r.verdict == "pass" and not r.not_offered for r in report.results.values())


@pytest.mark.spec("PROTO-D4", "ORC-D3")
@pytest.mark.parametrize("language", ["C", "JavaScript"])
def test_a_dtype_that_it_does_not_know_is_not_offered(language: str, tmp_path: Path) -> None:
    report = check(implementation(language, tmp_path), dtype="bfloat16", functions=OFFERED)
    assert {r.verdict for r in report.results.values()} == {"missing"}


@pytest.mark.spec("PROTO-D5")
@pytest.mark.parametrize("language", ["C", "JavaScript"])
def test_special_values_cross(language: str, tmp_path: Path) -> None:
    target = reach(implementation(language, tmp_path))
    x = np.array([[[1, np.nan, 2, np.inf, 3, -np.inf, 1e-310]]])
    w = np.array([[[-1.0, 1e300]]])
    z = target.functions["conv_forward"](x, w, stride=2, padding=((0, 1),))
    target.close()
    with np.errstate(invalid="ignore", over="ignore"):
        assert np.array_equal(z, conv_forward(x, w, stride=2, padding=((0, 1),)), equal_nan=True)


def planted(language: str, folder: Path) -> str:
    """Return a target whose kernels are the wrong way round."""
    if language == "C":
        return compiled(folder, HERE / "layers.c", "-DFLIPPED")
    text = (HERE / "layers.mjs").read_text(encoding="utf-8")
    assert text.count("k * gap") == 1
    (folder / "flipped.mjs").write_text(text.replace("k * gap", "(kernel - 1 - k) * gap"), encoding="utf-8")
    return f"exec:{tool('node')} {folder / 'flipped.mjs'}"


@pytest.mark.spec("ORC-D6", "ORC-D8", "PROTO-D4")
@pytest.mark.parametrize("language", ["C", "JavaScript"])
def test_a_planted_mistake_is_named(language: str, tmp_path: Path) -> None:
    target = planted(language, tmp_path)
    report = check(target, functions=OFFERED)
    wrong = {n: r.failure for n, r in report.results.items() if r.verdict == "fail"}
    assert list(wrong) == ["conv_forward", "conv_backward"]
    for name, failure in wrong.items():
        assert failure is not None
        assert failure.diagnosis == ("flipped-kernel",)
        assert failure.case.size <= 6  # two pixels, two weights, and a bias or two errors
        assert f"reference-cnn check {shlex.quote(target)} --only {name}" in failure.reproduce


def parts(path: Path) -> tuple[str, str, str]:
    """What is above the layers, the layers, and what is below: the parts of every implementation."""
    text = path.read_text(encoding="utf-8")
    text = text[re.search(r"^(#include|const )", text, flags=re.MULTILINE).start() :]  # type: ignore[union-attr]  # it is there
    above, layers = re.split(r"^.*---- the layers.*\n", text, flags=re.MULTILINE)
    layers, below = re.split(r"^.*---- the protocol.*\n", layers, flags=re.MULTILINE)
    return above, layers, below


@pytest.mark.parametrize(("filled", "skeleton"), [("layers.c", "skeleton.c"), ("layers.mjs", "skeleton.js")])
def test_the_implementations_are_the_skeletons_filled_in(filled: str, skeleton: str) -> None:
    (above, mine, below), (given_above, empty, given_below) = parts(HERE / filled), parts(SKELETONS / skeleton)
    assert (above, below) == (given_above, given_below)
    assert mine != empty


@pytest.mark.spec("PROTO-D4", "ORC-D3", "ORC-D5")
@pytest.mark.parametrize("name", ["mine.py", "mine.c", "mine.js", "mine.mjs"])
def test_a_skeleton_is_ready_to_be_checked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", name]) == 0
    assert f"{name} is ready: fill in a function, then" in capsys.readouterr().out
    written = Path(name).read_text(encoding="utf-8")
    assert "@FILE@" not in written
    assert name in written
    targets = {".c": lambda: compiled(tmp_path, Path(name)), ".py": lambda: name}
    target = targets.get(Path(name).suffix, lambda: f"exec:{tool('node')} {name}")()
    assert main(["check", target, "--json", "report.json"]) == 1
    assert "Nothing could be judged yet: fill in a function and check again." in " ".join(
        capsys.readouterr().out.split()
    )
    results = json.loads(Path("report.json").read_text(encoding="utf-8"))["results"]
    assert {n: r["verdict"] for n, r in results.items()} == dict.fromkeys(LAYERS, "missing")
    assert main(["init", name]) == 2
    assert "exists and is left as it is" in capsys.readouterr().err
    assert Path(name).read_text(encoding="utf-8") == written


def test_init_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "mine.rs")]) == 2
    assert (
        "must end with one of .py, .c, .js, .mjs; other languages have `reference-cnn explain PROTO-D1`"
        in capsys.readouterr().err
    )
    assert main(["init", str(tmp_path / "no" / "mine.c")]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_skeleton_is_filled_in_by_hand(tmp_path: Path) -> None:
    """The way of somebody who starts with one function."""
    main(["init", str(tmp_path / "mine.js")])
    text = (tmp_path / "mine.js").read_text(encoding="utf-8")
    body = "return { a: { shape: z.shape, data: z.data.map((v) => 1 / (1 + Math.exp(-v))) } };"
    (tmp_path / "mine.js").write_text(
        text.replace("sigmoid({ z }) {\n    return null;", "sigmoid({ z }) {\n    " + body)
    )
    report = check(f"exec:{tool('node')} {tmp_path / 'mine.js'}")
    assert report.passed
    assert [n for n, r in report.results.items() if r.verdict == "pass"] == ["sigmoid"]
