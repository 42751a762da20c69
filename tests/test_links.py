"""Every link between the documents leads somewhere, and one that is named after a clause leads to that clause."""

import re
from collections.abc import Iterator
from pathlib import Path

import traceability

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "spec").glob("*.md")]


def links() -> Iterator[tuple[Path, str, str, str]]:
    """Yield document, words, file and anchor for every link that is not to another site."""
    for path in DOCUMENTS:
        text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for words, where in re.findall(r"\[([^]]*)\]\(([^)\s]+)\)", text):
            if "://" not in where:
                file, _, anchor = where.partition("#")
                yield path, words, file or path.name, anchor


def anchors(path: Path) -> set[str]:
    """The anchors that a forge makes from the headings: lower case, without punctuation, hyphens for blanks."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}


def test_every_link_leads_somewhere() -> None:
    found = list(links())
    assert len(found) > 100
    for path, _, file, anchor in found:
        there = path.parent / file
        assert there.exists(), f"{path.name} links to {file}"
        assert not anchor or anchor in anchors(there), f"{path.name} links to {file}#{anchor}"


def test_a_link_named_after_a_clause_leads_to_it() -> None:
    known = traceability.clauses()
    named = [link for link in links() if traceability.CITED.fullmatch(link[1])]
    assert len(named) > 100
    for path, words, file, anchor in named:
        assert (file, anchor) == (known[words], words.lower()), f"{path.name}: {words}"
