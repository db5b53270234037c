"""What `minires train` says of a folder of images, and what it makes sure of first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from minires.data import ImageFolder
from minires.data.checking import check_images
from minires.data.errors import listed
from minires.data.parts import find_parts
from minires.training.recipe import Recipe, Task


def look_at_images(recipe: Recipe, task: Task) -> None:
    """Print what a folder of images was taken for, and read its images once.

    Those to test on come first: the training would meet one that is damaged only at its end.

    Raises
    ------
    DataError
        If an image cannot be used.
    """
    train, valid, test = task.train, task.valid, task.test
    if not (isinstance(train, ImageFolder) and isinstance(valid, ImageFolder)):
        return
    assert isinstance(test, ImageFolder)
    for line in _taken_for(recipe, train, test):
        print(line)
    prepare = task.eval_transform
    print(f"checking {len(test) + len(valid) + len(train):,} images")
    unread = check_images(
        [(test, prepare), (valid, prepare), (train, None if "crop" in recipe.augment else prepare)]
    )
    if unread:
        print(f"{unread:,} images were not checked: it would take too long")


def _taken_for(recipe: Recipe, train: ImageFolder, test: ImageFolder) -> Iterator[str]:
    yield f"{len(train.classes):,} classes: {listed(train.classes, 10)}"
    parts = find_parts(Path(recipe.data))
    if parts is not None:
        held_out = parts.test or f"a fifth of {parts.train}"
        unused = f"; not used: {listed(parts.others)}" if parts.others else ""
        yield f"to train on: {parts.train}; to test on: {held_out}{unused}"
    left_out = {*train.left_out, *test.left_out}
    if left_out:
        kinds = sorted({path.suffix or path.name for path in left_out})
        files = "1 file that is" if len(left_out) == 1 else f"{len(left_out):,} files that are"
        yield f"left out: {files} in no class, or no image by the name ({listed(kinds)})"
