"""The checkpoint last.npz: all that a training needs to go on to the bit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from minires.files import FileError
from minires.training.archive import read_archive, write_archive
from minires.training.history import Epoch
from minires.typed_json import build


@dataclass(frozen=True)
class Checkpoint:
    """Where a training is, and the state of everything that changes in it."""

    run: dict[str, Any]  # what must be the same when it goes on
    epoch: int  # the epoch under way, from 0
    step: int  # the next step in it, from 0
    loss_sum: float  # over the samples of the epoch so far
    correct: int
    lr: float
    seconds: float
    history: list[Epoch]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any] | None
    amp: dict[str, Any] | None
    architecture: dict[str, Any] | None = None


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write it atomically."""
    content = {field.name: getattr(checkpoint, field.name) for field in fields(checkpoint)}
    content["history"] = [asdict(epoch) for epoch in checkpoint.history]
    write_archive(path, "checkpoint", content)


def read_checkpoint(path: Path) -> Checkpoint:
    """What `write_checkpoint` wrote.

    Raises
    ------
    FileError
        If the file is missing, damaged, of another kind, or says what no training can have been at.
    """
    content = read_archive(path, "checkpoint")
    try:
        state = build(Checkpoint, content)
        if state.epoch != len(state.history) or min(state.step, state.correct) < 0:
            raise ValueError("its epoch, step and history do not go together")
    except ValueError as error:
        raise FileError(f"{path} is damaged: {error}") from error
    return state
