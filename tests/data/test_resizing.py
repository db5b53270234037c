"""Resizing against its definition, against exact integer sums, and against Pillow."""

import numpy as np
import pytest
from PIL import Image

from minires.data import Draws, RandomResizedCrop, Resize
from minires.data.resizing import weights

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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("source", "target"), SIZES)
def test_resize_is_its_definition(rng, source, target, channels):
    image = rng.integers(0, 256, (*source, channels), dtype=np.uint8)
    got = Resize(target)(image[None])[0]
    assert got.shape == (*target, channels)
    error = got - defined(image, target)
    assert abs(error).max() <= 1.02  # two roundings to whole levels
    assert abs(error.mean()) < 0.25 + 2 / np.sqrt(error.size)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_resize_is_pillows(rng, source, target):
    image = rng.integers(0, 256, (*source, 3), dtype=np.uint8)
    got = Resize(target)(image[None])[0].astype(int)
    pillow = Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR)
    assert abs(got - np.asarray(pillow)).max() <= 1


@pytest.mark.parametrize(("source", "target"), [((40, 64), (33, 7)), ((300, 20), (70, 64))])
def test_sums_are_exact(rng, source, target):
    """As with integers: so neither the order of a sum nor the number of threads can matter."""
    image = rng.integers(0, 256, (*source, 3), dtype=np.uint8)
    image[:40] = 255
    result = image.astype(np.int64)
    for axis in range(2):
        start, length = np.array([0]), np.array([source[axis]])
        lines = weights(start, length, source[axis], target[axis])[0].astype(np.float64) * 2**15
        assert (lines == lines.astype(np.int64)).all()
        summed = np.tensordot(lines.astype(np.int64), result, (1, axis))
        result = np.minimum((summed + 2**14) >> 15, 255)
        result = result if axis == 0 else result.swapaxes(0, 1)
    assert np.array_equal(Resize(target)(image[None])[0], result)


def test_flat_images_stay_flat():
    for level in (0, 1, 127, 255):
        image = np.full((1, 301, 17, 3), level, np.uint8)
        assert (Resize((20, 29))(image) == level).all()


@pytest.mark.parametrize(
    ("source", "target"), [((30, 40), (12, 16)), ((40, 30), (16, 12)), ((20, 20), (12, 12))]
)
def test_one_number_is_the_shorter_side(source, target):
    assert Resize(12)(np.zeros((2, *source, 1), np.uint8)).shape == (2, *target, 1)


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
