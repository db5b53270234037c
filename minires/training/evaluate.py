"""A network's loss and accuracy on a dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires.data import DataLoader, LabelledImages
from minires.engine import no_grad
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

    Returns
    -------
    Evaluation
    """
    count("batch_size", batch_size)
    predictor = Predictor(model, len(dataset), at_once=batch_size, compile=compile)
    return evaluate_with(predictor, dataset, transform, batch_size, on_batch)


def evaluate_with(
    predictor: Predictor,
    dataset: LabelledImages,
    transform: Callable[..., Any] | None,
    batch_size: int,
    on_batch: Callable[[int], Any] | None,
) -> Evaluation:
    """`evaluate` by a predictor, which may have a plan from the last time."""
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
