"""Transforms against plain loops, and in every form that images come in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minires.data import (
    CenterCrop,
    Compose,
    DataError,
    Draws,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
)

N, H, W = 23, 7, 11
RANDOM = [RandomCrop(5, 2), RandomHorizontalFlip(0.4), RandomResizedCrop((6, 9))]
ALL = [*RANDOM, CenterCrop((4, 6)), Resize((9, 5)), Resize(14), Normalize([0.4], [0.2])]


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def images(request, rng):
    return rng.integers(0, 256, (N, H, W, request.param), dtype=np.uint8)


@pytest.fixture
def draws():
    return Draws(5, 2, np.arange(N) * 3)


def test_normalize(images):
    channels = images.shape[-1]
    mean, std = (0.1, 0.5, 0.7)[:channels], (0.2, 0.25, 0.5)[:channels]
    got = Normalize(mean, std)(images)
    assert got.dtype == np.float32
    assert got.shape == images.shape
    for index in np.ndindex(images.shape):
        channel = index[-1]
        exact = (images[index] / 255 - mean[channel]) / std[channel]
        assert got[index] == pytest.approx(exact, rel=1e-6, abs=1e-6)


def test_normalize_takes_statistics_in_any_sequence():
    assert Normalize(np.array([0.5, 0.25]), [1, 2]) == Normalize((0.5, 0.25), (1.0, 2.0))


@pytest.mark.parametrize(("size", "padding"), [(7, 0), (5, 2), ((6, 3), 1), ((11, 15), 2)])
def test_random_crop(images, draws, size, padding):
    if size == 7:
        images = images[:, :, :7]  # a view that is not contiguous
    got = RandomCrop(size, padding)(images, draws)
    height, width = (size, size) if isinstance(size, int) else size
    rows, columns = images.shape[1] + 2 * padding, images.shape[2] + 2 * padding
    top = draws.integers("top", 0, rows - height + 1)
    left = draws.integers("left", 0, columns - width + 1)
    expected = np.zeros((N, height, width, images.shape[-1]), np.uint8)
    for n, y, x in np.ndindex(N, height, width):
        row, column = y + top[n] - padding, x + left[n] - padding
        if 0 <= row < images.shape[1] and 0 <= column < images.shape[2]:
            expected[n, y, x] = images[n, row, column]
    assert (got == expected).all()


def test_random_crop_reaches_every_place():
    many = np.arange(5 * 6).reshape(1, 5, 6, 1).repeat(2000, axis=0).astype(np.uint8)
    corners = RandomCrop((2, 2))(many, Draws(0, 0, np.arange(2000)))[:, 0, 0, 0]
    places, counts = np.unique(corners, return_counts=True)
    assert places.tolist() == [6 * row + column for row in range(4) for column in range(5)]
    assert counts.min() > 60  # 100 on average


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_random_horizontal_flip(images, draws, p):
    got = RandomHorizontalFlip(p)(images, draws)
    chosen = draws.uniform("flip") < p
    assert chosen.any() == (p > 0)
    for n in range(N):
        for x in range(W):
            source = W - 1 - x if chosen[n] else x
            assert (got[n, :, x] == images[n, :, source]).all()


def torchvisions_margin(have, wanted):
    """Pixels (before, after) that torchvision's center_crop adds (above 0) or cuts off.

    Its pad has (wanted - have) // 2 before and (wanted - have + 1) // 2 after; its crop begins at
    int(round((have - wanted) / 2.0)). Python rounds halves to the even number.
    """
    missing = wanted - have
    if missing > 0:
        return missing // 2, (missing + 1) // 2
    before = round(-missing / 2.0)
    return -before, missing + before


side = st.integers(1, 13)


@given(st.tuples(side, side), st.tuples(side, side))
@settings(max_examples=200)
def test_center_crop_is_torchvisions(have, wanted):
    images = np.arange(1, 1 + 2 * have[0] * have[1], dtype=np.uint16).astype(np.uint8)
    images = images.reshape(2, *have, 1)
    margins = [torchvisions_margin(*pair) for pair in zip(have, wanted, strict=True)]
    expected = np.pad(images, ((0, 0), *(np.maximum(m, 0) for m in margins), (0, 0)))
    for axis, (before, after) in enumerate(margins, 1):
        stop = expected.shape[axis] + min(after, 0)
        expected = expected.take(range(max(-before, 0), stop), axis=axis)
    assert np.array_equal(CenterCrop(wanted)(images), expected)


@pytest.mark.parametrize(
    ("have", "wanted", "middle"),
    [
        (5, 2, [2, 3]),  # margins of 1.5 are 2: even
        (3, 2, [0, 1]),  # of 0.5 none
        (7, 2, [2, 3]),  # of 2.5 are 2
        (4, 2, [1, 2]),
        (2, 3, [0, 1, None]),  # what is missing is missing at the end
        (2, 4, [None, 0, 1, None]),
    ],
)
def test_center_crop_by_hand(have, wanted, middle):
    line = np.arange(1, have + 1, dtype=np.uint8).reshape(1, 1, have, 1)
    got = CenterCrop((1, wanted))(line)[0, 0, :, 0].tolist()
    assert got == [0 if place is None else place + 1 for place in middle]


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_images_are_not_changed_nor_shared(images, draws, transform):
    if isinstance(transform, Normalize) and images.shape[-1] == 3:
        transform = Normalize((0.4,) * 3, (0.2,) * 3)
    before = images.copy()
    got = transform(images, draws)
    assert not np.shares_memory(got, images)
    assert (images == before).all()


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_a_sample_looks_the_same_in_every_batch(images, draws, transform):
    if isinstance(transform, Normalize) and images.shape[-1] == 3:
        transform = Normalize((0.4,) * 3, (0.2,) * 3)
    whole = transform(images, draws)
    parts = [transform(images[i : i + 4], draws[i : i + 4]) for i in range(0, N, 4)]
    assert np.array_equal(whole, np.concatenate(parts))
    listed = transform(list(images), draws)
    assert np.array_equal(whole, listed)
    assert whole.dtype == listed.dtype


@pytest.mark.parametrize("transform", RANDOM, ids=repr)
def test_another_epoch_or_seed_looks_different(images, transform):
    first = transform(images, Draws(0, 0, np.arange(N)))
    assert not np.array_equal(first, transform(images, Draws(0, 1, np.arange(N))))
    assert not np.array_equal(first, transform(images, Draws(1, 0, np.arange(N))))
    assert np.array_equal(first, transform(images, Draws(0, 0, np.arange(N))))


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_an_empty_batch_stays_empty(transform):
    nothing = Draws(0, 0, np.arange(0))
    assert len(transform(np.zeros((0, H, W, 1), np.uint8), nothing)) == 0
    assert transform([], nothing) == []


def test_unequal_images_become_a_batch_when_their_sizes_agree(rng):
    sizes = [(9, 12), (20, 8), (10, 10)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    scaled = Resize(8)(images)
    assert [image.shape for image in scaled] == [(8, 10, 3), (20, 8, 3), (8, 8, 3)]
    cropped = CenterCrop(8)(scaled)
    assert cropped.shape == (3, 8, 8, 3)
    assert (cropped[2] == scaled[2]).all()
    flipped = RandomHorizontalFlip(1.0)(images, Draws(0, 0, np.arange(3)))
    assert all((a == b[:, ::-1]).all() for a, b in zip(flipped, images, strict=True))


def test_compose_keys_each_transform_by_its_place(images):
    many = images[np.zeros(400, int)]
    crop = RandomCrop((H, W), 3)
    draws = Draws(1, 1, np.arange(400))
    got = Compose([crop, crop])(many, draws)
    step = crop(many, draws.scoped("0"))
    assert np.array_equal(got, crop(step, draws.scoped("1")))
    tops = [draws.scoped(place).integers("top", 0, 7) for place in "01"]
    assert (tops[0] == tops[1]).mean() < 0.25  # 1/7 on average


def test_compose_takes_plain_functions(images):
    darker = Compose([lambda batch, draws: batch // 2, CenterCrop(3)])
    assert np.array_equal(darker(images), CenterCrop(3)(images // 2))


def test_reprs():
    transform = Compose([RandomCrop(32, 4), RandomHorizontalFlip(), Normalize([0.5], [0.25])])
    assert repr(transform) == (
        "Compose([RandomCrop(size=32, padding=4), RandomHorizontalFlip(p=0.5), "
        "Normalize(mean=(0.5,), std=(0.25,))])"
    )
    assert repr(Resize((2, 3))) == "Resize(size=(2, 3))"
    assert repr(CenterCrop(4)) == "CenterCrop(size=4)"
    assert repr(RandomResizedCrop(8)).startswith("RandomResizedCrop(size=8, scale=(0.08, 1.0)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomCrop(0), "RandomCrop: size must be one or two positive integers, got 0"),
        (lambda: CenterCrop((3, 2.5)), "CenterCrop: size must be"),
        (lambda: Resize((1, 2, 3)), "Resize: size must be"),
        (lambda: RandomResizedCrop(-1), "RandomResizedCrop: size must be"),
        (lambda: RandomResizedCrop(8, (0.5, 0.2)), "scale must be an increasing pair above 0"),
        (lambda: RandomResizedCrop(8, ratio=(0, 1)), "ratio must be an increasing pair above 0"),
        (lambda: RandomCrop(4, -1), "padding must be at least 0, got -1"),
        (lambda: RandomHorizontalFlip(1.5), "p must be a probability, got 1.5"),
        (lambda: Resize(True), "Resize: size must be"),
        (lambda: Resize("32"), "Resize: size must be"),
        (lambda: CenterCrop(2.0), "CenterCrop: size must be"),
        (lambda: CenterCrop(None), "CenterCrop: size must be"),
        (lambda: RandomResizedCrop(8, scale=0.5), "scale must be an increasing pair above 0"),
        (lambda: RandomResizedCrop(8, (1, float("inf"))), "scale must be an increasing pair"),
        (lambda: RandomCrop(4, 1.5), "padding must be a whole number, got 1.5"),
        (lambda: RandomCrop(4, (1, 2)), r"padding must be a whole number, got \(1, 2\)"),
        (lambda: RandomHorizontalFlip("0.5"), "p must be a probability, got '0.5'"),
        (lambda: Normalize(0.5, 0.5), "mean must be finite numbers, one a channel, got 0.5"),
        (lambda: Normalize([], []), "mean must be finite numbers"),
        (lambda: Normalize([float("inf")], [1]), "mean must be finite numbers"),
        (lambda: Normalize(["a"], [1]), "mean must be finite numbers"),
        (lambda: Normalize([0.5], [0.1, 0.2]), "1 means but 2 deviations"),
        (lambda: Normalize([0.5], [0.0]), "every deviation must be above 0"),
        (lambda: Normalize([0.5], [float("nan")]), "std must be finite numbers, one a channel"),
    ],
)
def test_wrong_parameters(make, message):
    with pytest.raises(DataError, match=message):
        make()


@pytest.mark.parametrize("transform", ALL, ids=repr)
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((N, H, W, 1)), "expected uint8 images, got dtype float64"),
        (np.zeros((H, W, 1), np.uint8), r"expected images \(N, H, W, C\), got an array of shape"),
        (np.zeros((N, 3, H, W), np.uint8), "channels come last here"),
        ([np.zeros((3, H, W), np.uint8)] * N, r"images.transpose\(1, 2, 0\)"),
        ([np.zeros((1, H, W, 3), np.uint8)] * N, r"expected images \(H, W, C\)"),
        (None, "expected a NumPy array"),
        (np.zeros((N, 0, W, 1), np.uint8), r"no pixels in images of shape \(23, 0, 11, 1\)"),
    ],
)
def test_wrong_images(transform, images, message, draws):
    with pytest.raises(DataError, match=message):
        transform(images, draws)


def test_numpys_numbers_are_numbers():
    five, six = np.int64(5), np.uint8(6)
    for transform in (Resize, CenterCrop, RandomCrop, RandomResizedCrop):
        assert transform(five) == transform(5)
        assert transform((five, six)) == transform([5, 6]) == transform(np.array([5, 6]))
        assert repr(transform((five, six))) == repr(transform((5, 6)))
    assert repr(RandomHorizontalFlip(np.float32(0.5))) == "RandomHorizontalFlip(p=0.5)"
    assert repr(RandomCrop(5, np.int8(2))) == "RandomCrop(size=5, padding=2)"


def test_images_that_do_not_fit(draws):
    images = np.zeros((N, H, W, 3), np.uint8)
    with pytest.raises(DataError, match=r"RandomCrop.*smaller than the window, even padded"):
        RandomCrop(12, 2)(images, draws)
    with pytest.raises(DataError, match=r"expected 1 channels, got images of shape \(23, 7, 11"):
        Normalize([0.5], [0.5])(images)
    with pytest.raises(DataError, match="23 images but draws for 3"):
        RandomCrop(5)(images, draws[:3])


@pytest.mark.parametrize("transform", RANDOM, ids=repr)
def test_random_transforms_need_draws(transform):
    with pytest.raises(DataError, match=r"is random: call it as transform\(images, draws\)"):
        transform(np.zeros((N, H, W, 3), np.uint8))
