"""ONNX, out and in, against onnxruntime."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers import normal
from interop import light_networks, onnx_node_tests
from interop.functional import Program
from interop.onnx_drawn import Drawn
from interop.onnx_graphs import cases, ours
from interop.test_onnx import run, unusual
from parity.test_torch_resnets import Twin
from parity.torch_networks import drawn_network

from minires import models, nn
from minires.interop import export_onnx, load_onnx

GRAPHS = cases()


def session(path, quiet=False):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4 if quiet else 2
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


SMALL = (
    ("resnet20", 32),
    ("resnet56", 32),
    ("plain20", 32),
    ("preact_resnet20", 32),
    ("se_resnet20", 32),
    ("convnext_micro", 32),
)
LARGE = (
    *((f"resnet{depth}", 64) for depth in (18, 34, 50, 101, 152)),
    *(("resnext50_32x4d", 64), ("wide_resnet50_2", 64), ("preact_resnet50", 64)),
)


@pytest.mark.parametrize(
    ("name", "size", "fold"),
    [
        *((*network, True) for network in SMALL + LARGE),
        *((*network, False) for network in (*SMALL, *LARGE[:3])),
    ],
)
def test_networks_give_the_same_logits(tmp_path, name, size, fold):
    network = unusual(models.create(name))
    x = normal(2, size, size, 3, dtype=np.float32)
    wanted = run(network, x)
    export_onnx(network, tmp_path / "x", (size, size, 3), fold_batch_norm=fold)
    (got,) = session(tmp_path / "x").run(["logits"], {"images": x.transpose(0, 3, 1, 2)})
    scale = abs(wanted).max()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * scale)
    if name in ("resnet20", "resnet18"):
        again = run(load_onnx(tmp_path / "x"), x)
        np.testing.assert_allclose(again, got, rtol=0, atol=1e-5 * scale)


class Attending(nn.Module):
    """A pixel looks at those before it."""

    def __init__(self):
        super().__init__()
        self.conv, self.block = nn.Conv2d(3, 8, 3), models.TransformerBlock(8, 2, causal=True)

    def forward(self, x):
        return self.block(self.conv(x).reshape(x.shape[0], -1, 8))


LAYERS = [
    Attending,
    lambda: nn.Sequential(nn.ConvTranspose2d(3, 6, 3, 2, 1, 1, groups=3), nn.SiLU(), nn.GELU()),
    lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, (2, 3), (3, 1), dilation=2), nn.GroupNorm(2, 4)),
    lambda: nn.Sequential(nn.Upsample(scale_factor=(2, 1.5)), nn.LayerNorm(3), nn.GELU("tanh")),
    lambda: nn.Upsample((7, 9), mode="bilinear"),
    lambda: nn.Upsample((3, 11), mode="bilinear", align_corners=True),
    lambda: nn.SqueezeExcitation(3, 2),
]


@pytest.mark.parametrize("make", LAYERS)
def test_layers_after_resnets_give_the_same(tmp_path, make):
    network = make().eval()
    export_onnx(network, tmp_path / "x", (5, 6, 3))
    for count in (1, 3):
        x = normal(count, 5, 6, 3, dtype=np.float32)
        (got,) = session(tmp_path / "x").run(["logits"], {"images": x.transpose(0, 3, 1, 2)})
        got = got.transpose(0, 2, 3, 1) if got.ndim == 4 else got
        np.testing.assert_allclose(got, run(network, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("start", range(0, 300, 60))
def test_programs_of_functions(tmp_path, start):
    """What a forward may compute with functions, for any number of images."""
    for seed in range(start, start + 60):
        program = Program(seed).eval()
        export_onnx(program, tmp_path / "x", program.shape, fold_batch_norm=bool(seed % 2))
        runtime = session(tmp_path / "x", quiet=True)
        for count in (1, 2, 5):
            x = np.random.default_rng(seed).normal(size=(count, *program.shape)).astype(np.float32)
            wanted = run(program, x)
            (got,) = runtime.run(["logits"], {"images": x.transpose(0, 3, 1, 2)})
            got = got.transpose(0, 2, 3, 1) if got.ndim == 4 else got
            assert got.shape == wanted.shape, program.told
            scale = max(1, abs(wanted).max(initial=0))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * scale, err_msg=f"{seed}")


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_others(tmp_path, name):
    proto, x = GRAPHS[name]
    onnx.save(proto, tmp_path / "x")
    (wanted,) = session(tmp_path / "x").run(None, {"x": x})
    got = ours(load_onnx(tmp_path / "x"), name, x)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # PyTorch advises another exporter, which needs more packages
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_resnet_that_pytorch_exported(tmp_path, shortcut):
    torch.manual_seed(0)
    twin = Twin((1, 1, 1), (16, 32, 64), False, False, shortcut, 10).eval()
    x = torch.randn(2, 3, 32, 32)
    torch.onnx.export(twin, (x,), str(tmp_path / "x"), dynamo=False, opset_version=17)
    with torch.no_grad():
        wanted = twin(x).numpy()
    got = run(load_onnx(tmp_path / "x"), x.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * abs(wanted).max())


def test_pooling_rounded_up(tmp_path):
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    ).eval()
    export_onnx(net, tmp_path / "x", (19, 18, 3))
    x = np.random.default_rng(0).normal(size=(2, 3, 19, 18)).astype(np.float32)
    wanted = run(net, x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    (got,) = session(tmp_path / "x").run(None, {"images": x})
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    again = onnx_node_tests.run(load_onnx(tmp_path / "x"), x)
    np.testing.assert_allclose(again, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start", range(0, 200, 40))
def test_random_graphs(tmp_path, start):
    """Of every opset from 9 on, with convolutions and pools of every padding."""
    tried = 0
    for seed in range(start, start + 40):
        drawn = Drawn(seed)
        onnx.save(drawn.model(), tmp_path / "x")
        try:
            (wanted,) = session(tmp_path / "x", quiet=True).run(None, {"x": drawn.x})
        except Exception:  # its errors have no common base
            continue
        try:
            got = onnx_node_tests.run(load_onnx(tmp_path / "x"), drawn.x)
        except ValueError:  # refused
            continue
        tried += 1
        assert got.shape == wanted.shape, seed
        scale = max(1, abs(wanted).max())
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4 * scale, err_msg=f"{seed}")
    assert tried > 30


@pytest.mark.filterwarnings("ignore")  # PyTorch advises another exporter
@pytest.mark.parametrize("start", range(0, 80, 20))
def test_random_networks_of_pytorch(tmp_path, start):
    """Exported for opsets 9 to 20, read, computed, and written again."""
    tried = 0
    for seed in range(start, start + 20):
        network, shape, opset = drawn_network(seed)
        example = (torch.zeros(shape),)
        axes = {"x": {0: "N"}} if seed % 2 else None
        options = {"input_names": ["x"], "dynamic_axes": axes, "opset_version": opset}
        try:
            torch.onnx.export(network, example, str(tmp_path / "x"), dynamo=False, **options)
        except Exception:  # it cannot do it for every opset
            continue
        count = shape[0] + seed % 2
        x = np.random.default_rng(seed).normal(size=(count, *shape[1:])).astype(np.float32)
        with torch.no_grad():
            wanted = network(torch.from_numpy(x)).numpy()
        try:
            read = load_onnx(tmp_path / "x")
        except ValueError:  # PyTorch may ask in the graph whether to squeeze
            continue
        got = onnx_node_tests.run(read, x)
        scale = max(1, abs(wanted).max())
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4 * scale, err_msg=f"{seed}")
        export_onnx(read, tmp_path / "y", (*shape[2:], shape[1]))
        try:
            (again,) = session(tmp_path / "y", quiet=True).run(None, {"images": x})
        except Exception:  # it infers rounded-up pools wrongly, in PyTorch's file too
            continue
        np.testing.assert_allclose(again, wanted, rtol=1e-3, atol=1e-4 * scale, err_msg=f"{seed}")
        tried += 1
    assert tried > 12


@pytest.mark.parametrize("name", light_networks.NAMES)
def test_the_networks_of_the_onnx_package(tmp_path, name):
    if name in ("light_bvlc_alexnet", "light_vgg19", "light_zfnet512"):
        pytest.skip("half a gigabyte of weights: tried by hand, see docs/weights.md")
    proto, source, x = light_networks.load(name)
    onnx.save(light_networks.with_weights(proto), tmp_path / "x")
    (wanted,) = session(tmp_path / "x", quiet=True).run(None, {source: x})
    got = onnx_node_tests.run(load_onnx(tmp_path / "x"), x)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * abs(wanted).max())
