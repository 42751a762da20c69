"""`reference-cnn explain`: every clause by its id."""

import pytest
import traceability

from reference_cnn.cli import main
from reference_cnn.explain import explain
from reference_cnn.oracle.layers import LAYERS


def test_every_clause_is_found_and_says_something() -> None:
    for clause, file in traceability.clauses().items():
        text = explain(clause)
        assert text.startswith(f"{clause} ({file})\n**")
        assert "\n#" not in text
        assert "- Source: " in text or clause.startswith("ERR"), f"{clause} does not say where it comes from"


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "[conv-c2]"]) == 0
    assert (
        capsys.readouterr().out
        == "CONV-C2 (conv.md)\n**w has C/g channels.**\n- Otherwise: `ValueError`.\n- Source: this specification.\n"
    )
    assert main(["explain", "CONV-X9"]) == 2
    assert "there is no clause 'CONV-X9'; there are CONV-D1, CONV-D2" in capsys.readouterr().err
    assert main(["explain", "nothing"]) == 2
    assert "ARR-…" in capsys.readouterr().err


def test_a_function_is_explained_by_its_clauses_and_its_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "softmax_backward"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("softmax_backward(da, a)\n\nGradient of an error E")
    assert f"\n\n{explain('ACT-B3')}\n\nKnown mistakes" in said
    assert "softmax-diagonal, softmax-unweighted" in said
    assert "sigmoid-sign" not in said
    for function in LAYERS:
        assert main(["explain", function]) == 0
