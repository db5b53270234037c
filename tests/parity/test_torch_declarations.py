"""Every operation and layer in all its declared cases against PyTorch: values and gradients."""

import inspect

import numpy as np
import pytest
import torch
from declared import Call, calls, function, is_floating, mapped, own
from parity.precision import FACTOR, Errors
from parity.twins import LAYERS as TWIN_LAYERS
from parity.twins import OPERATIONS as TWINS
from parity.twins import copy_state, layer, to_torch

import minires
from minires import Tensor, kernels, nn, ops
from minires.gradcheck.cases import LAYERS, OPERATIONS
from minires.kernels import ConvGeometry

NAMES = sorted(OPERATIONS)
DRAWS = 12
"""How often each declared case is drawn anew: its arrays are small, and one rounding is luck."""

NO_COUNTERPART: dict[str, str] = dict.fromkeys(
    (
        *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
        *("logical_and", "logical_or", "logical_not", "argmax", "argmin"),
    ),
    "no gradient, and so no declared cases: tests/ops holds them against NumPy",
)
"""Operations and layers that PyTorch has nothing like, and why."""


def test_every_operation_has_a_counterpart():
    assert TWINS.keys() | NO_COUNTERPART.keys() >= own().keys() | set(ops.__all__)
    assert TWINS.keys() >= OPERATIONS.keys() - NO_COUNTERPART.keys()


def test_every_layer_has_a_counterpart():
    classes = {
        name
        for name in nn.__all__
        if inspect.isclass(value := getattr(nn, name)) and issubclass(value, nn.Module)
    }
    classes -= {"Module"}  # computes nothing
    at_work = {
        "ModuleList": "Branches",
        "ModuleDict": "Named",
        "ParameterList": "Scaled",
        "ParameterDict": "Scaled",
    }
    assert {at_work.get(name, name) for name in classes} == TWIN_LAYERS.keys()
    for name in classes:
        used = {type(case.function).__name__ for case in LAYERS[name]}
        assert used == {at_work.get(name, name)}


def draw(array, dtype, seed):
    """The array with its last digits anew, so that each draw rounds differently."""
    noise = np.random.default_rng([seed, *array.shape]).uniform(-1, 1, array.shape)
    return (array * (1 + 1e-3 * noise)).astype(np.float32).astype(dtype)


def cotangent(shape, seed):
    return np.asarray(np.random.default_rng([seed, 5]).normal(size=shape)).astype(np.float32)


def cast(static, dtype):
    return {key: a.astype(dtype) if is_floating(a) else a for key, a in static.items()}


def here(call: Call, dtype: str, seed: int) -> list[np.ndarray | None]:
    """The value and the gradient by every array."""
    inputs: list[Tensor] = []

    def make(a):
        if not is_floating(a):
            return a
        inputs.append(Tensor(draw(a, dtype, seed), requires_grad=True))
        return inputs[-1]

    out = function(call.name)(*mapped(call.args, make), **cast(call.static, dtype))
    g = Tensor(cotangent(out.shape, seed).astype(out.dtype))
    grads = minires.grad(out, inputs, g) if out.requires_grad else [None] * len(inputs)
    return [out.numpy(), *(None if d is None else d.numpy() for d in grads)]


def there(call: Call, dtype: str, seed: int) -> list[np.ndarray | None]:
    """The same by PyTorch."""
    inputs: list[torch.Tensor] = []

    def make(a):
        if not is_floating(a):
            return a
        inputs.append(torch.tensor(draw(a, dtype, seed), requires_grad=True))
        return inputs[-1]

    out = TWINS[call.name](*mapped(call.args, make), **cast(call.static, dtype))
    g = torch.from_numpy(cotangent(tuple(out.shape), seed)).to(out.dtype)
    grads = torch.autograd.grad(out, inputs, g, allow_unused=True)
    return [out.detach().numpy(), *(None if d is None else d.numpy() for d in grads)]


