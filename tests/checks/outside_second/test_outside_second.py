"""That every training of this folder can be made and takes a step."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from outside.measure import batches_of
from outside.setups import one_step

from outside_second.everything import FAULTS, HEALTHY
from outside_second.score import to_decide

CIFAR = {
    "augmented_then_split",
    "colours",
    "held_out_and_trained_on",
    "judged_by_training_images",
    "reshaped_not_transposed",
    "trained_in_the_evaluation",
}


def named(register: dict[str, Any]) -> list[Any]:
    marks = {name: [pytest.mark.shared] if name in CIFAR else [] for name in register}
    return [pytest.param(name, marks=marks[name]) for name in register]


def loss_of_a_step(make: Any) -> float | None:
    """What the first step says."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        setup = make()
        step = setup.step or one_step(setup.model, setup.optimizer, setup.loss)
        setup.model.train()
        inputs, labels = next(iter(batches_of(setup.train)))
        return step(inputs, labels)


@pytest.mark.parametrize("name", named(FAULTS))
def test_with_and_without_the_fault_a_step_can_be_taken(name: str) -> None:
    fault = FAULTS[name]
    loss_of_a_step(fault.make)
    said = loss_of_a_step(fault.right)
    assert said is None or math.isfinite(said)


@pytest.mark.parametrize("name", named(HEALTHY))
def test_a_healthy_training_takes_a_step(name: str) -> None:
    assert math.isfinite(loss_of_a_step(HEALTHY[name].make))


def test_each_fault_has_a_cause_and_what_would_name_it() -> None:
    for fault in FAULTS.values():
        assert min(len(fault.cause), len(fault.source), len(fault.kind)) > 2
        assert len(fault.named_by) >= 2, fault.name
        assert len({*fault.named_by}) == len(fault.named_by), fault.name


def test_there_are_many_of_many_kinds() -> None:
    assert len(FAULTS) >= 80
    assert len({fault.kind for fault in FAULTS.values()}) >= 16
    assert len(HEALTHY) >= 40


def test_causes_and_words_are_printed_side_by_side() -> None:
    text = to_decide({"faults": {"never_zeroed": {"broken": {"a check": "some words"}}}})
    fault = FAULTS["never_zeroed"]
    assert all(each in text for each in (fault.cause, *fault.named_by, "a check: some words"))
