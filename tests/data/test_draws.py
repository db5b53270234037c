"""Draws: keyed by seed, epoch, name and sample; uniform; independent."""

import numpy as np
import pytest

from minires.data.draws import Draws, splitmix64
from minires.data.permutation import permutation

N = 1 << 16


def draws(seed=0, epoch=0, scope="", n=N):
    return Draws(seed, epoch, np.arange(n), scope)


def splitmix64_of_the_paper(state, count):
    """SplitMix64 as its authors wrote it, one number after the other, in Python's integers."""
    mask = 2**64 - 1
    outputs = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        outputs.append(z ^ (z >> 31))
    return outputs


@pytest.mark.parametrize("state", [0, 1234567, 2**64 - 1])
def test_splitmix64_is_the_published_generator(state):
    got = splitmix64(state, np.arange(20, dtype=np.uint64))
    assert got.tolist() == splitmix64_of_the_paper(state, 20)


def test_splitmix64_published_outputs():
    got = splitmix64(1234567, np.arange(3, dtype=np.uint64))
    assert got.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_values_are_pinned():
    """A change of these numbers would change every run of every user."""
    assert Draws(3, 5, np.array([0, 7, 49999])).integers("top", 0, 1000).tolist() == [642, 227, 841]
    assert permutation(10, 0, 0).tolist() == [1, 2, 7, 4, 0, 8, 9, 6, 5, 3]


def test_a_draw_depends_on_its_sample_only():
    everything = draws(7, 3).bits("top")
    some = np.array([40000, 3, 3, 12])
    assert (Draws(7, 3, some).bits("top") == everything[some]).all()
    assert (draws(7, 3)[100:110].bits("top") == everything[100:110]).all()


def test_order_of_drawing_does_not_matter():
    first = draws()
    a, b = first.uniform("a"), first.uniform("b")
    second = draws()
    assert (second.uniform("b") == b).all()
    assert (second.uniform("a") == a).all()


@pytest.mark.parametrize(
    "other",
    [
        draws(seed=1).uniform("x"),
        draws(seed=-1).uniform("x"),
        draws(seed=2**70).uniform("x"),
        draws(epoch=1).uniform("x"),
        draws().uniform("y"),
        draws(scope="0.").uniform("x"),
        draws().scoped("0").uniform("x"),
        np.roll(draws().uniform("x"), 1),
        np.roll(draws().uniform("x"), 128),
    ],
)
def test_draws_of_different_keys_are_uncorrelated(other):
    this = draws().uniform("x")
    assert abs(np.corrcoef(this, other)[0, 1]) < 4.5 / np.sqrt(N)  # 4.5 standard deviations
    assert np.mean(this == other) < 1e-3


def test_seed_and_epoch_are_not_interchangeable():
    assert (draws(seed=1, epoch=2).bits("x") != draws(seed=2, epoch=1).bits("x")).any()
    assert (draws(seed=1, epoch=11).bits("x") != draws(seed=11, epoch=1).bits("x")).any()


@pytest.mark.parametrize("shift", [0, 11, 32, 56])
def test_bits_are_uniform(shift):
    """Chi-squared over 256 values of 8 bits: 255 on average, deviation 22.6."""
    values = (draws().bits("x") >> np.uint64(shift)) & np.uint64(255)
    counts = np.bincount(values.astype(np.int64), minlength=256)
    chi_squared = ((counts - N / 256) ** 2).sum() / (N / 256)
    assert abs(chi_squared - 255) < 4.5 * 22.6


def test_uniform_bounds_and_moments():
    unit = draws().uniform("x")
    assert unit.dtype == np.float64
    assert unit.min() >= 0
    assert unit.max() < 1
    assert unit.mean() == pytest.approx(0.5, abs=4.5 * np.sqrt(1 / 12 / N))
    assert unit.var() == pytest.approx(1 / 12, rel=0.02)
    assert draws().uniform("x", -2, 6) == pytest.approx(8 * unit - 2, abs=1e-14)


def test_integers_are_uniform_over_their_range():
    values = draws().integers("x", -4, 5)
    counts = np.bincount(values + 4, minlength=9)
    assert values.dtype == np.int64
    assert len(counts) == 9
    assert ((counts - N / 9) ** 2).sum() / (N / 9) < 8 + 4.5 * 4  # chi-squared, 8 degrees


def test_integers_with_a_bound_for_each_sample():
    high = np.arange(N) % 7 + 1
    values = draws().integers("x", 0, high)
    assert (values >= 0).all()
    assert (values < high).all()
    assert all(values[high == bound].max() == bound - 1 for bound in range(1, 8))


def test_permutation():
    order = permutation(1000, 1, 2)
    assert sorted(order.tolist()) == list(range(1000))
    assert order.tolist() == permutation(1000, 1, 2).tolist()
    assert order.tolist() != permutation(1000, 1, 3).tolist()
    assert order.tolist() != permutation(1000, 2, 2).tolist()
    assert permutation(0, 0, 0).tolist() == []


def test_every_place_is_equally_likely_in_a_permutation():
    places = np.array([permutation(6, seed=4, epoch=epoch) for epoch in range(3000)])
    for column in places.T:
        counts = np.bincount(column, minlength=6)
        assert ((counts - 500) ** 2).sum() / 500 < 5 + 4.5 * 3.2  # chi-squared, 5 degrees
