"""Targets that have the channels last: x (N, *D, C), w (*K, C/groups, F), and the gradients alike."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.layers import LAYERS, WINDOWED
from reference_cnn.oracle.targets.ask import Answer, adapted
from reference_cnn.oracle.targets.respond import Reply, respondent

LAYOUTS = ("channels_first", "channels_last")


def laid_out(function: Callable[..., Any], name: str, layout: str) -> Callable[..., Any]:
    """Return a function that is asked with channels first, whatever the target's layout is."""
    windowed = LAYERS[name].family in WINDOWED
    return ChannelsLast(function, name) if layout == "channels_last" and windowed else function


def layout_of(function: Callable[..., Any]) -> str:
    """The layout that a function was laid out in."""
    return LAYOUTS[isinstance(function, ChannelsLast)]


def other_layout(function: Callable[..., Any], name: str) -> tuple[str, Callable[..., Any]]:
    """The layout that a function was not laid out in, and what `laid_out` makes of it there."""
    if isinstance(function, ChannelsLast):
        return LAYOUTS[0], function.plain
    return LAYOUTS[1], ChannelsLast(function, name)


class ChannelsLast:
    """A function of arrays with the channels last, asked as if they came first; a Respondent. `plain` is as it was."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.plain, self._name = function, name
        try:
            self.__signature__ = inspect.signature(function)
        except (TypeError, ValueError):  # of some compiled functions nothing is known
            self.__signature__ = inspect.signature(lambda *arguments, **keywords: None)

    def __call__(self, *arguments: Any, **keywords: Any) -> Array | dict[str, Array | None] | None:
        """Return the one output, or the gradients by name; an UnansweredError says that there are none, and why."""
        asked = adapted(self.plain, self._name, self._last, _first)
        found: Array | dict[str, Array | None] | None = asked(*arguments, **keywords)
        return found

    def reply(
        self, arguments: Sequence[Any], keywords: Mapping[str, Any], *, into: Reply | None = None, times: int = 1
    ) -> Reply:
        """Call the function; what comes back has the channels first."""
        asked = respondent(self.plain, self._name)
        reply = asked.reply(self._last(arguments), keywords, into=into and into.token, times=times)
        return reply._replace(answer=self._back(reply.answer), token=reply)

    def recall(self, reply: Reply) -> Answer:
        """Read an earlier answer again."""
        return self._back(respondent(self.plain, self._name).recall(reply.token))

    @property
    def _names(self) -> tuple[str, ...]:
        layer = LAYERS[self._name]
        return layer.arguments + layer.positional

    def _last(self, arguments: Sequence[Any]) -> list[Any]:
        return [_last(n, a) for n, a in zip(self._names, arguments)]

    def _back(self, answer: Answer) -> Answer:
        return answer._replace(outputs={n: _first(n, a) for n, a in answer.outputs.items()})


def _last(name: str, value: Any) -> Any:
    """Move the channels to the end; what was packed is packed again."""
    if not isinstance(value, np.ndarray) or value.ndim < 3:
        return value
    moved = value.transpose(*range(2, value.ndim), 1, 0) if name == "w" else np.moveaxis(value, 1, -1)
    return np.ascontiguousarray(moved) if value.flags.c_contiguous else moved


def _first(name: str, value: Any) -> Any:
    """Move the channels back; an array of another number of axes is wrong as it is."""
    if not isinstance(value, np.ndarray) or value.ndim < 3:
        return value
    if name in ("w", "dw"):
        return value.transpose(value.ndim - 1, value.ndim - 2, *range(value.ndim - 2))
    return np.moveaxis(value, -1, 1)
