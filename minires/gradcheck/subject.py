"""What is checked: any function, Module or op, as a function of float64 arrays."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np  # host arithmetic in float64

from minires.backend import device_of, to_device, to_host
from minires.engine import raw
from minires.grad_mode import enable_grad, is_grad_enabled
from minires.gradcheck.surroundings import Surroundings, look_around
from minires.gradients import grad
from minires.tensors import Tensor

HostArray = np.ndarray[Any, Any]

Gradients = list[list[list[HostArray | None]]]
"""By output, cotangent and input; None where the backward gave none."""


@dataclass(frozen=True)
class Problem:
    """A differentiable function and the point where its derivatives are checked.

    Attributes
    ----------
    call : callable
        A list of float64 Tensors, one per input, to the list of its floating outputs.
    inputs : list of str
        Their names.
    point : list of array
        Their values, on the host in float64.
    devices : list of str
        Where `call` wants them.
    name_outputs : callable
        The names of the outputs, once `call` has run.
    """

    call: Callable[[list[Tensor]], list[Tensor]]
    inputs: list[str]
    point: list[HostArray]
    devices: list[str]
    name_outputs: Callable[[], list[str]]

    def tensors(self, arrays: Sequence[HostArray], requires_grad: bool = False) -> list[Tensor]:
        """Inputs of `call` that share memory with `arrays` where those are on the right device."""
        pairs = zip(arrays, self.devices, strict=True)
        return [Tensor(to_device(a, device), requires_grad) for a, device in pairs]


class Subject:
    """`fn` with its inputs sorted into what is differentiated and what is passed through.

    Differentiated are floating Tensors and arrays among the inputs; and what requires a gradient
    of the parameters of the modules that `fn` is or uses, and of the Tensors that it refers to.
    Integers, booleans, numbers and anything else are passed through; arrays as copies.
    """

    def __init__(self, fn: Callable[..., Any], inputs: Any) -> None:
        if not callable(fn):
            raise TypeError(f"gradcheck wants a function, a Module or an op, got {fn!r}")
        if isinstance(inputs, Tensor) or hasattr(inputs, "dtype"):
            inputs = (inputs,)
        if not isinstance(inputs, Iterable) or isinstance(inputs, str | dict):
            raise TypeError(
                f"gradcheck wants a sequence of inputs, such as [x, w], got {type(inputs).__name__}"
            )
        inputs = tuple(inputs)
        for i, value in enumerate(inputs):
            if isinstance(value, list | tuple | dict) and _holds_floating(value):
                raise TypeError(
                    f"gradcheck cannot look into input {i}, a {type(value).__name__} of Tensors or "
                    "arrays: pass them one by one, as in gradcheck(lambda *xs: fn(xs), [x, y])"
                )
        self.fn = fn
        inner = fn.func if isinstance(fn, functools.partial) else fn
        self.name = getattr(inner, "__name__", None) or type(inner).__name__
        self._arguments = [_copied(value) for value in inputs]
        self._places = [i for i, value in enumerate(inputs) if _is_floating(value)]
        names = _argument_names(fn, len(self._arguments))
        found = look_around(fn)
        self.surroundings = Surroundings(found)
        parameters = {
            id(p): (f"{prefix}.{name}" if prefix else name, p)
            for prefix, module in found.modules.items()
            for name, p in module.named_parameters()
            if p.requires_grad
        }
        leaves = {name: t for name, t in found.tensors.items() if t.requires_grad and t.is_leaf}
        parameters = {id(t): (name, t) for name, t in leaves.items()} | parameters
        self._parameters = [p for _, p in parameters.values()]
        self.inputs = [names[i] for i in self._places] + [name for name, _ in parameters.values()]
        values = [self._arguments[i] for i in self._places] + self._parameters
        if not values:
            raise ValueError(
                f"gradcheck of {self.name}: there is nothing to differentiate. Inputs must hold "
                "floating Tensors or arrays (or the Module parameters); got "
                + (", ".join(type(value).__name__ for value in inputs) or "none")
            )
        self.point = [np.array(to_host(raw(v)), np.float64, order="C") for v in values]
        self.devices: list[str] = [device_of(raw(v)) for v in values]
        self._constants = [
            (names[i], raw(value), raw(value).copy())
            for i, value in enumerate(self._arguments)
            if i not in self._places and hasattr(raw(value), "dtype")
        ]
        self.outputs: list[str] = []

    def problem(self) -> Problem:
        """The function of float64 Tensors whose first derivatives are to be checked."""
        return Problem(self._call, self.inputs, self.point, self.devices, lambda: self.outputs)

    def changed_constants(self) -> list[str]:
        """The inputs, among those passed through, that a call has modified in place."""
        return [
            name
            for name, array, before in self._constants
            if not np.array_equal(to_host(array), to_host(before))
        ]

    def _call(self, tensors: list[Tensor]) -> list[Tensor]:
        self.surroundings.rewind()
        # fn may differentiate inside, also where nobody wants gradients of it
        tensors = [t if t.requires_grad else Tensor(t.data, requires_grad=True) for t in tensors]
        arguments = list(self._arguments)
        for place, tensor in zip(self._places, tensors, strict=False):
            arguments[place] = tensor
        for parameter, tensor in zip(self._parameters, tensors[len(self._places) :], strict=True):
            parameter.data, parameter.node = tensor.data, tensor.node
        with enable_grad():
            result = self.fn(*arguments)
        named = [(name, out) for name, out in _flat(result) if out.dtype.kind == "f"]
        if not named:
            raise TypeError(f"gradcheck of {self.name}: it returned no floating Tensor")
        self.outputs = [name for name, _ in named]
        return [out for _, out in named]


def differentiated(
    problem: Problem,
    cotangents: Sequence[HostArray],
    directions: Sequence[HostArray] | None = None,
) -> Problem:
    """The VJP of `problem` as a function of its point x and of the cotangents v.

    (x, v) -> v^T J(x), one output per input of `problem`; with directions u, one per input, only
    their sum <v^T J(x), u>, a number. Its own first derivatives are the second derivatives: by x
    the curvature, by v the Jacobian again.
    """
    count = len(problem.point)
    names = problem.name_outputs()

    def call(tensors: list[Tensor]) -> list[Tensor]:
        gradients = _gradients(problem, tensors[:count], tensors[count:])
        if directions is None:
            return gradients
        us = [to_device(u, g.device) for u, g in zip(directions, gradients, strict=True)]
        products = [(g * u).sum() for g, u in zip(gradients, us, strict=True)]
        return [sum(products[1:], products[0])]

    return Problem(
        call,
        problem.inputs + [f"cotangent of {name}" for name in names],
        [*problem.point, *cotangents],
        problem.devices + [problem.devices[0]] * len(cotangents),
        lambda: (
            [f"gradient of {name}" for name in problem.inputs]
            if directions is None
            else ["slope along a direction"]
        ),
    )


def _gradients(problem: Problem, xs: list[Tensor], vs: list[Tensor]) -> list[Tensor]:
    """v^T J(x), summed over the outputs; differentiable if recording is on."""
    create_graph = is_grad_enabled()
    xs = [x if x.requires_grad else x.detach().requires_grad_() for x in xs]
    with enable_grad():
        outs = problem.call(xs)
    totals: list[Any] = [None] * len(xs)
    pairs = [(out, v) for out, v in zip(outs, vs, strict=True) if out.requires_grad]
    for i, (out, v) in enumerate(pairs, 1):
        retain = create_graph or i < len(pairs)
        grads = grad(out, xs, v, retain_graph=retain, create_graph=create_graph)
        totals = [
            total if g is None else g if total is None else total + g
            for total, g in zip(totals, grads, strict=True)
        ]
    return [
        x.detach() * 0.0 if total is None else total for x, total in zip(xs, totals, strict=True)
    ]


def _is_floating(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    if dtype is not None and dtype.kind == "c":
        raise TypeError("gradcheck knows no complex numbers")
    return dtype is not None and dtype.kind == "f" and hasattr(value, "shape")


def _holds_floating(value: Any) -> bool:
    """Whether something that could be differentiated is in nested containers."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_holds_floating, value))
    return isinstance(value, Tensor | np.ndarray) and _is_floating(value)


