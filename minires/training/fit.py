"""The training loop: `fit(model, train)`, resumable to the bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minires import random
from minires.data import DataLoader, Dataset, split
from minires.engine import NonFiniteError, detect_nonfinite
from minires.nn import Module
from minires.nn import functional as F
from minires.optim import SGD, OneCycleLR, Optimizer, Schedule
from minires.tensor import Tensor
from minires.training.archive import FileError, read_archive, write_archive
from minires.training.evaluate import device_of_model, evaluate
from minires.training.history import Epoch, History, score
from minires.training.interruption import deferred_interrupt
from minires.training.progress import Progress
from minires.training.weights import save

SAVE_EVERY = 300.0  # seconds between checkpoints within an epoch

Transform = Callable[..., Any]


class TrainingError(RuntimeError):
    """The training cannot go on; the message says at which epoch and step, and why."""


class Interrupted(KeyboardInterrupt):
    """The training was stopped by Ctrl-C after its state was saved; the message says where."""


def fit(
    model: Module,
    train: Dataset,
    valid: Dataset | float | None = 0.1,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    transform: Transform | None = None,
    valid_transform: Transform | None = None,
    label_smoothing: float = 0.0,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    metadata: dict[str, Any] | None = None,
) -> History:
    """Train `model` to classify images.

    The order of the images and every random draw are functions of `seed`, the epoch and the step
    (or sample), so the same seed gives the same result to the bit on one machine and thread count,
    interrupted and resumed or not.

    Parameters
    ----------
    model : Module
        Images (N, H, W, C) to logits (N, classes); it trains where its parameters are.
    train : Dataset
    valid : Dataset, float or None
        Held-out images, or the share of `train` to hold out, by which the best epoch is chosen.
    epochs, batch_size : int
        A last batch smaller than `batch_size` is left out, unless it is the only one.
    optimizer : Optimizer, optional
        By default SGD with momentum 0.9, Nesterov, weight decay 5e-4 and a one-cycle schedule up
        to a learning rate of 0.2.
    schedule : Schedule, optional
        Stepped once per batch.
    transform, valid_transform : callable, optional
        Of uint8 batches; the first gets its draws. Without them pixels are scaled to [0, 1].
    label_smoothing : float
    seed : int
    out : path, optional
        A folder for `last.npz` (the whole state), `best.npz` (the weights of the best epoch),
        `history.csv` and `curves.png`.
    resume : bool
        Go on from `out`/last.npz.
    progress : bool
        Whether to show a progress bar and a line per epoch.
    metadata : dict, optional
        Saved with the weights: see `minires.save`.

    Returns
    -------
    History
        The model keeps the last epoch's weights; the best are in `out`/best.npz.

    Raises
    ------
    TrainingError
        If the images or the loss are not finite.
    Interrupted
        On Ctrl-C, at the end of the step, once the state has been saved.
    FileError
        If there is nothing to resume, or it does not fit.
    ValueError
        If a dataset is empty, labels do not fit the model, or a number makes no sense.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    if resume and out is None:
        raise ValueError("resume wants the folder to go on from: pass out")
    if isinstance(valid, float):
        train, valid = split(train, valid, seed)
    if transform is None:
        transform = _to_unit_interval
    loader = DataLoader(
        train,
        batch_size,
        shuffle=True,
        seed=seed,
        transform=transform,
        drop_last=len(train) >= batch_size,
    )
    if optimizer is None:
        optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True)
        if schedule is None:
            schedule = OneCycleLR(optimizer, max_lr=0.2, total_steps=epochs * len(loader))
    run = _Run(
        model=model,
        loader=loader,
        valid=valid,
        valid_transform=valid_transform or _to_unit_interval,
        epochs=epochs,
        optimizer=optimizer,
        schedule=schedule,
        label_smoothing=label_smoothing,
        out=None if out is None else Path(out),
        progress=progress,
        metadata=metadata or {},
    )
    if resume:
        run.restore()
    run.train()
    return run.history


def _to_unit_interval(images: Any, draws: Any = None) -> np.ndarray[Any, Any]:
    return np.asarray(images).astype(np.float32) * np.float32(1 / 255)


