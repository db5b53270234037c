"""The loss without the network: on logits of its own choice, with one's own labels.

Reach: a loss without gradient, of the wrong sign or minimised by other labels, without a least
value, detached, not one number, not finite for logits that the network gives, clipped, smoothed
until the label loses, weighted towards the common classes.
Not in reach: a reduction or a factor that only asks for another rate (its number is told).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minires.checks.places import line_of_function
from minires.checks.report import Finding
from minires.checks.setup import Array, class_labels, host
from minires.data.arrays import class_counts
from minires.engine import enable_grad
from minires.tensors import Tensor

NAMES = (
    "loss has a gradient",
    "loss is least at the labels",
    "loss is finite",
    "loss corrects mistakes",
    "loss weighs the classes",
)
DESCENT = 300  # steps of free logits


def check_loss(
    loss: Callable[[Any, Any], Any], labels: Any, outputs: Array, seed: int = 0
) -> list[Finding]:
    """Every check of the loss.

    Parameters
    ----------
    loss : callable
    labels : a batch's, as the loop gets them
    outputs : (N, ..., C)
        The network's for that batch: their kind and size are what the loss is tried at.
    """
    return _Loss(loss, labels, outputs, seed).findings()


class _Loss:
    def __init__(
        self, loss: Callable[[Any, Any], Any], labels: Any, outputs: Array, seed: int
    ) -> None:
        self.loss, self.labels, self.shape = loss, labels, outputs.shape
        self.line = line_of_function(loss)
        self.draw = np.random.default_rng(seed)
        self.classes = class_labels(labels, outputs)
        self.size = float(np.abs(outputs).max()) if np.isfinite(outputs).all() else math.inf
        self.log_probabilities = is_log_probabilities(outputs)
        self.probabilities = is_probabilities(outputs)

    def findings(self) -> list[Finding]:
        try:
            first = self.has_gradient()
        except Exception as error:
            reason = f"the loss raises {type(error).__name__} for logits of its own: {error}"
            return [Finding(name, "not checked", reason) for name in NAMES]
        if first.verdict == "broken":
            return [first]
        found = [first]
        for name, check in zip(
            NAMES[1:], (self.least, self.finite, self.corrects, self.weighs), strict=True
        ):
            try:
                found.append(check())
            except Exception as error:
                reason = f"the loss raises {type(error).__name__}: {error}"
                found.append(Finding(name, "not checked", reason))
            if found[-1].check == NAMES[1] and found[-1].verdict == "broken":
                break  # the rest would say the same in other words
        return found

    def normal(self, deviation: float) -> Array:
        return np.asarray(self.draw.normal(0, deviation, self.shape))

    def made(self, values: Array) -> Array:
        """Free logits as what the network gives: as they are, or as (log-)probabilities."""
        if self.log_probabilities:
            return _log_softmax(values)
        return np.exp(_log_softmax(values)) if self.probabilities else values

    def gradient(self, values: Array) -> tuple[float, Array]:
        """The loss at these outputs and its gradient with respect to them."""
        given = Tensor(values.astype(np.float32), requires_grad=True)
        with enable_grad(), np.errstate(all="ignore"):
            value = self.loss(given, self.labels)
            value.backward()
        gradient = given.grad
        zero = np.zeros(self.shape)
        return value.item(), zero if gradient is None else host(gradient).astype(np.float64)

    def value(self, values: Array) -> float:
        with np.errstate(all="ignore"):
            return float(host(self.loss(Tensor(values.astype(np.float32)), self.labels)))

    def has_gradient(self) -> Finding:
        values = self.made(self.normal(1.0))
        given = Tensor(values.astype(np.float32), requires_grad=True)
        with enable_grad(), np.errstate(all="ignore"):
            value = self.loss(given, self.labels)
        advice = "compute it with operations on Tensors, and no detach, item or numpy"
        if not isinstance(value, Tensor):
            return Finding(
                NAMES[0],
                "broken",
                f"the loss is a {type(value).__name__}, no Tensor",
                {},
                self.line,
                advice,
            )
        if value.size != 1:
            return Finding(
                NAMES[0],
                "broken",
                f"the loss has shape {tuple(value.shape)}, not one number",
                {},
                self.line,
                "reduce it, with mean()",
            )
        if not value.requires_grad:
            return Finding(
                NAMES[0],
                "broken",
                "the loss of logits that want a gradient wants none: it is detached from them",
                {},
                self.line,
                advice,
            )
        if not self.gradient(values)[1].any():
            return Finding(
                NAMES[0],
                "broken",
                "the loss's gradient is 0 for random logits: it does not depend on them",
                {},
                self.line,
                advice,
            )
        return Finding(NAMES[0], "holds", "the loss is one number with a gradient")

    # -------------------------------------------------------------- what it is least for

    def least(self) -> Finding:
        """Where free logits go that descend on the loss: to the labels, for any right loss."""
        if self.classes is None:
            return Finding(NAMES[1], "not checked", "the labels are no class numbers")
        if self.log_probabilities or self.probabilities:
            return self.least_of_probabilities()
        free, moments = self.normal(0.1), np.zeros((2, *self.shape))
        start, first = self.gradient(free)
        for t in range(1, DESCENT + 1):  # Adam: the scale of the loss does not matter
            gradient = self.gradient(free)[1]
            if not np.isfinite(gradient).all():
                break
            moments[0] += 0.1 * (gradient - moments[0])
            moments[1] += 0.01 * (gradient**2 - moments[1])
            mean, square = moments[0] / (1 - 0.9**t), moments[1] / (1 - 0.99**t)
            free -= 0.05 * mean / (np.sqrt(square) + 1e-12)
        right = float((free.argmax(-1) == self.classes).mean())
        end = self.value(free)
        chance = self.chance()
        along = _towards(self.classes, self.shape)
        slope = float((first * along).sum() / (np.linalg.norm(first) * np.linalg.norm(along)))
        hot = np.exp(_log_softmax(free))
        sure = float(np.take_along_axis(hot, self.classes[..., None], -1).mean())
        invariant = is_shift_invariant(self.loss, self.labels, self.shape)
        scale = float(
            np.linalg.norm(first) / np.linalg.norm(_cross_entropy_gradient(free * 0, self.classes))
        )
        numbers = {
            "right": right,
            "chance": chance,
            "start": start,
            "end": end,
            "slope": slope,
            "probability": sure,
            "scale": scale,
            "softmax inside": invariant,
        }
        advice = "hold it against nn.CrossEntropyLoss()(logits, labels)"
        if slope > 0.3 and right < chance + 0.2:
            return Finding(
                NAMES[1],
                "broken",
                f"the loss rises when a label's logit rises (cosine {slope:.2f} with the labels): "
                f"logits that descend on it are right for {right:.0%} of them",
                numbers,
                self.line,
                "minimise the loss: turn its sign",
            )
        if right < min(0.9, chance + 0.5):
            return Finding(
                NAMES[1],
                "broken",
                f"logits that descend on this loss for {DESCENT} steps, without any network, are "
                f"right for {right:.0%} of the labels (guessing: {chance:.0%})",
                numbers,
                self.line,
                advice,
            )
        unbounded = self.unbounded()
        if unbounded is not None:
            numbers["at 1000"] = unbounded
            return Finding(
                NAMES[1],
                "broken",
                f"the loss has no least value: for logits of 1,000 at the labels it is "
                f"{unbounded:.3g}, and larger logits make it ever smaller",
                numbers,
                self.line,
                advice + ", which takes the logarithm of the softmax",
            )
        if invariant and sure < 0.5:
            return Finding(
                NAMES[1],
                "broken",
                f"the loss is least where a label has probability {sure:.2f}: its targets are "
                "smoothed away",
                numbers,
                self.line,
                "label smoothing of about 0.1 is usual",
            )
        where = f"gradient {scale:.3g} times that of the mean cross-entropy"
        return Finding(
            NAMES[1],
            "holds",
            f"logits that descend on it are right for {right:.0%} of the labels; {where}",
            numbers,
        )

    def least_of_probabilities(self) -> Finding:
        """Whether (log-)probabilities that favour the labels have a smaller loss than others."""
        assert self.classes is not None
        along = _towards(self.classes, self.shape)
        good, bad = self.value(self.made(4 * along)), self.value(self.made(-4 * along))
        numbers = {"at the labels": good, "away from them": bad}
        if good >= bad:
            return Finding(
                NAMES[1],
                "broken",
                f"the loss is {good:.3g} for outputs that favour the labels and {bad:.3g} for "
                "outputs that favour the others",
                numbers,
                self.line,
                "hold it against nn.NLLLoss()(log_probabilities, labels)",
            )
        return Finding(
            NAMES[1],
            "holds",
            f"the loss is {good:.3g} for outputs that favour the labels, {bad:.3g} for others",
            numbers,
        )

    def chance(self) -> float:
        assert self.classes is not None
        return float(class_counts(self.classes.ravel()).max() / self.classes.size)

    def unbounded(self) -> float | None:
        """The loss at logits of 1,000 for the labels, if it falls without end."""
        assert self.classes is not None
        along = _towards(self.classes, self.shape)
        near, far, farther = (self.value(s * along) for s in (10.0, 100.0, 1000.0))
        falls = far < near - 1 and farther < far - 5 * abs(far - near) and farther < -10
        return farther if falls else None

    # -------------------------------------------------------------- its numbers

    def finite(self) -> Finding:
        """Whether it is finite for logits as large as the network's."""
        reach = None
        for size in (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0):
            value, gradient = self.gradient(
                self.made(self.draw.choice([-1.0, 1.0], self.shape) * size)
            )
            if not (math.isfinite(value) and np.isfinite(gradient).all()):
                reach = size
                break
        numbers = {"not finite from": reach, "logits": self.size}
        advice = "take log_softmax of the logits, or nn.CrossEntropyLoss: exp overflows at 88"
        if reach is None:
            return Finding(NAMES[2], "holds", "the loss is finite for logits of 1,000", numbers)
        if reach <= 10 or reach <= 2 * self.size:
            return Finding(
                NAMES[2],
                "broken",
                f"the loss or its gradient is not finite for logits of {reach:g}; those of the "
                f"network reach {self.size:.3g} before training",
                numbers,
                self.line,
                advice,
            )
        return Finding(
            NAMES[2],
            "holds",
            f"the loss is finite for logits of the network's size ({self.size:.3g}), though not "
            f"from {reach:g} on",
            numbers,
        )

    def corrects(self) -> Finding:
        """Whether a sample that is badly wrong gets a gradient."""
        if self.classes is None:
            return Finding(NAMES[3], "not checked", "the labels are no class numbers")
        along = _towards(self.classes, self.shape)
        margins = (2.0, 5.0, 10.0)
        for margin in margins:
            noise = self.normal(0.1)
            gradient = self.gradient(self.made(noise - margin * along))[1]
            share = float((np.abs(gradient).max(-1) == 0).mean())
            numbers = {"margin": margin, "without gradient": share}
            if share > 0.5:
                return Finding(
                    NAMES[3],
                    "broken",
                    f"{share:.0%} of the samples whose label is {margin:g} behind the others get "
                    "no gradient: the loss is clipped where it matters most",
                    numbers,
                    self.line,
                    "clip nothing, or at values that logits never reach",
                )
        return Finding(NAMES[3], "holds", f"labels {margins[-1]:g} behind get a gradient")

    def weighs(self) -> Finding:
        """Whether class weights make rare classes count less still."""
        if self.classes is None:
            return Finding(NAMES[4], "not checked", "the labels are no class numbers")
        gradient = self.gradient(self.made(np.zeros(self.shape)))[1]
        sizes = np.linalg.norm(gradient, axis=-1)
        present, counts = np.unique(self.classes, return_counts=True)
        weight = np.array([sizes[self.classes == k].mean() for k in present])
        if len(present) < 2 or not weight.max() > 0:
            return Finding(NAMES[4], "not checked", "the batch has one class only")
        ratio = weight.max() / max(weight.min(), 1e-30)
        total = weight * counts
        uneven = total.max() / max(total.min(), 1e-30)
        natural = counts.max() / counts.min()
        numbers = {"ratio": float(ratio), "with counts": float(uneven)}
        if ratio > 100 and uneven > 100 and uneven > 10 * natural:
            most = int(present[weight.argmax()])
            return Finding(
                NAMES[4],
                "broken",
                f"a sample of class {most} counts {ratio:,.0f} times as much as one of class "
                f"{int(present[weight.argmin()])}, which {natural:.1f} times as many samples do "
                "not explain",
                numbers,
                self.line,
                "weight by 1 / frequency, or not at all",
            )
        return Finding(
            NAMES[4], "holds", f"classes count alike up to a factor of {ratio:.3g}", numbers
        )


