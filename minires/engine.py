"""The autograd engine: operations, and the graph that they leave behind for `backward`.

An operation is two adjacent functions on arrays, its forward and its VJP (vector-Jacobian
product)::

    @op
    def multiply(x, y):
        return x * y

    @multiply.vjp
    def multiply_vjp(g, x, y):
        return g * y, g * x

Called with Tensors, `multiply` runs the forward on their arrays and leaves a `Node` in the graph.
Called with arrays only it is a plain function on arrays. The rule returns one gradient per
argument, or None. Beside `g`, the upstream gradient, it asks *by name* for what it needs, and only
that is kept alive until the backward pass:

=============================== ====================================================================
an argument's name              that argument
an argument's name and `_shape` its shape, which keeps no array alive
`out`                           the operation's output
`saved`                         what the forward returned beside it: it returns `out, saved` then
`needs`                         for each argument, whether anybody wants its gradient
a keyword's name                that keyword, a constant
=============================== ====================================================================

Rules are written in operators that arrays and Tensors share. An ordinary backward pass runs them on
arrays. Under `create_graph` the same rules run on Tensors and so leave a graph of their own, which
is all there is to second derivatives.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import update_wrapper
from types import CodeType
from typing import Any, Literal, TypeVar, overload

import numpy as np

from minires import errors
from minires.backend import Array, xp_of
from minires.dtypes import unpromoted
from minires.grad_mode import modes
from minires.observers import watching
from minires.rule_requests import keeper
from minires.scalars import operand, safe_as_scalars
from minires.small_calls import SMALL, Call, remembered
from minires.source_lines import calling_line, line_of
from minires.writes import tick

_V = TypeVar("_V", bound="Variable")


class Variable:
    """An array and its node in the graph, which never refers to it: there are no cycles."""

    __slots__ = ("__weakref__", "array", "node")

    def __init__(self, array: Array, node: Node | None = None) -> None:
        self.array = array
        self.node = node  # None: no gradient is wanted


_variable_class: type[Variable] = Variable


def register_tensor(tensor_class: type[Variable]) -> None:
    """Let operations return `tensor_class`; called once, by the module that defines Tensor."""
    global _variable_class
    _variable_class = tensor_class


def make_tensor(array: Array, node: Node | None = None) -> Variable:
    """`array` in the class that operations return, without that class's conversions."""
    tensor = _variable_class.__new__(_variable_class)
    tensor.array = array
    tensor.node = node
    return tensor


