"""Labels against images by nearest neighbours, with permuted labels as the control."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from minires.checks.places import listed
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.sample import Sample, keys
from minires.checks.setup import Array, Clock

LABELS = ("labels fit their images", "labels mean the same in validation")


class Neighbours:
    """What an image's nearest neighbour knows of its label, within the sets and between them.

    The control is the same neighbours with permuted labels. Only where validation shows that pixels
    tell labels at all is anything said of training.
    """

    def __init__(self, t: Sample, v: Sample | None, clock: Clock, seed: int, scaled: bool) -> None:
        self.contradicted = contradicted(t)
        self.t, self.v = telling(t, v), v and telling(v, v)
        self.clock, self.scaled = clock, scaled
        self.draw = np.random.default_rng(seed)

    def findings(self) -> list[Finding]:
        """Both checks of labels."""
        t, v = self.t, self.v
        if self.contradicted > 0.02:
            share = f"{self.contradicted:.0%} of the training images"
            said = broken(
                LABELS[0],
                f"{share} are there again to the byte with another label",
                "look at these images with their labels",
                numbers={"contradicted": self.contradicted},
            )
            return [said, not_checked(LABELS[1], "training labels contradict each other")]
        reason = self.unable()
        if reason:
            return [not_checked(name, reason) for name in LABELS]
        assert v is not None
        assert t.y is not None
        assert v.y is not None
        count = self.count(t, v)
        i = self.draw.permutation(len(t.x))[:count]
        j = self.draw.permutation(len(v.x))[:count]
        a, b, la, lb = _unit(t.flat[i]), _unit(v.flat[j]), t.y[i], v.y[j]
        within = [self.agreement(x, x, y, y, own=True) for x, y in ((a, la), (b, lb))]
        across = self.agreement(a, b, la, lb, own=False)
        (ours, our_control, our_noise), (theirs, control, noise) = within
        numbers = {
            "images": count,
            "training": ours,
            "training permuted": our_control,
            "validation": theirs,
            "validation permuted": control,
            "across": across[0],
            "across permuted": across[1],
        }
        text = (
            f"the nearest of {count:,} images has the same label for {ours:.0%} in training "
            f"({our_control:.0%} if labels are permuted), {theirs:.0%} in validation "
            f"({control:.0%})"
        )
        if theirs < control + max(8 * noise, 0.05):
            reason = f"pixels hardly tell labels by this probe: {text}"
            return [not_checked(name, reason) for name in LABELS]
        labels = holds(LABELS[0], text, numbers)
        gain, their_gain = ours - our_control, theirs - control
        nothing, strong = gain < 4 * our_noise, their_gain > 0.5
        if nothing and not strong and not t.repeats:
            reason = f"training images are augmented, and pixels tell little by this probe: {text}"
            return [not_checked(name, reason) for name in LABELS]
        if nothing or (strong and gain < 0.2 * their_gain):
            labels = broken(
                LABELS[0],
                f"training labels say {'no' if nothing else 'hardly'} more of their images than "
                f"permuted ones would: {text}",
                "look at some training images with their labels: they are shuffled, "
                "shifted or cut apart, or the augmentation destroys the images",
                numbers=numbers,
            )
            reason = "the training labels do not fit their images"
            return [labels, not_checked(LABELS[1], reason)]
        possible = (1 - our_control) / max(1 - control, 1e-9)  # of a few classes chance knows more
        easier = len(np.unique(v.y)) < 0.8 * len(np.unique(t.y))  # to tell fewer classes apart
        comparable = strong and not easier and not self.scaled and t.repeats
        if gain < 0.75 * their_gain * possible and comparable:
            labels = broken(
                LABELS[0],
                f"many training labels contradict the nearest image, far more than in validation: "
                f"{text}",
                "look at the training images whose neighbours disagree",
                numbers=numbers,
            )
        return [labels, self.same_meaning(a, b, la, lb, across, min(ours, theirs), numbers)]

    def unable(self) -> str:
        t, v = self.t, self.v
        if v is None or t.y is None or v.y is None:
            return "there are no class numbers in both sets"
        if t.x.shape[1:] != v.x.shape[1:]:
            return "the two sets have inputs of other shapes"
        if min(len(t.x), len(v.x)) < 100:
            return "there are not 100 inputs in each set"
        if not (np.isfinite(t.x).all() and np.isfinite(v.x).all()):
            return "inputs are not finite"
        if len(np.unique(v.y)) < 2:
            return "validation has one class only"
        if self.clock.left <= 0:
            return "the time is spent"
        return ""

    def count(self, t: Sample, v: Sample) -> int:
        """As many images as the time allows: products of count² x size take it."""
        size = int(np.prod(t.x.shape[1:]))
        possible = int(math.sqrt(self.clock.left * 0.1 * 5e9 / size))
        return max(min(len(t.x), len(v.x), 1500, possible), 100)

    def agreement(
        self, a: Array, b: Array, la: Array, lb: Array, own: bool
    ) -> tuple[float, float, float]:
        """How often b's nearest in a has its label; the same permuted, and how that scatters."""
        products = b @ a.T
        if own:
            np.fill_diagonal(products, -np.inf)
        nearest = products.argmax(1)
        real = float((la[nearest] == lb).mean())
        controls = [float((self.draw.permutation(la)[nearest] == lb).mean()) for _ in range(30)]
        floor = 0.5 / math.sqrt(len(lb)) * 0.5
        return real, float(np.mean(controls)), max(float(np.std(controls)), floor / 4)

    def same_meaning(
        self,
        a: Array,
        b: Array,
        la: Array,
        lb: Array,
        across: tuple[float, float, float],
        least: float,
        numbers: dict[str, Any],
    ) -> Finding:
        """Whether class k of validation looks like class k of training."""
        check = LABELS[1]
        text = f"validation's nearest training images have the same label for {across[0]:.0%}"
        if self.scaled:
            return not_checked(check, "the two sets are scaled differently")
        if across[0] > across[1] + 0.5 * (least - across[1]):
            return holds(check, text, numbers)
        guess = la[(b @ a.T).argmax(1)]
        classes = int(max(la.max(), lb.max())) + 1
        table = np.zeros((classes, classes))
        np.add.at(table, (lb, guess), 1)
        renamed = float(table.max(1).sum() / table.sum())
        names = {int(k): int(table[k].argmax()) for k in np.unique(lb)}
        numbers = {**numbers, "renamed": renamed, "names": {str(k): n for k, n in names.items()}}
        one_to_one = len(set(names.values())) >= 0.8 * len(names)
        if renamed > across[0] + 0.2 and one_to_one and renamed > 0.85 * least:
            pairs = [f"{k} is {n}" for k, n in names.items() if k != n]
            return broken(
                check,
                f"{text}, and for {renamed:.0%} if classes are renamed (validation's "
                f"{listed(pairs, 3)})",
                "use one list of classes for both sets",
                numbers=numbers,
            )
        if renamed > 0.85 * least and not one_to_one:
            return not_checked(check, f"{text}: some of its classes are one in training")
        if least > across[1] + 0.5 and across[0] < across[1] + 0.4 * (least - across[1]):
            return broken(
                check,
                f"{text}, though within the sets {numbers['training']:.0%} and "
                f"{numbers['validation']:.0%} have: the images of the two sets look different",
                "look at some images of both sets beside each other, as the model gets them",
                numbers=numbers,
            )
        return not_checked(check, f"{text}, which renaming does not explain")


