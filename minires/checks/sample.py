"""Some batches of the training or the validation data, joined: what checks of data look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minires.checks.setup import Array, Clock, batches, host

MOST = {"training": 2000, "validation": 1500}


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


def keys(part: Sample) -> list[bytes]:
    """Each input's bytes."""
    return [np.ascontiguousarray(image).tobytes() for image in part.x]
