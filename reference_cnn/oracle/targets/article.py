"""The article's algorithm, in our own code, with its defects left in.

The article works on images of one channel; the sum over channels is ours. Its text has no bias for the convolution and
one for the dense layer, its code has neither: here `b` is not offered by the one, and ignored by the other.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from reference_cnn._validate import Array


def conv_forward(x: Array, w: Array) -> Array:
    """Every 5×5 piece of every image, times the filter, summed; this part is right."""
    patches = sliding_window_view(x, w.shape[2:], (2, 3))
    return np.asarray(np.einsum("nchwij,fcij->nfhw", patches, w))


def conv_backward(dz: Array, x: Array, w: Array) -> dict[str, Array]:
    """Average the images, average their errors, resize the errors to (height, width, filters), then correlate.

    The product of two averages is not the average of the products, and the resize takes what it finds in memory order:
    rows of one map become columns of several. There is no gradient for the images, nor for a bias. The result is
    multiplied by the number of images, so that the difference between a mean and a sum is not what is found.
    """
    filters, height, width = dz.shape[1:]
    errors = dz.mean(axis=0).reshape(height, width, filters)
    image = sliding_window_view(x.mean(axis=0), w.shape[2:], (1, 2))
    return {"dw": len(x) * np.einsum("chwij,hwf->fcij", image, errors)}


def dense_forward(x: Array, w: Array, b: Array | None = None) -> Array:
    """Wᵀ·X, without the + b of the article's own formula."""
    return np.asarray(x @ w)


def dense_backward(dz: Array, x: Array, w: Array) -> dict[str, Array]:
    """The right gradients, as long as w is what the forward pass used; none for the bias."""
    return {"dx": dz @ w.T, "dw": x.T @ dz}


def sigmoid(z: Array) -> Array:
    """1/(1 + exp(−z)) as it stands: exp overflows for large negative z, and the result is still right to rounding."""
    return np.asarray(1 / (1 + np.exp(-z)))


def sigmoid_prime(z: Array) -> Array:
    """z·(1 − z): the derivative in terms of a = sigmoid(z), given z."""
    return np.asarray(z * (1 - z))
