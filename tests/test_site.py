"""The check of the documentation site finds what is wrong with one; that Sphinx's is right is `nox -s docs`."""

import importlib
import inspect
from pathlib import Path

import pytest
import site_check

NAMES = "".join(f'<p id="{name}">' for name in site_check.public_names())


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<a href="there.html#here">', []),
        ('<a href="#top"><a href="https://example.org/">', []),
        ('<img src="data:image/png;base64,">', []),
        ('<a href="gone.html">', ["a.html links to gone.html, which is not there"]),
        ('<a href="there.html#gone">', ["a.html links to there.html#gone, where there is no such anchor"]),
        ('<img src="gone.svg">', ["a.html links to gone.svg, which is not there"]),
        (
            '<script src="https://example.org/x.js"></script>',
            ["a.html loads https://example.org/x.js, and so cannot be read offline"],
        ),
        ('<link href="//example.org/x.css">', ["a.html loads //example.org/x.css, and so cannot be read offline"]),
    ],
)
def test_a_site_is_whole(html: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(html + NAMES, encoding="utf-8")
    (tmp_path / "there.html").write_text('<p id="here">', encoding="utf-8")
    assert list(site_check.problems(tmp_path)) == expected


def test_every_public_name_is_described(tmp_path: Path) -> None:
    page = NAMES.replace('"reference_cnn.relu"', '""').replace('"reference_cnn.article.step"', '""')
    (tmp_path / "api.html").write_text(page, encoding="utf-8")
    expected = ["reference_cnn.relu is not described", "reference_cnn.article.step is not described"]
    assert list(site_check.problems(tmp_path)) == expected


def test_the_page_names_every_public_name_once() -> None:
    api = (Path(__file__).parents[1] / ".docs" / "api.md").read_text(encoding="utf-8")
    for name in site_check.public_names():
        module, _, short = name.rpartition(".")
        whole = f".. automodule:: {module}\n   :members:" in api
        assert whole + sum(line.endswith(f":: {short}") for line in api.splitlines()) == 1, name


def test_every_public_name_has_a_docstring_and_every_listed_function_an_example() -> None:
    for name in site_check.public_names():
        module, _, short = name.rpartition(".")
        value = getattr(importlib.import_module(module), short)
        documentation = value.__doc__ or ""
        # A dataclass or a named tuple without a docstring of its own gets its signature for one.
        assert documentation, name
        assert not documentation.startswith(f"{short}("), name
        assert ">>>" in documentation or inspect.isclass(value) or module in site_check.WHOLE, name
