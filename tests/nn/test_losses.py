"""Losses: values, reductions, smoothing, gradients, and labels that are wrong."""

import math

import numpy as np
import pytest
from helpers import check_gradients, close, cross_entropy_loops, leaf, normal

import minires
from minires import Tensor, nn

F = nn.functional
logits, labels = normal(5, 3) * 2, np.array([2, 0, 1, 1, 2])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.0])
def test_cross_entropy_is_its_definition(smoothing):
    each = cross_entropy_loops(logits, labels, smoothing)
    options = {"label_smoothing": smoothing}
    close(F.cross_entropy(Tensor(logits), labels, "none", **options), each)
    close(F.cross_entropy(Tensor(logits), labels, "sum", **options), each.sum())
    close(F.cross_entropy(Tensor(logits), labels, **options), each.sum() / 5)
    close(nn.CrossEntropyLoss(**options)(Tensor(logits), Tensor(labels)), each.mean())
    close(nn.CrossEntropyLoss("none", smoothing)(Tensor(logits), labels), each)


def test_cross_entropy_by_hand():
    t = Tensor(np.log(np.array([[1.0, 3.0], [1.0, 1.0]])))
    close(F.cross_entropy(t, [1, 0], "none"), [-math.log(0.75), math.log(2)])
    half_smoothed = 0.75 * -math.log(0.75) + 0.25 * -math.log(0.25)
    close(F.cross_entropy(t, [1, 0], "none", 0.5)[0], half_smoothed)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_gradients(reduction, smoothing):
    check_gradients(lambda x: F.cross_entropy(x, labels, reduction, smoothing), logits)


def test_the_gradient_is_softmax_less_one_hot_over_the_batch_times_upstream():
    t = leaf(logits)
    (3 * F.cross_entropy(t, labels)).backward()
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    close(t.grad, 3 * (p - np.eye(3)[labels]) / 5)


def test_cross_entropy_of_labels_for_every_pixel():
    t, wanted = normal(2, 3, 4), np.array([[0, 3, 1], [2, 2, 0]])
    each = cross_entropy_loops(t.reshape(6, 4), wanted.ravel())
    close(F.cross_entropy(Tensor(t), wanted, "none"), each.reshape(2, 3))
    close(F.cross_entropy(Tensor(t[0, 0]), np.array(2)), cross_entropy_loops(t[0, :1], [2])[0])


def test_huge_logits_neither_overflow_nor_vanish():
    t = leaf([[1e4, -1e4], [1e4, 1e4]])
    loss = F.cross_entropy(t, [1, 0], "none")
    close(loss, [2e4, math.log(2)])
    close(minires.grad(loss, t, Tensor([1.0, 1.0])), [[1, -1], [-0.5, 0.5]])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.uint16])
def test_labels_of_any_integer_dtype(dtype):
    close(F.cross_entropy(Tensor(logits), labels.astype(dtype)),
          cross_entropy_loops(logits, labels).mean())  # fmt: skip


def test_the_loss_keeps_the_logits_dtype():
    t = leaf(logits, np.float32)
    loss = F.cross_entropy(t, labels, label_smoothing=0.1)
    assert loss.dtype == np.float32
    loss.backward()
    assert t.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.array([0.0, 1.0, 2.0, 1.0, 0.0]), "labels must be integers, got float64.*0 to 2"),
        (np.ones((5, 3)), "labels must be integers, got float64"),
        (np.array([True] * 5), "labels must be integers, got bool"),
        (np.array([0, 1, 3, 1, 0]), "label 3 is out of range: 3 classes are numbered 0 to 2"),
        (np.array([0, -1, 2, 1, 0]), "label -1 is out of range"),
        (np.array([0, 1, 2, 1]), r"shape \(5,\) for logits of shape \(5, 3\), got \(4,\)"),
        (np.array([[0], [1], [2], [1], [0]]), r"shape \(5,\).*got \(5, 1\)"),
        (1, r"shape \(5,\).*got \(\)"),
    ],
)
def test_wrong_labels_say_what_is_wrong(wrong, message):
    with pytest.raises(ValueError, match=message):
        F.cross_entropy(Tensor(logits), wrong)


def test_wrong_options():
    with pytest.raises(ValueError, match='"mean", "sum" or "none", got \'average\''):
        F.cross_entropy(Tensor(logits), labels, reduction="average")
    for smoothing in (-0.1, 1.1):
        with pytest.raises(ValueError, match=f"between 0 and 1, got {smoothing}"):
            F.cross_entropy(Tensor(logits), labels, label_smoothing=smoothing)
    with pytest.raises(ValueError, match="single number"):
        F.cross_entropy(Tensor(1.0), 0)


def test_the_mean_over_an_empty_batch_is_an_error_and_the_sum_is_zero():
    empty, none = Tensor(np.zeros((0, 3))), np.zeros(0, int)
    with pytest.raises(ValueError, match=r"mean over axis None of shape .0,. wants at least one"):
        F.cross_entropy(empty, none)
    assert F.cross_entropy(empty, none, "sum").item() == 0
    assert F.cross_entropy(empty, none, "none").shape == (0,)
    assert F.cross_entropy(empty, [], "sum").item() == 0
    with pytest.raises(ValueError, match="labels must be integers, got float64"):
        F.cross_entropy(Tensor(logits[0]), 0.0)


def test_mean_squared_error():
    x, y = normal(3, 4), normal(3, 4, seed=1)
    t, target = leaf(x), Tensor(y)
    close(F.mse_loss(t, target), ((x - y) ** 2).sum() / 12)
    close(F.mse_loss(t, target, "sum"), ((x - y) ** 2).sum())
    close(F.mse_loss(t, y, "none"), (x - y) ** 2)
    close(nn.MSELoss()(t, target), ((x - y) ** 2).mean())
    close(nn.MSELoss("sum")(t, target), ((x - y) ** 2).sum())
    close(minires.grad(F.mse_loss(t, target), t), (x - y) / 6)
    check_gradients(lambda a, b: F.mse_loss(a, b, "none"), x, y)


def test_mean_squared_error_stretches_nothing():
    with pytest.raises(ValueError, match=r"target of shape \(3, 4\), got \(3, 1\)"):
        F.mse_loss(Tensor(normal(3, 4)), Tensor(normal(3, 1)))
    with pytest.raises(ValueError, match=r"target of shape \(3,\), got \(2,\)"):
        F.mse_loss(Tensor([1.0, 2.0, 3.0]), [1, 2])
    assert F.mse_loss(Tensor([1.0, 2.0]), [3, 2]).item() == 2


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, t: F.cross_entropy(x, F.softmax(t)),
        lambda x, t: F.cross_entropy(x, np.array([0, 1]), weight=t[0].exp()),
        lambda x, t: F.binary_cross_entropy_with_logits(x, t.sigmoid()),
        lambda x, t: F.binary_cross_entropy_with_logits(x, np.ones((2, 3)), pos_weight=t.exp()),
    ],
)
def test_a_gradient_that_would_be_lost_is_an_error(rng, loss):
    x, t = (Tensor(rng.normal(size=(2, 3)), requires_grad=True) for _ in range(2))
    with pytest.raises(ValueError, match="no gradient goes to targets and weights of this loss"):
        loss(x, t)
    with minires.no_grad():
        assert loss(x, t).size == 1
    assert loss(x, t.detach()).size == 1
