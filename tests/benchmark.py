"""How fast the layers are, against other libraries and against the machine: writes spec/benchmarks.md.

`python tests/benchmark.py --write` measures in processes of their own, with one thread and with two, and writes the
page; a library that is not installed leaves its cells empty, and the page names it. No test times anything.
"""

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import benchmark_peers as peers
import numpy as np
from benchmark_peers import Call, Shape, Sizes

import reference_cnn
from reference_cnn import article
from reference_cnn._validate import Array
from reference_cnn.datasets import article_images
from reference_cnn.oracle import check
from reference_cnn.oracle.targets import article as article_target

PAGE = Path(__file__).parents[1] / "spec" / "benchmarks.md"
PEERS = ("torch", "jax", "keras", "onnxruntime", "onnx", "scipy")
NINE: list[Shape] = [
    ((200, 1, 28, 28), (3, 1, 5, 5), {}),
    ((32, 3, 32, 32), (16, 3, 3, 3), {"padding": 1}),
    ((16, 16, 28, 28), (32, 16, 3, 3), {"padding": 1}),
    ((8, 32, 28, 28), (64, 32, 5, 5), {"padding": 2}),
    ((16, 64, 14, 14), (128, 64, 3, 3), {"padding": 1}),
    ((8, 3, 112, 112), (32, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((8, 64, 56, 56), (64, 64, 1, 1), {}),
    ((8, 32, 56, 56), (64, 32, 3, 3), {"stride": 2, "padding": 1}),
    ((8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
]
OTHERS: list[Shape] = [
    ((16, 32, 28, 28), (32, 8, 3, 3), {"padding": 1, "groups": 4}),
    ((16, 64, 28, 28), (64, 1, 3, 3), {"padding": 1, "groups": 64}),
    ((16, 16, 28, 28), (32, 16, 3, 3), {"padding": 2, "dilation": 2}),
    ((16, 32, 1024), (64, 32, 5), {"padding": 2}),
    ((2, 16, 16, 32, 32), (32, 16, 3, 3, 3), {"padding": 1}),
]
SLOW = [NINE[2], NINE[4]]  # where Python loops are timed: several channels, and small enough
POOLS: list[tuple[Sizes, int, dict[str, int]]] = [
    ((16, 32, 56, 56), 2, {}),
    ((16, 32, 56, 56), 3, {"stride": 2, "padding": 1}),
]
DENSE = ((256, 784), (784, 128))
DTYPES = ("float64", "float32")
THREADS = (1, 2)
ROUNDS = 3  # processes with each number of threads: some are luckier than others
GROWTH: dict[str, list[Shape]] = {
    "images": [((n, 16, 28, 28), (16, 16, 3, 3), {}) for n in (8, 32, 128)],
    "channels": [((8, c, 28, 28), (32, c, 3, 3), {}) for c in (16, 64, 256)],
    "image": [((8, 16, s, s), (16, 16, 3, 3), {}) for s in (18, 34, 66, 130)],
    "kernel": [((8, 16, 39 + k, 39 + k), (16, 16, k, k), {}) for k in (3, 5, 9)],
}
CASE = "x=8x64x56x56 w=128x64x3x3 padding=1"
Results = Mapping[str, float]


def medians(calls: Mapping[str, Call], budget: float = 0.6) -> dict[str, float]:
    """Median seconds of each call, one after the other again and again until the budget of seconds is spent."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(next(iter(times.values()))) < 3:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def label(shape: Shape) -> str:
    x, w, options = shape
    return " ".join(["×".join(map(str, x)), "·", "×".join(map(str, w)), *(f"{k} {v}" for k, v in options.items())])


def arrays(shape: Shape, dtype: str) -> tuple[Array, Array, Array, Array]:
    """Random x, w, b and dz."""
    rng, (x, w, options) = np.random.default_rng(0), shape
    drawn = [rng.standard_normal(s).astype(dtype) for s in (x, w, w[:1])]
    z = reference_cnn.conv_forward(*drawn, **options)
    return drawn[0], drawn[1], drawn[2], rng.standard_normal(z.shape).astype(dtype)


def offered(make: Callable[..., dict[str, Call]], *arguments: Any) -> dict[str, Call]:
    """The calls of a peer, none if it is not installed."""
    try:
        return make(*arguments)
    except ImportError:
        return {}


def convolutions() -> Iterator[tuple[str, float]]:
    for dtype, shape in itertools.product(DTYPES, NINE + OTHERS):
        data = x, w, b, dz = arrays(shape, dtype)
        options: dict[str, Any] = shape[2]
        groups = options.get("groups", 1)
        left = np.ascontiguousarray(w.reshape(groups, len(w) // groups, -1))
        right = np.ones((groups, left.shape[2], dz.size // len(w)), dtype)
        errors = np.ones((groups, left.shape[1], right.shape[2]), dtype)
        calls: dict[str, Call] = {
            "ours forward": lambda: reference_cnn.conv_forward(x, w, b, **options),
            "ours backward": lambda: reference_cnn.conv_backward(dz, x, w, **options),
            "gemm forward": lambda: left @ right,
            "gemm backward": lambda: (right @ errors.swapaxes(1, 2), left.swapaxes(1, 2) @ errors),
        }
        for make in (peers.torch_conv, peers.jax_conv, peers.keras_conv, peers.onnxruntime_conv):
            calls |= offered(make, shape, data, dtype)
        if dtype == "float64" and shape in SLOW:
            calls |= offered(peers.onnx_conv, shape, data) | offered(peers.scipy_conv, shape, data)
        for name, seconds in medians(calls).items():
            yield f"{dtype} {label(shape)} {name}", seconds


def other_layers() -> Iterator[tuple[str, float]]:
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        for (shape, window, options), kind in itertools.product(POOLS, ("max", "avg")):
            x = rng.standard_normal(shape).astype(dtype)
            forward, backward = (getattr(reference_cnn, f"{kind}_pool_{way}") for way in ("forward", "backward"))
            given: dict[str, Any] = options
            dy = rng.standard_normal(forward(x, window, **given).shape).astype(dtype)
            calls = {"ours forward": lambda: forward(x, window, **given),
                     "ours backward": lambda: backward(dy, x, window, **given)}  # fmt: skip
            calls |= offered(peers.torch_pool, kind, x, dy, window, options)
            for name, seconds in medians(calls, 0.3).items():
                yield f"{dtype} {pool_label(kind, shape, window, options)} {name}", seconds
        x, w = (rng.standard_normal(s).astype(dtype) for s in DENSE)
        calls = {"ours forward": lambda: reference_cnn.dense_forward(x, w, w[0]),
                 "ours backward": lambda: reference_cnn.dense_backward(x @ w, x, w),
                 **offered(peers.torch_dense, x, w)}  # fmt: skip
        for name, seconds in medians(calls, 0.3).items():
            yield f"{dtype} dense {name}", seconds
        z = 3 * rng.standard_normal((200, 3, 24, 24)).astype(dtype)
        calls = {"ours": lambda: reference_cnn.sigmoid(z), **offered(peers.expit, z)}
        for name, seconds in medians(calls, 0.3).items():
            yield f"{dtype} sigmoid {name}", seconds


def pool_label(kind: str, shape: Sizes, window: int, options: dict[str, int]) -> str:
    return " ".join([f"{kind}_pool", "×".join(map(str, shape)), f"window {window}",
                     *(f"{k} {v}" for k, v in options.items())])  # fmt: skip


def epochs() -> Iterator[tuple[str, float]]:
    """One step of the article's network on its 200 images, and the same with the article's loops."""
    images, labels = article_images()
    y, p = article.binary(labels), article.initialise(0)

    def loops() -> None:
        z1 = np.empty((len(images), 3, 24, 24))
        for n, f, i, j in np.ndindex(*z1.shape):
            z1[n, f, i, j] = (images[n, 0, i : i + 5, j : j + 5] * p.filters[f, 0]).sum()
        a1 = article_target.sigmoid(z1)
        flat = a1.reshape(len(images), -1)
        o = article_target.sigmoid(article_target.dense_forward(flat, p.weights))
        dense = article_target.dense_backward((o - y) * o * (1 - o), flat, p.weights)
        dz1 = dense["dx"].reshape(z1.shape) * a1 * (1 - a1)
        article_target.conv_backward(dz1, images, p.filters)

    yield from medians({"epoch ours": lambda: next(article.train(p, images, y)), "epoch loops": loops}, 4).items()


def small_calls() -> Iterator[tuple[str, float]]:
    """What a call costs when there is next to nothing to compute."""
    x, w, dz = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3))
    calls: dict[str, Call] = {
        "conv_forward": lambda: reference_cnn.conv_forward(x, w),
        "conv_backward": lambda: reference_cnn.conv_backward(dz, x, w),
        "max_pool_forward": lambda: reference_cnn.max_pool_forward(x, 2),
        "max_pool_backward": lambda: reference_cnn.max_pool_backward(x[..., :2, :2], x, 2),
        "avg_pool_forward": lambda: reference_cnn.avg_pool_forward(x, 2),
        "avg_pool_backward": lambda: reference_cnn.avg_pool_backward(x[..., :2, :2], x, 2),
        "dense_forward": lambda: reference_cnn.dense_forward(x[0, 0], x[0, 0]),
        "dense_backward": lambda: reference_cnn.dense_backward(x[0, 0], x[0, 0], x[0, 0]),
        "sigmoid": lambda: reference_cnn.sigmoid(x),
    }
    for name, seconds in medians(calls).items():
        yield f"small {name}", seconds


def memory() -> Iterator[tuple[str, float]]:
    """Peak of the memory that is neither argument nor result, in MiB."""
    for n, way in itertools.product((8, 32, 128), ("forward", "backward")):
        x, w, b, dz = arrays(((n, 16, 56, 56), (16, 16, 3, 3), {"padding": 1}), "float64")
        tracemalloc.start()
        if way == "forward":
            kept = reference_cnn.conv_forward(x, w, b, padding=1).nbytes
        else:
            kept = sum(g.nbytes for g in reference_cnn.conv_backward(dz, x, w, padding=1))
        yield f"memory {n} {way}", (tracemalloc.get_traced_memory()[1] - kept) / 2**20
        tracemalloc.stop()


def growth() -> Iterator[tuple[str, float]]:
    """How the time grows with the work, as the exponent of a power: 1 is linear."""
    for what, shapes in GROWTH.items():
        data = [arrays(shape, "float64") for shape in shapes]
        work = [math.log(dz.size * w[0].size) for _, w, _, dz in data]
        for way in ("forward", "backward"):
            calls: dict[str, Call] = {}
            for i, (x, w, b, dz) in enumerate(data):
                forward = partial(reference_cnn.conv_forward, x, w, b)
                calls[str(i)] = forward if way == "forward" else partial(reference_cnn.conv_backward, dz, x, w)
            yield f"growth {what} {way}", float(np.polyfit(work, np.log(list(medians(calls).values())), 1)[0])


def command(*arguments: str) -> float:
    """Seconds that a Python takes, byte code kept in a folder of its own: not every machine keeps it."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def beside_the_target() -> float:
    """Seconds that a check of CASE takes, but for those that the target takes itself."""
    own = 0.0

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **options: Any) -> Any:
            nonlocal own
            start = time.perf_counter()
            answer = function(*arguments, **options)
            own += time.perf_counter() - start
            return answer

        return asked

    target = {name: timed(getattr(reference_cnn, name)) for name in ("conv_forward", "conv_backward")}
    start = time.perf_counter()
    check(target, dtype="float32", case=CASE)
    return time.perf_counter() - start - own


def commands() -> Iterator[tuple[str, float]]:
    with tempfile.TemporaryDirectory() as kept:
        os.environ["PYTHONPYCACHEPREFIX"] = kept
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        calls: dict[str, Call] = {m: partial(command, "-c", f"import {m}") for m in ("numpy", "reference_cnn")}
        for name, seconds in medians(calls, 5).items():
            yield f"import {name}", seconds
    yield "check case", beside_the_target()
    start = time.perf_counter()
    check(reference_cnn)
    yield "check all", time.perf_counter() - start


def measure(threads: int) -> None:
    """Print what one process finds with this many threads, as JSON; what no number of threads changes, with two."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    offered(peers.torch_settings, threads)
    parts = [convolutions, other_layers, epochs]
    if threads == max(THREADS):
        parts += [small_calls, memory, growth, commands]
    print(json.dumps({f"{threads} {k}": seconds for part in parts for k, seconds in part()}))


def run(threads: int) -> dict[str, float]:
    """Measure in a process of its own: libraries read how many threads they have when they are loaded."""
    count = str(threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    # Threads of one library that wait for work would else take the processors from the next one, for milliseconds.
    asleep = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_THREAD_TIMEOUT": "4"}
    # What is freed stays with the process: whether a call has to fetch pages anew would depend on those before it.
    kept = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
    settings = {**os.environ, **asleep, **kept, **dict.fromkeys(names, count), "KERAS_BACKEND": "jax",
                "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, __file__, "--measure", count], env=settings, check=True, stdout=subprocess.PIPE
    )
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure(int(sys.argv[-1]))
    elif "--write" in sys.argv:
        import benchmark_page

        rounds = [{k: v for threads in THREADS for k, v in run(threads).items()} for _ in range(ROUNDS)]
        found = {k: statistics.median(r[k] for r in rounds) for k in rounds[0]}
        PAGE.write_text(benchmark_page.page(found, benchmark_page.machine()), encoding="utf-8", newline="\n")
