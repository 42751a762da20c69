"""How to reach an implementation: a module, an object, a mapping, a file, a dotted name, or a built-in name."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from reference_cnn.oracle.layers import LAYERS

BUILT_IN = ("reference", "loops", "article", "scipy", "torch", "jax", "keras", "onnxruntime", "onnx")


class UsageError(ValueError):
    """An argument of the oracle that cannot be used; the message says what can."""


class TargetError(UsageError):
    """There is nothing to judge; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """Functions by name, and the words that name the target in a command (None where only Python can).

    `close` ends what was started to reach it; `in_process` says that nothing was, and it runs in this process.
    """

    name: str
    functions: Mapping[str, Callable[..., Any]]
    command: str | None
    close: Callable[[], None] = lambda: None
    in_process: bool = True


# What helps who gives the source or the file of a program.
PROGRAM = 'a program in another language is given by its command: "exec:./program" or "exec:node program.js"'


def load(target: Any) -> Target:
    """Find the functions that a target offers.

    Parameters
    ----------
    target : module, object, mapping or str
        A str is a built-in name, a path that ends with .py, or the dotted name of a module.

    Raises
    ------
    TargetError
        The file does not exist, the module does not import, or none of the functions is there.
    """
    if isinstance(target, str):
        return _offered(_named(target), target, target)
    if isinstance(target, Path):
        return _offered(_file(target), str(target), str(target))
    name = getattr(target, "__name__", None) or type(target).__name__
    return _offered(target, str(name), name if isinstance(target, ModuleType) else None)


def keywords_missing(function: Callable[..., Any], keywords: set[str]) -> set[str]:
    """Those of the keywords that the function's signature does not accept."""
    accepted = keywords_of(function)
    return set() if accepted is None else keywords - set(accepted)


def keywords_of(function: Callable[..., Any]) -> list[str] | None:
    """The keywords that the function's signature accepts; None where it accepts any, or nobody knows."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    return [n for n, p in parameters.items() if p.kind not in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL)]


def _offered(source: Any, name: str, command: str | None) -> Target:
    found = {n: source.get(n) if isinstance(source, Mapping) else getattr(source, n, None) for n in LAYERS}
    functions = {n: f for n, f in found.items() if callable(f)}
    if not functions:
        raise TargetError(
            f"{name} offers none of the functions {', '.join(LAYERS)}; define at least one under that name"
        )
    return Target(name, functions, command)


def _named(name: str) -> Any:
    if name in BUILT_IN:
        module = "reference_cnn" if name == "reference" else f"{__name__}.{name}"
        hint = f"it needs a package: pip install 'reference_cnn[{name}]'"
        found = _imported(name, lambda: importlib.import_module(module), hint)
        return getattr(found, "target", found)
    if name.endswith(".py") or "/" in name or "\\" in name:
        return _file(Path(name))
    hint = f"give a path that ends with .py, a module that imports, or one of {', '.join(BUILT_IN)}; {PROGRAM}"
    return _imported(name, lambda: importlib.import_module(name), hint)


def _file(path: Path) -> Any:
    if not path.is_file():
        raise TargetError(f"{path} does not exist or is not a file; give the path of a Python file")
    # As when the file is run: its neighbours can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(_module_name(path.resolve()), path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} is not a Python file; give a path that ends with .py; {PROGRAM}")
    module, loader = importlib.util.module_from_spec(spec), spec.loader
    sys.modules[spec.name] = module

    def execute() -> ModuleType:
        loader.exec_module(module)
        return module

    return _imported(str(path), execute, "correct the file first: it must import on its own")


def _module_name(path: Path) -> str:
    """The file's own name, by which a process that it starts finds it, if nothing else has that name."""
    name = path.stem
    if name.isidentifier() and name not in sys.modules and name not in sys.stdlib_module_names:
        found = importlib.util.find_spec(name)
        if found and found.origin and Path(found.origin) == path:
            return name
    return f"reference_cnn_target_{name}"


def _imported(name: str, load_module: Callable[[], Any], hint: str) -> Any:
    try:
        return load_module()
    except (Exception, SystemExit) as error:
        raise TargetError(f"{name} does not import ({type(error).__name__}: {error}); {hint}") from error
