"""What a function does besides answering is a finding, in this process and in another."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference_cnn.oracle import check
from reference_cnn.oracle.purity import KEEPS, LEAVES, MISREADS
from reference_cnn.oracle.words import more

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
    "written in rare calls": (
        "def conv_forward(x, w, b=None, *, padding=0):\n    z = r.conv_forward(x, w, b, padding=padding)\n"
        "    if w.shape[2:] == (5, 5):\n        w[...] = w[..., ::-1].copy()\n    return z\n",
        "it writes into w",
    ),
    "written where it is negative, in rare calls": (
        "def relu(z):\n    if z.shape == (2, 128):\n        z[z < 0] = 0\n"
        "        return z.copy()\n    return np.maximum(z, 0)\n",
        "it writes into z",
    ),
    "nothing to do": (
        "def relu(z):\n    return z if (z >= 0).all() else np.maximum(z, 0)\n",
        "its answer is a view of an argument",
    ),
    "overwritten": (
        "room = {}\n"
        "def sigmoid(z):\n    kept = room.setdefault(z.shape, np.empty(z.shape))\n"
        "    kept[...] = r.sigmoid(z)\n    return kept\n",
        "a later call overwrites what it returned before",
    ),
    "written with groups alone": (
        "def conv_forward(x, w, b=None, *, groups=1):\n    z = r.conv_forward(x, w, b, groups=groups)\n"
        "    if groups > 1 and w.shape[1] > 1:\n        w[...] = 0\n    return z\n",
        "it writes into w",
    ),
    "written with three axes": (
        "def softmax(z):\n    a = r.softmax(z)\n    if z.ndim > 2:\n        z[...] = 0\n    return a\n",
        "it writes into z",
    ),
    "reshaped": (
        "def conv_forward(x, w, b=None):\n    z = r.conv_forward(x, w, b)\n"
        "    if b is not None:\n        b.shape = (1, -1)\n    return z\n",
        "it changes the shape of b",
    ),
    "overwritten by turns": (
        "rooms = {}\n"
        "def sigmoid(z):\n    kept = rooms.setdefault(z.shape, [np.empty(z.shape) for _ in range(8)])\n"
        "    kept.append(kept.pop(0))\n    kept[0][...] = r.sigmoid(z)\n    return kept[0]\n",
        "a later call overwrites what it returned before",
    ),
    "kept of the same images": (
        "known = {}\n"
        "def dense_forward(x, w, b=None):\n    key = x.tobytes(), w.shape\n"
        "    if key not in known:\n        known.clear()\n        known[key] = x @ w\n"
        "    return known[key] if b is None else known[key] + b\n",
        "given the same arrays with other numbers in w alone",
    ),
    "kept of the same first image": (
        "known = {}\n"
        "def max_pool_backward(dy, x, window):\n    key = dy.tobytes(), x[0].tobytes(), x.shape\n"
        "    if key not in known:\n        known.clear()\n        known[key] = r.max_pool_backward(dy, x, window)\n"
        "    return known[key].copy()\n",
        "given the same arrays with other numbers in x alone",
    ),
    "packed": (
        "def dense_forward(x, w, b=None):\n"
        "    flat = np.lib.stride_tricks.as_strided(x, (x.size,), (x.itemsize,), writeable=False)\n"
        "    return r.dense_forward(flat.reshape(x.shape), w, b)\n",
        "given arrays that are not packed",
    ),
    "packed rows": (
        "def dense_forward(x, w, b=None):\n"
        "    if x.strides[1] == x.itemsize:\n"
        "        strides = x.itemsize * x.shape[1], x.itemsize\n"
        "        x = np.lib.stride_tricks.as_strided(x, x.shape, strides, writeable=False)\n"
        "    return r.dense_forward(x, w, b)\n",
        "given arrays whose rows lie apart",
    ),
    "one array told by the other": (
        "def dense_forward(x, w, b=None):\n"
        "    if x.flags.c_contiguous and w.flags.f_contiguous:\n        w = w.T.reshape(w.shape)\n"
        "    return r.dense_forward(x, w, b)\n",
        "given arrays of which the first alone is not in Fortran's order",
    ),
    "the other array told by the one": (
        "def dense_forward(x, w, b=None):\n"
        "    if w.flags.c_contiguous and x.flags.f_contiguous:\n        x = x.T.reshape(x.shape)\n"
        "    return r.dense_forward(x, w, b)\n",
        "given arrays of which the first alone is in Fortran's order",
    ),
    "a kernel of 5": (
        "def conv_forward(x, w, b=None):\n"
        "    if w.shape[2:] == (5, 5) and not w.flags.c_contiguous:\n        w = w.T.reshape(w.shape)\n"
        "    return r.conv_forward(x, w, b)\n",
        "given arrays that are not packed",
    ),
    "channels last": (
        "def max_pool_forward(x, window):\n"
        "    last = x.transpose(0, 2, 3, 1)\n"
        "    x = last.reshape(x.shape) if last.flags.c_contiguous else x\n"
        "    return r.max_pool_forward(x, window)\n",
        "given arrays whose channels lie next to each other",
    ),
    "forwards": (
        "def relu(z):\n    return r.relu(z[..., ::-1] if z.strides[-1] < 0 < z.strides[0] else z)\n",
        "given arrays whose rows lie backwards",
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
    assert failures[0].diagnosis == (("written-input",) if words.startswith("it ") else ())
    assert more(failures[0]) == (["written-input"] if words.startswith("it ") else ["ORC-N2"])
    helps = KEEPS if words.startswith("given the same") else MISREADS if words.startswith("given") else LEAVES
    assert failures[0].remedy == helps


@pytest.mark.spec("ORC-N2")
@pytest.mark.parametrize("in_process", [True, False])
def test_a_view_of_an_argument_is_a_finding(in_process: bool, tmp_path: Path) -> None:
    file = tmp_path / "view.py"
    file.write_text("def avg_pool_forward(x, window):\n    return x\n")  # which a window of 1 allows
    failure = check(str(file), case="x=1x1x3 window=1", in_process=in_process).results["avg_pool_forward"].failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("purity", "its answer is a view of an argument")


@pytest.mark.spec("ORC-N2", "PROTO-C3")
@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("not z.flags.c_contiguous", "given arrays that are not packed, it ends with exit status 3"),
        ("calls == 75", "asked with other numbers, it ends with exit status 3"),
    ],
)
def test_whoever_dies_of_what_is_asked_besides_has_failed(when: str, words: str, tmp_path: Path) -> None:
    """And is not said to have overwritten an answer that its next process does not know."""
    file = tmp_path / "deadly.py"
    file.write_text(
        "import os\nimport numpy as np\ncalls = 0\n\n\ndef relu(z):\n    global calls\n    calls += 1\n"
        f"    if {when}:\n        os._exit(3)\n    return np.maximum(z, 0)\n"
    )
    result = check(str(file)).results["relu"]
    assert result.failure is not None
    assert (result.failure.kind, result.failure.finding) == ("crash", words)
    assert result.failed <= result.cases


@pytest.mark.spec("ORC-N2", "ORC-D6")
def test_what_is_done_to_numbers_that_are_not_negative_is_shown_and_asked_again_with_these() -> None:
    def view(z: Any) -> Any:
        return z if z.min() >= 0 and z.size == 6 else np.maximum(z, 0)

    result = check({"relu": view}, functions=["relu"]).results["relu"]
    failure = result.failure
    assert failure is not None
    assert failure.message == "given no number below 0, its answer is a view of an argument"
    assert failure.case.arguments["z"].min() >= 0
    again = check({"relu": view}, case=failure.case.text).results["relu"].failure
    assert again is not None
    assert again.message == failure.message
    # So many cases, however much is done in each.
    assert 0 < result.failed < result.cases
