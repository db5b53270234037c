"""`minires export`: a network for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from minires import interop, models
from minires.cli.evaluate import numbers
from minires.cli.image_size import with_size
from minires.cli.metadata import fact, metadata_of
from minires.cli.options import SizeOption, WeightsModelOption, option
from minires.files import read_small
from minires.training import save
from minires.training.weights import load_network


def export_command(
    out: Annotated[
        Path, typer.Argument(help="The file to write: .onnx, .safetensors or .npz (minires's own).")
    ],
    weights: Annotated[
        Path | None,
        option(
            "FILE",
            "What `minires train` wrote, or a PyTorch or safetensors file.",
            "random weights of --model",
        ),
    ] = None,
    model: WeightsModelOption = None,
    size: SizeOption = None,
    keep_batch_norm: Annotated[
        bool,
        typer.Option("--keep-batch-norm", help="In .onnx, do not fold it into convolutions."),
    ] = False,
    mean: Annotated[
        str | None,
        option("X,X,X", "To be kept in the file: per channel, of pixels in [0, 1].", False),
    ] = None,
    std: Annotated[str | None, option("X,X,X", "Likewise.", False)] = None,
    classes: Annotated[
        Path | None, option("FILE", "To be kept in the file: names of classes, one a line.", False)
    ] = None,
) -> None:
    """Write a network in another format, which the name of the file chooses.

    .onnx is for other runtimes, images as (N, C, H, W); .safetensors for
    PyTorch: torchvision's ResNets load it; .npz for minires itself.
    """
    writers = {".onnx": _onnx, ".safetensors": _safetensors, ".npz": _npz}
    suffix = out.suffix.lower()
    if suffix not in writers:
        raise ValueError(f"{out}: the name must end in {', '.join(writers)}")
    if keep_batch_norm and suffix != ".onnx":
        raise ValueError("--keep-batch-norm is for .onnx; elsewhere batch norm is kept anyway")
    if weights is not None:
        network = load_network(weights, model)
    elif model is not None:
        network = models.create(model).eval()
    else:
        raise ValueError("export wants --weights FILE, --model NAME or both")
    network.metadata = dict(getattr(network, "metadata", {}))
    known = with_size(metadata_of(network, weights or out), network, size)
    sides = known.size or []  # there always is one
    if classes is not None:
        known = replace(known, classes=_class_names(classes, fact(network, "num_classes")))
    known = replace(
        known,
        mean=numbers(mean, "--mean") or known.mean,
        std=numbers(std, "--std") or known.std,
    )
    _check_mean_and_std(known.mean, known.std, fact(network, "in_channels"))
    said = {key: value for key, value in asdict(known).items() if value is not None}
    network.metadata = {**network.metadata, **said}
    if suffix != ".onnx" and not fact(network, "name"):
        raise ValueError(f"{out}: this network is not from minires.models; .onnx keeps any network")
    what = writers[suffix](network, out, sides, keep_batch_norm)
    parameters = sum(p.size for p in network.parameters())
    name = fact(network, "name") or type(network).__name__
    print(f"{out}: {name}, {parameters:,} parameters, {what}")


def _check_mean_and_std(mean: Any, std: Any, channels: int) -> None:
    if (mean is None) != (std is None):
        raise ValueError("--mean and --std belong together: give both or neither")
    if mean is not None and not len(mean) == len(std) == channels:
        raise ValueError(
            f"the network sees {channels} channels: got {len(mean)} means, {len(std)} deviations"
        )
    if std is not None and min(std) <= 0:
        raise ValueError(f"--std wants numbers above 0, got {min(std):g}")


def _class_names(path: Path, count: int) -> list[str]:
    try:
        names = read_small(path).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8: names of classes were wanted") from None
    names = [name.strip() for name in names if name.strip()]
    if len(names) != count:
        raise ValueError(f"{path} has {len(names)} names, the network {count} classes")
    return names


def _onnx(network: Any, out: Path, size: list[int], keep: bool) -> str:
    channels = fact(network, "in_channels")
    interop.export_onnx(network, out, (*size, channels), fold_batch_norm=not keep)
    opset = getattr(network, "opset", interop.OPSET)
    return (
        f"opset {opset}, images (N, {channels}, {size[0]}, {size[1]}), "
        f"batch norm {'kept' if keep else 'folded'}"
    )


def _safetensors(network: Any, out: Path, size: list[int], keep: bool) -> str:
    described = {"architecture": network.architecture, **network.metadata}
    interop.save_torch_compatible(network, out, {k: json.dumps(v) for k, v in described.items()})
    return "in PyTorch's layout, keys as torchvision has them"


def _npz(network: Any, out: Path, size: list[int], keep: bool) -> str:
    save(network, out)
    return f"to use with minires eval and minires predict, images {size[0]} x {size[1]}"
