"""What a training consists of, the data it is made of, and the healthy twins of the faults."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import minires
from minires import Tensor, data, models, nn, no_grad, optim
from minires.nn import functional as F

try:
    from minires import Setup
except ImportError:

    @dataclass(frozen=True)
    class Setup:  # type: ignore[no-redef]
        """A training: what learns, from what, and how.

        `step(inputs, labels)` is the user's own update and `evaluate()` their own accuracy.
        """

        model: Any
        train: Any
        valid: Any
        loss: Callable[..., Any]
        optimizer: Any
        step: Callable[..., Any] | None = None
        evaluate: Callable[[], float] | None = None


Arrays = tuple[np.ndarray, np.ndarray]
Make = Callable[[], Setup]


# --- data ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """Images uint8 (N, H, W, C) and labels, in three parts from the same source."""

    train: Arrays
    valid: Arrays
    clean: Arrays  # seen by nobody but `measure`
    mean: float
    std: float


SIZES = {"digits": (1200, 297, 300), "fashion": (2000, 500, 1000), "cifar": (2000, 500, 1000)}


@cache
def parts(name: str) -> Parts:
    """The parts of a dataset, mixed in an order of their own."""
    if name == "cifar":
        shared = Path(os.environ.get("MINIRES_SHARED") or Path(__file__).parents[4] / "shared")
        sets = [data.CIFAR10(shared / "data", train=False)]
    else:
        source = {"digits": data.digits, "fashion": data.fashion_mini}[name]
        sets = [source(True), source(False)]
    images = np.concatenate([each.images for each in sets])
    labels = np.concatenate([each.labels for each in sets])
    order = np.random.default_rng(1).permutation(len(images))
    ends = np.cumsum(SIZES[name])
    train, valid, clean = (
        (images[part], labels[part]) for part in np.split(order[: ends[-1]], ends[:-1])
    )
    scaled = train[0].astype(np.float32) / 255
    return Parts(train, valid, clean, float(scaled.mean()), float(scaled.std()))


def standard(images: np.ndarray, name: str) -> np.ndarray:
    """Pixels with mean 0 and standard deviation 1 over the training images: float32."""
    known = parts(name)
    return ((images.astype(np.float32) / 255 - known.mean) / known.std).astype(np.float32)


def unit(images: np.ndarray, name: str) -> np.ndarray:
    """Pixels in [0, 1]: float32."""
    return images.astype(np.float32) / 255


def raw(images: np.ndarray, name: str) -> np.ndarray:
    """Pixels as they are, 0 to 255, but float32."""
    return images.astype(np.float32)


class Batches:
    """Batches of two arrays in another order each time that they are gone through.

    Nothing is read before the first batch is asked for.
    """

    def __init__(
        self, arrays: Callable[[], Arrays], size: int, shuffle: bool = True, change: Any = None
    ) -> None:
        self.arrays, self.size, self.shuffle, self.change = arrays, size, shuffle, change
        self.passes = 0

    def __len__(self) -> int:
        return -(-len(self.arrays()[1]) // self.size)

    def order(self, count: int) -> np.ndarray:
        """Which sample comes when, in this pass."""
        if not self.shuffle:
            return np.arange(count)
        return np.random.default_rng([7, self.passes]).permutation(count)

    def __iter__(self) -> Iterator[Arrays]:
        inputs, labels = self.arrays()
        order = self.order(len(labels))
        self.passes += 1
        for start in range(0, len(order), self.size):
            chosen = order[start : start + self.size]
            batch = inputs[chosen], labels[chosen]
            yield batch if self.change is None else self.change(*batch)


# --- networks --------------------------------------------------------------------------------


def mlp(*widths: int, activation: Callable[[], nn.Module] = nn.ReLU, pixels: int = 64) -> Any:
    """Linear layers with an activation between them; 10 classes."""
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in zip((pixels, *widths), widths, strict=False):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers, nn.Linear(widths[-1] if widths else pixels, 10))


def conv(
    channels: int = 1, width: int = 8, bn: bool = False, size: int = 8, drop: float = 0
) -> Any:
    """Two convolutions, each with pooling, and a linear layer; large images are halved at first."""
    layers: list[nn.Module] = []
    if size > 8:
        layers, size = [nn.AvgPool2d(2)], size // 2
    for before, after in ((channels, width), (width, 2 * width)):
        layers.append(nn.Conv2d(before, after, 3, padding=1))
        layers += [nn.BatchNorm2d(after)] if bn else []
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers, nn.Linear(2 * width * (size // 4) ** 2, 10))


def small_resnet(channels: int = 1) -> Any:
    """Three residual blocks."""
    return models.resnet8(num_classes=10, in_channels=channels)


class RowTransformer(nn.Module):
    """The rows of an image as a sequence: attention over them, then their mean."""

    def __init__(self, size: int = 8, dim: int = 32, depth: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.embed = nn.Linear(size, dim)
        self.position = nn.Parameter(np.zeros((1, size, dim), np.float32))
        nn.init.normal_(self.position, std=0.1)
        self.blocks = nn.Sequential(
            *(models.TransformerBlock(dim, 4, 2, dropout) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 10)

    def forward(self, x: Any) -> Any:
        rows = x.reshape(x.shape[0], x.shape[1], -1)
        hidden = self.blocks(self.embed(rows) + self.position)
        return self.head(self.norm(hidden).mean(1))


# --- healthy twins ---------------------------------------------------------------------------


def adam(model: Any) -> Any:
    return optim.Adam(model.parameters(), lr=1e-3)


def sgd(model: Any) -> Any:
    return optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def one_step(model: Any, optimizer: Any, loss: Any) -> Callable[..., Any]:
    """The usual update."""

    def step(inputs: Any, labels: Any) -> float:
        model.train()
        optimizer.zero_grad()
        value = loss(model(Tensor(inputs)), labels)
        value.backward()
        optimizer.step()
        return value.item()

    return step


def accuracy(model: Any, inputs: np.ndarray, labels: np.ndarray, size: int = 250) -> float:
    """The share of right answers, without gradients, in the mode that the model is in."""
    right = 0
    with no_grad():
        for start in range(0, len(labels), size):
            logits = model(Tensor(inputs[start : start + size])).numpy()
            right += int((logits.argmax(-1) == labels[start : start + size]).sum())
    return right / len(labels)


@dataclass(frozen=True)
class Twin:
    """A healthy training, of which `but` makes others."""

    dataset: str
    network: Callable[[], Any]
    optimizer: Callable[[Any], Any] = adam
    loss: Callable[..., Any] = F.cross_entropy
    batch_size: int = 32
    epochs: int = 6
    prepare: Callable[[np.ndarray, str], np.ndarray] = standard
    form: str = "batches"  # how the training data are given: or "list", "loader", "arrays"
    seed: int = 0
    examples: Callable[[np.ndarray, np.ndarray], Arrays] | None = None
    """Prepared training inputs and labels to those that are trained on."""
    valid: Callable[[np.ndarray, np.ndarray], Any] | None = None
    """Prepared held-out inputs and labels to what the set-up has."""
    train: Callable[[np.ndarray, np.ndarray], Any] | None = None
    """Prepared training inputs and labels to what the set-up has."""
    change: Callable[[np.ndarray, np.ndarray], Arrays] | None = None
    """A batch to what becomes of it."""
    step: Callable[[Any, Any, Any], Any] | None = None
    evaluate: Callable[[Any, np.ndarray, np.ndarray], Any] | None = None
    """The model and prepared held-out data to the user's own evaluation."""
    after: Callable[[Any], Any] | None = None
    """What happens to the model once the optimiser has been made."""

    def but(self, **changes: Any) -> Make:
        """How to make this training with something else in it."""
        return replace(self, **changes).make

    def make(self) -> Setup:
        """The set-up, the same each time."""
        minires.manual_seed(self.seed)
        model = self.network()
        optimizer = self.optimizer(model)
        if self.after is not None:
            model = self.after(model) or model
        step = self.step and self.step(model, optimizer, self.loss)
        evaluate = self.evaluate and self.evaluate(model, *self._arrays("valid"))
        return Setup(
            model,
            self._train(),
            self._valid(),
            self.loss,
            optimizer,
            step or None,
            evaluate or None,
        )

    def _arrays(self, part: str) -> Arrays:
        images, labels = getattr(parts(self.dataset), part)
        return self.prepare(images, self.dataset), labels

    def _training(self) -> Arrays:
        inputs, labels = self._arrays("train")
        return (inputs, labels) if self.examples is None else self.examples(inputs, labels)

    def _train(self) -> Any:
        if self.train is not None:
            return self.train(*self._training())
        if self.form == "arrays":
            return self._training()
        if self.form == "loader":
            images, labels = parts(self.dataset).train
            kept = data.ImageDataset(images, labels, tuple("0123456789"), self.dataset)
            return data.DataLoader(
                kept,
                self.batch_size,
                shuffle=True,
                transform=lambda batch, draws: self.prepare(batch, self.dataset),
                prefetch=0,
            )
        batches = Batches(cache(self._training), self.batch_size, change=self.change)
        return list(batches) if self.form == "list" else batches

    def _valid(self) -> Any:
        if self.dataset == "cifar" and self.valid is None:
            return Batches(cache(lambda: self._arrays("valid")), 250, shuffle=False)
        arrays = self._arrays("valid")
        return arrays if self.valid is None else self.valid(*arrays)


