"""Keras's own loaders, with files at hand in place of the download."""

import gzip
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference_cnn.datasets import article_images, load


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The article's images as the files that Keras downloads: an archive, and IDX files with headers of 16 and 8."""
    x, labels = article_images()
    images, y = (255 * x[:, 0]).round().astype(np.uint8), labels.astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", x_train=images[:150], y_train=y[:150], x_test=images[150:], y_test=y[150:])
    for name, part in (("train", slice(150)), ("t10k", slice(150, None))):
        for kind, header, array in (("images-idx3", 16, images), ("labels-idx1", 8, y)):
            with gzip.open(tmp_path / f"{name}-{kind}-ubyte.gz", "wb") as file:
                file.write(bytes(header) + array[part].tobytes())
    return tmp_path


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_what_keras_returns_is_understood(name: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def at_hand(fname: str, **options: Any) -> str:
        return str(files / fname)

    monkeypatch.setattr(importlib.import_module(f"keras.src.datasets.{name}"), "get_file", at_hand)
    x, labels = article_images()
    for examples, part in zip(load(name), (slice(150), slice(150, None))):
        assert np.array_equal(examples.x, x[part])
        assert np.array_equal(examples.labels, labels[part])
