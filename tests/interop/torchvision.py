"""What tools/build_torchvision_fixtures.py wrote: torchvision's keys, shapes and logits."""

import gzip
import json
from pathlib import Path

import numpy as np
from interop.formula import fill, image
from interop.torch_files import Storage, tensor, zipped

from minires import Tensor, no_grad

FOLDER = Path(__file__).parent / "fixtures"
SHAPES = json.loads(gzip.decompress((FOLDER / "torchvision_shapes.json.gz").read_bytes()))["shapes"]
LOGITS = np.load(FOLDER / "torchvision_logits.npz", allow_pickle=False)


def filled(name):
    """A state dict of one of torchvision's networks, in its layout, by the formula."""
    return {key: fill(key, shape) for key, shape in SHAPES[name].items()}


def as_torch_file(state):
    """The bytes of a file as `torch.save(state)` writes it."""
    return zipped({key: tensor(Storage(a, str(i))) for i, (key, a) in enumerate(state.items())})


def logits(network, **size):
    """A network's logits for the images of the formula."""
    with no_grad():
        return network(Tensor(image(**size).transpose(0, 2, 3, 1))).numpy()


def assert_logits_are_torchvisions(network, name):
    """To 1e-4 of the largest."""
    scale = abs(LOGITS[name]).max()
    np.testing.assert_allclose(logits(network), LOGITS[name], rtol=0, atol=1e-4 * scale)
