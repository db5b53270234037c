"""The loss without the network: on logits of its own choice, with one's own labels.

Reach: a loss without gradient, of the wrong sign or minimised by other labels, without a least
value, detached, not one number, of the first images only, not finite for logits that the network
gives, clipped, smoothed until the label loses, weighted towards the common classes.
Not in reach: a reduction or a factor that only asks for another rate (its number is told); what a
loss that picks or weighs samples does with those that it leaves out.
"""

from __future__ import annotations

import math

import numpy as np

from minires.checks.free_logits import DESCENT, FreeLogits, log_softmax, mixes_samples
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import Array, host, taken
from minires.data.arrays import class_counts
from minires.grad_mode import enable_grad
from minires.tensors import Tensor

NAMES = (
    "loss has a gradient",
    "loss is least at the labels",
    "loss is finite",
    "loss corrects mistakes",
    "loss weighs the classes",
)
FEW_ROWS = 0.1  # of a batch: a loss that never looks at the others may not look at all


def check_loss(free: FreeLogits, own_step: bool = False) -> list[Finding]:
    """Every check of the loss; a step of one's own may reduce what the loss gives."""
    try:
        found = [has_gradient(free, own_step)]
    except Exception as error:
        reason = f"the loss raises {type(error).__name__} for logits of its own: {error}"
        return [not_checked(name, reason) for name in NAMES]
    if found[0].verdict != "holds":
        return found
    for name, check in zip(NAMES[1:], (least, finite, corrects, weighs), strict=True):
        try:
            if name == NAMES[1] and (said := mixes_samples(free)):
                found.append(broken(name, said, "give outputs and labels one shape; softmax of -1"))
            elif free.classes is None and check is not finite:
                found.append(not_checked(name, "the labels are no class numbers"))
            else:
                found.append(check(free))
        except TimeoutError as error:
            found.append(not_checked(name, str(error)))
        except Exception as error:
            found.append(not_checked(name, f"the loss raises {type(error).__name__}: {error}"))
        if name == NAMES[1] and found[-1].verdict == "broken":
            break  # the rest would say the same in other words
    return found


def has_gradient(free: FreeLogits, own_step: bool) -> Finding:
    """Whether the loss is one number that depends on the logits."""
    check = NAMES[0]
    values = free.made(free.normal(1.0))
    given = Tensor(values.astype(np.float32), requires_grad=True)
    with enable_grad(), np.errstate(all="ignore"):
        value = free.loss(given, free.labels)
    advice = "compute it with operations on Tensors, and no detach, item or numpy"
    if not isinstance(value, Tensor) or value.size != 1:
        kind = f"is a {type(value).__name__}, no Tensor"
        if isinstance(value, Tensor):
            kind, advice = f"has shape {tuple(value.shape)}, not one number", "reduce it, by mean()"
        if own_step and isinstance(value, Tensor | tuple | list | dict):
            return not_checked(check, f"the loss {kind}, of which your step may make one")
        return broken(check, f"the loss {kind}", advice)
    if not value.requires_grad:
        text = "the loss of logits that want a gradient wants none: it is detached from them"
        return broken(check, text, advice)
    if not free.gradient(values)[1].any():
        text = "the loss's gradient is 0 for random logits: it does not depend on them"
        return broken(check, text, advice)
    return holds(check, "the loss is one number with a gradient")


# -------------------------------------------------------------- what it is least for


