"""The autograd engine: operations and the graph that they leave behind (the walk is in `backward`).

An operation is two adjacent functions on arrays, its forward and its VJP (vector-Jacobian
product)::

    @op
    def multiply(x, y):
        return x * y

    @multiply.vjp
    def multiply_vjp(g, x, y):
        return g * y, g * x

Called with Tensors, `multiply` runs the forward on their arrays and leaves a `Node` in the graph.
Called with arrays only it is a plain function on arrays. The rule asks *by name* for what it needs,
and only that is kept alive until the walk back, but for the few numbers of a `SMALL` operation:

============================= ======================================================================
name                          what the rule gets
============================= ======================================================================
`g` (always first)            the gradient of the loss with respect to the operation's output
an argument's name            that argument
an argument's name + `_shape` its shape, which keeps no array alive
`out`                         the operation's output
`saved`                       what the forward returned beside its output: then it returns
                              `out, saved`
`needs`                       for each argument, whether anybody wants its gradient
a keyword's name              that keyword, a constant
============================= ======================================================================

It returns one gradient per argument, None where there is none. The engine sums gradients over the
axes that broadcasting stretched and gives them their argument's dtype.

Rules are written in operators that arrays and Tensors share. An ordinary backward runs them on
arrays: no boxing, no graph. Under `create_graph` the same rules run on Tensors and so leave a graph
of their own, which is all there is to second derivatives.
"""

from __future__ import annotations

import inspect
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ContextDecorator, contextmanager
from functools import update_wrapper
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from minires.backend import Array, device_of, xp_of

if TYPE_CHECKING:  # what operations on Tensors return; the engine itself knows Variables only
    from minires.tensor import Tensor

Observer = Callable[["Op", Sequence[Any], Array], None]
GradientObserver = Callable[["Op", "Node", Any, Sequence[Any]], None]


class BackwardError(RuntimeError):
    """The walk back failed; the message names the forward line that made the node."""


class Variable:
    """An array and its place in the graph: what `minires.Tensor` adds operators to.

    The node is the value's identity; the variable is a thin handle. A node never refers to its
    handle, so there are no reference cycles.
    """

    __slots__ = ("__weakref__", "data", "node")

    def __init__(self, data: Array, node: Node | None = None) -> None:
        self.data = data
        self.node = node  # None: no gradient is wanted


Call = tuple[Sequence[Any], dict[str, Any], Array]

SMALL = 64
"""Elements. Of an operation with no larger array the node remembers the whole call until the walk
back, whatever its rule asks for: that is how `viz.step_through` can show the values in a graph."""


class Node:
    """One value in the graph: the operation and parents that made it, or a leaf (op is None)."""

    __slots__ = (
        "call",
        "dtype",
        "grad",
        "hooks",
        "kept",
        "op",
        "order",
        "parents",
        "retains_grad",
        "shape",
        "where",
    )

    def __init__(
        self,
        data: Array,
        op: Op | None = None,
        parents: Sequence[Node | None] = (),
        kept: list[Any] | None = None,
        where: tuple[CodeType, int] | None = None,
    ) -> None:
        self.op = op
        self.parents = parents
        self.kept = kept  # what the rule asked for; None once it has been used and freed
        self.call: Call | None = None  # a small operation's arguments, keywords and output
        self.where = where
        self.shape = data.shape
        self.dtype = data.dtype
        self.order = _next_order()  # a node is younger than its parents
        self.grad: Variable | None = None
        self.retains_grad = op is None
        self.hooks: list[Callable[[Variable], Variable | None]] | None = None

    def __repr__(self) -> str:
        name = self.op.name if self.op else "leaf"
        return f"Node({name}, shape={self.shape}, dtype={self.dtype}, made at {self.line()})"

    def line(self) -> str:
        """The forward line that made this node, as `file:line`."""
        return _line_of(*self.where) if self.where else "an unknown line"


_next_order = itertools.count().__next__


class _State(threading.local):
    grad_enabled = True
    observer: Observer | None = None
    gradient_observer: GradientObserver | None = None

    def __init__(self) -> None:
        self.outer_modes: list[bool] = []  # what the enclosing `with no_grad()` blocks go back to


_state = _State()
_tensor_class: type[Variable] = Variable  # minires.tensor puts Tensor here
registry: dict[str, Op] = {}  # every operation, by "module.name"


def register_tensor(tensor_class: type[Variable]) -> None:
    """Let operations return `tensor_class`; called once, by `minires.tensor`."""
    global _tensor_class
    _tensor_class = tensor_class


def make_tensor(data: Array, node: Node | None = None) -> Variable:
    """`data` in the class that operations return, without that class's conversions."""
    tensor = _tensor_class.__new__(_tensor_class)
    tensor.data = data
    tensor.node = node
    return tensor


