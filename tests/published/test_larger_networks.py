"""The larger networks of torchvision give its logits; tests/interop has the smaller."""

import pytest
from interop.torchvision import (
    SHAPES,
    as_torch_file,
    assert_logits_are_torchvisions,
    filled,
)

import minires


@pytest.mark.parametrize("name", sorted(set(SHAPES) - {"resnet18", "resnext50_32x4d"}))
def test_logits_are_torchvisions(name, tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(as_torch_file(filled(name)))
    assert_logits_are_torchvisions(minires.load(path, name), name)
