"""Every operation gives on a GPU what it gives on NumPy: values, gradients, second derivatives."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from declared import Call, calls, function, is_floating, leaves, mapped

import minires
from minires import Tensor, kernels, ops
from minires.engine import registry
from minires.gradcheck.cases import OPERATIONS
from minires.kernels import ConvGeometry
from on_cupy import cases
from on_cupy.cases import CASES, Case, cotangent


def results(case: Case, device: str) -> list[Tensor]:
    """The value, the gradients and, if the case asks, the gradients of a sum over those."""
    inputs = [Tensor(a.copy()).to(device).requires_grad_() for a in case.arrays]
    out = case.function(*inputs)
    if not case.differentiable:
        return [out]
    upstream = Tensor(cotangent(out.numpy())).to(device)
    grads = minires.grad(out, inputs, upstream, create_graph=case.second)
    if not case.second:
        return [out, *grads]
    terms = [(g * Tensor(cotangent(g.numpy(), seed=98)).to(device)).sum() for g in grads]
    return [out, *grads, *minires.grad(sum(terms[1:], terms[0]), inputs)]


def assert_equal(got: list[Tensor], wanted: list[Tensor], rtol: float = 1e-10) -> None:
    """The same dtypes and, up to rounding, the same values; `got` on a GPU, `wanted` on the CPU."""
    assert len(got) == len(wanted)
    for mine, theirs in zip(got, wanted, strict=True):
        if theirs is None:
            assert mine is None
            continue
        assert (mine.device, theirs.device) == ("cuda:0", "cpu")
        assert mine.dtype == theirs.dtype
        atol = rtol * max(np.abs(theirs.numpy()).max(initial=0), 1e-2)
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("case", CASES, ids=cases.names())
def test_every_operation_equals_numpys(gpu, case):
    assert_equal(results(case, "cuda"), results(case, "cpu"))


def test_no_operation_is_left_out():
    operations = {n for n, o in registry.items() if n.startswith("minires.ops.") and o.rule}
    assert operations == {f"minires.ops.{case.operation}" for case in CASES}


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"move"}))  # it would leave the GPU
def test_every_declared_case_equals_numpys(gpu, name):
    for call in calls(name):
        arrays = [a for a in leaves(call.args) if is_floating(a)]
        case = Case(name, partial(again, call), arrays, differentiable=name != "sign")
        assert_equal(results(case, "cuda"), results(case, "cpu"))


def again(call: Call, *inputs: Tensor) -> Tensor:
    """The call with other arrays in place of its own, and constants beside them."""
    waiting = iter(inputs)
    args = mapped(call.args, lambda a: next(waiting) if is_floating(a) else there(a, inputs[0]))
    static = {key: there(value, inputs[0]) for key, value in call.static.items()}
    return function(call.name)(*args, **static)


def there(value: Any, tensor: Tensor) -> Any:
    """Arrays, also those in an index, on the device of a tensor."""
    return mapped(value, lambda a: cases.beside(a, tensor) if isinstance(a, np.ndarray) else a)


CONVOLUTIONS = {  # by algorithm: channels, filters, kernel, groups
    "im2col": (4, 6, (3, 2), 2),
    "rows": (4, 6, (3, 2), 1),
    "pointwise": (4, 6, (1, 1), 1),
    "depthwise": (4, 4, (3, 2), 4),
    "winograd1d": (4, 6, (3, 2), 1),
    "winograd2": (4, 6, (3, 3), 1),
    "winograd4": (4, 6, (3, 3), 1),
}


def test_no_convolution_algorithm_is_left_out():
    """But "cuda", which test_cuda_convolution.py tries: it does float32 only."""
    from minires.kernels.convolution.choose import ARRAY_CODE

    assert CONVOLUTIONS.keys() == ARRAY_CODE.keys()


@pytest.mark.parametrize("algorithm", CONVOLUTIONS)
def test_every_convolution_algorithm_equals_numpys(gpu, algorithm):
    channels, filters, kernel, groups = CONVOLUTIONS[algorithm]
    images = cases.normal(2, 7, 6, channels)
    weights = cases.normal(*kernel, channels // groups, filters)
    padding = (kernel[0] // 2, kernel[1] // 2)

    def convolve(x, w):
        return ops.conv2d(x, w, geometry=ConvGeometry(padding=padding, groups=groups))

    case = Case("convolution.conv2d", convolve, [images, weights])
    with kernels.use_algorithm(algorithm):
        assert_equal(results(case, "cuda"), results(case, "cpu"), rtol=1e-8)


def test_products_in_float32_are_not_rounded_to_tf32(gpu):
    """A GPU may take 10 of the 23 bits of its factors, which errs a thousand times more."""
    a, b = cases.normal(256, 256), cases.normal(256, 256, seed=1)
    x, y = (Tensor(m.astype(np.float32)).to("cuda") for m in (a, b))
    wanted = a.astype(np.float32).astype(float) @ b.astype(np.float32)
    error = np.linalg.norm((x @ y).numpy() - wanted) / np.linalg.norm(wanted)
    assert error < 1e-5
