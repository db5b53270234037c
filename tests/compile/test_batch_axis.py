"""Which models treat every image alone: decided by their operations, held against what they do."""

import numpy as np
import pytest

import minires
from minires import Tensor, models, no_grad
from minires.batch_axis import independent
from minires.model_recording import record
from minires.nn import functional as F
from minires.structures import leaves

N, K = 4, 6  # images, and numbers of each; a (K, K) matrix and (N,)-vectors are constants
rng = np.random.default_rng(0)
SQUARE, ROW = (Tensor(rng.standard_normal(s).astype(np.float32)) for s in ((K, K), (K,)))
BY_IMAGE = Tensor(np.arange(N, dtype=np.float32).reshape(N, 1))

ALONE = {
    "times a matrix": lambda x: x @ SQUARE,
    "plus a row": lambda x: x + ROW,
    "twice": lambda x: 2 * x + x,
    "relu": F.relu,
    "softmax": lambda x: F.softmax(x, dim=1),
    "less its mean": lambda x: x - x.mean(axis=1, keepdims=True),
    "over its deviation": lambda x: x / (x.std(axis=-1, keepdims=True) + 1),
    "in another order": lambda x: x[:, ::-1],
    "joined": lambda x: minires.concatenate([x[:, :2], x[:, 2:]], axis=1),
    "with axes": lambda x: x.reshape(len(x), 2, 3).transpose(0, 2, 1).reshape(len(x), 6),
    "over its largest": lambda x: x / minires.maximum(abs(x).max(axis=1, keepdims=True), 1.0),
    "where": lambda x: minires.where(x > 0.5, x, 0.0),
    "attention": lambda x: (
        (x.reshape(len(x), 2, 3) @ x.reshape(len(x), 3, 2)) @ x.reshape(len(x), 2, 3)
    ).reshape(len(x), 6),
}
TOGETHER = {
    "over the largest": lambda x: x / minires.maximum(abs(x).max(), 1.0),
    "over the sum": lambda x: x / minires.maximum(abs(x).sum() / 20, 1.0),
    "softmax of images": lambda x: F.softmax(x, dim=0),
    "less the images' mean": lambda x: x - x.mean(axis=0),
    "gated by a sum": lambda x: minires.where(x.sum() > 100, x * 0, x),
    "images in another order": lambda x: x[::-1],
    "by its number": lambda x: x * BY_IMAGE if len(x) == N else x,
    "products of images": lambda x: x @ x.T @ x,
    "images joined": lambda x: minires.concatenate([x[:2], x[2:] * 2], axis=0),
    "columns as images": lambda x: (x.reshape(-1) * 1).reshape(6, len(x)).T,
    "plus the first": lambda x: x + x[:1],
}


def alone(model, x):
    """The results of each image by itself."""
    with no_grad():
        return [leaves(model(Tensor(x[i : i + 1])))[0].numpy()[0] for i in range(len(x))]


@pytest.mark.parametrize("name", ALONE)
def test_images_alone(name):
    x = rng.standard_normal((N, K)).astype(np.float32)
    assert independent(record(ALONE[name], [x]), [x])


@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.parametrize("scale", [0.01, 1000])
def test_images_together(name, scale):
    """A plan that never saw large numbers is right for them."""
    small = 0.01 * rng.standard_normal((N, K)).astype(np.float32)
    model = TOGETHER[name]
    assert not independent(record(model, [small]), [small])
    x = Tensor(scale * rng.standard_normal((N, K)).astype(np.float32))
    with no_grad():
        wanted = model(x).numpy()
    np.testing.assert_allclose(minires.compile(model, small)(x).numpy(), wanted, 1e-4, 1e-4)


@pytest.mark.parametrize("seed", range(60))
def test_drawn_programs(seed):
    """Whatever is said to treat images alone gives for each what it gives for that one."""
    draw = np.random.default_rng(seed)
    parts = {**ALONE, **TOGETHER}
    names = draw.choice(list(ALONE), 3).tolist()
    if seed % 3 == 0:
        names[draw.integers(3)] = str(draw.choice(list(TOGETHER)))

    def model(x):
        for name in names:
            x = parts[name](x)
        return x

    x = draw.standard_normal((N, K)).astype(np.float32)
    said = independent(record(model, [x]), [x])
    assert said == (seed % 3 != 0)
    if said:
        large = (30 * draw.standard_normal((N, K))).astype(np.float32)
        with no_grad():
            whole = model(Tensor(large)).numpy()
        np.testing.assert_allclose(whole, alone(model, large), 1e-3, 1e-3)


@pytest.mark.parametrize("name", ["resnet8", "preact_resnet18", "resnext50_32x4d", "plain20"])
def test_networks(name):
    x = rng.standard_normal((2, 32, 32, 3)).astype(np.float32)
    assert independent(record(models.create(name).eval(), [x]), [x])
