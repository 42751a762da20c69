"""The figures of the walkthrough are what the functions give, and say in words what they show."""

from xml.etree import ElementTree

import figures
import pytest

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", figures.FIGURES)
def test_the_committed_figure_is_the_one_drawn(name: str) -> None:
    committed = (figures.FOLDER / f"{name}.svg").read_bytes().decode("utf-8")
    assert committed == figures.FIGURES[name](), "run `nox -s figures`"


def test_no_figure_is_left_over() -> None:
    assert {path.stem for path in figures.FOLDER.iterdir()} == set(figures.FIGURES)


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_is_described_and_readable_on_a_dark_page(name: str) -> None:
    root = ElementTree.fromstring(figures.FIGURES[name]())
    assert root.get("role") == "img"
    named = [root.find(f"{SVG}{tag}[@id='{i}']") for tag, i in (("title", "title"), ("desc", "description"))]
    assert root.get("aria-labelledby") == "title description"
    assert all(element is not None and element.text for element in named)
    assert "prefers-color-scheme: dark" in str(root.findtext(f"{SVG}style"))


def test_the_integer_difference_is_exact_and_the_others_are_not() -> None:
    assert [error for _, error in figures.integer_errors()] == [0, 0, 0, 0, 0]
    for quotient in (figures.one_sided, figures.central, figures.complex_step):
        assert min(error for _, error in figures.smooth_errors(quotient)) > 0
