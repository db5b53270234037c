"""How the experiments train: small images, the paper's recipe in proportion, resumable."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minires
from minires import data, nn, optim
from minires.data import ImageDataset
from minires.training import evaluate


@dataclass(frozen=True)
class Settings:
    """What the networks of one experiment have in common.

    The recipe is the paper's (section 4.2) in proportion: SGD with momentum 0.9 and weight decay
    1e-4, the rate divided by 10 at a half and three quarters of the steps, crops and flips.
    """

    dataset: str = "cifar10"
    images: int = 3_000  # the first so many of the training images
    test_images: int = 2_000
    size: int = 16  # pixels a side: blocks of the original are averaged
    epochs: int = 8
    batch_size: int = 32
    lr: float = 0.1
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Images:
    """The data of an experiment, and how to prepare them."""

    train: ImageDataset
    test: ImageDataset
    augment: data.Compose
    plain: data.Normalize

    @property
    def channels(self) -> int:
        return self.train.images.shape[-1]


def load_images(settings: Settings, data_dir: Path | None) -> Images:
    """The first images of the dataset, made smaller.

    Raises
    ------
    DataError
        If the data are not there.
    ValueError
        If the images cannot be made that small.
    """
    train, test = (
        _smaller(data.load_dataset(settings.dataset, data_dir, train=part), count, settings.size)
        for part, count in ((True, settings.images), (False, settings.test_images))
    )
    normalize = data.Normalize(*data.dataset_statistics(train.images))
    crop = data.RandomCrop(settings.size, padding=max(settings.size // 8, 1))
    augment = data.Compose([crop, data.RandomHorizontalFlip(), normalize])
    return Images(train, test, augment, normalize)


def _smaller(dataset: Any, count: int, size: int) -> ImageDataset:
    part: ImageDataset = dataset[:count]
    side = part.images.shape[1]
    if side % size:
        raise ValueError(
            f"images of {side}x{side} cannot be made {size}x{size} by averaging blocks"
        )
    n, k, channels = len(part), side // size, part.images.shape[-1]
    blocks = part.images.reshape(n, size, k, size, k, channels).astype(np.float32)
    part.images = np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)
    return part


def train(
    model: nn.Module,
    images: Images,
    settings: Settings,
    folder: Path,
    lr: float | None = None,
) -> dict[str, Any]:
    """Train, going on where an interrupted training in `folder` stopped.

    Returns
    -------
    dict
        `train_error`, `train_loss` by epoch, in percent and nats; `test_error` in percent, after
        the last epoch; `seconds`.
    """
    rate = settings.lr if lr is None else lr
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
    steps = settings.epochs * max(len(images.train) // settings.batch_size, 1)
    history = minires.fit(
        model,
        images.train,
        valid=None,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer=optimizer,
        schedule=optim.MultiStepLR(optimizer, [steps // 2, steps * 3 // 4]),
        transform=images.augment,
        seed=settings.seed,
        out=folder,
        resume=(folder / "last.npz").exists(),
    )
    result = evaluate(model, images.test, transform=images.plain)
    return {
        "train_error": [round(100 * (1 - e.train_accuracy), 3) for e in history],
        "train_loss": [round(e.train_loss, 5) for e in history],
        "test_error": round(100 * (1 - result.accuracy), 3),
        "seconds": round(sum(e.seconds for e in history), 1),
    }


def announce(name: str, started: float) -> None:
    """One line on the terminal: what comes next, and when."""
    print(f"{name}, {time.perf_counter() - started:.0f} s after the start", flush=True)
