"""The HTML report: complete, self-contained, small, and deaf to what a target would like to put into it."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference_cnn
from reference_cnn.cli import main
from reference_cnn.oracle import Report, check
from reference_cnn.oracle.heatmap import DARKEST, Entries, parts
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.markup import tag

VOID = {"meta"}
HOSTILE = "<script>alert(1)</script> \"quoted\" 'single' &amp; </style></title> <img src=x onerror=alert(1)>"
CHROMIUM = shutil.which("chromium")


class Document(HTMLParser):
    """A parsed page: every element with its attributes and the text in it; tags must close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(page)
        self.close()
        assert not self.open, f"not closed: {self.open[-1][0]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, {name: value or "" for name, value in attrs}, list[str]())
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, _, text in self.open:
            text.append(data)

    def texts(self, name: str, **attributes: str) -> list[str]:
        wanted = {k.rstrip("_"): v for k, v in attributes.items()}
        return ["".join(t) for n, a, t in self.elements if n == name and wanted.items() <= a.items()]

    @property
    def body(self) -> str:
        return self.texts("body")[0]


def last_column(dz: Any, x: Any, w: Any, **options: Any) -> Any:
    """A conv_backward that is wrong in the last column of dx, the further down the more."""
    right = reference_cnn.conv_backward(dz, x, w, **options)
    dx = np.array(right.dx, dtype=float)
    dx[..., -1] += 10.0 ** np.arange(dx.shape[-2])
    return dx, right.dw, right.db


@pytest.fixture(scope="module")
def report() -> Report:
    case = "x=2x1x4x3 w=1x1x2x2"
    target = {"conv_backward": last_column, "relu": reference_cnn.relu}
    judged = check(target, functions=["conv_backward"], case=case)
    others = check(target, functions=["relu", "softmax"], profile="quick")
    return replace(judged, results={**judged.results, **others.results})


