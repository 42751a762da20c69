"""Keras runs on JAX, in float64; both read their settings when they are imported."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"
