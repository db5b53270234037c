"""A training step of ResNet-20 asks no more of a GPU than docs/cupy.md says."""

import pytest

from benchmarks import markdown
from on_cupy import budget

RECORD = "python tests/on_cupy/budget.py"


@pytest.fixture
def measured(emulated):
    return budget.measure(emulated.emulation)


def test_a_training_step_stays_within_its_budget(measured):
    recorded = budget.recorded()
    assert measured.keys() == recorded.keys(), f"docs/cupy.md lists other phases: {RECORD}"
    more = [
        f"{phase}: {counts[key]} {name}, {recorded[phase][key]} recorded"
        for phase, counts in measured.items()
        for key, name in budget.COLUMNS.items()
        if counts[key] > recorded[phase][key]
    ]
    assert not more, (
        "a training step of ResNet-20 asks more of the GPU than before. A launch takes some 5 "
        "microseconds however small the array, a copy or a synchronisation far longer, and small "
        "networks spend their time on just that:\n  "
        + "\n  ".join(more)
        + f"\nIf it is worth it, record it with `{RECORD}` and say why in the commit."
    )


def test_steps_of_larger_networks_too(emulated):
    steps = budget.of_networks(emulated.emulation)
    lines = markdown.block(budget.DOCS.read_text(encoding="utf-8"), "networks").strip()
    assert lines == budget.networks_table(steps).strip(), f"record it: {RECORD}"
    for name, counts in steps.items():
        assert counts["launches"] < budget.MOST[name], name
        assert counts["products"] <= 5, name


def test_only_the_logged_loss_waits_for_the_gpu(measured):
    for phase, counts in measured.items():
        logged = int(phase in ("logging the loss", "the whole step"))
        assert (counts["to_host"], counts["synchronisations"]) == (logged, logged), phase


def test_counting_computes_nothing(emulated):
    ones = emulated.cupy.ones((2, 2))
    with emulated.emulation.counting_only():
        emulated.start_counting()
        garbage = ones @ ones + 1
        counts = emulated.counted()
    assert (counts["launches"], counts["products"]) == (1, 1)
    assert emulated.cupy.isnan(garbage).all()
    assert (ones @ ones + 1).get().tolist() == [[3, 3], [3, 3]]
