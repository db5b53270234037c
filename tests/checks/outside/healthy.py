"""Trainings with nothing wrong in them, drawn by a generator of fixed seeds, and some by hand.

Each learns (`outside.json` says how well), so a warning about one of them is a false alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minires import Tensor, models, nn, optim
from minires.nn import functional as F
from minires.optim import clip_grad_norm_
from outside.setups import (
    Batches,
    Make,
    RowTransformer,
    Twin,
    accuracy,
    conv,
    mlp,
    one_step,
    raw,
    small_resnet,
    standard,
    unit,
)

EYE = np.eye(10, dtype=np.float32)
DRAWN = 64
SLOW = {13: 3, 20: 2, 22: 3, 25: 3, 29: 3, 36: 3, 44: 3, 61: 2}  # so many times the usual epochs


@dataclass(frozen=True)
class Healthy:
    """A training that learns."""

    name: str
    dataset: str
    make: Make = field(repr=False)
    epochs: int = 1
    prepare: Callable[[np.ndarray, str], np.ndarray] = field(default=standard, repr=False)


HEALTHY: dict[str, Healthy] = {}


def healthy(name: str, twin: Twin) -> None:
    HEALTHY[name] = Healthy(name, twin.dataset, twin.make, twin.epochs, twin.prepare)


# --- what is drawn ---------------------------------------------------------------------------

PIXELS = {"digits": 64, "fashion": 784, "cifar": 3072}
SIDE = {"digits": 8, "fashion": 28, "cifar": 32}
CHANNELS = {"digits": 1, "fashion": 1, "cifar": 3}
ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky": nn.LeakyReLU,
}


def normed(pixels: int, norm: Callable[[int], nn.Module], width: int, p: float = 0.0) -> Any:
    """Two hidden layers with a normalisation, and with dropout if `p` says so."""
    layers: list[nn.Module] = [nn.Flatten()]
    for before in (pixels, width):
        layers += [nn.Linear(before, width), norm(width), nn.ReLU()]
        layers += [nn.Dropout(p)] if p else []
    return nn.Sequential(*layers, nn.Linear(width, 10))


def small_convnext(side: int, channels: int) -> Any:
    return models.ConvNeXt(
        depths=(1, 1),
        widths=(12, 24),
        patch=2 if side == 8 else 4,
        num_classes=10,
        in_channels=channels,
        layer_scale=0.1,
    )


def networks(dataset: str, rng: np.random.Generator) -> dict[str, Callable[[], Any]]:
    """Networks that fit a dataset; the generator draws their sizes."""
    pixels, side, channels = PIXELS[dataset], SIDE[dataset], CHANNELS[dataset]
    widths = [int(rng.choice([32, 48, 64, 100])) for _ in range(int(rng.integers(1, 4)))]
    width, p = int(rng.choice([48, 64, 96])), float(rng.choice([0.1, 0.25, 0.4]))
    found: dict[str, Callable[[], Any]] = {
        f"mlp_{name}": lambda a=a: mlp(*widths, activation=a, pixels=pixels)
        for name, a in ACTIVATIONS.items()
        if name != "sigmoid"
    }
    found |= {
        "mlp_sigmoid": lambda: mlp(width, activation=nn.Sigmoid, pixels=pixels),
        "mlp_bn": lambda: normed(pixels, nn.BatchNorm1d, width),
        "mlp_layernorm": lambda: normed(pixels, nn.LayerNorm, width),
        "mlp_dropout": lambda: normed(pixels, nn.LayerNorm, width, p),
        "conv": lambda: conv(channels, 8, size=side),
        "conv_bn": lambda: conv(channels, 8, True, side),
        "conv_dropout": lambda: conv(channels, 12, True, side, p),
        "convnext": lambda: small_convnext(side, channels),
    }
    if dataset == "digits":
        found |= {
            "resnet8": lambda: small_resnet(channels),
            "transformer": lambda: RowTransformer(dropout=p / 4),
        }
    if dataset == "cifar":
        return {name: found[name] for name in ("conv_bn", "conv_dropout", "conv")}
    return found


def undecayed(model: Any) -> list[dict[str, Any]]:
    """Two groups: matrices with weight decay, vectors without."""
    several = [p for p in model.parameters() if p.ndim > 1]
    return [
        {"params": several, "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


def optimisers(size: int) -> dict[str, Callable[[Any], Any]]:
    """Optimisers at usual rates for this batch size."""
    by_size = (size / 32) ** 0.5
    return {
        "sgd": lambda m: optim.SGD(m.parameters(), 0.1 * by_size, weight_decay=1e-4),
        "momentum": lambda m: optim.SGD(m.parameters(), 0.03 * by_size, momentum=0.9),
        "nesterov": lambda m: optim.SGD(
            m.parameters(), 0.02 * by_size, momentum=0.9, nesterov=True, weight_decay=5e-4
        ),
        "adam": lambda m: optim.Adam(m.parameters(), 2e-3 * by_size),
        "adamw": lambda m: optim.AdamW(m.parameters(), 2e-3 * by_size, weight_decay=0.05),
        "adamw_groups": lambda m: optim.AdamW(undecayed(m), 3e-3 * by_size),
        "rmsprop": lambda m: optim.RMSprop(m.parameters(), 1e-3 * by_size),
    }


LOSSES: dict[str, Callable[..., Any]] = {
    "entropy": F.cross_entropy,
    "smoothing": lambda logits, y: F.cross_entropy(logits, y, label_smoothing=0.1),
    "nll": lambda logits, y: F.nll_loss(F.log_softmax(logits, -1), y),
    "squares": lambda logits, y: F.mse_loss(logits, EYE[y]),
    "binary": lambda logits, y: F.binary_cross_entropy_with_logits(logits, EYE[y]),
}


# --- steps of users' own ---------------------------------------------------------------------


def clipping(model, optimizer, loss):
    def step(inputs, labels):
        optimizer.zero_grad()
        value = loss(model(Tensor(inputs)), labels)
        value.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return value.item()

    return step


def accumulating(model, optimizer, loss):
    count = [0]

    def step(inputs, labels):
        value = loss(model(Tensor(inputs)), labels) / 2
        value.backward()
        count[0] += 1
        if count[0] % 2 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return 2 * value.item()

    return step


def mixing(model, optimizer, loss):
    rng = np.random.default_rng(5)

    def step(inputs, labels):
        model.train()
        share, other = float(rng.beta(0.3, 0.3)), rng.permutation(len(labels))
        logits = model(Tensor((share * inputs + (1 - share) * inputs[other]).astype(np.float32)))
        value = share * loss(logits, labels) + (1 - share) * loss(logits, labels[other])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return step


def noisy(model, optimizer, loss):
    usual, rng = one_step(model, optimizer, loss), np.random.default_rng(6)

    def step(inputs, labels):
        noise = rng.normal(0, 0.2, inputs.shape).astype(np.float32)
        return usual(inputs + noise, labels)

    return step


def scheduled(schedule_of: Callable[[Any, int], Any], steps: int) -> Any:
    def of(model, optimizer, loss):
        usual, schedule = one_step(model, optimizer, loss), schedule_of(optimizer, steps)
        count = [0]

        def step(inputs, labels):
            value = usual(inputs, labels)
            count[0] += 1
            if count[0] < steps:
                schedule.step()
            return value

        return step

    return of


SCHEDULES: dict[str, Callable[[Any, int], Any]] = {
    "warmup": lambda o, n: optim.LambdaLR(o, lambda step: min(1.0, (step + 1) / (0.2 * n))),
    "cosine": lambda o, n: optim.CosineAnnealingLR(o, n),
    "onecycle": lambda o, n: optim.OneCycleLR(o, 2 * o.param_groups[0]["lr"], n),
    "falling": lambda o, n: optim.StepLR(o, max(1, n // 2), 0.3),
    "exponential": lambda o, n: optim.ExponentialLR(o, 0.1 ** (1 / n)),
}
STEPS: dict[str, Any] = {
    "clipping": clipping,
    "accumulating": accumulating,
    "mixup": mixing,
    "noise": noisy,
}


class Averaged:
    """A step with an average of the weights beside it, and the evaluation of that average."""

    def __init__(self) -> None:
        self.average: Any = None

    def step(self, model, optimizer, loss):
        usual = one_step(model, optimizer, loss)
        self.average = deepcopy(model)

        def step(inputs, labels):
            value = usual(inputs, labels)
            now = model.state_dict()
            for name, slow in self.average.state_dict().items():
                fast = now[name].data
                slow.data[...] = (
                    0.9 * slow.data + 0.1 * fast if slow.data.dtype.kind == "f" else fast
                )
            return value

        return step

    def evaluate(self, model, inputs, labels):
        average = self.average
        return lambda: accuracy(average.eval(), inputs, labels)


def draw(number: int) -> tuple[str, Twin]:
    """Healthy training number `number`."""
    rng = np.random.default_rng([2026, number])
    dataset = str(rng.choice(["digits"] * 7 + ["fashion"] * 2)) if number % 16 else "cifar"
    choices = networks(dataset, rng)
    network = str(rng.choice(sorted(choices)))
    heavy = not network.startswith("mlp")
    size = int(rng.choice([8, 16, 32, 64, 128] + ([] if heavy else [256])))
    optimiser = str(rng.choice(sorted(optimisers(size))))
    loss = str(rng.choice(["entropy"] * 4 + ["smoothing", "nll", "squares", "binary"]))
    images = {"digits": 1200, "fashion": 2000, "cifar": 2000}[dataset]
    wanted = (120 if heavy else 220) * (2 if loss in ("squares", "binary") else 1)
    most = {"digits": 10, "fashion": 4, "cifar": 4}[dataset] if heavy else 25
    epochs = int(np.clip(round(wanted * size / images), 3, most))
    if dataset == "cifar":
        size, epochs = 32, 3
    step = str(rng.choice(["", "", "", *STEPS, "average", *SCHEDULES, *SCHEDULES]))
    changes: dict[str, Any] = {"form": str(rng.choice(["batches", "list", "loader", "arrays"]))}
    if changes["form"] == "arrays":
        size = 32
        epochs = min(epochs, 8)
    epochs *= SLOW.get(number, 1)
    if step == "average":
        averaged = Averaged()
        changes |= {"step": averaged.step, "evaluate": averaged.evaluate}
    elif step in SCHEDULES:
        changes["step"] = scheduled(SCHEDULES[step], -(-images // size) * epochs)
    elif step:
        changes["step"] = STEPS[step]
    if rng.random() < 0.25:
        changes["valid"] = lambda x, y: Batches(lambda: (x, y), 100, shuffle=False)
    if dataset == "cifar":
        changes["form"] = "batches"
        changes.pop("valid", None)
    twin = Twin(
        dataset,
        choices[network],
        optimisers(size)[optimiser],
        LOSSES[loss],
        size,
        epochs,
        seed=number,
        **changes,
    )
    words = [f"h{number:02}", dataset, network, optimiser, f"b{size}", loss, step]
    return "_".join(filter(None, words)), twin


for _number in range(DRAWN):
    healthy(*draw(_number))


# --- by hand: right, and easily taken for wrong ----------------------------------------------


def digits(**changes: Any) -> Twin:
    return Twin("digits", **{"network": lambda: mlp(64, 64), "epochs": 8, **changes})


def head_of_zeros() -> Any:
    model = mlp(64, 64)
    nn.init.zeros_(model[len(model) - 1].weight)
    return model


class Scaling(nn.Module):
    """Bytes to numbers around 0, as the first layer of a model."""

    def forward(self, x: Any) -> Any:
        return (x.float() - 78.0) / 95.0


class Focal:
    def __call__(self, logits: Any, labels: Any) -> Any:
        logs = (F.log_softmax(logits, -1) * Tensor(EYE[labels])).sum(1)
        return -(((1 - logs.exp()) ** 2) * logs).mean()


def worst_half(logits: Any, labels: Any) -> Any:
    each = F.cross_entropy(logits, labels, reduction="none")
    return each[np.argsort(-each.numpy())[: (len(labels) + 1) // 2]].mean()


def shifted(inputs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images moved by up to one pixel."""
    rng = np.random.default_rng(int(labels.sum()))
    padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    moves = rng.integers(0, 3, (len(labels), 2))
    return np.stack(
        [p[i : i + 8, j : j + 8] for p, (i, j) in zip(padded, moves, strict=True)]
    ), labels


