"""To which size images are brought before a network sees them: one rule for every command."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from minires import nn
from minires.cli.metadata import Metadata, fact

LARGE, SMALL = 224, 32  # of networks for photographs, and of those for CIFAR


def with_size(known: Metadata, network: Any, asked: int | None, usual: bool = True) -> Metadata:
    """The metadata with a size: as asked, as the file says, as the network declares, or the usual.

    Parameters
    ----------
    known : Metadata
    network : Module
    asked : int, optional
        Height and width, as in `--size`.
    usual : bool
        Whether the usual size is taken where nothing says another, or None.

    Raises
    ------
    ValueError
        If the network takes no images of the size asked for, or of any sensible one.
    """
    declared: Any = getattr(network, "input_shape", ())  # of Keras or ONNX
    sides: list[Any] = [*declared[:2]] if len(declared) == 3 else [None, None]
    height, width = sides
    if asked is not None:
        size: list[int] | None = [asked, asked]
        if height not in (None, asked) or width not in (None, asked):
            wanted = " x ".join(str(n or "any") for n in (height, width))
            raise ValueError(f"this network takes images of {wanted} pixels, not of --size {asked}")
    elif known.size:
        size = known.size
    elif height or width:
        size = [height or width, width or height]
    else:
        size = [usual_side(network)] * 2 if usual else None
    found = replace(known, size=size)
    found.check(fact(network, "num_classes"), fact(network, "in_channels"))
    return found


def usual_side(network: Any) -> int:
    """224 for a network whose first convolution strides, as those for photographs do, else 32."""
    first = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    return LARGE if first is not None and max(first.stride) > 1 else SMALL