def near(got, wanted, tolerance, what):
    assert got.shape == wanted.shape, what
    assert got.dtype == wanted.dtype, what
    scale = float(np.abs(wanted).max(initial=0)) or 1.0
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale, err_msg=what)


def assert_equal(got, wanted, tolerance, what):
    for mine, other in zip(got, wanted, strict=True):
        if mine is None or other is None:  # None here may be zeros there
            rest = other if mine is None else mine
            assert rest is None or not rest.any(), what
        else:
            near(mine, other, tolerance, what)


@pytest.mark.filterwarnings("ignore:.*degrees of freedom:UserWarning")  # of no lines at all
@pytest.mark.parametrize("name", NAMES)
def test_operation(name):
    errors = Errors()
    for i, call in enumerate(calls(name)):
        exact = there(call, "float64", 0)
        assert_equal(here(call, "float64", 0), exact, 1e-10, call.origin)
        for seed in range(DRAWS):
            ours, theirs = here(call, "float32", seed), there(call, "float32", seed)
            assert_equal(ours, theirs, 2e-4, call.origin)
            judge(errors, ours, theirs, there(call, "float64", seed), f"{i}")
    few = name == "conv2d"  # of its cases are Winograd's
    errors.assert_no_worse(FACTOR if few else max(factor(call) for call in calls(name)))


def large(name, *shapes, **static):
    """A call on normal arrays as large as those of networks; weights are scaled as by He et al."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    if name == "conv2d":
        arrays[1] *= np.sqrt(2 / np.prod(shapes[1][:3]))
    return Call(name, tuple(arrays), static, f"{name}{shapes}")


SAME = ConvGeometry(padding=(1, 1))
LARGE = [
    large("conv2d", (8, 32, 32, 16), (3, 3, 16, 16), geometry=SAME),
    large("conv2d", (8, 16, 16, 32), (3, 3, 32, 32), geometry=SAME),
    large("conv2d", (4, 28, 28, 64), (3, 3, 64, 64), geometry=SAME),
    large("conv2d", (8, 28, 28, 128), (3, 3, 128, 128), geometry=SAME),
    large("conv2d", (4, 14, 14, 256), (3, 3, 256, 256), geometry=SAME),
    large("conv2d", (2, 7, 7, 512), (3, 3, 512, 512), geometry=SAME),
    large("conv2d", (4, 28, 28, 64), (3, 3, 64, 128), geometry=SAME._replace(stride=(2, 2))),
    large("conv2d", (4, 28, 28, 64), (1, 1, 64, 256)),
    large("conv2d", (1, 64, 64, 3), (7, 7, 3, 64), geometry=ConvGeometry((2, 2), (3, 3))),
    large("conv2d", (4, 28, 28, 64), (3, 3, 1, 64), geometry=SAME._replace(groups=64)),
    large("conv2d", (4, 14, 14, 64), (3, 3, 4, 64), geometry=SAME._replace(groups=16)),
    large("batch_norm", (16, 32, 32, 16), (16,), (16,)),
    large("batch_norm", (2, 7, 7, 512), (512,), (512,)),
    large("matmul", (128, 512), (512, 100)),
    large("matmul", (8, 64, 32), (8, 32, 64)),
    large("softmax", (64, 1000)),
    large("log_softmax", (64, 1000)),
    large("logsumexp", (64, 1000), axis=1),
    large("cross_entropy", (64, 1000), target=np.eye(1000)[np.arange(64) * 7]),
    large("sum", (64, 1000), axis=0),
    large("mean", (16, 32, 32, 16), axis=(1, 2)),
    large("var", (16, 32, 32, 16), axis=(0, 1, 2)),
    large("max_pool2d", (4, 33, 32, 16), kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)),
    large("avg_pool2d", (4, 33, 32, 16), kernel_size=(3, 3), stride=(2, 2), padding=(1, 1)),
]


@pytest.mark.parametrize("call", LARGE, ids=lambda call: call.origin)
def test_large_arrays(call):
    errors = Errors()
    exact = there(call, "float64", 0)
    assert_equal(here(call, "float64", 0), exact, 1e-10, call.origin)
    ours, theirs = here(call, "float32", 0), there(call, "float32", 0)
    assert_equal(ours, theirs, 2e-5, call.origin)
    judge(errors, ours, theirs, exact)
    errors.assert_no_worse(factor(call))


WINOGRAD = {"winograd1d": 3, "winograd2": 3, "winograd4": 7}
"""How many times PyTorch's error a gradient may have: its terms are scaled before they meet."""


