"""One run of the training loop: where it is, and what is written down to go on from there."""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from copy import copy, deepcopy
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np

import minires
from minires import random
from minires.checks import Setup
from minires.data import DataLoader, LabelledImages
from minires.data.errors import listed
from minires.data.fingerprint import fingerprint
from minires.distributed import DataParallel, DistributedError, Group, agreed, sync_batch_norm
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
ADDED = ("classes", "fingerprints", "sync_bn")  # to a run's identity: older states lack them
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
        group: Group,
        sync_bn: bool,
    ) -> None:
        self.group, self.sync_bn = group, sync_bn
        self.parallel: DataParallel  # made when the training starts
        self.folder, first = out, group.rank == 0
        self.model, self.loader, self.valid = model, loader, valid
        self.valid_transform, self.epochs = valid_transform, epochs
        self.optimizer, self.schedule = optimizer, schedule
        self.label_smoothing, self.metadata = label_smoothing, metadata
        self.out = out if first else None  # where this process writes
        self.max_grad_norm, self.precise_bn = max_grad_norm, precise_bn
        self.compile = compile
        held_out, size = 0 if valid is None else len(valid) // group.size, loader.batch_size
        self.predictor = Predictor(model, held_out, times=epochs, at_once=size, compile=compile)
        self.mixed = MixedPrecision(model, optimizer, max_norm=max_grad_norm) if amp else None
        self.progress = Progress(progress and first)
        self.device = device_of_model(model)
        self.history = History()
        self.epoch = 0  # the epoch under way, from 0
        self.step = 0  # the next step in it, from 0
        self.loss_sum = 0.0  # over the samples of the epoch so far
        self.correct: Any = 0  # likewise; on a GPU it stays there until the epoch ends
        self.lr: float = optimizer.param_groups[0]["lr"]  # of the last step
        self.seconds = 0.0  # spent in this epoch, earlier sittings included
        self.stopping = self.saving = False  # after this step, as all processes have agreed

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
            due = self.out is not None and time.perf_counter() - saved > SAVE_EVERY
            loss = self._train_step(images, labels, interruption.requested, due)
            self.step += 1
            self.seconds = before + time.perf_counter() - started
            self.progress.step(loss)
            if self.stopping or (self.group.size == 1 and interruption.requested):
                raise self._interrupted()
            if self.saving:
                self._compare_weights()
                self.save_state()
                saved = time.perf_counter()
        self._compare_weights()
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
        (stopping,) = self.parallel.sums(interruption.requested)
        if stopping and self.epoch < self.epochs:
            raise self._interrupted()

    def _train_step(
        self, images: Any, labels: Any, stop: bool = False, save: bool = False
    ) -> float:
        self.lr = self.optimizer.param_groups[0]["lr"]
        self.optimizer.zero_grad()
        logits, loss = self._forward(images, labels)
        right = (logits.data.argmax(axis=-1) == Tensor(labels).to(self.device).data).sum()
        # what all must know before any of them changes a weight
        total, correct, count, stopping, saving = self.parallel.sums(
            loss.item() * len(labels), right, len(labels), stop, save
        )
        value: float = total / count
        if not math.isfinite(value):
            raise self._not_finite(value, images, labels)
        share = len(labels) / count
        if share != 1:  # of the loss over the whole batch, this is one process's part
            loss = loss * share
        if self.mixed is None:
            loss.backward()
            self.parallel.synchronize(share)
            if self.max_grad_norm is not None:
                clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
            self.optimizer.step()
        else:
            self._mixed_step(loss, share)
        if self.schedule is not None:
            self.schedule.step()
        self.loss_sum += total
        self.correct = self.correct + correct
        self.stopping, self.saving = bool(stopping), bool(saving)
        return value

    def _not_finite(self, value: float, images: Any, labels: Any) -> TrainingError:
        """The same error in all processes: what the first that has found a cause says."""
        where = f"the loss is {value} at epoch {self.epoch + 1}, step {self.step + 1}"
        if not np.isfinite(images).all():
            text = f"{where}: the images of this batch already hold NaN or infinite values"
        else:
            with sync_batch_norm(Group()):  # no messages: each looks for itself
                text = self._explain(where, lambda: self._forward(images, labels))
        texts = self.group.exchange(text)
        rank = next((rank for rank, text in enumerate(texts) if text != where), 0)
        who = f" (rank {rank} of {self.group.size})" if self.group.size > 1 else ""
        return agreed(TrainingError(texts[rank] + who))

    def _forward(self, images: Any, labels: Any) -> tuple[Tensor, Tensor]:
        # dropout's draws are keyed by the step, so a resumed run draws the same
        rank = [self.group.rank] if self.group.size > 1 else []
        random.manual_seed([self.loader.seed, self.epoch, self.step, *rank])
        forward = self.model if self.mixed is None else self.mixed.forward
        logits = forward(Tensor(images).to(self.device))
        return logits, F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)

    def _mixed_step(self, loss: Tensor, share: float) -> None:
        assert self.mixed is not None
        try:
            self.mixed.step(loss, partial(self.parallel.synchronize, share))
        except ScaleError as error:
            where = f"{error}, at epoch {self.epoch + 1}, step {self.step + 1}"
            raise agreed(
                TrainingError(f"{where}. Try a smaller learning rate, or no amp.")
            ) from None

    def _compare_weights(self) -> None:
        """Before anything is written over the last good state."""
        try:
            self.parallel.check()
        except DistributedError as error:
            where = f"at epoch {self.epoch + 1}, after step {self.step} of {len(self.loader)}"
            raise agreed(TrainingError(f"{error} ({where}): what is saved is older")) from None

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
            raise agreed(
                TrainingError(
                    self._explain(where, lambda: self._evaluate(Predictor(self.model, 0)))
                )
            )
        return result.loss, result.accuracy

    def _measure_statistics(self) -> None:
        """Batch norm's, for the weights as they are, over at most a quarter of an epoch."""
        count = min(-(-STATISTICS // self.loader.batch_size), -(-len(self.loader) // 4))
        update_bn(islice(self.loader.batches(self.epoch), count), self.model)
        whole = min(self.loader.batch_size, len(self.loader.dataset))
        mine, size = self.group.rank, self.group.size
        share = (whole * (mine + 1) // size - whole * mine // size) / whole
        self.parallel.average_statistics(share)

    def _evaluate(self, predictor: Predictor) -> Evaluation:
        size, told = self.loader.batch_size, self.progress.validated
        assert self.valid is not None
        transform, group = self.valid_transform, self.group
        return evaluate_with(predictor, self.valid, transform, size, told, group)

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
        loader.transform, loader.part = deepcopy(plain.transform), None
        kept.loader, kept.schedule, kept.mixed = loader, None, None
        kept.group = Group()  # the first process looks for all
        kept.parallel = DataParallel(self.model, kept.group)
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
        if self.group.size > 1:
            self._compare_settings()
        self.parallel = DataParallel(self.model, self.group)
        if self.out is not None:
            remove_parts(self.out, FILES)
            self.history.check_plot()
        if resume:
            self.restore()
            if len({*self.group.exchange(f"{self.epoch} {self.step}")}) > 1:
                raise agreed(DistributedError(f"the ranks have read different {self.folder}"))
            self._compare_weights()
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
        assert self.folder is not None
        path = self.folder / "last.npz"
        saved = read_checkpoint(path)
        wanted, found = self._identity(), saved.run
        ranks, before = wanted.pop("ranks", 1), found.get("ranks", 1)
        if ranks != before and self.group.rank == 0:
            warnings.warn(
                f"the training began on {before} processes and goes on on {ranks}: batches and "
                "augmentation stay the same, but sums are rounded otherwise"
                + ("" if self.sync_bn else ", and batch norm sees other stretches of a batch"),
                stacklevel=4,
            )
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

    def _compare_settings(self) -> None:
        own = {key: str(value) for key, value in self._identity().items()}
        own |= {"minires": minires.__version__, "NumPy": np.__version__, "folder": str(self.folder)}
        every = self.group.exchange(own)
        for rank, other in enumerate(every):
            for key in other:
                if other[key] != every[0].get(key):
                    what = f"{key} is {other[key]}, there {every[0].get(key)}"
                    what = "it has other data" if key == "fingerprints" else what
                    raise agreed(DistributedError(f"rank {rank} differs from rank 0: {what}"))

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
            "sync_bn": self.sync_bn,
            "optimizer": f"{type(self.optimizer).__name__}({self.optimizer.defaults})",
            "schedule": _settings(self.schedule),
            **self._data,
            **({"ranks": self.group.size} if self.group.size > 1 else {}),
        }

    def _interrupted(self) -> Interrupted:
        self._compare_weights()
        self.save_state()
        where = f"stopped at epoch {self.epoch + 1}, step {self.step} of {len(self.loader)}"
        saved = "" if self.folder is None else f"; saved in {self.folder}"
        return agreed(Interrupted(where + saved))


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