def _copied(value: Any) -> Any:
    """A copy of an array or Tensor, so that nothing can happen to the caller's."""
    if isinstance(value, Tensor):
        return Tensor(value.data.copy())
    return value.copy() if hasattr(value, "dtype") and hasattr(value, "copy") else value


def _argument_names(fn: Callable[..., Any], count: int) -> list[str]:
    """What the function calls its arguments; `input 0`, `input 1` where it has no names."""
    names: list[str] = []
    try:
        parameters = inspect.signature(getattr(fn, "forward", fn)).parameters.values()
    except (TypeError, ValueError):  # a builtin
        parameters = ()  # type: ignore[assignment]
    for p in parameters:
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            names.append(p.name)
        elif p.kind == p.VAR_POSITIONAL:
            names += [f"{p.name}[{i}]" for i in range(count - len(names))]
    return (names + [f"input {i}" for i in range(len(names), count)])[:count]


def _flat(result: Any, name: str = "output") -> Iterator[tuple[str, Tensor]]:
    """The Tensors in nested tuples, lists and dicts, named by where they are."""
    if isinstance(result, Tensor):
        yield name, result
    elif isinstance(result, tuple | list):
        for i, item in enumerate(result):
            yield from _flat(item, f"{name}[{i}]")
    elif isinstance(result, dict):
        for key, item in result.items():
            yield from _flat(item, f"{name}[{key!r}]")
    elif hasattr(result, "dtype") and result.dtype.kind == "f":
        raise TypeError(
            f"{name} is {type(result).__name__}, not a Tensor: no gradient can flow through it"
        )
