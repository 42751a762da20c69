"""A case as one line of text and back: `x=8x64x56x56 w=128x64x3x3 stride=2 padding=1:0,1:1`."""

from typing import Any

from reference_cnn.oracle.call import Call
from reference_cnn.oracle.targets import UsageError

ARGUMENTS = ("x", "w", "b", "z", "a", "o")
OPTIONS = ("window", "stride", "padding", "dilation", "groups", "include_padding")
SPECIAL = ("nan", "inf", "-inf", "ties")


def write(call: Call) -> str:
    """Write shapes, options and scale of a call."""
    words = [f"{name}={'x'.join(map(str, shape))}" for name, shape in call.shapes]
    words += [f"{name}={_write_option(value)}" for name, value in call.options]
    # With all its digits only where it has more than a few: the text decides over the numbers of a case.
    short = f"{call.scale:g}"
    words += [f"scale={short if float(short) == call.scale else repr(call.scale)}"] * (call.scale != 1)
    return " ".join([*words, *(["=".join(call.special)] if call.special else [])])


def _write_option(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    entries = [":".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in value]
    # One entry keeps its comma, as in Python: 2, is one per axis, 2 is for all axes.
    return ",".join(entries) + "," * (len(entries) == 1)


def read(text: str) -> Call:
    """Read a call back; a UsageError says what is malformed."""
    shapes: dict[str, tuple[int, ...]] = {}
    options: dict[str, Any] = {}
    scale, special = 1.0, None
    for word in text.split():
        name, _, value = word.partition("=")
        try:
            if name in shapes or name in options:
                raise ValueError(f"{name!r} twice")
            if name in ARGUMENTS:
                shapes[name] = tuple(int(n) for n in value.split("x"))
            elif name in OPTIONS:
                options[name] = _read_option(name, value)
            elif name in SPECIAL and special:
                raise ValueError(f"there is {special[0]} already")
            elif name in SPECIAL:
                special = (name, value)
            elif name == "scale":
                scale = float(value)
                if not 0 < scale < 1e300:
                    raise ValueError("it must be above 0 and below 1e300")
            else:
                raise ValueError(f"unknown name {name!r}")
        except ValueError as error:
            known = ", ".join((*ARGUMENTS, *OPTIONS))
            raise UsageError(f"--case: cannot read {word!r} ({error}); the names are {known}") from error
    # In the order of the signature, whatever the order of the words: the numbers depend on it.
    return Call(tuple((n, shapes[n]) for n in ARGUMENTS if n in shapes), tuple(options.items()), scale, special)


def _read_option(name: str, value: str) -> Any:
    if name == "padding" and value in ("same", "valid"):
        return value
    if name == "include_padding":
        if value not in ("True", "False"):
            raise ValueError("it must be True or False")
        return value == "True"
    words = value.removesuffix(",").split(",")
    entries = [tuple(int(n) for n in e.split(":")) if ":" in e else int(e) for e in words]
    return tuple(entries) if "," in value or ":" in value else entries[0]
