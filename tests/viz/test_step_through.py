"""Every number of the stepper against plain Python; graph and gradients stay as they are."""

import html
import math
import re

import numpy as np
import pytest
from helpers import leaf, normal
from reading import boxes, numbers, shown

import minires
from minires import Tensor, models, nn, viz
from minires.backward import topological_order
from minires.engine import Op, op
from minires.errors import BackwardError
from minires.nn import functional as F
from minires.viz.formulas import RULES, forward_formula


def expression():
    a, b = leaf(2.0), leaf(-3.0)
    c = a * b
    d = c + a
    return (d * 0.25).tanh() * d + c * 0.5, {"a": a, "b": b, "c": c, "d": d}


def by_hand():
    """Values and derivatives of `expression`, from calculus."""
    a, b = 2.0, -3.0
    c, d = a * b, a * b + a
    t = math.tanh(d / 4)
    dd = t + d * (1 - t * t) / 4
    dc = dd + 0.5
    values = {"a": a, "b": b, "c": c, "d": d, "v₁": d / 4, "v₂": t, "v₃": t * d, "v₄": c / 2}
    slopes = {
        "a": dd + dc * b, "b": dc * a, "c": dc, "d": dd,
        "v₁": d * (1 - t * t), "v₂": d, "v₃": 1.0, "v₄": 1.0,
    }  # fmt: skip
    return values | {"v₅": t * d + c / 2}, slopes | {"v₅": 1.0}


@pytest.fixture
def player():
    loss, names = expression()
    return viz.step_through(loss, names)


def test_the_boxes_hold_the_values_and_the_gradients(player):
    values, slopes = by_hand()
    at = boxes(player)
    assert set(at) == set(values)
    for name, u in at.items():
        assert numbers(shown(player, f"value{u}")) == [pytest.approx(values[name], rel=1e-3)], name
        assert numbers(shown(player, f"grad{u}")) == [pytest.approx(slopes[name], rel=1e-3)], name


def test_forward_sentences_give_the_values_in_order(player):
    values, _ = by_hand()
    said = [f.say for f in player.frames if f.say.startswith("Forward:")]
    assert [s.split()[1] for s in said] == ["c", "d", "v₁", "v₂", "v₃", "v₄", "v₅"]
    for s in said:
        assert numbers(s)[-1] == pytest.approx(values[s.split()[1]], rel=1e-3)


def test_the_mathematics_forwards_and_at_both_ends(player):
    values, slopes = by_hand()
    d, t = values["d"], values["v₂"]
    wanted = [
        [2, -3],
        [2, -3, -6],
        [-6, 2, -4],
        [0.25, -4, 0.25, -1],  # once as d · 0.25, once in numbers
        [-1, t],
        [t, d, t * d],
        [0.5, -6, 0.5, -3],
        [t * d, -3, values["v₅"]],
        [1],
    ]
    for frame, known in zip(player.frames, wanted, strict=False):
        assert numbers(frame.math) == [pytest.approx(n, rel=1e-3) for n in known], frame.math
    ends = [pytest.approx(slopes[name], rel=1e-3) for name in "ab"]
    assert numbers(player.frames[-1].say) == numbers(player.frames[-1].math) == ends
    assert numbers(player.frames[0].say) == [2, -3]
    assert numbers(player.frames[8].say) == [1]


def test_the_current_box_stands_out(player):
    """In each step between the ends one box is marked: the one that the sentence names."""
    at = boxes(player)
    for frame in [*player.frames[1:8], *player.frames[9:-1]]:
        name = frame.say.removeprefix("Forward: ").removeprefix("Backward through ").split()[0]
        marked = {k for k, look in frame.marks.items() if look == "now" and k.startswith("box")}
        assert marked == {f"box{at[name]}"}, frame.say


def test_upstream_is_the_gradient_and_local_the_derivative(player):
    """Each factor by calculus: the gradient above, and the derivative of the box's own formula."""
    values, slopes = by_hand()
    t = values["v₂"]
    local = {
        "v₅": [1, 1], "v₄": [0.5], "v₃": [values["d"], t], "v₂": [1 - t * t], "v₁": [0.25],
        "d": [1, 1], "c": [-3, 2],
    }  # fmt: skip
    for name, derivatives in local.items():
        frame = frame_of(player, f"Backward through {name} =")
        rows = [row for row in frame.math.split("</div>") if row]
        for row, derivative in zip(rows, derivatives, strict=True):
            up, own, share = numbers(row.rpartition('<span class="up">')[2])[:3]
            assert up == pytest.approx(slopes[name], rel=1e-3)
            assert own == pytest.approx(derivative, rel=1e-3)
            assert share == pytest.approx(slopes[name] * derivative, rel=1e-3)


