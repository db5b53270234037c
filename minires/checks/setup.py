"""What a training is made of, and how a check borrows one and gives it back unchanged."""

from __future__ import annotations

import copy
import random as python_random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from minires import random, writes
from minires.data import DataLoader
from minires.engine import raw
from minires.grad_mode import no_grad
from minires.nn import Module
from minires.optim import Optimizer
from minires.tensors import Tensor

Array: TypeAlias = np.ndarray[Any, Any]

BATCH = 64


@dataclass
class Setup:
    """A training as somebody has written it: what `make` returns to a checkup.

    Attributes
    ----------
    model : Module
    train : iterable of batches, or a pair of arrays, or a Dataset
        Batches (inputs, labels) as the loop gets them: a DataLoader, a list, anything that can be
        gone through again. Inputs and labels as two arrays, or a Dataset, are batched by 64, in
        random order; a Dataset's images are scaled to [0, 1], as `fit` does it.
    valid : the same, or None
    loss : callable
        `loss(logits, labels)` gives a Tensor of one number.
    optimizer : Optimizer
    step : callable, optional
        `step(inputs, labels)`: one's own update, of this model by this optimiser; it may return the
        loss. Without it the textbook's is used.
    evaluate : callable, optional
        `evaluate()`: one's own accuracy on the validation data, from 0 to 1, or in percent.
    """

    model: Any
    train: Any
    valid: Any
    loss: Callable[[Any, Any], Any]
    optimizer: Any
    step: Callable[[Any, Any], Any] | None = None
    evaluate: Callable[[], Any] | None = None


class SetupError(ValueError):
    """What `make` returned is no set-up; the message says what was wanted."""


def made(make: Callable[[], Any]) -> Setup:
    """What `make` gives, as a Setup.

    Raises
    ------
    SetupError
        If it is none.
    """
    if not callable(make):
        raise SetupError(
            "checkup wants a function without arguments that gives a fresh minires.Setup, got "
            f"{type(make).__name__}"
        )
    found = make()
    if isinstance(found, Mapping):
        known = {f.name for f in fields(Setup)}
        needed = {"model", "train", "loss", "optimizer"}
        if unknown := sorted(set(map(str, found)) - known):
            raise SetupError(f"a set-up has no {', '.join(unknown)}; it has {', '.join(known)}")
        if missing := sorted(needed - set(found)):
            raise SetupError(f"the set-up lacks {', '.join(missing)}")
        found = Setup(**{"valid": None, **found})
    if not isinstance(found, Setup):
        raise SetupError(f"make must return a minires.Setup, got {type(found).__name__}")
    if not isinstance(found.model, Module):
        raise SetupError(f"model must be a Module, got {type(found.model).__name__}")
    if not isinstance(found.optimizer, Optimizer):
        raise SetupError(f"optimizer must be an Optimizer, got {type(found.optimizer).__name__}")
    if not callable(found.loss):
        raise SetupError(f"loss must be callable, got {type(found.loss).__name__}")
    for name in ("step", "evaluate"):
        value = getattr(found, name)
        if value is not None and not callable(value):
            raise SetupError(f"{name} must be callable or None, got {type(value).__name__}")
    return found


def textbook_step(setup: Setup) -> Callable[[Any, Any], Any]:
    """The user's step, or the textbook's where there is none."""
    if setup.step is not None:
        return setup.step

    def step(inputs: Any, labels: Any) -> Any:
        setup.model.train()
        setup.optimizer.zero_grad()
        loss = setup.loss(setup.model(as_input(setup.model, inputs)), labels)
        loss.backward()
        setup.optimizer.step()
        return loss

    return step


# ------------------------------------------------------------------ data


def batches(data: Any, seed: int = 0) -> Iterator[tuple[Any, Any]]:
    """The batches of one epoch."""
    if data is None:
        return
    if _is_pair(data):
        inputs, labels = data
        order = np.random.default_rng(seed).permutation(len(labels))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            yield taken(inputs, chosen), taken(labels, chosen)
    elif hasattr(data, "take") and hasattr(data, "labels"):
        yield from DataLoader(
            data, BATCH, shuffle=True, seed=seed, transform=_to_unit_interval, prefetch=0
        )
    else:
        for batch in data:
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise SetupError(
                    "the data must give batches (inputs, labels), got "
                    f"{type(batch).__name__}"
                    + (f" of {len(batch)}" if hasattr(batch, "__len__") else "")
                )
            yield batch[0], batch[1]


def _is_pair(data: Any) -> bool:
    """Whether it is inputs and labels as two arrays, no list of batches."""
    return (
        isinstance(data, tuple)
        and len(data) == 2
        and all(hasattr(part, "shape") for part in data)
        and len(data[0]) == len(data[1])
    )


