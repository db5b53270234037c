"""gradcheck finds every known wrong gradient, and says nothing against the right ones."""

import pytest
from mutants import MUTANTS, RIGHT

from minires.gradcheck import gradcheck

pytestmark = pytest.mark.slow

CONVENTIONS = {*range(31, 38), 42, 44, 48}  # exact-value tests see these, gradients do not


def test_all_are_there():
    assert {m.number for m in MUTANTS} == set(range(1, 62)) - CONVENTIONS


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_gradient_passes(name):
    function, inputs = RIGHT[name]
    assert gradcheck(function, inputs)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_found(mutant):
    report = gradcheck(mutant.function, mutant.inputs, raise_exception=False)
    assert not report, f"{mutant.misconception}: not found"


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_found_along_random_directions(mutant):
    report = gradcheck(mutant.function, mutant.inputs, mode="directional", raise_exception=False)
    assert not report, f"{mutant.misconception}: not found"


@pytest.mark.parametrize("seed", range(1, 4))
def test_found_whatever_the_seed(seed):
    missed = [
        str(m)
        for m in MUTANTS
        if gradcheck(m.function, m.inputs, seed=seed, mode="directional", raise_exception=False)
    ]
    assert missed == []
