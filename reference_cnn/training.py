"""The command `reference-cnn train`: progress, what is saved, and plots."""

import argparse
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reference_cnn import article, digits
from reference_cnn._validate import Array
from reference_cnn.datasets import DataError, Examples, article_images, load

# Lines that are printed where there is no terminal to draw a bar on.
LINES = 10
# Narrow enough for all of it, and for the ^C that a terminal echoes behind it, to fit on a line of 80 characters:
# a line that wraps is not erased.
BAR_WIDTH = 24
# Epochs that are marked in the plot: a line through one point cannot be seen.
FEW = 20

Epoch = article.Epoch | digits.Epoch
Watch = Callable[[float, Epoch], None]


class Run(NamedTuple):
    """A network about to be trained: its epochs, how many, and what to plot and report afterwards."""

    epochs: Callable[[Watch], Iterator[Epoch]]
    total: int
    start: article.Parameters | digits.Parameters
    images: Array
    test: Examples | None


@dataclass
class Learned:
    """What there is when training ends or is interrupted: whole epochs, and the last one as far as it came."""

    done: list[Epoch] = field(default_factory=list)
    latest: Epoch | None = None
    epochs: float = 0


def train(options: argparse.Namespace) -> None:
    """Train as the options say, and save and plot what has been learned, interrupted or not."""
    for path in (options.save, options.plot):
        if path and not Path(path).parent.is_dir():
            raise DataError(f"{Path(path).parent} is no folder to write {Path(path).name} to")
    plot = _plotter(options.plot) if options.plot else None
    run = _ten_classes(options) if options.classes == 10 else _two_classes(options)
    console, learned = Console(), Learned()
    try:
        _follow(run, console, learned)
    except KeyboardInterrupt:
        console.print(f"interrupted after {round(learned.epochs, 2):g} of {run.total} epochs")
    _report(console, learned)
    parameters = learned.latest.parameters if learned.latest else run.start
    if options.save:
        with Path(options.save).open("wb") as file:
            np.savez(file, **parameters._asdict())
        console.print(f"parameters saved in {options.save}", markup=False, soft_wrap=True)
    if run.test is not None and isinstance(parameters, digits.Parameters):
        share = digits.accuracy(parameters, run.test.x.astype(np.float32), run.test.labels)
        console.print(f"test set of {len(run.test.x)} images: accuracy {share:.2%}")
    if plot is not None:
        _plot(plot, options.plot, learned.done, parameters, run.images[:1])
        console.print(f"plot drawn in {options.plot}", markup=False, soft_wrap=True)


def _two_classes(options: argparse.Namespace) -> Run:
    examples = article_images() if options.data is None else load(options.data)[0]
    start = article.initialise(options.seed, filters=options.filters or 3, size=examples.x.shape[2:])
    count, rate = options.epochs or 500, options.learning_rate or 0.0003

    def epochs(watch: Watch) -> Iterator[Epoch]:
        return article.train(start, examples.x, article.binary(examples.labels), epochs=count, learning_rate=rate)

    return Run(epochs, count, start, examples.x, None)


def _ten_classes(options: argparse.Namespace) -> Run:
    if options.data is None:
        raise DataError("--classes 10 wants more images: give --data an .npz file, mnist or fashion_mnist")
    training, test = load(options.data)
    x = training.x.astype(np.float32)
    start = digits.initialise(options.seed, filters=options.filters or 8, size=x.shape[2:])
    count, rate = options.epochs or 2, options.learning_rate or 0.1

    def epochs(watch: Watch) -> Iterator[Epoch]:
        named = {"seed": options.seed, "epochs": count, "learning_rate": rate}
        return digits.train(start, x, training.labels, **named, watch=watch)

    return Run(epochs, count, start, x, test)


def _follow(run: Run, console: Console, learned: Learned) -> None:
    """Take the epochs one by one, with a bar on a terminal and a few lines elsewhere."""
    columns = (BarColumn(BAR_WIDTH), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=run.total)

        def watch(done: float, epoch: Epoch) -> None:
            learned.epochs, learned.latest = done, epoch
            progress.update(task, completed=done, description=f"loss {epoch.loss:.4f} accuracy {epoch.accuracy:.1%}")

        for epoch in run.epochs(watch):
            watch(epoch.number, epoch)
            learned.done.append(epoch)
            if not console.is_terminal and epoch.number % max(run.total // LINES, 1) == 0 and epoch.number < run.total:
                _report(console, learned)


def _report(console: Console, learned: Learned) -> None:
    if learned.latest:
        number, loss, accuracy, _ = learned.latest
        console.print(f"epoch {number}: loss {loss:.4f}, accuracy {accuracy:.1%}")


def _plotter(path: str) -> Any:
    try:
        matplotlib: Any = importlib.import_module("matplotlib")
        matplotlib.use("Agg")
        plt: Any = importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise DataError("--plot needs matplotlib: pip install 'reference_cnn[plots]'") from error
    known = importlib.import_module("matplotlib.backend_bases").FigureCanvasBase.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in known:
        raise DataError(f"--plot: {Path(path).name} must end with one of {', '.join(f'.{name}' for name in known)}")
    return plt


def _plot(
    plt: Any, path: str, done: list[Epoch],
    parameters: article.Parameters | digits.Parameters, image: Array,
) -> None:  # fmt: skip
    """Loss and accuracy above; below, the first filters, and what they make of one image."""
    if isinstance(parameters, article.Parameters):
        filters, maps = parameters.filters, article.forward(parameters, image).a1
    else:
        filters, maps = parameters.w1, digits.forward(parameters, image).z1
    shown = min(len(filters), 8)
    figure = plt.figure(figsize=(10, 7), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.2))
    left, right = top.subplots(1, 2)
    numbers = [e.number for e in done]
    for axes, values, label in (
        (left, [e.loss for e in done], "loss"),
        (right, [e.accuracy for e in done], "accuracy"),
    ):
        axes.plot(numbers, values, color="tab:blue", marker="o" if len(done) <= FEW else "")
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
    grid = bottom.subplots(2, shown + 1, squeeze=False)
    grid[0, 0].axis("off")
    grid[1, 0].imshow(image[0, 0], cmap="gray_r")
    grid[1, 0].set_title("image", fontsize=9)
    limit = float(np.abs(filters[:shown]).max())
    for k in range(shown):
        grid[0, k + 1].imshow(filters[k, 0], cmap="RdBu", vmin=-limit, vmax=limit)
        grid[0, k + 1].set_title(f"filter {k}", fontsize=9)
        grid[1, k + 1].imshow(maps[0, k], cmap="gray_r")
        grid[1, k + 1].set_title(f"map {k}", fontsize=9)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=120)
    plt.close(figure)
