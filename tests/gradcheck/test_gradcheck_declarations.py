"""Nothing is left out of the declarations, and they kill what breaks the library's own rules."""

import inspect

import numpy as np
import pytest
from mechanical import operations, rule_of, ways

from minires import nn, ops
from minires.engine import Op
from minires.gradcheck import gradcheck
from minires.gradcheck.cases import LAYERS, OPERATIONS
from minires.kernels.convolution import choose

SURVIVORS = {}  # "operation: mutant": why no check can see it


def test_every_operation_is_declared():
    assert {operation.name for operation in operations()} <= set(OPERATIONS)
    undifferentiable = {name for name, o in vars(ops.comparison).items() if isinstance(o, Op)}
    assert set(ops.__all__) - undifferentiable <= set(OPERATIONS)


def test_every_layer_is_declared():
    layers = {
        name
        for name in nn.__all__
        if inspect.isclass(getattr(nn, name)) and issubclass(getattr(nn, name), nn.Module)
    }
    assert layers - {"Module"} <= set(LAYERS)


def test_there_are_several_cases():
    few = [name for name, cases in OPERATIONS.items() if len(cases) < 2]
    assert few == []


@pytest.mark.parametrize("name", ["conv2d", "conv2d_dx", "conv2d_dw"])
def test_every_algorithm_of_convolution_is_declared(name):
    texts = [str(case) for case in OPERATIONS[name]]
    for algorithm in choose.ALGORITHMS:
        assert any(f"{name} by {algorithm}(" in text for text in texts)


def test_cases_say_what_they_are():
    texts = [str(case) for cases in (*OPERATIONS.values(), *LAYERS.values()) for case in cases]
    assert all(0 < len(text) < 300 for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name):
    for case in OPERATIONS[name]:
        report = gradcheck(case.subject, case.inputs, order=case.order, raise_exception=False)
        assert report, f"{case}\n{report}"
        assert report.worst_error < 1e-7


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    for case in LAYERS[name]:
        before = [t.numpy().copy() for t in tensors_of(case.function)]
        report = gradcheck(case.subject, case.inputs, order=case.order, raise_exception=False)
        assert report, f"{case}\n{report}"
        for tensor, values in zip(tensors_of(case.function), before, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), values)


def tensors_of(module):
    return [*module.parameters(), *module.buffers()]


def killed(operation, broken, monkeypatch):
    """Whether a declared case sees it, the small ones first; None if it changes nothing."""
    rule, harm = rule_of(operation, broken)
    with monkeypatch.context() as patch:
        patch.setattr(operation, "rule", rule)
        for case in sorted(OPERATIONS[operation.name], key=lambda c: c.size):
            empty = any(np.size(value) == 0 for value in case.inputs)
            if empty or case.order < broken.order:
                continue
            report = gradcheck(case.subject, case.inputs, order=broken.order, raise_exception=False)
            if not report:
                return True
    return False if harm else None


@pytest.mark.slow
def test_mechanical_mutants_of_every_rule_are_killed(monkeypatch):
    outcomes = {}
    for operation in operations():
        count = max(len(operation.arguments), 1)
        found = {w.name: killed(operation, w, monkeypatch) for w in ways(count)}
        meant = {name: outcome for name, outcome in found.items() if outcome is not None}
        assert len(meant) >= 5 or operation.name == "sign", f"{operation.name}: {list(meant)}"
        outcomes |= {f"{operation.name}: {name}": outcome for name, outcome in meant.items()}
    survivors = {name for name, outcome in outcomes.items() if not outcome}
    print(f"{len(outcomes)} mutants, {len(survivors)} survivors: {sorted(survivors)}")
    assert survivors == set(SURVIVORS)
    assert len(survivors) <= 0.02 * len(outcomes)
