"""Healthy trainings with unusual losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from outside.setups import Setup, accuracy, conv, mlp, one_step

from minires import Tensor, nn, no_grad, optim
from minires.nn import functional as F
from outside_second.material import answers, batches, images
from outside_second.register import healthy
from outside_second.trainings import stepped, trained

HOT = np.eye(10, dtype=np.float32)


@healthy("mixup: blends of images, and of the losses to both labels")
def mixup() -> Setup:
    model = conv()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)

    def compute(inputs: Any, labels: Any) -> Any:
        share = float(rng.beta(0.4, 0.4))
        order = rng.permutation(len(inputs))
        logits = model(Tensor((share * inputs + (1 - share) * inputs[order]).astype(np.float32)))
        first, second = F.cross_entropy(logits, labels), F.cross_entropy(logits, labels[order])
        return share * first + (1 - share) * second

    return stepped(model, optimizer, compute)


@healthy("only the harder half of each batch counts")
def harder_half() -> Setup:
    def loss(logits: Any, labels: Any) -> Any:
        each = F.cross_entropy(logits, labels, reduction="none")
        hardest = np.argsort(each.detach().numpy())[-max(len(labels) // 2, 1) :]
        return each[hardest].mean()

    model = mlp(64)
    return trained(model, loss=loss)


@healthy("focal loss, which weighs by what is still missing")
def focal() -> Setup:
    def loss(logits: Any, labels: Any) -> Any:
        log_p = F.log_softmax(logits, -1)[np.arange(len(labels)), labels]
        return -((1 - log_p.exp()) ** 2 * log_p).mean()

    return trained(conv(), loss=loss)


@healthy("hinge loss between the right class and the others")
def hinge() -> Setup:
    def loss(scores: Any, labels: Any) -> Any:
        right = scores[np.arange(len(labels)), labels].reshape(-1, 1)
        return ((scores - right + 1).relu() * (1 - HOT[labels])).sum(1).mean()

    return trained(mlp(64), loss=loss)


@healthy("squared error to one-hot targets, which are what the batches hold")
def squares_to_one_hot() -> Setup:
    x, y, xv, yv = images()
    model = mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def evaluate() -> float:
        model.eval()
        found = accuracy(model, xv, yv)
        model.train()
        return found

    train = batches(x, HOT[y])
    return Setup(model, train, (xv, HOT[yv]), F.mse_loss, optimizer, None, evaluate)


@healthy("ten yes-or-no questions by sigmoids instead of one softmax")
def one_against_the_rest() -> Setup:
    def loss(scores: Any, labels: Any) -> Any:
        return F.binary_cross_entropy_with_logits(scores, HOT[labels], reduction="sum") / len(
            labels
        )

    return trained(mlp(64), loss=loss)


@healthy("log-softmax at the end of the model, with the loss that wants that")
def log_probabilities() -> Setup:
    return trained(nn.Sequential(mlp(64), nn.LogSoftmax(-1)), loss=F.nll_loss)


@healthy("labels are smoothed by a fifth, so that the loss stays high")
def smoothed() -> Setup:
    return trained(conv(), loss=nn.CrossEntropyLoss(label_smoothing=0.2))


@healthy("half of the labels are -100, unknown, and left out by the loss", epochs=8, good=0.88)
def half_unlabelled() -> Setup:
    x, y, xv, yv = images()
    y[np.random.default_rng(0).uniform(size=len(y)) < 0.5] = -100
    model = mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    return Setup(model, batches(x, y), (xv, yv), F.cross_entropy, optimizer)


@healthy("a teacher, trained before, gives soft targets and is itself left alone", epochs=5)
def distilled() -> Setup:
    x, y, _, _ = images()
    teacher = mlp(96)
    step = one_step(teacher, optim.Adam(teacher.parameters(), lr=5e-3), F.cross_entropy)
    for _ in range(3):
        for inputs, labels in batches(x, y, 60):
            step(inputs, labels)
    model = mlp(24)
    optimizer = optim.Adam(model.parameters(), lr=5e-3)

    def compute(inputs: Any, labels: Any) -> Any:
        soft = np.exp(answers(teacher, inputs) / 3)
        soft /= soft.sum(1, keepdims=True)
        logits = model(Tensor(inputs))
        own = F.kl_div(F.log_softmax(logits / 3, -1), soft, reduction="batchmean")
        return 0.3 * F.cross_entropy(logits, labels) + 0.7 * 9 * own

    return stepped(model, optimizer, compute)


class Sided(nn.Module):
    """A head after the first convolution, in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.high = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.side, self.main = nn.Linear(128, 10), nn.Linear(64, 10)

    def both(self, x: Any) -> tuple[Any, Any]:
        low = self.low(x)
        high = self.high(low)
        flat = low.reshape(x.shape[0], -1)
        return self.main(high.reshape(x.shape[0], -1)), self.side(flat)

    def forward(self, x: Any) -> Any:
        return self.both(x)[0]


@healthy("an auxiliary head, which evaluation does not use")
def auxiliary_head() -> Setup:
    model = Sided()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    def compute(inputs: Any, labels: Any) -> Any:
        main, side = model.both(Tensor(inputs))
        return F.cross_entropy(main, labels) + 0.3 * F.cross_entropy(side, labels)

    return stepped(model, optimizer, compute)


@healthy("two noisy views of each image are to agree")
def two_views() -> Setup:
    model = mlp(64)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)

    def compute(inputs: Any, labels: Any) -> Any:
        views = [inputs + rng.normal(0, 0.3, inputs.shape).astype(np.float32) for _ in "ab"]
        one, two = (model(Tensor(view)) for view in views)
        apart = ((F.softmax(one, -1) - F.softmax(two, -1)) ** 2).sum(1).mean()
        return F.cross_entropy(one, labels) + apart

    return stepped(model, optimizer, compute)


@healthy("triplets pull images of a class together; the nearest class mean is the answer", epochs=8)
def by_distance() -> Setup:
    x, y, xv, yv = images()
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))

    class Nearest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.register_buffer("means", Tensor(np.zeros((10, 16), np.float32)))

        def forward(self, x: Any) -> Any:
            h = self.body(x).reshape(-1, 1, 16)
            return -((h - self.means) ** 2).sum(2)

    model = Nearest()
    optimizer = optim.Adam(body.parameters(), lr=3e-3)

    def step(inputs: Any, labels: Any) -> float:
        optimizer.zero_grad()
        h = body(Tensor(inputs))
        held = h.detach().numpy()
        with no_grad():
            means = model.means.numpy().copy()
            for c in np.unique(labels):
                means[c] = 0.8 * means[c] + 0.2 * held[labels == c].mean(0)
            model.means.copy_(Tensor(means))
        far = ((h.reshape(-1, 1, 16) - h.reshape(1, -1, 16)) ** 2).sum(2)
        same = (labels[:, None] == labels[None]).astype(np.float32)
        pull = (far * same).sum() / same.sum()
        push = ((8 - far).relu() * (1 - same)).sum() / (1 - same).sum()
        loss = pull + push
        loss.backward()
        optimizer.step()
        return loss.item()

    train = batches(x, y, 60)

    def loss(scores: Any, labels: Any) -> Any:
        return F.cross_entropy(scores, labels)

    return Setup(model, train, (xv, yv), loss, optimizer, step)
