"""One run of the training loop: where it is, and what is written down to go on from there."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from copy import copy, deepcopy
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np

from minires import random
from minires.checks import Setup
from minires.data import DataLoader, LabelledImages
from minires.data.errors import listed
from minires.data.fingerprint import fingerprint
from minires.errors import NonFiniteError
from minires.files import FileError, remove_parts
from minires.nn import Module
from minires.nn import functional as F
from minires.nonfinite import detect_nonfinite
from minires.optim import Optimizer, Schedule, clip_grad_norm_
from minires.tensors import Tensor
from minires.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from minires.training.evaluate import Evaluation, device_of_model, evaluate_with
from minires.training.history import Epoch, History, score
from minires.training.interruption import deferred_interrupt
from minires.training.mixed_precision import MixedPrecision, ScaleError
from minires.training.precise_batch_norm import update_bn
from minires.training.predictor import Predictor
from minires.training.progress import Progress
from minires.training.weights import save

SAVE_EVERY = 300.0  # seconds between checkpoints within an epoch
FILES = ("last.npz", "best.npz", "history.csv", "curves.png", "recipe.json")  # of a run's folder
ADDED = ("classes", "fingerprints")  # to a run's identity: older states lack them
STATISTICS = 1024  # images over which batch norm's statistics are measured after an epoch

Transform = Callable[..., Any]


class TrainingError(RuntimeError):
    """The training cannot go on; the message says at which epoch and step, and why."""


class Interrupted(KeyboardInterrupt):
    """The training was stopped by Ctrl-C after its state was saved; the message says where."""


class Run:
    """One call of `fit`: where it is, and what it must write down to go on from there."""

    def __init__(
        self,
        *,
        model: Module,
        loader: DataLoader,
        valid: LabelledImages | None,
        valid_transform: Transform,
        epochs: int,
        optimizer: Optimizer,
        schedule: Schedule | None,
        label_smoothing: float,
        max_grad_norm: float | None,
        precise_bn: bool,
        compile: bool,
        amp: bool,
        out: Path | None,
        progress: bool,
        metadata: dict[str, Any],
    ) -> None:
        self.model, self.loader, self.valid = model, loader, valid
        self.valid_transform, self.epochs = valid_transform, epochs
        self.optimizer, self.schedule = optimizer, schedule
        self.label_smoothing, self.out, self.metadata = label_smoothing, out, metadata
        self.max_grad_norm, self.precise_bn = max_grad_norm, precise_bn
        self.compile = compile
        held_out, size = 0 if valid is None else len(valid), loader.batch_size
        self.predictor = Predictor(model, held_out, times=epochs, at_once=size, compile=compile)
        self.mixed = MixedPrecision(model, optimizer, max_norm=max_grad_norm) if amp else None
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
        with deferred_interrupt() as interruption, self.progress, warnings.catch_warnings():
            # an overflow matters when it reaches a loss, and then the error says more
            warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"(minires|numpy)\.")
            try:
                while self.epoch < self.epochs:
                    self._train_epoch(interruption)
            except BaseException:
                with suppress(Exception):  # a full disk, say, has been told already
                    self._write_history()
                raise
            self._write_history()

    def _write_history(self) -> None:
        """As a table and a picture, once and however the end comes: drawing takes a second."""
        if self.out is None or not len(self.history):
            return
        self.history.write_csv(self.out / "history.csv")
        try:
            self.history.write_plot(self.out / "curves.png")
        except OSError:
            raise
        except Exception as error:  # a font, say: no reason to lose what comes after the training
            warnings.warn(f"the curves cannot be drawn: {error}", stacklevel=2)

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
        valid_loss, valid_accuracy = self._validate()
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
            where = f"the loss is {value} at epoch {self.epoch + 1}, step {self.step + 1}"
            if not np.isfinite(images).all():
                where = f"{where}: the images of this batch already hold NaN or infinite values"
                raise TrainingError(where)
            raise TrainingError(self._explain(where, lambda: self._forward(images, labels)))
        if self.mixed is None:
            loss.backward()
            if self.max_grad_norm is not None:
                clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
            self.optimizer.step()
        else:
            self._mixed_step(loss)
        if self.schedule is not None:
            self.schedule.step()
        self.loss_sum += value * len(labels)
        right = logits.data.argmax(axis=-1) == Tensor(labels).to(self.device).data
        self.correct = self.correct + right.sum()
        return value

    def _forward(self, images: Any, labels: Any) -> tuple[Tensor, Tensor]:
        # dropout's draws are keyed by the step, so a resumed run draws the same
        random.manual_seed([self.loader.seed, self.epoch, self.step])
        forward = self.model if self.mixed is None else self.mixed.forward
        logits = forward(Tensor(images).to(self.device))
        return logits, F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def _mixed_step(self, loss: Tensor) -> None:
        assert self.mixed is not None
        try:
            self.mixed.step(loss)
        except ScaleError as error:
            where = f"{error}, at epoch {self.epoch + 1}, step {self.step + 1}"
            raise TrainingError(f"{where}. Try a smaller learning rate, or no amp.") from None

    def _validate(self) -> tuple[float, float]:
        """Loss and accuracy on the held-out images, NaN where there are none."""
        if self.valid is None:
            return math.nan, math.nan
        self.progress.start_validation(len(self.valid))
        if self.precise_bn:
            self._measure_statistics()
        result = self._evaluate(self.predictor)
        if not math.isfinite(result.loss):
            where = f"the validation loss is {result.loss} after epoch {self.epoch + 1}"
            raise TrainingError(
                self._explain(where, lambda: self._evaluate(Predictor(self.model, 0)))
            )
        return result.loss, result.accuracy

    def _measure_statistics(self) -> None:
        """Batch norm's, for the weights as they are, over at most a quarter of an epoch."""
        count = min(-(-STATISTICS // self.loader.batch_size), -(-len(self.loader) // 4))
        update_bn(islice(self.loader.batches(self.epoch), count), self.model)

    def _evaluate(self, predictor: Predictor) -> Evaluation:
        size, told = self.loader.batch_size, self.progress.validated
        assert self.valid is not None
        return evaluate_with(predictor, self.valid, self.valid_transform, size, told)

    def _explain(self, where: str, again: Callable[[], Any]) -> str:
        """How a loss became not finite: compute it again and look at every operation."""
        for name, parameter in self.model.named_parameters():
            if not np.isfinite(parameter.numpy()).all():
                return (
                    f"{where}: {name} already holds NaN or infinite values, so the update before "
                    "overflowed. Try a smaller learning rate."
                )
        try:
            with detect_nonfinite():
                again()
        except NonFiniteError as error:
            return f"{where}: {error}. Try a smaller learning rate."
        return where

    def as_setup(self) -> Setup:
        """The same training as a checkup wants it: our steps, on batches of a loader of its own."""
        plain = self.loader
        loader, kept = copy(plain), copy(self)
        loader.transform = deepcopy(plain.transform)
        kept.loader, kept.schedule, kept.mixed = loader, None, None
        held_out = None
        if self.valid is not None:
            transform = deepcopy(self.valid_transform)
            held_out = DataLoader(self.valid, plain.batch_size, transform=_of_images(transform))

        def loss(logits: Tensor, labels: Any) -> Tensor:
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

        def step(images: Any, labels: Any) -> float:
            self.model.train()
            return kept._train_step(images, labels)

        return Setup(self.model, loader, held_out, loss, self.optimizer, step)

    # ------------------------------------------------------------------ saving and resuming

    def start(self, resume: bool) -> None:
        """Go back to the last state, or save the first: a run killed in its first epoch goes on."""
        if self.out is not None:
            remove_parts(self.out, FILES)
            self.history.check_plot()
        if resume:
            self.restore()
            self.progress.resume(self.epoch, self.epochs, self.step, len(self.loader))
        else:
            self.save_state()

    def save_state(self) -> None:
        """Write the whole state, so that `restore` can go on to the bit."""
        if self.out is None:
            return
        now = Checkpoint(
            run=self._identity(),
            epoch=self.epoch,
            step=self.step,
            loss_sum=self.loss_sum,
            correct=int(self.correct),
            lr=self.lr,
            seconds=self.seconds,
            history=self.history.epochs,
            architecture=getattr(self.model, "architecture", None),
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            schedule=None if self.schedule is None else self.schedule.state_dict(),
            amp=None if self.mixed is None else self.mixed.state_dict(),
        )
        write_checkpoint(self.out / "last.npz", now)

    def restore(self) -> None:
        """Go back to where `save_state` was called."""
        assert self.out is not None
        path = self.out / "last.npz"
        saved = read_checkpoint(path)
        wanted, found = self._identity(), saved.run
        different = [
            _difference(key, found.get(key), now)
            for key, now in wanted.items()
            if found.get(key) != now and (key in found or key not in ADDED)
        ]
        if different:
            raise FileError(f"{path} is from another run: {', '.join(different)}")
        try:
            self._place(saved)
        except Exception as error:  # whatever values that do not fit lead to
            reason = " ".join(str(error).split())
            raise FileError(f"{path} does not fit this run: {reason}") from error

    def _place(self, saved: Checkpoint) -> None:
        if saved.epoch > self.epochs or saved.step > len(self.loader):
            raise ValueError(f"it is at epoch {saved.epoch + 1}, step {saved.step}")
        self.model.load_state_dict(saved.model)
        self.optimizer.load_state_dict(saved.optimizer)
        if self.schedule is not None:
            self.schedule.load_state_dict(saved.schedule or {})
        if self.mixed is not None:
            self.mixed.load_state_dict(saved.amp or {})
        self.history = History(saved.history)
        self.epoch, self.step = saved.epoch, saved.step
        self.loss_sum, self.correct = saved.loss_sum, saved.correct
        self.lr, self.seconds = saved.lr, saved.seconds

    @cached_property
    def _data(self) -> dict[str, Any]:
        names = getattr(self.loader.dataset, "classes", ())
        return {
            "classes": [normalize("NFC", str(name)) for name in names],
            "fingerprints": [fingerprint(d) for d in (self.loader.dataset, self.valid) if d],
        }

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a resumed run to equal an uninterrupted one."""
        return {
            "seed": self.loader.seed,
            "epochs": self.epochs,
            "batch_size": self.loader.batch_size,
            "images": len(self.loader.dataset),
            "held_out": 0 if self.valid is None else len(self.valid),
            "transform": _settings(self.loader.transform),
            "label_smoothing": self.label_smoothing,
            "max_grad_norm": self.max_grad_norm,
            "precise_bn": self.precise_bn,
            "compile": self.compile,
            "amp": self.mixed is not None,
            "optimizer": f"{type(self.optimizer).__name__}({self.optimizer.defaults})",
            "schedule": _settings(self.schedule),
            **self._data,
        }

    def _save_interrupted(self) -> str:
        self.save_state()
        where = f"stopped at epoch {self.epoch + 1}, step {self.step} of {len(self.loader)}"
        return where if self.out is None else f"{where}; saved in {self.out}"


def _of_images(transform: Transform) -> Transform:
    return lambda images, draws: transform(images)


def _difference(key: str, was: Any, now: Any) -> str:
    if key == "classes" and isinstance(was, list):
        return f"classes were {listed(map(str, was))}, are {listed(now)}"
    if key == "fingerprints":
        return "the images, which of them are held out, or their labels have changed since"
    return f"{key} was {was}, is {now}"


def _settings(thing: Any) -> str:
    """How it was made: its `repr`, without what differs in the next process or at the next step."""
    return re.sub(r" at 0x[0-9A-Fa-f]+|, last_epoch=\d+", "", repr(thing))