def test_upstream_times_local_is_what_is_sent(player):
    """In each line of a backward step the product, the share and the running total agree."""
    lines = [
        line
        for f in player.frames
        if f.say.startswith("Backward through")
        for line in f.math.split("</div>")
        if line
    ]
    assert len(lines) == 11  # one for each argument that is no constant
    for line in lines:
        up, local, share, *total = numbers(line.rpartition("up")[2])
        assert up * local == pytest.approx(share, rel=2e-3), line
        if total:
            before, again, after = total
            assert again == share
            assert before + share == pytest.approx(after, rel=2e-3, abs=1e-3)
    assert sum("+=" in line for line in lines) == 3


def test_a_value_used_twice_shows_its_addition(player):
    a = boxes(player)["a"]
    texts = [shown(player, f"grad{a}", i) for i in range(len(player))]
    _, slopes = by_hand()
    first = slopes["d"]
    assert numbers(texts[-2]) == [
        pytest.approx(first, rel=1e-3),
        pytest.approx(slopes["a"] - first, rel=1e-3),
    ]
    assert "+=" in texts[-2]
    assert "+=" not in texts[-1]
    assert player.state(len(player) - 2).classes[f"plus{a}"].split() == ["shown"]


def test_arrays_are_shown_whole():
    x, w = leaf(normal(3, 2)), leaf(normal(2, 2, seed=1))
    loss = (x @ w).relu().sum()
    player = viz.step_through(loss, {"x": x, "w": w})
    xa, wa = x.numpy(), w.numpy()
    g = (xa @ wa > 0).astype(float)
    step = next(f for f in player.frames if "Backward through v₁" in f.say)
    wanted = [*(g @ wa.T).ravel(), *(xa.T @ g).ravel()]
    np.testing.assert_allclose(numbers(step.math), wanted, rtol=1e-3)
    last = player.frames[-1]
    np.testing.assert_allclose(numbers(last.math), wanted, rtol=1e-3)


def test_broadcasting_says_that_it_is_summed():
    x, b = leaf(normal(3, 2)), leaf(normal(2, seed=1))
    player = viz.step_through((x + b).sum(), {"x": x, "b": b})
    step = next(f for f in player.frames if "Backward through v₁" in f.say)
    to_x, to_b = [line for line in step.math.split("</div>") if line]
    assert "broadcasting" not in to_x
    assert "broadcasting" in to_b
    assert numbers(to_b.rpartition("=")[2]) == [3, 3]


def test_a_mean_says_what_it_divides_by():
    x = leaf(normal(3, 4))
    step = viz.step_through(x.mean(), {"x": x}).frames[-2]
    assert numbers(step.math) == [12, *[pytest.approx(1 / 12, rel=1e-3)] * 12]


def frame_of(player, start):
    return next(f for f in player.frames if f.say.startswith(start))


def test_what_is_said_of_arrays():
    x = leaf([1.0, -2, 3, -4, 5])
    player = viz.step_through((x.relu() * x).sum(), {"x": x})
    assert player.frames[0].say.endswith("x = [1, −2, 3, −4, 5].")
    assert "5 numbers, all 1" in frame_of(player, "Backward through v₃").say
    assert "5 numbers between 0 and 5 are added" in frame_of(player, "Backward through v₁").say
    empty = leaf(np.zeros((0, 3)))
    player = viz.step_through(empty.sum(), {"x": empty})
    assert player.frames[-1].say == "Done. The gradients of v₁ are, by x: 0 × 3 numbers."
    assert "0 × 3 numbers" in player.frames[-1].math
    wide = leaf(np.linspace(0.123, 9, 7))
    u = boxes(viz.step_through(wide.sum(), {"x": wide}))["x"]
    assert shown(viz.step_through(wide.sum(), {"x": wide}), f"value{u}", 0) == "7 numbers"
    broken = leaf([np.nan, 1, 2, 3, 4])
    player = viz.step_through((broken * 2).sum(), {"x": broken})
    assert "5 numbers, 1 of them NaN" in frame_of(player, "Forward: v₁").say


