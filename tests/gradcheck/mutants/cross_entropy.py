"""49 to 55: softmax cross-entropy, averaged over the batch."""

import numpy as np
from helpers import normal

from mutants.mutant import Subject

LABELS = np.array([3, 0, 2, 3, 1])
ROWS = np.arange(5)


def softmax(z, axis=1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def forward(z):
    """The mean of -log p[label]."""
    return -np.log(softmax(z)[ROWS, LABELS]).mean()


def one_hot(z):
    hot = np.zeros_like(z)
    hot[ROWS, LABELS] = 1
    return hot


loss = Subject("cross-entropy", forward, normal(5, 4))


@loss.right
def right(g, z):
    return (g * (softmax(z) - one_hot(z)) / len(z),)


@loss.mutant(49, "softmax over the batch", "the wrong axis", "softmax along it .* another axis")
def wrong_axis(g, z):
    return (g * (softmax(z, axis=0) - one_hot(z)) / len(z),)


@loss.mutant(50, "/N missing", "the forward averages, the backward does not", "factor of 5")
def not_averaged(g, z):
    return (g * (softmax(z) - one_hot(z)),)


@loss.mutant(51, "/C", "divided by the number of classes", "factor of 5/4")
def by_classes(g, z):
    return (g * (softmax(z) - one_hot(z)) / z.shape[1],)


@loss.mutant(52, "one-hot not subtracted", "the softmax alone", "one entry along axis 1")
def no_labels(g, z):
    return (g * softmax(z) / len(z),)


@loss.mutant(53, "a sign", "one-hot less softmax", "sign is wrong")
def wrong_sign(g, z):
    return (g * (one_hot(z) - softmax(z)) / len(z),)


@loss.mutant(
    54,
    "upstream ignored",
    "the loss taken for the end of the graph",
    "upstream gradient is ignored",
)
def upstream_ignored(g, z):
    return ((softmax(z) - one_hot(z)) / len(z),)


@loss.mutant(55, "true class only", "the other logits matter too", r"zero at \d+")
def true_class_only(g, z):
    return (g * (softmax(z) - one_hot(z)) * one_hot(z) / len(z),)
