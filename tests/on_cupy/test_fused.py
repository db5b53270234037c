"""Expressions in one launch against the same written with operators, which run on NumPy."""

import numpy as np
import pytest

from minires import kernels, optim
from minires.kernels.machinery.elementwise_kernel import fused
from minires.tensors import Tensor
from on_cupy import cases

x, g = cases.normal(6, 5, 4), cases.normal(6, 5, 4, seed=1)
mean, inv_std, gamma, beta = cases.normal(4, 4)

EXPRESSIONS = {
    "normalize": (kernels.normalize, [x, mean, inv_std, gamma, beta]),
    "scale_shift": (kernels.scale_shift, [x, gamma, beta]),
    "gradient_sums": (kernels.gradient_sums, [g, x, mean, inv_std]),
    "input_gradient": (
        kernels.input_gradient,
        [g, x, gamma, np.stack([mean, beta]), mean, inv_std],
    ),
    "relu_gradient": (kernels.relu_gradient, [g, np.maximum(x, 0)]),
}


def test_numpy_compiles_nothing():
    assert fused(np, "T x", "T y", "y = x") is None


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_one_launch_gives_what_the_operators_give(gpu, name):
    function, arrays = EXPRESSIONS[name]
    on_gpu = function(*(gpu.array(a) for a in arrays))
    np.testing.assert_allclose(gpu.cupy.asnumpy(on_gpu), function(*arrays), rtol=1e-12, atol=1e-12)


def test_running_statistics_move_in_place(gpu):
    before = [cases.normal(4), np.abs(cases.normal(4, seed=2))]
    mean, var = cases.normal(4, seed=1), np.abs(cases.normal(4, seed=3))
    on_gpu = [gpu.array(r) for r in before]
    kernels.move_running_statistics((*on_gpu, 0.1), gpu.array(mean), gpu.array(var), 5)
    for running, old, batch in zip(on_gpu, before, (mean, var * 5 / 4), strict=True):
        wanted = 0.9 * old + 0.1 * batch
        np.testing.assert_allclose(gpu.cupy.asnumpy(running), wanted, rtol=1e-12)


@pytest.mark.parametrize(("nesterov", "dampening"), [(False, 0.0), (True, 0.0), (False, 0.3)])
def test_sgd_with_a_changing_rate(gpu, nesterov, dampening):
    paths = {}
    for device in ("cpu", "cuda"):
        parameter = Tensor(cases.normal(3, 2), requires_grad=True, device=device)
        settings = {"momentum": 0.9, "weight_decay": 0.01}
        optimizer = optim.SGD([parameter], 0.1, dampening=dampening, nesterov=nesterov, **settings)
        paths[device] = []
        for step in range(4):
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            parameter.grad = Tensor(cases.normal(3, 2) * (step + 1), device=device)
            optimizer.step()
            paths[device].append(parameter.numpy().copy())
    np.testing.assert_allclose(paths["cuda"], paths["cpu"], rtol=1e-12)
