"""torchvision's networks: the same keys and shapes, and with the same weights the same logits."""

import pytest
from interop.torchvision import (
    SHAPES,
    as_torch_file,
    assert_logits_are_torchvisions,
    filled,
)

import minires
from minires import models, nn
from minires.interop.state_dicts import torch_axes


@pytest.mark.parametrize("name", SHAPES)
def test_keys_and_shapes_are_torchvisions(name, monkeypatch):
    monkeypatch.setattr(nn.init, "_fill", lambda tensor, draw: tensor)  # nobody looks at them
    ours = models.create(name).state_dict()
    assert list(ours) == list(SHAPES[name])
    for key, shape in SHAPES[name].items():
        assert ours[key].shape == tuple(shape[i] for i in torch_axes(key, len(shape))), key


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_logits_are_torchvisions(name, tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(as_torch_file(filled(name)))
    assert_logits_are_torchvisions(minires.load(path, name), name)
