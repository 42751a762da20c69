"""What a function does besides answering is a finding, in this process and in another."""

from pathlib import Path

import pytest

from reference_cnn.oracle import check

# What goes wrong, as the body of a file, and the words of the finding.
IMPURE = {
    "written": (
        "def conv_forward(x, w, b=None):\n    z = r.conv_forward(x, w, b)\n    x += 1\n    return z\n",
        "it writes into x",
    ),
    "rounded, which leaves whole numbers as they are": (
        "def dense_forward(x, w, b=None):\n    z = r.dense_forward(x, w, b)\n"
        "    x[...] = x.astype(np.float32)\n    return z\n",
        "it writes into x",
    ),
    "written upstream": (
        "def dense_backward(dz, x, w):\n    g = r.dense_backward(dz, x, w)\n    dz *= 0\n    return g\n",
        "it writes into dz",
    ),
    "result in an argument": (
        "def squared_error_prime(o, y):\n    return np.subtract(o, y, out=y)\n",
        "it writes into y",
    ),
    "overwritten": (
        "room = {}\n"
        "def sigmoid(z):\n    kept = room.setdefault(z.shape, np.empty(z.shape))\n"
        "    kept[...] = r.sigmoid(z)\n    return kept\n",
        "a later call overwrites what it returned before",
    ),
    "packed": (
        "def dense_forward(x, w, b=None):\n"
        "    flat = np.lib.stride_tricks.as_strided(x, (x.size,), (x.itemsize,), writeable=False)\n"
        "    return r.dense_forward(flat.reshape(x.shape), w, b)\n",
        "given arrays that are not packed",
    ),
    "the same numbers in another shape": (
        "def dense_forward(x, w, b=None):\n"
        "    z = r.dense_forward(x.copy(), w.copy(), b)\n"
        "    return z if x.flags.c_contiguous else z.reshape(z.shape[::-1])\n",
        "given arrays that are not packed, z has shape",
    ),
}


@pytest.mark.spec("ORC-N2")
@pytest.mark.parametrize("in_process", [True, False])
@pytest.mark.parametrize("name", IMPURE)
def test_a_side_effect_is_a_finding(name: str, in_process: bool, tmp_path: Path) -> None:
    body, words = IMPURE[name]
    file = tmp_path / "impure.py"
    file.write_text("import numpy as np\nimport reference_cnn as r\n" + body)
    failures = [r.failure for r in check(str(file), in_process=in_process).results.values() if r.failure]
    assert [words in f.message for f in failures] == [True]
    assert failures[0].kind in ("purity", "values", "shape")
    assert failures[0].diagnosis == (("written-input",) if "writes into" in words else ())


@pytest.mark.spec("ORC-N2")
@pytest.mark.parametrize("in_process", [True, False])
def test_a_view_of_an_argument_is_a_finding(in_process: bool, tmp_path: Path) -> None:
    file = tmp_path / "view.py"
    file.write_text("def avg_pool_forward(x, window):\n    return x\n")  # which a window of 1 allows
    failure = check(str(file), case="x=1x1x3 window=1", in_process=in_process).results["avg_pool_forward"].failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("purity", "its answer is a view of an argument")