healthy(
    "sum_of_losses_at_its_rate",
    digits(
        loss=lambda logits, y: F.cross_entropy(logits, y, reduction="sum"),
        optimizer=lambda m: optim.SGD(m.parameters(), 0.05 / 32, momentum=0.9),
    ),
)
healthy("last_layer_starts_at_zero", digits(network=head_of_zeros))
healthy(
    "bytes_scaled_in_the_model",
    digits(network=lambda: nn.Sequential(Scaling(), *mlp(64, 64)), prepare=lambda x, name: x),
)
healthy(
    "raw_pixels_before_batch_norm",
    digits(network=lambda: nn.Sequential(nn.BatchNorm2d(1), *conv(bn=True)), prepare=raw, epochs=4),
)
healthy("focal_loss_of_two", digits(loss=Focal(), epochs=10))
healthy("worst_half_of_each_batch", digits(loss=worst_half))
healthy(
    "dropout_of_a_half",
    digits(
        network=lambda: nn.Sequential(*mlp(128)[:3], nn.Dropout(0.5), nn.Linear(128, 10)),
        epochs=12,
    ),
)
healthy(
    "images_moved_by_a_pixel",
    digits(
        network=lambda: conv(bn=True),
        change=shifted,
        epochs=6,
        optimizer=lambda m: optim.Adam(m.parameters(), 3e-3),
    ),
)
healthy(
    "resnet_blocks_start_as_identity",
    digits(
        network=lambda: models.resnet8(num_classes=10, in_channels=1, zero_gamma=True),
        optimizer=lambda m: optim.SGD(
            m.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=5e-4
        ),
        batch_size=64,
        epochs=4,
    ),
)
healthy(
    "pixels_from_0_to_1_double_precision",
    digits(
        network=lambda: mlp(64, 64).double(),
        prepare=lambda x, name: unit(x, name).astype(np.float64),
        optimizer=lambda m: optim.Adam(m.parameters(), 3e-3),
    ),
)
healthy(
    "linear_model",
    digits(network=lambda: mlp(), optimizer=lambda m: optim.Adam(m.parameters(), 5e-3)),
)
healthy("tensors_for_arrays", digits(change=lambda x, y: (Tensor(x), y)))
healthy(
    "weights_of_classes_by_their_counts",
    digits(
        loss=lambda logits, y: F.cross_entropy(
            logits, y, weight=Tensor(np.linspace(0.9, 1.1, 10, dtype=np.float32))
        )
    ),
)
