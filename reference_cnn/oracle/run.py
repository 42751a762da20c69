"""Ask a target everything, one function after the other, and put the verdicts together."""

import shlex
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache, partial
from typing import Any

from reference_cnn.oracle import notation, numbers
from reference_cnn.oracle.again import SHARES, seen_again
from reference_cnn.oracle.call import PROFILES
from reference_cnn.oracle.cases import Case, cases
from reference_cnn.oracle.consistency import compared
from reference_cnn.oracle.examine import examine
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.report import Report, Result
from reference_cnn.oracle.shapes import fits
from reference_cnn.oracle.targets import Target, TargetError, UsageError
from reference_cnn.oracle.targets.layout import LAYOUTS, laid_out
from reference_cnn.oracle.targets.process import TIMEOUT
from reference_cnn.oracle.targets.remote import reach
from reference_cnn.oracle.workers import Crew, Place, UnrepeatableError

# Options of a check by name: what they are, and what they are if not given.
Options = dict[str, tuple[Any, Any]]

UNSENT = "all was asked here: only a target that has a name can be sent to workers"


def check(
    target: Any,
    *,
    functions: Sequence[str] | None = None,
    dtype: str = "float64",
    layout: str = "channels_first",
    rank: int = 2,
    accumulate: str | None = None,
    case: str | None = None,
    profile: str = "standard",
    accept: Sequence[str] = (),
    algorithm: str = "direct",
    seed: int = 0,
    timeout: float = TIMEOUT,
    memory: int | None = None,
    in_process: bool = False,
    strict: bool = False,
    jobs: int = 1,
    executor: Executor | None = None,
    progress: Callable[[str], None] = lambda function: None,
) -> Report:
    """Judge an implementation of the layers: whether it is right, and if not, on which smallest input it is wrong.

    Parameters
    ----------
    target : module, object, mapping, path or str
        It offers any subset of the layers' functions under their names and signatures; arrays are passed by position.
        A str is a built-in name ("reference", "loops", "article", "scipy", "torch", "jax", "keras", "onnxruntime",
        "onnx"), a path that ends with .py, the dotted name of a module, or `"exec:PROGRAM ARGUMENTS"`, a program that
        speaks the protocol of spec/protocol.md.
        What a str or a path names runs in a process of its own, anything else in this one.
    functions : sequence of str, optional
        Judge only these.
    dtype : str
        "float64", "float32", "float16" or "bfloat16": what the arguments have and the answers are owed in.
    layout : str
        "channels_first", or "channels_last": x (N, *D, C), w (*K, C/groups, F), and the gradients alike.
    rank : int
        Spatial axes of convolutions and poolings.
    accumulate : str, optional
        The dtype in which a right answer may form its sums; without it float32 for 16-bit floats, else dtype itself.
    case : str, optional
        Ask this one question, `"x=3x2x6x5 w=2x2x2x2 stride=3,4"`, instead of the standard ones.
    profile : str
        "quick", "standard" or "thorough": how many calls are drawn besides the fixed ones.
    accept : sequence of str
        Conventions, by their ids in the catalogue of mistakes, by which answers are judged, as "flipped-kernel".
    algorithm : str
        "direct"; "winograd" and "fft" admit convolutions whose errors are bounded in norm only.
    seed : int
        Draws other shapes, options and numbers; at least 0.
    timeout : float
        Seconds that the target's process may take for one call; then it is ended, and the call is a failure.
    memory : int, optional
        Bytes of address space that the target's process may take besides those it has when loaded (Linux only).
    in_process : bool
        Load the target into this process after all, as a debugger wants it: without limits, and a crash is a crash.
    strict : bool
        Notes are failures: a wider dtype than asked, a NaN where the one given is no factor; and so is that one of the
        `functions` asked for is missing.
    jobs : int
        Have a target that can be named asked and judged by so many processes at a time.
    executor : concurrent.futures.Executor, optional
        Have it asked and judged by the workers of this one instead: a process pool, Dask's `client.get_executor()`,
        mpi4py's MPIPoolExecutor. They must have this package, and find the target in the same place.
    progress : callable
        Told the name of each function before it is judged.

    Returns
    -------
    Report
        `.passed`, `.results[name]`, `.to_json()`, `str()`.

    Raises
    ------
    TargetError
        The target cannot be loaded, or offers none of the functions asked for (a UsageError).
    UsageError
        An unknown function or dtype, a rank or jobs below 1, a malformed case (a ValueError).

    Examples
    --------
    >>> import numpy as np
    >>> from reference_cnn.oracle import check
    >>> report = check({"dense_forward": lambda x, w, b=0: x @ w - b}, functions=["dense_forward"])
    >>> report.passed, report.results["dense_forward"].failure.case.text
    (False, 'x=1x1 w=1x1 b=1')
    """
    if layout not in LAYOUTS:
        raise UsageError(f"check: layout must be one of {', '.join(LAYOUTS)}, is {layout!r}")
    if not isinstance(jobs, int) or jobs < 1 or (in_process and (jobs > 1 or executor)):
        raise UsageError(f"check: jobs must be at least 1, and 1 in process; is {jobs!r}")
    if not _names(accept) or not (functions is None or (_names(functions) and len(functions))):
        raise UsageError(f"check: functions and accept must be lists of names, are {functions!r} and {accept!r}")
    chosen: dict[str, Any] = {
        "dtype": dtype,
        "rank": rank,
        "profile": profile,
        "seed": seed,
        "accumulate": accumulate,
        "accept": tuple(accept),
        "algorithm": algorithm,
    }
    standard = {f: cases(f, **chosen) for f in (LAYERS if functions is None else functions)}
    questions = standard if case is None else _one_question(standard, case)
    limits: dict[str, Any] = {"timeout": timeout, "memory": memory}
    with ExitStack() as stack:
        found = stack.enter_context(closing(reach(target, in_process=in_process, **limits)))
        if not any(f in found.functions for f in questions):
            raise TargetError(f"{found.name} offers none of {', '.join(questions)}, so there is nothing to judge")
        crew = None
        if (jobs > 1 or executor) and not found.in_process:
            crew = Crew(Place.of(target, layout, **limits), executor, jobs, strict=strict)
            stack.enter_context(closing(crew))
        results = {}
        # Asked nothing else, by all functions that are wrong for no known reason.
        fresh = cache(lambda: stack.enter_context(closing(reach(target, **limits))))
        offered = {n: laid_out(found.functions[n], n, layout) for n in questions if n in found.functions}

        how: Options = {"layout": (layout, LAYOUTS[0]), "strict": (strict, False)}
        how |= {"timeout": (timeout, TIMEOUT), "memory": (memory, None)}

        def anew(name: str) -> Callable[..., Any]:
            return laid_out(fresh().functions[name], name, layout)

        for name, asked in questions.items():
            progress(name)
            if name not in offered:
                results[name] = Result("missing")
                continue
            # A case that is given alone tells mistakes apart badly: for the diagnosis the standard ones are asked too.
            effort, besides = (PROFILES[profile], []) if case is None else (None, standard[name])
            exam = partial(examine, asked=asked, effort=effort, besides=besides, strict=strict)
            try:
                examined = exam(offered[name], ask_all=crew.ask_all if crew else None)
            except UnrepeatableError:
                with closing(reach(target, **limits)) as another:
                    examined = exam(laid_out(another.functions[name], name, layout))
            failure, everything = examined.failure, None
            if failure and case is None and not found.in_process:
                seen = seen_again(failure, offered[name], partial(anew, name))
                if seen.remedy != failure.remedy:
                    everything = {"rank": (rank, 2), "profile": (profile, "standard")}
                failure = seen
            if failure:
                line = _reproduce(found, failure.case, how, everything, alone=failure.remedy != SHARES)
                examined = replace(examined, failure=replace(failure, reproduce=line, layout=layout))
            results[name] = examined
        results = compared(results, offered)
        remarks = crew.remarks if crew else (UNSENT,) * (jobs > 1 or executor is not None)
    complete = strict and functions is not None
    return Report(found.name, dtype, seed, results, found.in_process, remarks, algorithm, tuple(accept), complete)


