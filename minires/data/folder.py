"""A folder of images, one folder a class, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from minires.data.arrays import Images, IntArray, UInt8Array, stack_if_equal
from minires.data.errors import DataError

EXTENSIONS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


class ImageFolder:
    """Images in folders that are named for their classes: `root/cat/tom.jpg`.

    Images are decoded when taken, to red, green and blue, and may differ in size: a transform such
    as `Compose([Resize(256), CenterCrop(224)])` makes them equal. Needs Pillow.

    Parameters
    ----------
    root : path
        Folders and files whose names begin with a dot are ignored, as are files that are no
        images by their extension. Images may lie deeper than one folder.
    classes : sequence of str, optional
        The names of the classes in the order of their labels, where another folder has set them.
        By default the names of the folders in alphabetical order.

    Raises
    ------
    DataError
        If `root` is no folder or holds no class, if a class has no image, or if Pillow is not
        installed. When an image is taken: if it cannot be decoded.
    """

    classes: tuple[str, ...]
    labels: IntArray
    paths: list[Path]
    root: Path

    def __init__(self, root: str | Path, classes: Sequence[str] | None = None) -> None:
        self.root = Path(root)
        _pillow()
        found = class_folders(self.root)
        if not found:
            raise DataError(f"{root}: no folders in it; expected one folder of images a class")
        self.classes = tuple(classes) if classes is not None else tuple(found)
        unknown = [name for name in found if name not in self.classes]
        if unknown:
            raise DataError(
                f"{root}: folder {unknown[0]!r} is none of the classes {', '.join(self.classes)}"
            )
        self.paths = []
        labels: list[int] = []
        for name in found:
            images = _images_below(self.root / name)
            if not images:
                raise DataError(
                    f"{self.root / name}: no images in it (of type {', '.join(sorted(EXTENSIONS))})"
                )
            self.paths += images
            labels += [self.classes.index(name)] * len(images)
        self.labels = np.array(labels, np.int64)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[UInt8Array, int]:
        """One image uint8 (H, W, 3) and its label."""
        return read_image(self.paths[index]), int(self.labels[index])

    def take(self, indices: NDArray[Any]) -> tuple[Images, IntArray]:
        """Images uint8, stacked (B, H, W, 3) if all sizes agree, else a list; and labels (B,)."""
        images = [read_image(self.paths[index]) for index in np.asarray(indices).tolist()]
        return stack_if_equal(images), self.labels[indices]

    @property
    def images(self) -> Iterator[UInt8Array]:
        """All images (H, W, 3), decoded one after the other."""
        return map(read_image, self.paths)

    def subset(self, indices: NDArray[Any]) -> Self:
        """The same classes with only the images that have these indices."""
        part = copy(self)
        part.paths = [self.paths[index] for index in np.asarray(indices).tolist()]
        part.labels = self.labels[indices]
        return part

    def __repr__(self) -> str:
        return f"{self.root}: {len(self):,} images, {len(self.classes)} classes"


def class_folders(root: Path) -> list[str]:
    """The names of the folders in `root`, sorted.

    Raises
    ------
    DataError
        If `root` is no folder.
    """
    if not root.is_dir():
        raise DataError(f"{root}: {'not a folder' if root.exists() else 'no such folder'}")
    return sorted(
        entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def read_image(path: str | Path) -> UInt8Array:
    """Decode an image file as uint8 (H, W, 3): red, green and blue, as a viewer shows it.

    A photograph is turned the way its EXIF data say. Transparency is dropped, 16-bit grey is
    reduced to 8 bits, and of an animation the first frame is read.

    Raises
    ------
    DataError
        If the file is missing or cannot be decoded, or if Pillow is not installed.
    """
    image_module = _pillow()
    from PIL import ImageOps

    try:
        with image_module.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):
                grey = (np.asarray(upright) >> 8).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=-1)
            if "transparency" in upright.info:
                upright = upright.convert("RGBA")
            return np.asarray(upright.convert("RGB")).copy()
    except Exception as error:  # decoders raise nearly anything when they are fed garbage
        raise DataError(f"{path}: cannot be read as an image: {error}") from error


def _images_below(folder: Path) -> list[Path]:
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            "reading image files needs Pillow: pip install 'minires[images]'"
        ) from error
    return Image
