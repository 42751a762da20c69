"""Rung 1: every number that the article prints about its layers."""

import numpy as np
import pytest

from reference_cnn import conv_forward, dense_forward, sigmoid
from reference_cnn._windows import Windows

IMAGE = np.array([[[[1, 7, 2], [11, 1, 23], [2, 2, 2]]]])
FILTER = np.array([[[[1, 1], [0, 1]]]])


@pytest.mark.spec("CONV-D1", "CONV-F1")
def test_the_worked_example_gives_9_32_14_26() -> None:
    assert conv_forward(IMAGE, FILTER).tolist() == [[[[9, 32], [14, 26]]]]


@pytest.mark.spec("CONV-D1")
def test_true_convolution_would_give_13_31_15_5() -> None:
    assert conv_forward(IMAGE, FILTER[:, :, ::-1, ::-1]).tolist() == [[[[13, 31], [15, 5]]]]


@pytest.mark.spec("WIN-D1")
@pytest.mark.parametrize("n", range(1, 9))
def test_an_image_of_n_and_a_filter_of_f_give_n_minus_f_plus_1(n: int) -> None:
    for f in range(1, n + 1):
        z = conv_forward(np.ones((1, 1, n, n)), np.ones((1, 1, f, f)))
        assert z.shape == (1, 1, n - f + 1, n - f + 1)
        assert (z == f * f).all()


@pytest.mark.spec("CONV-D2", "WIN-D1")
def test_200_images_of_28_and_3_filters_of_5_give_576_patches_and_3_maps_each() -> None:
    x = np.arange(200 * 28 * 28.0).reshape(200, 1, 28, 28)
    w = np.arange(3 * 25.0).reshape(3, 1, 5, 5)
    windows = Windows.of("test", (28, 28), (5, 5), 1, 0, 1)
    patches = windows.view(x).reshape(5, 5, 200, 576).transpose(2, 3, 0, 1)
    np.testing.assert_array_equal(patches[7, 1], x[7, 0, :5, 1:6])
    maps = conv_forward(x, w).reshape(200, 3, 576)
    assert maps[7, 2, 1] == (patches[7, 1] * w[2, 0]).sum()


@pytest.mark.spec("DENSE-D1")
def test_4_features_and_2_neurons_take_weights_4_by_2() -> None:
    x, w, b = np.arange(12).reshape(3, 4), np.arange(8).reshape(4, 2), np.array([5, 7])
    z = dense_forward(x, w, b)
    assert z.shape == (3, 2)
    # The article's Wᵀ·X + b, which has its examples in columns.
    np.testing.assert_array_equal(z.T, w.T @ x.T + b[:, None])


@pytest.mark.spec("ACT-F1")
def test_sigmoid_of_0_is_a_half() -> None:
    assert sigmoid(np.zeros(3)).tolist() == [0.5, 0.5, 0.5]
