"""Samplers and batches of one's own, judged by PyTorch; random orders by what does not depend on
the draws."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minires
from minires import data
from minires.data import DataError

T = torch.utils.data
LENGTHS = st.integers(1, 9)


def lists(loader):
    return [batch.tolist() for batch in loader]


@given(LENGTHS, LENGTHS, st.booleans())
def test_batches_in_order(length, size, drop_last):
    found = []
    for d, tensor in ((data, minires.tensor), (T, torch.tensor)):
        batches = d.BatchSampler(d.SequentialSampler(range(length)), size, drop_last)
        found.append((list(batches), len(batches)))
        if len(batches):
            source = [tensor(float(n)) for n in range(length)]
            loader = d.DataLoader(source, batch_sampler=batches)
            found[-1] += (lists(loader), len(loader))
    assert found[0] == found[1]


@given(LENGTHS, st.integers(1, 20), st.booleans())
def test_random_orders(length, count, replacement):
    for d in (data, T):
        sampler = d.RandomSampler(range(length), replacement, count)
        drawn = list(sampler)
        assert len(drawn) == len(sampler) == count
        assert set(drawn) <= set(range(length))
        if not replacement:  # each as often as any other, or once more
            assert set(Counter(drawn).values()) <= {count // length, -(-count // length)}
        indices = [3 * n for n in range(length)]
        assert sorted(d.SubsetRandomSampler(indices)) == indices
        assert len(d.SubsetRandomSampler(indices)) == length


@pytest.mark.parametrize("replacement", [True, False])
def test_weights(replacement):
    weights = [0.0, 1.0, 0.0, 3.0]
    for d, seed in ((data, minires.manual_seed), (T, torch.manual_seed)):
        seed(0)
        sampler = d.WeightedRandomSampler(weights, 2, replacement)
        counts = Counter(n for _ in range(500) for n in sampler)
        assert set(counts) == {1, 3}
        if replacement:
            assert abs(counts[3] / counts[1] - 3) < 0.6
        else:
            assert counts[1] == counts[3] == 500
    for wrong in ([-1.0, 2.0], [0.0, 0.0], [], [np.nan]):
        with pytest.raises(DataError, match="weights are numbers"):
            data.WeightedRandomSampler(wrong, 2)
    with pytest.raises(DataError, match="5 samples without replacement of 2"):
        data.WeightedRandomSampler(weights, 5, replacement=False)


def test_a_seed_repeats_the_orders_and_epochs_differ():
    loader = data.DataLoader(list(range(20)), sampler=data.RandomSampler(range(20)))
    orders = []
    for _ in range(2):
        minires.manual_seed(3)
        orders.append([lists(loader), lists(loader)])
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[0][1]


def test_a_sampler_of_ones_own():
    for d in (data, T):

        class Backwards(d.Sampler):
            def __init__(self, count):
                self.count = count

            def __iter__(self):
                return iter(range(self.count - 1, -1, -1))

            def __len__(self):
                return self.count

        assert lists(d.DataLoader(list(range(4)), 3, sampler=Backwards(4))) == [[3, 2, 1], [0]]


def test_rows_of_an_array_are_samples():
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert lists(data.DataLoader(array, 2)) == lists(T.DataLoader(array, 2))


def test_batches_of_labelled_images_and_what_contradicts():
    images = data.fashion_mini()
    loader = data.DataLoader(images, batch_sampler=[[5, 1], [7]])
    assert [labels.tolist() for _, labels in loader] == [
        [int(images.labels[i]) for i in batch] for batch in ([5, 1], [7])
    ]
    for options in ({"batch_size": 2}, {"shuffle": True}, {"drop_last": True}, {"sampler": [1]}):
        with pytest.raises(DataError, match="batches of its own: leave"):
            data.DataLoader(images, batch_sampler=[[0]], **options)
        with pytest.raises(ValueError, match="mutually exclusive"):
            T.DataLoader([1], batch_sampler=[[0]], **options)
    with pytest.raises(DataError, match="write `for sample in dataset`"):
        data.DataLoader([1, 2], batch_size=None)
    with pytest.raises(TypeError, match=r"has no `generator`: write minires.manual_seed\(0\)"):
        data.RandomSampler(images, generator=np.random.default_rng(0))
