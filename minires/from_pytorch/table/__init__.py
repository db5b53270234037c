"""The table of hints, read from the rows of each namespace.

A row is `names | PyTorch's expression | what to write here | why`. Several names may share one; the
expression, which has the first of them, may be missing, and so may the reason: the section's serves
then. `# Title: reason` begins a section, `! Family: reason` patterns of names that are left out.

A Tensor method with an underscore at its end needs no row where the one without has it, and neither
does a function of `torch` that is a method too.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from typing import NamedTuple

from minires.from_pytorch.table import functional, nn, optim, parts, tensor, torch

TABLES = {
    "torch": torch.ROWS,
    "Tensor": tensor.ROWS,
    "nn": nn.ROWS,
    "nn.functional": functional.ROWS,
    "optim": optim.ROWS,
    "optim.lr_scheduler": optim.LR_SCHEDULER_ROWS,
    "nn.Module": parts.MODULE_ROWS,
    "nn.init": parts.INIT_ROWS,
    "nn.utils": parts.UTILS_ROWS,
    "cuda": parts.CUDA_ROWS,
    "utils": parts.TORCH_UTILS_ROWS,
    "utils.data": parts.DATA_ROWS,
    "random": parts.RANDOM_ROWS,
    "optim.Optimizer": optim.OPTIMIZER_ROWS,
    "optim.lr_scheduler.LRScheduler": optim.SCHEDULE_ROWS,
}


NOTHING = "pass"
"""What to write for what is not needed here."""


class Hint(NamedTuple):
    """What to write instead of some names of PyTorch's."""

    names: tuple[str, ...]
    theirs: str
    """An expression of PyTorch's, in which the first name stands; or nothing."""
    ours: str
    """Code that does the same here."""
    why: str
    section: str
    section_why: str

    def __str__(self) -> str:
        said = f"write {self.ours}" if self.ours != NOTHING else "leave it out"
        return said + (f" ({self.why})" if self.why else "")


class Family(NamedTuple):
    """Names that minires does without."""

    title: str
    why: str
    patterns: tuple[str, ...]

    def __str__(self) -> str:
        named = self.title.startswith("PyTorch")
        title = self.title if named else self.title[0].lower() + self.title[1:]
        return f"it does without {title} ({self.why})"


@cache
def read(namespace: str) -> tuple[tuple[Hint, ...], tuple[Family, ...]]:
    """The hints and the families of a namespace, in the table's order."""
    hints: list[Hint] = []
    families: list[Family] = []
    kind = title = why = ""
    for line in TABLES[namespace].strip().splitlines():
        if line.startswith(("#", "!")):
            kind, (title, _, why) = line[0], line[1:].strip().partition(": ")
        elif line and kind == "!":
            families.append(Family(title, why, tuple(line.split())))
        elif line:
            names, theirs, ours, *more = (part.strip() for part in line.split("|"))
            hints.append(
                Hint(tuple(names.split()), theirs, ours, more[0] if more else why, title, why)
            )
    return tuple(hints), tuple(families)


@cache
def _by_name(namespace: str) -> dict[str, Hint]:
    return {name: hint for hint in read(namespace)[0] for name in hint.names}


def find(namespace: str, name: str) -> Hint | Family | None:
    """What is said of a name, if anything."""
    return _hint(namespace, name) or _family(namespace, name)


def _hint(namespace: str, name: str) -> Hint | None:
    if hint := _by_name(namespace).get(name):
        return hint
    base = _hint(namespace, name[:-1]) if name.endswith("_") else None
    if base is not None and namespace in ("Tensor", "nn.functional"):
        changed = re.search(r"\b[a-z]\b", base.ours)
        return base._replace(
            theirs="",
            ours=f"{changed[0]} = {base.ours}" if changed else base.ours,
            why="results are new; to write into a tensor, copy_ one",
        )
    if namespace == "torch":
        return _hint("Tensor", name) or _hint("nn.functional", name)
    return None


def _family(namespace: str, name: str) -> Family | None:
    for family in read(namespace)[1]:
        if any(fnmatchcase(name, pattern) for pattern in family.patterns):
            return family
    if namespace == "torch":
        return _family("Tensor", name) or _family("nn.functional", name)
    return None