def factor(call):
    if call.name != "conv2d":
        return FACTOR
    x, w = (array.shape for array in call.args[:2])
    chosen = kernels.explain(x, w, **call.static)
    return max(WINOGRAD.get(choice.name, FACTOR) for choice in chosen.values())


def judge(errors, ours, theirs, exact, case=""):
    """Compare the errors of the gradients; element 0 is the value, which has to be close only."""
    for i, arrays in enumerate(zip(ours, theirs, exact, strict=True)):
        if i and not any(a is None for a in arrays):
            errors.note(f"gradient {i - 1}", *arrays, case)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # KLDivLoss's default
@pytest.mark.parametrize("name", sorted(LAYERS))
def test_layer(name):
    for case in LAYERS[name]:
        errors = Errors()
        for seed in range(DRAWS):
            exact, buffers = theirs_of(case, "float64", seed)
            got, mine = ours_of(case, "float64", seed)
            assert_equal([*got, *mine], [*exact, *buffers], 1e-10, str(case))
            theirs, buffers = theirs_of(case, "float32", seed)
            ours, mine = ours_of(case, "float32", seed)
            assert_equal([*ours, *mine], [*theirs, *buffers], 2e-4, str(case))
            judge(errors, ours, theirs, exact)
        errors.assert_no_worse()


def fresh(case, dtype):
    """The case's layer, in another dtype."""
    state = {key: t.numpy().copy() for key, t in case.function.state_dict().items()}
    return case.function.to(dtype=dtype), state


def ours_of(case, dtype, seed):
    """The value and gradients by inputs and parameters; the buffers afterwards."""
    module, state = fresh(case, dtype)
    try:
        inputs = [
            Tensor(draw(a, dtype, seed), requires_grad=True) if is_floating(a) else a
            for a in case.inputs
        ]
        minires.manual_seed(0)
        out = only(module(*inputs, **case.options))
        wanted = [t for t in inputs if isinstance(t, Tensor)] + list(module.parameters())
        grads = minires.grad(out, wanted, Tensor(cotangent(out.shape, seed).astype(dtype)))
        count = len(wanted) - len(list(module.parameters()))
        arrays = [g.numpy() for g in grads[:count]]
        arrays += [to_torch(g.numpy()).numpy() for g in grads[count:]]
        return [out.numpy(), *arrays], [b.numpy().copy() for b in module.buffers()]
    finally:
        restore(module, state)


def theirs_of(case, dtype, seed):
    module, state = fresh(case, dtype)
    try:
        twin = layer(module).to(getattr(torch, dtype))
        copy_state(module, twin)
        inputs = [
            torch.tensor(draw(a, dtype, seed), requires_grad=True) if is_floating(a) else a
            for a in case.inputs
        ]
        out = twin(*inputs, **case.options)
        wanted = [t for t in inputs if isinstance(t, torch.Tensor)] + list(twin.parameters())
        g = torch.from_numpy(cotangent(tuple(out.shape), seed)).to(out.dtype)
        grads = torch.autograd.grad(out, wanted, g)
        arrays = [out.detach().numpy(), *(g.numpy() for g in grads)]
        return arrays, [b.numpy().copy() for b in twin.buffers()]
    finally:
        restore(module, state)


def only(out):
    """The first of several results: attention returns its weights too."""
    return out[0] if isinstance(out, tuple) else out


def restore(module, state):
    module.to(dtype="float64")
    for key, tensor in module.state_dict().items():
        tensor.data[...] = state[key]
