"""`minires eval` and `minires predict`: what a trained network can do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from unicodedata import normalize

import numpy as np
import typer

from minires import data as datasets
from minires.cli.image_size import with_size
from minires.cli.metadata import Metadata, fact, metadata_of
from minires.cli.options import (
    BatchOption,
    CompileOption,
    DataDirOption,
    DeviceOption,
    MeanOption,
    SizeOption,
    StdOption,
    WeightsModelOption,
    WeightsOption,
    data_option,
    option,
)
from minires.data import Compose, ImageDataset, Normalize
from minires.data.resizing import Cover
from minires.distributed import Group, agreed
from minires.errors import NonFiniteError
from minires.grad_mode import no_grad
from minires.nn import functional as F
from minires.progress_bar import bar
from minires.tensors import Tensor
from minires.text import bounded
from minires.training import Evaluation, evaluate
from minires.training.predictor import Predictor
from minires.training.weights import load_network

_NOT_FINITE = "the network gives NaN or infinite numbers, so its answers mean nothing"


def measure(
    network: Any,
    dataset: Any,
    transform: Any,
    batch_size: int,
    compile: bool,
    group: Group | None = None,
) -> Evaluation:
    with bar(total=len(dataset), desc="testing", unit="image") as images:
        result = evaluate(
            network,
            dataset,
            transform=transform,
            batch_size=batch_size,
            on_batch=images.update,
            compile=compile,
            group=group,
        )
    if not math.isfinite(result.loss):
        raise agreed(NonFiniteError(f"the loss is {result.loss}: {_NOT_FINITE}"))
    return result


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
    size: SizeOption = None,
    batch_size: BatchOption = 256,
    device: DeviceOption = "cpu",
    compile: CompileOption = True,
) -> None:
    """Measure a trained network on a dataset's test images."""
    means, deviations = numbers(mean, "--mean"), numbers(std, "--std")
    network = load_network(weights, model).to(device)
    known = metadata_of(network, weights)
    name = data or known.data
    if name is None:
        raise ValueError(f"{weights} does not say what its network learned on: pass --data")
    dataset = datasets.load_dataset(name, root=data_dir, train=False)
    _check_classes(network, known, dataset.classes, name)
    known = with_size(known, network, size, usual=not isinstance(dataset, ImageDataset))
    transform = preparation(known, means, deviations, dataset)
    if together := getattr(network, "batch", None):  # an ONNX graph may take no other number
        batch_size = together
        if len(dataset) % together:
            raise ValueError(
                f"{weights} takes {together} images at a time, {name} has {len(dataset):,} to test"
            )
    result = measure(network, dataset, transform, batch_size, compile)
    print(f"{weights} on the test images of {name}:")
    print(f"  accuracy  {result.accuracy:.2%} ({result.correct:,} of {result.count:,})")
    if _ends_in_sigmoid(network):
        print("  loss      no cross-entropy: each class has a probability of its own (a sigmoid)")
    else:
        print(f"  loss      {result.loss:.4f}")


def _ends_in_sigmoid(network: Any) -> bool:
    """Whether it gives probabilities already, of each class by itself, and not logits."""
    return bool(getattr(network, "ends_in_sigmoid", False))


def _check_classes(network: Any, known: Metadata, found: Sequence[str], name: str) -> None:
    count = fact(network, "num_classes")
    if count not in (None, len(found)):
        raise ValueError(f"the weights know {count} classes, {name} has {len(found)}")
    if known.classes and _composed(known.classes) != _composed(found):
        ours, theirs = (
            ", ".join(bounded(c, 30) for c in names[:3]) for names in (known.classes, found)
        )
        raise ValueError(
            f"the weights know other classes ({ours}, ...) than {name} has ({theirs}, ...)"
        )


def _composed(names: Sequence[str]) -> list[str]:
    """An accented letter is one character or two, which depends on the system it was typed on."""
    return [normalize("NFC", name) for name in names]


def preparation(
    known: Metadata, mean: list[float] | None, std: list[float] | None, dataset: Any = None
) -> Compose:
    """How the weights want their images: size, mean and deviation are kept beside them."""
    mean, std = mean or known.mean, std or known.std
    if not mean or not std:
        raise ValueError("these weights do not say how to normalise images: pass --mean and --std")
    steps: list[Any] = []
    in_memory = isinstance(dataset, ImageDataset)
    if known.size and not (in_memory and list(dataset.images.shape[1:3]) == known.size):
        height, width = known.size
        # a margin as in training on photographs, none for small images
        margin = 256 / 224 if min(height, width) >= 128 else 1
        cover = Cover((round(height * margin), round(width * margin)))
        steps = [cover, datasets.CenterCrop((height, width))]
    return Compose([*steps, Normalize(tuple(mean), tuple(std))])


def predict_command(
    weights: Annotated[
        Path, typer.Argument(help="What `minires train` wrote, such as best.npz, or PyTorch's.")
    ],
    images: Annotated[list[Path], typer.Argument(help="Image files, of any size.")],
    model: WeightsModelOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    size: SizeOption = None,
    top: Annotated[int, option("N", "How many classes to show.", min=1)] = 5,
    device: DeviceOption = "cpu",
    compile: CompileOption = True,
) -> None:
    """Say what is on images: the likeliest classes and their probabilities."""
    network = load_network(weights, model).to(device)
    known = metadata_of(network, weights)
    count = fact(network, "num_classes") or 0
    classes = known.classes or [f"class {k}" for k in range(count)]
    if not classes:
        raise ValueError(f"{weights} does not say how many classes its network knows")
    known = with_size(known, network, size)
    prepare = preparation(known, numbers(mean, "--mean"), numbers(std, "--std"))
    same_size = known.size is not None
    predictor = Predictor(network, len(images), at_once=1, compile=compile and same_size)
    for path in images:
        pixels = datasets.read_image(path)[None]  # (1, H, W, 3)
        if fact(network, "in_channels") == 1:
            grey = pixels @ np.array([0.299, 0.587, 0.114])  # the luma of ITU-R BT.601
            pixels = np.rint(grey).astype(np.uint8)[..., None]
        with no_grad():
            logits = predictor(Tensor(prepare(pixels)).to(device))
            if logits.shape[-1] == 1:
                raise ValueError(f"{weights} gives one number for an image, not one for each class")
            known_already = _ends_in_sigmoid(network)
            probabilities = (logits if known_already else F.softmax(logits)).numpy()[0]
        if not np.isfinite(probabilities).all():
            raise NonFiniteError(f"{path}: {_NOT_FINITE}")
        print(path)
        for k in (-probabilities).argsort(kind="stable")[:top]:
            print(f"  {probabilities[k]:7.2%}  {bounded(classes[k], 100)}")
