"""One's own evaluation beside ours, of the same model after some steps.

Reach: another model, mode, axis or order, training images for validation ones, and weights or
statistics that evaluating changes.
Not in reach: an evaluation that is wrong by a few percent, or of an average of the weights; several
views of an image that answer otherwise than one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minires.checks.evaluation import Accuracy, image_keys
from minires.checks.gradients import cosine_of, norm
from minires.checks.places import line_of
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import Array, Setup, host
from minires.checks.trace import any_training
from minires.nn import Module

Weights = dict[str, Array]


def weights_of(model: Any) -> Weights:
    """Copies of the parameters' values, by their places: a copy of a model may name them anew."""
    return {str(i): host(p).copy() for i, p in enumerate(model.parameters())}


class Witness:
    """What an evaluation runs: which model, with which weights, in which mode, on which images."""

    def __init__(self, model: Any) -> None:
        self.model, self.inside = model, False
        self.own = {id(m) for m in model.modules()}
        self.modes: list[tuple[bool, list[bytes]]] = []  # of this model's forwards
        self.images: Counter[bytes] = Counter()  # that any model was run on
        self.ran: Weights | None = None  # weights of the first model that was run

    @contextmanager
    def looking(self) -> Iterator[None]:
        """In the block every call of a model is seen, not those of the layers inside it."""
        plain: Any = Module.__call__
        witness = self

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if witness.inside:
                return plain(module, *args, **kwargs)
            witness.see(module, args)
            witness.inside = True
            try:
                return plain(module, *args, **kwargs)
            finally:
                witness.inside = False

        setattr(Module, "__call__", call)  # noqa: B010
        try:
            yield
        finally:
            setattr(Module, "__call__", plain)  # noqa: B010

    def see(self, module: Any, args: Any) -> None:
        """Note one call."""
        given = args[0] if args else None
        keys = image_keys(given) if getattr(given, "ndim", 0) > 1 else []
        if self.ran is None and any(True for _ in module.parameters()):
            self.ran = weights_of(module)
        if module is self.model:
            self.modes.append((any_training(module), keys))
        if id(module) in self.own and module is not self.model:
            return  # a part of it, on features
        self.images.update(keys)

    def averages(self, start: Weights, now: Weights) -> bool:
        """Whether the weights that were run lie on the way from the first ones to those of now."""
        ran = self.ran
        if ran is None or [v.shape for v in ran.values()] != [v.shape for v in now.values()]:
            return False
        went = {n: ran[n].astype("f8") - v for n, v in start.items()}
        whole = {n: now[n].astype("f8") - v for n, v in start.items()}
        along = cosine_of(dict(went), dict(whole)) or 0.0
        same = all(np.array_equal(ran[n], v) for n, v in now.items())
        return not same and along > 0.2 and norm(dict(went)) < 1.5 * norm(dict(whole))


def own_evaluation(
    setup: Setup, start: Weights, ours: Accuracy | None, seen: set[bytes], common: float
) -> Iterator[Finding]:
    """`evaluate()` beside our own accuracy of the same model on the same data.

    Parameters
    ----------
    setup : Setup
    start : dict
        The weights before any step.
    ours : Accuracy or None
    seen : set of bytes
        The keys of training images.
    common : float
        The share of the most common class.
    """
    names = "evaluation mode", "evaluation counts right", "evaluation changes nothing"
    if setup.evaluate is None:
        yield not_checked(names[1], "the set-up has no evaluate")
        return
    model, line = setup.model, line_of(setup.evaluate)
    before = [host(t).copy() for t in [*model.parameters(), *model.buffers()]]
    now, witness = weights_of(model), Witness(model)
    try:
        with witness.looking():
            found = setup.evaluate()
    except Exception as error:
        text = f"evaluate raises {type(error).__name__}: {' '.join(str(error).split())}"
        yield broken(names[1], text, "read the message", line)
        return
    after = [host(t) for t in [*model.parameters(), *model.buffers()]]
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))
    valid = ours.keys if ours else set()
    anew = _takes_statistics_anew(witness, valid)
    yield _mode(names[0], witness, anew, line)
    yield counts_right(names[1], found, ours, common, witness, seen, line, (start, now))
    if same:
        yield holds(names[2], "weights and statistics stay as they were")
    elif anew:
        yield not_checked(names[2], "it takes batch norm's statistics anew, on other images")
    else:
        yield broken(
            names[2],
            "evaluate changes the model's weights or statistics",
            "call model.eval() first; batch norm's statistics move in training mode",
            line,
        )


