"""Steps of training on shares of batches: by several processes, and by one that adds them in order.

As a script it is one of several processes, and writes the checksums of what it ends with to a file.
"""

import json
import sys
import zlib
from pathlib import Path

import numpy as np

from minires import Tensor, models, nn, optim, random
from minires.distributed import DataParallel, world
from minires.nn import functional as F

STEPS = 50
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.01, weight_decay=1e-3),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.001, momentum=0.9),
}
CASES = [
    *(("small", "sgd", 24), ("small", "sgd", 23), ("small", "adam", 23)),
    *(("small", "adamw", 24), ("small", "rmsprop", 25)),
]
RESNET = [("resnet8", "sgd", 23)]

draws = np.random.default_rng(0)
IMAGES = draws.standard_normal((256, 8, 8, 1)).astype(np.float32)
LABELS = draws.integers(0, 10, len(IMAGES))


class Small(nn.Module):
    """A branch that only some processes take has gradients in those alone."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten()
        )
        self.one, self.other = nn.Linear(96, 10), nn.Linear(96, 10)

    def forward(self, x):
        features = self.body(x)
        return self.one(features) if x.data.mean() > 0 else self.other(features)


def build(network, optimizer):
    random.manual_seed(3)
    model = Small() if network == "small" else models.create(network, 10, 1)
    return model, OPTIMIZERS[optimizer]([*model.parameters()])


def batch(step, size):
    return np.random.default_rng([7, step]).permutation(len(IMAGES))[:size]


def checksum(model, optimizer):
    found = 0
    for _, array in sorted(model.state_dict().items()):
        found = zlib.crc32(np.ascontiguousarray(array).tobytes(), found)
    for state in optimizer.state_dict()["state"].values():
        for _, value in sorted(state.items()):
            found = zlib.crc32(np.ascontiguousarray(np.asarray(value)).tobytes(), found)
    return found


def backward(model, indices, share):
    (F.cross_entropy(model(Tensor(IMAGES[indices])), LABELS[indices]) * share).backward()


def several(group, network, name, size, steps=STEPS):
    """By the processes of a group."""
    model, optimizer = build(network, name)
    parallel = DataParallel(model, group)
    for step in range(steps):
        mine, share = parallel.part(batch(step, size))
        optimizer.zero_grad()
        backward(model, mine, share)
        parallel.synchronize(share)
        optimizer.step()
    parallel.check()
    return checksum(model, optimizer)


def one(ranks, network, name, size, steps=STEPS):
    """By one process, which goes through all shares of a batch and adds up as it goes."""
    model, optimizer = build(network, name)
    parameters, buffers = [*model.parameters()], [*model.buffers()]
    for step in range(steps):
        whole = batch(step, size)
        before = [b.data.copy() for b in buffers]
        totals, means = [None] * len(parameters), [0 * b for b in before]
        for rank in range(ranks):
            start, stop = size * rank // ranks, size * (rank + 1) // ranks
            for buffer, old in zip(buffers, before, strict=True):
                buffer.data[...] = old
            optimizer.zero_grad()
            backward(model, whole[start:stop], (stop - start) / size)
            for i, p in enumerate(parameters):
                if p.grad is not None:
                    totals[i] = p.grad.data.copy() if totals[i] is None else totals[i] + p.grad.data
            for i, buffer in enumerate(buffers):
                part = buffer.data * np.float32((stop - start) / size)
                means[i] = part if rank == 0 else means[i] + part
        for p, total in zip(parameters, totals, strict=True):
            p.grad = None if total is None else Tensor(total)
        for buffer, mean in zip(buffers, means, strict=True):
            if buffer.dtype.kind == "f":
                buffer.data[...] = mean
        optimizer.step()
    return checksum(model, optimizer)


if __name__ == "__main__":
    group = world(sys.argv[1])
    cases = {"small": CASES, "resnet8": RESNET, "one": CASES[:1]}[sys.argv[2]]
    found = {" ".join(map(str, case)): several(group, *case) for case in cases}
    Path(f"rank-{group.rank}.json").write_text(json.dumps(found))
