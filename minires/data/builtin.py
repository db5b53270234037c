"""The data that come with the package, so that everything runs without a download."""

from __future__ import annotations

import numpy as np

from minires.data.arrays import UInt8Array
from minires.data.dataset import ImageDataset

DIGITS_TRAIN = 1437  # the first four fifths, in file order

FASHION_CLASSES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def digits(train: bool = True) -> ImageDataset:
    """Handwritten digits, 8x8: 1,437 images to train on, 360 to test on.

    The "optical recognition of handwritten digits" of the UCI repository (its test part, as in
    scikit-learn). The split is by position in the file, the first 1,437 and the last 360, since
    the file goes from writer to writer: the test digits are mostly in hands not trained on.
    Values 0 to 16, the number of inked pixels in a 4x4 block, are scaled to 0 to 255 and rounded.

    Returns
    -------
    ImageDataset
        Images uint8 (N, 8, 8, 1).
    """
    images = _embedded("digits", "images")
    labels = _embedded("digits", "labels")
    part = slice(None, DIGITS_TRAIN) if train else slice(DIGITS_TRAIN, None)
    scaled = ((images[part].astype(np.uint16) * 255 + 8) // 16).astype(np.uint8)
    return ImageDataset(
        scaled[..., None], labels[part], tuple("0123456789"), _name("digits", train)
    )


def fashion_mini(train: bool = True) -> ImageDataset:
    """A part of Fashion-MNIST, 28x28: 5,000 images to train on, 1,000 to test on.

    The first 500 training images and the first 100 test images of each of the ten classes, in the
    order of the original files (Xiao, Rasul and Vollgraf, "Fashion-MNIST", 2017).

    Returns
    -------
    ImageDataset
        Images uint8 (N, 28, 28, 1).
    """
    part = "train" if train else "test"
    images = _embedded("fashion-mini", f"{part}_images")
    labels = _embedded("fashion-mini", f"{part}_labels")
    return ImageDataset(images[..., None], labels, FASHION_CLASSES, _name("fashion-mini", train))


def pride_and_prejudice() -> str:
    """The first volume of Jane Austen's novel, for models of text: chapters 1 to 23, one line each
    paragraph; 230,049 characters, of which 73 are different.

    Returns
    -------
    str
        Plain ASCII. In the public domain.
    """
    return _embedded("austen", "text").tobytes().decode("ascii")


def _name(name: str, train: bool) -> str:
    return f"{name} ({'train' if train else 'test'})"


def _embedded(file: str, array: str) -> UInt8Array:
    from importlib import resources  # which brings a tenth of what `import minires` takes

    resource = resources.files(__package__).joinpath("embedded", f"{file}.npz")
    with resource.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        content: UInt8Array = archive[array]
    return content