def contradicted(part: Sample) -> float:
    """The share of images that come with several labels, but for those of one value."""
    if part.y is None:
        return 0.0
    labels: dict[bytes, set[int]] = {}
    known = keys(part)
    for key, label in zip(known, part.y.tolist(), strict=True):
        labels.setdefault(key, set()).add(label)
    varied = np.ptp(part.flat, axis=1) > 0
    return float(np.mean([len(labels[key]) > 1 for key in known] & varied))


def telling(part: Sample, valid: Sample | None) -> Sample:
    """Without what fills batches up, or says that a label is unknown.

    Images that are one value, or there already; labels below 0, or beyond validation's by more
    than numbering from 1 takes them.
    """
    flat, known = part.flat, keys(part)
    first = {key: place for place, key in reversed([*enumerate(known)])}
    chosen = [i for i, key in enumerate(known) if first[key] == i and np.ptp(flat[i]) > 0]
    if part.y is not None and valid is not None and valid.y is not None:
        chosen = [i for i in chosen if 0 <= part.y[i] <= valid.y.max() + 1]
    classes = None if part.y is None else part.y[chosen]
    return replace(part, x=part.x[chosen], y=classes)


def _unit(flat: Array) -> Array:
    """Each image with mean 0 and length 1, so that the nearest has the largest product."""
    flat = flat - flat.mean(1, keepdims=True)
    size = np.linalg.norm(flat, axis=1, keepdims=True)
    result: Array = flat / np.maximum(size, 1e-12)
    return result