def raw(value: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return value.array if isinstance(value, Variable) else value


def unshared(value: Any) -> Variable:
    """`value` as a Tensor with an array of its own: the rule of `x + y` gives both the same one."""
    array = raw(value)
    return make_tensor(xp_of(array).array(array), getattr(value, "node", None))


class Node:
    """One value in the graph: the operation and parents that made it, or a leaf (op is None)."""

    __slots__ = (
        *("op", "parents", "kept", "call", "where", "order"),  # how it was made
        *("shape", "dtype", "grad", "retains_grad", "hooks"),  # its gradient
    )

    def __init__(
        self,
        data: Array,
        op: Op | None = None,
        parents: Sequence[Node | None] = (),
        kept: Sequence[Any] | None = None,
        call: Call | None = None,
        where: tuple[CodeType, int] | None = None,
    ) -> None:
        self.op = op
        self.parents = parents
        self.kept = kept  # what the rule asked for; None once it has been used and freed
        self.call = call
        self.where = where
        self.order = tick()  # a node is younger than its parents
        self.shape = data.shape
        self.dtype = data.dtype
        self.grad: Variable | None = None
        self.retains_grad = op is None
        self.hooks: list[Callable[[Variable], Variable | None]] | None = None

    def __repr__(self) -> str:
        name = self.op.name if self.op else "leaf"
        return f"Node({name}, shape={self.shape}, dtype={self.dtype}, made at {self.line()})"

    @property
    def freed(self) -> bool:
        """Whether a backward pass has used what the rule asked for."""
        return self.op is not None and self.kept is None

    def line(self) -> str:
        """The forward line that made this node, as `file:line`."""
        return line_of(*self.where) if self.where else "an unknown line"


registry: dict[str, Op] = {}
"""Every operation, by "module.name"."""


class Op:
    """A differentiable operation: made by `@op`, completed by `@name.vjp`."""

    def __init__(self, forward: Callable[..., Any], arithmetic: bool = False) -> None:
        self.forward = forward
        self.arithmetic = arithmetic
        self.name = forward.__name__
        self.rule: Callable[..., Sequence[Any]] | None = None
        parameters = inspect.signature(forward).parameters.values()
        by_position = [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        if any(p.default is not p.empty for p in by_position):
            raise TypeError(f"{self.name}: only keywords (after *) may have defaults, not arrays")
        self.arguments = [p.name for p in by_position]
        self.variadic = any(p.kind == p.VAR_POSITIONAL for p in parameters)
        self.defaults = {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}
        self.returns_saved = self.wants_needs = False
        self.fresh = False  # the rule's arrays are new: nobody else holds them
        self.requests: list[str] = []  # what the rule asks for
        self.bilinear = False  # of two arguments, each one's gradient needs the other alone
        self._keep: Callable[[Sequence[Any]], Sequence[Any]] = (
            list  # picks that from a call's values
        )
        update_wrapper(self, forward)
        registry[f"{forward.__module__}.{self.name}"] = self

    def __repr__(self) -> str:
        return f"<operation {self.name}{inspect.signature(self.forward)}>"

    def vjp(self, rule: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        """Take `rule` as this operation's VJP, and look up what it asks for."""
        first, *self.requests = inspect.signature(rule).parameters
        if first != "g":
            raise TypeError(f"the first parameter of {self.name}'s rule must be g, not {first}")
        self._keep = keeper(self.name, self.requests, self.arguments, self.defaults)
        self.returns_saved = "saved" in self.requests
        self.wants_needs = "needs" in self.requests
        self.rule = rule
        return rule

    @overload
    def __call__(
        self, x: _V, *args: Any, with_saved: Literal[True], **constants: Any
    ) -> tuple[_V, Any]: ...
    @overload
    def __call__(self, x: _V, *args: Any, **constants: Any) -> _V: ...
    @overload
    def __call__(self, *args: Any, **constants: Any) -> Any: ...
    def __call__(self, *args: Any, with_saved: bool = False, **constants: Any) -> Any:
        """Run the forward: on Tensors if one is among the arguments, else on arrays.

        Arrays go by position, constants by keyword. `with_saved=True` returns `(out, saved)`.
        """
        if len(args) != len(self.arguments) and not self.variadic:
            unknown = constants.keys() - self.defaults.keys()
            raise errors.wrong_count(self.name, self.arguments, len(args), unknown)
        # unbox
        arrays: list[Any] = []
        operands: list[Any] = []  # the same, or scalars in place of arrays of no axes
        parents: list[Node | None] = []
        first: Any = None  # of the Tensors' arrays
        scalars = self.arithmetic and safe_as_scalars(args)
        for arg in args:
            if isinstance(arg, Variable):
                array, node = arg.array, arg.node
                if first is None:
                    first = array
                arrays.append(array)
                operands.append(array[()] if scalars and node and not array.ndim else array)
                parents.append(node)
            else:
                arg = operand(arg)
                arrays.append(arg)
                operands.append(arg)
                parents.append(None)
        # run
        saved = None
        try:
            out: Any = self.forward(*operands, **constants)
        except (TypeError, ValueError, IndexError) as error:
            errors.explain(error, self.name, arrays, constants)
            raise
        if self.returns_saved:
            out, saved = out
        if first is None:
            return (out, saved) if with_saved else out
        # record
        if isinstance(out, np.generic):  # NumPy's reductions and 0-d arithmetic give scalars
            out = np.asarray(out)
        if out.dtype is not first.dtype and "dtype" not in constants:
            out = unpromoted(out, arrays)
        node = None
        if any(parents) and modes.recording[-1] and out.dtype.kind == "f":
            values = (*operands, None, saved, out, constants)  # None: `needs` is not known yet
            kept = self._keep(values) if self.requests else ()
            call = remembered(arrays, constants, out) if out.size <= SMALL else None
            node = Node(out, self, parents, kept, call, calling_line())
        result = make_tensor(out, node)
        if watching.forward is not None:
            watching.forward(self, arrays, constants, result)
        return (result, saved) if with_saved else result


def op(forward: Callable[..., Any]) -> Op:
    """Make an array function a differentiable operation; its rule follows with `@name.vjp`."""
    return Op(forward)


def arithmetic_op(forward: Callable[..., Any]) -> Op:
    """`op` where forward and rule do nothing but arithmetic: see `scalars`."""
    return Op(forward, arithmetic=True)
