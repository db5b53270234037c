"""Healthy trainings with unusual schedules, batches and updates."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, accuracy, conv, mlp

from minires import Tensor, nn, no_grad, optim
from minires.nn import functional as F
from outside_second.material import batches, images
from outside_second.register import healthy
from outside_second.trainings import scheduled, stepped, trained

# --- schedules ---------------------------------------------------------------------------------


@healthy("the rate warms up from zero: the first step changes nothing")
def warm_up_from_zero() -> Setup:
    model = mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)
    schedule = optim.LambdaLR(optimizer, lambda n: min(n / 60, 1.0))
    return scheduled(model, optimizer, schedule)


@healthy("one cycle, by the batch, up to a rate of 0.3", epochs=5)
def one_cycle() -> Setup:
    model = conv(bn=True)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = optim.OneCycleLR(optimizer, 0.3, total_steps=5 * 38 + 1)
    return scheduled(model, optimizer, schedule)


@healthy("a cosine that starts again every 40 batches")
def cosine_restarts() -> Setup:
    model = mlp(64)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    wave = lambda n: 0.5 + 0.5 * np.cos(np.pi * (n % 40) / 40)  # noqa: E731
    return scheduled(model, optimizer, optim.LambdaLR(optimizer, lambda n: float(wave(n))))


@healthy("the rate falls to a tenth after the third epoch and again after the fifth")
def steps_down() -> Setup:
    model = mlp(64)
    optimizer = optim.SGD(model.parameters(), lr=0.2, momentum=0.5, nesterov=True)
    schedule = optim.MultiStepLR(optimizer, [3, 5])
    return scheduled(model, optimizer, schedule, every=38)


@healthy("a plateau scheduler is told the accuracy, in its mode for that")
def plateau_by_accuracy() -> Setup:
    x, y, xv, yv = images()
    model = mlp(64)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = optim.ReduceLROnPlateau(optimizer, mode="max", patience=1)

    def evaluate() -> float:
        model.eval()
        found = accuracy(model, xv, yv)
        schedule.step(found)
        model.train()
        return found

    train = batches(x, y)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer, None, evaluate)


# --- batches and updates -----------------------------------------------------------------------


@healthy("gradients of eight batches of four are averaged before an update")
def accumulated() -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    seen = 0

    def step(inputs: Any, labels: Any) -> float:
        nonlocal seen
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        (loss / 8).backward()
        seen += 1
        if seen % 8 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return Setup(model, batches(x, y, 4), (xv, yv), F.cross_entropy, optimizer, step)


@healthy("all training images are one batch", epochs=40)
def one_batch_of_all() -> Setup:
    model = mlp(64)
    return trained(model, optim.Adam(model.parameters(), lr=0.02), 1200)


@healthy("each image is a batch", epochs=1, good=0.85)
def one_image_a_batch() -> Setup:
    model = mlp(48)
    return trained(model, optim.SGD(model.parameters(), lr=0.01), 1)


@healthy("the sum of the losses, with a rate that suits it")
def summed_with_its_rate() -> Setup:
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.05 / 32, momentum=0.9)
    return trained(model, optimizer, loss=nn.CrossEntropyLoss(reduction="sum"))


class Signs(optim.SGD):
    """Steps of one length along the sign of an averaged gradient."""

    def __init__(self, parameters: Any, lr: float) -> None:
        super().__init__(parameters, lr=lr)
        self.means = [np.zeros(p.shape, np.float32) for p in self.param_groups[0]["params"]]

    def step(self) -> None:
        group = self.param_groups[0]
        with no_grad():
            for mean, p in zip(self.means, group["params"], strict=True):
                mean *= 0.9
                mean += 0.1 * p.grad.numpy()
                p -= group["lr"] * Tensor(np.sign(mean))


@healthy("an optimiser of one's own that only uses the gradient's sign")
def own_optimiser() -> Setup:
    model = mlp(48)
    return trained(model, Signs(model.parameters(), 2e-3))


@healthy("the update is written out by hand, with momentum")
def update_by_hand() -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    speeds = [np.zeros(p.shape, np.float32) for p in model.parameters()]

    def step(inputs: Any, labels: Any) -> float:
        model.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        with no_grad():
            for speed, p in zip(speeds, model.parameters(), strict=True):
                speed *= 0.9
                speed += p.grad.numpy()
                p -= 0.05 * Tensor(speed)
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@healthy("sharpness-aware: a second gradient is taken uphill of the first, and only that is used")
def two_passes_a_step() -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        first = F.cross_entropy(model(Tensor(inputs)), labels)
        first.backward()
        length = np.sqrt(sum(np.square(p.grad.numpy()).sum() for p in model.parameters()))
        moves = [Tensor(0.05 * p.grad.numpy() / (length + 1e-12)) for p in model.parameters()]
        with no_grad():
            for move, p in zip(moves, model.parameters(), strict=True):
                p += move
        optimizer.zero_grad()
        F.cross_entropy(model(Tensor(inputs)), labels).backward()
        with no_grad():
            for move, p in zip(moves, model.parameters(), strict=True):
                p -= move
        optimizer.step()
        return first.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@healthy("body and head are updated in turn, by two optimisers")
def in_turn() -> Setup:
    x, y, xv, yv = images()
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
    model = nn.Sequential(body, nn.Linear(64, 10))
    both = [optim.Adam(part.parameters(), lr=4e-3) for part in (body, model[1])]
    whole = optim.Adam(model.parameters(), lr=4e-3)
    seen = 0

    def step(inputs: Any, labels: Any) -> float:
        nonlocal seen
        model.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        both[seen % 2].step()
        seen += 1
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, whole, step)


@healthy("gradients are clipped to a norm of 0.5, and most are longer")
def clipped_often() -> Setup:
    x, y, xv, yv = images()
    model = mlp(64, 64)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@healthy("three groups of parameters, whose rates are 30 times apart")
def rates_by_layer() -> Setup:
    model = mlp(64, 64)
    rates = ((1, 3e-4), (3, 3e-3), (5, 9e-3))
    groups = [{"params": list(model[i].parameters()), "lr": lr} for i, lr in rates]
    return trained(model, optim.AdamW(groups, weight_decay=0.1))


@healthy("the first layer is frozen for 60 batches and then thawed")
def thawed_later() -> Setup:
    model = mlp(64, 48)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    model[1].requires_grad_(False)
    seen = 0

    def compute(inputs: Any, labels: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == 60:
            model[1].requires_grad_(True)
        return F.cross_entropy(model(Tensor(inputs)), labels)

    return stepped(model, optimizer, compute)


@healthy("weights are decayed by a third of the rate, apart from biases")
def strong_decay() -> Setup:
    model = mlp(96)
    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if "weight" in n], "weight_decay": 0.3},
        {"params": [p for n, p in named if "bias" in n], "weight_decay": 0.0},
    ]
    return trained(model, optim.AdamW(groups, lr=3e-3))


@healthy("weights are held within a norm after each step")
def norms_held() -> Setup:
    x, y, xv, yv = images()
    model = mlp(64)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        with no_grad():
            for layer in (model[1], model[3]):
                norms = np.sqrt(np.square(layer.weight.numpy()).sum(0, keepdims=True))
                layer.weight.copy_(layer.weight * Tensor(np.minimum(1, 2.0 / norms)))
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)
