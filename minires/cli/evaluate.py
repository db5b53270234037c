"""`minires eval` and `minires predict`: what a trained network can do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from minires import data as datasets
from minires.cli.options import (
    BatchOption,
    DataDirOption,
    DeviceOption,
    MeanOption,
    StdOption,
    WeightsModelOption,
    WeightsOption,
    data_option,
    option,
)
from minires.data import Compose, ImageDataset, Normalize
from minires.engine import no_grad
from minires.nn import functional as F
from minires.tensors import Tensor
from minires.training import Evaluation, evaluate, load


def measure(network: Any, dataset: Any, transform: Any, batch_size: int) -> Evaluation:
    from tqdm import tqdm

    with tqdm(total=len(dataset), desc="testing", unit="image", disable=None, leave=False) as bar:
        return evaluate(
            network, dataset, transform=transform, batch_size=batch_size, on_batch=bar.update
        )


def numbers(text: str | None, name: str) -> list[float] | None:
    """What stands in an option such as `--mean 0.5,0.5,0.5`."""
    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise ValueError(f"{name} wants numbers with commas between, got {text!r}")
    return found


def eval_command(
    weights: WeightsOption,
    model: WeightsModelOption = None,
    data: Annotated[str | None, data_option("what they learned on")] = None,
    data_dir: DataDirOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    batch_size: BatchOption = 256,
    device: DeviceOption = "cpu",
) -> None:
    """Measure a trained network on a dataset's test images."""
    network = load(weights, model).to(device)
    name = data or network.metadata.get("data", "fashion-mini")
    dataset = datasets.load_dataset(name, root=data_dir, train=False)
    _check_classes(network, dataset.classes, name)
    transform = preparation(network, numbers(mean, "--mean"), numbers(std, "--std"), dataset)
    result = measure(network, dataset, transform, batch_size)
    print(f"{weights} on the test images of {name}:")
    print(f"  accuracy  {result.accuracy:.2%} ({result.correct:,} of {result.count:,})")
    print(f"  loss      {result.loss:.4f}")


def _check_classes(network: Any, found: Sequence[str], name: str) -> None:
    count = fact(network, "num_classes")
    if count not in (None, len(found)):
        raise ValueError(f"the weights know {count} classes, {name} has {len(found)}")
    known = network.metadata.get("classes")
    if known and list(known) != list(found):
        raise ValueError(
            f"the weights know other classes ({', '.join(known[:3])}, ...) than {name} has "
            f"({', '.join(found[:3])}, ...)"
        )


def fact(network: Any, name: str) -> Any:
    """`num_classes` or `in_channels` of any network that a file holds; None if it does not say."""
    architecture = getattr(network, "architecture", None) or {}
    return architecture.get(name, getattr(network, name, None))


def preparation(
    network: Any, mean: list[float] | None, std: list[float] | None, dataset: Any = None
) -> Compose:
    """How the weights want their images: size, mean and deviation are kept beside them."""
    metadata = network.metadata
    mean, std = mean or metadata.get("mean"), std or metadata.get("std")
    if not mean or not std:
        raise ValueError("these weights do not say how to normalise images: pass --mean and --std")
    steps: list[Any] = []
    size = metadata.get("size")
    in_memory = isinstance(dataset, ImageDataset)
    if size and not (in_memory and dataset.images.shape[1:3] == tuple(size)):
        # a margin as in training on photographs, none for small images
        margin = 256 / 224 if min(size) >= 128 else 1
        steps = [datasets.Resize(round(min(size) * margin)), datasets.CenterCrop(tuple(size))]
    return Compose([*steps, Normalize(tuple(mean), tuple(std))])


def predict_command(
    weights: Annotated[
        Path, typer.Argument(help="What `minires train` wrote, such as best.npz, or PyTorch's.")
    ],
    images: Annotated[list[Path], typer.Argument(help="Image files, of any size.")],
    model: WeightsModelOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    top: Annotated[int, option("N", "How many classes to show.", min=1)] = 5,
    device: DeviceOption = "cpu",
) -> None:
    """Say what is on images: the likeliest classes and their probabilities."""
    network = load(weights, model).to(device)
    classes = network.metadata.get("classes") or [
        f"class {k}" for k in range(fact(network, "num_classes") or 0)
    ]
    if not classes:
        raise ValueError(f"{weights} does not say how many classes its network knows")
    prepare = preparation(network, numbers(mean, "--mean"), numbers(std, "--std"))
    for path in images:
        pixels = datasets.read_image(path)[None]  # (1, H, W, 3)
        if fact(network, "in_channels") == 1:
            grey = pixels @ np.array([0.299, 0.587, 0.114])  # the luma of ITU-R BT.601
            pixels = np.rint(grey).astype(np.uint8)[..., None]
        with no_grad():
            logits = network(Tensor(prepare(pixels)).to(device))
            probabilities = F.softmax(logits).numpy()[0]
        print(path)
        for k in (-probabilities).argsort(kind="stable")[:top]:
            print(f"  {probabilities[k]:7.2%}  {classes[k]}")
