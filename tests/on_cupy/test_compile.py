"""A plan on a GPU: what the model gives there, and on NumPy."""

import numpy as np
import pytest

import minires
from minires import Tensor, data, models, nn, no_grad
from minires.compile import Plan, RecordingError, StaleError
from minires.data import ImageDataset
from minires.nn import functional as F
from minires.training import evaluate, predictor
from on_cupy.cases import normal


class Functional(nn.Module):
    """Attention among pixels, layer norm, GELU and a shortcut of zeros, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.qkv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 24), nn.Linear(8, 5)
        self.again = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv(x), 2))
        x = F.relu(self.again(x) + x[:, ::2, ::2])
        t = x.reshape(x.shape[0], -1, 8)
        t = (t - t.mean(-1, keepdims=True)) / (
            minires.ops.var(t, axis=-1, keepdims=True) + 1e-5
        ) ** 0.5
        q, k, v = (self.qkv(t)[..., i * 8 : i * 8 + 8] for i in range(3))
        t = t + F.softmax(q @ k.transpose(0, 2, 1) / 8**0.5, -1) @ v
        t = 0.5 * t * (1 + F.tanh(0.8 * (t + 0.0447 * t**3)))
        return self.head(t.mean(1))


NETWORKS = {
    "residual block": (lambda: models.blocks.BasicBlock(6, 6), (2, 8, 8, 6)),
    "projection": (lambda: models.blocks.BasicBlock(4, 8, 2), (3, 9, 8, 4)),
    "bottleneck": (lambda: models.blocks.Bottleneck(8, 4), (2, 6, 6, 8)),
    "resnet8": (lambda: models.resnet8(), (2, 16, 16, 3)),
    "functional": (Functional, (3, 12, 10, 3)),
}


def made(name: str, device: str, dtype: type) -> tuple[nn.Module, Tensor]:
    """A network as if it had been trained, and its images."""
    minires.manual_seed(2)
    make, shape = NETWORKS[name]
    network, rng = make().eval(), np.random.default_rng(3)
    for key, tensor in network.state_dict().items():
        if "running" in key or "bn" in key:
            tensor.copy_(rng.uniform(0.5, 1.5, tensor.shape).astype(tensor.dtype))
    return network.to(device, dtype), Tensor(normal(*shape).astype(dtype)).to(device)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_plan_gives_what_the_model_gives(gpu, name, dtype, tolerance):
    network, x = made(name, "cuda", dtype)
    plan = minires.compile(network, x)
    other, y = made(name, "cpu", dtype)
    with no_grad():
        for factor in (1, -2):
            found = plan(x * factor)
            assert found.device.startswith("cuda")
            for wanted in (network(x * factor), other(y * factor)):
                scale = abs(wanted.numpy()).max()
                np.testing.assert_allclose(
                    found.numpy(), wanted.numpy(), rtol=0, atol=tolerance * scale
                )


def test_the_same_bits_each_time_and_new_weights(gpu):
    network, x = made("resnet8", "cuda", np.float32)
    plan = minires.compile(network, x)
    np.testing.assert_array_equal(plan(x).numpy(), plan(x).numpy())
    network.fc.weight.fill_(0.25)
    with pytest.raises(StaleError, match=r"fc\.weight has changed"):
        plan(x)
    plan.refresh()
    with no_grad():
        np.testing.assert_allclose(plan(x).numpy(), network(x).numpy(), rtol=1e-4, atol=1e-4)
    fewer = x[:1]
    with no_grad():
        np.testing.assert_allclose(
            plan(fewer).numpy(), network(fewer).numpy(), rtol=1e-4, atol=1e-4
        )


def test_a_look_at_numbers_is_refused(gpu):
    x = Tensor(normal(2, 3)).to("cuda")
    with pytest.raises(RecordingError, match="looks at the numbers"):
        minires.compile(lambda x: x * float(x.mean()), x)


def test_evaluation_uses_it(gpu, monkeypatch):
    """Whole batches go through it, the last as it is."""
    monkeypatch.setattr(predictor, "AT_ONCE", 4)
    monkeypatch.setattr(predictor, "CALLS", 2)
    monkeypatch.setattr(predictor, "CALLS_EACH_TIME", 2)
    calls = []
    call = Plan.__call__
    monkeypatch.setattr(
        Plan,
        "__call__",
        lambda plan, *x: calls.append(len(x[0])) or call(plan, *x),
    )
    minires.manual_seed(0)
    model = models.resnet8(in_channels=1).to("cuda")
    images = data.digits().subset(np.arange(10))
    assert isinstance(images, ImageDataset)
    found = evaluate(model, images, transform=data.Normalize([0.3], [0.4]), batch_size=4)
    assert calls == [4, 4, 2]
    plain = evaluate(
        model, images, transform=data.Normalize([0.3], [0.4]), batch_size=4, compile=False
    )
    assert found.loss == pytest.approx(plain.loss, rel=1e-5)
