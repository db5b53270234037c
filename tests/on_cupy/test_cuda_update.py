"""Updates of all parameters in one launch against float64, and mutants of them."""

import numpy as np
import pytest

from minires import Tensor, optim
from minires.kernels.cuda import update
from on_cupy.cuda_shapes import changed, error

SHAPES = [(n,) for n in (*range(1, 34), 255, 256, 257, 4095, 4096, 4097)] + [(3, 3, 4, 5), (64, 33)]

OPTIMIZERS = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1, weight_decay=0.01),
    "SGD, dampened": lambda ps: optim.SGD(ps, 0.1, 0.9, dampening=0.2, weight_decay=0.01),
    "SGD, Nesterov": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda ps: optim.Adam(ps, lr=0.01, weight_decay=0.02),
    "Adam, AMSGrad": lambda ps: optim.Adam(ps, lr=0.01, betas=(0.5, 0.6), amsgrad=True),
    "AdamW": lambda ps: optim.AdamW(ps, lr=0.01, weight_decay=0.5),
    "RMSprop": lambda ps: optim.RMSprop(ps, lr=0.01, weight_decay=0.02),
    "RMSprop, centred": lambda ps: optim.RMSprop(ps, lr=0.01, momentum=0.9, centered=True),
}


def trained(device, make, shapes, dtype, between=None):
    """The parameters after four steps, the third without the first parameter."""
    rng = np.random.default_rng(0)
    ps = [
        Tensor(rng.normal(size=s).astype(dtype), requires_grad=True, device=device) for s in shapes
    ]
    optimizer = make(ps)
    for step in range(4):
        for p in ps:
            p.grad = Tensor((rng.normal(size=p.shape) * (step + 1)).astype(dtype), device=device)
        if step == 2:
            ps[0].grad = None
        if between and step == 3:
            between()
        optimizer.step()
    return [p.array for p in ps]


def worst(gpu, name, shapes=SHAPES, between=None):
    wanted = trained("cpu", OPTIMIZERS[name], shapes, np.float64)
    found = trained("cuda", OPTIMIZERS[name], shapes, np.float32, between)
    return max(error(one, other) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float64_agrees_for_every_size_in_one_launch(emulated, name):
    before = emulated.emulation.overruns()
    assert worst(emulated, name, between=emulated.start_counting) < 2e-5
    alone = 2 if name.startswith("Adam") else 1  # the first parameter is a step behind
    assert emulated.counted()["launches"] == alone
    assert emulated.emulation.overruns() == before


def test_many_parameters_take_a_launch_for_every_eighty(emulated):
    assert worst(emulated, "AdamW", [(3,)] * 170) < 2e-5


def test_a_subclass_keeps_its_own_update(emulated):
    class Half(optim.SGD):
        def update(self, x, grad, state, group):
            super().update(x, grad * 0.5, state, group)

    x, y = (Tensor(np.ones(3, np.float32), requires_grad=True, device="cuda") for _ in range(2))
    x.grad, y.grad = (Tensor(np.ones(3, np.float32), device="cuda") for _ in range(2))
    Half([x], lr=1.0).step()
    optim.SGD([y], lr=1.0).step()
    assert (x.tolist(), y.tolist()) == ([0.5] * 3, [0.0] * 3)


MUTANTS = {  # what is wrong: an optimiser that shows it, text, and what stands there instead
    "a number too far": ("SGD", "p.x[i] = x -", "p.x[i + 1] = x -"),
    "the last number left out": ("SGD", "i < size;", "i < size - 1;"),
    "blocks overlap": ("SGD", "(long long)gridDim.x * blockDim.x)", "blockDim.x)"),
    "another parameter": ("Adam", "parameters.of[blockIdx.y]", "parameters.of[0]"),
    "dampening of the velocity": ("SGD, dampened", "kept * direction;", "direction;"),
    "Nesterov always": ("SGD, dampened", "nesterov ?", "true ?"),
    "Nesterov never": ("SGD, Nesterov", "nesterov ?", "false ?"),
    "the square's rate for the mean": ("Adam", "rest1 * g", "rest2 * g"),
    "AMSGrad left out": ("Adam, AMSGrad", "square = p.third[i];", ""),
    "decay coupled": ("AdamW", "shrink * p.x[i]", "p.x[i]"),
    "not centred": ("RMSprop, centred", ", square -= mean * mean;", ";"),
    "momentum not kept": ("RMSprop, centred", "direction = p.third[i] = ", "direction = "),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_seen(emulated, name, monkeypatch):
    monkeypatch.setattr(update, "EACH", 32)
    optimizer, before, after = MUTANTS[name]
    shapes = [(5,), (300,), (128,)]
    assert worst(emulated, optimizer, shapes) < 2e-5
    overruns = emulated.emulation.overruns()
    with changed("update.cu", before, after):
        assert worst(emulated, optimizer, shapes) > 2e-5 or emulated.emulation.overruns() > overruns
