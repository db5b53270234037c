"""Paths against updates written out by hand, landscapes against forwards on moved weights."""

import numpy as np
import pytest
from helpers import normal
from reading import numbers, shown

from minires import Tensor, models, nn, optim, viz
from minires.nn import functional as F


def valley(x, y):
    return x * x + 10 * y * y


MAKERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.03),
    "momentum": lambda p: optim.SGD(p, lr=0.02, momentum=0.9),
}


def by_hand(steps, lr, momentum):
    at, velocity = np.array([4.0, 1.5]), np.zeros(2)
    rows = []
    for _ in range(steps + 1):
        rows.append([*at, at[0] ** 2 + 10 * at[1] ** 2])
        velocity = momentum * velocity + np.array([2 * at[0], 20 * at[1]])
        at = at - lr * velocity
    return rows


def test_every_step_of_every_path():
    player = viz.optimizer_path(valley, MAKERS, (4.0, 1.5), steps=12)
    assert len(player) == 13
    paths = [by_hand(12, 0.03, 0), by_hand(12, 0.02, 0.9)]
    for k, frame in enumerate(player.frames):
        wanted = [pytest.approx(v, rel=1e-3) for path in paths for v in path[k]]
        assert numbers(frame.math) == wanted
        assert numbers(frame.say) == [k, wanted[2], wanted[5]]
        lowest = "SGD" if paths[0][k][2] < paths[1][k][2] else "momentum"
        assert (f"The lowest is {lowest}." in frame.say) == (k == 12)
        for m in range(2):
            assert numbers(shown(player, f"loss{m}", k)) == [wanted[3 * m + 2]]


def test_dots_move_along_their_paths():
    span = ((-5.0, 5.0), (-2.0, 2.0))
    player = viz.optimizer_path(valley, MAKERS, (4.0, 1.5), steps=12, span=span)
    path = by_hand(12, 0.03, 0)
    for k, (x, y, _) in enumerate(path):
        dx, dy = player.state(k).shift["dot0"]
        assert dx == pytest.approx((x - 4) * 42, abs=0.01)  # 420 pixels are 10 wide
        assert dy == pytest.approx((1.5 - y) * 105, abs=0.01)  # and 4 high
    drawn = [p for p in player.scene.parts if p.key == "p0:3"]
    assert drawn[0].points[1][0] == pytest.approx(70 + (path[3][0] + 5) * 42)


def test_contours_lie_on_one_height():
    player = viz.optimizer_path(valley, MAKERS, (4.0, 1.5), span=((-5.0, 5.0), (-2.0, 2.0)))
    lines = [p for p in player.scene.parts if getattr(p, "cls", "") == "line"]
    assert len(lines) > 10
    for line in lines:
        xs, ys = np.array(line.points).T
        heights = valley((xs - 70) / 42 - 5, 2 - (ys - 30) / 105)
        assert np.ptp(heights) < 0.5


def test_a_path_that_leaves_the_picture_stops_at_its_border():
    wild = {"too fast": lambda p: optim.SGD(p, lr=0.2)}
    player = viz.optimizer_path(valley, wild, (1.0, 1.0), steps=30, span=((-2, 2), (-2, 2)))
    for k in range(31):
        dx, dy = player.state(k).shift["dot0"]
        assert 0 <= 315 + dx <= 420
        assert 0 <= 105 + dy <= 420


def test_ticks_and_the_range_of_the_loss_are_those_of_the_picture():
    span = ((-5.0, 5.0), (-2.0, 2.0))
    player = viz.optimizer_path(valley, MAKERS, (4.0, 1.5), span=span)
    labels = [p for p in player.scene.parts if getattr(p, "size", 0) == 11]
    across = [p for p in labels if p.anchor == "middle"]
    up = [p for p in labels if p.anchor == "end"]
    assert len(across) >= 4
    assert len(up) >= 4
    for p in across:
        assert numbers(p.text) == [pytest.approx((p.x - 70) / 42 - 5)]
    for p in up:
        assert numbers(p.text) == [pytest.approx(2 - (p.y - 30) / 105)]
    (note,) = [p.text for p in player.scene.parts if "in this picture" in getattr(p, "text", "")]
    assert numbers(note) == [0, 65]  # in the middle and in the corners


def test_a_step_that_is_too_long_leaves_the_others_to_be_seen(recwarn):
    """The first path runs to infinity, and into NaN: without warnings, and off the picture."""
    both = {"too fast": lambda p: optim.SGD(p, lr=3.0), **MAKERS}
    player = viz.optimizer_path(valley, both, (4.0, 1.5), steps=200)
    assert numbers(player.frames[-1].math)[-1] < 1
    assert "loss NaN" in player.frames[-1].math
    assert "The lowest is" in player.frames[-1].say
    assert "too fast is" not in player.frames[-1].say.partition("The lowest")[2]
    labels = [numbers(p.text)[0] for p in player.scene.parts if getattr(p, "size", 0) == 11]
    assert max(map(abs, labels)) < 1e5
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]
    assert "nan" not in player.scene.svg("")


