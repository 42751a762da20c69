"""The kill matrix: every mistake has a case that shows it and one that tells it from every other."""

import pytest
from kill_matrix import kills, matrix, written
from test_mistakes import SILENT

from reference_cnn.oracle.layers import LAYERS


@pytest.mark.spec("ORC-D8")
@pytest.mark.parametrize("function", LAYERS)
def test_cases_show_mistakes_and_tell_them_apart(function: str) -> None:
    found = kills(function)
    names = list(dict.fromkeys(found.names))
    unseen = {name for name in names if not found.of(name).any()}
    assert unseen <= {name for name, dtypes in SILENT.items() if "float64" in dtypes}
    seen = [name for name in names if name not in unseen]
    assert [(a, b) for k, a in enumerate(seen) for b in seen[:k] if found.same(a, b)] == []


@pytest.mark.spec("ORC-D8")
def test_the_page_is_up_to_date() -> None:
    assert written() == matrix()
