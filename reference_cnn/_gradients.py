"""Gradients out of whatever container a function returns them in."""

from collections.abc import Mapping, Sequence
from typing import Any


def unpack(result: Any, names: Sequence[str]) -> list[Any]:
    """Take the named gradients out of a mapping, an object with such attributes, a tuple or a list; None where absent.

    A named tuple with these names is such an object if one of them stands elsewhere than in its place.

    A ValueError says what was found instead.
    """
    if isinstance(result, Mapping):
        return [result.get(name) for name in names]
    fields = getattr(result, "_fields", ())
    elsewhere = [f for k, f in enumerate(fields) if f in names and (len(fields) != len(names) or f != names[k])]
    if isinstance(result, tuple | list) and not elsewhere:
        if len(result) != len(names):
            raise ValueError(f"{len(result)} gradients, expected {', '.join(names)}")
        return list(result)
    if any(hasattr(result, name) for name in names):
        return [getattr(result, name, None) for name in names]
    raise ValueError(f"{type(result).__name__}, expected {', '.join(names)}")
