"""Trainings by `fit` of which something is to be known: each function is one, and gives it.

As a script it is one of several processes; it runs those that are named and writes what they give.
"""

import json
import math
import os
import signal
import sys
import zlib
from pathlib import Path

import numpy as np

import minires
import minires.training.run
from minires import Tensor, data, distributed, models, nn, optim, random
from minires.distributed import DataParallel, DistributedError, sync_batch_norm
from minires.errors import BackwardError
from minires.nn import functional as F
from minires.training import Interrupted, TrainingError, fit

EPOCHS, SIZE = 2, 25
SMOOTHING, LARGEST = 0.1, 1.0


def images(count=220):
    return data.digits().subset(np.arange(count))


def transform():
    return data.Compose([data.RandomCrop(8, padding=2), data.Normalize([0.3], [0.4])])


def build(name="resnet8"):
    random.manual_seed(3)
    if name == "small":
        first = nn.Sequential(nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6))
        model = nn.Sequential(first, nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(96, 10))
    else:
        model = models.create(name, 10, 1)
    return model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)


def train(group, name="small", **changes):
    model, optimizer = build(name)
    options = {
        "valid": 20,
        "epochs": EPOCHS,
        "batch_size": SIZE,
        "optimizer": optimizer,
        "transform": transform(),
        "label_smoothing": SMOOTHING,
        "max_grad_norm": LARGEST,
        "seed": 3,
        "progress": False,
    }
    history = fit(model, changes.pop("train", images()), group=group, **{**options, **changes})
    return model, history


def checksum(model):
    found = 0
    for _, array in sorted(model.state_dict().items()):
        found = zlib.crc32(np.ascontiguousarray(array).tobytes(), found)
    return found


def message(kind, call):
    try:
        call()
    except kind as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


# ---------------------------------------------------------------------- what goes right


def resnet(group):
    model, history = train(group, "resnet8", precise_bn=False)
    last = history.epochs[-1]
    return [checksum(model), last.train_loss, last.valid_loss, last.valid_accuracy]


def measured_statistics(group):
    """Those that `precise_bn` leaves, which are averaged at the end."""
    return checksum(train(group)[0])


def amp(group):
    model, _ = train(group, "resnet8", amp=True, epochs=1)
    return checksum(model)


def amp_overflow(group):
    """Gradients of one process alone are too large for float16."""
    model, optimizer = build("small")
    mixed = minires.training.MixedPrecision(model, optimizer, scale=2.0**15)
    parallel = DataParallel(model, group)
    before = [p.numpy().copy() for p in model.parameters()]
    loss = mixed.forward(Tensor(np.ones((4, 8, 8, 1), np.float32))).sum()
    stepped = mixed.step(loss * (1e6 if group.rank == 1 else 1), parallel.synchronize)
    same = [(p.numpy() == b).all() for p, b in zip(model.parameters(), before, strict=True)]
    return [stepped, mixed.scale, bool(all(same))]


def wide(model):
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dtype.kind == "f":
            tensor.data = tensor.data.astype(np.float64)


def whole_batch(group, count):
    """One step's gradients and running statistics, in float64, with synchronised batch norm."""
    model, _ = build("resnet8")
    wide(model)
    parallel = DataParallel(model, group)
    draws = np.random.default_rng(5)
    x, y = draws.standard_normal((count, 8, 8, 1)) + 3, draws.integers(0, 10, count)
    (x, share), (y, _) = parallel.part(x), parallel.part(y)
    with sync_batch_norm(group):
        (F.cross_entropy(model(Tensor(x)), y) * share).backward()
    parallel.synchronize(share)
    gradients = [p.grad.numpy() for p in model.parameters()]
    return gradients, [b.numpy() for b in model.buffers()]


def sync_bn(group):
    """The largest difference from one process with the whole batch, relative to each array's."""
    found = {}
    for count in (24, 23):
        got = whole_batch(group, count)
        wanted = whole_batch(distributed.Group(), count)
        found[str(count)] = [
            max(float(abs(g - w).max() / abs(w).max()) for g, w in zip(gs, ws, strict=True))
            for gs, ws in zip(got, wanted, strict=True)
        ]
    return found


def sync_bn_fit(group):
    model, history = train(group, "resnet8", sync_bn=True, epochs=1)
    return [checksum(model), history.epochs[-1].train_loss]


def second_derivative(group):
    x = Tensor(np.arange(8.0).reshape(4, 2), requires_grad=True)
    with sync_batch_norm(group):
        out = nn.BatchNorm1d(2, affine=False)(x)
    return message(BackwardError, lambda: minires.grad((out**3).sum(), x, create_graph=True))


def code_of_the_page(before):
    """What docs/distributed.md shows after a line."""
    page = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")
    return page.partition(f"{before}\n\n```py\n")[2].partition("```")[0]


def script_of_the_page(group):
    """The one that calls `fit`, on small images: how many epochs its history has."""
    code = code_of_the_page("does the same:")
    for shown, small in (
        ('"cifar10", train=True, root="DIR"', '"digits", train=True'),
        ("resnet20()", "resnet8(10, 1)"),
        ('out="run"', "epochs=1, progress=False"),
    ):
        assert shown in code
        code = code.replace(shown, small)
    names = {}
    exec(code, names)
    return len(names["history"])


def loop_of_the_page(group):
    """The one of one's own that docs/distributed.md shows."""
    code = code_of_the_page("## A loop of your own")
    model, optimizer = build("small")
    before, some = checksum(model), images(60)
    names = {"model": model, "optimizer": optimizer, "epochs": 2, "size": 24, "np": np, "F": F}
    names |= {"images": some.images.astype(np.float32), "labels": some.labels, "Tensor": Tensor}
    exec(code, names)
    return [checksum(model), checksum(model) != before, len(code.strip().splitlines())]


