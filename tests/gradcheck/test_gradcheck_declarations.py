"""Nothing is left out of the declarations, and they kill what breaks the library's own rules."""

import inspect

import numpy as np
import pytest
from mechanical import operations, sweep

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
    for algorithm in choose.ARRAY_CODE:
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


@pytest.mark.slow
def test_mechanical_mutants_of_every_rule_are_killed():
    by_operation = {operation.name: [] for operation in operations()}
    for outcome in sweep():
        if outcome.report is not None or outcome.harm:
            by_operation[outcome.operation].append(outcome)
    for name, of_operation in by_operation.items():
        assert len(of_operation) >= 5 or name == "sign", f"{name}: {of_operation}"
    outcomes = [o for of_operation in by_operation.values() for o in of_operation]
    survivors = {str(o) for o in outcomes if o.report is None}
    print(f"{len(outcomes)} mutants, {len(survivors)} survivors: {sorted(survivors)}")
    assert survivors == set(SURVIVORS)
    assert len(survivors) <= 0.02 * len(outcomes)


@pytest.mark.slow
def test_they_are_killed_by_what_they_compute():
    """A rule that raises, for having no right shape, would be found by any check."""
    failed = [str(o) for o in sweep() if o.report and "backward failed" in str(o.report)]
    assert failed == []
