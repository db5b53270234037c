"""Healthy trainings drawn at random: models, optimisers, sizes, data. None may be called broken."""

import functools
import sys

import numpy as np
from shared_data import shared_folder

import minires
from minires import Tensor, data, models, nn, no_grad, optim
from minires.checks import Setup
from minires.data import DataLoader

RATES = {  # of what each optimiser trains well with, from a to b
    "SGD": (0.02, 0.1),
    "Adam": (1e-3, 4e-3),
    "AdamW": (1e-3, 4e-3),
    "RMSprop": (5e-4, 2e-3),
}
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh)


@functools.cache
def images(name):
    if name == "cifar10":
        return data.CIFAR10(shared_folder() / "data")
    return {"digits": data.digits, "fashion": data.fashion_mini}[name]()


def multilayer(draw, shape, act):
    width, size = int(draw.choice([32, 64, 128])), int(np.prod(shape))
    normed = draw.random() < 0.4
    layers = [nn.Flatten()]
    for _ in range(int(draw.integers(1, 4))):
        layers += [nn.Linear(size, width), *([nn.BatchNorm1d(width)] if normed else []), act()]
        layers += [nn.Dropout(float(draw.choice([0.1, 0.3, 0.5])))] if draw.random() < 0.3 else []
        size = width
    return nn.Sequential(*layers, nn.Linear(size, 10))


def convolutions(draw, shape, act):
    width, channels = int(draw.choice([8, 16])), shape[-1]
    layers = []
    for _ in range(int(draw.integers(1, 4))):
        norm = draw.choice(["none", "batch", "group"])
        layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=norm != "batch"))
        if norm != "none":
            layers.append(nn.BatchNorm2d(width) if norm == "batch" else nn.GroupNorm(4, width))
        layers.append(act())
        channels = width
    pool = nn.MaxPool2d(2) if draw.random() < 0.5 else nn.AvgPool2d(2)
    size = shape[0] // 2 * (shape[1] // 2) * width
    return nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(size, 10))


def residual(draw, shape, act):
    return models.resnet8(in_channels=shape[-1])


def optimizer_of(draw, model, normed):
    name = str(draw.choice([*RATES]))
    low, high = RATES[name]
    options = {"lr": float(np.exp(draw.uniform(np.log(low), np.log(high))))}
    if name == "SGD":
        options["momentum"] = float(draw.choice([0.0, 0.8, 0.9]))
        options["nesterov"] = bool(options["momentum"] and draw.random() < 0.5)
        options["lr"] *= 1.0 if options["momentum"] else 2.0
    if draw.random() < 0.6:
        options["weight_decay"] = float(draw.choice([1e-5, 1e-4, 5e-4]))
    return getattr(optim, name)(model.parameters(), **options)


class Own:
    """A loop of one's own: clipping, schedules and accumulation, as people write them."""

    def __init__(self, draw, model, optimizer, loss):
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.clip = float(draw.choice([1.0, 5.0])) if draw.random() < 0.4 else None
        kinds = ["none", "cosine", "onecycle", "step"]
        kind = kinds[int(draw.integers(4))]
        rate = optimizer.param_groups[0]["lr"]
        self.schedule = {
            "none": lambda: None,
            "cosine": lambda: optim.CosineAnnealingLR(optimizer, T_max=1000),
            "onecycle": lambda: optim.OneCycleLR(optimizer, max_lr=rate, total_steps=1000),
            "step": lambda: optim.StepLR(optimizer, step_size=500),
        }[kind]()
        self.parts = 2 if draw.random() < 0.2 else 1

    def step(self, x, y):
        self.model.train()
        self.optimizer.zero_grad()
        total = 0.0
        for part in range(self.parts):
            inputs, labels = x[part :: self.parts], y[part :: self.parts]
            value = self.loss(self.model(Tensor(inputs)), labels)
            (value * (1 / self.parts)).backward()
            total += value.item() / self.parts
        if self.clip:
            optim.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return total


def drawn(seed, names=("digits", "fashion")):
    """A function that makes the healthy training of this seed, and what it is in words."""

    def make():
        draw = np.random.default_rng(seed)
        minires.manual_seed(seed)
        name = str(draw.choice(list(names)))
        every = images(name)
        chosen = np.random.default_rng(seed + 1).permutation(len(every))
        count = int(draw.integers(600, 1400))
        train, valid = every.subset(chosen[:count]), every.subset(chosen[count : count + 300])
        mean, deviation = (0.0, 1.0) if draw.random() < 0.3 else (0.4, 0.35)
        augmented = draw.random() < 0.3

        def transform(x, draws=None):
            x = (x.astype(np.float32) / 255 - np.float32(mean)) / np.float32(deviation)
            if augmented and draws is not None:  # a shift by one pixel
                x = np.roll(x, int(draws.integers("shift", 0, 3)[0]) - 1, axis=2)
            return x

        size = int(draw.choice([16, 32, 64, 128]))
        loader = DataLoader(train, size, shuffle=True, seed=seed, transform=transform)
        held_out = DataLoader(valid, 100, transform=lambda x, draws: transform(x))
        kinds = [multilayer, convolutions, residual]
        kind = kinds[int(draw.choice(3, p=[0.45, 0.45, 0.1]))]
        act = ACTIVATIONS[int(draw.integers(len(ACTIVATIONS)))]
        model = kind(draw, train.images.shape[1:], act)
        optimizer = optimizer_of(draw, model, False)
        smoothing = float(draw.choice([0.0, 0.1]))
        loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
        own = Own(draw, model, optimizer, loss)

        def evaluate():
            model.eval()
            right = total = 0
            with no_grad():
                for x, y in held_out:
                    right += int((model(Tensor(x)).numpy().argmax(-1) == y).sum())
                    total += len(y)
            return right / total

        whole = draw.random() < 0.6
        return Setup(
            model,
            loader,
            held_out,
            loss,
            optimizer,
            own.step if whole else None,
            evaluate if whole else None,
        )

    return make


def main():
    """`python tests/checks/healthy.py 64`: a line for each, as in healthy_trainings.txt."""
    from minires.checks import checkup
    from minires.checks.learning import LEARNS

    alarms = 0
    for seed in range(int(sys.argv[1])):
        names = ("cifar10",) if seed % 4 == 3 else ("digits", "fashion")
        make = drawn(seed, names)
        report = checkup(make, seconds=20)
        made = make()
        about = {f.check: f.numbers for f in report.findings}.get(LEARNS, {})
        alarms += not report.ok
        kinds = dict.fromkeys(type(m).__name__ for m in made.model.modules())
        print(
            f"{seed:3}  {names[0] if len(names) == 1 else made.train.dataset.name:14.14}  "
            f"{type(made.optimizer).__name__:8}  {about.get('steps', 0):4} steps  "
            f"{about.get('right', 0):4.0%} right  "
            f"{', '.join(f.check for f in report.broken) or 'nothing broken'}  "
            f"({', '.join(kinds)})",
            flush=True,
        )
    print(f"{alarms} of {sys.argv[1]} called broken")


if __name__ == "__main__":
    main()
