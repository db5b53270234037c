"""`feature_maps` and `filters`: what a layer makes of an image, and what a convolution sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minires.backend import to_host
from minires.grad_mode import no_grad
from minires.nn import Conv2d, Module
from minires.viz.colours import SIGNED
from minires.viz.layer_output import layer_output, one_image
from minires.viz.picture import Picture, new_figure
from minires.viz.text import HostArray, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def feature_maps(model: Module, image: Any, layer: str, most: int = 16) -> Picture:
    """Draw what one layer makes of an image, channel by channel.

    Parameters
    ----------
    model : Module
        Runs in evaluation mode; its mode is restored.
    image : Tensor or array (1, H, W, C) or (H, W, C)
        As the network wants it: normalised, floating.
    layer : str
        The dotted name of a layer whose output is (N, h, w, channels): `"layer2.0.conv1"`.
    most : int
        Channels to draw, the first ones; at least 1.

    Returns
    -------
    Picture
        Its `values["maps"]` is (h, w, channels), all of them.

    Raises
    ------
    ValueError
        If there is no such layer, its output is no image, or `most` is below 1.
    """
    _at_least_one(most)
    with no_grad():
        maps = to_host(layer_output(model, one_image(model, image), layer)[1].data)[0]
    shown = min(most, maps.shape[-1])
    top = _largest(maps[..., :shown])
    caption = (
        f"{shown} of {maps.shape[-1]} channels, each {maps.shape[0]} × {maps.shape[1]}. Orange "
        f"is positive, violet negative, full colour {number(top)}; a blank one has nothing to say "
        f"about this image.{_gaps(maps[..., :shown])}"
    )
    tiles = [maps[..., c] for c in range(shown)]
    style = {"cmap": SIGNED, "vmin": -top, "vmax": top}
    return Picture(
        f"Feature maps of {layer}", caption, {"maps": maps}, _tiles(tiles, "channel", style)
    )


def filters(layer: Conv2d | Module, most: int = 64) -> Picture:
    """Draw the filters of a convolution; of a whole network, those of its first one.

    Parameters
    ----------
    layer : Conv2d or Module
    most : int
        Filters to draw, the first ones; at least 1.

    Returns
    -------
    Picture
        Its `values["weight"]` is (KH, KW, C, O). Filters over three channels are drawn in colour,
        others as their mean over the input channels.

    Raises
    ------
    TypeError
        If `layer` is no Module.
    ValueError
        If there is no convolution inside, or `most` is below 1.
    """
    if not isinstance(layer, Module):
        raise TypeError(f"filters wants a Conv2d or a network, got {type(layer).__name__}")
    _at_least_one(most)
    conv = next((m for m in layer.modules() if isinstance(m, Conv2d)), None)
    if conv is None:
        raise ValueError(f"{type(layer).__name__} holds no Conv2d, so it has no filters to draw")
    weight = to_host(conv.weight.data)
    shown = min(most, weight.shape[-1])
    high, wide, channels, count = weight.shape
    top = _largest(weight)
    if channels == 3:
        tiles = [weight[..., o] / (2 * top) + 0.5 for o in range(shown)]
        how = f"grey is 0; red, green and blue run from −{number(top)} to {number(top)}"
    else:
        tiles = [weight[..., o].mean(axis=-1) for o in range(shown)]
        top = _largest(np.array(tiles))
        mean = "" if channels == 1 else f", the mean over {channels} input channels"
        how = f"orange is positive, violet negative, full colour {number(top)}{mean}"
    caption = f"{shown} of {count} filters, each {high} × {wide}: {how}.{_gaps(weight)}"
    style = {"cmap": SIGNED, "vmin": -top, "vmax": top}
    return Picture("Filters", caption, {"weight": weight}, _tiles(tiles, "filter", style))


def _tiles(tiles: Sequence[HostArray], what: str, style: dict[str, Any]) -> Callable[[], Figure]:
    """Draw small pictures in rows, each with its number."""

    def draw() -> Figure:
        columns = min(8, len(tiles))
        rows = math.ceil(len(tiles) / columns)
        figure = new_figure(max(1.1 * columns + 1.2, 3.5), 1.28 * rows + 0.3)
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for i, (axes, tile) in enumerate(zip(panels, tiles, strict=False)):
            shown = axes.imshow(tile, interpolation="nearest", **style)
            axes.set_title(f"{what} {i}" if i == 0 else str(i), fontsize=8, pad=2)
        first = panels[0]  # says what the others' axes are
        first.set_axis_on()
        first.set_xticks(sorted({0, tiles[0].shape[1] - 1}))
        first.set_yticks(sorted({0, tiles[0].shape[0] - 1}))
        first.tick_params(labelsize=6, length=2, pad=1)
        first.set_xlabel("column (pixels)", fontsize=6, labelpad=1)
        first.set_ylabel("row (pixels)", fontsize=6, labelpad=1)
        if tiles[0].ndim == 2:
            figure.colorbar(shown, ax=panels, fraction=0.03, label="value")
        return figure

    return draw


def _largest(values: HostArray) -> float:
    """The greatest size of a finite number; 1 if there is none but 0."""
    return float(np.abs(values[np.isfinite(values)]).max(initial=0)) or 1.0


def _gaps(values: HostArray) -> str:
    """What the caption says of numbers that have no colour."""
    count = int((~np.isfinite(values)).sum())
    return f" {count} of its numbers are not finite (NaN or infinite)." if count else ""


def _at_least_one(most: int) -> None:
    if most < 1:
        raise ValueError(f"most is how many to draw, at least 1, got {most}")
