"""The training loop: `fit(model, train)`, resumable to the bit."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from minires.checks.in_fit import first_outputs_looked_at, warn_of_structure, whole_checkup
from minires.data import DataLoader, LabelledImages, split
from minires.distributed import Group, sync_batch_norm
from minires.distributed.parallel import enough
from minires.locks import hold
from minires.nn import Module
from minires.optim import SGD, OneCycleLR, Optimizer, Schedule
from minires.optim.options import count, number
from minires.training.archive import check_writable
from minires.training.history import History
from minires.training.run import Run, Transform


def fit(
    model: Module,
    train: LabelledImages,
    valid: LabelledImages | float | None = 0.1,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    transform: Transform | None = None,
    valid_transform: Transform | None = None,
    label_smoothing: float = 0.0,
    max_grad_norm: float | None = None,
    precise_bn: bool = True,
    compile: bool = True,
    amp: bool = False,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    metadata: dict[str, Any] | None = None,
    check: bool | None = None,
    group: Group | None = None,
    sync_bn: bool = False,
) -> History:
    """Train `model` to classify images.

    The order of the images and every random draw are functions of `seed`, the epoch and the step
    (or sample), so the same seed gives the same result to the bit on one machine, whatever the
    number of threads, interrupted and resumed or not.

    Parameters
    ----------
    model : Module
        Images (N, H, W, C) to logits (N, classes); it trains where its parameters are.
    train : LabelledImages
    valid : LabelledImages, float, int or None
        Held-out images, or which share of `train` (or how many) to hold out, by which the best
        epoch is chosen.
    epochs, batch_size : int
        A last batch smaller than `batch_size` is left out, unless it is the only one.
    optimizer : Optimizer, optional
        By default SGD with momentum 0.9, Nesterov, weight decay 5e-4, a one-cycle schedule up to a
        learning rate of 0.2, and `max_grad_norm` 1.
    schedule : Schedule, optional
        Stepped once per batch.
    transform, valid_transform : callable, optional
        Of uint8 batches; the first gets its draws. Without them pixels are scaled to [0, 1].
    label_smoothing : float
    max_grad_norm : float, optional
        Gradients whose joint norm is larger are scaled down to it (`optim.clip_grad_norm_`), lest
        one bad batch at a high learning rate undo the training.
    precise_bn : bool
        Measure batch norm's running statistics anew (`update_bn`) before held-out images are
        evaluated, over 1,024 training images or a quarter of the epoch. Those that training leaves
        trail behind the weights, and make early epochs look like accidents.
    compile : bool
        Evaluate held-out images by a plan (`minires.compile`) where there are enough of them that
        it pays: see `evaluate`.
    amp : bool
        Mixed precision: float16 activations, gradients and products, float32 sums, batch norm, loss
        and master weights, and a dynamic loss scale (`minires.training.mixed_precision`). It halves
        the memory of a step. It is for GPUs; NumPy computes it correctly but slowly. Held-out
        images are evaluated in float32.
    seed : int
    out : path, optional
        A folder for `last.npz` (the whole state), `best.npz` (the weights of the best epoch),
        `history.csv` and `curves.png`. No other training can write there meanwhile.
    resume : bool
        Go on from `out`/last.npz.
    progress : bool
        Whether to show a progress bar and a line per epoch.
    metadata : dict, optional
        Saved with the weights: see `minires.save`.
    check : bool, optional
        True: a whole `minires.checkup` first, of up to 10 seconds. By default only what costs next
        to nothing: parameters that the optimizer lacks, a softmax before the loss. What is broken
        is a `minires.checks.CheckWarning`, and the training goes on, to the same bits. False: none.
    group : Group, optional
        `minires.distributed.world()`: each process that `mpirun` started takes a stretch of every
        batch of `batch_size` images. All call `fit` alike; the first alone writes and prints.
    sync_bn : bool
        Batch norm by the statistics of the whole batch, not of each process's stretch.

    Returns
    -------
    History
        The model keeps the last epoch's weights; the best are in `out`/best.npz.

    Raises
    ------
    TrainingError
        If the images or a loss are not finite, or gradients overflow float16 at any scale.
    Interrupted
        On Ctrl-C, at the end of the step, once the state has been saved.
    DistributedError
        If another process has other settings, data, versions or another network. Any other error
        that one process alone has ends all of them.
    FileError
        If there is nothing to resume, it does not fit, or `out` is another training's just now.
    TypeError, ValueError
        If a dataset is none or empty, labels do not fit the model, a number makes no sense, or the
        optimiser holds parameters of another model.
    """
    count("epochs", epochs)
    count("batch_size", batch_size)
    count("seed", seed, least=0)
    if max_grad_norm is not None:
        number("max_grad_norm", max_grad_norm, "(0, inf]")
    _check_dataset("train", train)
    if taken := {"epoch", "path", "model"} & set(metadata or {}):
        raise ValueError(f"metadata has {', '.join(sorted(taken))}, which is kept by itself")
    check_writable(metadata or {})
    if not isinstance(optimizer, Optimizer | None):
        raise TypeError(f"optimizer must be an Optimizer or None, got {optimizer!r}")
    if not isinstance(schedule, Schedule | None):
        raise TypeError(f"schedule must be a Schedule or None, got {schedule!r}")
    if schedule is not None and schedule.optimizer is not optimizer:
        raise ValueError("the schedule is another optimizer's: pass that one as optimizer")
    if resume and out is None:
        raise ValueError("resume wants the folder to go on from: pass out")
    if isinstance(valid, np.generic):
        valid = valid.item()
    if isinstance(valid, bool):
        raise TypeError(
            f"valid must be a dataset, a share, a number of images or None, got {valid}"
        )
    if isinstance(valid, int | float):
        train, valid = split(train, valid, seed)
    elif valid is not None:
        _check_dataset("valid", valid)
    if valid is not None and not len(valid):
        raise ValueError("there are no held-out images: valid is empty; None holds nothing out")
    group = group or Group()
    enough(min(batch_size, len(train)), group)
    if transform is None:
        transform = _to_unit_interval
    loader = DataLoader(
        train,
        batch_size,
        shuffle=True,
        seed=seed,
        transform=transform,
        drop_last=len(train) >= batch_size,
        part=(group.rank, group.size) if group.size > 1 else None,
    )
    if optimizer is None:
        optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True)
        if schedule is None:
            schedule = OneCycleLR(optimizer, max_lr=0.2, total_steps=epochs * len(loader))
        if max_grad_norm is None:
            max_grad_norm = 1.0
    elif not {id(p) for p in model.parameters()} & _parameters_of(optimizer):
        raise ValueError("the optimizer holds no parameter of this model, so nothing would train")
    run = Run(
        model=model,
        loader=loader,
        valid=valid,
        valid_transform=valid_transform or _to_unit_interval,
        epochs=epochs,
        optimizer=optimizer,
        schedule=schedule,
        label_smoothing=label_smoothing,
        max_grad_norm=max_grad_norm,
        precise_bn=precise_bn,
        compile=compile,
        amp=amp,
        out=None if out is None else Path(out),
        progress=progress,
        metadata=metadata or {},
        group=group,
        sync_bn=sync_bn,
    )
    with ExitStack() as stack:
        stack.enter_context(group.together())
        if out is not None and group.rank == 0:
            stack.enter_context(hold(out))
        run.start(resume)
        if group.rank > 0:
            check = False
        if check:
            whole_checkup(run.as_setup, seed)
        elif check is None:
            warn_of_structure(model, optimizer)
            stack.enter_context(first_outputs_looked_at(model))
        if sync_bn:
            stack.enter_context(sync_batch_norm(group))
        run.train()
    return run.history


def _check_dataset(name: str, images: Any) -> None:
    if not all(hasattr(images, needed) for needed in ("take", "subset", "labels", "__len__")):
        raise TypeError(
            f"{name} must be a dataset, such as data.ImageDataset(images, labels, classes), "
            f"got {type(images).__name__}"
        )


def _parameters_of(optimizer: Optimizer) -> set[int]:
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def _to_unit_interval(images: Any, draws: Any = None) -> np.ndarray[Any, Any]:
    return np.asarray(images).astype(np.float32) * np.float32(1 / 255)
