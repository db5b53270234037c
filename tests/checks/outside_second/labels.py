"""Faults of labels."""

from __future__ import annotations

import numpy as np
from outside.setups import Setup, mlp

from minires import nn
from outside_second.material import images
from outside_second.register import APART, DEEPCRIME, IVANOV, OWN, TAXONOMY, fault
from outside_second.trainings import learning

LABELS = "labels"


@fault(LABELS, IVANOV, "the images are shuffled and the labels are not", APART, "labels are random")
def images_shuffled_alone(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(x))
    x = x[order]
    if not wrong:
        y = y[order]
    return learning(x, y, (xv, yv))


@fault(
    LABELS,
    TAXONOMY,
    "labels count from 1 in training and from 0 in validation",
    "training and validation labels mean different things",
    "labels are off by one",
)
def counted_from_one(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    layers = [nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 11)]
    return learning(x, y + 1 if wrong else y, (xv, yv), nn.Sequential(*layers))


@fault(
    LABELS,
    OWN,
    "each split numbers its classes by itself, in the order in which they first come",
    "training and validation labels mean different things",
    "labels are permuted",
)
def numbered_by_each_split(wrong: bool) -> Setup:
    x, y, xv, yv = images()

    def numbered(labels: np.ndarray) -> np.ndarray:
        names = list(dict.fromkeys(labels.tolist())) if wrong else list(range(10))
        return np.array([names.index(each) for each in labels.tolist()])

    return learning(x, numbered(y), (xv, numbered(yv)), mlp(48))


@fault(
    LABELS,
    IVANOV,
    "bad images are deleted and their labels are not, so that all behind the first have another's",
    APART,
    "most labels are wrong",
    "labels are shifted against the inputs",
)
def deleted_on_one_side(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    bad = [150, 151, 700]
    x = np.delete(x, bad, axis=0)
    y = y[: len(x)] if wrong else np.delete(y, bad)
    return learning(x, y, (xv, yv), mlp(48))


@fault(
    LABELS,
    OWN,
    "labels are clipped to 8, the number of classes being counted wrongly",
    "two classes are merged",
    "a class never comes in training",
    "labels of training and validation differ",
)
def nines_are_eights(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    return learning(x, np.clip(y, 0, 8 if wrong else 9), (xv, yv), mlp(48))


@fault(
    LABELS,
    DEEPCRIME,
    "two fifths of the labels were filled in at random where the file had gaps",
    "labels are noisy",
    "many labels are wrong",
    epochs=12,
)
def gaps_filled_at_random(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    rng = np.random.default_rng(0)
    if wrong:
        gaps = rng.uniform(size=len(y)) < 0.5
        y[gaps] = rng.integers(0, 10, gaps.sum())
    return learning(x, y, (xv, yv), mlp(128))


@fault(
    LABELS,
    OWN,
    "one-hot rows are made of labels sorted for the purpose, which no longer are the images'",
    APART,
    "labels are shuffled",
)
def one_hot_of_sorted(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    rows = np.eye(10, dtype=np.float32)[np.sort(y) if wrong else y]
    return learning(x, rows, (xv, yv), mlp(48))
