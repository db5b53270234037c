"""What is recorded on a GPU is shown as on NumPy."""

import numpy as np

from minires import Tensor, models, viz
from minires.nn import functional as F
from on_cupy.cases import normal

IMAGES, LABELS = normal(4, 8, 8, 1).astype(np.float32), np.arange(4)


def network(device):
    net = models.create("resnet8", 10, 1)
    for i, p in enumerate(net.parameters()):
        p.data[...] = normal(*p.shape, seed=i) * 0.2
    return net.to(device)


def expression(device):
    x = Tensor(normal(3, 2), device=device, requires_grad=True)
    w = Tensor(normal(2, 2, seed=1), device=device, requires_grad=True)
    return viz.step_through(((x @ w).relu() * w.sum()).mean(), {"x": x, "w": w})


def folded(device):
    net = network(device)
    loss = F.cross_entropy(net(Tensor(IMAGES, device=device)), LABELS)
    return viz.step_through(loss, {"net": net})


def test_the_stepper(gpu):
    host, device = expression("cpu"), expression("cuda")
    assert [f.to_json() for f in device.frames] == [f.to_json() for f in host.frames]
    assert [f.marks for f in folded("cuda").frames] == [f.marks for f in folded("cpu").frames]


def test_players_and_pictures_of_a_network(gpu):
    host, device = network("cpu"), network("cuda")
    drawn = [viz.graph(net, (8, 8, 1)).scene for net in (host, device)]
    assert drawn[0] == drawn[1]
    for look in (
        lambda net: viz.feature_maps(net, IMAGES[0], "layer2.0.conv1").values["maps"],
        lambda net: viz.grad_cam(net, IMAGES[0]).values["map"],
        lambda net: viz.filters(net).values["weight"],
        lambda net: viz.loss_landscape(net, (IMAGES, LABELS), points=3).values["loss"],
    ):
        np.testing.assert_allclose(look(device), look(host), rtol=1e-4, atol=1e-5)


def test_gradient_flow(gpu):
    batches = {d: (Tensor(IMAGES, device=d), LABELS) for d in ("cpu", "cuda")}
    host, device = (viz.gradient_flow(network(d), batches[d]) for d in batches)
    assert len(host) == len(device)
    for one, other in zip(host.scene.parts, device.scene.parts, strict=True):
        assert (
            getattr(one, "height", 0) == getattr(other, "height", 0)
            or abs(one.height - other.height) < 0.01
        )
