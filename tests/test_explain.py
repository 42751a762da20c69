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
    assert main(["explain", "xyzzy"]) == 2
    assert "ARR-…" in capsys.readouterr().err


def test_any_other_word_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "Padding"]) == 0
    said = capsys.readouterr().out
    clauses, mistakes = said.split("\n\n")[:2]
    assert clauses.startswith("Clauses\n")
    assert "\n  WIN-C3: Padding has one of the forms of WIN-D2" in clauses
    assert mistakes.startswith("Known mistakes\n")
    assert "\n  ignored-padding: You ignore the padding." in mistakes
    assert "flipped-kernel" not in said
    assert said.endswith("\n\nmore: reference-cnn explain ID\n")
    assert max(map(len, said.splitlines())) <= 80
    assert main(["explain", "unrotated"]) == 0  # in its name alone
    assert capsys.readouterr().out.startswith("Known mistakes\n  dx-unrotated: In dx you have the kernel the wrong way")
    assert main(["explain", "pool_forward"]) == 0
    assert capsys.readouterr().out.startswith("Functions\n  max_pool_forward\n  avg_pool_forward\n\nClauses\n")
    assert main(["explain", "conv"]) == 0
    said = capsys.readouterr().out
    assert [clause for clause in traceability.clauses() if clause.startswith("CONV-") and clause not in said] == []
    assert "w (F, C/g, *K)" in " ".join(said.split())
    # Whose letters are in everything, or in nothing but much like something.
    assert main(["explain", "pa"]) == 2
    assert main(["explain", "fliped-kernel"]) == 2
    assert "did you mean flipped-kernel?" in capsys.readouterr().err


def test_a_function_is_explained_by_its_clauses_and_its_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "softmax_backward"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("softmax_backward(da, a)\n\nGradient of an error E")
    assert f"\n\n{explain('ACT-B3')}\n\nKnown mistakes" in said
    assert "softmax-diagonal, softmax-unweighted" in said
    assert "sigmoid-sign" not in said
    for function in LAYERS:
        assert main(["explain", function]) == 0
