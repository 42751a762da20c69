"""Gradients out of whatever container a function returns them in."""

from collections.abc import Mapping, Sequence
from typing import Any


def unpack(result: Any, names: Sequence[str]) -> list[Any]:
    """Take the named gradients out of a mapping, an object with such attributes, a tuple or a list; None where absent.

    A named tuple with these names is such an object if one of them stands elsewhere than in its place. A name may have
    capitals, as dW has.

    A ValueError says what was found instead.
    """
    if isinstance(result, Mapping):
        return _named({str(key): value for key, value in result.items()}, names)
    fields = getattr(result, "_fields", ())
    elsewhere = [f for k, f in enumerate(fields) if f in names and (len(fields) != len(names) or f != names[k])]
    if isinstance(result, tuple | list) and not elsewhere:
        if len(result) != len(names):
            raise ValueError(f"{len(result)} gradients, expected {', '.join(names)}")
        return list(result)
    own = {n: getattr(result, n) for name in names for n in (name, _capital(name)) if hasattr(result, n)}
    if own:
        return _named(own, names)
    raise ValueError(f"{type(result).__name__}, expected {', '.join(names)}")


def _named(found: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [found[name] if name in found else found.get(_capital(name)) for name in names]


def _capital(name: str) -> str:
    return f"{name[:1]}{name[1:].upper()}"
