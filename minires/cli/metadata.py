"""What a weights file says beside the weights, checked before a command believes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from minires.files import FileError
from minires.typed_json import build

LARGEST_SIDE = 4096  # of images that a file may ask for


@dataclass(frozen=True)
class Metadata:
    """As `minires train` writes it; None where the file does not say."""

    classes: list[str] | None = None
    mean: list[float] | None = None  # per channel, of pixels in [0, 1]
    std: list[float] | None = None
    size: list[int] | None = None  # height and width
    data: str | None = None

    def check(self, classes: int | None, channels: int | None) -> None:
        """Hold it against the network, as far as that says what it wants.

        Raises
        ------
        ValueError
            If it does not fit.
        """
        if self.classes is not None and classes not in (None, len(self.classes)):
            raise ValueError(f"it names {len(self.classes)} classes, its network has {classes}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values and channels not in (None, len(values)):
                raise ValueError(f"its {name} has {len(values)} numbers for {channels} channels")
            if values and not all(map(math.isfinite, values)):
                raise ValueError(f"its {name} is not finite")
        if self.std and min(self.std) <= 0:
            raise ValueError(f"its std must be above 0, got {min(self.std):g}")
        if self.size is not None and not (
            len(self.size) == 2 and all(1 <= side <= LARGEST_SIDE for side in self.size)
        ):
            raise ValueError(f"its size must be two numbers from 1 to {LARGEST_SIDE}")


def fact(network: Any, name: str) -> Any:
    """`num_classes` or `in_channels` of any network that a file holds; None if it does not say."""
    architecture = getattr(network, "architecture", None) or {}
    return architecture.get(name, getattr(network, name, None))


def metadata_of(network: Any, path: Path) -> Metadata:
    """What was saved beside a network's weights.

    Raises
    ------
    FileError
        If it is of wrong types, or does not fit the network.
    """
    kept = getattr(network, "metadata", {})
    said = {f.name: kept.get(f.name) for f in fields(Metadata)}
    for name, value in said.items():
        if isinstance(value, np.ndarray):
            said[name] = value.tolist()
    if isinstance(said["classes"], list):  # numbers may be names
        said["classes"] = [str(name) if type(name) is int else name for name in said["classes"]]
    try:
        found = build(Metadata, said)
        found.check(fact(network, "num_classes"), fact(network, "in_channels"))
    except ValueError as error:
        raise FileError(f"{path}: {error}") from error
    return found
