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
    worst = 100 * max(dead)
    assert numbers(player.frames[-1].say) == [
        pytest.approx(ratio, rel=2e-3), pytest.approx(worst, rel=2e-3)
    ]  # fmt: skip
    assert "after relu of a net" in player.frames[-1].say
    ends = [pytest.approx(row[2], rel=2e-3) for row in (rows[0], rows[-1])]
    assert numbers(player.frames[-1].math) == ends


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


def test_the_axes_numbers_are_where_the_bars_would_reach_them(net):
    """Each tick's height gives its number, by the scale that two bars define."""
    player = viz.gradient_flow({"a net": net}, batch())
    rows, _ = expected(net)
    bars = {p.key: p for p in player.scene.parts if getattr(p, "radius", None) == 1}
    bottoms = [bars[f"{k}0:0"].y + bars[f"{k}0:0"].height for k in "agd"]
    ticks = [p for p in player.scene.parts if getattr(p, "anchor", "") == "end" and p.x < 66]
    for n, quantity in enumerate("ag"):
        values = np.log10([row[n + 1] for row in rows])
        heights = [bars[f"{quantity}0:{i}"].height for i in range(len(rows))]
        slope, least = np.polyfit(heights, values, 1)
        own = [t for t in ticks if bottoms[n] - 95 < t.y < bottoms[n] + 3]
        assert len(own) >= 2
        for tick in own:
            height = bottoms[n] - tick.y
            assert np.log10(numbers(tick.text)[0]) == pytest.approx(
                least + slope * height, abs=0.02
            )
    own = [t for t in ticks if bottoms[2] - 95 < t.y < bottoms[2] + 3]
    assert [(t.text, round(bottoms[2] - t.y)) for t in own] == [
        ("0%", 0),
        ("50%", 46),
        ("100%", 92),
    ]
    counts = [t.text for t in player.scene.parts
              if getattr(t, "anchor", "") == "end" and t.x > 66 and t.text.isdecimal()]  # fmt: skip
    assert counts == ["8", "8", "7"]


def test_numbers_that_are_not_finite_are_full_dashed_bars():
    net = nn.Sequential(nn.Flatten(), nn.Linear(144, 10), nn.ReLU(), nn.Linear(10, 10))
    net[1].weight.data[...] = np.nan
    player = viz.gradient_flow(net, batch())
    bars = [p for p in player.scene.parts if getattr(p, "radius", None) == 1 and p.key[0] in "ag"]
    assert len(bars) == 4
    for bar in bars:
        assert bar.height == 92
        assert "hole" in bar.cls.split()
    texts = [
        p.text for p in player.scene.parts if p.key in {b.key for b in bars} and hasattr(p, "text")
    ]
    assert texts == ["NaN"] * 4
    assert "activation NaN" in player.frames[0].math


def test_every_relu_comes_up():
    net = nn.Sequential(nn.Flatten(), nn.Linear(144, 10), nn.ReLU(), nn.ReLU(), nn.ReLU())
    player = viz.gradient_flow({"chain": net}, batch())
    seen = {key for frame in player.frames for key in frame.classes}
    assert {"d0:0", "d0:1", "d0:2"} <= seen
    assert "chain, ReLU 3 dead in" in player.frames[0].math


def test_a_long_name_stays_over_its_chart():
    net = nn.Sequential(nn.Flatten(), nn.Linear(144, 10))
    player = viz.gradient_flow({"long " * 40: net, "short": net}, batch())
    heading = next(p.text for p in player.scene.parts if getattr(p, "size", 0) == 15)
    assert len(heading) < 50
    assert heading.startswith("long long")
    assert "…" in heading


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
    with pytest.raises(TypeError, match="wants a Module or a mapping"):
        viz.gradient_flow([net], batch())
    with pytest.raises(TypeError, match="wants Modules, got int"):
        viz.gradient_flow({"a": 3}, batch())
    with pytest.raises(TypeError, match=r"a batch of \(images, labels\)"):
        viz.gradient_flow(net, batch()[0])
    with pytest.raises(ValueError, match="no layer whose weight"):
        viz.gradient_flow(net.requires_grad_(False), batch())
