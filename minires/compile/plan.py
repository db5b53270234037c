"""`compile(model, example)`: a plan that computes what the model does, and faster."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from minires import writes
from minires.compile.variant import Variant
from minires.engine import raw
from minires.from_pytorch import pytorchs_keywords
from minires.model_recording import RecordingError
from minires.scalars import as_array

MOST_SHAPES = 8
"""How many input shapes a plan remembers; the one that was not used for longest goes first."""


class StaleError(RuntimeError):
    """A plan's model has changed since it was compiled."""


@pytorchs_keywords
def compile(model: Callable[..., Any], example: Any) -> Plan:
    """Record what a model does to an example, and make a plan of it that is called like the model.

    Parameters
    ----------
    model : Module or callable
        In evaluation mode. Of Tensors to Tensors, or to tuples, lists or dicts of them.
    example : Tensor, array, or tuple of them
        What to call it with; its values do not matter.

    Returns
    -------
    Plan

    Raises
    ------
    RecordingError
        If the model does what a list of operations cannot repeat, or something else for other
        numbers. The message names the line.

    Notes
    -----
    Results differ from the model's in the last digits. They are the same for any number of threads.
    """
    plan = Plan(model)
    plan._variant(*(example if isinstance(example, tuple) else (example,)))
    return plan


class Plan:
    """A compiled model: call it like the model. `print` shows its steps.

    Inputs of another shape are compiled when they come; a few shapes are remembered. If weights
    have changed since, a call raises a `StaleError`; `refresh` prepares the new ones. A write into
    `weight.data`, or into an array that a weight shares, is not seen: call `refresh` after it.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        self.model = model
        self._variants: OrderedDict[Any, Variant] = OrderedDict()
        self._lock = threading.RLock()  # the values of a variant are there once

    def __call__(self, *inputs: Any) -> Any:
        with self._lock:
            variant = self._variant(*inputs)
            if writes.newest > variant.prepared and (leaf := variant.changed()):
                raise StaleError(
                    f"{leaf.name} has changed since the model was compiled: refresh() prepares the "
                    "plan for what it is now"
                )
            if variant.modules != writes.modules:
                self._check(variant)
            return variant(*map(as_array, map(raw, inputs)))

    def _check(self, variant: Variant) -> None:
        """Raise a StaleError if modules are in another mode now, or have other weights."""
        try:
            differs = variant.differs()
        except RecordingError as error:
            raise StaleError(str(error)) from None
        if differs:
            raise StaleError("the model does something else now: refresh() records it anew")

    def _variant(self, *inputs: Any) -> Variant:
        """What has been prepared for inputs of these shapes, or is now."""
        arrays = list(map(as_array, map(raw, inputs)))
        key = tuple((x.shape, x.dtype.char) for x in arrays)
        with self._lock:
            if key not in self._variants:
                self._variants[key] = Variant(self.model, arrays)
                if len(self._variants) > MOST_SHAPES:
                    self._variants.popitem(last=False)
            self._variants.move_to_end(key)
            return self._variants[key]

    def refresh(self) -> None:
        """Prepare the weights as they are now; record again only if others have replaced them."""
        with self._lock:
            for key, variant in self._variants.items():
                with suppress(RecordingError):  # in training mode, say: the next call tells
                    if variant.differs():
                        self._variants[key] = Variant(self.model, variant.examples)
                        continue
                variant.build()

    @property
    def independent(self) -> bool:
        """Whether it takes images in pieces, since none has a part in another's results."""
        return all(variant.in_pieces for variant in self._variants.values())

    @property
    def history(self) -> list[tuple[str, list[str]]]:
        """What each rewrite did, and the steps after it, for the shape that was used last."""
        return next(reversed(self._variants.values())).history

    def __str__(self) -> str:
        return "\n\n".join(map(str, self._variants.values()))

    __repr__ = __str__
