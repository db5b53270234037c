"""Networks to compile: those of the library, and blocks that it has no layers for."""

import numpy as np

from minires import models, nn, ops
from minires.nn import functional as F


class Transformer(nn.Module):
    """A pre-norm block with attention, written in operations."""

    def __init__(self, width=16, heads=4):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(np.linspace(0.5, 1.5, width, dtype=np.float32))
        self.shift = nn.Parameter(np.linspace(-0.1, 0.1, width, dtype=np.float32))

    def norm(self, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = (x.var(axis=-1, keepdims=True) + 1e-5).sqrt()
        return centred / spread * self.scale + self.shift

    def split(self, x):
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(0, 2, 1, 3)

    def attend(self, x):
        q, k, v = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        weights = F.softmax(q @ k.transpose(0, 1, 3, 2) * (1 / q.shape[-1] ** 0.5), -1)
        return self.out((weights @ v).transpose(0, 2, 1, 3).reshape(x.shape))

    def forward(self, x):
        x = x + self.attend(self.norm(x))
        y = self.up(self.norm(x))
        gelu = y * 0.5 * (1 + (0.7978845608 * (y + 0.044715 * y * y * y)).tanh())
        return x + self.down(gelu)


class Inception(nn.Module):
    """Branches that meet again, a value used three times, pooling after a bias."""

    def __init__(self):
        super().__init__()
        self.one, self.three = nn.Conv2d(4, 6, 1), nn.Conv2d(4, 6, 3, padding=1)
        self.wide = nn.Conv2d(4, 8, (1, 5), padding=(0, 2), stride=1, dilation=1)
        self.norm = nn.BatchNorm2d(20)
        self.end = nn.Conv2d(20, 20, 3, padding=1, groups=5)

    def forward(self, x):
        parts = [self.one(x), self.three(x), self.wide(x)]
        x = ops.concatenate(parts, axis=-1)
        y = F.relu(self.norm(x))
        z = F.max_pool2d(F.relu(self.end(y) + y), 3, 2, 1)
        return {"pooled": z, "pair": (y.mean(axis=(1, 2)), ops.where(z > 0.5, z, -z))}


def depthwise():
    return nn.Sequential(
        *(nn.Conv2d(8, 8, 3, groups=8, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 12, 3, dilation=2), nn.LeakyReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(12, 4, (1, 3), stride=2, groups=2), nn.AvgPool2d(2), nn.Flatten()),
        nn.Linear(4, 3),
    )


def perceptron():
    layers = nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4)
    return nn.Sequential(*layers, nn.Softmax())


NETWORKS = {
    "resnet20": (models.resnet20, (3, 16, 16, 3)),
    "one image": (models.resnet20, (1, 32, 32, 3)),
    "shortcut B": (lambda: models.create("resnet8", shortcut="B", in_channels=1), (5, 14, 14, 1)),
    "shortcut C": (lambda: models.create("resnet14", shortcut="C"), (2, 12, 12, 3)),
    "plain20": (models.plain20, (2, 16, 16, 3)),
    "resnet18": (lambda: models.resnet18(num_classes=7), (2, 64, 64, 3)),
    "resnet50": (lambda: models.resnet50(num_classes=7), (1, 64, 64, 3)),
    "resnext50": (lambda: models.resnext50_32x4d(num_classes=7), (1, 32, 32, 3)),
    "pre-activation": (lambda: models.create("preact_resnet20"), (3, 16, 16, 3)),
    "pre-activation bottleneck": (
        lambda: models.create("preact_resnet50", num_classes=5),
        (1, 32, 32, 3),
    ),
    "transformer": (Transformer, (3, 7, 16)),
    "inception": (Inception, (4, 9, 7, 4)),
    "depthwise": (depthwise, (6, 14, 14, 8)),
    "perceptron": (perceptron, (5, 8)),
}


def settled(make, shape, dtype=np.float32):
    """A network whose batch norms have seen a batch, in evaluation mode, and an input."""
    from minires import Tensor, manual_seed, no_grad

    manual_seed(0)
    network = make()
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    if shape[0] > 1:
        with no_grad():
            network(Tensor(x))
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.dtype.kind == "f" and tensor.dtype != dtype:
            tensor.data = tensor.data.astype(dtype)
    return network.eval(), x.astype(dtype)