def deep(activation: Callable[[], nn.Module] = nn.ReLU, depth: int = 8, width: int = 32) -> Any:
    """A deep and narrow network of linear layers, drawn as He et al. 2015 do."""
    model = mlp(*[width] * depth, activation=activation)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


def dropping(p: float = 0.2) -> Any:
    """A wide layer on each side of whose activation a part is dropped."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 96),
        nn.ReLU(),
        nn.Dropout(p),
        nn.Linear(96, 96),
        nn.ReLU(),
        nn.Dropout(p),
        nn.Linear(96, 10),
    )


def adam3(model: Any) -> Any:
    return optim.Adam(model.parameters(), lr=3e-3)


DIGITS = Twin("digits", lambda: mlp(64, 64), epochs=8)
DIGITS_SGD = Twin("digits", lambda: mlp(64, 64), sgd, epochs=6)
DIGITS_DEEP = Twin("digits", deep, epochs=10)
DIGITS_DROPOUT = Twin("digits", dropping, adam3, epochs=8)
DIGITS_CONV = Twin("digits", conv, adam3, epochs=5)
DIGITS_BN = Twin("digits", lambda: conv(bn=True), adam3, epochs=4)
DIGITS_BN_SGD = Twin("digits", lambda: conv(bn=True), sgd, epochs=4)
DIGITS_RESNET = Twin("digits", small_resnet, sgd, epochs=3, batch_size=64)
DIGITS_ROWS = Twin("digits", RowTransformer, lambda m: optim.AdamW(m.parameters(), 3e-3), epochs=7)
FASHION = Twin("fashion", lambda: mlp(100, pixels=784), epochs=6)
FASHION_CONV = Twin("fashion", lambda: conv(size=28), adam3, epochs=4)
FASHION_BN = Twin("fashion", lambda: conv(bn=True, size=28), sgd, epochs=3)
CIFAR_CONV = Twin("cifar", lambda: conv(3, 16, True, 32), adam3, batch_size=64, epochs=4)

TWINS = {name: value for name, value in list(globals().items()) if isinstance(value, Twin)}


# --- the register of faults ------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """A training with something wrong in it."""

    name: str
    source: str  # who listed this kind of fault
    cause: str  # what is wrong
    harm: str  # what that does; "none" where measuring found nothing
    twin: str  # the healthy training that it was made from
    make: Make = field(repr=False)
    epochs: int = 0
    prepare: Callable[[np.ndarray, str], np.ndarray] = field(default=standard, repr=False)


FAULTS: dict[str, Fault] = {}


def fault(
    source: str,
    cause: str,
    harm: str,
    twin: Twin,
    epochs: int | None = None,
    prepare: Callable[[np.ndarray, str], np.ndarray] | None = None,
) -> Callable[[Callable[[], Make]], Callable[[], Make]]:
    """Register what a function returns as a fault under the function's name.

    `prepare` is how inputs are prepared that the model is judged by, if not as its twin's.
    """
    base = next(name for name, value in TWINS.items() if value is twin)

    def register(function: Callable[[], Make]) -> Callable[[], Make]:
        name = function.__name__
        if name in FAULTS:
            raise ValueError(f"two faults are called {name}")
        FAULTS[name] = Fault(
            name,
            source,
            cause,
            harm,
            base,
            function(),
            epochs or twin.epochs,
            prepare or twin.prepare,
        )
        return function

    return register
