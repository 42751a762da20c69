"""The way through the house: imports flow downwards only, and the layers need NumPy alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "reference_cnn"

# From the bottom to the top; a module imports nothing from its own row or from above it.
ROWS = [
    ["_validate"],
    ["_windows", "_pattern", "_differences", "_gradients"],
    ["activation", "conv", "dense", "pooling", "gradcheck", "explain", "skeletons"],
    ["loss"],
    [""],  # the package itself: the public names
    ["datasets", "article", "digits"],
    ["oracle.layers", "oracle.questions"],
    ["oracle.mistakes.entry"],
    [
        *("oracle.mistakes.geometry", "oracle.mistakes.conv_forward", "oracle.mistakes.bias_and_dtype"),
        *(f"oracle.mistakes.{m}" for m in ("general", "dense", "activation", "loss", "pooling", "tiles")),
    ],
    ["oracle.mistakes.pool_windows"],
    [*(f"oracle.mistakes.{m}" for m in ("conv_windows", "conv_backward", "conv_dx", "another"))],
    ["oracle.mistakes"],
    ["oracle.wire", "oracle.call", "oracle.sizes", "oracle.targets", "oracle.targets.ask"],
    ["oracle.fixed_convolutions", "oracle.fixed_poolings"],
    ["oracle.fixed_networks", "oracle.fixed_vectors"],
    ["oracle.windowed", "oracle.bounds", "oracle.notation", "oracle.targets.respond"],
    ["oracle.targets.guard", "oracle.targets.channel"],
    ["oracle.shapes", "oracle.targets.process"],
    [
        "oracle.numbers",
        "oracle.normwise",
        "oracle.special",
        *(f"oracle.targets.{t}" for t in ("loops", "article", "scipy", "torch", "jax", "operators")),
        *(f"oracle.targets.{t}" for t in ("remote", "serve", "layout")),
    ],
    ["oracle.judge", "oracle.markup", "oracle.influence"],
    ["oracle.words", "oracle.heatmap"],
    ["oracle.html", "oracle.text"],
    ["oracle.report", "oracle.purity", *(f"oracle.targets.{t}" for t in ("keras", "onnx", "onnxruntime"))],
    ["oracle.cases", "oracle.examples", "oracle.lookup"],
    [
        "oracle.shrink",
        "oracle.workers",
        "oracle.evidence",
        "oracle.conditions",
        *(f"oracle.vectors.{v}" for v in ("question", "flags", "refusals")),
    ],
    [
        "oracle.diagnose",
        "oracle.again",
        "oracle.offers",
        "oracle.vectors.tables",
        "oracle.vectors.exact",
    ],
    ["oracle.otherwise", "oracle.readings", "oracle.arranged", "oracle.consistency", "oracle.vectors.more_tables"],
    ["oracle.examine"],
    ["oracle.vectors"],
    ["oracle.run"],
    ["oracle"],
    ["training"],
    ["cli"],
    ["__main__"],
]
LEVEL = {f"reference_cnn.{name}".rstrip("."): level for level, row in enumerate(ROWS) for name in row}


def imports_of(path: Path) -> set[str]:
    """Modules of this package that a file imports when it runs (not those for the type checker)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{a.name}" for a in node.names} & set(LEVEL)
            found |= submodules or {node.module or ""}
    return {m for m in found if m.partition(".")[0] == "reference_cnn"}


def test_imports_flow_downwards() -> None:
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        assert name in LEVEL, f"{name} has no place in the house: give it one in {__file__}"
        for imported in imports_of(path):
            assert LEVEL[imported] < LEVEL[name], f"{name} imports {imported}, which is not below it"


def test_no_import_hides_in_a_function() -> None:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            assert not any(isinstance(n, ast.Import | ast.ImportFrom) for n in ast.walk(function)), path


def test_importing_the_package_loads_numpy_and_nothing_else() -> None:
    program = (
        "import sys, numpy; before = set(sys.modules); import reference_cnn; "
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert set(run.stdout.split()) - {"numpy"} == {"reference_cnn"}


@pytest.mark.parametrize("module", ["scipy", "onnx", "keras", "torch", "jax", "hypothesis"])
def test_the_oracle_needs_no_framework_and_hypothesis_only_for_what_is_wrong(module: str) -> None:
    program = f"import sys; import reference_cnn.cli; print('{module}' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert run.stdout == "False\n"


def test_the_gradient_check_is_there_when_it_is_asked_for_and_no_sooner() -> None:
    program = (
        "import sys, reference_cnn as r; print('reference_cnn.gradcheck' in sys.modules, hasattr(r, 'gradchek'), "
        "r.gradcheck.check_gradient is r.check_gradient, set(r.__all__) <= set(dir(r)), "
        "all(hasattr(r, name) for name in r.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True", "True", "True"]
