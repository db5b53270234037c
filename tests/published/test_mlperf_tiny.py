"""MLPerf Tiny's ResNet-8 for CIFAR-10, a Keras file: at the accuracy that is published, 87.2%.

The file is pretrainedResnet.h5 of github.com/mlcommons/tiny, in the data folder or where
MINIRES_MLPERF_RESNET8 says. Where it is not, tests/interop has a small file of the same layout.
"""

import os
from pathlib import Path

import pytest

import minires
from minires import data
from minires.training import evaluate


@pytest.mark.shared
def test_the_published_accuracy(shared):
    default = shared / "data" / "pretrainedResnet.h5"
    path = Path(os.environ.get("MINIRES_MLPERF_RESNET8", default))
    if not path.is_file():
        pytest.skip(f"no {path}: tried by hand, see docs/weights.md")
    network = minires.load(path)
    images = data.load_dataset("cifar10", shared / "data", train=False)
    pixels = data.Normalize((0, 0, 0), (1 / 255,) * 3)  # as they are, 0 to 255
    assert evaluate(network, images, transform=pixels, batch_size=250).correct == 8_721
