"""Looking inside a network: `feature_maps`, `filters` and `grad_cam`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import minires
from minires.backend import to_host
from minires.grad_mode import enable_grad, no_grad
from minires.nn import Conv2d, Identity, Module
from minires.nn.modes import evaluating
from minires.tensors import Tensor
from minires.training.evaluate import device_of_model
from minires.viz.colours import HEAT, SIGNED
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
        maps = to_host(_output(model, _batch(model, image), layer)[1].data)[0]
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


def grad_cam(
    model: Module, image: Any, layer: str | None = None, target: int | None = None
) -> Picture:
    """Draw where a network looks for a class (Grad-CAM, Selvaraju et al. 2017, equations 1 and 2).

    The channels of a layer, each weighted by the mean of the class score's gradient over that
    channel, are summed; what is negative is dropped.

    Parameters
    ----------
    model : Module
        Images to logits (N, classes). Runs in evaluation mode; its mode and gradients stay.
    image : Tensor or array (1, H, W, C) or (H, W, C)
    layer : str, optional
        The dotted name of a layer whose output is (N, h, w, channels); by default the last such.
    target : int, optional
        The class; by default the predicted one.

    Returns
    -------
    Picture
        Its `values` are `"map"` (h, w), `"weights"` (channels,) and `"logits"` (classes,).

    Raises
    ------
    ValueError
        If there is no such layer or class.
    """
    batch = _batch(model, image)
    with enable_grad():
        logits, activation, name = _run(model, batch.detach().requires_grad_(), layer)
        classes = logits.shape[-1]
        chosen = int(np.argmax(to_host(logits.data)[0])) if target is None else target
        if not isinstance(chosen, int | np.integer) or not 0 <= chosen < classes:
            raise ValueError(f"grad_cam: there are {classes} classes, no class {chosen}")
        gradient = minires.grad(logits[0, chosen], activation)
    maps = to_host(activation.data)[0]
    weights = to_host(gradient.data)[0].mean(axis=(0, 1))
    heat = np.maximum((maps * weights).sum(axis=-1), 0)
    picture = to_host(batch.data)[0]
    caption = (
        f"Class {chosen}, score {number(to_host(logits.data)[0, chosen])}, seen from {name} "
        f"({heat.shape[0]} × {heat.shape[1]}). The brighter, the more that place speaks for the "
        "class; blank means that nothing does."
    )
    values = {"map": heat, "weights": weights, "logits": to_host(logits.data)[0]}
    return Picture("Grad-CAM", caption, values, lambda: _cam_figure(picture, heat, name))


def _cam_figure(picture: HostArray, heat: HostArray, name: str) -> Figure:
    figure = new_figure(9, 3.3)
    low, high = picture.min(), picture.max()
    flat = (picture - low) / ((high - low) or 1.0)
    flat = flat[..., 0] if flat.shape[-1] != 3 else flat
    extent = (0, picture.shape[1], picture.shape[0], 0)
    panels = figure.subplots(1, 3)
    for axes, title in zip(panels, ("image", f"map of {name}", "both"), strict=True):
        axes.set_title(title, fontsize=10, parse_math=False)
        axes.set(xlabel="column (pixels)")
    panels[0].set(ylabel="row (pixels)")
    panels[0].imshow(flat, cmap="gray", extent=extent)
    top = float(heat.max()) or 1.0
    shown = panels[1].imshow(heat, cmap=HEAT, vmin=0, vmax=top, extent=extent)
    panels[2].imshow(flat, cmap="gray", extent=extent)
    style = {"cmap": HEAT, "vmin": 0, "vmax": top, "interpolation": "bilinear"}
    panels[2].imshow(heat, extent=extent, alpha=0.55, **style)
    figure.colorbar(shown, ax=panels, label="weighted sum", fraction=0.03)
    return figure


# ---------------------------------------------------------------------- running a network


def _batch(model: Module, image: Any) -> Tensor:
    try:
        x = image if isinstance(image, Tensor) else Tensor(np.asarray(image, np.float32))
    except (TypeError, ValueError):
        raise ValueError(f"this wants an image as an array, got {type(image).__name__}") from None
    if x.ndim == 3:
        x = x.reshape(1, *x.shape)
    if x.ndim != 4 or x.shape[0] != 1:
        raise ValueError(f"this wants one image, (H, W, C) or (1, H, W, C), got {x.shape}")
    return x.to(device_of_model(model))


def _output(model: Module, x: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    logits, activation, _ = _run(model, x, layer)
    return logits, activation


def _run(model: Module, x: Tensor, layer: str | None) -> tuple[Tensor, Tensor, str]:
    """The logits, and the last output of `layer` (or the last image that any layer gave)."""
    names = dict(model.named_modules())
    if layer is not None and layer not in names:
        some = ", ".join(name for name in list(names)[1:9])
        raise ValueError(f"there is no layer {layer!r}; there are {some} and others")
    by_id = {id(module): name for name, module in names.items()}
    seen: list[tuple[Tensor, str]] = []

    def keep(module: Module, args: Any, out: Any) -> None:
        pixels = isinstance(out, Tensor) and out.ndim == 4
        if layer is not None and not pixels:
            raise ValueError(f"{layer} gives no image (N, h, w, channels), so nothing can be drawn")
        if pixels and (layer is not None or min(out.shape[1:3]) > 1):
            seen.append((out, by_id[id(module)]))

    leaves = [m for m in model.modules() if not m._modules and not isinstance(m, Identity)]
    watched = leaves if layer is None else [names[layer]]
    removers = [m.register_forward_hook(keep) for m in watched]
    try:
        with evaluating(model):
            logits = model(x)
    finally:
        for remove in removers:
            remove()
    if not seen:
        raise ValueError("no layer gave an image (N, h, w, channels): name one with layer=")
    return (logits, *seen[-1])


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
