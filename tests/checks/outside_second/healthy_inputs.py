"""Healthy trainings with unusual inputs, norms and dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import RowTransformer, Setup, conv, mlp, parts, raw

from minires import Tensor, nn, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, batches, images, judged_by, most_likely, sums
from outside_second.register import healthy
from outside_second.trainings import trained


@healthy("group norm, with four images a batch", epochs=3)
def groups_of_channels() -> Setup:
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False),
        nn.GroupNorm(3, 12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(192, 10),
    )
    return trained(model, optim.SGD(model.parameters(), lr=0.01, momentum=0.9), 4)


@healthy("residual blocks are skipped at random in training", epochs=4)
def blocks_skipped() -> Setup:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.skip = nn.Linear(48, 48), nn.StochasticDepth(0.3)

        def forward(self, x: Any) -> Any:
            return x + self.skip(F.relu(self.layer(x)))

    blocks = [Block() for _ in range(4)]
    return trained(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 48), *blocks, nn.Linear(48, 10)), size=16
    )


class Normalising(nn.Module):
    """A network that takes pixels as they are and standardises them by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", Tensor(np.full(1, 77.0, np.float32)))
        self.register_buffer("std", Tensor(np.full(1, 94.0, np.float32)))
        self.inner = mlp(48)

    def forward(self, x: Any) -> Any:
        return self.inner((x - self.mean) / self.std)


@healthy(
    "inputs are pixels from 0 to 255: the model standardises them by itself",
    judge=accuracy_of("digits", raw),
)
def normalises_by_itself() -> Setup:
    x, y, xv, yv = images(prepare=raw)
    model = Normalising()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


def levels(pixels: np.ndarray, name: str) -> np.ndarray:
    """Eight levels of grey as whole numbers."""
    return (pixels // 32).reshape(len(pixels), 64).astype(np.int64)


class Looked(nn.Module):
    """Each pixel's level is looked up in a table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, 3)
        self.rest = nn.Sequential(nn.Linear(192, 48), nn.ReLU(), nn.Linear(48, 10))

    def forward(self, x: Any) -> Any:
        return self.rest(self.table(x).reshape(x.shape[0], -1))


@healthy("inputs are whole numbers, for an embedding", judge=accuracy_of("digits", levels))
def pixels_looked_up() -> Setup:
    x, y, xv, yv = images(prepare=levels)
    model = Looked()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


def bits(pixels: np.ndarray, name: str) -> np.ndarray:
    return (pixels > 100).astype(np.float32)


@healthy("inputs are zeros and ones", judge=accuracy_of("digits", bits), good=0.8)
def black_and_white() -> Setup:
    x, y, xv, yv = images(prepare=bits)
    model = conv()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


def framed(pixels: np.ndarray, name: str) -> np.ndarray:
    known = parts(name)
    inside = (pixels.astype(np.float32) / 255 - known.mean) / known.std
    return np.pad(inside, ((0, 0), (3, 3), (3, 3), (0, 0))).astype(np.float32)


@healthy("images lie in a wide frame of zeros", judge=accuracy_of("digits", framed), epochs=4)
def wide_frame() -> Setup:
    x, y, xv, yv = images(prepare=framed)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(432, 10)
    )
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


class Masked(nn.Module):
    """The mean over a sequence without its padding."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(1, 16), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, x: Any) -> Any:
        mask = x[:, :, 1:]
        return self.head((self.each(x[:, :, :1]) * mask).sum(1) / mask.sum(1))


@healthy(
    "sequences are padded with zeros, which a mask keeps out",
    judge=judged_by(sums, most_likely),
    good=0.85,
    epochs=8,
)
def padding_is_masked() -> Setup:
    (x, y), valid, _ = sums()
    model = Masked()
    optimizer = optim.RMSprop(model.parameters(), lr=5e-3)
    return Setup(model, batches(x, y), valid, F.cross_entropy, optimizer)


def double(pixels: np.ndarray, name: str) -> np.ndarray:
    known = parts(name)
    return (pixels / 255.0 - known.mean) / known.std


@healthy("all is float64", judge=accuracy_of("digits", double))
def float64_throughout() -> Setup:
    x, y, xv, yv = images(prepare=double)
    model = mlp(48).double()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@healthy("attention over the rows of an image", epochs=7)
def attention_over_rows() -> Setup:
    model = RowTransformer()
    return trained(model, optim.AdamW(model.parameters(), lr=3e-3))


@healthy("half of the inputs are dropped, and half of the hidden units", epochs=8)
def much_is_dropped() -> Setup:
    drop = nn.Dropout
    layers = [nn.Flatten(), drop(0.3), nn.Linear(64, 160), nn.ReLU(), drop(0.5)]
    return trained(nn.Sequential(*layers, nn.Linear(160, 10)))
