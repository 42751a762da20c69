"""Gradients out of whatever container a function returns them in."""

from collections.abc import Mapping, Sequence
from typing import Any


def unpack(result: Any, names: Sequence[str]) -> list[Any]:
    """Take the named gradients out of a mapping, an object with such attributes, a tuple or a list; None where absent.

    A named tuple with just these names is such an object: its order is its own.

    A ValueError says what was found instead.
    """
    if isinstance(result, Mapping):
        return [result.get(name) for name in names]
    named = set(names) == set(getattr(result, "_fields", ()))
    if isinstance(result, tuple | list) and not named:
        if len(result) != len(names):
            raise ValueError(f"{len(result)} gradients, expected {', '.join(names)}")
        return list(result)
    if any(hasattr(result, name) for name in names):
        return [getattr(result, name, None) for name in names]
    raise ValueError(f"{type(result).__name__}, expected {', '.join(names)}")
