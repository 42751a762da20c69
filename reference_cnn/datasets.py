"""Labelled images: the article's 200, and larger sets from files or from Keras; clauses NET, spec/network.md."""

import importlib
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from reference_cnn._validate import Array

ARTICLE = Path(__file__).parent / "data" / "mnist_200.npz"
NAMES = ("mnist", "fashion_mnist")
# What the kernels of the networks need, and the last of their classes.
SMALLEST, LAST = 5, 9


class Examples(NamedTuple):
    """Images (N, 1, height, width), float64 from 0 (background) to 1, and labels (N,), int64."""

    x: Array
    labels: Array


class DataError(ValueError):
    """The data cannot be had; the message says what to do."""


def article_images() -> Examples:
    """The article's data: the first 200 images of MNIST's training set [NET-D1].

    MNIST: Yann LeCun, Corinna Cortes, Christopher J. C. Burges; distributed under CC BY-SA 3.0.

    Examples
    --------
    >>> x, labels = article_images()
    >>> x.shape, labels[:10]
    ((200, 1, 28, 28), array([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]))
    """
    with np.load(ARTICLE, allow_pickle=False) as file:
        return _examples(file["images"], file["labels"])


def load(source: str) -> tuple[Examples, Examples]:
    """Load a training and a test set.

    Parameters
    ----------
    source : str
        The path of an .npz file with x_train, y_train, x_test and y_test, as Keras keeps them; or "mnist" or
        "fashion_mnist", which Keras downloads.

    Raises
    ------
    DataError
        There is no such file, it is not of that form, or Keras is not installed or cannot download (a ValueError).
    """
    if source in NAMES:
        arrays = _from_keras(source)
    else:
        arrays = _from_file(Path(source))
    return _examples(*arrays[:2]), _examples(*arrays[2:])


def _from_file(path: Path) -> tuple[Array, ...]:
    names = ("x_train", "y_train", "x_test", "y_test")
    if not path.is_file():
        raise DataError(
            f"{path} does not exist; give an .npz file with {', '.join(names)}, or one of {', '.join(NAMES)}"
        )
    try:
        # Opened here, since NumPy leaves what is no archive open.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return tuple(file[name] for name in names)
    except (ValueError, OSError, EOFError, BadZipFile, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no .npz file with {', '.join(names)} ({error})") from error


def _from_keras(name: str) -> tuple[Array, ...]:
    try:
        keras: Any = importlib.import_module("keras")
    except ImportError as error:
        if error.name == "keras":
            advice = "comes with Keras: pip install 'reference_cnn[keras]'"
        else:  # Keras wants TensorFlow, installed or not, unless told otherwise
            advice = f"comes with Keras, which does not import ({error}): set KERAS_BACKEND=jax or what you have"
        raise DataError(f"{name} {advice}, or give the path of an .npz file") from error
    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:
        raise DataError(f"Keras could not download {name} ({error}); give the path of an .npz file") from error
    return x_train, y_train, x_test, y_test


def _examples(images: Array, labels: Array) -> Examples:
    if images.ndim != 3 or labels.shape != images.shape[:1] or images.dtype != np.uint8:
        raise DataError(
            f"images must be (N, height, width) of uint8 with labels (N,), are {images.shape} of {images.dtype} "
            f"and {labels.shape}"
        )
    if min(images.shape[1:]) < SMALLEST or not len(images):
        raise DataError(f"there must be images of at least {SMALLEST} × {SMALLEST}, are {images.shape}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > LAST:
        raise DataError(
            f"labels must be integers from 0 to {LAST}, are {labels.dtype} from {labels.min()} to {labels.max()}"
        )
    return Examples(images[:, None] / 255, labels.astype(np.int64))
