"""Which test is evidence for which clause: read from the markers, checked by test_traceability, written into the spec.

`python tests/traceability.py --write` writes the status matrix of spec/README.md anew.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLAUSE = re.compile(r"^### ([A-Z]+-[DCFBN]\d+)$", re.MULTILINE)
CITED = re.compile(r"\b([A-Z]{3,5}-[DCFBN]\d+)\b")
START, END = "<!-- matrix, written by nox -s matrix -->", "<!-- end of matrix -->"

# The rungs of the evidence, and the test files that stand on each.
RUNGS = {
    "article": ["test_article_numbers", "test_errata"],
    "loops": ["test_loops"],
    "libraries": [
        *("test_scipy", "test_sigmoid_range", "test_onnx", "test_keras", "test_torch", "test_mnist"),
        *("test_trajectory", "test_invitations", "test_targets", "deviations_onnx"),
        "whole_mnist",
    ],
    "differences": ["test_differences", "test_article"],
    "algebra": ["test_adjoint", "test_symbolic"],
    "behaviour": [
        *("test_arrays", "test_bad_input", "test_gradcheck", "test_bounds", "test_cases", "test_oracle", "test_cli"),
        *("test_windows", "test_judge"),
        *("test_protocol", "test_isolation", "test_implementations", "test_mistakes", "test_diagnose"),
        *("test_oracle_invitations", "test_offers", "test_purity", "test_special", "test_layout", "test_html"),
        *("test_vectors", "test_vector_mistakes", "test_vector_readers", "test_workers", "test_dask"),
        *("test_normwise", "test_organised", "test_orders", "test_in_other_tests", "test_consistency", "test_patterns"),
        *("test_otherwise", "test_kill_matrix", "test_estimates", "test_fooled", "test_combined", "test_conditions"),
        *("test_loops_pass", "test_byte_order", "test_safety", "test_fuzz", "test_diagnose_steps", "test_evidence"),
        *("test_condition_words", "test_consistency_pairs", "test_consistency_words", "test_readings", "test_report"),
        *("test_gradcheck_arguments", "test_arranged"),
    ],
}


def clauses() -> dict[str, str]:
    """Every clause of the specification and the file that it is in."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "spec").glob("*.md")):
        for clause in CLAUSE.findall(path.read_text(encoding="utf-8")):
            assert clause not in found, f"{clause} is in {found[clause]} and {path.name}"
            found[clause] = path.name
    return found


def marked() -> Iterator[tuple[str, str, str]]:
    """Yield test file, test and clause for every `@pytest.mark.spec`."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.spec":
                        for argument in mark.args:
                            yield path.stem, node.name, ast.literal_eval(argument)


def cited() -> Iterator[tuple[str, str]]:
    """Yield file and clause for every clause that the package mentions, in messages and docstrings."""
    for path in sorted((ROOT / "reference_cnn").rglob("*.py")):
        for clause in CITED.findall(path.read_text(encoding="utf-8")):
            yield path.name, clause


def matrix() -> str:
    """The status matrix in Markdown: clauses by rungs, the number of tests in each."""
    counts: dict[tuple[str, str], int] = {}
    for file, _, clause in marked():
        rung = next(r for r, files in RUNGS.items() if file in files)
        counts[clause, rung] = counts.get((clause, rung), 0) + 1
    lines = [f"| clause | {' | '.join(RUNGS)} |", "|---" * (len(RUNGS) + 1) + "|"]
    for clause, file in clauses().items():
        cells = [str(counts.get((clause, rung), "")) for rung in RUNGS]
        lines.append(f"| [{clause}]({file}#{clause.lower()}) | {' | '.join(cells)} |")
    return "\n".join(lines)


def written() -> str:
    """What spec/README.md has between its marks."""
    text = (ROOT / "spec" / "README.md").read_text(encoding="utf-8")
    return text.split(START)[1].split(END)[0].strip()


if __name__ == "__main__" and "--write" in sys.argv:
    readme = ROOT / "spec" / "README.md"
    before, after = readme.read_text(encoding="utf-8").split(START)[0], readme.read_text(encoding="utf-8").split(END)[1]
    readme.write_text(f"{before}{START}\n{matrix()}\n{END}{after}", encoding="utf-8")
