"""The mutants of a module. mutmut makes them; here they get a name that outlives edits elsewhere in the file."""

import ast
import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "reference_cnn"


@dataclass(frozen=True)
class Mutant:
    """One small change to one module: its text afterwards, where it is, and the lines before and after.

    `function` is the function or method that contains it, "" outside of all; `lines` are those of the changed
    statement, whose execution any test must reach that is to notice.
    """

    module: str
    function: str
    before: str
    after: str
    number: int
    lines: tuple[int, int]
    source: str

    @property
    def key(self) -> str:
        """Its name: module, function, the change, and a number where one change is possible in several places."""
        count = f" #{self.number}" if self.number else ""
        return f"{self.module}:{self.function}: {self.before} → {self.after}{count}"


class _Visitor(MutationVisitor):
    """mutmut leaves out decorated functions, since it keeps all mutants in one file; here each has its own."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef) and node.decorators:
            return False
        return bool(super()._skip_node_and_children(node))


@cache
def mutants(module: str) -> list[Mutant]:
    """The mutants of a module of the package, named by its path without the suffix."""
    code = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(code))
    visitor = _Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    positions = wrapper.resolve(PositionProvider)
    statements, seen = list(_statements(ast.parse(code))), Counter[tuple[str, str, str]]()
    # Only the top-level statement with the change in it is written anew: a file has hundreds of mutants.
    module_node = wrapper.module
    pieces = [module_node.code_for_node(part) for part in (*module_node.header, *module_node.body, *module_node.footer)]
    assert "".join(pieces) == code
    within = {id(n): k for k, part in enumerate(module_node.body, len(module_node.header)) for n in _walk(part)}
    found = []
    for mutation in visitor.mutations:
        place = within[id(mutation.original_node)]
        part = module_node.body[place - len(module_node.header)]
        changed = module_node.code_for_node(part.deep_replace(mutation.original_node, mutation.mutated_node))
        line = positions[mutation.original_node].start.line
        function, lines = next((f, s) for f, s in statements if s[0] <= line <= s[1])
        change = (function, *_change(pieces[place], changed))
        found.append(
            Mutant(module, *change, seen[change], lines, "".join([*pieces[:place], changed, *pieces[place + 1 :]]))
        )
        seen[change] += 1
    return found


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _statements(tree: ast.Module) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield every statement's function and lines, the innermost first; of a compound one but a function the head."""

    def walk(node: ast.AST, path: str, function: str) -> Iterator[tuple[str, tuple[int, int]]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            path = f"{path}.{node.name}".lstrip(".")
            # A function inside a function is a part of it.
            function = function or (path if isinstance(node, ast.FunctionDef) else "")
        for child in ast.iter_child_nodes(node):
            yield from walk(child, path, function)
        if isinstance(node, ast.stmt):
            # A default takes effect where the function runs.
            body = None if isinstance(node, ast.FunctionDef) else getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno
            yield function, (node.lineno, last or node.lineno)

    yield from walk(tree, "", "")


def _change(before: str, after: str) -> tuple[str, str]:
    """The lines that differ, without indentation."""
    old: list[str] = []
    new: list[str] = []
    for line in list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0))[3:]:
        (old if line.startswith("-") else new).append(line[1:].strip())
    return " ".join(old), " ".join(new)