def least(free: FreeLogits) -> Finding:
    """Where free logits go that descend on the loss: to the labels, for any right loss."""
    check, advice = NAMES[1], "hold it against nn.CrossEntropyLoss()(logits, labels)"
    if free.log_probabilities or free.probabilities:
        return _least_of_probabilities(free)
    went, classes = free.descended, free.classes
    assert classes is not None
    share = float(went.live.mean())
    if not share:
        said = f"the loss is {went.start:.3g} without a gradient for logits that hardly differ"
        return broken(check, f"{said}: it is content with a guess", advice)
    if share < FEW_ROWS and len(classes) >= 16 and _stays(free, went.live):
        return broken(
            check,
            f"the loss depends on {int(went.live.sum())} of the batch's {went.live.size} rows "
            "only, the same ones whatever their labels are",
            advice,
            numbers={"rows": int(went.live.sum())},
        )
    right = float((went.values.argmax(-1) == classes)[went.live].mean())
    chance = float(class_counts(classes.ravel()).max() / classes.size)
    slope = float((went.first * free.along).sum())
    slope /= float(np.linalg.norm(went.first) * np.linalg.norm(free.along))
    hot = np.exp(log_softmax(went.values))
    sure = float(np.take_along_axis(hot, classes[..., None], -1)[went.live].mean())
    plain = (
        np.full(free.shape, 1 / free.shape[-1]) - np.eye(free.shape[-1])[classes]
    ) / classes.size
    numbers = {
        **{"right": right, "chance": chance, "start": went.start, "end": went.end},
        **{"slope": slope, "probability": sure, "softmax inside": free.shift_invariant},
        "scale": float(np.linalg.norm(went.first) / np.linalg.norm(plain)),
    }
    said = ""
    if slope > 0.3 and right < chance + 0.2:
        said = (
            f"the loss rises when a label's logit rises (cosine {slope:.2f} with the labels): "
            f"logits that descend on it are right for {right:.0%} of them"
        )
        advice = "minimise the loss: turn its sign"
    elif right < min(0.9, chance + 0.5):
        said = (
            f"logits that descend on this loss for {DESCENT} steps, without any network, are "
            f"right for {right:.0%} of the labels (guessing: {chance:.0%})"
        )
    elif (unbounded := _unbounded(free)) is not None:
        numbers["at 1000"] = unbounded
        said = (
            f"the loss has no least value: for logits of 1,000 at the labels it is "
            f"{unbounded:.3g}, and larger logits make it ever smaller"
        )
        advice += ", which takes the logarithm of the softmax"
    elif free.shift_invariant and sure < 0.5 * _mass(free) and _is_flat(free):
        said = (
            f"the loss is least where a label has probability {sure:.2f}: its targets are "
            "smoothed away"
        )
        advice = "label smoothing of about 0.1 is usual"
    if said:
        return broken(check, said, advice, numbers=numbers)
    return holds(
        check,
        f"logits that descend on it are right for {right:.0%} of the labels; gradient "
        f"{numbers['scale']:.3g} times that of the mean cross-entropy",
        numbers,
    )


def _stays(free: FreeLogits, live: Array) -> bool:
    """Whether other rows do not come to count when the labels change places."""
    draw = np.random.default_rng(2)
    for _ in range(3):
        other = taken(free.labels, draw.permutation(len(live)))
        gradient = free.gradient(free.normal(1.0), other)[1]
        if (gradient.any(-1) & ~live).any():
            return False
    return True


def _is_flat(free: FreeLogits) -> bool:
    """Whether the least loss is near that of guessing, and rises beyond, at any temperature."""
    went = free.descended
    fall = went.start - went.end
    beyond = free.value(went.values + 2 * free.along)
    return fall < 0.2 * abs(went.start) and beyond > went.end + 0.01 * fall


def _mass(free: FreeLogits) -> float:
    """The probability that the labels themselves give their most probable class."""
    labels = host(free.labels)
    return float(labels.max(-1).mean()) if labels.shape == free.shape else 1.0


def _least_of_probabilities(free: FreeLogits) -> Finding:
    """Whether (log-)probabilities that favour the labels have a smaller loss than others."""
    good, bad = free.value(free.made(4 * free.along)), free.value(free.made(-4 * free.along))
    numbers = {"at the labels": good, "away from them": bad}
    text = f"the loss is {good:.3g} for outputs that favour the labels, {bad:.3g} for others"
    if good < bad:
        return holds(NAMES[1], text, numbers)
    advice = "hold it against nn.NLLLoss()(log_probabilities, labels)"
    return broken(NAMES[1], text, advice, numbers=numbers)


def _unbounded(free: FreeLogits) -> float | None:
    """The loss at logits of 1,000 for the labels, if it falls without end."""
    near, far, farther = (free.value(s * free.along) for s in (10.0, 100.0, 1000.0))
    falls = far < near - 1 and farther < far - 5 * abs(far - near) and farther < -10
    return farther if falls else None


