"""The numbers of spec/errata.md."""

import re
from pathlib import Path

import numpy as np
import pytest

from reference_cnn import article, conv_backward, conv_forward, dense_backward, sigmoid, sigmoid_prime
from reference_cnn.datasets import article_images
from reference_cnn.oracle.targets import article as target

ERRATA = (Path(__file__).parents[1] / "spec" / "errata.md").read_text(encoding="utf-8")


def stated(erratum: str) -> str:
    """The text of one erratum."""
    found = re.search(rf"^### {erratum}\n(.*?)(?=^##|\Z)", ERRATA, flags=re.DOTALL | re.MULTILINE)
    assert found, erratum
    return found[1]


@pytest.mark.spec("ERR-D1")
def test_convolution_or_correlation() -> None:
    x, w = np.array([[[[1, 7, 2], [11, 1, 23], [2, 2, 2]]]]), np.array([[[[1, 1], [0, 1]]]])
    correlation, convolution = (conv_forward(x, k).ravel().tolist() for k in (w, w[:, :, ::-1, ::-1]))
    assert ", ".join(map(str, correlation)) in stated("ERR-D1")
    assert ", ".join(map(str, convolution)) in stated("ERR-D1")


@pytest.mark.spec("ERR-D2")
def test_averages_before_correlating() -> None:
    x, dz, w = np.array([-3, -2]).reshape(2, 1, 1, 1), np.array([-5, 1]).reshape(2, 1, 1, 1), np.ones((1, 1, 1, 1))
    right, theirs = conv_backward(dz, x, w).dw.item(), float(target.conv_backward(dz, x, w)["dw"].item())
    assert f"{right:g}, averaging first gives {theirs:g}" in stated("ERR-D2")


def gradient_cosines() -> tuple[float, float]:
    """Between the right gradient of the filters at the start of training and theirs: averaged, and also resized."""
    x, labels = article_images()
    y, p = article.binary(labels), article.initialise(0)
    layers = article.forward(p, x)
    dz2 = (layers.o - y) * layers.o * (1 - layers.o)
    dz1 = (dz2 @ p.weights.T).reshape(layers.z1.shape) * layers.a1 * (1 - layers.a1)
    right = conv_backward(dz1, x, p.filters).dw
    averaged = conv_backward(dz1.mean(axis=0, keepdims=True), x.mean(axis=0, keepdims=True), p.filters).dw
    resized = target.conv_backward(dz1, x, p.filters)["dw"]
    norm = np.linalg.norm
    cosines = [float((right * g).sum() / norm(right) / norm(g)) for g in (averaged, resized)]
    return cosines[0], cosines[1]


@pytest.mark.spec("ERR-D2", "ERR-D3")
def test_how_far_the_gradients_of_the_filters_are_off() -> None:
    averaged, resized = gradient_cosines()
    assert f"{averaged:.3f}" in stated("ERR-D2")
    assert f"{resized:.3f}" in stated("ERR-D3")


@pytest.mark.spec("ERR-D3")
def test_the_scrambled_resize() -> None:
    maps = np.array([[[0, 1], [2, 3]], [[10, 11], [12, 13]]])
    assert maps.reshape(2, 2, 2)[:, :, 0].tolist() == [[0, 2], [10, 12]]
    assert "[[0, 2], [10, 12]]" in stated("ERR-D3")


@pytest.mark.spec("ERR-D4")
def test_weights_updated_before_they_are_used() -> None:
    x, w, dz = np.array([[1.0]]), np.array([[1.0]]), np.array([[2.0]])
    right = dense_backward(dz, x, w)
    late = dense_backward(dz, x, w - 0.1 * right.dw)
    assert f"{right.dx.item():g} becomes {late.dx.item():g}" in stated("ERR-D4")


@pytest.mark.spec("ERR-D5")
def test_missing_biases() -> None:
    """Without a bias the output for an empty image is the same whatever has been learned."""
    x = np.zeros((1, 1, 28, 28))
    outputs = []
    for seed in range(3):
        p = article.initialise(seed)
        z1 = target.conv_forward(x, p.filters)
        outputs.append(np.unique(z1).tolist())
    assert outputs == [[0], [0], [0]]
    assert sigmoid(target.dense_forward(np.zeros((1, 4)), np.ones((4, 1)), np.array([7.0]))).item() == 0.5
    assert "0.5" in stated("ERR-D5")


@pytest.mark.spec("ERR-D6")
def test_standardisation_over_the_batch() -> None:
    def standardised(z: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.asarray(sigmoid((z - z.mean()) / z.std()))

    rng = np.random.default_rng(0)
    assert np.isnan(standardised(rng.standard_normal(1))).all()
    pairs = {tuple(np.sort(standardised(rng.standard_normal(2))).round(3)) for _ in range(10)}
    assert len(pairs) == 1
    low, high = pairs.pop()
    assert f"{low:.3f} and {high:.3f}" in stated("ERR-D6")


@pytest.mark.spec("ERR-D7")
def test_one_rate_for_a_sum_and_a_mean() -> None:
    rng = np.random.default_rng(0)
    x, dz = (rng.integers(-4, 5, (1, 1, n, n)).astype(float) for n in (7, 5))
    features, errors = rng.integers(-4, 5, (1, 6)), rng.integers(1, 5, (1, 1))

    def gradients(copies: int) -> tuple[np.ndarray, np.ndarray]:
        many = [np.repeat(a, copies, axis=0) for a in (x, dz, features, errors)]
        # The target multiplies by the number of images what the article does not.
        filters = target.conv_backward(many[1], many[0], np.ones((1, 1, 3, 3)))["dw"] / copies
        return filters, target.dense_backward(many[3], many[2], np.ones((6, 1)))["dw"]

    (filters, weights), (filters_of_200, weights_of_200) = gradients(1), gradients(200)
    assert (filters_of_200 == filters).all()
    assert (filters != 0).any()
    assert (weights_of_200 == 200 * weights).all()
    assert "the former is 200 times the gradient of one, the latter is the gradient of one" in stated("ERR-D7")


@pytest.mark.spec("ERR-D8")
def test_labels_overwritten() -> None:
    training, counts = np.concatenate([article_images().labels, [7, 2]]), []
    for _ in range(2):
        y = training[:200]
        y[...] = y > 4
        counts.append(f"{(y == 0).sum()} {{}}and {(y == 1).sum()}")
    assert counts[0].format("images ") in stated("ERR-D8")
    assert counts[1].format("") in stated("ERR-D8")


@pytest.mark.spec("ERR-D9")
def test_initial_values_that_are_all_positive() -> None:
    x, labels = article_images()
    rng = np.random.default_rng(0)
    p = article.Parameters(rng.uniform(size=(3, 1, 5, 5)), np.zeros(3), rng.uniform(size=(1728, 1)), np.zeros(1))
    layers = article.forward(p, x)
    assert (layers.a1 >= 0.5).all()
    assert (layers.z2 >= p.weights.sum() / 2).all()
    assert (layers.o == 1).all()
    assert f"E is {article.loss(layers.o, article.binary(labels))}," in stated("ERR-D9")
    assert f"at most {sigmoid_prime(layers.z2).max():.1e}:" in stated("ERR-D9")


@pytest.mark.spec("ERR-D10")
def test_the_derivative_is_given_the_argument() -> None:
    theirs, right = (float(f(np.array([2.0]))[0]) for f in (target.sigmoid_prime, sigmoid_prime))
    assert f"gives {theirs:g}, where the derivative is {right:.3f}" in stated("ERR-D10")
