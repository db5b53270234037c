"""The set-ups can be built; what becomes of them is measured by hand (`measure`)."""

import json

import pytest

from outside.faults import FAULTS
from outside.healthy import HEALTHY
from outside.measure import RESULTS
from outside.setups import TWINS, Setup


def on_cifar(name, one):
    return "cifar" in name or TWINS.get(getattr(one, "twin", "")) is TWINS["CIFAR_CONV"]


@pytest.mark.parametrize("kind", [FAULTS, HEALTHY], ids=["faults", "healthy"])
def test_every_set_up_is_made_anew(kind):
    for number, (name, one) in enumerate(kind.items()):
        first = one.make()  # CIFAR-10 is read with the first batch only
        assert isinstance(first, Setup), name
        if number % 6 or on_cifar(name, one):
            continue
        second = one.make()
        assert first.model is not second.model, name
        weights = zip(first.model.parameters(), second.model.parameters(), strict=True)
        assert all((a.data == b.data).all() for a, b in weights), name
        if not isinstance(first.train, tuple):
            inputs, labels = next(iter(first.train))
            assert len(inputs) == len(labels), name


def test_each_is_described_and_measured():
    measured = json.loads(RESULTS.read_text())
    assert measured["faults"].keys() == FAULTS.keys()
    assert measured["healthy"].keys() == HEALTHY.keys()
    for name, one in FAULTS.items():
        assert one.source, name
        assert one.cause, name
        assert (one.harm == "none") == (not measured["faults"][name]["harmful"]), name
