"""What an entry of the catalogue is, and how a wrong implementation is made of a right one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from reference_cnn._validate import Array

Implementation = Callable[..., Any]
Wrap = Callable[[Implementation], Implementation]
Options = dict[str, Any]
# The dtype in which somebody may compute who should do so in the wider one.
NARROWER: dict[Any, Any] = {np.dtype(np.float64): np.float32, np.dtype(np.float32): np.float16}


@dataclass(frozen=True)
class Mistake:
    """A known way to be wrong.

    `wraps` has, for each function that it concerns, one or more ways to make an implementation wrong; since they work
    on any implementation, mistakes compose. `hides` names the inputs on which nothing shows, `seen` where people made
    it (a check mark: the fix was merged or confirmed), `errata` where the article does. `native` mistakes show in the
    arithmetic of the dtype itself; `stateful` ones depend on the calls before. `makes_it` ends a sentence
    about a forward, "which …", where there is more to say than that it has this mistake.
    """

    id: str
    diagnosis: str
    remedy: str
    hides: str
    wraps: Mapping[str, tuple[Wrap, ...]]
    seen: tuple[str, ...] = ()
    kind: Literal["error", "convention"] = "error"
    errata: tuple[str, ...] = ()
    native: bool = False
    stateful: bool = False
    makes_it: str = ""

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions in which it can be made."""
        return tuple(self.wraps)

    def change(self, function: str, below: Implementation) -> Implementation:
        """Return `below` with this mistake in it, made in the commonest way; another function stays as it is."""
        return self.wraps[function][0](below) if function in self.wraps else below


def asking(change: Callable[..., tuple[Any, ...]]) -> Wrap:
    """Ask for something else: change(x, w, b, options) returns the four that the implementation below is given."""

    def wrap(below: Implementation) -> Implementation:
        def wrong(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
            x, w, b, options = change(x, w, b, options)
            return below(x, w, b, **options)

        return wrong

    return wrap


def answering(change: Callable[..., Any]) -> Wrap:
    """Answer something else: change(answer, *arguments, **options) of what the implementation below answers."""

    def wrap(below: Implementation) -> Implementation:
        def wrong(*arguments: Any, **options: Any) -> Any:
            return change(below(*arguments, **options), *arguments, **options)

        return wrong

    return wrap


def instead(*formulas: Callable[..., Any]) -> tuple[Wrap, ...]:
    """Other formulas for the whole, whatever is below; each is a way."""

    def wrap(formula: Callable[..., Any]) -> Wrap:
        def wrong(*arrays: Array) -> Array:
            with np.errstate(all="ignore"):
                return np.asarray(formula(*arrays)).astype(arrays[0].dtype)

        return lambda below: wrong

    return tuple(map(wrap, formulas))


class Backward(NamedTuple):
    """One call of a backward pass, and what the implementation below answers."""

    below: Implementation
    answer: Any
    dz: Array
    x: Array
    w: Array
    options: Options

    def again(self, **changed: Any) -> Any:
        """What the implementation below answers to a changed call; options are changed as a whole."""
        call = self._replace(**changed)
        return self.below(call.dz, call.x, call.w, **call.options)


Change = Callable[[Backward], Any]


def gradients(**changes: Change) -> Wrap:
    """Change some gradients: changes by name, each told the call and returning one array."""

    def wrap(below: Implementation) -> Implementation:
        def wrong(dz: Any, x: Any, w: Any, **options: Any) -> Any:
            call = Backward(below, below(dz, x, w, **options), dz, x, w, options)
            return call.answer._replace(**{name: change(call) for name, change in changes.items()})

        return wrong

    return wrap


def mapped(change: Callable[[Any], Any], *names: str) -> Wrap:
    """Change the one result, or the gradients of these names, or without names all of them."""

    def changed(answer: Any, *arguments: Any, **options: Any) -> Any:
        if not hasattr(answer, "_replace"):
            return change(answer)
        return answer._replace(**{name: change(getattr(answer, name)) for name in names or answer._fields})

    return answering(changed)


def times(factor: float, functions: tuple[str, ...], *names: str) -> dict[str, tuple[Wrap, ...]]:
    """The one result times a number, or the gradients of these names, or without names all of them."""

    def scaled(gradient: Array) -> Array:
        return np.asarray(np.asarray(gradient) * factor).astype(np.asarray(gradient).dtype)

    return {function: (mapped(scaled, *names),) for function in functions}


def merged(*ways: Mapping[str, tuple[Wrap, ...]]) -> dict[str, tuple[Wrap, ...]]:
    """Several ways to make a mistake in the same functions."""
    return {name: tuple(wrap for way in ways for wrap in way[name]) for name in ways[0]}


def last_zero(array: Array, axes: tuple[int, ...]) -> Array:
    """A copy with zeros at the end of these axes."""
    copy = array.copy()
    for axis in axes:
        copy[(slice(None),) * (axis % copy.ndim) + (-1,)] = 0
    return copy
