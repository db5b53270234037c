"""Datasets by name, as the command line takes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from minires.data.builtin import digits, fashion_mini
from minires.data.dataset import ImageDataset
from minires.data.errors import DataError
from minires.data.folder import ImageFolder
from minires.data.parts import find_parts
from minires.data.split import split_by_name
from minires.data.standard import CIFAR10, CIFAR100, FashionMNIST
from minires.data.walk import folders_in

TEST_SHARE = 0.2  # of a folder that has no test images of its own

_EMBEDDED: dict[str, Callable[[bool], ImageDataset]] = {
    "digits": digits,
    "fashion-mini": fashion_mini,
}
_IN_FILES: dict[str, Callable[[Path, bool, bool], ImageDataset]] = {
    "fashion-mnist": FashionMNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
}
DATASET_NAMES = (*_EMBEDDED, *_IN_FILES)


def load_dataset(
    name_or_folder: str | Path,
    root: str | Path | None = None,
    *,
    train: bool,
    download: bool = False,
) -> ImageDataset | ImageFolder:
    """Load a dataset by its name, or the images in a folder.

    Parameters
    ----------
    name_or_folder : str or path
        `digits`, `fashion-mini`, `fashion-mnist`, `cifar10`, `cifar100`, or a folder with one
        folder of images a class. If it holds folders to train and to test on instead, by names
        such as `train` and `Test`, `training` and `val2017`, those are used, of `test` and
        `validation` the first; otherwise a fifth of each class, chosen by the names of its images,
        is the test set, and where there is nothing but `train`, a fifth of that.
    root : path, optional
        Where the files of `fashion-mnist`, `cifar10` and `cifar100` are. By default
        `default_root()`.
    train : bool
        The training images or the test images.
    download : bool
        Download the files to `root` if they are not there.

    Raises
    ------
    DataError
        If the name is unknown, if it cannot be told whether folders are classes or parts of the
        data set, or as the datasets do.
    """
    name = str(name_or_folder)
    if root == "":  # for a path the working directory, which nobody means
        raise DataError("load_dataset: root is empty")
    if name in _EMBEDDED:
        return _EMBEDDED[name](train)
    if name in _IN_FILES:
        return _IN_FILES[name](default_root() if root is None else Path(root), train, download)
    folder = Path(name_or_folder)
    if not name or not folder.exists():
        raise DataError(
            f"unknown dataset {name!r}: expected one of {', '.join(DATASET_NAMES)}, "
            "or an existing folder with one folder of images a class"
        )
    return _image_folder(folder, train)


def default_root() -> Path:
    """Where data sets are looked for and downloaded to unless told otherwise.

    The folder that the environment variable MINIRES_DATA names, or `.cache/minires` in the home
    folder.

    Raises
    ------
    DataError
        If there is no home folder.
    """
    named = os.environ.get("MINIRES_DATA")
    try:
        return Path(named).expanduser() if named else Path.home() / ".cache" / "minires"
    except RuntimeError as error:
        if named:
            raise DataError(f"MINIRES_DATA={named}: there is no such home folder") from error
        raise DataError(
            "no home folder to look for data sets in: name another in MINIRES_DATA or --data-dir"
        ) from error


def _image_folder(folder: Path, train: bool) -> ImageFolder:
    parts = find_parts(folder)
    home = folder if parts is None else folder / parts.train
    whole = ImageFolder(home, folders_in(home) or None)
    if parts is not None and parts.test is not None:
        return whole if train else _test_folder(whole, folder / parts.test)
    rest, held = split_by_name(whole, TEST_SHARE)
    if not len(held):
        raise DataError(
            f"{folder}: {len(whole)} images are too few to hold some out for a test: no class has "
            "more than one"
        )
    return rest if train else held


def _test_folder(training: ImageFolder, folder: Path) -> ImageFolder:
    if folder.samefile(training.root):
        raise DataError(f"{folder} and {training.root} are the same folder: no test on new images")
    if not folders_in(folder):
        raise DataError(
            f"{folder}: no folders in it, so that the classes of its images are not known; put it "
            f"elsewhere, and a fifth of {training.root} will be held out instead"
        )
    # The test labels mean the same classes even where the test folder lacks one of them.
    return ImageFolder(folder, training.classes)
