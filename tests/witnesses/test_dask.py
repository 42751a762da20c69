"""A cluster of Dask, started here: the same report as one process gives, and no case is lost with a worker."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadly import DEADLY
from distributed import Client, LocalCluster

from reference_cnn.cli import main
from reference_cnn.oracle import Report, check

TARGET = f"{DEADLY}\nfrom reference_cnn import conv_backward, dense_forward\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two workers, each a process with a nanny, that listen to this machine alone."""
    with LocalCluster(
        # Any free port, since two clusters may be tested at once; None would be 8787.
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as started:
        yield started


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(TARGET)


def plain(report: Report) -> dict[str, Any]:
    """A report as JSON has it."""
    content: dict[str, Any] = json.loads(report.to_json())
    return content


@pytest.mark.spec("ORC-D14")
def test_a_cluster_finds_what_one_process_finds(cluster: LocalCluster) -> None:
    alone = check("mine.py")
    assert {n for n, r in alone.results.items() if r.verdict == "fail"} == {"sigmoid_prime"}
    with Client(cluster) as client:
        addresses = [*client.scheduler_info()["workers"], cluster.scheduler_address]
        assert all(re.match(r"tcp://127\.0\.0\.1:\d+$", address) for address in addresses)
        assert plain(check("mine.py", executor=client.get_executor())) == plain(alone)


@pytest.mark.spec("ORC-D14")
def test_a_worker_that_is_killed_loses_no_case(cluster: LocalCluster) -> None:
    alone = check("mine.py")
    Path("killer").touch()
    with Client(cluster) as client:
        assert plain(check("mine.py", executor=client.get_executor())) == plain(alone)
    assert not Path("killer").exists()


@pytest.mark.spec("ORC-D14")
def test_the_command_connects_to_a_cluster(cluster: LocalCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mine.py", "--only", "squared_error", "--dask", cluster.scheduler_address]) == 0
    assert main(["check", "mine.py", "--dask", "nobody"]) == 2
    assert "no workers of Dask at nobody" in capsys.readouterr().err
