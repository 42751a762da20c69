"""The formulas written as loops, which know nothing of the reference, pass everything that is asked."""

import pytest

from reference_cnn.oracle import check
from reference_cnn.oracle.cases import DTYPES


@pytest.mark.spec("ORC-D2", "ORC-D5", "RND-N1", "RND-N2", "RND-N4", "RND-D3")
@pytest.mark.parametrize("dtype", DTYPES)
def test_loops_pass(dtype: str) -> None:
    report = check("loops", dtype=dtype)
    assert {r.verdict for r in report.results.values()} == {"pass"}, f"\n{report}"
    assert all(0 <= r.worst <= 1 and not r.not_offered for r in report.results.values())
