"""A network's loss and accuracy on a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires.data import DataLoader, LabelledImages
from minires.distributed import Group
from minires.grad_mode import no_grad
from minires.nn import Module
from minires.nn import functional as F
from minires.nn.modes import evaluating
from minires.optim.options import count
from minires.tensors import Tensor
from minires.training.predictor import Predictor


@dataclass(frozen=True)
class Evaluation:
    """The mean cross-entropy, and how many of how many images were right."""

    loss: float
    correct: int
    count: int
    predictions: np.ndarray[Any, Any]  # class numbers (N,), in the dataset's order

    @property
    def accuracy(self) -> float:
        """The share of images that were right."""
        return self.correct / self.count


def device_of_model(model: Module) -> str:
    """Where the model's parameters are."""
    first = next(model.parameters(), None)
    return "cpu" if first is None else first.device


def evaluate(
    model: Module,
    dataset: LabelledImages,
    *,
    transform: Callable[..., Any] | None = None,
    batch_size: int = 256,
    on_batch: Callable[[int], Any] | None = None,
    compile: bool = True,
    group: Group | None = None,
) -> Evaluation:
    """Run `model` over `dataset` in evaluation mode; its mode is restored afterwards.

    Parameters
    ----------
    model : Module
        Images (N, H, W, C) to logits (N, classes), on any device.
    dataset : LabelledImages
    transform : callable, optional
        Of uint8 batches, such as `data.Normalize(mean, std)`.
    batch_size : int
    on_batch : callable, optional
        Told how many images were done, after each batch: for a progress bar.
    compile : bool
        Use a plan (`minires.compile`) where it pays, for 6,400 images or more in batches of 64
        or more: the same numbers up to rounding, the same bits for any number of threads. Where
        the model cannot be recorded a warning says why, and the model itself is run.
    group : Group, optional
        `minires.distributed.world()`: each process takes its share of the images.

    Returns
    -------
    Evaluation
    """
    count("batch_size", batch_size)
    count_each = len(dataset) // (group.size if group else 1)
    predictor = Predictor(model, count_each, at_once=batch_size, compile=compile)
    return evaluate_with(predictor, dataset, transform, batch_size, on_batch, group)


def evaluate_with(
    predictor: Predictor,
    dataset: LabelledImages,
    transform: Callable[..., Any] | None,
    batch_size: int,
    on_batch: Callable[[int], Any] | None,
    group: Group | None = None,
) -> Evaluation:
    """`evaluate` by a predictor, which may have a plan from the last time.

    Of several processes each takes every so manieth image, and all know the whole result.
    """
    if group is not None and group.size > 1:
        return _evaluate_together(predictor, dataset, transform, batch_size, on_batch, group)
    device = device_of_model(predictor.model)
    loss, predictions = 0.0, []
    predictor.renew()
    with evaluating(predictor.model), no_grad():
        for images, labels in DataLoader(dataset, batch_size, transform=transform):
            logits = predictor(Tensor(images).to(device))
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            predictions.append(logits.numpy().argmax(axis=-1))
            if on_batch is not None:
                on_batch(len(labels))
    predicted = np.concatenate(predictions)
    correct = int((predicted == dataset.labels).sum())
    return Evaluation(loss / len(dataset), correct, len(dataset), predicted)


def _evaluate_together(
    predictor: Predictor,
    dataset: LabelledImages,
    transform: Callable[..., Any] | None,
    batch_size: int,
    on_batch: Callable[[int], Any] | None,
    group: Group,
) -> Evaluation:
    indices = np.arange(group.rank, len(dataset), group.size)
    longest = -(-len(dataset) // group.size)
    numbers = np.zeros(2 + longest)  # float64 holds all class numbers
    if len(indices):
        own = evaluate_with(predictor, dataset.subset(indices), transform, batch_size, on_batch)
        numbers[:2] = own.loss * own.count, own.correct
        numbers[2 : 2 + own.count] = own.predictions
    every = group.gather(numbers)
    loss, correct = every[:, :2].sum(axis=0)
    predicted = every[:, 2:].T.reshape(-1)[: len(dataset)].astype(np.int64)
    return Evaluation(loss / len(dataset), int(correct), len(dataset), predicted)