def _names(value: Any) -> bool:
    """Whether it may be a list of names: has a length, and can be gone through, but is no text."""
    return isinstance(value, Collection) and not isinstance(value, str)


def _one_question(standard: dict[str, list[Case]], text: str) -> dict[str, list[Case]]:
    """The case of this text for each function that it fits, in each tier that the function has."""
    if not isinstance(text, str):
        raise UsageError(f"check: case must be a text, is {text!r}")
    call = notation.read(text)
    questions = {}
    for name, asked in standard.items():
        alike = {c.tier: c for c in asked if (c.tier == "special") == (call.special is not None)}
        if alike and fits(name, call):
            tiers = [replace(c, call=call) for c in alike.values()]
            try:
                questions[name] = [c for c in tiers if c.tier != "exact" or numbers.exact(c)]
                # What the reference refuses is no question; its numbers do not matter.
                _ = [question.expected for question in questions[name][:1]]
                # Those of the other tiers may be too large for the dtype.
                _ = [question.plain for question in questions[name][1:]]
            except (ValueError, TypeError, MemoryError) as error:
                raise UsageError(f"check: case {text!r}: {error}") from error
    if not questions:
        raise UsageError(
            f"check: case {text!r} fits none of {', '.join(standard)}; a convolution has x and w of three or more "
            "axes, a dense layer x and w of two, both may have b in the forward pass; a pooling has x and window, an "
            "activation or a loss of logits z, softmax_backward a, squared_error o"
        )
    return questions


def _reproduce(target: Target, case: Case, how: Options, everything: Options | None, *, alone: bool) -> str:
    """The line that asks again: a case, or everything, of the function alone or of all; with the options it takes."""
    options: Options = {
        **how,
        "dtype": (case.dtype, "float64"),
        "accumulate": (case.accumulate, None),
        "algorithm": (case.algorithm, "direct"),
        "seed": (case.seed, 0),
        **(everything or {}),
    }
    changed = {name: value for name, (value, default) in options.items() if value != default}
    if target.command is None:
        changed |= {"accept": list(case.accept)} if case.accept else {}
        asked = [f"case={case.text!r}"] * (everything is None)
        words = [f"functions=[{case.function!r}]", *asked, *(f"{k}={v!r}" for k, v in changed.items())]
        return f"check(target, {', '.join(words)})"
    flags = "".join(_flag(*option) for option in changed.items()) + "".join(f" --accept {a}" for a in case.accept)
    where = shlex.quote(target.command)
    only = f" --only {case.function}" * alone
    question = f' --case "{case.text}"' * (everything is None)
    return f"reference-cnn check {where}{only}{question}{flags}"


def _flag(name: str, value: Any) -> str:
    """An option as the command takes it, memory in MiB."""
    match name:
        case "strict":
            return " --strict"
        case "memory":
            return f" --memory {value // 2**20}"
        case "timeout":
            return f" --timeout {value:g}"
        case _:
            return f" --{name} {value}"
