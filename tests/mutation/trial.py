"""Mutants on trial: tests that reach the changed line run against each, the quickest first, until one fails.

pytest collects once; then every mutant has a process of its own, forked with everything imported. There the code
objects of the mutated function are put into the function, so that whoever has imported it has the mutant. A change
outside of all functions takes effect where a module is imported: such a mutant is imported and collected anew.
"""

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol
from mutants import PACKAGE, Mutant

# What a mutant may take beyond a multiple of what the test takes without it: processor seconds, seconds, and bytes.
SECONDS, PATIENCE, MEMORY = 3, 120, 2 * 2**30

# Seconds that a test may take to be run once before all mutants.
QUICK = 0.1


def collected(files: Sequence[str], loop: Callable[[pytest.Session], object]) -> None:
    """Let pytest collect tests and hand them to a loop of ours."""

    class Plugin:
        @pytest.hookimpl
        def pytest_runtestloop(self, session: pytest.Session) -> bool:
            loop(session)
            return True

    # Nobody sees what a failure looks like: the quickest traceback will do, and none where a mutant crashes.
    left_out = [f"-pno:{plugin}" for plugin in ("randomly", "cacheprovider", "faulthandler")]
    options = [*left_out, "-qq", "-s", "--tb=native"]
    status = pytest.main([*options, *files], plugins=[Plugin()])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {status!r}")


def passes(item: pytest.Item) -> bool:
    """Run one test."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def measure(files: Sequence[str], path: Path) -> None:
    """Run every test once, unchanged, and write down how long it takes and which lines of the package it reaches."""
    tracer = coverage.Coverage(data_file=None, config_file=False, include=[f"{PACKAGE}/*"])

    def loop(session: pytest.Session) -> None:
        reach: dict[str, tuple[float, list[tuple[str, int]]]] = {}
        tracer.start()
        for item in session.items:
            tracer.switch_context(item.nodeid)
            start = time.process_time()
            if not passes(item):
                raise SystemExit(f"{item.nodeid} fails without any mutant")
            reach[item.nodeid] = time.process_time() - start, []
        tracer.stop()
        data = tracer.get_data()
        for file in data.measured_files():
            for line, tests in data.contexts_by_lineno(file).items():
                for test in filter(None, tests):
                    reach[test][1].append((str(Path(file).relative_to(PACKAGE)), line))
        path.write_text(json.dumps(reach), encoding="utf-8")

    collected(files, loop)


class Reach:
    """Which tests reach a line, and in which order to run them."""

    def __init__(self, path: Path) -> None:
        """Read what `measure` wrote."""
        measured: dict[str, tuple[float, list[tuple[str, int]]]] = json.loads(path.read_text(encoding="utf-8"))
        self.seconds = {test: seconds for test, (seconds, _) in measured.items()}
        self.tests: dict[tuple[str, int], list[str]] = {}
        for test, (_, lines) in measured.items():
            for file, line in lines:
                self.tests.setdefault((file, line), []).append(test)
        self.recent: list[str] = []

    def reaching(self, mutant: Mutant) -> list[str]:
        """The tests that run the changed lines: those that killed others lately, then the quickest first.

        All tests where the change is outside of functions.
        """
        first, last = mutant.lines
        places = [(f"{mutant.module}.py", line) for line in range(first, last + 1)]
        found = {test for place in places for test in self.tests.get(place, [])} if mutant.function else self.seconds
        return sorted(
            found, key=lambda test: (-self.recent.index(test) if test in self.recent else 1, self.seconds[test])
        )

    def has_killed(self, test: str) -> None:
        """Remember a test."""
        if test in self.seconds:
            self.recent = [*(t for t in self.recent if t != test), test][-12:]


def try_all(
    chosen: Sequence[Mutant],
    reach: Reach,
    files: Sequence[str],
    jobs: int,
    record: Callable[[Mutant, str, str], None],
    end: float,
) -> None:
    """Try mutants, several at a time, and record of each `killed` by which test, `timeout` or `survived`."""
    inside = [m for m in chosen if m.function]

    def loop(session: pytest.Session) -> None:
        items = {item.nodeid: item for item in session.items}

        def attempt(mutant: Mutant, tests: Sequence[str]) -> str:
            try:
                _put(mutant)
            except Exception as error:  # a module that does not import is noticed
                return f"import: {type(error).__name__}"
            return _first_failure(items, tests, reach)

        # The machinery itself must not be what kills: every function can be put where it is.
        for module in {m.module for m in inside}:
            code = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
            for function in {m.function for m in inside if m.module == module}:
                _put(Mutant(module, function, "", "", 0, (0, 0), code))
        # And what is loaded late need not be loaded by each of them.
        for item in session.items:
            if reach.seconds[item.nodeid] < QUICK and not passes(item):
                raise SystemExit(f"{item.nodeid} fails without any mutant")
        gc.freeze()
        _in_processes(inside, reach, attempt, jobs, record, end)

    if inside:
        apart(lambda: collected(files, loop))
    outside = [m for m in chosen if not m.function]
    _in_processes(outside, reach, lambda m, tests: _import_anew(m, tests, reach, files), jobs, record, end)


def _first_failure(items: Mapping[str, pytest.Item], tests: Sequence[str], reach: Reach) -> str:
    """The first of the tests that fails; a signal ends the process where one takes far longer than usual."""
    for test in tests:
        limit = SECONDS + 5 * reach.seconds[test]
        signal.setitimer(signal.ITIMER_PROF, limit)
        signal.setitimer(signal.ITIMER_REAL, 4 * limit + PATIENCE)
        if not passes(items[test]):
            return test
    return ""


def apart(work: Callable[[], object]) -> None:
    """Do something in a process of its own."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        sys.stdout.flush()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the tests of mutants cannot be run")


