"""Whether the folders of a data set are classes, or parts such as `train` and `Val` that hold them.

Images are in `root/class/image` or in `root/part/class/image`, and nothing but names and nesting
tells which. To take parts for classes is a mistake that nobody sees: a network learns to tell
`train` from `Val`. So what looks like parts is known for sure or refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from minires.data.errors import DataError, listed
from minires.data.walk import folders_in, has_image_below, has_image_in

_FILLER = r"data|dataset|set|split|part|images?|imgs?|photos?|samples?"
_ROLES = {
    "train": r"(train|training|trn)(val|valid|validation|dev)?",
    "test": r"test|testing|tst|eval|evaluation|holdout",
    "validation": r"val|valid|validation|validate|dev|devel|development",
}
"""The words in a folder's name that say which part the folder is."""


class Parts(NamedTuple):
    """The folders of a data set to train on and to test on, and what is beside them, by name."""

    train: str
    test: str | None
    others: tuple[str, ...]


def find_parts(root: Path) -> Parts | None:
    """The parts of a data set; None if its folders are classes.

    A folder is a part by the words of its name, whatever their case: `Train`, `testing`, `val2017`,
    `my-dev-set`. If there are other words, such as in `bullet-train`, it must not hold images
    itself. Of several to test on, `test` counts before `validation`.

    Raises
    ------
    DataError
        If `root` is no folder, if several folders could be the one to train or to test on, or if
        folders are parts by what they hold but not by their names.
    """
    names = folders_in(root)
    role_of = {name: _role(root, name) for name in names}
    train = [name for name in names if role_of[name] == "train"]
    held_out = [n for n in names if role_of[n] == "test"]
    held_out = held_out or [n for n in names if role_of[n] == "validation"]
    if train and held_out:
        chosen = _one(root, train, "train on"), _one(root, held_out, "test on")
        return Parts(*chosen, tuple(name for name in names if name not in chosen))
    if len(train) == 1 and not has_image_in(root / train[0]):
        others = tuple(name for name in names if name not in train)
        if not any(has_image_below(root / name) for name in others):
            return Parts(train[0], None, others)
    _refuse_unnamed_parts(root, names, role_of)
    return None


def _role(root: Path, name: str) -> str | None:
    """The part that a folder is by its name: train, test, validation, or None."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)  # trainSet
    words = re.findall(r"[^\W\d_]+", parted.casefold())
    for role, pattern in _ROLES.items():
        if any(re.fullmatch(rf"({pattern})({_FILLER})?s?", word) for word in words):
            alone = all(_is_of_parts(word) for word in words)
            return role if alone or not has_image_in(root / name) else None
    return None


def _is_of_parts(word: str) -> bool:
    known = "|".join(_ROLES.values())
    return re.fullmatch(rf"({known})?({_FILLER})?s?", word) is not None


def _one(root: Path, names: list[str], purpose: str) -> str:
    """The only one, or else the only one that has nothing more in its name."""
    plain = [n for n in names if re.fullmatch("|".join(_ROLES.values()), n.casefold())]
    for candidates in (names, plain):
        if len(candidates) == 1:
            return candidates[0]
    raise DataError(
        f"{root}: {listed(names)} could each be the images to {purpose}; name one folder 'train' "
        "and one 'test', and put the others elsewhere"
    )


def _refuse_unnamed_parts(root: Path, names: list[str], role_of: dict[str, str | None]) -> None:
    """Refuse folders of folders that are parts by what they hold."""
    nested = {
        name: {below for below in folders_in(root / name) if has_image_below(root / name / below)}
        for name in names
        if not has_image_in(root / name)
    }
    remedy = (
        "if these are classes, name what holds them 'train' and 'test'; if not, put everything "
        "into a folder 'train'"
    )
    for name, below in nested.items():
        if role_of[name] and len(below) > 1:
            raise DataError(
                f"{root}: {name!r} holds {listed(sorted(below))}, and is no class: {remedy}"
            )
    if len(nested) < max(2, len(names)):
        return
    (first, classes), *rest = nested.items()
    shared = [(name, classes & below, len(below)) for name, below in rest]
    if all(len(same) > max(1, min(len(classes), n) / 2) for _, same, n in shared):
        other, same, _ = shared[0]
        raise DataError(
            f"{root}: {first!r} and {other!r} both hold {listed(sorted(same))}: {remedy}"
        )
