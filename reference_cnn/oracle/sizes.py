"""Sizes for any number of axes."""

from typing import TypeVar

T = TypeVar("T")

# Sizes with rows of more than 32, and at stride 2 more than 256 outputs, for each number of axes; signals are longer.
LONG = {1: (2100,), 2: (34, 36), 3: (9, 10, 35)}
# More elements than 15 bits count, beside a sign.
MANY = {1: (33_000,), 2: (182, 183), 3: (32, 32, 33)}
# Channels, filters or outputs in a row that fill a vector, or two or four of smaller ones.
VECTOR = 8


def rotations(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every order in which the sizes follow each other in a circle."""
    return [(*sizes[k:], *sizes[:k]) for k in range(len(sizes))]


def cycle(values: tuple[T, ...], count: int) -> tuple[T, ...]:
    """Return `count` of the values, over and over."""
    return tuple(values[i % len(values)] for i in range(count))
