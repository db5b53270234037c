"""The loader: order, exact resumption, prefetching, and how its thread ends."""

import gc
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

from minires.data import (
    Compose,
    DataError,
    DataLoader,
    ImageDataset,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
)

N = 37
AUGMENT = Compose([RandomCrop(6, 2), RandomHorizontalFlip(), Normalize([0.5], [0.2])])


@pytest.fixture
def dataset(rng):
    images = rng.integers(0, 256, (N, 6, 6, 1), dtype=np.uint8)
    return ImageDataset(images, np.arange(N), tuple(map(str, range(N))))  # label: the index


def same(left, right):
    left, right = list(left), list(right)
    return len(left) == len(right) and all(
        np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])
        for a, b in zip(left, right, strict=True)
    )


def labels(batches):
    return np.concatenate([label for _, label in batches]).tolist()


def prefetching():
    return [thread for thread in threading.enumerate() if thread.name == "minires-prefetch"]


def wait_for_the_thread_to_end():
    deadline = time.monotonic() + 5
    while prefetching() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not prefetching()


@pytest.mark.parametrize("prefetch", [0, 1, 2, 50])
def test_in_order_without_transform(dataset, prefetch):
    loader = DataLoader(dataset, 8, prefetch=prefetch)
    batches = list(loader)
    assert len(loader) == len(batches) == 5
    assert [len(images) for images, _ in batches] == [8, 8, 8, 8, 5]
    assert np.array_equal(np.concatenate([images for images, _ in batches]), dataset.images)
    assert labels(batches) == list(range(N))
    assert batches[0][0].dtype == np.uint8
    assert batches[0][1].dtype == np.int64


@pytest.mark.parametrize(("size", "count"), [(8, 4), (37, 1), (1, 37)])
def test_drop_last(dataset, size, count):
    loader = DataLoader(dataset, size, drop_last=True)
    batches = list(loader)
    assert len(batches) == len(loader) == count
    assert all(len(images) == size for images, _ in batches)


def test_shuffled_order_is_a_function_of_seed_and_epoch(dataset):
    loader = DataLoader(dataset, 8, shuffle=True, seed=3)
    first = labels(loader.batches(0))
    assert sorted(first) == list(range(N))
    assert first != list(range(N))
    assert labels(loader.batches(1)) != first
    assert labels(loader.batches(0)) == first
    assert labels(DataLoader(dataset, 5, shuffle=True, seed=3).batches(0)) == first
    assert labels(DataLoader(dataset, 8, shuffle=True, seed=4).batches(0)) != first


def test_iterating_goes_on_to_the_next_epoch(dataset):
    loader = DataLoader(dataset, 8, shuffle=True, transform=AUGMENT)
    for epoch in range(3):
        assert loader.epoch == epoch
        assert same(loader, loader.batches(epoch))
    next(iter(loader))  # a look at one batch is not a pass
    assert loader.epoch == 3
    loader.set_epoch(1)
    assert same(loader, loader.batches(1))


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("start", [0, 1, 4, 5])
def test_resumes_at_any_step(dataset, prefetch, start):
    loader = DataLoader(dataset, 8, shuffle=True, transform=AUGMENT, prefetch=prefetch)
    assert same(list(loader.batches(6))[start:], loader.batches(6, start=start))


def test_samples_do_not_depend_on_batch_size_or_prefetch(dataset):
    def whole(**options):
        batches = list(DataLoader(dataset, shuffle=True, transform=AUGMENT, **options).batches(2))
        return np.concatenate([images for images, _ in batches])

    expected = whole(batch_size=37, prefetch=0)
    assert expected.dtype == np.float32
    assert np.array_equal(whole(batch_size=4), expected)
    assert np.array_equal(whole(batch_size=1, prefetch=7), expected)


def test_batches_belong_to_the_caller(dataset):
    before = dataset.images.copy()
    for images, label in DataLoader(dataset, 8):
        images[:] = 0
        label[:] = 0
    assert np.array_equal(dataset.images, before)
    assert dataset.labels.tolist() == list(range(N))


def failing_transform(images, draws):
    if 20 in draws.indices:
        raise ZeroDivisionError("a bad image")
    return images


@pytest.mark.parametrize("prefetch", [0, 2])
def test_errors_reach_the_consumer_with_their_traceback(dataset, prefetch):
    batches = iter(DataLoader(dataset, 8, transform=failing_transform, prefetch=prefetch))
    assert labels([next(batches), next(batches)]) == list(range(16))  # those before are not lost
    with pytest.raises(ZeroDivisionError, match="a bad image") as caught:
        next(batches)
    assert "failing_transform" in "".join(traceback.format_tb(caught.value.__traceback__))
    wait_for_the_thread_to_end()


def test_an_abandoned_iterator_stops_its_thread(dataset):
    batches = DataLoader(dataset, 1).batches(0)
    next(batches)
    assert len(prefetching()) == 1
    del batches
    wait_for_the_thread_to_end()
    for _ in DataLoader(dataset, 1):
        break
    gc.collect()
    wait_for_the_thread_to_end()


def test_an_iterator_that_was_never_used_has_no_thread(dataset):
    batches = DataLoader(dataset, 1).batches(0)
    assert not prefetching()
    del batches


def test_no_more_is_made_ahead_than_asked_for(dataset):
    made = []

    def counting(images, draws):
        made.append(len(images))
        return images

    batches = DataLoader(dataset, 1, transform=counting, prefetch=3).batches(0)
    for used in range(1, 4):
        next(batches)
        time.sleep(0.02)
        assert used <= len(made) <= used + 3
    batches.close()


def test_serial_where_threads_cannot_start(dataset, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert labels(DataLoader(dataset, 8, prefetch=2)) == list(range(N))


def test_an_open_iterator_does_not_keep_python_from_exiting():
    script = (
        "import time, numpy as np; from minires.data import DataLoader, digits\n"
        "slow = lambda images, draws: (time.sleep(0.2), images)[1]\n"
        "batches = iter(DataLoader(digits(), 8, transform=slow)); next(batches)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"batch_size": 4, "prefetch": -1}, "prefetch must be at least 0, got -1"),
        ({"batch_size": 38, "drop_last": True}, "37 images, batch_size 38"),
    ],
)
def test_wrong_parameters(dataset, options, message):
    with pytest.raises(DataError, match=message):
        DataLoader(dataset, **options)


def test_empty_dataset(dataset):
    with pytest.raises(DataError, match="the dataset is empty"):
        DataLoader(dataset[:0], 4)


@pytest.mark.parametrize("start", [-1, 6])
def test_start_outside_the_epoch(dataset, start):
    with pytest.raises(DataError, match=f"start must be 0 to 5 batches, got {start}"):
        DataLoader(dataset, 8).batches(0, start=start)


def test_images_of_unequal_size(dataset):
    def ragged(images, draws):
        return [image[: 3 + n % 2] for n, image in enumerate(images)]

    with pytest.raises(DataError, match=r"unequal size in one batch \(3x6, 4x6\)"):
        list(DataLoader(dataset, 8, transform=ragged))
