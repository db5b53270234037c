"""ResNet-20 on all of CIFAR-10, by a one-cycle schedule that two cores can afford."""

from __future__ import annotations

import _thread
import hashlib
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import minires
from benchmarks.paper import results
from minires import data, models, optim
from minires.nn import Module
from minires.training import evaluate

PEAK_LR, WEIGHT_DECAY, BATCH_SIZE = 0.3, 5e-4, 128


@contextmanager
def interrupted_after(minutes: float) -> Iterator[None]:
    """As if Ctrl-C were pressed after so many minutes, also where a shell has that ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(60 * minutes, _thread.interrupt_main)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def weights_checksum(model: Module) -> str:
    """SHA-256 over every entry's name, shape and values, in the order of the state dict."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        array = value.numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def train_resnet20(
    *,
    dataset: str,
    data_dir: Path | None,
    epochs: int,
    minutes: float,
    images: int | None,
    seed: int,
    work: Path,
    out: Path,
) -> dict[str, Any] | None:
    """Train, or go on; the result is written to `out` once the last epoch has ended.

    The test images draw the curve and nothing is chosen by them: the result is the last epoch's.

    Returns
    -------
    dict or None
        The result; None if the time was up first and the state has been saved.
    """
    train = data.load_dataset(dataset, data_dir, train=True)
    test = data.load_dataset(dataset, data_dir, train=False)
    assert isinstance(train, data.ImageDataset)
    assert isinstance(test, data.ImageDataset)
    if images is not None:
        train, test = train[:images], test[:images]
    size, channels = train.images.shape[1], train.images.shape[3]
    normalize = data.Normalize(*data.dataset_statistics(train.images))
    augment = data.Compose(
        [data.RandomCrop(size, padding=size // 8), data.RandomHorizontalFlip(), normalize]
    )
    minires.manual_seed(seed)
    model = models.resnet20(len(train.classes), channels)
    optimizer = optim.SGD(
        model.parameters(), lr=PEAK_LR, momentum=0.9, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    batch_size = min(BATCH_SIZE, len(train))
    steps = epochs * (len(train) // batch_size)
    try:
        with interrupted_after(minutes):
            history = minires.fit(
                model,
                train,
                test,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=optimizer,
                schedule=optim.OneCycleLR(
                    optimizer, max_lr=PEAK_LR, total_steps=steps, pct_start=0.25
                ),
                transform=augment,
                valid_transform=normalize,
                precise_bn=False,
                seed=seed,
                out=work,
                resume=(work / "last.npz").exists(),
            )
    except KeyboardInterrupt as stopped:  # fit's own says where, and that the state is saved
        print(f"{str(stopped) or 'stopped'}. The same command goes on from there.")
        return None
    final = evaluate(model, test, transform=normalize)
    content = {
        "settings": {
            "network": "resnet20",
            "dataset": dataset,
            "images": len(train),
            "epochs": epochs,
            "batch_size": batch_size,
            "schedule": f"one cycle up to {PEAK_LR}",
            "weight_decay": WEIGHT_DECAY,
            "seed": seed,
        },
        "test_images": final.count,
        "correct": final.correct,
        "test_error": round(100 * (1 - final.accuracy), 3),
        "curve": {
            "train_error": [round(100 * (1 - e.train_accuracy), 3) for e in history],
            "test_error": [round(100 * (1 - e.valid_accuracy), 3) for e in history],
            "train_loss": [round(e.train_loss, 5) for e in history],
            "lr": [round(e.lr, 7) for e in history],
        },
        "seconds": round(sum(e.seconds for e in history), 1),
        "weights_sha256": weights_checksum(model),
    }
    results.write(out, content)
    print(f"{final.correct:,} of {final.count:,} right: {content['test_error']}% error")
    return content
