"""One question of the vectors: a call, and numbers that are the same on every machine."""

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import numbers
from reference_cnn.oracle.call import Call
from reference_cnn.oracle.cases import DTYPES, Case
from reference_cnn.oracle.layers import LAYERS

# Small integers, or real numbers with as many bits as the dtype has; those of "half" fit every dtype.
Kind = Literal["integers", "float64", "float32", "half"]
BITS = {"float64": 53, "float32": 24, "half": 8}
LARGEST = 3


@dataclass(frozen=True)
class Entry:
    """A row of the tables: a call, the mistakes that it is there to catch, and which numbers it is asked with.

    `given` has arrays that are not drawn, `reason` why another answer may be as good, and `dtypes` those to ask in, if
    the numbers are exact there.
    """

    name: str
    call: Call
    flags: str = ""
    kind: Kind = "integers"
    given: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    dtypes: tuple[str, ...] = DTYPES


@dataclass(frozen=True)
class Question(Case):
    """A case whose numbers follow from a hash of seed, function and name, not from a generator of NumPy's."""

    name: str = ""
    kind: Kind = "integers"
    given: dict[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, function: str, entry: Entry, seed: int) -> "Question":
        """The question of a function and a row."""
        question = cls(function, entry.call, "rounding", seed=seed, name=entry.name, kind=entry.kind, given=entry.given)
        if entry.kind != "integers" or not numbers.exact(question):
            return question
        return cls(function, entry.call, "exact", seed=seed, name=entry.name, given=entry.given)

    @cached_property
    def plain(self) -> dict[str, Array]:
        """The arrays of the call by name: float64 whatever the dtype, labels int64."""
        return {
            name: np.array(self.given[name], np.int64 if name == "labels" else np.float64)
            if name in self.given
            else self._drawn(name, shape)
            for name, shape in self.shapes.items()
        }

    @property
    def grid(self) -> float:
        """Of which number every partial sum of the exact tier is a multiple."""
        return {"squared_error": 1 / 2, "softmax_backward": 2.0**-8}.get(self.function, 1.0)

    def _drawn(self, name: str, shape: tuple[int, ...]) -> Array:
        if name == "labels":
            return np.asarray(self._raw(name, shape) % dict(self.call.shapes)["z"][1]).astype(np.int64)
        if self.function == "softmax_backward" and name == "a":
            return self._probabilities(shape)
        if self.kind != "integers":
            bits = BITS[self.kind]
            return np.asarray((self._raw(name, shape) >> (63 - bits)).astype(np.int64) - 2**bits) / 2.0 ** (bits - 1)
        if LAYERS[self.function].family == "max pool" and name == "x":
            return self._distinct(shape)
        if self.function in ("avg_pool_forward", "avg_pool_backward"):
            return self._integers(name, shape) * self._count
        return self._integers(name, shape)

    def _raw(self, name: str, shape: tuple[int, ...]) -> Array:
        """As many unsigned integers of 64 bits as the shape wants."""
        count = math.prod(shape)
        digest = hashlib.shake_256(f"{self.seed} {self.function} {self.name} {name}".encode()).digest(8 * count)
        return np.frombuffer(digest, "<u8").astype(np.uint64).reshape(shape)

    def _integers(self, name: str, shape: tuple[int, ...]) -> Array:
        """From −LARGEST to LARGEST, none of them 0."""
        drawn = (self._raw(name, shape) % (2 * LARGEST)).astype(np.int64) - LARGEST
        return np.where(drawn < 0, drawn, drawn + 1).astype(np.float64)

    def _distinct(self, shape: tuple[int, ...]) -> Array:
        """All different within a map, and every other map negative throughout, so that no maximum is a tie."""
        count = math.prod(shape[2:])
        maps = self._raw("x", (shape[0] * shape[1], count)).argsort(axis=1, kind="stable")
        lowest = np.where(np.arange(len(maps)) % 2 == 0, count // 2, count)
        return (maps - lowest[:, None]).reshape(shape).astype(np.float64)

    def _probabilities(self, shape: tuple[int, ...]) -> Array:
        """Sixteenths that add up to 1 in each row."""
        parts = (self._raw("a", shape) % (16 // shape[-1] + 1)).astype(np.int64)
        parts[..., -1] = 16 - parts[..., :-1].sum(axis=-1)
        return parts / 16

    @property
    def _count(self) -> int:
        """A number that every count of an average divides."""
        window = dict(self.call.options)["window"]
        return math.prod(window) if isinstance(window, tuple) else int(window ** (len(self.call.shapes[0][1]) - 2))
