"""The picture of a network: its boxes, its edges with their shapes, with Graphviz and without."""

import subprocess

import numpy as np
import pytest
from helpers import leaf, normal
from reading import numbers

from minires import Tensor, models, nn, viz
from minires.viz import network
from minires.viz.layout import layered
from minires.viz.scene import Box, Curve, Label


@pytest.fixture(params=["plain", "dot"])
def placing(request, monkeypatch):
    """Our own layout, and Graphviz's: a canned answer where it is not installed."""
    if request.param == "plain":
        monkeypatch.setattr(network.shutil, "which", lambda name: None)
    return request.param


def parts(player):
    boxes = [p for p in player.scene.parts if isinstance(p, Box)]
    names = [p.text for p in player.scene.parts if isinstance(p, Label) and p.cls == "strong"]
    shapes = [p.text for p in player.scene.parts if isinstance(p, Label) and p.size == 11]
    edges = [p for p in player.scene.parts if isinstance(p, Curve)]
    return boxes, names, shapes, edges


def apart(boxes):
    return all(
        a.x + a.width <= b.x or b.x + b.width <= a.x
        or a.y + a.height <= b.y or b.y + b.height <= a.y
        for i, a in enumerate(boxes) for b in boxes[i + 1 :]
    )  # fmt: skip


def test_a_network_has_a_box_for_each_layer_and_the_shortcut(placing):
    net = models.resnet8(in_channels=1)
    net.train()
    boxes, names, shapes, edges = parts(viz.graph(net, (12, 12, 1)))
    layers = [n for n, m in net.named_modules() if not m._modules]
    called = [n for n in layers if "maxpool" not in n and "_last" not in n]
    assert set(called) <= set(names)
    assert len(boxes) == len(names)
    player = viz.graph(net, (12, 12, 1))
    assert numbers(player.frames[0].say) == [len(boxes)]
    assert len(edges) == len(boxes) - 1 + 3  # a chain, and one more way for each shortcut
    assert shapes.count("N × 6 × 6 × 32") == 9  # layer2: 6 inside, 1 beside, 2 out
    assert "N × 1 × 1 × 64" in shapes
    assert apart(boxes)
    assert net.training
    assert net.bn1.num_batches_tracked.item() == 0


def test_only_what_comes_from_the_images_has_their_number(placing):
    _, _, texts, _ = parts(viz.graph(models.TransformerBlock(6, 2), (5, 6)))
    assert "N × 5 × 6" in texts
    assert "6 × 6" in texts  # the part of in_proj_weight that makes queries
    assert not {"N ×", "N × ", "N × 6"} & set(texts)


def test_edges_touch_the_boxes_that_they_join(placing):
    boxes, _, _, edges = parts(viz.graph(models.resnet8(in_channels=1), (12, 12, 1), depth=2))
    for edge in edges:
        for x, y in (edge.points[0], edge.points[-1]):
            assert any(
                b.x - 4 <= x <= b.x + b.width + 4 and b.y - 4 <= y <= b.y + b.height + 4
                for b in boxes
            )


def test_a_tensors_graph_uses_the_callers_names(placing):
    x, weight = leaf(normal(3, 2)), leaf(normal(2, 4))
    hidden = (x @ weight).relu()
    total = (hidden * hidden).sum()
    boxes, names, shapes, edges = parts(viz.graph(total))
    assert names == ["x", "weight", "matmul", "hidden", "multiply", "total"]
    assert [s for s in shapes if "×" in s].count("3 × 4") == 3
    assert len(edges) == 5
    assert apart(boxes)


def test_names_are_escaped(placing):
    class Evil(nn.Module):
        def forward(self, x):
            return x * 2

    Evil.__name__ = "<b>&"
    page = viz.graph(nn.Sequential(Evil()), (3,)).html()
    assert "<b>&" not in page


def test_a_failing_dot_gives_way_to_the_plain_layout(monkeypatch):
    def broken(*args, **options):
        raise subprocess.CalledProcessError(1, "dot")

    monkeypatch.setattr(network.shutil, "which", lambda name: "/usr/bin/dot")
    monkeypatch.setattr(network.subprocess, "run", broken)
    boxes, *_ = parts(viz.graph(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), (2,)))
    assert len(boxes) == 3


def test_graphviz_is_given_sizes_and_shapes_only(monkeypatch):
    """What dot answers is read back: inches from the bottom left."""
    asked = []

    def answer(command, input, **options):
        asked.append(input)
        text = "graph 1 2 4\nnode n0 1 3.5 1.5 0.5 n0 solid box black grey\n"
        text += "node n1 1 0.5 1.5 0.5 n1 solid box black grey\n"
        text += 'edge n0 n1 4 1 3.25 1 2 1 1 1 0.75 "N × 2" 1.5 2 solid black\nstop\n'
        return subprocess.CompletedProcess(command, 0, stdout=text)

    monkeypatch.setattr(network.shutil, "which", lambda name: "/usr/bin/dot")
    monkeypatch.setattr(network.subprocess, "run", answer)
    player = viz.graph(nn.Sequential(nn.Linear(2, 3)), (2,))
    boxes, names, shapes, edges = parts(player)
    assert names == ["input", "0"]
    assert "Linear" not in asked[0]
    assert boxes[0].y < boxes[1].y
    assert edges[0].points == ((84, 66), (84, 156), (84, 228), (84, 246))
    assert (player.scene.width, player.scene.height) == (168, 312)
    assert "N × 2" in shapes


def test_errors():
    with pytest.raises(TypeError, match="input_shape"):
        viz.graph(nn.Linear(2, 3))
    with pytest.raises(TypeError, match="Tensor or a Module"):
        viz.graph(3)
    with pytest.raises(ValueError, match="no graph"):
        viz.graph(Tensor([1.0]))
    x = y = leaf(1.0)
    for _ in range(400):
        y = y * 2
    with pytest.raises(viz.TooLargeError, match="401 boxes"):
        viz.graph(y, names={"x": x})


def test_the_layered_layout_keeps_boxes_apart_and_runs_to_the_right():
    rng = np.random.default_rng(0)
    for n in (2, 7, 15):
        sizes = [(float(w), float(h)) for w, h in rng.integers(30, 120, (n, 2))]
        edges = sorted({(int(a), b) for b in range(1, n) for a in rng.integers(0, b, 2)})
        layout = layered(sizes, edges)
        boxes = [
            Box(x - w / 2, y - h / 2, w, h)
            for (x, y), (w, h) in zip(layout.centres, sizes, strict=True)
        ]
        assert apart(boxes)
        assert all(b.x >= -1e-9 and b.x + b.width <= layout.width + 1e-9 for b in boxes)
        assert all(b.y >= -1e-9 and b.y + b.height <= layout.height + 1e-9 for b in boxes)
        for (a, b), route in zip(edges, layout.routes, strict=True):
            assert layout.centres[a][0] < layout.centres[b][0]
            assert route[0] == (boxes[a].x + boxes[a].width, layout.centres[a][1])
            assert route[-1][0] == pytest.approx(boxes[b].x - 2)
            assert len(route) % 3 == 1
