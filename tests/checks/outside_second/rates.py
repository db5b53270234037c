"""Faults of learning rates and schedules."""

from __future__ import annotations

from typing import Any

from outside.setups import Setup, accuracy, conv, mlp, small_resnet

from minires import Tensor, nn, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, batches, images, judged_by, most_likely, spirals
from outside_second.register import DEEPCRIME, HIGH, LOW, OWN, TAXONOMY, UMLAUT, fault
from outside_second.trainings import scheduled

RATE = "learning rate and schedule"
FALLS = "the schedule lowers the learning rate too fast"


# --- the learning rate -------------------------------------------------------------------------


@fault(RATE, UMLAUT, "a learning rate of 3 for SGD with momentum", HIGH, "the training diverges")
def sgd_of_three(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(64, 64)
    optimizer = optim.SGD(model.parameters(), lr=3.0 if wrong else 0.03, momentum=0.9)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    RATE,
    TAXONOMY,
    "a learning rate of 0.3 for Adam, taken over from SGD",
    HIGH,
    "updates are too large",
    "units are dead",
)
def adam_with_sgds_rate(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = conv(width=6)
    optimizer = optim.Adam(model.parameters(), lr=0.3 if wrong else 3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    RATE,
    TAXONOMY,
    "a learning rate of 0.001 for SGD without momentum, taken over from Adam",
    LOW,
    "updates are far too small",
)
def sgd_with_adams_rate(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=1e-3 if wrong else 0.1)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(RATE, DEEPCRIME, "a learning rate of 1e-6", LOW, "updates are far too small", epochs=3)
def rate_of_a_millionth(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = small_resnet()
    optimizer = optim.AdamW(model.parameters(), lr=1e-6 if wrong else 3e-3)
    return Setup(model, batches(x, y, 64), (xv, yv), F.cross_entropy, optimizer)


@fault(
    RATE,
    OWN,
    "the group of the hidden layers has a rate meant for trained ones, and these are not trained",
    LOW,
    "one group's learning rate is too low",
    "a part of the model hardly changes",
    judge=judged_by(spirals, most_likely),
    epochs=15,
)
def untrained_body_tuned_finely(wrong: bool) -> Setup:
    (x, y), valid, _ = spirals()
    body = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh())
    model = nn.Sequential(body, nn.Linear(16, 3))
    groups = [
        {"params": list(body.parameters()), "lr": 1e-6 if wrong else 0.02},
        {"params": list(model[1].parameters()), "lr": 0.02},
    ]
    optimizer = optim.Adam(groups)
    return Setup(model, batches(x, y), valid, F.cross_entropy, optimizer)


# --- schedules ---------------------------------------------------------------------------------


@fault(
    RATE,
    "pytorch/tutorials#640, ivadomed/ivadomed#55, leftthomas/SRGAN#94",
    "a schedule for epochs moves on after each batch, and the rate is nothing after a few",
    FALLS,
    "the schedule is stepped once a batch",
    LOW,
)
def schedule_by_batch(wrong: bool) -> Setup:
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.StepLR(optimizer, step_size=2, gamma=0.5)
    return scheduled(model, optimizer, schedule, 1 if wrong else 38)


@fault(
    RATE,
    "PyTorch's documentation of OneCycleLR: stepped after every batch",
    "one cycle's length is in batches and it moves on once an epoch: the rate stays where it began",
    "the schedule is stepped once an epoch",
    "the warm-up never ends",
    LOW,
)
def one_cycle_by_epoch(wrong: bool) -> Setup:
    model = conv(width=6, bn=False)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = optim.OneCycleLR(optimizer, 0.1, total_steps=6 * 38 + 1, div_factor=500)
    return scheduled(model, optimizer, schedule, 38 if wrong else 1)


@fault(
    RATE,
    OWN,
    "the warm-up takes 50,000 steps, of which this training has 228",
    "the warm-up never ends",
    "the warm-up is longer than the training",
    LOW,
)
def warm_up_without_end(wrong: bool) -> Setup:
    model = mlp(48)
    optimizer = optim.AdamW(model.parameters(), lr=3e-3)
    schedule = optim.LinearWarmup(optimizer, 50_000 if wrong else 50, start_factor=1e-4)
    return scheduled(model, optimizer, schedule)


@fault(
    RATE,
    OWN,
    "the schedule is made anew in every step and so never gets beyond the warm-up's beginning",
    "the schedule is made anew in every step",
    "the warm-up never ends",
    LOW,
)
def schedule_made_anew(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def new() -> Any:
        optimizer.param_groups[0]["lr"] = 3e-3
        optimizer.param_groups[0].pop("initial_lr", None)
        return optim.LinearWarmup(optimizer, 20, start_factor=1e-4)

    schedule = new()

    def step(inputs: Any, labels: Any) -> float:
        nonlocal schedule
        if wrong:
            schedule = new()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    RATE,
    "md-mohaiminul/ViS4mer#4",
    "ReduceLROnPlateau in its mode for losses is told the accuracy and lowers the rate as it rises",
    FALLS,
    "the scheduler watches in the wrong direction",
    "the plateau scheduler's mode is wrong",
    LOW,
    judge=accuracy_of("fashion"),
    epochs=8,
)
def plateau_of_accuracy(wrong: bool) -> Setup:
    x, y, xv, yv = images("fashion")
    model = mlp(64, pixels=784)
    optimizer = optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    schedule = optim.ReduceLROnPlateau(
        optimizer, mode="min" if wrong else "max", factor=0.01, patience=0
    )

    def evaluate() -> float:
        model.eval()
        found = accuracy(model, xv, yv)
        model.train()
        schedule.step(found)
        return found

    train = batches(x, y, 64)
    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer, None, evaluate)


@fault(
    RATE,
    "pytorch/pytorch#78917, lhoyer/MIC#60",
    "LambdaLR's function gives the rate itself, which is then multiplied by the rate",
    LOW,
    "the learning rate is multiplied by itself",
    "LambdaLR wants a factor",
)
def rate_times_rate(wrong: bool) -> Setup:
    model = conv(width=6)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    peak = 2e-3 if wrong else 1.0
    schedule = optim.LambdaLR(optimizer, lambda n: peak * (1 - n / 400))
    return scheduled(model, optimizer, schedule)


@fault(
    RATE,
    OWN,
    "own decay divides the rate by the step's number again and again, not the first rate",
    FALLS,
    LOW,
    "the decay compounds",
)
def decay_compounds(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    seen = 0

    def step(inputs: Any, labels: Any) -> float:
        nonlocal seen
        seen += 1
        group = optimizer.param_groups[0]
        group["lr"] = (group["lr"] if wrong else 0.1) / (1 + 0.02 * seen)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    RATE,
    OWN,
    "a gamma of 1.1 where 0.9 was meant lets the rate grow from batch to batch",
    HIGH,
    "the schedule raises the learning rate",
    "the learning rate grows without bound",
)
def rate_grows(wrong: bool) -> Setup:
    model = mlp(48, 48)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = optim.ExponentialLR(optimizer, 1.1 if wrong else 0.99)
    return scheduled(model, optimizer, schedule, 3)
