"""The published ResNet-20 in the data folder, and PyTorch's logits for CIFAR-10's test images."""

import numpy as np

from minires import Tensor, data, no_grad
from minires.interop import load_weights

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WEIGHTS, LOGITS = "resnet20-12fca82f.th", "resnet20-12fca82f.torch_logits_test10000.npy"


def logits_of_both(folder, count):
    """Ours and PyTorch's, float32 (count, 10) each, and the labels."""
    network = load_weights(folder / WEIGHTS, "resnet20")
    images = data.load_dataset("cifar10", folder, train=False)
    prepare = data.Normalize(MEAN, STD)
    ours = []
    with no_grad():
        for start in range(0, count, 250):
            batch = prepare(images.images[start : min(start + 250, count)])
            ours.append(network(Tensor(batch)).numpy())
    theirs = np.load(folder / LOGITS, allow_pickle=False)[:count]
    return np.concatenate(ours), theirs, images.labels[:count]