def _in_processes(
    chosen: Sequence[Mutant],
    reach: Reach,
    attempt: Callable[[Mutant, Sequence[str]], str],
    jobs: int,
    record: Callable[[Mutant, str, str], None],
    end: float,
) -> None:
    running: dict[int, tuple[Mutant, int]] = {}

    def wait() -> None:
        child, status = os.waitpid(-1, 0)
        mutant, pipe = running.pop(child)
        with os.fdopen(pipe, encoding="utf-8") as answer:
            test = answer.read()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM, signal.SIGKILL):
            record(mutant, "timeout", "")
        elif not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0:
            crashed = os.WIFSIGNALED(status)
            record(mutant, "killed" if test or crashed else "survived", test)
            reach.has_killed(test)

    for mutant in chosen:
        if time.monotonic() > end:
            break
        tests = reach.reaching(mutant)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            _confine()
            try:
                answer = attempt(mutant, tests)
            except BaseException:
                # That is our own mistake, and no verdict.
                os._exit(1)
            os.write(write, answer.encode())
            os._exit(0)
        os.close(write)
        running[child] = mutant, read
        if len(running) >= jobs:
            wait()
    while running:
        wait()


def _confine() -> None:
    """Limit the memory of a process, for a mutant may take all. What it prints, or leaves behind, is nobody's."""
    size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _put(mutant: Mutant) -> None:
    """Put the mutated code into the function that is there."""
    module = importlib.import_module(_dotted(mutant.module))
    fresh = types.ModuleType(module.__name__)
    fresh.__dict__.update({"__file__": module.__file__, "__package__": module.__package__})
    exec(compile(mutant.source, str(module.__file__), "exec"), fresh.__dict__)
    old, new = _function(module, mutant.function), _function(fresh, mutant.function)
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _function(module: types.ModuleType, path: str) -> types.FunctionType:
    *classes, name = path.split(".")
    found: Any = module
    for word in classes:
        found = getattr(found, word)
    found = found.__dict__[name]
    # Out of a property, a class method, a cache.
    for wrapper in ("fget", "func", "__func__", "__wrapped__"):
        found = getattr(found, wrapper, found)
    assert isinstance(found, types.FunctionType), path
    return found


def _import_anew(mutant: Mutant, tests: Sequence[str], reach: Reach, files: Sequence[str]) -> str:
    """Import the package with the mutant in it, and run the tests."""
    assert not any(name.partition(".")[0] == "reference_cnn" for name in sys.modules)
    sys.meta_path.insert(0, _Finder(mutant))
    failed: list[str] = ["import"]

    def loop(session: pytest.Session) -> None:
        items = {item.nodeid: item for item in session.items}
        # A test that is not collected any more has noticed.
        missing = [test for test in reach.seconds if test not in items]
        failed[:] = missing[:1] or [_first_failure(items, tests, reach)]

    collected(files, loop)
    return failed[0]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, and has the mutant loaded for it."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _dotted(self.mutant.module):
            return None
        file = str(PACKAGE / f"{self.mutant.module}.py")
        return importlib.util.spec_from_file_location(fullname, file, loader=_Loader(self.mutant.source, file))


class _Loader(importlib.abc.InspectLoader):
    """Loads a module from a text."""

    def __init__(self, source: str, file: str) -> None:
        self.source, self.file = source, file

    def get_source(self, fullname: str) -> str:
        return self.source

    def get_filename(self, fullname: str) -> str:
        return self.file


def _dotted(module: str) -> str:
    return "reference_cnn." + module.replace("/", ".")
