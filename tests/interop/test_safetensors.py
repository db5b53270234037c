"""The safetensors format, in and out."""

import json
import struct
import sys

import numpy as np
import pytest
from interop.torchvision import SHAPES, assert_logits_are_torchvisions, filled
from safetensors.numpy import load_file, save_file

import minires
from minires import models
from minires.interop import load_safetensors, load_weights, save_torch_compatible
from minires.training import FileError


def test_names_and_layouts(tmp_path, rng):
    conv, linear = rng.normal(size=(5, 3, 2, 1)), rng.normal(size=(4, 5))
    save_file({"module.a.weight": conv, "module.b.weight": linear}, tmp_path / "x")
    read = load_safetensors(tmp_path / "x")
    np.testing.assert_array_equal(read["a.weight"], conv.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(read["b.weight"], linear.T)


def test_bfloat16_becomes_float32(tmp_path):
    head = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    upper = (np.array([1, -2.5], np.float32).view(np.uint32) >> 16).astype("<u2")
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(head)) + head + upper.tobytes())
    read = load_safetensors(tmp_path / "x")["a"]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, [1, -2.5])


def test_torchvisions_weights_whatever_the_files_name(tmp_path):
    path = tmp_path / "weights.pth"
    save_file(filled("resnet18"), path)
    assert_logits_are_torchvisions(minires.load(path, "resnet18"), "resnet18")


@pytest.mark.parametrize("name", ["resnet8", "resnet18"])
def test_out_and_in_again(tmp_path, name):
    model = models.create(name)
    path = tmp_path / "new" / "weights"
    save_torch_compatible(model, path, {"source": "a test"})
    again = load_weights(path, name).state_dict()
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(again[key].numpy(), value.numpy())
    written = load_file(path)
    if name in SHAPES:
        assert {key: list(value.shape) for key, value in written.items()} == SHAPES[name]
    np.testing.assert_array_equal(written["fc.weight"].T, model.fc.weight.numpy())
    conv = model.conv1.weight.numpy()
    assert written["conv1.weight"][5, 2, 1, 0] == conv[1, 0, 2, 5]


def head(text, body=b""):
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "data",
    [
        head(b"{"),
        head(b"{}")[:9],
        head(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'),
        head(b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 8]}}', bytes(8)),
        head(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}', bytes(8)),
        struct.pack("<Q", 2**31) + b"{}",
    ],
)
def test_damaged_files_get_one_line(tmp_path, data):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"cannot load .*x: ") as caught:
        load_weights(path, "resnet8")
    assert "\n" not in str(caught.value)


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'minires\[interop\]'"):
        save_torch_compatible(models.resnet8(), tmp_path / "x")
    assert not (tmp_path / "x").exists()
