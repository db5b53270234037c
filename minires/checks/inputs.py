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
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from minires.checks.neighbours import LABELS, Neighbours
from minires.checks.places import listed
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.sample import Sample, keys, sample
from minires.checks.setup import Array, Clock, batches, host
from minires.data.arrays import class_counts

LEAK = 0.02  # share of the validation images

NAMES = (
    "inputs are finite",
    "inputs vary",
    "validation is scaled like training",
    "validation images are new",
    "training images differ",
    "classes per batch",
    "classes in training",
    *LABELS,
)


def check_inputs(train: Any, valid: Any, clock: Clock, seed: int) -> Iterator[Finding]:
    """Every check of the data."""
    t = sample("training", train, clock.share(0.4), seed)
    v = sample("validation", valid, clock.share(0.5), seed)
    if t is None:
        for name in NAMES:
            yield not_checked(name, "the inputs are no arrays of one shape")
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
    known = set(keys(t))
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
            return broken(
                NAMES[0],
                f"{bad.mean():.1%} of {len(bad):,} {part.name} inputs hold NaN or infinite values",
                "find them with np.isfinite, and look at the transform",
                numbers={"share": float(bad.mean()), "set": part.name},
            )
    count = len(t.x) + (0 if v is None else len(v.x))
    return holds(NAMES[0], f"all values of {count:,} inputs are finite")