def test_a_loss_without_a_minimum_has_no_contours():
    makers = {"SGD": lambda p: optim.SGD(p, lr=0.1)}
    flat = viz.optimizer_path(lambda x, y: x * 0 + y * 0 + 1, makers, (0.0, 0.0), steps=3)
    assert not [p for p in flat.scene.parts if getattr(p, "cls", "") == "line"]
    assert numbers(flat.frames[-1].math) == [0, 0, 1]


def test_what_cannot_be_shown():
    for steps in (0, -3):
        with pytest.raises(ValueError, match=f"at least 1 step, got {steps}"):
            viz.optimizer_path(valley, MAKERS, (1, 1), steps=steps)
    with pytest.raises(TypeError, match="a function of x and y, got int"):
        viz.optimizer_path(3, MAKERS, (1, 1))
    with pytest.raises(TypeError, match="gave float, which is no Tensor"):
        viz.optimizer_path(lambda x, y: 3.0, MAKERS, (1, 1))
    with pytest.raises(TypeError, match="optimisers by name"):
        viz.optimizer_path(valley, list(MAKERS.values()), (1, 1))
    with pytest.raises(ValueError, match="two finite numbers"):
        viz.optimizer_path(valley, MAKERS, (1, np.nan))
    with pytest.raises(ValueError, match="wants a span"):
        viz.optimizer_path(valley, MAKERS, (1, 1), span=((0, 0), (0, 1)))
    with pytest.raises(ValueError, match="at least one"):
        viz.optimizer_path(valley, {}, (1, 1))
    with pytest.raises(viz.TooLargeError, match="200 steps"):
        viz.optimizer_path(valley, MAKERS, (1, 1), steps=201)


def net_and_batch():
    net = models.resnet8(in_channels=1)
    return net, (normal(4, 8, 8, 1, dtype=np.float32), np.arange(4))


def test_landscape_is_the_loss_at_moved_weights():
    net, (x, y) = net_and_batch()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    picture = viz.loss_landscape(net, (x, y), points=3, span=0.5, seed=3)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    rng = np.random.default_rng(3)
    weights = [p for p in net.parameters() if p.ndim > 1]
    moves = []
    for _ in range(2):
        for w in weights:
            d = rng.normal(size=w.shape)
            for o in range(w.shape[-1]):
                d[..., o] *= np.linalg.norm(w.numpy()[..., o]) / np.linalg.norm(d[..., o])
            moves.append(d)
    for i, j in np.ndindex(3, 3):
        other = models.resnet8(in_channels=1)
        other.load_state_dict(before)
        for k, w in enumerate([p for p in other.parameters() if p.ndim > 1]):
            a, b = 0.5 * (j - 1), 0.5 * (i - 1)
            w.data += (a * moves[k] + b * moves[k + len(weights)]).astype(np.float32)
        wanted = F.cross_entropy(other(Tensor(x)), y).item()
        assert picture.values["loss"][i, j] == pytest.approx(wanted, rel=1e-4)
    middle = picture.values["loss"][1, 1]
    losses = picture.values["loss"]
    shown = [middle, losses.min(), losses.max()]
    assert numbers(picture.caption) == [pytest.approx(v, rel=1e-3) for v in shown]
    np.testing.assert_array_equal(picture.values["steps"], [-0.5, 0, 0.5])
    figure = picture.plot()
    assert figure.axes[0].get_xlabel()
    assert "nats" in figure.axes[1].get_ylabel()


def test_flat_and_broken_landscapes_are_drawn_or_refused():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    for p in net.parameters():
        p.data[...] = 0
    batch = normal(4, 8, 8, 1, dtype=np.float32), np.arange(4)
    flat = viz.loss_landscape(net, batch, points=3)
    np.testing.assert_allclose(flat.values["loss"], np.log(4), rtol=1e-6)
    assert flat.plot().axes[0].get_title() == ""
    net[1].bias.data[...] = np.nan
    with pytest.raises(ValueError, match="anywhere"):
        viz.loss_landscape(net, batch, points=3)
    assert len(numbers(viz.loss_landscape(*net_and_batch(), points=4).caption)) == 2


def test_landscape_errors():
    with pytest.raises(ValueError, match="positive span"):
        viz.loss_landscape(*net_and_batch(), span=0)
    net, batch = net_and_batch()
    with pytest.raises(ValueError, match="at least 3"):
        viz.loss_landscape(net, batch, points=2)
    with pytest.raises(ValueError, match="no weight"):
        viz.loss_landscape(nn.ReLU(), batch)
