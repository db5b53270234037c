"""`grad_cam`: where a network looks for a class (Grad-CAM, Selvaraju et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import minires
from minires.backend import to_host
from minires.grad_mode import enable_grad
from minires.nn import Module
from minires.viz.colours import HEAT
from minires.viz.layer_output import layer_output, one_image
from minires.viz.picture import Picture, new_figure
from minires.viz.text import HostArray, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    batch = one_image(model, image)
    with enable_grad():
        logits, activation, name = layer_output(model, batch.detach().requires_grad_(), layer)
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
