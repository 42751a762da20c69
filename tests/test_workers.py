"""Workers: a report is the same however many of them there are, and whatever they die of."""

import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from deadly import DEADLY

from reference_cnn import relu
from reference_cnn.cli import main
from reference_cnn.oracle import Report, cases, check
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.targets import UsageError
from reference_cnn.oracle.targets.ask import Answer, Outcome
from reference_cnn.oracle.workers import BATCH, Crew, Place, UnrepeatableError, in_batches

# Right; wrong everywhere; wrong under a condition; and wrong from the second call on.
TARGET = f"""{DEADLY}
import numpy as np
from reference_cnn import dense_forward, max_pool_forward

total = 0

def squared_error_prime(o, y):
    return None if o.size == 15 else reference_cnn.squared_error_prime(o, y)

def dense_backward(dz, x, w):
    global total
    dx, dw, db = reference_cnn.dense_backward(dz, x, w)
    total = total + db.sum()
    return dx, dw, db - db.sum() + total
"""
ONE = ["squared_error"]


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    """Two processes, which `check` is given."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file in the current directory, as users name it."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(TARGET)
    return "mine.py"


def plain(report: Report) -> dict[str, Any]:
    """A report as JSON has it, without how it came about."""
    content: dict[str, Any] = json.loads(report.to_json())
    content.pop("remarks")
    return content


class Failing(Executor):
    """An executor that fails in its own way."""

    def __init__(self, submit: Callable[[], Future[Any]]) -> None:
        self._submit = submit

    def submit(self, *arguments: Any, **keywords: Any) -> Future[Any]:
        return self._submit()


def cancelled() -> Future[Any]:
    future = Future[Any]()
    future.cancel()
    return future


def failed() -> Future[Any]:
    future = Future[Any]()
    future.set_exception(ModuleNotFoundError("No module named 'reference_cnn'"))
    return future


def shut_down() -> Future[Any]:
    raise RuntimeError("cannot schedule new futures after shutdown")


@pytest.mark.spec("ORC-D14")
def test_any_number_of_workers_finds_what_one_process_finds(target: str, pool: Executor) -> None:
    alone = check(target, profile="quick")
    assert {n: r.verdict for n, r in alone.results.items() if r.verdict != "missing"} == {
        "dense_forward": "pass",
        "max_pool_forward": "pass",
        "sigmoid_prime": "fail",
        "squared_error": "pass",
        "squared_error_prime": "fail",
        "dense_backward": "fail",
    }
    report = check(target, profile="quick", executor=pool)
    assert plain(report) == plain(alone)
    assert report.remarks == ()


@pytest.mark.spec("ORC-D14")
def test_one_worker_has_several_threads() -> None:
    with ThreadPoolExecutor(3) as threads:
        report = check("loops", functions=ONE, executor=threads)
    assert plain(report) == plain(check("loops", functions=ONE))


@pytest.mark.spec("ORC-D14")
@pytest.mark.parametrize("outcome", ["crash", "hang", "malformed", "not asked"])
def test_what_says_more_than_a_question_asks_is_left_to_one_process(outcome: Outcome) -> None:
    """After so many deaths a function is asked no more, and these are counted where all are asked in order."""
    (case,) = cases("relu", profile="quick")[:1]
    answer = Answer(outcome, {}, "as it was found")
    future = Future[Any]()
    future.set_result([(answer, judge(case, answer), True)])
    crew = Crew(
        Place.of("reference", "channels_first", timeout=1, memory=None), Failing(lambda: future), 1, strict=False
    )
    with pytest.raises(UnrepeatableError):
        crew.ask_all(relu, [case])


@pytest.mark.spec("ORC-D14")
def test_a_worker_that_is_killed_loses_no_case(target: str) -> None:
    alone = check(target, functions=ONE, profile="quick")
    assert alone.passed
    Path("killer").touch()
    report = check(target, functions=ONE, profile="quick", jobs=2)
    assert not Path("killer").exists()
    assert plain(report) == plain(alone)
    assert report.remarks == ()  # another worker was asked


@pytest.mark.spec("ORC-D14")
def test_what_no_worker_answers_is_asked_here() -> None:
    alone = check("reference", functions=ONE, profile="quick")
    count = alone.results["squared_error"].cases
    for submit, words in (
        (cancelled, "CancelledError"),
        (failed, "ModuleNotFoundError: No module named 'reference_cnn'"),
        (shut_down, "RuntimeError: cannot schedule new futures after shutdown"),
    ):
        report = check("reference", functions=ONE, profile="quick", executor=Failing(submit))
        assert plain(report) == plain(alone)
        assert report.remarks == (f"{count} questions were asked here, since workers had failed: {words}",)


@pytest.mark.spec("ORC-D14")
def test_what_has_no_name_is_asked_here() -> None:
    report = check({"relu": lambda z: relu(z)}, executor=Failing(shut_down))
    assert report.passed
    assert "note: all was asked here: only a target that has a name can be sent to workers\n" in str(report)
    assert json.loads(report.to_json())["remarks"] == list(report.remarks)


@pytest.mark.spec("ORC-D14")
def test_a_batch_is_long_enough_for_a_stale_answer_to_show() -> None:
    questions = cases("conv_forward", profile="thorough")
    batches = list(in_batches(questions))
    assert [case for batch in batches for case in batch] == questions
    assert all(len(batch) >= BATCH for batch in batches[:-1])
    assert max(map(len, batches)) < BATCH + 3  # one call has three tiers at most
    assert all(one[-1].call != other[0].call for one, other in pairwise(batches))


def test_a_number_of_workers_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    for jobs, in_process in ((0, False), (2, True)):
        with pytest.raises(UsageError, match="jobs must be at least 1, and 1 in process"):
            check("reference", jobs=jobs, in_process=in_process)
    with pytest.raises(SystemExit):
        main(["check", "reference", "--jobs", "2", "--dask", "127.0.0.1:1"])
    assert "not allowed with argument" in capsys.readouterr().err
