"""`confusion_matrix`: which class was taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minires.tensors import Tensor
from minires.viz.colours import SHARE
from minires.viz.picture import Picture, new_figure
from minires.viz.player import TooLargeError
from minires.viz.scene import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES, MOST_NAMES = 1000, 30


def confusion_matrix(
    labels: Any, predictions: Any, class_names: Sequence[str] | None = None
) -> Picture:
    """Draw how often images of each class (rows) were taken for each (columns).

    Parameters
    ----------
    labels, predictions : integers (N,)
        True and predicted class numbers, such as `evaluate(...).predictions`.
    class_names : sequence of str, optional
        By default the numbers.

    Returns
    -------
    Picture
        Its `values["counts"]` is (classes, classes), integers.

    Raises
    ------
    ValueError
        If the two differ in length, are no class numbers, or there are fewer names than classes.
    TooLargeError
        If there are more than 1000 classes.
    """
    true, guessed = (np.asarray(v.numpy() if isinstance(v, Tensor) else v)
                     for v in (labels, predictions))  # fmt: skip
    if true.ndim == 1 and true.shape == guessed.shape == (0,):
        raise ValueError("confusion_matrix wants at least one label and prediction, got none")
    if true.shape != guessed.shape or true.ndim != 1:
        raise ValueError(
            f"confusion_matrix wants as many predictions as labels, got {guessed.shape} and "
            f"{true.shape}"
        )
    if any(v.dtype.kind not in "iu" or v.min() < 0 for v in (true, guessed)):
        raise ValueError("confusion_matrix wants class numbers: integers from 0")
    classes = int(max(true.max(), guessed.max())) + 1
    if classes > MOST_CLASSES:
        raise TooLargeError(
            f"confusion_matrix shows at most {MOST_CLASSES} classes, numbered from 0, got {classes}"
        )
    if class_names is not None:
        if len(class_names) < classes:
            raise ValueError(f"there are {classes} classes, and {len(class_names)} names")
        classes = len(class_names)
    names = [str(n) for n in (range(classes) if class_names is None else class_names)]
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (true, guessed), 1)
    right = int(np.trace(counts))
    caption = f"{right} of {true.size} are right, on the diagonal ({right / true.size:.1%})."
    wrong = counts - np.diag(np.diag(counts))
    if wrong.any():
        row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
        caption += (
            f" The commonest mistake: {names[row]} taken for {names[column]}, "
            f"{wrong[row, column]} times."
        )
    return Picture("Confusion matrix", caption, {"counts": counts}, lambda: _draw(counts, names))


def _draw(counts: np.ndarray[Any, Any], names: Sequence[str]) -> Figure:
    classes = len(names)
    side = min(max(3.2, 1.6 + 0.5 * classes), 11)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap=SHARE, vmin=0, vmax=1)
    axes.set(xlabel="predicted class", ylabel="true class")
    every = -(-classes // MOST_NAMES)  # of very many classes, the names of some
    known = [shortened(name, 150) for name in names[::every]]
    turned: Any = {} if max(map(len, known)) < 3 else {"rotation": 40, "ha": "right"}
    axes.set_xticks(range(0, classes, every), known, parse_math=False, **turned)
    axes.set_yticks(range(0, classes, every), known, parse_math=False)
    if classes <= 25:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                colour = "white" if share[i, j] > 0.55 else "#1f2328"
                size = min(8, 48 / len(str(count)))
                axes.text(j, i, str(count), ha="center", va="center", color=colour, fontsize=size)
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.046)
    return figure
