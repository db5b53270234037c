"""What is known of each fault and of each unusual but healthy training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from outside.setups import Setup

import minires
from outside_second.material import accuracy_of

Judge = Callable[[Any], float]
"""From a model to how good it is on data that no set-up has: 0 to 1, and more is better."""

KARPATHY = "Karpathy 2018, most common neural net mistakes (thread)"
RECIPE = "Karpathy 2019, A recipe for training neural networks"
IVANOV = "Ivanov 2017, 37 reasons why your neural network is not working"
HOLDEN = "Holden 2017, My neural network isn't working! What should I do?"
DEEPCRIME = "Humbatova et al. 2021, DeepCrime"
TAXONOMY = "Humbatova et al. 2020, Taxonomy of real faults in deep learning systems"
DEEPLOCALIZE = "Wardat et al. 2021, DeepLocalize"
UMLAUT = "Schoop et al. 2021, UMLAUT"
GOYAL = "Goyal et al. 2017, Accurate, large minibatch SGD, section 3 and its pitfalls"
RASCHKA = "Raschka, Neural network debugging checklist"
OWN = "own"

MISSING = "parameters missing from the optimiser"
APART = "inputs and labels do not belong together"
DIFFERENT = "training and validation inputs are prepared differently"
LOW = "the learning rate is too low"
HIGH = "the learning rate is too high"


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a training that is right without it."""

    name: str
    kind: str
    source: str  # who tells of it
    cause: str  # what is wrong, in a sentence
    named_by: tuple[str, ...]  # whoever says one of these has found it
    write: Callable[[bool], Setup] = field(repr=False)  # with the fault, or without
    epochs: int
    judge: Judge = field(repr=False)
    right_judge: Judge = field(repr=False)  # another only where inputs are prepared in another way

    def make(self, seed: int = 0) -> Setup:
        """The training with the fault."""
        minires.manual_seed(seed)
        return self.write(True)

    def right(self, seed: int = 0) -> Setup:
        """The same training without it."""
        minires.manual_seed(seed)
        return self.write(False)


@dataclass(frozen=True)
class Healthy:
    """A training in which nothing is wrong, though something may look so."""

    name: str
    unusual: str
    write: Callable[[], Setup] = field(repr=False)
    epochs: int
    judge: Judge = field(repr=False)
    good: float  # from here on it has learned what there was to learn

    def make(self, seed: int = 0) -> Setup:
        minires.manual_seed(seed)
        return self.write()


FAULTS: dict[str, Fault] = {}
HEALTHY: dict[str, Healthy] = {}
DIGITS = accuracy_of("digits")


def fault(
    kind: str,
    source: str,
    cause: str,
    *named_by: str,
    epochs: int = 6,
    judge: Judge = DIGITS,
    right_judge: Judge | None = None,
) -> Callable[[Callable[[bool], Setup]], Callable[[bool], Setup]]:
    """Register a function that writes a training with a fault (True) or without it."""

    def register(write: Callable[[bool], Setup]) -> Callable[[bool], Setup]:
        name = write.__name__
        if name in FAULTS:
            raise ValueError(f"two faults are called {name}")
        FAULTS[name] = Fault(
            name, kind, source, cause, named_by, write, epochs, judge, right_judge or judge
        )
        return write

    return register


def healthy(
    unusual: str, epochs: int = 6, judge: Judge = DIGITS, good: float = 0.9
) -> Callable[[Callable[[], Setup]], Callable[[], Setup]]:
    """Register a function that writes a healthy training."""

    def register(write: Callable[[], Setup]) -> Callable[[], Setup]:
        name = write.__name__
        if name in HEALTHY:
            raise ValueError(f"two healthy trainings are called {name}")
        HEALTHY[name] = Healthy(name, unusual, write, epochs, judge, good)
        return write

    return register
