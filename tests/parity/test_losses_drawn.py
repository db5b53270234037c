"""Losses, padding and whole-channel dropout with drawn options against PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from hypothesis import given, settings
from hypothesis import strategies as st

import minires
from minires import Tensor
from minires.nn import functional as F

N, C = 6, 5


def compare(ours, theirs, x):
    """Values, and gradients with respect to the input, of two functions of it."""
    mine = Tensor(x, requires_grad=True)
    other = torch.tensor(x, requires_grad=True)
    value, wanted = ours(mine), theirs(other)
    np.testing.assert_allclose(value.numpy(), wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    weights = np.random.default_rng(0).normal(size=value.shape)
    (value * weights).sum().backward()
    (wanted * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), rtol=1e-9, atol=1e-12)


def options(draw, rng):
    """Weight, ignored label and reduction of both libraries, and labels."""
    weight = rng.uniform(0, 2, C) if draw(st.booleans()) else None
    ignore = draw(st.sampled_from([-100, -1, 255, 2]))
    labels = rng.integers(0, C, N)
    labels[rng.random(N) < draw(st.sampled_from([0.0, 0.4]))] = ignore
    labels[0] = 1
    reduction = draw(st.sampled_from(["mean", "sum", "none"]))
    return weight, ignore, reduction, labels


def as_torch(array):
    return None if array is None else torch.tensor(array)


@settings(max_examples=60)
@given(st.data())
def test_cross_entropy(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    weight, ignore, reduction, labels = options(data.draw, rng)
    smoothing = data.draw(st.sampled_from([0.0, 0.2, 1.0]))
    compare(
        lambda x: F.cross_entropy(
            x, labels, reduction, smoothing, weight=weight, ignore_index=ignore
        ),
        lambda x: TF.cross_entropy(
            x,
            torch.tensor(labels),
            as_torch(weight),
            ignore_index=ignore,
            reduction=reduction,
            label_smoothing=smoothing,
        ),
        5 * rng.normal(size=(N, C)),
    )


@settings(max_examples=40)
@given(st.data())
def test_cross_entropy_of_probabilities(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    weight, _, reduction, _ = options(data.draw, rng)
    smoothing = data.draw(st.sampled_from([0.0, 0.2]))
    target = rng.dirichlet(np.ones(C), N)
    given_target = Tensor(target) if data.draw(st.booleans()) else target
    compare(
        lambda x: F.cross_entropy(x, given_target, reduction, smoothing, weight=weight),
        lambda x: TF.cross_entropy(
            x,
            torch.tensor(target),
            as_torch(weight),
            reduction=reduction,
            label_smoothing=smoothing,
        ),
        5 * rng.normal(size=(N, C)),
    )


@settings(max_examples=40)
@given(st.data())
def test_nll(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    weight, ignore, reduction, labels = options(data.draw, rng)
    compare(
        lambda x: F.nll_loss(x, labels, weight, ignore_index=ignore, reduction=reduction),
        lambda x: TF.nll_loss(
            x, torch.tensor(labels), as_torch(weight), ignore_index=ignore, reduction=reduction
        ),
        rng.normal(size=(N, C)),
    )


@settings(max_examples=40)
@given(st.data())
def test_binary_cross_entropy(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    weight, _, reduction, _ = options(data.draw, rng)
    pos_weight = rng.uniform(0, 3, C) if data.draw(st.booleans()) else None
    target = rng.integers(0, 2, (N, C)).astype(float)
    x = data.draw(st.sampled_from([1, 300])) * rng.normal(size=(N, C))
    x[0] = 0
    compare(
        lambda x: F.binary_cross_entropy_with_logits(x, target, weight, reduction, pos_weight),
        lambda x: TF.binary_cross_entropy_with_logits(
            x,
            torch.tensor(target),
            as_torch(weight),
            reduction=reduction,
            pos_weight=as_torch(pos_weight),
        ),
        x,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("beta", [1.0, 0.3, 0.0])
def test_differences(reduction, beta, rng):
    target = rng.normal(size=(N, C))
    x = target + rng.normal(size=(N, C))
    x[0] = target[0]
    compare(
        lambda x: F.smooth_l1_loss(x, target, reduction, beta),
        lambda x: TF.smooth_l1_loss(x, torch.tensor(target), reduction=reduction, beta=beta),
        x,
    )
    compare(
        lambda x: F.l1_loss(x, target, reduction),
        lambda x: TF.l1_loss(x, torch.tensor(target), reduction=reduction),
        x,
    )


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=4).filter(lambda n: len(n) % 2 == 0),
    st.sampled_from(["constant", "reflect", "replicate", "circular"]),
)
def test_padding_of_images(pad, mode):
    if mode != "constant":
        pad = [*pad, 1, 0][:4]
    value = {"value": 0.5} if mode == "constant" else {}
    compare(
        lambda x: F.pad(x, pad, mode, **value).transpose(0, 3, 1, 2),
        lambda x: TF.pad(x.permute(0, 3, 1, 2), pad, mode, **value),
        np.random.default_rng(0).normal(size=(2, 4, 5, 3)),
    )


@pytest.mark.parametrize("pad", [(1, 2), (0, 1, 2, 0), ()])
def test_padding_of_features(pad, rng):
    x = rng.normal(size=(3, 4))
    compare(lambda x: F.pad(x, pad, value=2.0), lambda x: TF.pad(x, pad, value=2.0), x)


def test_padding_of_channels(rng):
    """The shortcut of He et al. without weights: more channels of zeros."""
    x = rng.normal(size=(2, 4, 4, 3))
    compare(
        lambda x: F.pad(x[:, ::2, ::2], (0, 0, 0, 0, 1, 2)).transpose(0, 3, 1, 2),
        lambda x: TF.pad(x.permute(0, 3, 1, 2)[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)),
        x,
    )


def test_padding_that_could_mean_two_things_is_an_error(rng):
    with pytest.raises(ValueError, match=r"ops\.pad"):
        F.pad(Tensor(rng.normal(size=(2, 6, 3))), (1, 1))
    with pytest.raises(ValueError, match="pairs"):
        F.pad(Tensor(rng.normal(size=(2, 6))), (1, 1, 1))
    with pytest.raises(ValueError, match="mode must be"):
        F.pad(Tensor(rng.normal(size=(2, 6))), (1, 1), "mirror")


@given(st.lists(st.integers(0, 6), min_size=1), st.sampled_from([-1, 7, 9]))
def test_one_hot(labels, classes):
    ours = F.one_hot(np.array(labels), classes)
    theirs = TF.one_hot(torch.tensor(labels), classes).numpy()
    assert isinstance(ours, Tensor)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours.numpy(), theirs)


def test_whole_channels_are_dropped():
    minires.manual_seed(0)
    out = F.dropout2d(Tensor(np.ones((8, 3, 4, 50), np.float32)), 0.3).numpy()
    assert (out == out[:, :1, :1]).all()
    np.testing.assert_allclose(np.unique(out), [0, 1 / 0.7], rtol=1e-6)
    assert 0.2 < (out[:, 0, 0] == 0).mean() < 0.4


def test_what_cannot_be_a_mean_is_an_error():
    with pytest.raises(ValueError, match="every label is ignored"):
        F.cross_entropy(Tensor(np.zeros((2, 3))), np.array([-100, -100]))
    with pytest.raises(ValueError, match="3 classes"):
        F.cross_entropy(Tensor(np.zeros((2, 3))), np.array([0, 1]), weight=[1.0, 2.0])
    with pytest.raises(TypeError, match="weight="):
        F.cross_entropy(Tensor(np.zeros((2, 3))), np.array([0, 1]), np.ones(3))
