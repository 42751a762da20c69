"""The kill matrix: every mistake has a case that shows it and one that tells it from every other."""

import math

import numpy as np
import pytest
from kill_matrix import kills, table, written
from paths import paths
from test_mistakes import SILENT

from reference_cnn._validate import Array
from reference_cnn.oracle.call import Call, Effort, numpy_draw
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.shapes import calls

# Nothing is drawn: the fixed cases alone.
FIXED, NOTHING = Effort(0, 0, 0), numpy_draw(0)


@pytest.mark.spec("ORC-D8")
@pytest.mark.parametrize("function", LAYERS)
def test_cases_show_mistakes_and_tell_them_apart(function: str) -> None:
    found = kills(function)
    names = list(dict.fromkeys(found.names))
    unseen = {name for name in names if not found.of(name).any()}
    assert unseen <= {name for name, dtypes in SILENT.items() if "float64" in dtypes}
    seen = [name for name in names if name not in unseen]
    assert [(a, b) for k, a in enumerate(seen) for b in seen[:k] if found.same(a, b)] == []
    # Here, since what became of all mistakes of a function is found out once in a process.
    assert written()[function] == table(found), "the page is out of date: nox -s kills"


@pytest.mark.spec("ORC-D8")
def test_the_page_has_every_function_once() -> None:
    assert list(written()) == list(LAYERS)


@pytest.mark.spec("ORC-D8")
@pytest.mark.parametrize("family", dict.fromkeys(layer.family for layer in LAYERS.values()))
def test_no_fixed_case_shows_only_what_another_does(family: str) -> None:
    """Another stands for it that takes all its paths, shows and tells apart all it does, and asks for no more."""
    needed: dict[Call, bool] = {}
    for function in (name for name, layer in LAYERS.items() if layer.family == family):
        fixed = [(call, paths(call), *_told(function, call)) for call in calls(function, NOTHING, 2, "float64", FIXED)]
        for call, taken, shown, told in fixed:
            others = [o for o in fixed if o[0] is not call and _asks_for_no_more(o[0], call) and taken <= o[1]]
            stands = any((shown <= o[2]).all() and (told <= o[3]).all() for o in others)
            # With a bias and without, of z or of a, it is the same call.
            plain = call.without_bias()._replace(shapes=tuple(("", s) for name, s in call.shapes if name != "b"))
            needed[plain] = needed.get(plain, False) or not stands
    # It is enough if one function of the family needs it.
    assert [call for call, need in needed.items() if not need] == []


def _asks_for_no_more(one: Call, other: Call) -> bool:
    """Whether a call has no feature that the other lacks, and no more numbers: what is small is easily read."""
    mine, theirs = (sum(math.prod(shape) for _, shape in call.without_bias().shapes) for call in (one, other))
    return one.features <= other.features and mine <= theirs


def _told(function: str, call: Call) -> tuple[Array, Array]:
    """Which ways of being wrong a call shows, and which two of them it tells apart."""
    found = kills(function)
    asked = [k for k, case in enumerate(found.asked) if case.call == call]
    prints = found.prints[:, asked]
    return np.asarray(found.shown[:, asked].any(axis=1)), np.asarray((prints[:, None] != prints[None]).any(axis=2))