def assert_harmless(document: Document) -> None:
    names = {name for name, _, _ in document.elements}
    assert names.isdisjoint({"script", "img", "iframe", "object", "link", "base", "form"})
    assert len(document.texts("title")) == len(document.texts("style")) == 1
    for _, attributes, _ in document.elements:
        assert not any(a.startswith("on") or a in ("src", "style", "srcdoc") for a in attributes)
        assert attributes.get("href", "#").startswith("#")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page about a target that tries whatever it can: its name, an exception, values, notes."""
    monkeypatch.chdir(tmp_path)
    Path("\"'><img src=x onerror=alert(2)>&.py").write_text(
        "import numpy as np\n"
        f"def relu(z):\n    raise RuntimeError({HOSTILE!r})\n"
        "def sigmoid(z):\n    raise RuntimeError('\\x00 \\x1b[31m \\u202e \\ud800')\n"
        "def softmax(z):\n    return np.full(z.shape, np.nan)\n"
    )
    only = [word for name in ("relu", "sigmoid", "softmax") for word in ("--only", name)]
    name = next(tmp_path.iterdir()).name
    assert main(["check", name, *only, "--profile", "quick", "--html", "report.html"]) == 1
    return tmp_path / "report.html"


@pytest.mark.spec("ORC-D12")
def test_what_a_target_says_is_text(hostile: Path, report: Report) -> None:
    page = hostile.read_text(encoding="utf-8")
    document = Document(page)
    assert_harmless(document)
    assert HOSTILE in document.body
    assert "\"'><img src=x onerror=alert(2)>&.py" in document.texts("h1")[0] + document.texts("title")[0]
    assert "� �[31m � �" in document.body
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e\ud800]", page)
    loud = {n: replace(r, notes=(HOSTILE,), not_offered=(HOSTILE,)) for n, r in report.results.items()}
    document = Document(replace(report, target=HOSTILE, results=loud).to_html())
    assert_harmless(document)
    assert document.texts("td").count(HOSTILE) == 2 * len(loud)
    assert document.texts("title") == [f"reference-cnn check {HOSTILE}"]


@pytest.mark.spec("ORC-D12")
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed; the test above parses the same page")
def test_a_browser_finds_the_same_page_and_nothing_to_complain_of(hostile: Path, tmp_path: Path) -> None:
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    log = ["--enable-logging=stderr", "--v=0", "--dump-dom"]
    command = [str(CHROMIUM), *options, *log, hostile.as_uri()]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=60)
    assert "CONSOLE" not in run.stderr
    document, written = Document(run.stdout), Document(hostile.read_text(encoding="utf-8"))
    assert_harmless(document)
    assert [name for name, _, _ in document.elements] == [name for name, _, _ in written.elements]
    assert document.body.strip() == written.body.strip()


@pytest.mark.spec("ORC-D12")
def test_it_needs_no_network_and_no_script(report: Report) -> None:
    page = report.to_html()
    assert_harmless(Document(page))
    assert not re.search(r"https?:|url\(|@import|javascript:", page)
    policies = [a["content"] for n, a, _ in Document(page).elements if n == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


@pytest.mark.spec("ORC-D12")
def test_it_says_what_the_terminal_says() -> None:
    report = check("article", profile="quick")
    document = Document(report.to_html())
    assert report.summary in document.texts("p")
    rows = document.texts("tr")
    for name, result in report.results.items():
        assert any(row.startswith(name) and result.verdict in row.lower() for row in rows)
        failure = result.failure
        (section,) = document.texts("section", id=name) if failure else [""]
        if failure:
            assert failure.diagnosis
            for said in (
                *(f"{failure.message} [{failure.clause}]", failure.case.text, failure.reproduce, "[ERR-D", "help: "),
                *(f"reference-cnn explain {failure.diagnosis[0]}", f"wrong in {result.failed} of {result.cases} cases"),
                *(f"{a.ravel()[0] + 0:.6g}" for a in failure.case.arguments.values()),
            ):
                assert said in section


@pytest.mark.spec("ORC-D12")
def test_many_numbers_are_folded_so_that_the_map_comes_first() -> None:
    def folded(case: str) -> bool:
        target = {"conv_forward": lambda *arrays: 0 * reference_cnn.conv_forward(*arrays)}
        document = Document(check(target, functions=["conv_forward"], case=case).to_html())
        return "Its numbers" in document.texts("summary")

    assert folded("x=1x1x9x22 w=1x1x2x2")
    assert not folded("x=1x1x7x28 w=1x1x2x2")


@pytest.mark.spec("ORC-D12")
def test_where_the_smallest_case_is_a_single_entry_a_larger_one_has_the_map() -> None:
    judged = check({"conv_backward": last_column}, profile="quick")
    document = Document(judged.to_html())
    failure = judged.results["conv_backward"].failure
    assert failure is not None
    assert failure.right is not None
    assert failure.right.size == 1
    larger = failure.larger
    assert larger is not None
    assert larger.wrong is not None
    assert not larger.wrong[..., :-1].any()
    assert f"{larger.case.text}: {larger.message}." in document.body
    stars = [texts for name, attributes, texts in document.elements if name == "use"]
    assert len(stars) == 1 + larger.wrong.sum()
    # A loss is a single number in every case.
    loss = check({"squared_error": lambda o, y: 2 * reference_cnn.squared_error(o, y)}, functions=["squared_error"])
    assert "A larger case" not in Document(loss.to_html()).body
    # The case that is asked alone is the only one there is.
    document = Document(check({"conv_backward": last_column}, case="x=2x1x4x3 w=1x1x2x2").to_html())
    assert "A larger case" not in document.body


@pytest.mark.spec("ORC-D12")
def test_stars_and_readouts_are_those_of_the_entries(report: Report) -> None:
    failure = report.results["conv_backward"].failure
    assert failure is not None
    assert failure.answer is not None
    assert failure.right is not None
    document = Document(report.to_html())
    cells = document.texts("g", class_="cell")
    starred = document.texts("g", class_="cell", tabindex="0")
    assert len(cells) == 24
    assert len(document.texts("use")) == len(starred) == 8
    for index in np.ndindex(2, 1, 4, 3):
        verdict = "wrong" if index[-1] == 2 else "right"
        got, right = failure.answer[index], failure.right[index]
        said = f"dx{list(index)} is {verdict}got {got:.17g}expected {right:.17g}bound 0error ÷ bound: must be exact"
        assert (said in starred, said in cells) == (verdict == "wrong", True)
    assert len(document.texts("figcaption")) == 2 + 2 + 1 + 2 + 2 + 2  # dz, x, w, maps, your dx, right dx
    table = "".join(document.texts("table", class_="entries"))
    assert all(f"dx[{image}, 0, {row}, 2]" in table for image in (0, 1) for row in range(4))


@pytest.mark.spec("ORC-D12")
def test_colours_go_by_the_logarithm(report: Report) -> None:
    failure = report.results["conv_backward"].failure
    assert failure is not None
    entries = Entries.of(failure)
    assert entries is not None
    assert entries.level[0, 0].tolist() == [[0, 0, k] for k in range(1, DARKEST + 1)]
    assert "the larger the error, here from 1 to 1e+03" in entries.scale
    infinite = np.array(failure.answer)
    infinite[0, 0, 0, 2] = np.inf
    entries = Entries.of(replace(failure, answer=infinite))
    assert entries is not None
    assert entries.level[0, 0, 0, 2] == DARKEST
    assert (entries.level[..., :2] == 0).all()


@pytest.mark.spec("ORC-D12")
def test_whatever_the_sizes_the_file_is_small_and_says_what_is_left_out() -> None:
    report = check({"relu": lambda z: z + 1e-9}, functions=["relu"], case="z=6x100x100")
    result = report.results["relu"]
    assert result.failure is not None
    assert result.failure.index is not None
    one, eighteen = report.to_html(), replace(report, results=dict.fromkeys(LAYERS, result)).to_html()
    assert max(len(one.encode()), len(eighteen.encode())) < 700_000
    for page, shown in ((one, 900), (eighteen, 49)):
        document = Document(page)
        assert f"{shown} of 60000 entries are shown." in document.body
        assert any(c.startswith(f"a{list(result.failure.index)} is wrong") for c in document.texts("g", class_="cell"))


@pytest.mark.parametrize("at", [(0, 0, 0), (1, 8, 99), (1, 3, 50)])
def test_parts_lie_around_an_entry_and_within_the_room(at: tuple[int, int, int]) -> None:
    first, *others = parts((2, 9, 100), 64, at)
    assert (first.outer, others) == ((at[0],), [])
    assert at[1] in first.rows
    assert at[2] in first.columns
    assert (first.rows[-1] < 9, first.columns[-1] < 100, len(first.rows), len(first.columns)) == (True, True, 8, 8)
    assert [p.outer for p in parts((2, 2, 2), 8, (1, 0, 0))] == [(0,), (1,)]


@pytest.mark.spec("ORC-D12")
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({"relu": lambda z: np.zeros((2, 0, 3))}, "your a has no entries: its shape is (2, 0, 3)."),
        ({"relu": lambda z: np.zeros((1,) * 20)}, "a has shape"),
        ({"squared_error": lambda o, y: 7.0}, "E[] is wrong"),
        ({"dense_backward": lambda dz, x, w: (dz @ w.T, x.T @ dz, 0 * dz.sum(axis=0) + 0.5)}, "db[0] is wrong"),
        ({"softmax": lambda z: 1j * z}, "a is complex: complex128"),
    ],
)
def test_answers_of_every_shape_have_a_page(target: dict[str, Any], said: str) -> None:
    document = Document(check(target, functions=list(target), profile="quick").to_html())
    assert said in document.body


def test_text_is_escaped_and_markup_is_not_escaped_twice() -> None:
    assert tag("b", "\x00\x1b\u202e\ud800\n") == f"<b>{4 * chr(0xFFFD)}\n</b>"
    inner = tag("b", "<&\"'>", title="\"'>")
    assert inner == '<b title="&quot;&#x27;&gt;">&lt;&amp;&quot;&#x27;&gt;</b>'
    assert tag("p", inner, "a", class_="x", aria_label="y") == f'<p class="x" aria-label="y">{inner}a</p>'
