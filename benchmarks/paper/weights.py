"""Weights of others: their published accuracy, and logits beside PyTorch's and onnxruntime's.

Needs `pip install -e '.[interop,parity]'`.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper.published import AKAMASTER_ERROR
from benchmarks.paper.results import Table
from benchmarks.paper.training import announce
from minires import Tensor, data, interop, models, no_grad
from minires.data import ImageDataset
from minires.nn import Module

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 250
COMPARED = 500  # images by which logits are compared; all are classified
TESTS = Path(__file__).resolve().parent.parent.parent / "tests"
THROUGH_ONNX = ("resnet18", "resnet50")  # of torchvision's; and all published ones


def measure_weights(
    files: Sequence[Path], data_dir: Path | None, images: int | None, out: Path
) -> None:
    """Write a row for each file, each of torchvision's networks, and each way through ONNX.

    Parameters
    ----------
    files : paths
        Of akamaster/pytorch_resnet_cifar10, the depth at the start of their names.
    data_dir : path, optional
        Where CIFAR-10's files are.
    images : int, optional
        How many of the test images, by default all.
    out : path
        Rows that are there already are not measured again.

    Raises
    ------
    ValueError
        If a file's name does not say its depth.
    """
    test = data.load_dataset("cifar10", data_dir, train=False)
    assert isinstance(test, ImageDataset)
    test = test if images is None else test[:images]
    table = Table(out, {"dataset": "cifar10", "images": len(test), "mean": MEAN, "std": STD})
    started = time.perf_counter()
    for path in files:
        name = _network_of(path)
        if name not in table:
            announce(name, started)
            table.add(name, published(path, name, test))
    for name, network, x in _for_onnx(files, test):
        for fold in (True, False):
            row = f"{name}, batch norm {'folded' if fold else 'kept'}"
            if row not in table:
                announce(f"ONNX: {row}", started)
                table.add(row, through_onnx(network, x, fold))
    for name in torchvision().SHAPES:
        row = f"torchvision {name}"
        if row not in table:
            announce(row, started)
            table.add(row, beside_torchvision(name))


def _network_of(path: Path) -> str:
    found = re.match(r"(resnet\d+)\b", path.name)
    if found is None or int(found[1].removeprefix("resnet")) not in AKAMASTER_ERROR:
        raise ValueError(f"{path}: its name does not begin with a network, such as resnet20-")
    return found[1]


def published(path: Path, name: str, test: ImageDataset) -> dict[str, Any]:
    """How many images a file's weights get right, and how far the logits are from PyTorch's."""
    network = interop.load_weights(path, name)
    ours = logits(network, test)
    theirs = _pytorch_logits(path, network, test[:COMPARED])
    return {
        "kind": "published",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "parameters": sum(p.size for p in network.parameters()),
        "correct": int((ours.argmax(1) == test.labels).sum()),
        "compared": len(theirs),
        **_difference(ours[: len(theirs)], theirs),
    }


def _batches(test: ImageDataset) -> Iterator[Any]:
    prepare = data.Normalize(MEAN, STD)
    for start in range(0, len(test), BATCH):
        yield prepare(test.images[start : start + BATCH])


def logits(network: Module, test: ImageDataset) -> np.ndarray[Any, Any]:
    """Of all images, (N, classes)."""
    with no_grad():
        return np.concatenate([network(Tensor(x)).numpy() for x in _batches(test)])


def _pytorch_logits(path: Path, network: models.ResNet, test: ImageDataset) -> Any:
    """The same by PyTorch, which reads the file itself."""
    import torch

    from minires.bench import twins

    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    state = {k.removeprefix("module.").replace("linear.", "fc."): v for k, v in state.items()}
    twin = twins.twin(network).eval()
    lacking = twin.load_state_dict(state, strict=False)
    assert not lacking.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in lacking.missing_keys)
    with torch.no_grad():
        images = (torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in _batches(test))
        return np.concatenate([twin(x).numpy() for x in images])


def _difference(ours: Any, theirs: Any) -> dict[str, float]:
    """The largest difference of a logit, and the largest logit."""
    return {
        "difference": float(abs(ours - theirs).max()),
        "largest_logit": float(abs(theirs).max()),
    }


def torchvision() -> Any:
    """torchvision's keys, shapes and logits, as the tests keep them."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    from interop import torchvision

    return torchvision


def _with_formula_weights(name: str) -> models.ResNet:
    fixtures = torchvision()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        path.write_bytes(fixtures.as_torch_file(fixtures.filled(name)))
        network: models.ResNet = interop.load_weights(path, name)
    return network


def beside_torchvision(name: str) -> dict[str, Any]:
    """A network of torchvision's, its weights filled by the formula of tests/interop/formula.py."""
    network = _with_formula_weights(name)
    fixtures = torchvision()
    return {
        "kind": "torchvision",
        "parameters": sum(p.size for p in network.parameters()),
        "entries": len(network.state_dict()),
        **_difference(fixtures.logits(network), fixtures.LOGITS[name]),
    }


def _for_onnx(files: Sequence[Path], test: ImageDataset) -> Iterator[tuple[str, Any, Any]]:
    """Networks with their names, and images (N, H, W, 3) for them."""
    photographs = next(_batches(test))
    for path in files:
        yield _network_of(path), interop.load_weights(path, _network_of(path)), photographs
    noise = np.random.default_rng(0).standard_normal((2, 64, 64, 3)).astype(np.float32)
    for name in THROUGH_ONNX:
        yield name, _with_formula_weights(name), noise


def through_onnx(network: Any, images: Any, fold: bool) -> dict[str, Any]:
    """A network written as ONNX and computed by onnxruntime."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        interop.export_onnx(network, path, images.shape[1:], fold_batch_norm=fold)
        nodes = len(onnx.load(path).graph.node)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (theirs,) = session.run(["logits"], {"images": images.transpose(0, 3, 1, 2)})
    with no_grad():
        ours = network(Tensor(images)).numpy()
    return {
        "kind": "onnx",
        "network": network.architecture["name"],
        "folded": fold,
        "nodes": nodes,
        **_difference(ours, theirs),
    }
