"""Clauses of the specification by their id."""

import re
from pathlib import Path

# In a checkout the specification lies beside the package, in an installed package inside it.
FOLDERS = (Path(__file__).parent / "spec", Path(__file__).parents[1] / "spec")


class UnknownClauseError(ValueError):
    """There is no clause of this id; the message names those that start alike."""


def explain(clause: str) -> str:
    """Return a clause of the specification, in Markdown.

    Raises
    ------
    UnknownClauseError
        There is no such clause (a ValueError).

    Examples
    --------
    >>> print(explain("DENSE-C3"))
    DENSE-C3 (dense.md)
    **b, if given, is (n,).**
    - Otherwise: `ValueError`.
    - Source: this specification.
    """
    found = clauses()
    wanted = clause.strip("[] ").upper()
    if wanted not in found:
        alike = [c for c in found if c.partition("-")[0] == wanted.partition("-")[0]] or sorted(
            {c.partition("-")[0] + "-…" for c in found}
        )
        raise UnknownClauseError(f"explain: there is no clause {clause!r}; there are {', '.join(alike)}")
    return found[wanted]


def clauses() -> dict[str, str]:
    """All clauses by id."""
    folder = next(f for f in FOLDERS if f.is_dir())
    found = {}
    for path in sorted(folder.glob("*.md")):
        for part in re.split(r"^### ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name, _, body = part.partition("\n")
            body = re.split(r"^## ", body, maxsplit=1, flags=re.MULTILINE)[0]
            found[name] = f"{name} ({path.name})\n{body.strip()}"
    return found
