"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from minires.cli.metadata import LARGEST_SIDE


def option(metavar: str, help: str, default: str | bool = True, **more: Any) -> Any:
    return typer.Option(metavar=metavar, help=help, show_default=default, **more)


def data_option(default: str) -> Any:
    text = (
        "digits, fashion-mini (both come with minires), fashion-mnist, cifar10, cifar100, or a "
        "folder with one folder of images a class."
    )
    return option("NAME|FOLDER", text, default)


DataDirOption = Annotated[
    Path | None, option("FOLDER", "Where a dataset's official files are, packed or unpacked.")
]
DeviceOption = Annotated[str, option("NAME", "cpu, cuda or cuda:N.")]
BatchOption = Annotated[int, option("N", "Images at a time.", min=1)]
CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile/--no-compile",
        help="With many images, use a plan: faster, the same up to rounding.",
    ),
]
WeightsOption = Annotated[
    Path,
    option("FILE", "What `minires train` wrote (best.npz), or a PyTorch, Keras or ONNX file."),
]
WeightsModelOption = Annotated[
    str | None,
    option(
        "NAME", "The network, where the file does not say; `minires info` lists them.", "the file's"
    ),
]
MeanOption = Annotated[
    str | None, option("X,X,X", "Per channel, of pixels in [0, 1].", "the file's")
]
SizeOption = Annotated[
    int | None,
    option("N", "Height and width of images.", "the file's, or 32 or 224", min=1, max=LARGEST_SIDE),
]
StdOption = Annotated[str | None, option("X,X,X", "Likewise.", "the file's")]