def save_after_every_step(group):
    """The first rank's clock decides when, and all compare their weights before."""
    wanted = checksum(train(group, epochs=1)[0])
    before, minires.training.run.SAVE_EVERY = minires.training.run.SAVE_EVERY, -1.0
    try:
        return checksum(train(group, epochs=1, out="often")[0]) == wanted
    finally:
        minires.training.run.SAVE_EVERY = before


def few_held_out(group):
    """Two images for three processes."""
    last = train(group, valid=2, epochs=1)[1].epochs[-1]
    return [last.valid_loss, last.valid_accuracy]


def threads(group):
    return distributed.mpi._threads(group)


# ---------------------------------------------------------------------- what all end with


def nan_sync_bn(group):
    """Then all ranks have a loss of NaN, and some look for the cause in their own images."""
    return nan(group, sync_bn=True)


def nan(group, **options):
    """Among the images of rank 1."""

    def spoiled(batch, draws):
        found = transform()(batch, draws)
        if group.rank == 1:
            found[0] = np.nan
        return found

    return message(TrainingError, lambda: train(group, transform=spoiled, **options))


def nan_in_a_layer(group):
    """Of rank 2 alone, at its second batch."""
    model, optimizer = build("small")
    calls = 0

    def spoil(module, args, out):
        nonlocal calls
        calls += 1
        return out * np.inf if group.rank == 2 and calls >= 2 else None

    model[0].register_forward_hook(spoil)
    options = {"valid": None, "epochs": 1, "batch_size": SIZE, "progress": False, "check": False}
    return message(
        TrainingError, lambda: fit(model, images(), optimizer=optimizer, group=group, **options)
    )


def other_setting(group):
    return message(DistributedError, lambda: train(group, label_smoothing=0.01 * group.rank))


def other_data(group):
    other = data.digits().subset(np.arange(220) + (group.rank == 2))
    return message(DistributedError, lambda: train(group, train=other))


def other_network(group):
    name = "resnet8" if group.rank == 1 else "small"
    return message(DistributedError, lambda: DataParallel(build(name)[0], group))


def other_weights(group):
    """Of rank 1, by one bit, after the first epoch: nothing is written over that epoch's state."""
    folder = Path("other-weights")
    check = DataParallel.check
    checks = 0

    def flip(self):
        nonlocal checks
        checks += 1
        if checks == 2 and group.rank == 1:
            self.model[4].weight.data.view(np.uint32)[0, 0] ^= 1
        check(self)

    DataParallel.check = flip
    try:
        text = message(TrainingError, lambda: train(group, out=folder))
    finally:
        DataParallel.check = check
    group.exchange(None)  # until the first has written all
    saved = minires.training.archive.read_archive(folder / "last.npz", "checkpoint")
    return [text, saved["epoch"]]


def wrong_use(group):
    """Each is refused in all ranks at one place, so that what comes after works."""
    model, _ = build("small")
    parallel = DataParallel(model, group)
    said = [
        message(ValueError, lambda: parallel.synchronize(0.5)),
        message(ValueError, lambda: parallel.synchronize(math.nan)),
        message(ValueError, lambda: parallel.part([])),
        message(TypeError, lambda: DataParallel(group, model)),
        message(TypeError, lambda: train(group.comm)),
    ]
    model[4].weight.requires_grad = group.rank != 1
    said.append(message(DistributedError, parallel.synchronize))
    model[4].weight.requires_grad = True
    parallel.synchronize()
    return said


def too_small(group):
    return message(ValueError, lambda: train(group, batch_size=2))


def ctrl_c(group):
    """At rank 1, in the third step; then on to the end, to the bit."""
    wanted = checksum(train(group, precise_bn=False)[0])
    before_step(2, lambda: signal.raise_signal(signal.SIGINT) if group.rank == 1 else None)
    text = message(Interrupted, lambda: train(group, precise_bn=False, out="stopped"))
    before_step(-1, lambda: None)
    group.exchange(None)
    model, _ = train(group, precise_bn=False, out="stopped", resume=True)
    return [text, checksum(model) == wanted]


FORWARD = minires.training.run.Run._forward


def before_step(number, act):
    """Have `act` called in the training step with this number, from 0."""
    count = 0

    def counting(run, images, labels):
        nonlocal count
        count += 1
        if count == number + 1:
            act()
        return FORWARD(run, images, labels)

    minires.training.run.Run._forward = counting


# ---------------------------------------------------------------------- what ends one


def fails(group):
    """An error of rank 1 alone, in the third step: the others would wait for ever."""

    def fail():
        if group.rank == 1:
            raise OSError("the disk of rank 1 is gone")

    before_step(2, fail)
    train(group)


def fails_outside(group):
    """The same in a loop of one's own."""
    if group.rank == 1:
        raise RuntimeError("not in fit")
    group.exchange("waiting")


def exits(group):
    """Rank 1 alone, which is no error that it could tell of."""
    if group.rank == 1:
        sys.exit(0)
    group.exchange("waiting")


def dies(group):
    """Rank 1 is killed in the third step of the second epoch."""
    before_step(8 + 2, lambda: os.kill(os.getpid(), signal.SIGKILL) if group.rank == 1 else None)
    train(group, out="killed")


def goes_on(group):
    return checksum(train(group, out="killed", resume=True)[0])


def whole(group):
    return checksum(train(group)[0])


if __name__ == "__main__":
    group = distributed.world()
    minires.training.History.write_plot = lambda self, path: None  # it takes longer than the rest
    found = {name: globals()[name](group) for name in sys.argv[1:]}
    Path(f"rank-{group.rank}.json").write_text(json.dumps(found))
