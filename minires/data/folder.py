"""A folder of images, one folder a class, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Self, SupportsIndex, overload
from unicodedata import normalize

import numpy as np
from numpy.typing import ArrayLike

from minires.data.arrays import Images, IntArray, UInt8Array, check_indices, stack_if_equal
from minires.data.errors import DataError, listed
from minires.data.image import extensions, pillow, read_image
from minires.data.parts import find_parts
from minires.data.walk import Identity, files_below, folders_in, images_in, is_image


class ImageFolder:
    """Images in folders that are named for their classes: `root/cat/tom.jpg`.

    Images are decoded when taken, to red, green and blue, and may differ in size: a transform such
    as `Compose([Resize(256), CenterCrop(224)])` makes them equal.

    Parameters
    ----------
    root : path
        Folders and files whose names begin with a dot are ignored, as are files that are no images
        by their extension. Images may lie deeper than one folder, and links are followed.
    classes : sequence of str, optional
        The names of the classes in the order of their labels, where another folder has set them.
        By default the names of the folders in alphabetical order, if they can be classes: folders
        such as `train` and `Val` are parts of a data set, which `load_dataset` takes apart.

    Attributes
    ----------
    left_out : list of Path
        The images in no folder, and the files in the folders that are no images by their extension.

    Raises
    ------
    DataError
        If `root` is no folder or holds no class, if its folders are parts and no classes, if a
        class has no image, or if two classes have a folder in common. When an image is taken: if
        it cannot be decoded.
    """

    classes: tuple[str, ...]
    labels: IntArray
    paths: list[Path]
    left_out: list[Path]
    root: Path

    def __init__(self, root: str | Path, classes: Sequence[str] | None = None) -> None:
        self.root = Path(root)
        pillow()  # or it would be missed in the middle of a training
        if root == "":  # for a path the working directory, which nobody means
            raise DataError("ImageFolder: the name of the folder is empty")
        found = folders_in(self.root)
        if not found:
            raise DataError(f"{root}: no folders in it; expected one folder of images a class")
        if classes is None and (parts := find_parts(self.root)):
            raise DataError(
                f"{root}: {parts.train!r} is no class but the images to train on: "
                f"ImageFolder({str(self.root / parts.train)!r}), or load_dataset({str(root)!r})"
            )
        self.classes = tuple(classes) if classes is not None else tuple(found)
        # An accented letter is one character or two, which depends on the system it was typed on.
        label_of = {normalize("NFC", name): label for label, name in enumerate(self.classes)}
        if len(label_of) < len(self.classes):
            raise DataError(f"{root}: two classes of the same name in {listed(self.classes)}")
        self.paths, self.left_out = [], sorted(images_in(self.root))
        labels: list[int] = []
        met: dict[Identity, Path] = {}
        for name in found:
            label = label_of.get(normalize("NFC", name))
            if label is None:
                raise DataError(
                    f"{root}: folder {name!r} is none of the classes {listed(self.classes)}"
                )
            images = self._images_of(name, met)
            self.paths += images
            labels += [label] * len(images)
        self.labels = np.array(labels, np.int64)

    def _images_of(self, name: str, met: dict[Identity, Path]) -> list[Path]:
        """The images of a class, sorted; the folders that it met are added to those of others."""
        folder = self.root / name
        own: dict[Identity, Path] = {}
        files = sorted(files_below(folder, own), key=lambda p: p.relative_to(folder).as_posix())
        for identity in own.keys() & met.keys():
            raise DataError(
                f"{own[identity]} and {met[identity]} are the same folder, in two classes"
            )
        met |= own
        images = [path for path in files if is_image(path)]
        self.left_out += [path for path in files if not is_image(path)]
        if not images:
            kinds = ", ".join(sorted(extensions()))
            raise DataError(f"{folder}: no images in it (of type {kinds})")
        return images

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: SupportsIndex) -> tuple[UInt8Array, int]: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: SupportsIndex | slice) -> tuple[UInt8Array, int] | Self:
        """One image uint8 (H, W, 3) and its label, or the set of a slice's images."""
        if isinstance(index, slice):
            return self.subset(np.arange(len(self))[index])
        return read_image(self.paths[index]), int(self.labels[index])

    def take(self, indices: ArrayLike) -> tuple[Images, IntArray]:
        """Images uint8, stacked (B, H, W, 3) if all sizes agree, else a list; and labels (B,)."""
        chosen = check_indices(indices, len(self), str(self.root))
        images = [read_image(self.paths[index]) for index in chosen.tolist()]
        return stack_if_equal(images), self.labels[chosen]

    @property
    def images(self) -> Iterator[UInt8Array]:
        """All images (H, W, 3), decoded one after the other."""
        return map(read_image, self.paths)

    def subset(self, indices: ArrayLike) -> Self:
        """The same classes with only the images that have these indices, or are under a mask."""
        chosen = check_indices(indices, len(self), str(self.root))
        part = copy(self)
        part.paths = [self.paths[index] for index in chosen.tolist()]
        part.labels = self.labels[chosen]
        return part

    def __repr__(self) -> str:
        return f"{self.root}: {len(self):,} images, {len(self.classes)} classes"
