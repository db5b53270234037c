"""Read every image of a folder before a training begins, and not for the first time at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from minires.data.errors import DataError
from minires.data.folder import ImageFolder
from minires.data.image import read_image
from minires.kernels.machinery.threads import parallel
from minires.progress_bar import bar

_TOGETHER = 32  # images between two looks at the clock
_NAMED = 3  # of the images that cannot be used
_ENOUGH = 100  # of these, to look no further

Transform: TypeAlias = Callable[[Any], Any]


def check_images(
    folders: Sequence[tuple[ImageFolder, Transform | None]], seconds: float = 120.0
) -> int:
    """Read images one after the other, on all threads, and refuse them all if one cannot be used.

    Parameters
    ----------
    folders : sequence of (ImageFolder, transform)
        In this order. Where there is a transform, it must be able to prepare the images.
    seconds : float
        When to stop: those that are left are read for the first time when they are used.

    Returns
    -------
    int
        How many are left.

    Raises
    ------
    DataError
        Naming the images that cannot be read or prepared, and why.
    """
    images = [(path, transform) for folder, transform in folders for path in folder.paths]
    wrong: list[str] = []
    done, end = 0, time.monotonic() + seconds
    with bar(total=len(images), desc="checking images", unit="image") as shown:
        while done < len(images) and len(wrong) < _ENOUGH and time.monotonic() < end:
            some = images[done : done + _TOGETHER]
            wrong += filter(None, parallel(_problem, some))
            done += len(some)
            shown.update(len(some))
    if len(wrong) == 1:
        raise DataError(wrong[0])
    if wrong:
        more = "; ..." if len(wrong) > _NAMED else ""
        raise DataError(
            f"{len(wrong):,} of {done:,} images cannot be used: {'; '.join(wrong[:_NAMED])}{more}"
        )
    return len(images) - done


def _problem(image: tuple[Path, Transform | None]) -> str | None:
    """What is wrong with an image, if anything."""
    path, transform = image
    try:
        pixels = read_image(path)
    except DataError as error:
        return str(error)
    try:
        if transform is not None:
            transform(pixels[None])
    except (DataError, MemoryError) as error:
        return f"{path}: {error}"
    return None