def test_formulas_have_the_parentheses_that_they_need():
    x = leaf(-2.0)
    player = viz.step_through((x.exp() + x**-3) * 1.0, {"x": x})
    plain = [re.sub("<[^>]*>", "", f.math) for f in player.frames]
    assert "exp(−2)" in plain[1]
    assert "((" not in "".join(plain)
    assert "(−3) · x−4" in next(m for m in plain if "x−4" in m)


def test_options_are_written_as_in_a_program():
    x = leaf(normal(4, 3))
    player = viz.step_through(x[1:, 0].reshape(3, 1).sum(), {"x": x})
    text = [html.unescape(re.sub("<[^>]*>", "", f.math)) for f in player.frames]
    assert "with key = (1:, 0)" in text[1]
    assert "with shape = (3, 1)" in text[2]
    assert "with" not in text[3]
    masked = viz.step_through(minires.where(x > 0, x, x * 0.1).sum(), {"x": x})
    assert "where(condition, x, v₁)" in masked.frames[2].say


def test_data_outside_the_graph_keeps_its_name():
    data = Tensor(normal(3, 2))
    target = normal(3, 1)
    w = leaf(normal(2, 1))
    error = data @ w - target
    player = viz.step_through((error * error).sum())
    headings = [p.text for p in player.scene.parts if getattr(p, "cls", "") == "strong"]
    assert "v₁ = data @ w" in headings
    assert "error = v₁ − target" in headings


def test_the_users_gradients_and_graph_stay():
    loss, names = expression()
    a = names["a"]
    a.grad = Tensor(np.array(7.0))
    viz.step_through(loss, names)
    assert a.grad.item() == 7.0
    assert names["b"].grad is None
    assert all(node.op is None or node.kept is not None for node in topological_order(loss.node))
    loss.backward()
    assert a.grad.item() == pytest.approx(7 + by_hand()[1]["a"])


def test_names_come_from_the_caller():
    weight = leaf(2.0)
    squared = weight * weight
    assert set(boxes(viz.step_through(squared))) == {"weight", "squared"}


def test_names_are_escaped():
    x = leaf(2.0)
    evil = "</script><img src=x onerror=alert(1)>"
    page = viz.step_through(x * x, {evil: x}).html()
    assert "<img src=x" not in page
    assert page.count("</script>") == 1
    assert "&lt;img" in viz.step_through(x * x, {evil: x}).frames[0].math


def test_the_same_graph_gives_the_same_bytes():
    assert viz.step_through(*expression()).html() == viz.step_through(*expression()).html()


def test_a_freed_graph_is_a_clear_error():
    loss, names = expression()
    loss.backward()
    with pytest.raises(BackwardError, match="freed by an earlier backward"):
        viz.step_through(loss, names)
    with pytest.raises(BackwardError, match="not in a graph"):
        viz.step_through(Tensor(1.0))
    with pytest.raises(BackwardError, match="one element"):
        viz.step_through(leaf([1.0, 2.0]) * 2)
    with pytest.raises(TypeError, match="wants a Tensor"):
        viz.step_through(3.0)
    x = leaf(2.0)
    with pytest.raises(TypeError, match="names as a mapping"):
        viz.step_through(x * x, [x])


def small_net():
    net = models.resnet8(in_channels=1)
    images = Tensor(normal(2, 12, 12, 1, dtype=np.float32))
    return net, F.cross_entropy(net(images), np.array([1, 2]))


def test_a_network_is_folded_by_module():
    net, loss = small_net()
    player = viz.step_through(loss, {"net": net})
    at = boxes(player)
    assert {"net.conv1", "net.layer1.0.bn1", "net.layer3.0.conv2", "net.fc"} <= set(at)
    assert len(at) == 17
    loss.backward(retain_graph=True)
    u = at["net.layer2.0.conv2"]
    step = next(f for f in player.frames if "Backward through net.layer2.0.conv2" in f.say)
    norm = np.linalg.norm(net.layer2[0].conv2.weight.grad.numpy())
    assert numbers(step.math)[-1] == pytest.approx(norm, rel=1e-3)
    assert shown(player, f"value{u}") == "2 × 6 × 6 × 32"


