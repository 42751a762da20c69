"""Sphinx builds the site from the documents of the repository, which `nox -s docs` lays beside this file."""

import re
from pathlib import Path

from sphinx.application import Sphinx

import reference_cnn
from reference_cnn import oracle

project = "reference_cnn"
author = "The reference_cnn developers"
version = release = reference_cnn.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
root_doc = "README"
exclude_patterns = ["contents.md"]
nitpicky = True

html_theme = "furo"
html_title = f"reference_cnn {version}"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False

# Anchors as a forge makes them: conv.md#conv-f1.
myst_heading_anchors = 3
# A clause is a heading of the third level wherever it stands.
suppress_warnings = ["myst.header"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

HERE = Path(__file__).parent
PUBLIC = {name: f"{module.__name__}.{name}" for module in (reference_cnn, oracle) for name in module.__all__}
CLAUSE = re.compile(r"\b[A-Z]{3,5}-[DCFBN]\d+\b")
EXAMPLE_OR_CODE = re.compile(r"(>>> .*?(?=\n\s*\n|\Z)|`[^`]+`)", re.DOTALL)
CLAUSES = {
    clause: f"spec/{path.stem}.html#{clause.lower()}"
    for path in (HERE / "spec").glob("*.md")
    for clause in re.findall(r"^### ([A-Z]+-[DCFBN]\d+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
}


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the table of contents under the README; take out the blank line with which doctests end a block."""
    source[0] = source[0].replace("\n\n```\n", "\n```\n")
    if name == root_doc:
        source[0] += (HERE / "contents.md").read_text(encoding="utf-8")


def as_restructured_text(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text with `code` and examples: link the clauses, escape what Sphinx would read otherwise."""
    parts = EXAMPLE_OR_CODE.split("\n".join(lines))
    lines[:] = "".join(prose(p, i > 0) if i % 2 == 0 else code(p, obj) for i, p in enumerate(parts)).split("\n")


def code(text: str, obj: object) -> str:
    """An example as it is; `code` as a link if it is a public name, and not of obj's own, else as a literal."""
    name = text.strip("`")
    if text.startswith(">>>"):
        return text
    public = name in PUBLIC and name not in getattr(obj, "__annotations__", {})
    return f":py:obj:`~{PUBLIC[name]}`" if public else f"`{text}`"


def prose(text: str, behind_code: bool) -> str:
    """Plain text as reStructuredText, with each clause and each file of the specification as a link."""
    text = re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", text)
    text = CLAUSE.sub(lambda found: f"`{found[0]} <{CLAUSES[found[0]]}>`__", text)
    text = re.sub(r"\bspec/(\w+)\.md\b", r"`\g<0> <spec/\1.html>`__", text)
    return "\\ " * (behind_code and text[:1] not in " \n") + text


def without_addresses(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """A default that has no text of its own is left open."""
    return signature and signature.replace("<function <lambda>>", "…"), returns


def setup(app: Sphinx) -> None:
    """Connect them; docstrings are escaped before numpydoc reads them."""
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", as_restructured_text, priority=100)
    app.connect("autodoc-process-signature", without_addresses)
