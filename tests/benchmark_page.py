"""The page spec/benchmarks.md, from what benchmark.py has measured."""

import datetime
import importlib.metadata
import itertools
import math
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark import DTYPES, GROWTH, NINE, OTHERS, PEERS, POOLS, SLOW, THREADS, Results, label, pool_label

INTRODUCTION = """\
# Benchmarks

How fast the layers are, written by `nox -s bench`; each ratio is of medians over three processes of medians of \
calls that took turns, pinned to one processor or to two, in processes that keep the memory that is freed. Below 1 the \
layers are faster. What was reached says the table, and so what was not. A dash: nothing to compare with, as ONNX \
Runtime has a Conv for float32 alone, or measured with two threads only.
"""


def machine() -> list[str]:
    """What the figures depend on, and the date."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(encoding="utf-8").splitlines()
        processor = next((line.split(": ")[1] for line in lines if line.startswith("model name")), processor)
    versions, missing = [], []
    for package in ("numpy", *PEERS):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    return [
        f"- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        f"- Machine: {processor}, {platform.system()}, Python {platform.python_version()}",
        f"- Versions: {', '.join(versions)}",
        f"- Not installed: {', '.join(missing) or 'nothing is missing'}",
    ]


def page(found: Results, about: list[str]) -> str:
    """The whole page."""
    parts = [INTRODUCTION, "\n".join(about) + "\n", *goals(found), *floors(found)]
    for threads in THREADS:
        for dtype in DTYPES:
            parts += shapes(found, threads, dtype)
        parts += others(found, threads)
    parts += slow(found) + small(found) + growing(found)
    return "\n".join(parts)


def table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    lines = [f"## {title}\n"] if title else []
    return [*lines, "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows]) + "\n"]


def ratio(found: Results, above: str, below: str) -> float:
    """One time over another; NaN where either was not measured."""
    return found.get(above, math.nan) / found.get(below, math.nan)


def number(value: float, unit: str = "") -> str:
    """Three digits, or a dash where there is nothing."""
    return "–" if math.isnan(value) else f"{value:.3g}{unit}" if value < 1000 else f"{value:.0f}{unit}"


def mean(values: Iterable[float]) -> float:
    """The geometric mean of what was measured."""
    known = [math.log(v) for v in values if not math.isnan(v)]
    return math.exp(sum(known) / len(known)) if known else math.nan


def worst(values: Iterable[float]) -> float:
    """The largest of what was measured."""
    return max((v for v in values if not math.isnan(v)), default=math.nan)


def against(found: Results, threads: int, dtype: str, way: str, peer: str) -> list[float]:
    """Our time over theirs, on the nine shapes."""
    keys = [f"{threads} {dtype} {label(s)}" for s in NINE]
    return [ratio(found, f"{k} ours {way}", f"{k} {peer} {way}") for k in keys]


def goals(found: Results) -> list[str]:
    rows = []

    def row(what: str, goal: str, values: list[float], reached: list[bool]) -> None:
        verdict = ["–" if math.isnan(v) else "reached" if r else "missed" for v, r in zip(values, reached)]
        rows.append([what, goal, *(f"{number(v)}, {w}" if w != "–" else w for v, w in zip(values, verdict))])

    def limit(what: str, values: list[float], most: float) -> None:
        row(what, f"≤ {most:g}", values, [v <= most for v in values])

    def least(what: str, values: list[float], fewest: float) -> None:
        row(what, f"≥ {fewest:g}", values, [v >= fewest for v in values])

    for dtype, way, middle, most in (
        ("float64", "forward", 0.6, 1.2), ("float64", "backward", 0.85, 1.2),
        ("float32", "forward", 1.15, 1.6), ("float32", "backward", 1.0, 1.6),
    ):  # fmt: skip
        lists = [against(found, t, dtype, way, "torch") for t in THREADS]
        limit(f"{dtype} {way} ÷ PyTorch, geometric mean of nine shapes", [mean(v) for v in lists], middle)
        limit(f"{dtype} {way} ÷ PyTorch, worst shape", [worst(v) for v in lists], most)
    many = [s for s in NINE if s[0][1] >= 16]
    shares = []
    for t in THREADS:
        keys = [f"{t} float64 {label(s)}" for s in many]
        shares.append([ratio(found, f"{k} gemm forward", f"{k} ours forward") for k in keys])
    least("float64 forward: rate ÷ that of one GEMM of its size, worst shape of 16 channels or more",
          [min(s) for s in shares], 0.8)  # fmt: skip
    lists = [against(found, t, "float64", "forward", "jax") for t in THREADS]
    limit("float64 forward ÷ JAX, geometric mean", [mean(v) for v in lists], 1)
    for peer, fewest, name in (("onnx", 4, "ONNX's reference"), ("scipy", 12, "correlate2d in loops")):
        least(f"{name} ÷ float64 forward, the slowest to lose",
              [-worst(-ratio(found, f"{t} float64 {label(s)} {peer} forward", f"{t} float64 {label(s)} ours forward")
                      for s in SLOW) for t in THREADS], fewest)  # fmt: skip
    least("the article's loops ÷ one epoch of its network, 200 images",
          [ratio(found, f"{t} epoch loops", f"{t} epoch ours") for t in THREADS], 100)  # fmt: skip
    for dtype in DTYPES:
        keys = [f"{t} {dtype} sigmoid" for t in THREADS]
        limit(f"{dtype} sigmoid ÷ scipy.special.expit", [ratio(found, f"{k} ours", f"{k} scipy") for k in keys], 2)
    alone = [math.nan] * (len(THREADS) - 1)
    last = max(THREADS)
    limit("import reference_cnn ÷ import numpy",
          [*alone, ratio(found, f"{last} import reference_cnn", f"{last} import numpy")], 1.1)  # fmt: skip
    limit("check of all layers, standard profile, in process, seconds",
          [*alone, found.get(f"{last} check all", math.nan)], 3)  # fmt: skip
    limit("check --case (8,64,56,56)·(128,64,3,3), float32, forward and backward: seconds beside the target's own",
          [*alone, found.get(f"{last} check case", math.nan)], 2)  # fmt: skip
    return table("Goals", ["what", "goal", *map(threads_of, THREADS)], rows)


def floors(found: Results) -> list[str]:
    """What the matrix products alone take, all columns being there already."""
    rows = []
    for dtype, way in itertools.product(DTYPES, ("forward", "backward")):
        means = []
        for t in THREADS:
            keys = [f"{t} {dtype} {label(s)}" for s in NINE]
            means.append(mean(ratio(found, f"{k} gemm {way}", f"{k} torch {way}") for k in keys))
        rows.append([f"{dtype} {way}: its matrix products ÷ PyTorch, geometric mean", *map(number, means)])
    least = []
    for t in THREADS:
        keys = [f"{t} float64 {label(s)}" for s in SLOW]
        least.append(-worst(-ratio(found, f"{k} onnx forward", f"{k} gemm forward") for k in keys))
    rows.append(["ONNX's reference ÷ the matrix product, the slowest to lose", *map(number, least)])
    note = (
        "Each is one product of the whole size by NumPy's BLAS, its columns being there already; in blocks that stay "
        "in the cache it may take a little less. Where a goal is near these figures, no time is left to make the "
        "columns.\n"
    )
    return [*table("What the matrix products alone take", ["what", *map(threads_of, THREADS)], rows), note]


def threads_of(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def shapes(found: Results, threads: int, dtype: str) -> list[str]:
    peers = [("torch", "forward"), ("torch", "backward"), ("jax", "forward"), ("jax", "backward"), ("keras", "forward"),
             ("onnxruntime", "forward"), ("gemm", "forward")]  # fmt: skip
    rows = []
    for shape in NINE + OTHERS:
        k = f"{threads} {dtype} {label(shape)}"
        ours = [number(found.get(f"{k} ours {way}", math.nan) * 1000) for way in ("forward", "backward")]
        rows.append([label(shape), *ours,
                     *(number(ratio(found, f"{k} ours {way}", f"{k} {p} {way}")) for p, way in peers)])  # fmt: skip
    rows.append(["geometric mean of the first nine", "", "",
                 *(number(mean(against(found, threads, dtype, way, p))) for p, way in peers)])  # fmt: skip
    head = ["shape", "forward, ms", "backward, ms", *(f"÷ {p} {way}" for p, way in peers)]
    return table(f"Convolution, {dtype}, {threads_of(threads)}", head, rows)


def others(found: Results, threads: int) -> list[str]:
    names = [pool_label(kind, *pool) for pool in POOLS for kind in ("max", "avg")] + ["dense"]
    rows = []
    for dtype in DTYPES:
        for name in names:
            k = f"{threads} {dtype} {name}"
            rows.append([f"{name}, {dtype}", *(
                number(value) for way in ("forward", "backward")
                for value in (found.get(f"{k} ours {way}", math.nan) * 1000,
                              ratio(found, f"{k} ours {way}", f"{k} torch {way}"))
            )])  # fmt: skip
    head = ["layer", "forward, ms", "÷ PyTorch", "backward, ms", "÷ PyTorch"]
    note = (
        "PyTorch's backward of max pooling is handed the places of the maxima by its forward; ours takes x and finds "
        "them anew.\n"
    )
    return [*table(f"Pooling and dense, {threads_of(threads)}", head, rows), note]


def slow(found: Results) -> list[str]:
    rows = [[label(s), *(number(ratio(found, f"1 float64 {label(s)} {p} forward", f"1 float64 {label(s)} ours forward"))
                         for p in ("onnx", "scipy"))] for s in SLOW]  # fmt: skip
    return table("How many times faster than loops, float64 forward, 1 thread",
                 ["shape", "ONNX's reference", "scipy.signal.correlate2d"], rows)  # fmt: skip


def small(found: Results) -> list[str]:
    prefix = f"{max(THREADS)} small "
    names = ("conv_forward", "conv_backward", "max_pool_forward", "max_pool_backward", "avg_pool_forward",
             "avg_pool_backward", "dense_forward", "dense_backward", "sigmoid")  # fmt: skip
    rows = [[n, number(found.get(prefix + n, math.nan) * 1e6)] for n in names]
    return table("A call at 1×1×5×5", ["function", "microseconds"], rows)


def growing(found: Results) -> list[str]:
    last = max(THREADS)

    def both(key: str) -> Iterator[str]:
        return (number(found.get(f"{last} {key} {way}", math.nan)) for way in ("forward", "backward"))

    rows = [[what, *both(f"growth {what}")] for what in GROWTH]
    parts = table("Time against work", ["what grows", "forward: exponent", "backward: exponent"], rows)
    parts.append("The time grows as the number of multiplications to this power; 1 is linear.\n")
    rows = [[str(n), *both(f"memory {n}")] for n in (8, 32, 128)]
    parts += table("Memory beside arguments and results, MiB",
                   ["images of 16×56×56, 16 filters 3×3", "forward", "backward"], rows)  # fmt: skip
    return parts
