"""Images through a network in evaluation, by a plan where that pays."""

from __future__ import annotations

import warnings

import numpy as np

from minires.backend import Array
from minires.compile import Plan, compile
from minires.engine import raw
from minires.model_recording import Recording, RecordingError, alike, record
from minires.nn import Module
from minires.tensors import Tensor

AT_ONCE = 64
"""How many images go through a plan at a time. With fewer, steps are too small to gain anything,
but for single images, whose layers threads share."""
CALLS = 100
"""From how many calls on a plan pays: to make and verify one takes as long as 8 calls without, and
each saves a tenth or more."""
CALLS_EACH_TIME = 8
"""The same for a plan that is there and takes in new weights, in a fifth of a call."""


class Predictor:
    """Images to logits: by a plan of `minires.compile` where it pays, else by the model itself.

    Whether it pays is a matter of how many images there are, never of time, and the last images
    are filled up to as many as the plan is for: the same images get the same bits. Where the
    model cannot be recorded, a warning says why, once.

    Parameters
    ----------
    model : Module
        In evaluation mode whenever it is used.
    images : int
        How many it will see before its weights change.
    times : int
        How often their number, with other weights.
    at_once : int
        How many come at a time.
    compile : bool
        False for the model itself.
    """

    def __init__(
        self,
        model: Module,
        images: int,
        *,
        times: int = 1,
        at_once: int = AT_ONCE,
        compile: bool = True,
    ) -> None:
        self.model, self.at_once = model, min(at_once, AT_ONCE)
        self.plan: Plan | None = None
        calls = images // self.at_once
        enough = calls * times >= CALLS and calls >= CALLS_EACH_TIME
        self._pays = compile and enough and self.at_once in (1, AT_ONCE)
        self._recording: Recording | None = None  # of what the plan does, to two images
        self._fresh = False

    def renew(self) -> None:
        """Weights, or numbers in the model's Python, may have changed since the last images."""
        self._fresh = False

    def __call__(self, x: Tensor) -> Tensor:
        """Images (N, H, W, C) to (N, classes), under `no_grad`."""
        if self._pays and not self._fresh:
            self._prepare(x)
        if self.plan is None:
            out: Tensor = self.model(x)
            return out
        if x.device != "cpu":  # where more images at once are faster
            whole: Tensor = self.plan(x)
            return whole
        n, images = self.at_once, raw(x)
        parts = [images[i : i + n] for i in range(0, len(images), n)]
        found = [raw(self.plan(_filled_up(part, n)))[: len(part)] for part in parts]
        return Tensor(np.concatenate(found))

    def _prepare(self, x: Tensor) -> None:
        """Make the plan, or have it take in weights; anew where the model's Python has changed."""
        self._fresh = True
        try:
            some = raw(x)[:1].repeat(min(self.at_once, 2), axis=0)
            recording = record(self.model, [some])
            if self.plan is not None and self._recording and alike(self._recording, recording):
                self.plan.refresh()
                return
            self._recording = recording
            on_cpu = x.device == "cpu"
            self.plan = compile(self.model, _filled_up(raw(x), self.at_once) if on_cpu else x)
            if on_cpu and self.at_once > 1 and not self.plan.independent:
                self.plan, self._pays = None, False  # its batches must stay as they are
        except ValueError as error:
            self.plan, self._pays = None, False
            if isinstance(error, RecordingError):  # else the model says so by itself
                warnings.warn(f"the network is evaluated without a plan: {error}", stacklevel=2)


def _filled_up(images: Array, count: int) -> Tensor:
    """So many images: the first, or all of them again and again."""
    if len(images) != count:
        images = np.resize(images, (count, *images.shape[1:]))
    return Tensor(images)
