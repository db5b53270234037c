"""Mixed precision on a GPU: the same steps as on NumPy, to float16's rounding."""

import numpy as np
import pytest

import minires
from minires import Tensor, kernels, models, optim
from minires.kernels import ConvGeometry
from minires.nn import functional as F
from minires.training import MixedPrecision
from on_cupy.cases import normal

WALKS = [
    ((3, 3), {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}),
    ((3, 3), {"stride": (2, 2), "padding": (1, 1), "dilation": (1, 1), "groups": 2}),
    ((1, 1), {"stride": (2, 2), "padding": (0, 0), "dilation": (1, 1), "groups": 1}),
]


@pytest.mark.parametrize(("kernel", "walk"), WALKS)
def test_float16_convolutions_agree_with_numpy(gpu, kernel, walk):
    x = normal(2, 6, 6, 16, seed=0).astype(np.float16)
    w = normal(*kernel, 16 // walk["groups"], 8, seed=1).astype(np.float16)
    out = kernels.conv2d(x, w, geometry=ConvGeometry(**walk))
    g = normal(*out.shape, seed=2).astype(np.float16)
    X, W, G = (gpu.cupy.asarray(a) for a in (x, w, g))
    pairs = [
        (kernels.conv2d(X, W, geometry=ConvGeometry(**walk)), out),
        (
            kernels.conv2d_dx(G, W, input_size=(6, 6), geometry=ConvGeometry(**walk)),
            kernels.conv2d_dx(g, w, input_size=(6, 6), geometry=ConvGeometry(**walk)),
        ),
        (
            kernels.conv2d_dw(X, G, kernel_size=kernel, geometry=ConvGeometry(**walk)),
            kernels.conv2d_dw(x, g, kernel_size=kernel, geometry=ConvGeometry(**walk)),
        ),
    ]
    for got, wanted in pairs:
        assert got.dtype == np.float16
        np.testing.assert_allclose(gpu.cupy.asnumpy(got), wanted, rtol=2e-3, atol=2e-3)


def steps(device: str) -> list[dict[str, np.ndarray]]:
    """Every parameter after each of three steps, the first of which overflows."""
    minires.manual_seed(1)
    model = models.create("resnet8", 10, 3).to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    mixed = MixedPrecision(model, optimizer, scale=2.0**22)
    states, taken = [], []
    for step in range(3):
        images = normal(4, 8, 8, 3, seed=step).astype(np.float32)
        optimizer.zero_grad()
        logits = mixed.forward(Tensor(images).to(device))
        taken.append(mixed.step(F.cross_entropy(logits, [step, 1, 2, 3])))
        if step == 0:
            mixed.scale = 1024.0
        states.append({n: p.numpy().copy() for n, p in model.named_parameters()})
    assert taken == [False, True, True]
    return states


def test_steps_agree_with_numpy_and_an_overflow_is_left_out(gpu):
    for got, wanted in zip(steps("cuda"), steps("cpu"), strict=True):
        for name, value in wanted.items():
            np.testing.assert_allclose(got[name], value, rtol=0, atol=2e-3, err_msg=name)
