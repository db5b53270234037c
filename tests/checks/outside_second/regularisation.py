"""Faults of regularisation and clipping."""

from __future__ import annotations

from typing import Any

from outside.setups import Setup, mlp, small_resnet

from minires import Tensor, nn, no_grad, optim
from minires.nn import functional as F
from outside_second.material import batches, circles, images, judged_by, most_likely
from outside_second.register import DEEPCRIME, IVANOV, LOW, OWN, fault

RULES = "regularisation and clipping"


@fault(
    RULES,
    DEEPCRIME,
    "a weight decay of 0.5, where 5e-4 was meant",
    "weight decay is too strong",
    "weights shrink to nothing",
)
def decay_of_a_half(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(64, 64)
    optimizer = optim.SGD(
        model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.5 if wrong else 5e-4
    )
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    RULES,
    IVANOV,
    "0.95 is the share to keep in one library and the share to drop in this one",
    "dropout is too strong",
    "dropout's probability is the wrong way round",
)
def kept_or_dropped(wrong: bool) -> Setup:
    p = 0.95 if wrong else 0.05
    layers = [nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Dropout(p), nn.Linear(48, 48)]
    model = nn.Sequential(*layers, nn.ReLU(), nn.Dropout(p), nn.Linear(48, 10))
    x, y, xv, yv = images()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@fault(
    RULES,
    OWN,
    "the sum of all absolute weights with a factor of 0.1 is far above the loss itself",
    "the penalty is too strong",
    "one loss drowns the other",
    "weights shrink to nothing",
)
def penalty_of_all_weights(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    factor = 0.1 if wrong else 1e-5

    def loss(logits: Any, labels: Any) -> Any:
        penalty = sum(p.abs().sum() for p in model.parameters())
        return F.cross_entropy(logits, labels) + factor * penalty

    return Setup(model, batches(x, y), (xv, yv), loss, optimizer)


def clipping(model: Any, optimizer: Any, clip: Any) -> Any:
    """A step that clips gradients."""

    def step(inputs: Any, labels: Any) -> float:
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        clip(model.parameters())
        optimizer.step()
        return loss.item()

    return step


@fault(
    RULES,
    OWN,
    "gradients are clipped to a norm of 0.001, and SGD goes nowhere with that",
    "gradients are clipped too much",
    "updates are far too small",
    LOW,
)
def clipped_to_nothing(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    limit = 1e-3 if wrong else 1.0
    step = clipping(model, optimizer, lambda p: optim.clip_grad_norm_(p, limit))
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    RULES,
    OWN,
    "each gradient is clipped to 0.0001, which leaves hardly more than its sign",
    "gradients are clipped too much",
    "updates are far too small",
    LOW,
    epochs=3,
)
def each_clipped_to_nothing(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = small_resnet()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    limit = 1e-4 if wrong else 1.0
    step = clipping(model, optimizer, lambda p: optim.clip_grad_value_(p, limit))
    return Setup(model, batches(x, y, 64), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    RULES,
    OWN,
    "weights are clipped to 0.01 after each step, as for the critic of a Wasserstein GAN",
    "weights are clipped too much",
    "weights are kept too small",
    "the weights are overwritten after each step",
)
def clipped_weights(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48, 48)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    limit = 0.01 if wrong else 2.0

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        with no_grad():
            for p in model.parameters():
                p.copy_(p.clip(-limit, limit))
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    RULES,
    OWN,
    "noise for exploration is added to the weights after each step, as large as they are",
    "noise on the weights",
    "the weights are overwritten after each step",
    "the training is unstable",
    judge=judged_by(circles, most_likely),
    epochs=10,
)
def noisy_weights(wrong: bool) -> Setup:
    (x, y), valid, _ = circles()
    model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    size = 0.5 if wrong else 1e-3

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        with no_grad():
            for p in model.parameters():
                noise = nn.init.normal_(Tensor(p.numpy().copy()), std=size)
                p += noise
        return loss.item()

    return Setup(model, batches(x, y), valid, F.cross_entropy, optimizer, step)
