"""What `nox -s docs` asks of the site that Sphinx has built, besides no warning.

`python tests/site_check.py FOLDER` checks that every link inside it leads somewhere, that it needs nothing from
elsewhere, and that every public name is described.
"""

import importlib
import inspect
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LISTED = ("reference_cnn", "reference_cnn.oracle")
WHOLE = ("reference_cnn.article", "reference_cnn.digits", "reference_cnn.datasets", "reference_cnn.explain")


class Page(HTMLParser):
    """The anchors of a page, the links that a reader may follow, and what the browser loads with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors = {"", "top"}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag != "a":
            self.loaded += [given[name] for name in ("href", "src") if given.get(name)]


def public_names() -> Iterator[str]:
    """Yield what the packages list, and what the documented modules define without an underscore."""
    for module in map(importlib.import_module, LISTED):
        yield from (f"{module.__name__}.{name}" for name in module.__all__)
    for module in map(importlib.import_module, WHOLE):
        for name, value in vars(module).items():
            defined = (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__
            if defined and not name.startswith("_"):
                yield f"{module.__name__}.{name}"


def problems(site: Path) -> Iterator[str]:
    """Yield what is wrong with a site, one sentence each."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        for where in page.links + page.loaded:
            url = urlsplit(where)
            there = (path.parent / unquote(url.path)).resolve() if url.path else path
            if url.scheme or url.netloc:
                if where in page.loaded and url.scheme != "data":
                    yield f"{path.name} loads {where}, and so cannot be read offline"
            elif not there.exists():
                yield f"{path.name} links to {where}, which is not there"
            elif there in pages and unquote(url.fragment) not in pages[there].anchors:
                yield f"{path.name} links to {where}, where there is no such anchor"
    described = {anchor for page in pages.values() for anchor in page.anchors}
    for name in public_names():
        if name not in described:
            yield f"{name} is not described"


if __name__ == "__main__":
    sys.exit("\n".join(problems(Path(sys.argv[1]))) or None)