def raw(value: Any) -> Any:
    """The array of a Tensor; anything else as it is."""
    return value.data if isinstance(value, Variable) else value


class Op:
    """A differentiable operation: made by `@op`, completed by `@name.vjp`."""

    def __init__(self, forward: Callable[..., Any], on_scalars: bool = False) -> None:
        self.forward = forward
        self.on_scalars = on_scalars
        self.name = forward.__name__
        self.rule: Callable[..., Sequence[Any]] | None = None
        self.returns_saved = False
        parameters = inspect.signature(forward).parameters.values()
        self._arguments = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        self._arity = len(self._arguments)
        self._variadic = any(p.kind == p.VAR_POSITIONAL for p in parameters)
        if any(p.default is not p.empty for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"{self.name}: only keywords (after *) may have defaults, not arrays")
        self._defaults = {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}
        self._keep: list[int] = []  # the rule's requests, as places in the list that __call__ makes
        self._keep_static: list[str] = []
        self._shape_slots: list[int] = []
        self._needs_slot: int | None = None
        self._out_slot: int | None = None
        self._argument_slots: list[tuple[int, int]] = []  # (place among the kept, argument)
        update_wrapper(self, forward)
        registry[f"{forward.__module__}.{self.name}"] = self

    def __repr__(self) -> str:
        return f"<operation {self.name}{inspect.signature(self.forward)}>"

    def vjp(self, rule: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        """Take `rule` as this operation's VJP; all that can be known at definition is done here."""
        first, *requests = inspect.signature(rule).parameters
        if first != "g":
            raise TypeError(f"the first parameter of {self.name}'s rule must be g, not {first}")
        places = {name: i for i, name in enumerate(self._arguments)}
        count = len(places)
        places |= {"out": count, "saved": count + 1, "needs": count + 2}
        for slot, name in enumerate(requests):
            if name in places:
                self._keep.append(places[name])
                if name in self._arguments:
                    self._argument_slots.append((slot, places[name]))
            elif name.removesuffix("_shape") in self._arguments:
                self._keep.append(places[name.removesuffix("_shape")])
                self._shape_slots.append(slot)
            elif name in self._defaults:
                self._keep.append(count + 3 + len(self._keep_static))
                self._keep_static.append(name)
            else:
                raise TypeError(f"{self.name}'s rule asks for {name}, which the forward lacks")
        self.returns_saved = "saved" in requests
        self._needs_slot = requests.index("needs") if "needs" in requests else None
        self._out_slot = requests.index("out") if "out" in requests else None
        self.rule = rule
        return rule

    @overload
    def __call__(
        self, *args: Any, with_saved: Literal[True], **static: Any
    ) -> tuple[Tensor, Any]: ...
    @overload
    def __call__(self, *args: Any, **static: Any) -> Tensor: ...
    def __call__(self, *args: Any, with_saved: bool = False, **static: Any) -> Any:
        """Run the forward. Array arguments are positional, constants are keywords.

        With any Tensor among the arguments the result is a Tensor, else an array. `with_saved=True`
        returns `(out, saved)`; `saved` holds arrays, through which no gradient flows.
        """
        if len(args) != self._arity and not self._variadic:
            raise TypeError(
                f"{self.name} takes {len(self._arguments)} arrays by position "
                f"({', '.join(self._arguments)}), got {len(args)}"
            )
        arrays: list[Any] = []
        operands: list[Any] = []  # the same, or scalars for 0-d arrays: see `arithmetic_op`
        parents: list[Node | None] = []
        boxed = tracked = False
        # with a GPU about, a scalar would hide that its array was on the other device
        scalars = self.on_scalars and "cupy" not in sys.modules
        for arg in args:
            if isinstance(arg, Variable):
                boxed = True
                data = arg.data
                arrays.append(data)
                node = arg.node
                if scalars:  # not where there is no node: an integer would warn if it overflowed
                    operands.append(data if node is None or data.ndim else data[()])
                parents.append(node)
                if node is not None:
                    tracked = True
            else:
                # a NumPy scalar would turn float32 into float64; a Python one does not
                arg = arg.item() if isinstance(arg, np.generic) else arg
                arrays.append(arg)
                operands.append(arg)
                parents.append(None)
                if scalars and isinstance(arg, list | tuple):
                    scalars = False  # which would mean something else by `*`
        if not scalars:
            operands = arrays
        try:
            out: Any = self.forward(*operands, **static)
        except (TypeError, ValueError, IndexError) as error:
            xp_of(*arrays, *static.values())  # the likelier cause: devices are mixed
            self._explain(error, arrays)
            raise
        saved = None
        if self.returns_saved:
            out, saved = out
        if not boxed:
            return (out, saved) if with_saved else out
        if isinstance(out, np.generic):  # NumPy's reductions and 0-d arithmetic give scalars
            out = np.asarray(out)  # a 0-d array
        kind = out.dtype.char
        if kind == "d":
            out = _unpromoted(out, arrays)
        if _state.observer is not None:
            _state.observer(self, arrays, out)
        node = None
        if tracked and kind in "efd" and _state.grad_enabled:
            kept: list[Any] = []
            if self._keep:
                pool = [*operands, out, saved, None]
                if self._keep_static:
                    pool += [static.get(n, self._defaults[n]) for n in self._keep_static]
                shift = len(arrays) if self._variadic else 0  # then no argument is kept by name
                for place in self._keep:
                    kept.append(pool[place + shift])
                for slot in self._shape_slots:
                    kept[slot] = getattr(kept[slot], "shape", ())
            node = Node(out, self, parents, kept, _forward_line())
            if out.size <= SMALL:
                for a in arrays:
                    if getattr(a, "size", 0) > SMALL:
                        break
                else:
                    node.call = arrays, static, out
        result = make_tensor(out, node)
        return (result, saved) if with_saved else result

    def _explain(self, error: Exception, arrays: Sequence[Any]) -> None:
        """Add the operation and what it got to an error that the forward raised."""
        if str(error).startswith(self.name):
            return
        message = f"{self.name}({', '.join(map(_describe, arrays))}): {error}"
        error.args = (message,)
        if str(error) != message:  # NumPy's AxisError makes its own text
            raise ValueError(message) from error

    def backward(
        self, node: Node, g: Any, needs: Sequence[bool], create_graph: bool
    ) -> Sequence[Any]:
        """The gradients of `node`'s arguments, from the rule; checked and fitted to them."""
        if self.rule is None:
            raise BackwardError(f"{self.name}, made at {node.line()}, has no gradient rule")
        if node.kept is None:
            raise BackwardError(
                f"the graph was freed by an earlier backward: {self.name}, made at {node.line()}, "
                "no longer has what its rule needs. Pass retain_graph=True to the first backward, "
                "or compute the forward again."
            )
        kept = node.kept
        if self._needs_slot is not None or create_graph:
            kept = list(kept)
            if self._needs_slot is not None:
                kept[self._needs_slot] = tuple(needs)
            if create_graph:  # the same rule on Tensors that know where they came from
                for slot, argument in self._argument_slots:
                    if node.parents[argument] is not None:
                        kept[slot] = make_tensor(as_array(kept[slot]), node.parents[argument])
                if self._out_slot is not None:
                    kept[self._out_slot] = make_tensor(kept[self._out_slot], node)
        try:
            grads = self.rule(g, *kept)
            if type(grads) is not tuple and not isinstance(grads, list):
                raise BackwardError(f"its rule must give a tuple, not a {type(grads).__name__}")
            if len(grads) != len(node.parents):
                raise BackwardError(
                    f"its rule gave {len(grads)} gradients, for {len(node.parents)} arguments"
                )
            fitted: list[Any] = []
            for place, need in enumerate(needs):
                grad, parent = grads[place], node.parents[place]
                if not need or grad is None or parent is None:
                    fitted.append(None)
                elif grad.shape == parent.shape and grad.dtype is parent.dtype:
                    fitted.append(grad)
                else:
                    fitted.append(_fit(grad, parent))
        except Exception as error:
            raise BackwardError(
                f"in the backward of {self.name}, made at {node.line()}: {error}"
            ) from error
        if _state.gradient_observer is not None:
            _state.gradient_observer(self, node, g, fitted)
        return fitted


def op(forward: Callable[..., Any]) -> Op:
    """Make an array function a differentiable operation; its rule follows with `@name.vjp`."""
    return Op(forward)


def arithmetic_op(forward: Callable[..., Any]) -> Op:
    """`op` for a function that, like its rule, does nothing but arithmetic with Python's operators.

    Instead of 0-d arrays of floating-point numbers on the host both get NumPy's scalars, for which
    such operators take a tenth of the time. Nobody else gets to see these.
    """
    return Op(forward, on_scalars=True)


def as_array(value: Any) -> Any:
    """A NumPy scalar, which arithmetic of 0-d arrays gives, as the array that it was."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def _fit(grad: Any, parent: Any) -> Any:
    """`grad` summed over the axes that broadcasting stretched, in the parent's dtype."""
    if grad.shape != parent.shape:
        lead = grad.ndim - len(parent.shape)
        stretched = tuple(
            i for i in range(grad.ndim) if i < lead or parent.shape[i - lead] != grad.shape[i]
        )
        if lead < 0 or any(i >= lead and parent.shape[i - lead] != 1 for i in stretched):
            raise BackwardError(
                f"its rule gave a gradient of shape {grad.shape}, its argument has {parent.shape}"
            )
        grad = grad.sum(axis=stretched).reshape(parent.shape)
    return grad if grad.dtype == parent.dtype else grad.astype(parent.dtype)


def _unpromoted(out: Array, arrays: Sequence[Any]) -> Array:
    """`out` in its floating inputs' dtype: integers next to float32 would make it float64."""
    dtypes = [a.dtype for a in arrays if hasattr(a, "dtype")]
    floating = [dtype for dtype in dtypes if dtype.kind == "f"]
    if not floating or len(floating) == len(dtypes):
        return out
    return out.astype(max(floating, key=lambda dtype: dtype.itemsize), copy=False)


def _describe(value: Any) -> str:
    if hasattr(value, "dtype"):
        where = device_of(value)
        return f"{value.dtype}{list(value.shape)}{'' if where == 'cpu' else ' on ' + where}"
    return repr(value) if isinstance(value, int | float | bool) else type(value).__name__


_PACKAGE = str(Path(__file__).parent) + os.sep
_internal: dict[str, bool] = {}


def _forward_line() -> tuple[CodeType, int]:
    """The line outside the engine, ops, tensor and layers that called the operation."""
    frame = sys._getframe(2)
    while True:
        name = frame.f_code.co_filename
        inside = _internal.get(name)
        if inside is None:
            path = Path(name)
            inside = _internal[name] = name.startswith(_PACKAGE) and (
                path.parent.name in ("ops", "nn") or path.name in ("engine.py", "tensor.py")
            )
        if not inside or frame.f_back is None:
            return frame.f_code, frame.f_lasti
        frame = frame.f_back


def _line_of(code: CodeType, instruction: int) -> str:
    lines = [line for start, end, line in code.co_lines() if start <= instruction < end]
    return f"{code.co_filename}:{lines[0] if lines else code.co_firstlineno}"


# ---------------------------------------------------------------------- modes


class GradMode(ContextDecorator):
    """Recording on or off, as a `with` block or a decorator, on this thread only."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled  # nothing else: a decorated function may run on many threads

    def __enter__(self) -> None:
        _state.outer_modes.append(_state.grad_enabled)
        _state.grad_enabled = self._enabled

    def __exit__(self, *_: object) -> None:
        _state.grad_enabled = _state.outer_modes.pop()


def no_grad() -> GradMode:
    """`with no_grad():` operations leave no graph behind. Also a decorator: `@no_grad()`."""
    return GradMode(False)


def enable_grad() -> GradMode:
    """`with enable_grad():` records again inside a `no_grad` block. Also a decorator."""
    return GradMode(True)


def is_grad_enabled() -> bool:
    """Whether operations on this thread are being recorded."""
    return _state.grad_enabled


@contextmanager
def observe(observer: Observer) -> Iterator[None]:
    """Call `observer(op, arrays, out)` after every operation's forward inside the block."""
    previous = _state.observer
    _state.observer = observer
    try:
        yield
    finally:
        _state.observer = previous


class NonFiniteError(ArithmeticError):
    """An operation produced a NaN or an infinity; the message names it, its inputs and its line."""


@contextmanager
def detect_nonfinite() -> Iterator[None]:
    """`with detect_nonfinite():` raise at the first operation whose result is not finite.

    That of a forward, or in a walk back inside the block the gradients that a rule gives. It looks
    at every result, which costs time (and on a GPU a synchronisation each): run it to find the
    culprit once a loss or a gradient has turned out NaN.

    Raises
    ------
    NonFiniteError
        Inside the block.
    """
    previous = _state.gradient_observer
    _state.gradient_observer = _check_finite_gradients
    try:
        with observe(_check_finite):
            yield
    finally:
        _state.gradient_observer = previous


def _check_finite(op: Op, arrays: Sequence[Any], out: Array) -> None:
    xp = xp_of(out)
    if out.dtype.kind != "f" or bool(xp.isfinite(out).all()):
        return
    guilty = [a for a in arrays if hasattr(a, "dtype") and not bool(xp.isfinite(a).all())]
    raise NonFiniteError(
        f"{op.name}({', '.join(map(_describe, arrays))}) at {_line_of(*_forward_line())} gave "
        f"{int((~xp.isfinite(out)).sum())} NaN or infinite values"
        + (", from an input that already had some" if guilty else ", from finite inputs")
    )


def _check_finite_gradients(op: Op, node: Node, g: Any, gradients: Sequence[Any]) -> None:
    for place, gradient in enumerate(map(raw, gradients)):
        if gradient is None or bool(xp_of(gradient).isfinite(gradient).all()):
            continue
        guilty = not bool(xp_of(raw(g)).isfinite(raw(g)).all())
        raise NonFiniteError(
            f"the backward of {op.name}, made at {node.line()}, gave "
            f"{int((~xp_of(gradient).isfinite(gradient)).sum())} NaN or infinite values for its "
            f"argument {place}"
            + (", from a gradient that already had some" if guilty else ", from a finite gradient")
        )