# -------------------------------------------------------------- its numbers


def finite(free: FreeLogits) -> Finding:
    """Whether it is finite for logits as large as the network's."""
    reach = None
    for size in (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0):
        value, gradient = free.gradient(free.made(free.draw.choice([-1.0, 1.0], free.shape) * size))
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            reach = size
            break
    numbers = {"not finite from": reach, "logits": free.size}
    if reach is None:
        return holds(NAMES[2], "the loss is finite for logits of 1,000", numbers)
    if reach <= 10 or reach <= 2 * free.size:
        return broken(
            NAMES[2],
            f"the loss or its gradient is not finite for logits of {reach:g}; those of the "
            f"network reach {free.size:.3g} before training",
            "take log_softmax of the logits, or nn.CrossEntropyLoss: exp overflows at 88",
            numbers=numbers,
        )
    text = f"the loss is finite for logits of the network's size ({free.size:.3g})"
    return holds(NAMES[2], f"{text}, though not from {reach:g} on", numbers)


def corrects(free: FreeLogits) -> Finding:
    """Whether a sample that is badly wrong gets a gradient.

    A loss that takes the worst samples of a batch looks at one that is wrong among right ones; a
    loss that leaves out the worst looks at those that are as wrong as all others.
    """
    along, live = free.along, np.flatnonzero(free.gradient(free.made(0 * free.along))[1].any(-1))
    margins = (2.0, 5.0, 10.0)
    for margin in margins if len(live) else ():
        gradient = free.gradient(free.made(free.normal(0.1) - margin * along))[1]
        lost = ~gradient.any(-1).ravel()[live]
        share = float(lost.mean())
        if share > 0.5 and not any(_sees(free, along, row, margin) for row in live[:4]):
            return broken(
                NAMES[3],
                f"{share:.0%} of the samples whose label is {margin:g} behind the others get "
                "no gradient: the loss is clipped where it matters most",
                "clip nothing, or at values that logits never reach",
                numbers={"margin": margin, "without gradient": share},
            )
    return holds(NAMES[3], f"labels {margins[-1]:g} behind get a gradient")


def _sees(free: FreeLogits, along: Array, row: int, margin: float) -> bool:
    """Whether one row that is wrong gets a gradient where all others are right."""
    values = margin * along
    rows = values.reshape(-1, values.shape[-1])
    rows[row] *= -1
    gradient = free.gradient(free.made(values))[1].reshape(rows.shape)
    return bool(gradient[row].any())


def weighs(free: FreeLogits) -> Finding:
    """Whether class weights make rare classes count less still.

    Weights of classes follow the labels when these change places; what a loss picks does not.
    """
    check, classes = NAMES[4], free.classes
    assert classes is not None
    present, counts = np.unique(classes, return_counts=True)
    if len(present) < 2 or classes.ndim != 1:
        return not_checked(check, "the batch has one class only, or many labels a sample")
    weights = []
    for order in (np.arange(len(classes)), *(free.draw.permutation(len(classes)) for _ in "123")):
        gradient = free.gradient(free.made(np.zeros(free.shape)), taken(free.labels, order))[1]
        sizes = np.linalg.norm(gradient, axis=-1)
        weights.append([sizes[classes[order] == k].mean() for k in present])
    weight, spread = np.mean(weights, 0), np.ptp(weights, 0)
    if not weight.max() > 0 or (spread > 0.05 * weight.max()).any():
        return not_checked(check, "the loss weighs or picks samples, not classes")
    ratio = float(weight.max() / max(weight.min(), 1e-30))
    total = weight * counts
    uneven = float(total.max() / max(total.min(), 1e-30))
    natural = counts.max() / counts.min()
    numbers = {"ratio": ratio, "with counts": uneven}
    if ratio > 100 and uneven > 100 and uneven > 10 * natural:
        return broken(
            check,
            f"a sample of class {present[weight.argmax()]} counts {ratio:,.0f} times as much as "
            f"one of class {present[weight.argmin()]}, which {natural:.1f} times as many samples "
            "do not explain",
            "weight by 1 / frequency, or not at all",
            numbers=numbers,
        )
    return holds(check, f"classes count alike up to a factor of {ratio:.3g}", numbers)
