"""The published ResNet-20 on part of CIFAR-10's test images; tests/published has all of them."""

import shutil

import numpy as np
import pytest
from interop.published import WEIGHTS, logits_of_both

import minires


@pytest.mark.slow
@pytest.mark.shared
def test_logits_are_pytorchs(shared):
    ours, theirs, labels = logits_of_both(shared / "data", 500)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    assert (ours.argmax(1) == labels).mean() > 0.88


@pytest.mark.shared
def test_the_files_name_says_nothing(shared, tmp_path):
    shutil.copy(shared / "data" / WEIGHTS, tmp_path / "resnet50.npz")
    network = minires.load(tmp_path / "resnet50.npz", "resnet20")
    assert network.architecture["name"] == "resnet20"
