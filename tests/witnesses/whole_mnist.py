"""The whole of MNIST, in the file that MNIST_NPZ names. Run by `nox -s witnesses` where there is one."""

import os

import numpy as np
import pytest

from reference_cnn.cli import main
from reference_cnn.datasets import article_images, load

WHOLE = os.environ.get("MNIST_NPZ", "")


@pytest.mark.spec("NET-D1")
def test_the_200_images_are_mnists_first() -> None:
    whole, _ = load(WHOLE)
    x, labels = article_images()
    assert np.array_equal(whole.x[:200], x)
    assert np.array_equal(whole.labels[:200], labels)


@pytest.mark.spec("NET-F3", "NET-B3")
def test_ten_digits_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--classes", "10", "--data", WHOLE, "--epochs", "1"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert float(last.split()[-1].rstrip("%")) >= 97
