"""Where windows lie: three ways to say it agree, and blocks split the work without gap or overlap."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from reference_cnn._windows import BLOCK, Scratch, Windows

# Size, kernel, stride, padding and dilation: with overlap and gaps, and with taps that never see the image.
GEOMETRIES: list[tuple[Any, ...]] = [
    ((7,), (3,), 1, 0, 1),
    ((7,), (3,), 3, ((1, 2),), 2),
    ((5,), (2,), 4, ((0, 3),), 3),
    ((4,), (3,), 2, ((4, 1),), 1),
    ((6,), (3,), 2, "same", 2),
    ((2,), (3,), 2, ((2, 5),), 3),
    ((5, 7), (2, 3), (2, 3), ((1, 0), (2, 2)), (3, 1)),
    ((3, 4, 5), (2, 1, 3), (1, 2, 2), ((0, 1), (0, 0), (3, 1)), (2, 1, 1)),
]


@pytest.mark.spec("WIN-D1", "WIN-D2", "WIN-D3")
@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), GEOMETRIES)
def test_view_taps_and_inside_say_the_same(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    windows = Windows.of("test", size, kernel, stride, padding, dilation)
    x = np.arange(1, 1 + 2 * 3 * math.prod(size)).reshape(2, 3, *size)
    whole, interior = windows.padded(x.shape, x.dtype)
    interior[...] = x
    view = windows.view(whole)
    assert view.shape == (*kernel, 2, 3, *windows.out)
    assert not view.flags.writeable
    assert windows.view(whole, writeable=True).flags.writeable
    for k, (outputs, inputs) in zip(np.ndindex(kernel), windows.taps(), strict=True):
        inside = np.ones((), bool)
        for axis, t in zip(windows.inside, k):
            inside = np.logical_and.outer(inside, axis[:, t])
        read = np.zeros((2, 3, *windows.out), int)
        read[outputs] = x[inputs]
        assert np.array_equal(view[k], read)
        assert np.array_equal(view[k] != 0, np.broadcast_to(inside, read.shape))
        for o in np.ndindex(windows.out):
            steps = zip(o, windows.stride, k, windows.dilation, windows.pads)
            place = [i * s + t * d - before for i, s, t, d, (before, _) in steps]
            within = all(0 <= i < n for i, n in zip(place, size))
            assert (view[(*k, 1, 2, *o)] == x[(1, 2, *place)]) if within else view[(*k, 1, 2, *o)] == 0


@pytest.mark.spec("CONV-F1")
@pytest.mark.parametrize("channels", [1, 7, 300])
@pytest.mark.parametrize("images", [0, 1, 5, 70])
@pytest.mark.parametrize("size", [(9, 8), (64, 50), (500, 500)])
def test_blocks_cover_every_row_of_every_image_once_and_are_as_large_as_the_cache_allows(
    size: tuple[int, int], images: int, channels: int
) -> None:
    windows = Windows.of("test", size, (3, 2), (2, 1), 0, 1)
    row = channels * 6 * windows.out[1]
    covered = np.zeros((images, windows.out[0]), int)
    blocks = list(windows.blocks((images, channels, *size)))
    for some, rows in blocks:
        for part in rows:
            covered[some, part] += 1
            count = len(range(images)[some]) * len(range(windows.out[0])[part])
            assert count * row <= BLOCK or count == 1
    assert (covered == 1).all()
    if blocks:
        some, rows = blocks[0]
        here, high = len(range(images)[some]), len(range(windows.out[0])[rows[0]])
        assert high == windows.out[0] or (high + 1) * row > BLOCK
        assert here == images or (here + 1) * windows.out[0] * row > BLOCK


@pytest.mark.spec("CONV-F1")
def test_scratch_memory_is_the_same_until_more_is_needed() -> None:
    scratch = Scratch(np.dtype(np.float32))
    first = scratch.shaped(3, 4)
    assert first.shape == (3, 4)
    assert first.dtype == np.float32
    for shape in ((2, 5), (12,), (1, 3, 4)):
        again = scratch.shaped(*shape)
        assert again.shape == shape
        assert np.shares_memory(first, again)
    larger = scratch.shaped(13)
    assert larger.dtype == np.float32
    assert not np.shares_memory(first, larger)
    assert scratch.shaped(0).size == 0


@pytest.mark.spec("WIN-D2")
def test_valid_is_no_padding() -> None:
    assert Windows.of("test", (5, 7), (2, 3), 1, "valid", 1) == Windows.of("test", (5, 7), (2, 3), 1, 0, 1)


@pytest.mark.spec("WIN-D3")
def test_same_gives_a_window_for_each_stride_with_the_odd_element_after() -> None:
    for size, kernel, stride, dilation in product(range(1, 9), range(1, 4), range(1, 4), range(1, 3)):
        windows = Windows.of("test", (size,), (kernel,), stride, "same", dilation)
        ((before, after),) = windows.pads
        assert windows.out == (-(-size // stride),)
        assert 0 <= after - before <= 1
        reach = (windows.out[0] - 1) * stride + dilation * (kernel - 1) + 1
        assert before + after == max(reach - size, 0)