def taken(values: Any, chosen: Array) -> Any:
    """Some samples of inputs or labels, in this order."""
    return Tensor(raw(values)[chosen]) if isinstance(values, Tensor) else values[chosen]


def _to_unit_interval(images: Any, draws: Any = None) -> Array:
    array: Array = np.asarray(images)
    return array.astype(np.float32) * np.float32(1 / 255) if array.dtype == np.uint8 else array


def host(values: Any) -> Array:
    """An array on the host, of a Tensor, an array or a list."""
    array: Array = values.detach().numpy() if isinstance(values, Tensor) else np.asarray(values)
    return array


def as_input(model: Any, inputs: Any) -> Any:
    """What the model is called with."""
    if isinstance(inputs, Tensor):
        return inputs
    if not hasattr(inputs, "dtype"):
        inputs = np.asarray(inputs)
    first = next(iter(model.parameters()), None)
    device = "cpu" if first is None else first.device
    return Tensor(inputs) if device == "cpu" else Tensor(inputs).to(device)


def sliced(values: Any, count: int) -> Any:
    """The first `count` samples of a batch's inputs or labels."""
    return values[:count]


def logits(model: Any, inputs: Any, training: bool = False) -> Array:
    """The model's outputs as float64, in one mode; its modes and statistics stay as they were."""
    with no_grad(), kept_model(model):
        model.train(training)
        out = model(as_input(model, inputs))
    array: Array = host(out).astype(np.float64)
    return array


def class_labels(labels: Any, outputs: Array) -> Array | None:
    """Class numbers for outputs (..., C), from class numbers or one-hot rows; None for others."""
    array = host(labels)
    if array.dtype.kind in "iu" and array.shape == outputs.shape[:-1]:
        classes = array.astype(np.int64)
        fits = classes.size and classes.min() >= 0 and classes.max() < outputs.shape[-1]
        return classes if fits else None
    if array.shape == outputs.shape and array.ndim > 1 and array.shape[-1] > 1:
        hot = (array >= 0).all() and np.allclose(array.sum(-1), 1, atol=1e-3)
        return array.argmax(-1) if hot else None
    return None


# ------------------------------------------------------------------ leaving no trace


@contextmanager
def kept_random() -> Iterator[None]:
    """All random draws go on after the block as if it had not been."""
    own = random.generator()
    before = copy.deepcopy(own.bit_generator.state)
    legacy, python = np.random.get_state(), python_random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        own.bit_generator.state = before
        random._generator = own  # `manual_seed` may have made another
        np.random.set_state(legacy)  # noqa: NPY002
        python_random.setstate(python)


def seeded(seed: int) -> None:
    """Start every common generator anew, inside `kept_random`."""
    random.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    python_random.seed(seed)


@contextmanager
def kept_model(model: Any) -> Iterator[None]:
    """Weights, statistics, modes and gradients of a model are afterwards what they were."""
    tensors = [*model.parameters(), *model.buffers()]
    values = [(t, t.data, t.data.copy(), t.grad) for t in tensors]
    modes = [(m, m.training) for m in model.modules()]
    try:
        yield
    finally:
        for tensor, array, value, gradient in values:
            if tensor.data is not array:
                tensor.data = array
            array[...] = value
            writes.note(array)
            if tensor.grad is not gradient:
                tensor.grad = gradient
        for module, mode in modes:
            module.training = mode


@contextmanager
def kept(setup: Setup) -> Iterator[None]:
    """A set-up is afterwards what it was: `make` may give the same objects every time."""
    optimizer = setup.optimizer
    groups = [dict(group) for group in optimizer.param_groups]
    members = [list(group["params"]) for group in optimizer.param_groups]
    state, holders = copy.deepcopy(list(optimizer.state)), list(optimizer._holders)
    epochs = [(d, d.epoch) for d in (setup.train, setup.valid) if isinstance(d, DataLoader)]
    with kept_model(setup.model):
        try:
            yield
        finally:
            for group, before, params in zip(
                list(optimizer.param_groups), groups, members, strict=False
            ):
                group.update(before)
                group["params"] = params
            optimizer.state[:] = state
            optimizer._holders = holders
            for loader, epoch in epochs:
                loader.epoch = epoch


class Clock:
    """How much of a checkup's time is left."""

    def __init__(self, seconds: float) -> None:
        self.start = time.perf_counter()
        self.seconds = seconds

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.start

    @property
    def left(self) -> float:
        """Seconds until the end, not below 0."""
        return max(self.seconds - self.spent, 0.0)

    @property
    def over(self) -> str:
        """Why nothing more is checked."""
        return "time ran out"

    def share(self, part: float, most: float = float("inf")) -> Clock:
        """A clock for a part of what is left."""
        return Clock(min(self.left * part, most))
