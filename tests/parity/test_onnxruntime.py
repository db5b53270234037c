"""ONNX, out and in, against onnxruntime."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers import normal
from interop.onnx_graphs import cases, ours
from interop.test_onnx import run, unusual
from parity.test_torch_resnets import Twin

from minires import models
from minires.interop import export_onnx, load_onnx

GRAPHS = cases()


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


SMALL = (("resnet20", 32), ("resnet56", 32), ("plain20", 32), ("preact_resnet20", 32))
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
