"""No loose ends: every clause has a test, every test and message names a clause that exists."""

import traceability


def test_every_clause_has_a_test() -> None:
    tested = {clause for _, _, clause in traceability.marked()}
    assert set(traceability.clauses()) - tested == set()


def test_every_marker_names_a_clause() -> None:
    known = traceability.clauses()
    assert [m for m in traceability.marked() if m[2] not in known] == []


def test_every_message_and_docstring_cites_a_clause_that_exists() -> None:
    known = traceability.clauses()
    cited = list(traceability.cited())
    assert len(cited) > 50
    assert [c for c in cited if c[1] not in known] == []


def test_every_constraint_is_cited_in_the_package() -> None:
    cited = {clause for _, clause in traceability.cited()}
    constraints = {c for c in traceability.clauses() if "-C" in c}
    assert constraints - cited == set()


def test_every_test_file_stands_on_a_rung() -> None:
    files = {file for rung in traceability.RUNGS.values() for file in rung}
    assert {m[0] for m in traceability.marked()} <= files


def test_the_status_matrix_is_up_to_date() -> None:
    assert traceability.written() == traceability.matrix(), "run `nox -s matrix`"
