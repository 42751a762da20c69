"""The command `reference-cnn`."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console

import reference_cnn
from reference_cnn.datasets import NAMES, DataError
from reference_cnn.explain import UnknownClauseError, clauses, explain
from reference_cnn.oracle import check, vectors
from reference_cnn.oracle.call import PROFILES
from reference_cnn.oracle.cases import DTYPES
from reference_cnn.oracle.examples import explain_function, explain_mistakes, known
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.lookup import about, near
from reference_cnn.oracle.mistakes import CONVENTIONS
from reference_cnn.oracle.normwise import ALGORITHMS
from reference_cnn.oracle.targets import BUILT_IN, UsageError
from reference_cnn.oracle.targets.layout import LAYOUTS
from reference_cnn.oracle.targets.process import TIMEOUT
from reference_cnn.oracle.workers import cluster
from reference_cnn.skeletons import SKELETONS, SkeletonError, write
from reference_cnn.training import train

RIGHT, WRONG, UNUSABLE = 0, 1, 2
INTERRUPTED = 130  # as a shell has it after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 all right, 1 something is wrong, 2 unusable arguments."""
    if arguments is None:  # the command, not a caller of ours
        _be_a_command()
    parser = _parser()
    if any("\0" in word for word in arguments or ()):
        parser.error("an argument has a null character in it, which no name of a file has")
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except (UsageError, UnknownClauseError, SkeletonError, DataError, OSError) as error:
        print(f"reference-cnn: {error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("reference-cnn: interrupted", file=sys.stderr)
        return INTERRUPTED


def _be_a_command() -> None:
    """Print what a terminal lacks as ?, and when told to end, end what has been started, as after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _explain(options: argparse.Namespace) -> int:
    name = options.id
    print(explain_mistakes(name) if known(name) else explain_function(name) if name in LAYERS else _clause(name))
    return RIGHT


def _clause(name: str) -> str:
    """A clause; for any other word, what says it, or what is written much like it."""
    try:
        return explain(name)
    except UnknownClauseError as error:
        known_clauses = clauses()
        found, alike = about(name, known_clauses), near(name, list(known_clauses))
        if found:
            return found
        if alike and name.upper().partition("-")[0] not in {c.partition("-")[0] for c in known_clauses}:
            raise UnknownClauseError(f"explain: there is no {name!r}; did you mean {' or '.join(alike)}?") from error
        raise


def _check(options: argparse.Namespace) -> int:
    console = Console()
    _clear([name for name in (options.json, options.html, options.junit) if name], options.target)
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(cluster(options.dask)) if options.dask else None
        status = stack.enter_context(console.status(""))
        report = check(
            options.target,
            functions=options.only,
            dtype=options.dtype,
            layout=options.layout,
            rank=options.rank,
            accumulate=options.accumulate,
            case=options.case,
            profile=options.profile,
            accept=options.accept,
            algorithm=options.algorithm,
            seed=options.seed,
            timeout=options.timeout,
            memory=None if options.memory is None else options.memory * 2**20,
            in_process=options.in_process,
            strict=options.strict,
            jobs=options.jobs,
            executor=executor,
            progress=lambda function: status.update(f"asking {function}"),
        )
    report.print(console)
    if options.json:
        Path(options.json).write_text(report.to_json() + "\n", encoding="utf-8")
    if options.html:
        Path(options.html).write_text(report.to_html(), encoding="utf-8")
    if options.junit:
        Path(options.junit).write_text(report.to_junit() + "\n", encoding="utf-8")
    return RIGHT if report.passed or options.exit_zero else WRONG


def _clear(names: Sequence[str], target: str) -> None:
    """Remove reports of an earlier check, lest one be taken for this one's, if there is none to write."""
    files = [os.path.realpath(name) for name in names if os.path.isfile(name) or not os.path.exists(name)]
    for name in names:
        if os.path.realpath(name) == os.path.realpath(target) or files.count(os.path.realpath(name)) > 1:
            raise UsageError(f"{name} is the target, or two reports at once; give each report a file of its own")
        if not Path(name).parent.is_dir():
            raise UsageError(f"{Path(name).parent} is no folder, so {name} cannot be written")
    for path in map(Path, names):
        if path.is_file() and not path.is_symlink():
            path.unlink()


def _init(options: argparse.Namespace) -> int:
    command = write(Path(options.file))
    print(f"{options.file} is ready: fill in a function, then\n\n    {command}")
    return RIGHT


def _vectors(options: argparse.Namespace) -> int:
    paths = vectors.write(Path(options.folder), options.seed)
    print(
        f"{len(paths)} files of test vectors are in {options.folder}; `reference-cnn explain VEC-D3` says what they are"
    )
    return RIGHT


def _train(options: argparse.Namespace) -> int:
    train(options)
    return RIGHT


COMMANDS = {"check": _check, "explain": _explain, "init": _init, "train": _train, "vectors": _vectors}


def _positive(text: str) -> int:
    """An argument that counts something."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, is {text}")
    return int(text)


def _natural(text: str) -> int:
    """An argument that is 0 or more."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, is {text}")
    return int(text)


