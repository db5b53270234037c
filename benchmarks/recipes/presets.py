"""Which recipes are trained, how often, and on which data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minires import data
from minires.data import DataError
from minires.training.recipe import make_recipe

Files = Callable[[Sequence[Path], Path], tuple[dict[str, Any], str]]
"""Where a preset's data are, given folders with official files and one to write to: options of
`minires train`, and a word about the images if they are not all or not the real ones."""


@dataclass(frozen=True)
class Preset:
    """A recipe and how often it is trained."""

    name: str
    given: dict[str, Any]  # options of `minires train`; what they leave out is the recipe's own
    seeds: int
    kernels: int  # how many of those that are compared
    files: Files

    def settings(self) -> dict[str, Any]:
        """The whole recipe, but for the seed, where data are, and how batches are computed."""
        recipe = asdict(make_recipe(**self.given))
        left_out = ("seed", "data_dir", "download", "compile", "sync_batch_norm")
        return {key: recipe[key] for key in recipe if key not in left_out}


def inside(official: Sequence[Path], work: Path) -> tuple[dict[str, Any], str]:
    """Data that come with the package."""
    return {}, ""


def from_files(name: str) -> Files:
    """The official files, in the first of the folders that has them."""

    def find(official: Sequence[Path], work: Path) -> tuple[dict[str, Any], str]:
        return {"data_dir": folder_with(name, official)}, ""

    return find


def folder_with(name: str, folders: Sequence[Path]) -> Path:
    """The first folder that has a dataset's files.

    Raises
    ------
    DataError
        If none has.
    """
    for folder in folders:
        with suppress(DataError):
            data.load_dataset(name, folder, train=False)
            return folder
    raise DataError(f"{name} is in none of {', '.join(map(str, folders))}: name it by --data-dir")


PER_CLASS = {"train": 20, "test": 10}
"""Images of digits in the folder: at 224 pixels all 1,797 would take an hour a run."""


def digits_as_png(official: Sequence[Path], work: Path) -> tuple[dict[str, Any], str]:
    """A folder of folders with the first digits of each class as PNG."""
    from PIL import Image

    for part, count in PER_CLASS.items():
        images = data.digits(train=part == "train")
        for k, name in enumerate(images.classes):
            folder = work / "digits" / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in np.flatnonzero(images.labels == k)[:count]:
                Image.fromarray(images.images[i, :, :, 0]).save(folder / f"{i}.png")
    total = {part: 10 * count for part, count in PER_CLASS.items()}
    return {"data": work / "digits"}, (
        f"the digits as PNG, {total['train']} to train and {total['test']} to test"
    )


def cifar100(official: Sequence[Path], work: Path) -> tuple[dict[str, Any], str]:
    """CIFAR-100, or else CIFAR-10 with a hundred made-up classes: ten each, by brightness."""
    with suppress(DataError):
        return {"data_dir": folder_with("cifar100", official)}, ""
    source, folder = folder_with("cifar10", official), work / "cifar-100-binary"
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        whole = data.load_dataset("cifar10", source, train=part == "train")
        assert isinstance(whole, data.ImageDataset)
        brightness = whole.images.mean(axis=(1, 2, 3))
        rank = brightness.argsort(kind="stable").argsort()
        fine = 10 * whole.labels + rank * 10 // len(whole)
        planes = whole.images.transpose(0, 3, 1, 2).reshape(len(whole), -1)
        records = np.column_stack([whole.labels, fine, planes]).astype(np.uint8)
        records.tofile(folder / f"{part}.bin")
    return {"data_dir": work}, "CIFAR-10's images in a hundred made-up classes"


PRESETS = (
    Preset("fashion-mini", {}, 20, 2, inside),
    Preset("digits", {"data": "digits"}, 5, 2, inside),
    Preset("folder", {"data": "digits as PNG"}, 5, 2, digits_as_png),
    Preset("cifar10", {"data": "cifar10", "epochs": 5}, 2, 1, from_files("cifar10")),
    Preset(
        "fashion-mnist", {"data": "fashion-mnist", "epochs": 2}, 1, 1, from_files("fashion-mnist")
    ),
    Preset("cifar100", {"data": "cifar100", "epochs": 2}, 1, 1, cifar100),
)
