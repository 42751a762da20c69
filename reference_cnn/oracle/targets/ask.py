"""Ask one function one question, and bring whatever it returns into arrays."""

import os
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import ml_dtypes
import numpy as np

from reference_cnn._gradients import unpack
from reference_cnn._validate import Array
from reference_cnn.oracle.layers import LAYERS

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case

# "refused": TypeError or ValueError, which may mean that a feature is not offered; "failed": any other exception;
# "malformed": what came back is no array of numbers, or not as many as there should be; "crash": the process died;
# "hang": no answer within the time limit; "not asked": too many of the last two in a row.
Outcome = Literal["answered", "not implemented", "refused", "failed", "malformed", "crash", "hang", "not asked"]
# Where code lies that is nobody's target: this package, Python's own, and what is installed.
INSTALLED = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
OTHERS = tuple(f"{folder}{os.sep}" for folder in (Path(__file__).parents[2], *INSTALLED))


class UnansweredError(Exception):
    """A target in another process has not answered; `outcome` says how, the message why."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Answer(NamedTuple):
    """What came back: outputs by name (None: a gradient not offered), or the exception in words."""

    outcome: Outcome
    outputs: dict[str, Array | None]
    error: str = ""

    @property
    def finding(self) -> str:
        """What happened instead of an answer, as a sentence."""
        if self.outcome in ("crash", "hang", "not asked"):
            return self.error
        return f"it {'returns' if self.outcome == 'malformed' else 'raises'} {self.error}"


def ask(function: Callable[..., Any], case: "Case") -> Answer:
    """Call `function` with fresh copies of the case's arguments; no exception but KeyboardInterrupt comes out."""
    arguments = [*(a.copy() for a in case.arguments.values()), *case.positional]
    return call(function, case.function, arguments, case.keywords)[0]


def call(
    function: Callable[..., Any], name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[Answer, Any]:
    """Return the answer and the very object that the function returned."""
    axes = np.ndim(arguments[0])  # before the function can change it
    try:
        # What a target warns of is its own affair; its numbers are judged.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            result = function(*arguments, **keywords)
    except UnansweredError as error:
        return Answer(error.outcome, {}, str(error)), None
    except NotImplementedError as error:
        return Answer("not implemented", {}, in_words(error)), None
    except (TypeError, ValueError) as error:
        return Answer("refused", {}, _raised(error)), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # such as a panic of Rust's, which is no Exception
        return Answer("failed", {}, _raised(error)), None
    return read(result, name, axes), result


def adapted(
    function: Callable[..., Any],
    name: str,
    there: Callable[[Sequence[Any]], list[Any]],
    back: Callable[[str, Array], Array],
) -> Callable[..., Any]:
    """Return the function asked with other arguments, whose outputs are brought back one by one, by their names."""

    def asked(*arguments: Any, **keywords: Any) -> Array | dict[str, Array | None] | None:
        answer = call(function, name, there(arguments), keywords)[0]
        if answer.outcome != "answered":
            raise UnansweredError(answer.outcome, answer.error)
        outputs = {n: a if a is None else back(n, a) for n, a in answer.outputs.items()}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    return asked


def read(result: Any, name: str, axes: int) -> Answer:
    """Bring what a function returned, whose first argument has so many axes, into arrays."""
    try:
        return Answer("answered", outputs(result, LAYERS[name].outputs, axes))
    except ValueError as error:
        return Answer("malformed", {}, str(error))
    except Exception as error:  # what is read may be code of the target's own
        return Answer("malformed", {}, f"{type(result).__name__}, which cannot be read: {in_words(error)}")


def outputs(result: Any, names: tuple[str, ...], axes: int) -> dict[str, Array | None]:
    """Bring the gradients, or the one result, into arrays; a ValueError says what came back instead."""
    values = [_alone(result, names[0], axes)] if len(names) == 1 else unpack(result, names)
    if all(v is None for v in values):
        raise ValueError("None")
    return {name: None if v is None else _array(name, v) for name, v in zip(names, values)}


def _alone(result: Any, name: str, axes: int) -> Any:
    """The one output, out of a container that has it alone."""
    if isinstance(result, tuple | list) and result:
        # An array with fewer axes is a row of it; a loss has none.
        whole = 0 < axes == getattr(result[0], "ndim", 0)
        if len(result) > 1 and (whole or name == "E"):
            raise ValueError(f"a {type(result).__name__} of {len(result)}, expected {name} alone")
        return result[0] if whole else result
    if isinstance(result, Mapping) or (not hasattr(result, "__array__") and hasattr(result, name)):
        (value,) = unpack(result, [name])
        if value is None:
            raise ValueError(f"{type(result).__name__} without {name}")
        return value
    return result


def _array(name: str, value: Any) -> Array:
    wrong = ValueError(f"{name} as {type(value).__name__}, expected an array of numbers")
    # Tensors that do not speak NumPy's protocol may speak DLPack.
    by_dlpack = hasattr(value, "__dlpack__") and not hasattr(value, "__array__")
    try:
        array: Array = (
            np.from_dlpack(value) if by_dlpack else np.asarray(of_torch(value) if hasattr(value, "detach") else value)
        )
        # Objects may be numbers, Python's integers or Fractions.
        array = array.astype(float if array.dtype == object else array.dtype)
    except Exception as error:
        raise wrong from error
    if array.dtype.kind not in "iufc" and not np.can_cast(array.dtype, np.float32):
        raise wrong
    return array


def of_torch(tensor: Any) -> Array:
    """Bring a tensor of PyTorch to NumPy, though it may want its gradient, lie on another device, or be bfloat16."""
    plain = tensor.detach().cpu()
    if str(plain.dtype) == "torch.bfloat16":
        # PyTorch gives NumPy no bfloat16; float32 holds every such number exactly.
        return np.asarray(plain.float().numpy().astype(ml_dtypes.bfloat16))
    return np.asarray(plain.numpy())


def in_words(error: BaseException) -> str:
    """An exception as one line: its type and the first line of what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300]}" if text else type(error).__name__


def _raised(error: BaseException) -> str:
    """An exception as one line, with the innermost line of code that is the target's own."""
    files = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(file, line) for file, line in files if not file.startswith(("<", *OTHERS))]
    return in_words(error) + "".join(f" ({os.path.basename(file)}, line {line})" for file, line in own[-1:])
