"""Resizing against its definition, and in memory and size within bounds."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import contestants, layers
from minires.bench import peak_memory
from minires.data import DataError, Draws, RandomResizedCrop, Resize

SIZES = [
    ((7, 11), (7, 11)),
    ((7, 11), (14, 22)),
    ((7, 11), (5, 3)),
    ((13, 5), (6, 20)),
    ((40, 64), (33, 7)),
    ((3, 4), (1, 1)),
    ((1, 1), (4, 3)),
    ((100, 90), (70, 80)),
]


def along(line, length):
    """The definition, for one line of pixels, with one sum an output: float64 (length, ...)."""
    pitch = len(line) / length
    result = []
    for place in range(length):
        centre = (place + 0.5) * pitch
        total, weighted = 0.0, 0.0
        for pixel, value in enumerate(line):
            weight = max(0.0, 1 - abs(pixel + 0.5 - centre) / max(pitch, 1.0))
            total += weight
            weighted = weighted + weight * value
        result.append(weighted / total)
    return np.array(result)


def defined(image, size):
    rows = along(image.astype(np.float64), size[0])
    return along(rows.swapaxes(0, 1), size[1]).swapaxes(0, 1)


def check_definition(image, target):
    got = Resize(target)(image[None])[0]
    assert got.shape == (*target, image.shape[-1])
    error = got - defined(image, target)
    assert abs(error).max() <= 1.02  # two roundings to whole levels
    assert abs(error.mean()) < 0.25 + 2 / np.sqrt(error.size)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("source", "target"), SIZES)
def test_resize_is_its_definition(rng, source, target, channels):
    check_definition(rng.integers(0, 256, (*source, channels), dtype=np.uint8), target)


side = st.integers(1, 24)


@given(st.tuples(side, side), st.tuples(side, side), st.sampled_from([1, 3]), st.integers(0, 99))
@settings(max_examples=60)
def test_resize_is_its_definition_at_any_size(source, target, channels, seed):
    rng = np.random.default_rng(seed)
    check_definition(rng.integers(0, 256, (*source, channels), dtype=np.uint8), target)


@given(st.tuples(side, side), side, st.integers(0, 99))
@settings(max_examples=60)
def test_a_view_is_resized_as_its_copy(source, length, seed):
    large = np.random.default_rng(seed).integers(0, 256, (3, 50, 50, 3), dtype=np.uint8)
    view = large[::-1, : 2 * source[0] : 2, source[1] - 1 :: -1]
    assert np.array_equal(Resize(length)(view), Resize(length)(view.copy()))
    assert np.array_equal(Resize(length)(view), Resize(length)(list(view)))


def test_flat_images_stay_flat():
    for level in (0, 1, 127, 255):
        image = np.full((1, 301, 17, 3), level, np.uint8)
        assert (Resize((20, 29))(image) == level).all()


@pytest.mark.parametrize(
    ("source", "target"), [((30, 40), (12, 16)), ((40, 30), (16, 12)), ((20, 20), (12, 12))]
)
def test_one_number_is_the_shorter_side(source, target):
    assert Resize(12)(np.zeros((2, *source, 1), np.uint8)).shape == (2, *target, 1)


@given(side, st.tuples(st.integers(1, 3000), st.integers(1, 3000)))
@settings(max_examples=100)
def test_the_other_side_is_in_proportion_rounded_down(length, source):
    """As torchvision: int(size * long / short)."""
    height, width = Resize(length)(np.zeros((1, *source, 1), np.uint8)).shape[1:3]
    wanted = sorted([length, int(length * max(source) / min(source))])
    assert sorted([height, width]) == wanted
    assert (height <= width) == (source[0] <= source[1]) or wanted[0] == wanted[1]


def test_an_image_that_would_not_fit_into_memory():
    line = np.zeros((1, 1, 30_000, 3), np.uint8)
    with pytest.raises(DataError, match="1 x 30000 pixels would become 256 x 7,680,000, more than"):
        Resize(256)(line)
    assert Resize((256, 256))(line).shape == (1, 256, 256, 3)
    assert RandomResizedCrop(256)(line, Draws(0, 0, np.arange(1))).shape == (1, 256, 256, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_pillows_at_most_twice():
    (longest,) = (w for w in layers.resizing() if w.name == "resize-high-memory")
    task = replace(longest.task, shape=(1, 2000, 10, 3))
    ours, pillow = (peak_memory(task, c, runs=1) for c in contestants.of(longest))
    assert 30 * 2**20 < ours < 2 * pillow  # the result has 38 MiB


def test_random_resized_crop_is_a_crop_then_a_resize(rng):
    images = rng.integers(0, 256, (50, 37, 53, 3), dtype=np.uint8)
    draws = Draws(1, 2, np.arange(50))
    transform = RandomResizedCrop((16, 24))
    got = transform(images, draws)
    for n, (top, left, height, width) in enumerate(zip(*transform.boxes((37, 53), draws))):  # noqa: B905
        part = images[n, top : top + height, left : left + width]
        assert np.array_equal(got[n], Resize((16, 24))(part[None])[0])


def test_random_resized_crop_draws_areas_and_ratios_within_bounds():
    draws = Draws(0, 0, np.arange(20000))
    top, left, height, width = RandomResizedCrop(8).boxes((400, 500), draws)
    assert min(top.min(), left.min()) >= 0
    assert (top + height).max() <= 400
    assert (left + width).max() <= 500
    share, ratio = height * width / 200_000, width / height
    assert 0.075 < share.min() < 0.085
    assert 0.95 < share.max() <= 1.0
    assert 0.74 < ratio.min() < 0.76
    assert 1.32 < ratio.max() < 1.35
    assert np.log(ratio).mean() == pytest.approx(0, abs=0.03)
    assert share.mean() == pytest.approx(0.5, abs=0.05)  # large areas fit a little less often
    assert (top[height < 200] > 0).mean() > 0.98
    small = share < 0.4  # of the large ones, those of the image's own ratio fit best
    assert np.corrcoef(share[small], ratio[small])[0, 1] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("size", "box"),
    [((10, 100), (0, 43, 10, 13)), ((100, 10), (43, 0, 13, 10)), ((90, 100), (0, 0, 90, 100))],
)
def test_random_resized_crop_falls_back_on_the_middle(size, box):
    transform = RandomResizedCrop(8, scale=(1.5, 2.0))  # never fits
    for values, expected in zip(transform.boxes(size, Draws(0, 0, np.arange(5))), box, strict=True):
        assert values.tolist() == [expected] * 5
