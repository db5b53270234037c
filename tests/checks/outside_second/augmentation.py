"""Faults of augmentation."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, mlp, parts, standard

from minires import Tensor, optim
from minires.nn import functional as F
from outside_second.material import images
from outside_second.register import APART, DIFFERENT, IVANOV, OWN, fault
from outside_second.trainings import learning

CHANGED = "augmentation"


def drawn(change: Any) -> Any:
    """A change of a batch by a generator of its own."""
    rng = np.random.default_rng(11)
    return lambda x, y: change(x, y, rng)


@fault(
    CHANGED,
    IVANOV,
    "digits are turned by any number of quarters, as is done with satellite images",
    "augmentation changes what the label says",
    "augmentation is too strong",
    "rotated digits",
    epochs=4,
)
def turned_by_quarters(wrong: bool) -> Setup:
    def change(x: Any, y: Any, rng: Any) -> Any:
        if not wrong:
            return x, y
        return np.stack([np.rot90(each, rng.integers(4)) for each in x]), y

    x, y, xv, yv = images()
    return learning(x, y, (xv, yv), change=drawn(change))


@fault(
    CHANGED,
    "chrischute/real-nvp#5",
    "half of the digits are mirrored from left to right and from top to bottom",
    "augmentation changes what the label says",
    "mirrored digits",
    "augmentation is too strong",
    epochs=4,
)
def mirrored(wrong: bool) -> Setup:
    def change(x: Any, y: Any, rng: Any) -> Any:
        if not wrong:
            return x, y
        x = np.where(rng.uniform(size=(len(x), 1, 1, 1)) < 0.5, x[:, :, ::-1], x)
        return np.where(rng.uniform(size=(len(x), 1, 1, 1)) < 0.5, x[:, ::-1], x), y

    x, y, xv, yv = images()
    return learning(x, y, (xv, yv), mlp(32), change=drawn(change))


@fault(
    CHANGED,
    OWN,
    "the mirror runs along the batch and not along the width: images get each other's labels",
    APART,
    "augmentation turns the batch around",
    "augmentation along the wrong axis",
)
def mirrored_batch(wrong: bool) -> Setup:
    def change(x: Any, y: Any, rng: Any) -> Any:
        return (x[::-1] if wrong else x), y

    x, y, xv, yv = images()
    return learning(x, y, (xv, yv), change=drawn(change))


@fault(
    CHANGED,
    OWN,
    "mixup blends two images and keeps the first one's label, however little is left of it",
    "mixup without mixing the labels",
    "augmentation changes what the label says",
    "labels are noisy",
    epochs=5,
)
def mixed_without_labels(wrong: bool) -> Setup:
    hot = np.eye(10, dtype=np.float32)

    def change(x: Any, y: Any, rng: Any) -> Any:
        share = rng.beta(0.3, 0.3)
        order = rng.permutation(len(x))
        mixed = (share * x + (1 - share) * x[order]).astype(np.float32)
        return mixed, (hot[y] if wrong else share * hot[y] + (1 - share) * hot[y[order]])

    x, y, xv, yv = images()
    return learning(x, y, (xv, yv), change=drawn(change))


@fault(
    CHANGED,
    OWN,
    "mixup draws the partners of the images and those of the labels separately",
    APART,
    "labels are mixed in another order than images",
    "labels are noisy",
    epochs=5,
)
def mixed_with_others_labels(wrong: bool) -> Setup:
    hot = np.eye(10, dtype=np.float32)

    def change(x: Any, y: Any, rng: Any) -> Any:
        share = rng.beta(0.4, 0.4)
        first = rng.permutation(len(x))
        second = rng.permutation(len(x)) if wrong else first
        mixed = (share * x + (1 - share) * x[first]).astype(np.float32)
        return mixed, share * hot[y] + (1 - share) * hot[y[second]]

    x, y, xv, yv = images()
    return learning(x, y, (xv, yv), change=drawn(change))


@fault(
    CHANGED,
    OWN,
    "noise with a deviation of 25, meant for pixels, is added to standardised inputs",
    "noise drowns the inputs",
    "augmentation is too strong",
    DIFFERENT,
)
def noise_of_25(wrong: bool) -> Setup:
    size = 25.0 if wrong else 0.25

    def change(x: Any, y: Any, rng: Any) -> Any:
        return x + rng.normal(0, size, x.shape).astype(np.float32), y

    x, y, xv, yv = images()
    return learning(x, y, (xv, yv), change=drawn(change))


@fault(
    CHANGED,
    OWN,
    "a square of 8 by 8 is cut out of images of 8 by 8, which leaves hardly anything",
    "augmentation erases the inputs",
    "augmentation is too strong",
    "most inputs are constant",
)
def cut_out(wrong: bool) -> Setup:
    side = 8 if wrong else 3

    def change(x: Any, y: Any, rng: Any) -> Any:
        x = x.copy()
        for each in x:
            top, left = rng.integers(-1, 2, 2) if wrong else rng.integers(0, 6, 2)
            each[max(top, 0) : top + side, max(left, 0) : left + side] = 0
        return x, y

    x, y, xv, yv = images()
    return learning(x, y, (xv, yv), change=drawn(change))


@fault(
    CHANGED,
    OWN,
    "the augmentation shifts the stored images in place, a little more each epoch",
    "augmentation changes the stored data",
    "the training data are changed in place",
    DIFFERENT,
    epochs=8,
)
def shifted_in_place(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    train = [(x[i : i + 40], y[i : i + 40]) for i in range(0, len(x), 40)]
    rng = np.random.default_rng(0)

    def step(inputs: Any, labels: Any) -> float:
        moved = np.roll(inputs, rng.integers(0, 2, 2), (1, 2))
        if wrong:
            inputs[:] = moved
        elif rng.uniform() < 0.5:
            moved = inputs
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(moved)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    CHANGED,
    OWN,
    "noise is added to uint8 pixels, which wrap around from 0 to 255 and back",
    "integers overflow",
    "uint8 pixels wrap around",
    DIFFERENT,
    epochs=4,
)
def pixels_wrap_around(wrong: bool) -> Setup:
    (pixels, y), (others, yv) = parts("digits").train, parts("digits").valid
    rng = np.random.default_rng(0)

    def change(batch: Any, labels: Any) -> Any:
        noise = rng.normal(0, 40, batch.shape).round()
        if wrong:
            batch = batch + noise.astype(np.int64).astype(np.uint8)
        else:
            batch = np.clip(batch + noise, 0, 255)
        return standard(batch, "digits"), labels

    return learning(pixels, y, (standard(others, "digits"), yv), change=change)
