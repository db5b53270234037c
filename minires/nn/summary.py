"""What a network is made of: output shapes, parameters and multiply-adds, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np  # for the input of zeros

from minires.grad_mode import no_grad
from minires.markup import aligned
from minires.nn.modes import evaluating
from minires.tensors import Tensor


class _Network(Protocol):
    """What `summary` asks of a module."""

    def __call__(self, x: Tensor, /) -> Any: ...
    def eval(self) -> Any: ...
    def modules(self) -> Iterable[Any]: ...
    def named_modules(self) -> Iterable[tuple[str, Any]]: ...
    def parameters(self) -> Iterable[Tensor]: ...
    def buffers(self) -> Iterable[Tensor]: ...


@dataclass(frozen=True)
class Row:
    """One module of a summary."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """A network's table and totals; `str` draws it."""

    model: str
    input_shape: tuple[int, ...]
    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    buffers: int
    multiply_adds: int

    def __str__(self) -> str:
        head = ("layer", "kind", "output shape", "parameters", "multiply-adds")
        body = [
            (r.name, r.kind, _shape(r.output_shape), f"{r.parameters:,}", f"{r.multiply_adds:,}")
            for r in self.rows
        ]
        first, *lines = aligned([head, *body], left=3)
        rule = "-" * len(first)
        frozen = self.parameters - self.trainable
        return "\n".join(
            [
                f"{self.model}, input {_shape(self.input_shape)}",
                rule,
                first,
                rule,
                *lines,
                rule,
                f"parameters     {self.parameters:,}" + (f" ({frozen:,} frozen)" if frozen else ""),
                f"buffers        {self.buffers:,}",
                f"multiply-adds  {self.multiply_adds:,} per image",
                f"memory         {self.parameters * 4 / 2**20:.1f} MiB of float32 parameters",
            ]
        )

    __repr__ = __str__


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(["N", *map(str, shape[1:])]) + ")"


def summary(model: _Network, input_shape: tuple[int, ...], dtype: Any = None) -> Summary:
    """Run `model` once on zeros and count.

    Parameters
    ----------
    model : Module
        Stays as it is: it runs in evaluation mode, so nothing is updated.
    input_shape : tuple of int
        Of one sample, (H, W, C) for images.
    dtype : dtype, optional
        Of the zeros: by default the first parameter's. A network that starts with an `Embedding`
        wants "int64".

    Returns
    -------
    Summary
        A row for each module without modules inside, and for one with parameters of its own beside
        those inside; multiply-adds are for one sample. A module called twice has two rows, its
        parameters counted in the first.
    """
    names = {id(module): name for name, module in model.named_modules()}
    rows: list[Row] = []
    counted: set[int] = set()

    def record(module: Any, args: tuple[Any, ...], output: Any) -> None:
        own = [p for p in module.parameters() if id(p) not in counted]
        counted.update(map(id, own))
        output = output[0] if isinstance(output, tuple) else output  # attention's weights follow
        shape = tuple(output.shape) if isinstance(output, Tensor) else ()
        rows.append(
            Row(
                names[id(module)] or type(module).__name__,
                type(module).__name__,
                shape,
                sum(p.size for p in own),
                module.multiply_adds(shape),
            )
        )

    leaves = [
        m for m in model.modules() if m.in_summary and (m._parameters or not list(m.children()))
    ]
    removers = [leaf.register_forward_hook(record) for leaf in leaves]
    first = next(iter(model.parameters()), None)
    if dtype is None:
        dtype = np.float32 if first is None else first.dtype
    device = "cpu" if first is None else first.device
    shape = (1, *input_shape)
    try:
        with evaluating(model), no_grad():
            model(Tensor(np.zeros(shape, dtype)).to(device))
    finally:
        for remove in removers:
            remove()
    parameters = list(model.parameters())
    return Summary(
        type(model).__name__,
        shape,
        tuple(rows),
        sum(p.size for p in parameters),
        sum(p.size for p in parameters if p.requires_grad),
        sum(b.size for b in model.buffers()),
        sum(row.multiply_adds for row in rows),
    )