def test_every_number_of_a_folded_network():
    """Fourteen linear layers with ReLU in plain NumPy: every norm and shape that is shown."""
    count = 14
    net = nn.Sequential(*[layer for _ in range(count) for layer in (nn.Linear(3, 3), nn.ReLU())])
    for i in range(count):
        net[2 * i].weight.data[...] = np.eye(3) + 0.2 * normal(3, 3, seed=i)
        net[2 * i].bias.data[...] = 0.3 * normal(3, seed=100 + i)
    x = normal(2, 3, dtype=np.float32)
    loss = net(Tensor(x)).sum()
    player = viz.step_through(loss, {"net": net})
    inputs, outs = [], [x]
    for i in range(count):
        inputs.append(outs[-1])
        before = outs[-1] @ net[2 * i].weight.numpy() + net[2 * i].bias.numpy()
        outs.append(before * (before > 0))
    norms, g = {}, np.ones((2, 3))
    for i in reversed(range(count)):
        inner = g * (outs[i + 1] > 0)
        parts = g, inputs[i].T @ inner, inner.sum(axis=0)
        norms[f"net.{2 * i}"] = [np.linalg.norm(part) for part in parts]
        g = inner @ net[2 * i].weight.numpy().T
    norms[f"net.{2 * count - 2}"][0] = 1.0  # the sum is folded into the last box
    at = boxes(player)
    assert set(at) == set(norms)
    assert numbers(player.frames[0].say) == numbers(player.frames[0].math) == [28, 168]
    for name, u in at.items():
        wanted = [pytest.approx(norm, rel=1e-3) for norm in norms[name]]
        last = name == f"net.{2 * count - 2}"
        value = outs[-1].sum() if last else None
        forward = next(f for f in player.frames if f.say.startswith(f"Forward through {name}:"))
        assert numbers(forward.say)[-1:] == ([] if last else [3])
        assert numbers(forward.math) == [3, 3, 3]
        text = shown(player, f"value{u}")
        assert numbers(text) == ([pytest.approx(value, rel=1e-3)] if last else [2, 3])
        step = next(f for f in player.frames if f.say.startswith(f"Backward through {name}:"))
        assert numbers(step.say)[-1] == wanted[0]
        assert numbers(step.math) == wanted
        assert numbers(shown(player, f"grad{u}")) == [wanted[0]]


def test_the_folded_shortcut_is_an_addition():
    net, loss = small_net()
    player = viz.step_through(loss, {"net": net})
    plus = {key for f in player.frames for key in f.marks if key.startswith("plus")}
    at = boxes(player)
    shortcuts = {at["net.bn1"], at["net.layer1.0.bn2"], at["net.layer2.0.bn2"]}
    assert plus == {f"plus{u}" for u in shortcuts}
    said = [f.say for f in player.frames if "used more than once, so it is added" in f.say]
    assert len(said) == 3
    assert "net.bn1 was used more than once" in said[-1]


def test_without_a_module_it_is_folded_by_line():
    x = leaf(1.5)
    y = x
    for _ in range(30):
        y = y * 0.9
        y = y + 0.1
    with pytest.raises(viz.TooLargeError, match="61 values"):
        viz.step_through(y, {"x": x})
    y = x
    for _ in range(60):
        y = y * 0.9
    player = viz.step_through(y, {"x": x})
    assert len(boxes(player)) == 1


def test_every_operation_has_a_formula_that_fits_it():
    adjoints = {"conv2d_dx", "conv2d_dw", "put_along"}  # in second derivatives only
    operations = [getattr(minires.ops, name) for name in minires.ops.__all__]
    named = {f.name: f for f in operations if isinstance(f, Op) and f.rule}
    assert set(named) - adjoints <= set(RULES)
    for name in set(named) & set(RULES):
        rule = RULES[name]
        assert len(rule.local or rule.whole) == len(named[name].arguments), name
        arguments = ["x", "y", "z", "w"][: len(named[name].arguments)]
        assert "x" in forward_formula(name, arguments)


def test_an_operation_of_ones_own_is_shown_by_its_name():
    @op
    def cube(x):
        return x**3

    @cube.vjp
    def cube_vjp(g, x):
        return (g * 3 * x**2,)

    x = leaf(2.0)
    player = viz.step_through(cube(x), {"x": x})
    assert "cube(x) gives 8" in player.frames[1].say
    assert "x gets 12" in player.frames[-2].say


def test_it_draws_without_a_display():
    loss, names = expression()
    figure = viz.step_through(loss, names).plot()
    texts = {t.get_text() for ax in figure.axes for t in ax.texts}
    assert {"a", "b", "−3"} <= texts


def test_sequential_units_are_named_after_the_variable():
    net = nn.Sequential(*[nn.Linear(3, 3) for _ in range(12)])
    loss = net(Tensor(normal(2, 3, dtype=np.float32))).sum()
    assert {"net.0", "net.11"} <= set(boxes(viz.step_through(loss)))
