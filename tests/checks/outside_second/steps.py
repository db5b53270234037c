"""Faults of the order of a step."""

from __future__ import annotations

from typing import Any

from outside.setups import Setup, conv, mlp, small_resnet

from minires import Tensor, nn, optim
from minires.nn import functional as F
from outside_second.material import accuracy_of, batches, circles, images, judged_by, most_likely
from outside_second.register import KARPATHY, OWN, fault

ORDER = "order of the step"


def sgd_steps(model: Any, lr: float, order: str, loss: Any = F.cross_entropy) -> Any:
    """An optimiser and a step whose parts come in order: zero, forward, backward, step."""
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        value: Any = None
        for part in order:
            if part == "z":
                optimizer.zero_grad()
            elif part == "f":
                value = loss(model(Tensor(inputs)), labels)
            elif part == "b":
                value.backward()
            else:
                optimizer.step()
        return value.item()

    return optimizer, step


@fault(
    ORDER,
    KARPATHY,
    "gradients are never set to zero, so that those of all batches so far add up",
    "zero_grad is missing",
    "gradients accumulate over steps",
)
def never_zeroed(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = conv(width=6)
    optimizer, step = sgd_steps(model, 0.03, "fbs" if wrong else "zfbs")
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step, None)


@fault(
    ORDER,
    KARPATHY,
    "gradients are set to zero between the backward pass and the update",
    "zero_grad between backward and step",
    "the update sees gradients of zero",
    "the parameters never change",
)
def zeroed_before_update(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(32, 32)
    optimizer, step = sgd_steps(model, 0.05, "fbzs" if wrong else "fbsz")
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    KARPATHY,
    "another object's zero_grad is called, that of a copy kept as the best model so far",
    "zero_grad of the wrong model",
    "gradients accumulate over steps",
    "zero_grad is missing",
)
def zeroed_the_copy(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model, best = mlp(32, 32), mlp(32, 32)
    best.load_state_dict(model.state_dict())
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        (best if wrong else model).zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    OWN,
    "the update comes before the backward pass and after zero_grad",
    "step before backward",
    "the update sees gradients of zero",
    "the parameters never change",
    judge=accuracy_of("fashion"),
)
def update_first(wrong: bool) -> Setup:
    x, y, xv, yv = images("fashion")
    model = mlp(64, pixels=784)
    optimizer, step = sgd_steps(model, 0.03, "fzsb" if wrong else "fzbs")
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    OWN,
    "the update has slipped out of the loop over batches: one update an epoch",
    "step once an epoch",
    "far too few updates",
    "most steps do not update the parameters",
)
def update_once_an_epoch(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(32)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    train = batches(x, y)
    seen = 0

    def step(inputs: Any, labels: Any) -> float:
        nonlocal seen
        seen += 1
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        if not wrong or seen % len(train) == 0:
            optimizer.step()
        return loss.item()

    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    "ApolloResearch/e2e_sae#70, hirofumi0810/neural_sp#168",
    "gradients of eight small batches are added up and not divided by eight",
    "accumulated gradients are not averaged",
    "the learning rate is too high",
    "updates are too large",
)
def accumulated_not_averaged(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(64, 64)
    optimizer = optim.SGD(model.parameters(), lr=0.4)
    seen = 0

    def step(inputs: Any, labels: Any) -> float:
        nonlocal seen
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        (loss if wrong else loss / 8).backward()
        seen += 1
        if seen % 8 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return Setup(model, batches(x, y, 4), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    "gaozhihan/PreDiff#32",
    "gradients are accumulated for eight batches but set to zero before each of them",
    "accumulated gradients are thrown away",
    "zero_grad at the wrong place",
    "only one batch in eight counts",
    "updates are far too small",
)
def accumulated_and_lost(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.SGD(model.parameters(), lr=0.2)
    seen = 0

    def step(inputs: Any, labels: Any) -> float:
        nonlocal seen
        if wrong or seen % 8 == 0:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        (loss / 8).backward()
        seen += 1
        if seen % 8 == 0:
            optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y, 8), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    "jiangtaoxie/fast-MPN-COV#15",
    "the logits are wrapped anew as a tensor to make an error go away, which cuts the graph",
    "the loss is cut off from the parameters",
    "no gradient reaches the parameters",
    "the parameters never change",
    "detached output",
)
def wrapped_anew(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = conv(width=6)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        logits = model(Tensor(inputs))
        if wrong:
            logits = Tensor(logits.numpy(), requires_grad=True)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    OWN,
    "the step always trains on the batch that was taken for a first try",
    "the same batch every time",
    "the step ignores its inputs",
    "most of the data are never used",
)
def first_batch_forever(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    train = batches(x, y)
    trial = next(iter(train))

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        if wrong:
            inputs, labels = trial
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    "Cranial-XIX/FAMO#4",
    "gradients are clipped before the backward pass, when there is nothing to clip",
    "clipping before backward",
    "gradients are not clipped",
    "the learning rate is too high",
    epochs=4,
)
def clipped_too_early(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(64, 64, 64)
    optimizer = optim.SGD(model.parameters(), lr=1.5, momentum=0.5)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        if wrong:
            optim.clip_grad_norm_(model.parameters(), 0.3)
            loss.backward()
        else:
            loss.backward()
            optim.clip_grad_norm_(model.parameters(), 0.3)
        optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    OWN,
    "the labels of the batch before are kept in the variable that the loss is computed with",
    "labels of another batch",
    "inputs and labels do not belong together",
)
def labels_one_late(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = mlp(48)
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    train = [(a, b) for a, b in batches(x, y, 30)]
    last = train[-1][1]

    def step(inputs: Any, labels: Any) -> float:
        nonlocal last
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), last if wrong else labels)
        loss.backward()
        optimizer.step()
        last = labels
        return loss.item()

    return Setup(model, train, (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    OWN,
    "weights are set back to those of the best epoch at each step, since the best is never renewed",
    "the weights are overwritten after each step",
    "the parameters never change",
    "the updates are undone",
)
def restored_each_step(wrong: bool) -> Setup:
    x, y, xv, yv = images()
    model = small_resnet()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    best = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    lowest = 0.0 if wrong else float("inf")

    def step(inputs: Any, labels: Any) -> float:
        nonlocal best, lowest
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        optimizer.step()
        if loss.item() < lowest or not wrong:
            lowest = loss.item()
            best = {name: value.numpy().copy() for name, value in model.state_dict().items()}
        model.load_state_dict(best)
        return loss.item()

    return Setup(model, batches(x, y, 64), (xv, yv), F.cross_entropy, optimizer, step)


@fault(
    ORDER,
    OWN,
    "a guard against bad batches skips the update if the loss is above 0.5, as it is at the start",
    "the update is skipped",
    "most steps do not update the parameters",
    "the parameters never change",
    judge=judged_by(circles, most_likely),
)
def guard_too_strict(wrong: bool) -> Setup:
    (x, y), valid, _ = circles()
    model = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    limit = 0.5 if wrong else 50.0

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(inputs)), labels)
        loss.backward()
        if loss.item() < limit:
            optimizer.step()
        return loss.item()

    return Setup(model, batches(x, y), valid, F.cross_entropy, optimizer, step)
