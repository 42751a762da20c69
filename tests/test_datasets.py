"""Data from files and from Keras; a module that stands in for Keras returns what Keras's documentation says."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reference_cnn.cli import main
from reference_cnn.datasets import NAMES, DataError, article_images, load

NO_NETWORK = "URL fetch failure on https://example.org/set.npz: None -- [Errno -2] Name or service not known"


def _file(folder: Path, images: Any, labels: Any) -> str:
    np.savez(folder / "set.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return str(folder / "set.npz")


@pytest.mark.parametrize(("images", "labels", "words"), [
    (np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8), r"images of at least 5 × 5, are \(0, 28, 28\)"),
    (np.zeros((9, 28, 4), np.uint8), np.zeros(9, np.uint8), r"images of at least 5 × 5, are \(9, 28, 4\)"),
    (np.zeros((9, 28, 28), np.uint8), np.arange(2, 11), "labels must be integers from 0 to 9, are int64 from 2 to 10"),
    (np.zeros((2, 28, 28), np.uint8), np.array([0, -1]), "integers from 0 to 9, are int64 from -1 to 0"),
    (np.zeros((2, 28, 28), np.uint8), np.array([0, 0.5]), "integers from 0 to 9, are float64 from 0.0 to 0.5"),
])  # fmt: skip
def test_images_and_labels_that_no_network_here_can_learn(tmp_path: Path, images: Any, labels: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load(_file(tmp_path, images, labels))


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, content in enumerate((b"", b"PK\x03\x04", b"text")):
        (tmp_path / f"{number}.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"is no \.npz file with x_train, y_train"):
            load(str(tmp_path / f"{number}.npz"))
    assert main(["train", "--plot", str(tmp_path / "a.unknown")]) == 2
    assert "a.unknown must end with one of .eps" in capsys.readouterr().err


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """Two sets of other sizes in the form in which Keras keeps MNIST: images and labels of uint8."""
    x, labels = article_images()
    images, y = (255 * x[:, 0]).round().astype(np.uint8), labels.astype(np.uint8)
    np.savez(tmp_path / "small.npz", x_train=images[:150], y_train=y[:150], x_test=images[150:], y_test=y[150:])
    return tmp_path / "small.npz"


def keras_with(name: str, load_data: Callable[[], Any]) -> ModuleType:
    """A module like Keras, with one data set."""
    keras = ModuleType("keras")
    keras.__dict__["datasets"] = SimpleNamespace(**{name: SimpleNamespace(load_data=load_data)})
    return keras


@pytest.mark.parametrize("name", NAMES)
def test_keras_that_is_there(
    name: str, small_set: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load_data() -> Any:
        with np.load(small_set) as file:
            return (file["x_train"], file["y_train"]), (file["x_test"], file["y_test"])

    monkeypatch.setitem(sys.modules, "keras", keras_with(name, load_data))
    x, labels = article_images()
    training, test = load(name)
    for examples, part in ((training, slice(150)), (test, slice(150, None))):
        assert np.array_equal(examples.x, x[part])
        assert np.array_equal(examples.labels, labels[part])
        assert [str(a.dtype) for a in examples] == ["float64", "int64"]
    assert main(["train", "--data", name, "--classes", "10", "--epochs", "1", "--filters", "1"]) == 0
    assert "test set of 50 images: accuracy " in capsys.readouterr().out


def no_network() -> Any:
    raise Exception(NO_NETWORK)  # Keras raises no more specific one


def refused(module: str) -> Callable[[str], Any]:
    """Stand in for an import that fails because of this module."""

    def imported(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    return imported


@pytest.mark.parametrize("name", NAMES)
def test_keras_that_cannot_download(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "keras", keras_with(name, no_network))
    assert main(["train", "--data", name, "--classes", "10"]) == 2
    assert capsys.readouterr() == (
        "",
        f"reference-cnn: Keras could not download {name} ({NO_NETWORK}); give the path of an .npz file\n",
    )


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("keras", "comes with Keras: pip install 'reference_cnn[keras]', or give the path of an .npz file"),
        ("tensorflow", "which does not import (No module named 'tensorflow'): set KERAS_BACKEND=jax or what you have"),
    ],
)
def test_keras_that_does_not_import(
    missing: str, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib, "import_module", refused(missing))
    assert main(["train", "--data", "fashion_mnist", "--classes", "10"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert advice in err


def test_keras_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(DataError, match=r"^mnist comes with Keras: pip install 'reference_cnn\[keras\]'"):
        load("mnist")


def test_files_of_another_form_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", x_train=np.zeros(3))
    np.savez(tmp_path / "floats.npz", x_train=np.zeros((2, 4, 4)), y_train=[0, 1], x_test=np.zeros(1), y_test=[0])
    for name in ("text", "other"):
        with pytest.raises(DataError, match=rf"{name}\.npz is no \.npz file with x_train"):
            load(str(tmp_path / f"{name}.npz"))
    with pytest.raises(DataError, match=r"images must be .* of uint8"):
        load(str(tmp_path / "floats.npz"))
