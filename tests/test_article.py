"""The article's network: its data, its shapes, its gradient, and its training."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image
from rich.console import Console

from reference_cnn import (
    article,
    check_gradient,
    cross_entropy,
    dense_backward,
    dense_forward,
    digits,
    sigmoid,
    training,
)
from reference_cnn.cli import main
from reference_cnn.datasets import article_images


@pytest.mark.spec("NET-D1")
def test_the_data_are_the_articles() -> None:
    x, labels = article_images()
    counts = np.bincount(labels)
    assert counts.tolist() == [21, 26, 20, 21, 21, 13, 19, 21, 15, 23]
    assert sorted(counts.tolist(), reverse=True) == [26, 23, 21, 21, 21, 21, 20, 19, 15, 13]
    y = article.binary(labels)
    assert (int((y == 0).sum()), int((y == 1).sum())) == (109, 91)
    assert (float(x.min()), float(x.max()), str(x.dtype)) == (0, 1, "float64")


@pytest.mark.spec("NET-F1", "NET-D2")
def test_every_shape_that_the_article_prints() -> None:
    x, _ = article_images()
    p = article.initialise(0)
    assert [v.shape for v in p] == [(3, 1, 5, 5), (3,), (1728, 1), (1,)]
    layers = article.forward(p, x)
    assert [v.shape for v in layers] == [(200, 3, 24, 24), (200, 3, 24, 24), (200, 1), (200, 1)]
    assert layers.z1.reshape(200, 3, -1).shape == (200, 3, 576)
    assert layers.a1.reshape(200, -1).shape == (200, 1728)
    assert [v.shape for v in article.backward(p, x, layers, np.zeros((200, 1)))] == [v.shape for v in p]
    assert np.array_equal(article.initialise(0).filters, p.filters)
    assert not np.array_equal(article.initialise(1).filters, p.filters)


@pytest.mark.spec("NET-F1", "NET-F2", "NET-B1")
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": ((1, 2), (0, 1))}])
def test_the_gradient_of_every_parameter(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((4, 1, 7, 6)), rng.integers(0, 2, (4, 1)).astype(float)
    p = article.initialise(0, filters=2, size=(7, 6), kernel=3, **options)

    def error(*values: Any) -> Any:
        return article.loss(article.forward(article.Parameters(*values), x, **options).o, y)

    def gradient(dE: Any, *values: Any) -> Any:
        q = article.Parameters(*values)
        return [dE * g for g in article.backward(q, x, article.forward(q, x, **options), y, **options)]

    found = check_gradient(error, gradient, p, names=p._fields)
    assert found.passed, found


@pytest.mark.spec("NET-F3", "NET-B3")
def test_the_gradient_of_the_network_for_digits() -> None:
    rng = np.random.default_rng(1)
    x, labels = rng.standard_normal((3, 1, 6, 5)), np.array([0, 3, 1])
    p = digits.Parameters(*(v.astype(float) for v in digits.initialise(0, filters=2, classes=4, size=(6, 5))))
    p = p._replace(b1=p.b1 + 0.1, b2=p.b2 + 0.2)

    def error(*values: Any) -> Any:
        return cross_entropy(digits.forward(digits.Parameters(*values), x).z3, labels)

    def gradient(dE: Any, *values: Any) -> Any:
        q = digits.Parameters(*values)
        return [dE * g for g in digits.backward(q, x, digits.forward(q, x), labels)]

    found = check_gradient(error, gradient, p, names=p._fields)
    assert found.passed, found


@pytest.mark.spec("NET-B2")
def test_a_step_uses_the_values_before_it() -> None:
    p, g = (article.Parameters(*(np.full(s, v) for s in ((1, 1, 1, 1), 1, (1, 1), 1))) for v in (3.0, 4.0))
    assert all((v == 1).all() for v in article.step(p, g, 0.5))
    assert all((v == 3).all() for v in p)


@pytest.mark.spec("NET-B1", "NET-B2")
def test_it_learns_and_so_does_one_with_frozen_filters() -> None:
    x, labels = article_images()
    y, p = article.binary(labels), article.initialise(0)
    losses = [e.loss for e in article.train(p, x, y, epochs=40)]
    assert (np.diff(losses) < 0).all()
    frozen = [article.loss(article.forward(p, x).o, y)]
    q = p
    for _ in range(39):
        q = article.step(q, article.backward(q, x, article.forward(q, x), y), 0.0003)._replace(
            filters=p.filters, b1=p.b1
        )
        frozen.append(article.loss(article.forward(q, x).o, y))
    assert (np.diff(frozen) < 0).all()  # so a falling loss is no evidence for the gradient of the filters


ROOT = Path(__file__).parents[1]
STATED = [ROOT / "README.md", ROOT / "spec" / "network.md", ROOT / "spec" / "walkthrough.md"]


def test_the_figures_that_are_stated() -> None:
    # On one thread: several on busy cores wait for each other many times longer than they compute.
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "reference_cnn", "train"]
    printed = subprocess.run(command, capture_output=True, encoding="utf-8", env=alone, check=True).stdout
    found = re.search(r"epoch 500: loss (\S+), accuracy (\S+)%\n$", printed)
    assert found
    for path in STATED:
        text = path.read_text(encoding="utf-8")
        assert re.search(f"loss (of )?{found[1]}|falls at every step, to {found[1]}", text), path
        assert f"{found[2]} %" in text, path


def test_the_figure_for_frozen_filters_that_is_stated() -> None:
    x, labels = article_images()
    y, p = article.binary(labels), article.initialise(0)
    # Filters that do not move give the same features at every step.
    features, w, b, losses = article.forward(p, x).a1.reshape(len(x), -1), p.weights, p.b2, []
    for _ in range(500):
        o = sigmoid(dense_forward(features, w, b))
        losses.append(article.loss(o, y))
        gradients = dense_backward((o - y) * o * (1 - o), features, w)
        w, b = w - 0.0003 * gradients.dw, b - 0.0003 * gradients.db
    assert (np.diff(losses) < 0).all()
    assert all(f"to {losses[-1]:.4f}" in path.read_text(encoding="utf-8") for path in STATED)


def test_train_prints_plots_saves_and_repeats_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot, save = tmp_path / "plot.png", tmp_path / "p.npz"
    arguments = ["train", "--epochs", "20", "--filters", "2", "--seed", "3"]
    assert main([*arguments, "--plot", str(plot), "--save", str(save)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("loss") == 10
    last = [f"parameters saved in {save}", f"plot drawn in {plot}"]
    assert printed.splitlines()[-2:] == last
    assert printed.splitlines()[-3].startswith("epoch 20: loss ")
    assert plot.read_bytes().startswith(b"\x89PNG")
    with np.load(save) as file:
        assert {n: file[n].shape for n in file} == {
            "filters": (2, 1, 5, 5),
            "b1": (2,),
            "weights": (1152, 1),
            "b2": (1,),
        }
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == printed.splitlines()[:-2]


def test_a_single_epoch_can_be_seen_in_the_plot(tmp_path: Path) -> None:
    assert main(["train", "--epochs", "1", "--filters", "1", "--plot", str(tmp_path / "plot.png")]) == 0
    picture = image.imread(tmp_path / "plot.png")
    curves = picture[: picture.shape[0] * 2 // 5, :, :3]
    blue = np.abs(curves - np.array([31, 119, 180]) / 255).max(axis=2) < 0.02
    assert min(blue[:, :600].sum(), blue[:, 600:].sum()) > 20


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """The article's images as a training and a test set in Keras's form."""
    x, labels = article_images()
    images, path = (x[:, 0] * 255).astype(np.uint8), tmp_path / "small.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50])
    return path


def test_ten_classes_from_a_file(small_set: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    options = ["--classes", "10", "--filters", "4", "--epochs", "10"]
    assert main(["train", "--data", str(small_set), *options, "--plot", str(plot)]) == 0
    found = re.search(r"^test set of 50 images: accuracy (\S+)%$", capsys.readouterr().out, flags=re.MULTILINE)
    assert found
    assert float(found[1]) > 60  # ten epochs of four batches: far above the tenth of guessing
    assert plot.exists()
    assert main(["train", "--data", str(small_set), "--epochs", "1"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "10"], "--classes 10 wants more images: give --data"),
        (["--data", "absent.npz"], "absent.npz does not exist; give an .npz file with x_train"),
        (["--save", "no/folder/p.npz"], "is no folder to write p.npz to"),
    ],
)
def test_train_says_what_is_missing(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_interrupted_it_saves_what_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, save = article.train, tmp_path / "p.npz"

    def interrupted(*arguments: Any, **options: Any) -> Iterator[article.Epoch]:
        yield from islice(plain(*arguments, **options), 3)
        raise KeyboardInterrupt  # as Ctrl-C does

    monkeypatch.setattr(article, "train", interrupted)
    assert main(["train", "--filters", "1", "--save", str(save)]) == 0
    assert "interrupted after 3 of 500 epochs\nepoch 3: loss" in capsys.readouterr().out
    x, labels = article_images()
    third = list(plain(article.initialise(0, filters=1), x, article.binary(labels), epochs=3))[-1]
    with np.load(save) as file:
        assert np.array_equal(file["filters"], third.parameters.filters)


def test_interrupted_within_an_epoch_it_saves_the_batches_that_are_done(
    small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, save, seen = digits.train, tmp_path / "p.npz", []

    def interrupted(*arguments: Any, watch: Any, **options: Any) -> Iterator[digits.Epoch]:
        def count(done: float, epoch: digits.Epoch) -> None:
            watch(done, epoch)
            seen.append(epoch)
            if len(seen) == 6:
                raise KeyboardInterrupt

        return plain(*arguments, watch=count, **options)

    monkeypatch.setattr(digits, "train", interrupted)
    arguments = ["--classes", "10", "--data", str(small_set), "--epochs", "3"]
    assert main(["train", *arguments, "--save", str(save), "--plot", str(tmp_path / "plot.png")]) == 0
    # 200 images are four batches of 64, the last of 8; the second epoch is half done.
    assert "interrupted after 1.5 of 3 epochs\nepoch 2: loss" in capsys.readouterr().out
    assert [e.number for e in seen] == [1, 1, 1, 1, 2, 2]
    assert 0 < seen[-1].accuracy < 1
    with np.load(save) as file:
        assert all(np.array_equal(file[name], value) for name, value in seen[-1].parameters._asdict().items())


def test_what_the_batches_are_told_is_what_the_epoch_says() -> None:
    x, labels = article_images()
    told: list[tuple[float, digits.Epoch]] = []
    start = digits.initialise(0, filters=2)
    epochs = list(digits.train(start, x, labels, seed=0, epochs=2, watch=lambda *what: told.append(what)))
    assert [done for done, _ in told] == [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
    first = np.random.default_rng(0).permutation(200)[:64]
    z = digits.forward(start, x[first]).z3
    assert told[0][1].loss == float(cross_entropy(z, labels[first])) / 64
    assert told[0][1].accuracy == (z.argmax(axis=1) == labels[first]).mean()
    for epoch, (_, last) in zip(epochs, told[3::4]):
        assert (last.number, last.loss, last.accuracy) == (epoch.number, epoch.loss, epoch.accuracy)


def test_the_bar_leaves_room_for_what_ctrl_c_echoes_and_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, width=80, height=24, legacy_windows=False, file=io.StringIO())
    monkeypatch.setattr(training, "Console", lambda: terminal)
    steps = [article.Epoch(n, 10000.0, 1.0, article.initialise(0)) for n in range(1, 501)]
    monkeypatch.setattr(article, "train", lambda *arguments, **options: iter(steps))
    assert main(["train"]) == 0
    assert isinstance(terminal.file, io.StringIO)
    drawn = terminal.file.getvalue()
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn))
    assert any("500/500 loss" in line for line in lines)
    assert max(map(len, lines)) <= 80 - len("^C")
    assert "nan" not in drawn
    *_, after_bar = drawn.split("500/500")
    assert "\x1b[1A\x1b[2K" in after_bar  # one line up, and erased
