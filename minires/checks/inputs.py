"""The data, without the network.

Reach: values that are not finite, inputs or channels that are constant, training and validation
scaled differently, validation images that are trained on, few different images, batches that are
not shuffled, classes that are missing or far more frequent in training, labels that say nothing of
their images, or that are numbered otherwise in validation.
Not in reach: a few wrong labels; labels of images in which a nearest neighbour sees nothing (it
must first do better on validation images than on permuted labels); leaks of images that were
changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires.checks.places import listed
from minires.checks.report import Finding
from minires.checks.setup import Array, Clock, batches, host

MOST = {"training": 2000, "validation": 1500}
LEAK = 0.02  # share of the validation images

NAMES = (
    "inputs are finite",
    "inputs vary",
    "validation is scaled like training",
    "validation images are new",
    "training images differ",
    "classes per batch",
    "classes in training",
    "labels fit their images",
    "labels mean the same in validation",
)


@dataclass
class Sample:
    """Some batches of one of the two sets, joined.

    Attributes
    ----------
    name : str
    x, y : arrays
        Inputs (N, ...) as they come, and class numbers (N,), or None where labels are no such.
    sizes : list of int
        Of the batches.
    whole : bool
        Whether it is all of an epoch.
    repeats : bool
        Whether another epoch brings some of the same inputs to the byte: nothing augments them.
    """

    name: str
    x: Array
    y: Array | None
    sizes: list[int]
    whole: bool
    repeats: bool = False

    @property
    def flat(self) -> Array:
        """(N, D) as float32, without NaN."""
        return np.nan_to_num(self.x.reshape(len(self.x), -1).astype(np.float32))


def sample(name: str, data: Any, clock: Clock, seed: int) -> Sample | None:
    """As many batches as the clock and `MOST` allow."""
    xs: list[Array] = []
    ys: list[Array] = []
    whole = True
    for inputs, labels in batches(data, seed):
        xs.append(host(inputs))
        ys.append(host(labels))
        if sum(map(len, xs)) >= MOST[name] or (len(xs) > 1 and clock.left <= 0):
            whole = False
            break
    if not xs or len({x.shape[1:] for x in xs}) != 1 or xs[0].dtype.kind not in "fiub":
        return None
    labels_ = np.concatenate(ys) if len({y.shape[1:] for y in ys}) == 1 else None
    classes = None
    if labels_ is not None and labels_.dtype.kind in "iu" and labels_.ndim == 1:
        classes = labels_.astype(np.int64)
    elif labels_ is not None and labels_.ndim == 2 and labels_.shape[1] > 1:
        classes = labels_.argmax(1) if np.isin(labels_, (0, 1)).all() else None
    joined = np.concatenate(xs)
    if classes is not None and len(classes) != len(joined):
        classes = None
    return Sample(name, joined, classes, list(map(len, xs)), whole)


def check_inputs(train: Any, valid: Any, clock: Clock, seed: int) -> Iterator[Finding]:
    """Every check of the data."""
    t = sample("training", train, clock.share(0.4), seed)
    v = sample("validation", valid, clock.share(0.5), seed)
    if t is None:
        for name in NAMES:
            yield Finding(name, "not checked", "the inputs are no arrays of one shape")
        return
    t.repeats = repeats(t, train, seed + 1)
    yield finite(t, v)
    yield vary(t)
    scaled = same_scale(t, v)
    yield scaled
    yield new_images(t, v)
    yield different(t)
    yield classes_per_batch(t)
    yield classes_present(t, v)
    yield from Neighbours(t, v, clock, seed, scaled.verdict == "broken").findings()


def repeats(t: Sample, data: Any, seed: int) -> bool:
    """Whether some of a few batches of another epoch are among these."""
    known = set(_keys(t))
    for number, (inputs, _) in enumerate(batches(data, seed)):
        if any(np.ascontiguousarray(image).tobytes() in known for image in host(inputs)):
            return True
        if number >= 4:
            break
    return False


def finite(t: Sample, v: Sample | None) -> Finding:
    """Whether all values are."""
    for part in (t, v):
        if part is None or part.x.dtype.kind != "f":
            continue
        bad: Array = np.asarray(~np.isfinite(part.x.reshape(len(part.x), -1)).all(1))
        if bad.any():
            return Finding(
                NAMES[0],
                "broken",
                f"{bad.mean():.1%} of {len(bad):,} {part.name} inputs hold NaN or infinite values",
                {"share": float(bad.mean()), "set": part.name},
                "",
                "find them with np.isfinite, and look at the transform",
            )
    count = len(t.x) + (0 if v is None else len(v.x))
    return Finding(NAMES[0], "holds", f"all values of {count:,} inputs are finite")


def vary(t: Sample) -> Finding:
    """Whether inputs and channels are not all one value."""
    flat = t.flat
    mean, deviation = float(flat.mean()), float(flat.std())
    numbers: dict[str, Any] = {"mean": mean, "standard deviation": deviation}
    between = float(np.ptp(flat, axis=0).max()) if len(flat) > 1 else math.inf
    size = max(float(np.abs(flat).max()), 1e-30)
    if between < 1e-6 * size:
        return Finding(
            NAMES[1],
            "broken",
            f"all {len(flat):,} inputs are the same (values of mean {mean:.3g})",
            numbers,
            "",
            "print a batch, and look at the transform",
        )
    value, count = _commonest(flat)
    if count > 0.98:
        numbers["share"] = count
        return Finding(
            NAMES[1],
            "broken",
            f"{count:.1%} of all input values are {value:.3g}",
            numbers,
            "",
            "print a batch, and look at the transform",
        )
    if t.x.ndim == 4 and t.x.shape[-1] > 1:
        channels = t.x.reshape(-1, t.x.shape[-1]).astype(np.float32)
        still = np.flatnonzero(np.ptp(channels, axis=0) <= 1e-6 * size)
        if len(still):
            return Finding(
                NAMES[1],
                "broken",
                f"of {t.x.shape[-1]} channels {listed(list(map(str, still)))} has one value only",
                {**numbers, "channels": still.tolist()},
                "",
                "look at how images are read",
            )
    return Finding(
        NAMES[1],
        "holds",
        f"values have mean {mean:.3g} and standard deviation {deviation:.3g}",
        numbers,
    )


def _commonest(flat: Array) -> tuple[float, float]:
    """The median, and the share of values that equal it."""
    some = flat[:200]
    value = float(np.median(some))
    return value, float((some == np.float32(value)).mean())


def same_scale(t: Sample, v: Sample | None) -> Finding:
    """Whether validation goes through the same scaling."""
    check = NAMES[2]
    if v is None or v.x.shape[1:] != t.x.shape[1:] or min(len(v.x), len(t.x)) < 30:
        return Finding(check, "not checked", "there are no 30 inputs of one shape in both sets")
    a, b = t.flat, v.flat
    deviations = float(a.std()), float(b.std())
    means = float(a.mean()), float(b.mean())
    base = max(min(deviations), 1e-12)
    shift = abs(means[0] - means[1]) / max(*deviations, 1e-12)
    ratio = max(deviations) / base
    numbers = {"means": list(means), "standard deviations": list(deviations)}
    text = (
        f"training has mean {means[0]:.3g} and standard deviation {deviations[0]:.3g}, validation "
        f"{means[1]:.3g} and {deviations[1]:.3g}"
    )
    if shift > 0.5 or ratio > 2:
        return Finding(
            check,
            "broken",
            text,
            numbers,
            "",
            "give both the same transform, apart from the augmentation of training",
        )
    return Finding(check, "holds", text, numbers)


def _keys(part: Sample) -> list[bytes]:
    return [np.ascontiguousarray(image).tobytes() for image in part.x]


def new_images(t: Sample, v: Sample | None) -> Finding:
    """Whether validation images are not those of training, to the byte."""
    check = NAMES[3]
    if v is None:
        return Finding(check, "not checked", "there is no validation data")
    if t.x.shape[1:] != v.x.shape[1:] or t.x.dtype != v.x.dtype:
        return Finding(check, "not checked", "the two sets have inputs of other shapes or dtypes")
    varied = v.flat.std(1) > 1e-6 * max(float(np.abs(v.flat).max()), 1e-30)
    if varied.mean() < 0.5:
        return Finding(check, "not checked", "most validation inputs are constant")
    known = set(_keys(t))
    found = np.array([key in known for key in _keys(v)]) & varied
    share, seen = float(found.mean()), f"{len(v.x):,} validation and {len(t.x):,} training images"
    numbers = {"share": share, "validation": len(v.x), "training": len(t.x)}
    if share > LEAK:
        return Finding(
            check,
            "broken",
            f"{share:.0%} of {seen} are the same to the byte: validation measures memory",
            numbers,
            "",
            "split before anything else, and validate on images that are not trained on",
        )
    return Finding(check, "holds", f"{int(found.sum())} of {seen} are the same", numbers)


def different(t: Sample) -> Finding:
    """Whether there are enough different images."""
    unique, count = len(set(_keys(t))), len(t.x)
    numbers: dict[str, Any] = {"different": unique, "seen": count, "whole": t.whole}
    if count >= 50 and unique <= 0.2 * count:
        return Finding(
            NAMES[4],
            "broken",
            f"only {unique:,} of {count:,} training inputs are different",
            numbers,
            "",
            "look at the sampler, and at what the dataset's index does",
        )
    if t.y is not None and t.whole:
        classes = len(np.unique(t.y))
        numbers["a class"] = unique / classes
        if unique < 5 * classes and classes > 1:
            return Finding(
                NAMES[4],
                "broken",
                f"an epoch has {unique} different training inputs for {classes} classes",
                numbers,
                "",
                "train on more images",
            )
    return Finding(NAMES[4], "holds", f"{unique:,} of {count:,} are different", numbers)


def classes_per_batch(t: Sample) -> Finding:
    """Whether batches are mixed, as a random order makes them."""
    check = NAMES[5]
    if t.y is None or len(t.sizes) < 3:
        return Finding(check, "not checked", "there are no three batches with class numbers")
    counts = np.bincount(t.y - t.y.min()).astype(float)
    counts = counts[counts > 0]
    if len(counts) < 2:
        return Finding(check, "not checked", "there is one class only")
    parts = np.split(t.y, np.cumsum(t.sizes)[:-1])
    seen = float(np.mean([len(np.unique(p)) for p in parts]))
    share = counts / counts.sum()
    expected = float(np.mean([(1 - (1 - share) ** len(p)).sum() for p in parts]))
    numbers = {"classes": seen, "if shuffled": expected}
    text = f"a batch has {seen:.1f} classes; {expected:.1f} if it were shuffled"
    if seen < 0.5 * expected and expected > 1.5:
        return Finding(
            check, "broken", text, numbers, "", "shuffle the training data in every epoch"
        )
    return Finding(check, "holds", text, numbers)


def classes_present(t: Sample, v: Sample | None) -> Finding:
    """Whether training has the classes of validation, about as often."""
    check = NAMES[6]
    if t.y is None:
        return Finding(check, "not checked", "the labels are no class numbers")
    if v is None or v.y is None:
        return Finding(check, "not checked", "there is no validation data with class numbers")
    most = int(max(t.y.max(), v.y.max())) + 1
    if min(t.y.min(), v.y.min()) < 0:
        return Finding(check, "not checked", "there are negative labels")
    ours, theirs = (np.bincount(p.y, minlength=most) / len(p.y) for p in (t, v))  # type: ignore[arg-type]
    chance = (1 - theirs) ** len(t.y)  # of not seeing a class in as many draws
    gone = np.flatnonzero(
        (ours == 0) & (theirs > 0) & ((chance < 1e-6) | (t.whole & (chance < 0.01)))
    )
    numbers: dict[str, Any] = {"training": ours.tolist(), "validation": theirs.tolist()}
    if len(gone):
        return Finding(
            check,
            "broken",
            f"training has no image of class {listed(list(map(str, gone)))} among {len(t.y):,}; "
            f"validation has {theirs[gone].sum():.0%} of these",
            numbers,
            "",
            "train on every class that is validated",
        )
    apart = float(np.abs(ours - theirs).sum() / 2)
    noise = float(np.sqrt(theirs * (1 - theirs) * (1 / len(t.y) + 1 / len(v.y))).sum() / 2)
    numbers["apart"] = apart
    common = int(ours.argmax())
    text = (
        f"class {common} is {ours[common]:.0%} of training and {theirs[common]:.0%} of validation"
    )
    if apart > 0.4 and apart > 4 * noise:
        return Finding(
            check,
            "broken",
            f"{text}; {apart:.0%} of the labels would have to change to make them alike",
            numbers,
            "",
            "look at how labels are read, or weight the classes",
        )
    return Finding(check, "holds", text, numbers)


class Neighbours:
    """What an image's nearest neighbour knows of its label, within the sets and between them.

    The control is the same neighbours with permuted labels. Only where validation shows that pixels
    tell labels at all is anything said of training.
    """

    def __init__(self, t: Sample, v: Sample | None, clock: Clock, seed: int, scaled: bool) -> None:
        self.t, self.v, self.clock, self.scaled = t, v, clock, scaled
        self.draw = np.random.default_rng(seed)

    def findings(self) -> list[Finding]:
        """Both checks of labels."""
        t, v = self.t, self.v
        reason = self.unable()
        if reason:
            return [Finding(name, "not checked", reason) for name in NAMES[7:]]
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
            return [Finding(name, "not checked", reason) for name in NAMES[7:]]
        labels = Finding(NAMES[7], "holds", text, numbers)
        gain, their_gain = ours - our_control, theirs - control
        nothing, strong = gain < 4 * our_noise, their_gain > 0.5
        if nothing and not strong and not t.repeats:
            reason = f"training images are augmented, and pixels tell little by this probe: {text}"
            return [Finding(name, "not checked", reason) for name in NAMES[7:]]
        if nothing or (strong and gain < 0.2 * their_gain):
            labels = Finding(
                NAMES[7],
                "broken",
                f"training labels say {'no' if nothing else 'hardly'} more of their images than "
                f"permuted ones would: {text}",
                numbers,
                "",
                "look at some training images with their labels: they are shuffled, "
                "shifted or cut apart, or the augmentation destroys the images",
            )
            reason = "the training labels do not fit their images"
            return [labels, Finding(NAMES[8], "not checked", reason)]
        if gain < 0.75 * their_gain and strong and not self.scaled and t.repeats:
            labels = Finding(
                NAMES[7],
                "broken",
                f"many training labels contradict the nearest image, far more than in validation: "
                f"{text}",
                numbers,
                "",
                "look at the training images whose neighbours disagree",
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
        check = NAMES[8]
        text = f"validation's nearest training images have the same label for {across[0]:.0%}"
        if self.scaled:
            return Finding(check, "not checked", "the two sets are scaled differently")
        if across[0] > across[1] + 0.5 * (least - across[1]):
            return Finding(check, "holds", text, numbers)
        guess = la[(b @ a.T).argmax(1)]
        classes = int(max(la.max(), lb.max())) + 1
        table = np.zeros((classes, classes))
        np.add.at(table, (lb, guess), 1)
        renamed = float(table.max(1).sum() / table.sum())
        names = {int(k): int(table[k].argmax()) for k in np.unique(lb)}
        numbers = {**numbers, "renamed": renamed, "names": {str(k): n for k, n in names.items()}}
        one_to_one = len(set(names.values())) >= 0.8 * len(names)
        if renamed > across[0] + 0.2 and one_to_one and renamed > 0.6 * least:
            pairs = [f"{k} is {n}" for k, n in names.items() if k != n]
            return Finding(
                check,
                "broken",
                f"{text}, and for {renamed:.0%} if classes are renamed (validation's "
                f"{listed(pairs, 3)})",
                numbers,
                "",
                "use one list of classes for both sets",
            )
        return Finding(check, "not checked", f"{text}, which renaming does not explain")


def _unit(flat: Array) -> Array:
    """Each image with mean 0 and length 1, so that the nearest has the largest product."""
    flat = flat - flat.mean(1, keepdims=True)
    size = np.linalg.norm(flat, axis=1, keepdims=True)
    result: Array = flat / np.maximum(size, 1e-12)
    return result
