"""Mixed precision: float16 between the layers, float32 for what training must not lose.

Micikevicius et al. 2018, "Mixed precision training" (arXiv:1710.03740), has the three parts:

- *float16 storage*. Images, activations, their gradients and the weights of convolutions and linear
  layers are float16 in a training step: half the memory. Products and sums are float32 inside an
  operation (`minires.kernels.machinery.half_precision`), and so is all of batch norm's arithmetic
  and the loss.
- *Master weights*. The optimiser keeps and updates float32: an update of a 2000th of a weight would
  be rounded away in float16. Each step makes the float16 copy anew.
- *Loss scaling*. Gradients below 6e-8 are zero in float16, so the loss is multiplied by a large
  number before the backward pass, and the float32 gradients divided by it. If it was too large and
  some are infinite or NaN, the step is left out and the number halved; after many good steps it is
  doubled.

On a GPU the products of float16 run on its tensor cores. NumPy has no such products: on the CPU
everything is converted back and forth, which saves memory and costs time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np  # for dtypes, and to silence its warnings of overflow

from minires.backend import xp_of
from minires.nn import Conv2d, Linear, Module
from minires.optim import Optimizer, clip_grad_norm_
from minires.tensors import Tensor

START = 2.0**16
GROW_AFTER = 2000  # good steps in a row
SMALLEST, LARGEST = 2.0**-14, 2.0**24


class ScaleError(ArithmeticError):
    """The gradients are infinite or NaN however small the scale."""


class MixedPrecision:
    """The mixed-precision form of one training step; `fit(..., amp=True)` uses it.

    Parameters
    ----------
    model : Module
        With float32 parameters, which stay the master weights.
    optimizer : Optimizer
        Over the model's parameters.
    scale : float
        What the loss is multiplied by at first.
    grow_after : int
        Good steps in a row after which the scale is doubled.
    max_norm : float, optional
        The joint norm to which gradients are clipped, once they are divided by the scale.

    Attributes
    ----------
    scale : float
    skipped : int
        Steps left out so far.

    Raises
    ------
    ValueError
        If a parameter is not float32.

    Examples
    --------
    >>> mixed = MixedPrecision(model, optimizer)
    >>> optimizer.zero_grad()
    >>> loss = F.cross_entropy(mixed.forward(images), labels)
    >>> mixed.step(loss)
    True
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        scale: float = START,
        grow_after: int = GROW_AFTER,
        max_norm: float | None = None,
    ) -> None:
        for name, parameter in model.named_parameters():
            if parameter.dtype != np.float32:
                raise ValueError(
                    f"mixed precision wants float32 parameters, {name} is {parameter.dtype}"
                )
        self.model, self.optimizer = model, optimizer
        self.scale, self.grow_after, self.max_norm = scale, grow_after, max_norm
        self.good_steps = 0
        self.skipped = 0

    def forward(self, images: Tensor) -> Tensor:
        """The model's outputs for float16 images and weights, as float32."""
        with half_weights(self.model):
            outputs: Tensor = self.model(images.astype(np.float16))
        return outputs.astype(np.float32)

    def step(self, loss: Tensor, synchronize: Callable[[], object] | None = None) -> bool:
        """Run the backward pass from the scaled loss and let the optimiser step.

        Parameters
        ----------
        loss : Tensor
        synchronize : callable, optional
            Called when the gradients are there, still scaled: `DataParallel.synchronize`, so that
            an overflow in one process is one in all.

        Returns
        -------
        bool
            Whether it stepped. It does not if a gradient overflowed; then the scale is halved.

        Raises
        ------
        ScaleError
            If even the smallest scale does not help.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow is seen to below
            (loss * self.scale).backward()
            if synchronize is not None:
                synchronize()
        if not self._unscale():
            self.skipped += 1
            self.good_steps = 0
            self.scale /= 2
            if self.scale < SMALLEST:
                raise ScaleError(f"the gradients overflow float16 even when scaled by {SMALLEST:g}")
            return False
        if self.max_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_norm)
        self.optimizer.step()
        self.good_steps += 1
        if self.good_steps == self.grow_after:
            self.good_steps = 0
            self.scale = min(2 * self.scale, LARGEST)
        return True

    def _unscale(self) -> bool:
        """Divide all gradients by the scale; False if any is not finite."""
        grads = [p.grad.data for p in self.model.parameters() if p.grad is not None]
        for grad in grads:
            grad *= 1 / self.scale
        xp = xp_of(*grads)
        finite = xp.stack([xp.isfinite(grad).all() for grad in grads]).all()
        return bool(finite)  # all that comes back from a GPU

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on: numbers only."""
        return {"scale": self.scale, "good_steps": self.good_steps, "skipped": self.skipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.scale, self.good_steps = state["scale"], state["good_steps"]
        self.skipped = state["skipped"]


@contextmanager
def half_weights(model: Module) -> Iterator[None]:
    """In the block, the parameters of convolutions and linear layers are float16 copies.

    They are the same tensors, so gradients arrive at them, and in float32: that is what the graph
    knows them as, since `array` is exchanged, not `data`. Batch norm's parameters stay float32.
    """
    masters = {
        id(parameter): (parameter, parameter.array)
        for module in model.modules()
        if isinstance(module, Conv2d | Linear)
        for parameter in module.parameters()
    }
    for parameter, data in masters.values():
        parameter.array = data.astype(np.float16)
    try:
        yield
    finally:
        for parameter, data in masters.values():
            parameter.array = data
