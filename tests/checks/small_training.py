"""A small healthy training on digits, whose parts a test replaces."""

import functools

import numpy as np

from minires import Tensor, data, nn, no_grad, optim
from minires.checks import Setup
from minires.checks.run import _Checkup
from minires.checks.setup import kept_random


@functools.cache
def digits():
    """Images scaled to mean 0 and standard deviation 1, and labels: 600 to train, 300 held out."""
    images, labels = data.digits().take(np.random.default_rng(5).permutation(900))
    images = ((images - images.mean()) / images.std()).astype(np.float32)
    return (images[:600], labels[:600]), (images[600:], labels[600:])


def network(*end, act=nn.ReLU, width=32):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, width),
        act(),
        nn.Linear(width, width),
        act(),
        nn.Linear(width, 10),
        *end,
    )


class Normed(nn.Module):
    """Convolutions, batch norm and dropout."""

    def __init__(self, p=0.2, **options):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8, **options)
        self.act, self.drop, self.fc = nn.ReLU(), nn.Dropout(p), nn.Linear(8 * 16, 10)
        self.pool = nn.AvgPool2d(2)

    def features(self, x):
        return self.pool(self.act(self.norm(self.conv(x)))).reshape(len(x), -1)

    def forward(self, x):
        return self.fc(self.drop(self.features(x)))


def batched(pair, size=32, seed=0):
    x, y = pair
    order = np.random.default_rng(seed).permutation(len(y))
    return [(x[i], y[i]) for i in np.split(order, range(size, len(order), size))]


def training(
    model=None, optimizer=None, train=None, valid=None, loss=None, step=None, evaluate=None
):
    """A set-up; `optimizer`, `step` and `evaluate` are functions of what they need."""
    first, second = digits()
    model = network() if model is None else model
    made = (optimizer or (lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9)))(model)
    loss = loss or nn.CrossEntropyLoss()
    train = batched(first) if train is None else train
    valid = batched(second, 100) if valid is None else valid
    return Setup(
        model,
        train,
        valid,
        loss,
        made,
        None if step is None else (lambda x, y: step(model, made, loss, x, y)),
        None if evaluate is None else (lambda: evaluate(model, valid)),
    )


def step(model, optimizer, loss, x, y):
    model.train()
    optimizer.zero_grad()
    value = loss(model(Tensor(x)), y)
    value.backward()
    optimizer.step()
    return value.item()


def evaluate(model, valid):
    model.eval()
    with no_grad():
        right = [(model(Tensor(x)).numpy().argmax(-1) == y).mean() for x, y in valid]
    return float(np.mean(right))


def found(make, group):
    """The findings of one group of checks, by their names."""
    run = _Checkup(make, 60.0, 0)
    with kept_random(), np.errstate(all="ignore"):
        run.group(getattr(run, group))
    return {finding.check: finding for finding in run.findings}
