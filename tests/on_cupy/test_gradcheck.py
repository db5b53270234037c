"""gradcheck of what computes on a GPU; the numerical side stays on the host."""

import numpy as np
import pytest

from minires import Tensor, models, nn, ops
from minires.engine import op
from minires.gradcheck import gradcheck
from minires.kernels import ConvGeometry
from minires.nn import functional as F
from on_cupy.cases import normal


def test_a_layer_on_the_gpu(gpu):
    linear = nn.Linear(4, 3, bias=False)
    layer = nn.Sequential(linear, nn.BatchNorm1d(3), nn.Dropout(0.3)).to("cuda")
    before = {name: (t.data, t.numpy().copy()) for name, t in layer.state_dict().items()}
    x = Tensor(normal(5, 4).astype(np.float32)).to("cuda")
    report = gradcheck(layer, [x])
    assert report.worst_error < 1e-7
    assert (x.device, x.dtype) == ("cuda:0", np.float32)
    for name, t in layer.state_dict().items():
        assert t.data is before[name][0]
        np.testing.assert_array_equal(t.numpy(), before[name][1])


def test_a_convolution_on_the_gpu(gpu):
    inputs = [Tensor(normal(*shape)).to("cuda") for shape in ((2, 5, 4, 2), (3, 3, 2, 3))]
    assert gradcheck(
        lambda x, w: ops.conv2d(x, w, geometry=ConvGeometry(stride=(2, 2), padding=(1, 1))), inputs
    )


def test_a_network_on_the_gpu_along_random_directions(gpu):
    net = models.create("resnet8", 10, 3).to("cuda")
    x, labels = Tensor(normal(2, 8, 8, 3)).to("cuda"), np.array([3, 7])
    assert gradcheck(lambda x: F.cross_entropy(net(x), labels), [x], mode="directional")


def by_half(g, x):
    return (g * x,)


def clipped(g, x):
    if isinstance(g, Tensor):
        return (2 * g * x,)
    return (2 * g.clip(-2, 2) * x,)


@pytest.mark.parametrize(
    ("rule", "words"), [(by_half, "off by a factor of 1/2"), (clipped, "not linear")]
)
def test_a_wrong_rule_is_found_on_the_gpu(gpu, rule, words):
    square = op(lambda x: x * x)
    square.vjp(rule)
    x = Tensor(normal(3, 4)).to("cuda")
    assert words in str(gradcheck(square, [x], raise_exception=False))