def vary(t: Sample) -> Finding:
    """Whether inputs and channels are not all one value."""
    flat = t.flat
    mean, deviation = float(flat.mean()), float(flat.std())
    numbers: dict[str, Any] = {"mean": mean, "standard deviation": deviation}
    between = float(np.ptp(flat, axis=0).max()) if len(flat) > 1 else math.inf
    size = max(float(np.abs(flat).max()), 1e-30)
    if between < 1e-6 * size:
        return broken(
            NAMES[1],
            f"all {len(flat):,} inputs are the same (values of mean {mean:.3g})",
            "print a batch, and look at the transform",
            numbers=numbers,
        )
    value, count = _commonest(flat)
    if count > 0.98 and len(set(keys(t))) < 0.5 * len(t.x):  # sparse images differ all the same
        numbers["share"] = count
        return broken(
            NAMES[1],
            f"{count:.1%} of all input values are {value:.3g}",
            "print a batch, and look at the transform",
            numbers=numbers,
        )
    if t.x.ndim == 4 and t.x.shape[-1] > 1:
        channels = t.x.reshape(-1, t.x.shape[-1]).astype(np.float32)
        still = np.flatnonzero(np.ptp(channels, axis=0) <= 1e-6 * size)
        spare = still.tolist() == [3] and t.x.shape[-1] == 4  # opacity, or padding
        if len(still) and not spare and t.x.shape[-1] <= 4:
            return broken(
                NAMES[1],
                f"of {t.x.shape[-1]} channels {listed(list(map(str, still)))} has one value only",
                "look at how images are read",
                numbers={**numbers, "channels": still.tolist()},
            )
    return holds(
        NAMES[1], f"values have mean {mean:.3g} and standard deviation {deviation:.3g}", numbers
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
        return not_checked(check, "there are no 30 inputs of one shape in both sets")
    a, b = t.flat, v.flat
    deviations = float(a.std()), float(b.std())
    means = float(a.mean()), float(b.mean())
    at = np.linspace(0, 1, 101)
    quantiles = [np.quantile(part[:: len(part) // 200 + 1], at) for part in (a, b)]
    apart = float(np.abs(quantiles[0] - quantiles[1]).mean()) / max(*deviations, 1e-12)
    ratio = max(deviations) / max(min(deviations), 1e-12)
    numbers = {"means": list(means), "standard deviations": list(deviations), "apart": apart}
    text = (
        f"training has mean {means[0]:.3g} and standard deviation {deviations[0]:.3g}, validation "
        f"{means[1]:.3g} and {deviations[1]:.3g}; a value is {apart:.2g} deviations apart"
    )
    if apart > (0.5 if t.repeats else 1.0) or ratio > 2:
        advice = "give both the same transform, apart from the augmentation of training"
        return broken(check, text, advice, numbers=numbers)
    return holds(check, text, numbers)


def new_images(t: Sample, v: Sample | None) -> Finding:
    """Whether validation images are not those of training, to the byte."""
    check = NAMES[3]
    if v is None:
        return not_checked(check, "there is no validation data")
    if t.x.shape[1:] != v.x.shape[1:] or t.x.dtype != v.x.dtype:
        return not_checked(check, "the two sets have inputs of other shapes or dtypes")
    varied = v.flat.std(1) > 1e-6 * max(float(np.abs(v.flat).max()), 1e-30)
    if varied.mean() < 0.5:
        return not_checked(check, "most validation inputs are constant")
    known = set(keys(t))
    found = np.array([key in known for key in keys(v)]) & varied
    share, seen = float(found.mean()), f"{len(v.x):,} validation and {len(t.x):,} training images"
    numbers = {"share": share, "validation": len(v.x), "training": len(t.x)}
    if share > LEAK and _coincide(t, v):
        text = f"{share:.0%} of {seen} are the same, as images within the sets are"
        return holds(check, f"{text}: they have few different values", numbers)
    if share > LEAK:
        return broken(
            check,
            f"{share:.0%} of {seen} are the same to the byte: validation measures memory",
            "split before anything else, and validate on images that are not trained on",
            numbers=numbers,
        )
    return holds(check, f"{int(found.sum())} of {seen} are the same", numbers)


def _coincide(t: Sample, v: Sample) -> bool:
    """Whether images of the two sets are no more often the same than those within the sets.

    Pairs are counted. Training may draw an image several times; validation then has no such pairs.
    """
    ours, theirs = Counter(keys(t)), Counter(keys(v))
    across = sum(count * ours[key] for key, count in theirs.items())
    within = [sum(n * (n - 1) / 2 for n in counts.values()) for counts in (ours, theirs)]
    every = [len(part.x) * (len(part.x) - 1) / 2 for part in (t, v)]
    rate = within[0] / max(every[0], 1)
    if within[1] < rate * every[1] - 3 * math.sqrt(rate * every[1]):
        rate = within[1] / every[1]
    expected = rate * len(t.x) * len(v.x)
    return across < 2 * expected + 3 * math.sqrt(expected)


def different(t: Sample) -> Finding:
    """Whether there are enough different images."""
    unique, count = len(set(keys(t))), len(t.x)
    numbers: dict[str, Any] = {"different": unique, "seen": count, "whole": t.whole}
    enough = 20 * (len(np.unique(t.y)) if t.y is not None else 10)
    if count >= 50 and unique <= 0.2 * count and unique < enough:
        return broken(
            NAMES[4],
            f"only {unique:,} of {count:,} training inputs are different",
            "look at the sampler, and at what the dataset's index does",
            numbers=numbers,
        )
    if t.y is not None and t.whole:
        classes = len(np.unique(t.y))
        numbers["a class"] = unique / classes
        if unique < 5 * classes and classes > 1:
            return broken(
                NAMES[4],
                f"an epoch has {unique} different training inputs for {classes} classes",
                "train on more images",
                numbers=numbers,
            )
    return holds(NAMES[4], f"{unique:,} of {count:,} are different", numbers)


def classes_per_batch(t: Sample) -> Finding:
    """Whether batches are mixed, as a random order makes them."""
    check = NAMES[5]
    if t.y is None or len(t.sizes) < 3:
        return not_checked(check, "there are no three batches with class numbers")
    counts = class_counts(t.y - t.y.min()).astype(float)
    counts = counts[counts > 0]
    if len(counts) < 2:
        return not_checked(check, "there is one class only")
    parts = np.split(t.y, np.cumsum(t.sizes)[:-1])
    seen = float(np.mean([len(np.unique(p)) for p in parts]))
    share = counts / counts.sum()
    expected = float(np.mean([(1 - (1 - share) ** len(p)).sum() for p in parts]))
    numbers = {"classes": seen, "if shuffled": expected}
    text = f"a batch has {seen:.1f} classes; {expected:.1f} if it were shuffled"
    scattered = seen > 1.5 and _runs(parts) > 1.5
    if seen < 0.5 * expected and scattered:
        return not_checked(check, f"{text}: classes are drawn for each batch, as it looks")
    if seen < 0.5 * expected and expected > 1.5:
        return broken(check, text, "shuffle the training data in every epoch", numbers=numbers)
    return holds(check, text, numbers)


def _runs(parts: list[Array]) -> float:
    """In how many separate stretches of batches a class comes, in the mean."""
    known = np.unique(np.concatenate(parts))
    there = np.array([np.isin(known, part) for part in parts])
    begins = there[0] + (there[1:] & ~there[:-1]).sum(0)
    return float(begins.mean())


def classes_present(t: Sample, v: Sample | None) -> Finding:
    """Whether training has the classes of validation, about as often."""
    check = NAMES[6]
    if t.y is None:
        return not_checked(check, "the labels are no class numbers")
    if v is None or v.y is None:
        return not_checked(check, "there is no validation data with class numbers")
    most = int(max(t.y.max(), v.y.max())) + 1
    if min(t.y.min(), v.y.min()) < 0:
        return not_checked(check, "there are negative labels")
    ours, theirs = (class_counts(p.y, most) / len(p.y) for p in (t, v))  # type: ignore[arg-type]
    chance = (1 - theirs) ** len(t.y)  # of not seeing a class in as many draws
    gone = np.flatnonzero(
        (ours == 0) & (theirs > 0) & ((chance < 1e-6) | (t.whole & (chance < 0.01)))
    )
    numbers: dict[str, Any] = {"training": ours.tolist(), "validation": theirs.tolist()}
    if len(gone):
        return broken(
            check,
            f"training has no image of class {listed(list(map(str, gone)))} among {len(t.y):,}; "
            f"validation has {theirs[gone].sum():.0%} of these",
            "train on every class that is validated",
            numbers=numbers,
        )
    apart = float(np.abs(ours - theirs).sum() / 2)
    noise = float(np.sqrt(theirs * (1 - theirs) * (1 / len(t.y) + 1 / len(v.y))).sum() / 2)
    numbers["apart"] = apart
    common = int(ours.argmax())
    text = (
        f"class {common} is {ours[common]:.0%} of training and {theirs[common]:.0%} of validation"
    )
    evener = float((ours**2).sum()) < float((theirs**2).sum())  # rare classes drawn more often
    if apart > 0.4 and apart > 4 * noise and not evener:
        return broken(
            check,
            f"{text}; {apart:.0%} of the labels would have to change to make them alike",
            "look at how labels are read, or weight the classes",
            numbers=numbers,
        )
    return holds(check, text, numbers)