# -------------------------------------------------------------- what outputs are


def is_probabilities(outputs: Array) -> bool:
    """Whether rows are not negative and sum to 1."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2 or not np.isfinite(outputs).all():
        return False
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(-1), 1, atol=2e-3))


def is_log_probabilities(outputs: Array) -> bool:
    """Whether rows are logarithms of such."""
    if outputs.ndim < 2 or outputs.shape[-1] < 2 or not np.isfinite(outputs).all():
        return False
    return bool((outputs <= 1e-6).all() and np.allclose(np.exp(outputs).sum(-1), 1, atol=2e-3))


def is_shift_invariant(loss: Any, labels: Any, shape: tuple[int, ...]) -> bool:
    """Whether the loss stays the same if all logits of a row rise alike: softmax is inside."""
    draw = np.random.default_rng(1)
    values = draw.normal(0, 1, shape)
    shift = draw.normal(0, 3, (*shape[:-1], 1))
    with np.errstate(all="ignore"):
        one, other = (
            float(host(loss(Tensor(v.astype(np.float32)), labels)))
            for v in (values, values + shift)
        )
        scaled = float(host(loss(Tensor((3 * values).astype(np.float32)), labels)))
    return abs(one - other) < 1e-3 * (abs(one) + 1e-9) and abs(scaled - one) > 1e-4 * abs(one)


def _log_softmax(values: Array) -> Array:
    values = values - values.max(-1, keepdims=True)
    result: Array = values - np.log(np.exp(values).sum(-1, keepdims=True))
    return result


def _towards(classes: Array, shape: tuple[int, ...]) -> Array:
    """1 at the label, 0 elsewhere, less the row's mean."""
    hot = np.eye(shape[-1])[classes]
    result: Array = hot - hot.mean(-1, keepdims=True)
    return result


def _cross_entropy_gradient(values: Array, classes: Array) -> Array:
    result: Array = (
        np.exp(_log_softmax(values)) - np.eye(values.shape[-1])[classes]
    ) / classes.size
    return result
