"""What `reference-cnn explain` finds for a word that is no id: what is written alike, and what says it."""

import difflib
from collections.abc import Mapping, Sequence

from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import MISTAKES
from reference_cnn.oracle.text import wrapped

# A shorter word is in everything.
SHORTEST = 3


def near(name: str, clauses: Sequence[str]) -> list[str]:
    """Ids of clauses and mistakes that are written much like `name`."""
    ids = {i.lower(): i for i in (*clauses, *MISTAKES)}
    return [ids[i] for i in difflib.get_close_matches(name.lower(), ids, n=3, cutoff=0.7)]


def about(word: str, clauses: Mapping[str, str]) -> str:
    """The functions, clauses and mistakes that a word is in, each in one sentence; "" where there is none."""
    wanted = word.lower()
    if len(wanted) < SHORTEST:
        return ""
    functions = {name: "" for name in LAYERS if wanted in name}
    sentences = {clause: _sentence(text) for clause, text in clauses.items()}
    governing = {c: s for c, s in sentences.items() if wanted in (c.lower().partition("-")[0]) or wanted in s.lower()}
    mistakes = {m.id: m.diagnosis for m in MISTAKES.values() if wanted in m.id or wanted in m.diagnosis.lower()}
    found = {"Functions": functions, "Clauses": governing, "Known mistakes": mistakes}
    parts = [f"{title}\n{_listed(entries)}" for title, entries in found.items() if entries]
    return "\n\n".join([*parts, "more: reference-cnn explain ID"]) if parts else ""


def _sentence(clause: str) -> str:
    """What a clause says in bold, without Markdown's marks."""
    return clause.split("**")[1].replace("`", "").replace("\\*", "*")


def _listed(entries: Mapping[str, str]) -> str:
    paragraphs = (f"{name}: {said}" if said else name for name, said in entries.items())
    return "\n".join("\n    ".join(wrapped(f"  {p}", 76)) for p in paragraphs)