def _rate(text: str) -> float:
    if not 0 < float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"must be positive and finite, is {text}")
    return float(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reference-cnn", description=reference_cnn.__doc__)
    parser.add_argument("--version", action="version", version=f"reference-cnn {reference_cnn.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    judge = commands.add_parser(
        "check",
        help="judge an implementation",
        description="Judge an implementation of the layers.",
        epilog="Exit status: 0 all right, 1 something is wrong, 2 unusable arguments.",
    )
    kinds = f'a file.py, a module, "exec:PROGRAM ARGUMENTS", or one of: {", ".join(BUILT_IN)}'
    judge.add_argument("target", help=kinds)
    judge.add_argument(
        "--only",
        action="append",
        metavar="FUNCTION",
        choices=list(LAYERS),
        help=f"one of {', '.join(LAYERS)}; may be repeated",
    )
    judge.add_argument("--dtype", default="float64", choices=DTYPES, help="dtype of the arguments (default float64)")
    judge.add_argument("--layout", default=LAYOUTS[0], choices=LAYOUTS, help="where the target has its channels")
    judge.add_argument(
        "--rank", type=int, default=2, metavar="N", help="spatial axes of convolutions and poolings (default 2)"
    )
    judge.add_argument(
        "--accumulate", choices=DTYPES, help="dtype that sums may be formed in (default float32 for 16-bit floats)"
    )
    judge.add_argument("--profile", default="standard", choices=list(PROFILES), help="how many cases are drawn")
    judge.add_argument("--case", metavar="TEXT", help='ask one question: "x=3x2x6x5 w=2x2x2x2 stride=3,4 padding=same"')
    judge.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="CONVENTION",
        choices=CONVENTIONS,
        help=f"judge relative to a convention: {', '.join(CONVENTIONS)}; may be repeated",
    )
    judge.add_argument(
        "--algorithm", default=ALGORITHMS[0], choices=ALGORITHMS, help="whose rounding is admitted (default direct)"
    )
    judge.add_argument("--seed", type=int, default=0, metavar="N", help="draw other shapes and numbers (default 0)")
    judge.add_argument(
        "--timeout", type=_rate, default=TIMEOUT, metavar="S", help=f"seconds for one call (default {TIMEOUT:g})"
    )
    judge.add_argument(
        "--memory", type=_positive, metavar="MIB", help="what the target may take once it is loaded (Linux only)"
    )
    judge.add_argument(
        "--in-process", action="store_true", help="load the target into this process, for a debugger: no limits"
    )
    scale = judge.add_mutually_exclusive_group()
    scale.add_argument(
        "--jobs", type=_positive, default=1, metavar="N", help="ask and judge in so many processes (default 1)"
    )
    scale.add_argument("--dask", metavar="ADDRESS", help="ask and judge on the workers of a Dask scheduler")
    judge.add_argument(
        "--strict", action="store_true", help="notes are failures, and so is what --only names and is missing"
    )
    judge.add_argument("--json", metavar="FILE", help="write the report as JSON")
    judge.add_argument("--html", metavar="FILE", help="write the report as one HTML file, with heat maps")
    judge.add_argument("--junit", metavar="FILE", help="write the report as JUnit's XML")
    judge.add_argument("--exit-zero", action="store_true", help="exit 0 even when something is wrong")
    clause = commands.add_parser("explain", help="explain a clause of the specification, a mistake or a function")
    clause.add_argument(
        "id",
        metavar="ID",
        help="CONV-F1 or flipped-kernel, as messages have it, conv_forward, or any word, which is looked for",
    )
    skeleton = commands.add_parser("init", help="write a skeleton of an implementation, ready to be checked")
    skeleton.add_argument("file", metavar="FILE", help=f"a new file that ends with {', '.join(SKELETONS)}")
    training = commands.add_parser(
        "train",
        help="train the article's network on its 200 images",
        description="Train the article's two-layer network on its 200 images, or ten classes on more.",
    )
    training.add_argument("--epochs", type=_positive, metavar="N", help="default 500; 2 with ten classes")
    training.add_argument("--learning-rate", type=_rate, metavar="R", help="default 0.0003; 0.1 with ten classes")
    training.add_argument("--filters", type=_positive, metavar="N", help="of the first convolution; default 3, or 8")
    training.add_argument("--seed", type=_natural, default=0, metavar="N", help="draws the initial values (default 0)")
    training.add_argument("--classes", type=int, default=2, choices=(2, 10), help="5 or more against less, or digits")
    training.add_argument("--data", metavar="SET", help=f"an .npz file, or {' or '.join(NAMES)}, which Keras downloads")
    training.add_argument("--plot", metavar="FILE", help="draw loss, filters and maps (needs matplotlib)")
    training.add_argument("--save", metavar="FILE", help="write the parameters as .npz")
    files = commands.add_parser(
        "vectors",
        help="write test vectors, as files for any language",
        description="Write test vectors, one JSON file for each function: arguments, exact answers and bounds.",
    )
    files.add_argument("folder", metavar="DIR", help="made if it is missing; files of these names are overwritten")
    files.add_argument(
        "--seed", type=_natural, default=0, metavar="N", help="draw other numbers (default 0, as in spec/)"
    )
    return parser
