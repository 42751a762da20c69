"""How Hypothesis runs, and what a failure says.

Hypothesis has no deadlines, since exact arithmetic is slow; in CI it draws the same examples every time. Mutants
(tests/mutation) meet the same examples too, and nothing is gained by shrinking those that kill them.
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import Phase, settings

from reference_cnn.explain import clauses

settings.register_profile("explore", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile(
    "mutation", max_examples=20, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "explore"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the clauses that a test is evidence for to the report of its failure."""
    report = yield
    named = [clause for mark in item.iter_markers("spec") for clause in mark.args]
    if report.failed and named:
        text = clauses()
        report.sections.append(("Clauses", "\n\n".join(text.get(clause, clause) for clause in named)))
    return report
