"""A training small enough to repeat often: its model drops out, its images are cropped and flipped.

As a script it trains in a process of its own, for the tests to interrupt or kill.
"""

import os
import sys
from contextlib import contextmanager

import numpy as np

import minires
import minires.training.archive
import minires.training.run
from minires import data, nn, optim
from minires.training.archive import read_archive

EPOCHS, STEPS = 3, 5  # 80 images to train on, in batches of 16


def quick(monkeypatch):
    """No curves and no waiting for the disk: most of the time of a training as small as here."""
    monkeypatch.setattr(minires.training.History, "write_plot", lambda self, path: None)
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def dataset():
    return data.digits().subset(np.arange(90))


def build(kind="sgd", seed=7):
    """Model, optimiser and schedule."""
    minires.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(6 * 16, 10),
    )
    if kind == "adam":
        optimizer = optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)
    else:
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    return model, optimizer, optim.OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * STEPS)


def settings():
    return {
        "valid": 10,
        "epochs": EPOCHS,
        "batch_size": 16,
        "transform": data.Compose(
            [
                data.RandomCrop(8, padding=2),
                data.RandomHorizontalFlip(),
                data.Normalize([0.3], [0.4]),
            ]
        ),
        "valid_transform": data.Normalize([0.3], [0.4]),
        "label_smoothing": 0.1,
        "max_grad_norm": 1.5,  # less than most steps have, more than some
        "seed": 3,
        "progress": False,
    }


def train(out, kind="sgd", resume=False, **changes):
    """The model and the history of `fit`."""
    model, optimizer, schedule = build(kind)
    options = {**settings(), "optimizer": optimizer, "schedule": schedule, **changes}
    history = minires.fit(model, dataset(), out=out, resume=resume, **options)
    return model, history


def before_step(number, act):
    """Have `act` called in the training step with this number, from 0, over all epochs."""
    count = 0
    forward = minires.training.run.Run._forward

    def counting(run, images, labels):
        nonlocal count
        count += 1
        if count == number + 1:
            act()
        return forward(run, images, labels)

    minires.training.run.Run._forward = counting
    return lambda: setattr(minires.training.run.Run, "_forward", forward)


def outcome(folder):
    """All that a training leaves behind, but for the seconds."""
    last = read_archive(folder / "last.npz", "checkpoint")
    del last["seconds"]
    for row in last["history"]:
        del row["seconds"]
    table = (folder / "history.csv").read_text().splitlines()
    return {
        "last": last,
        "best": read_archive(folder / "best.npz", "weights"),
        "table": [line.rpartition(",")[0] for line in table],
        "files": sorted(path.name for path in folder.iterdir()),
    }


def assert_same(got, wanted, path=""):
    """Equal to the bit, all the way down."""
    assert type(got) is type(wanted), f"{path}: {got!r}, wanted {wanted!r}"
    if isinstance(wanted, dict):
        assert list(got) == list(wanted), path
        for key in wanted:
            assert_same(got[key], wanted[key], f"{path}/{key}")
    elif isinstance(wanted, list):
        assert len(got) == len(wanted), path
        for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
            assert_same(g, w, f"{path}/{i}")
    elif isinstance(wanted, np.ndarray):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), path
        assert got.tobytes() == wanted.tobytes(), path
    else:
        assert got == wanted, f"{path}: {got!r}, wanted {wanted!r}"


def die_writing(number):
    """Leave the process, without any clean-up, halfway through the file written as this number."""
    count = 0
    whole = minires.training.archive.atomic_write

    @contextmanager
    def half(path):
        nonlocal count
        count += 1
        with whole(path) as file:
            if count == number:
                file.write(b"PK half a file")
                file.flush()
                os._exit(9)
            yield file

    minires.training.archive.atomic_write = half


if __name__ == "__main__":
    folder, kind, *what = sys.argv[1:]
    minires.training.History.write_plot = lambda self, path: None  # it takes longer than the rest
    if what[:1] == ["die-at-step"]:
        before_step(int(what[1]), lambda: os._exit(9))
    elif what[:1] == ["die-writing"]:
        die_writing(int(what[1]))
    elif what[:1] == ["save-always"]:  # and say so, step by step
        minires.training.run.SAVE_EVERY = -1.0
        forward = minires.training.run.Run._forward

        def telling(run, images, labels):
            print(run.epoch, run.step, flush=True)
            return forward(run, images, labels)

        minires.training.run.Run._forward = telling
    train(folder, kind)