def _takes_statistics_anew(witness: Witness, valid: set[bytes]) -> bool:
    """Whether training mode is for other images only, before those of validation."""
    training = {key for mode, keys in witness.modes if mode for key in keys}
    evaluating = {key for mode, keys in witness.modes if not mode for key in keys}
    return bool(training and evaluating & valid and not training & valid)


def _mode(check: str, witness: Witness, anew: bool, line: str) -> Finding:
    modes = [mode for mode, _ in witness.modes]
    if not modes:
        return not_checked(check, "evaluate never runs this model")
    if not any(modes) or anew:
        count = f"all {len(modes)}" if not any(modes) else f"{modes.count(False)} of {len(modes)}"
        return holds(check, f"{count} forwards are in evaluation mode")
    if witness.images and min(witness.images.values()) >= 3:
        return not_checked(check, "it runs each image several times, as sampling dropout does")
    return broken(
        check,
        f"evaluate runs the model in training mode ({sum(modes)} of {len(modes)} forwards)",
        "call model.eval() first, and model.train() afterwards",
        line,
        {"forwards": len(modes), "in training mode": sum(modes)},
    )


def counts_right(
    check: str,
    found: Any,
    ours: Accuracy | None,
    common: float,
    witness: Witness,
    seen: set[bytes],
    line: str,
    weights: tuple[Weights, Weights],
) -> Finding:
    """The accuracy that `evaluate` gives against ours."""
    try:
        value = float(host(found).item())
    except (TypeError, ValueError):
        return not_checked(check, f"evaluate gives a {type(found).__name__}, not a number")
    if ours is None:
        return not_checked(check, "there is no accuracy of ours beside it")
    share = value / 100 if 1.0 < value <= 100.0 else value
    said = f"{share:.1%}" if share == value else f"{value:g} (taken as percent)"
    numbers = {"evaluate": share, "ours": ours.share}
    text = f"evaluate says {said}; the model is right for {ours.share:.1%} of {ours.count:,}"
    if not 0 <= share <= 1:
        return not_checked(check, f"evaluate gives {value:g}, which is no accuracy")
    images = [*witness.images]
    known = sum(key in seen and key not in ours.keys for key in images)
    if known > 0.1 * len(images) and not any(key in ours.keys for key in images):
        said = f"evaluate runs {len(images):,} images, {known:,} of which were trained on and none"
        advice = "evaluate on the validation images"
        return broken(check, f"{said} is of the validation data", advice, line, numbers)
    apart = abs(share - ours.share)
    noise = 4 * math.sqrt(max(ours.share * (1 - ours.share), 0.01) / ours.count)
    if apart > max(0.08, noise):
        if witness.averages(*weights):
            return not_checked(check, f"its weights follow the model's, as averages do: {text}")
        if sum(witness.images.values()) > 1.5 * ours.count:
            return not_checked(check, f"it runs several views of each image, or models: {text}")
        other = "" if witness.modes else "; it never runs this model"
        advice = "look at which model, which axis of argmax, and which labels it compares"
        return broken(check, text + other, advice, line, numbers)
    if ours.share < common + 0.15:
        reason = "the model is hardly better than guessing, so that the two must agree"
        return not_checked(check, f"{reason}: {text}")
    return holds(check, text, numbers)
