"""The charts' numbers against a walk of our own with retained gradients."""

import numpy as np
import pytest
from helpers import normal
from reading import numbers

from minires import Tensor, models, nn, viz
from minires.nn import functional as F


def batch(classes=10):
    return normal(4, 12, 12, 1, dtype=np.float32), np.arange(4) % classes


def rms(array):
    return np.sqrt((np.asarray(array, np.float64) ** 2).mean())


def expected(net):
    """By name in order: activation, gradient, weight gradient; and the dead shares of the ReLUs."""
    outs, images = [], batch()
    names = {id(m): n for n, m in net.named_modules()}
    for m in net.modules():
        if isinstance(m, nn.Conv2d | nn.Linear | nn.ReLU):
            m.register_forward_hook(lambda m, args, out: outs.append((m, out.retain_grad())))
    F.cross_entropy(net(Tensor(images[0])), images[1]).backward()
    rows = [
        (names[id(m)], rms(out.numpy()), rms(out.grad.numpy()), rms(m.weight.grad.numpy()))
        for m, out in outs
        if not isinstance(m, nn.ReLU)
    ]
    dead = [
        np.mean([not out.numpy()[..., c].any() for c in range(out.shape[-1])])
        for m, out in outs
        if isinstance(m, nn.ReLU)
    ]
    return rows, dead


@pytest.fixture
def net():
    net = models.resnet8(in_channels=1)
    net.bn1.bias.data[:5] = -50  # five dead channels
    return net


def test_every_number(net):
    player = viz.gradient_flow({"a net": net}, batch())
    rows, dead = expected(net)
    assert dead[0] == 5 / 16
    assert len(player) == 2 * len(rows) + 1
    for i, (name, activation, gradient, weight) in enumerate(rows):
        forward, backward = player.frames[i], player.frames[2 * len(rows) - 1 - i]
        assert name in forward.math
        assert name in backward.math
        tail = forward.math.partition(": activation")[2]
        wanted = [activation, i + 1, 100 * dead[i]] if i < len(dead) else [activation]
        assert numbers(tail) == [pytest.approx(n, rel=2e-3) for n in wanted]
        tail = backward.math.partition(": gradient")[2]
        assert numbers(tail) == [pytest.approx(n, rel=2e-3) for n in (gradient, weight)]
    ratio = rows[0][2] / rows[-1][2]
    assert numbers(player.frames[-1].say) == [pytest.approx(ratio, rel=2e-3)]


def test_bars_are_as_high_as_their_numbers(net):
    player = viz.gradient_flow({"a net": net}, batch())
    rows, dead = expected(net)
    bars = {p.key: p for p in player.scene.parts if getattr(p, "radius", None) == 1}
    for key, values in (("a", [r[1] for r in rows]), ("g", [r[2] for r in rows])):
        heights = [bars[f"{key}0:{i}"].height for i in range(len(values))]
        slopes = np.diff(heights) / np.diff(np.log10(values))
        np.testing.assert_allclose(slopes, slopes[0], rtol=1e-3)
    full = bars["d0:0"].height / dead[0]
    for i, share in enumerate(dead):
        assert bars[f"d0:{i}"].height == pytest.approx(max(full * share, 1.0))


def test_it_leaves_the_network_as_it_was(net):
    net.fc.weight.grad = Tensor(np.ones(net.fc.weight.shape, np.float32))
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    viz.gradient_flow(net, batch())
    assert net.fc.weight.grad.numpy().min() == 1
    assert net.conv1.weight.grad is None
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_networks_stand_side_by_side():
    nets = {"plain <8>": models.create("plain8", 10, 1), "resnet": models.resnet8(in_channels=1)}
    player = viz.gradient_flow(nets, batch())
    page = player.html()
    assert "plain &lt;8&gt;" in player.frames[0].math
    assert "plain <8>" not in page
    assert {"a0:6", "a1:6"} <= {p.key for p in player.scene.parts}
    assert len(player.plot().axes[0].patches) > 40


def test_deep_networks_show_several_layers_in_a_step():
    player = viz.gradient_flow(nn.Sequential(nn.Flatten(), nn.Linear(144, 10),
                               *(nn.Linear(10, 10) for _ in range(59))), batch())  # fmt: skip
    assert len(player) == 2 * 20 + 1
    assert "layers 1 to 3 of 60" in player.frames[0].say


def test_errors(net):
    with pytest.raises(ValueError, match="at least one"):
        viz.gradient_flow({}, batch())
    with pytest.raises(viz.TooLargeError, match="4 networks"):
        viz.gradient_flow({str(i): net for i in range(5)}, batch())
    with pytest.raises(ValueError, match="no layer whose weight"):
        viz.gradient_flow(net.requires_grad_(False), batch())