class _Run:
    """One call of `fit`: where it is, and what it must write down to go on from there."""

    def __init__(
        self,
        *,
        model: Module,
        loader: DataLoader,
        valid: Dataset | None,
        valid_transform: Transform,
        epochs: int,
        optimizer: Optimizer,
        schedule: Schedule | None,
        label_smoothing: float,
        out: Path | None,
        progress: bool,
        metadata: dict[str, Any],
    ) -> None:
        self.model, self.loader, self.valid = model, loader, valid
        self.valid_transform, self.epochs = valid_transform, epochs
        self.optimizer, self.schedule = optimizer, schedule
        self.label_smoothing, self.out, self.metadata = label_smoothing, out, metadata
        self.progress = Progress(progress)
        self.device = device_of_model(model)
        self.history = History()
        self.epoch = 0  # the epoch under way, from 0
        self.step = 0  # the next step in it, from 0
        self.loss_sum = 0.0  # over the samples of the epoch so far
        self.correct: Any = 0  # likewise; on a GPU it stays there until the epoch ends
        self.lr: float = optimizer.param_groups[0]["lr"]  # of the last step
        self.seconds = 0.0  # spent in this epoch, earlier sittings included

    # ------------------------------------------------------------------ the loop

    def train(self) -> None:
        with deferred_interrupt() as interruption, self.progress:
            try:
                while self.epoch < self.epochs:
                    self._train_epoch(interruption)
            finally:  # drawing takes a second: once, at the end, however it comes
                if self.out is not None and len(self.history):
                    self.history.write_plot(self.out / "curves.png")

    def _train_epoch(self, interruption: Any) -> None:
        started = saved = time.perf_counter()
        before = self.seconds
        self.model.train()
        steps = len(self.loader)
        self.progress.start_epoch(self.epoch, self.epochs, steps, self.step)
        for images, labels in self.loader.batches(self.epoch, self.step):
            loss = self._train_step(images, labels)
            self.step += 1
            now = time.perf_counter()
            self.seconds = before + now - started
            self.progress.step(loss)
            if interruption.requested:
                raise Interrupted(self._save_interrupted())
            if self.out is not None and now - saved > SAVE_EVERY:
                self.save_state()
                saved = time.perf_counter()
        seen = steps * min(self.loader.batch_size, len(self.loader.dataset))
        valid_loss = valid_accuracy = math.nan
        if self.valid is not None:
            self.progress.start_validation(len(self.valid))
            result = evaluate(
                self.model,
                self.valid,
                transform=self.valid_transform,
                on_batch=self.progress.validated,
            )
            valid_loss, valid_accuracy = result.loss, result.accuracy
        ended = Epoch(
            epoch=self.epoch + 1,
            train_loss=self.loss_sum / seen,
            train_accuracy=int(self.correct) / seen,
            valid_loss=valid_loss,
            valid_accuracy=valid_accuracy,
            lr=self.lr,
            seconds=before + time.perf_counter() - started,
        )
        best_before = score(self.history.best) if len(self.history) else -math.inf
        self.history.epochs.append(ended)
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.correct, self.seconds = 0.0, 0, 0.0
        if self.out is not None:
            if score(ended) > best_before:  # before the state, which counts on it
                save(self.model, self.out / "best.npz", **self.metadata, epoch=ended.epoch)
            self.save_state()
            self.history.write_csv(self.out / "history.csv")
        self.progress.end_epoch(ended, self.epochs)
        if interruption.requested and self.epoch < self.epochs:
            raise Interrupted(self._save_interrupted())

    def _train_step(self, images: Any, labels: Any) -> float:
        self.lr = self.optimizer.param_groups[0]["lr"]
        self.optimizer.zero_grad()
        logits, loss = self._forward(images, labels)
        value: float = loss.item()
        if not math.isfinite(value):
            raise TrainingError(self._explain(value, images, labels))
        loss.backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.loss_sum += value * len(labels)
        right = logits.data.argmax(axis=-1) == Tensor(labels).to(self.device).data
        self.correct = self.correct + right.sum()
        return value

    def _forward(self, images: Any, labels: Any) -> tuple[Tensor, Tensor]:
        # dropout's draws are keyed by the step, so a resumed run draws the same
        random.manual_seed([self.loader.seed, self.epoch, self.step])
        logits = self.model(Tensor(images).to(self.device))
        return logits, F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def _explain(self, value: float, images: Any, labels: Any) -> str:
        """Where a loss that is not finite came from: look again, at every operation this time."""
        where = f"the loss is {value} at epoch {self.epoch + 1}, step {self.step + 1}"
        if not np.isfinite(images).all():
            return f"{where}: the images of this batch already hold NaN or infinite values"
        for name, parameter in self.model.named_parameters():
            if not np.isfinite(parameter.numpy()).all():
                return (
                    f"{where}: {name} already holds NaN or infinite values, so the update before "
                    "overflowed. Try a smaller learning rate."
                )
        try:
            with detect_nonfinite():
                self._forward(images, labels)
        except NonFiniteError as error:
            return f"{where}: {error}. Try a smaller learning rate."
        return where

    # ------------------------------------------------------------------ saving and resuming

    def save_state(self) -> None:
        """Write the whole state, so that `restore` can go on to the bit."""
        if self.out is None:
            return
        content = {
            "run": self._identity(),
            "epoch": self.epoch,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "correct": int(self.correct),
            "lr": self.lr,
            "seconds": self.seconds,
            "history": self.history.to_rows(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
        }
        write_archive(self.out / "last.npz", "checkpoint", content)

    def restore(self) -> None:
        """Go back to where `save_state` was called."""
        assert self.out is not None
        path = self.out / "last.npz"
        content = read_archive(path, "checkpoint")
        wanted, found = self._identity(), content.get("run", {})
        different = [key for key in wanted if found.get(key) != wanted[key]]
        if different:
            raise FileError(
                f"{path} is from another run: "
                + ", ".join(f"{k} was {found.get(k)}, is {wanted[k]}" for k in different)
            )
        try:
            self.model.load_state_dict(content["model"])
            self.optimizer.load_state_dict(content["optimizer"])
            if self.schedule is not None:
                self.schedule.load_state_dict(content["schedule"])
            self.history = History.from_rows(content["history"])
            self.epoch, self.step = content["epoch"], content["step"]
            self.loss_sum, self.correct = content["loss_sum"], content["correct"]
            self.lr, self.seconds = content["lr"], content["seconds"]
        except (KeyError, TypeError, ValueError) as error:
            raise FileError(f"{path} does not fit this run: {error}") from error

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a resumed run to equal an uninterrupted one."""
        return {
            "seed": self.loader.seed,
            "epochs": self.epochs,
            "batch_size": self.loader.batch_size,
            "images": len(self.loader.dataset),
            "transform": repr(self.loader.transform),
            "label_smoothing": self.label_smoothing,
        }

    def _save_interrupted(self) -> str:
        self.save_state()
        where = f"stopped at epoch {self.epoch + 1}, step {self.step} of {len(self.loader)}"
        return where if self.out is None else f"{where}; saved in {self.out}"
