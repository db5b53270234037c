"""Tensor: an array and its place in the graph, with operators bound to `minires.ops`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np  # for dtypes, and for arrays that come from or go to the host

from minires import backend, markup, ops, writes
from minires.backend import Array
from minires.backward import run_backward
from minires.engine import Node, Op, Variable, raw, register_tensor
from minires.from_pytorch import no_attribute, pytorchs_keywords
from minires.grad_mode import is_grad_enabled
from minires.gradient_hooks import HookHandle
from minires.numpy_functions import ForNumPy
from minires.ops.reduction import Axis, normalize_axes
from minires.scalars import plain
from minires.torch_methods import (
    Count,
    TorchMethods,
    check_places,
    check_transpose,
    check_values,
    numpys,
    numpys_axes,
    numpys_ddof,
    torchs_pair,
    torchs_places,
)

Operator = Callable[["Tensor", Any], "Tensor"]


def _operator(operation: Op) -> Operator:
    def forward(self: Tensor, other: Any) -> Tensor:
        return operation(self, other)

    return forward


def _reflected(operation: Op) -> Operator:
    def backward(self: Tensor, other: Any) -> Tensor:
        result: Tensor = operation(other, self)
        return result

    return backward


def _in_place(operation: Op) -> Operator:
    """`x += y` means `x = x + y`, a new tensor, but for a leaf that wants a gradient.

    That one is a parameter: under `no_grad` it is updated, and while recording it is an error.
    """

    def update(self: Tensor, other: Any) -> Tensor:
        if self.node is None or not self.is_leaf:
            return operation(self, other)
        if is_grad_enabled():
            raise ValueError(
                "a leaf that requires a gradient is not changed in place while operations are "
                f"recorded: x = x {_SYMBOLS[operation.name]} y is a new one, or use no_grad"
            )
        return self.copy_(operation(self.array, raw(other)))

    return update


_SYMBOLS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


def _check_written(value: Any) -> None:
    """Raise a ValueError where a gradient would be lost by writing `value` into an array."""
    if isinstance(value, Variable) and value.node is not None and is_grad_enabled():
        raise ValueError(
            "writing a tensor that requires a gradient into another one would lose the gradient: "
            "use minires.where, concatenate or stack, or write its detach()"
        )


def _kind(array: Array) -> tuple[Any, ...]:
    return array.shape, array.dtype, backend.device_of(array)


class Tensor(TorchMethods, Variable, called_often=True):
    """An array that remembers what it was computed from.

    Methods follow NumPy's (`axis`, `keepdims`, `transpose(0, 2, 1)`), since gradient rules run on
    arrays and Tensors alike; PyTorch's names for them are in `torch_methods`.

    Parameters
    ----------
    data : array_like
        An array is shared, not copied, and keeps its dtype. Python numbers, alone or in nested
        lists, become float32 (booleans stay booleans).
    requires_grad : bool
        Whether `backward` shall leave a gradient in `.grad`.
    dtype : dtype, optional
        Convert to this.
    device : str, optional
        `"cpu"`, `"cuda"` or `"cuda:N"`. By default arrays stay where they are, and other data goes
        to the device that `minires.use` chose.

    Raises
    ------
    TypeError
        If `data` is not numbers, or `requires_grad` is asked of a dtype that is not floating.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.], dtype=float32)
    """

    __slots__ = ("_leaf",)
    __array_ufunc__ = ForNumPy()

    _leaf: Node | None  # while no gradient is wanted: the node to go on with if one is again

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        *,
        dtype: Any = None,
        device: str | None = None,
    ) -> None:
        check_values(requires_grad)
        super().__init__(_as_array(data, dtype, device))
        if requires_grad:
            self.requires_grad_()

    if not TYPE_CHECKING:  # a type checker knows that an unknown name is wrong

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute("Tensor", self, name)

    # ------------------------------------------------------------------ what it is

    @property
    def data(self) -> Array:
        """The array, shared: what is written into it is not seen by the graph."""
        return self.array

    @data.setter
    def data(self, array: Any) -> None:
        array = raw(array)
        if not hasattr(array, "dtype") or array.dtype.kind not in "fiub":
            raise TypeError(f"data is an array of numbers, got {type(array).__name__}")
        leaf = self.node or getattr(self, "_leaf", None)
        if leaf is not None and _kind(array) != _kind(self.array):
            if leaf.op is not None or array.dtype.kind != "f":
                raise TypeError(
                    f"data of {array.dtype} {array.shape} cannot take the place of {self.dtype} "
                    f"{self.shape}, of which the graph expects a gradient"
                )
            renewed = Node(array)
            renewed.hooks = leaf.hooks
            self.node, self._leaf = (renewed, None) if self.node else (None, renewed)
        self.array = array
        writes.note(array)  # `p.data += 1` comes here too

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Count:
        """The number of elements; called, as in PyTorch, the shape or the length of one axis."""
        return Count.of(self.shape, self.array.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The elements' type."""
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def device(self) -> str:
        """`"cpu"`, or `"cuda:N"`."""
        return backend.device_of(self.array)

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient can flow to this tensor."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for a gradient in `.grad`, or for none; in place, returns the tensor."""
        if requires_grad and self.node is None:
            if self.dtype.kind != "f":
                raise TypeError(f"only floating tensors have gradients, this one is {self.dtype}")
            self.node = getattr(self, "_leaf", None) or Node(self.array)
        elif not requires_grad and self.node is not None:
            if not self.is_leaf:
                raise ValueError("this tensor is a result in a graph: use detach() instead")
            self._leaf, self.node = self.node, None
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.node is None or self.node.op is None

    @property
    def grad(self) -> Tensor | None:
        """What `backward` has accumulated, of this tensor's shape and dtype."""
        node = self.node or getattr(self, "_leaf", None)
        if node is None:
            return None
        gradient = node.grad
        assert gradient is None or isinstance(gradient, Tensor)
        return gradient

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None and (
            not isinstance(gradient, Tensor) or gradient.shape != self.shape
        ):
            got = f"shape {gradient.shape}" if isinstance(gradient, Tensor) else type(gradient)
            raise ValueError(f"grad wants a Tensor of shape {self.shape} or None, got {got}")
        if gradient is not None:
            gradient = gradient.astype(self.dtype)
        node = self.node or getattr(self, "_leaf", None)
        if node is not None:
            node.grad = gradient
        elif gradient is not None:
            raise ValueError("this tensor does not require a gradient, so it has no place for one")

    # ------------------------------------------------------------------ gradients

    def backward(
        self,
        gradient: Any = None,
        *,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Add this tensor's gradient with respect to every leaf to that leaf's `.grad`.

        Parameters
        ----------
        gradient : Tensor or array_like, optional
            The upstream gradient, of this tensor's shape; 1 for a tensor of one element.
        retain_graph : bool, optional
            Keep what the graph saved, for another walk. By default it is freed as the walk goes,
            unless `create_graph` is set.
        create_graph : bool
            Make the gradients differentiable in their turn.

        Raises
        ------
        BackwardError
            If there is no graph, it has been freed, or a gradient rule fails; the message names
            the line of the forward.
        """
        if gradient is not None and not isinstance(gradient, Tensor):
            gradient = Tensor(gradient, dtype=self.dtype, device=self.device)
        retain = create_graph if retain_graph is None else retain_graph
        run_backward(self, gradient, None, retain, create_graph)

    def retain_grad(self) -> Self:
        """Let `backward` leave `.grad` on this intermediate result too; returns the tensor."""
        if self.node is None:
            raise ValueError("this tensor does not require a gradient, so there is none to retain")
        self.node.retains_grad = True
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
        """Call `hook(gradient)` when this tensor's gradient is known; it may return another one.

        Returns
        -------
        HookHandle
            Its `remove()` removes the hook.
        """
        node = self.node
        if node is None:
            raise ValueError("this tensor does not require a gradient, so a hook would never run")
        node.hooks = node.hooks if node.hooks is not None else []
        return HookHandle(node.hooks, hook)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradient, or fill it with zeros if there is one."""
        self.grad = None if set_to_none or self.grad is None else self.grad.fill_(0)

    def detach(self) -> Tensor:
        """The same array, outside the graph."""
        return Tensor(self.array)

    def copy_(self, values: Any) -> Self:
        """Write `values`, of this shape or one that stretches to it, into this tensor's array.

        Its gradient and graph stay as they are: this is how parameters are loaded and updated. A
        backward pass through an operation that read the old values is then an error.
        """
        _check_written(values)
        self.array[...] = backend.to_device(_as_array(values, None, None), self.device)
        writes.note(self.array)
        return self

    def fill_(self, value: float) -> Self:
        """Write one number everywhere, as `copy_`."""
        return self.copy_(value)

    # ------------------------------------------------------------------ moving and converting

    def to(self, device: Any = None, dtype: Any = None) -> Tensor:
        """This tensor on `device`: itself if it is there, else a copy that passes gradients on.

        With a dtype, or a dtype alone, its values in that dtype.
        """
        if dtype is not None:
            return self.to(device).astype(dtype)
        if not isinstance(device, str):
            return self if device is None else self.astype(device)
        kind, number = backend.parse_device(device)
        if self.device == (kind if kind == "cpu" else f"cuda:{number}"):
            return self
        return ops.move(self, device=device, source=self.device)

    def cpu(self) -> Tensor:
        """This tensor on the host."""
        return self.to("cpu")

    def cuda(self) -> Tensor:
        """This tensor on the first GPU."""
        return self.to("cuda")

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array; on the CPU it shares this tensor's memory."""
        return backend.to_host(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        host = self.numpy()
        return host.astype(dtype) if dtype is not None else host.copy() if copy else host

    def item(self) -> Any:
        """The one value as a Python number.

        Raises
        ------
        ValueError
            If there is not exactly one.
        """
        if self.array.size != 1:
            raise ValueError(f"item wants a tensor of one element, this one has shape {self.shape}")
        return self.array.item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.array.tolist()

    def astype(self, dtype: Any) -> Tensor:
        """The values in another dtype; gradients flow between floating ones."""
        return self if self.dtype == np.dtype(dtype) else ops.astype(self, dtype=np.dtype(dtype))

    def copy(self) -> Tensor:
        """A leaf of its own with the same values."""
        return Tensor(self.array.copy())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous: write x.any() or "
                "x.all()"
            )
        return bool(self.array.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("a tensor of no axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        values = np.array2string(
            self.numpy(), separator=", ", prefix="Tensor(", threshold=100, edgeitems=3
        )
        more = "" if self.device == "cpu" else f", device={self.device!r}"
        if self.node is not None:
            made_by = self.node.op
            more += f", op={made_by.name}" if made_by else ", requires_grad=True"
        return f"Tensor({values}, dtype={self.dtype}{more})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the shape, where it comes from, and up to 8 by 8 values."""
        made_by = self.node.op if self.node is not None else None
        origin = f"made by {made_by.name}" if made_by else "leaf that wants a gradient"
        shape = " × ".join(map(str, self.shape)) or "one number"
        facts = (shape, str(self.dtype), "" if self.device == "cpu" else self.device)
        head = markup.line("Tensor", *facts, origin if self.node is not None else "")
        values = self.numpy()
        if not values.size > 0 or values.ndim > 2 or max(values.shape, default=1) > 8:
            return head + markup.folded("values", np.array2string(values, threshold=100))
        rows = values.reshape(1, -1) if values.ndim < 2 else values
        return head + markup.table((), [[_brief(v) for v in row] for row in rows], left=0)

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Any:
        """For `copy` and `pickle`: the values, whether a gradient is wanted, never the graph."""
        if not self.is_leaf:
            raise TypeError(
                "a result in a graph is neither copied nor pickled, since its graph would have to "
                "be: use detach(), or copy()"
            )
        return _restored, (type(self), self.array, self.requires_grad, self.grad)

    # ------------------------------------------------------------------ elements and shape

    def __getitem__(self, key: Any) -> Tensor:
        check_places(key)
        picked: Tensor = ops.getitem(self, key)
        return picked

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.node is not None and (is_grad_enabled() or not self.is_leaf):
            raise ValueError(
                "this tensor is in a graph, and an assignment would overwrite what backward needs: "
                "use minires.where, or write to .data under no_grad if you know that it is safe"
            )
        _check_written(value)
        check_places(key)
        value = raw(value)
        alone = getattr(value, "size", 0) == 1  # for an element, NumPy wants it without axes
        self.array[raw(key)] = value.reshape(()) if alone else value
        writes.note(self.array)

    @pytorchs_keywords
    def reshape(self, *shape: Any) -> Tensor:
        """The same values in another shape: `x.reshape(2, -1)` or `x.reshape((2, -1))`."""
        return ops.reshape(self, shape=_unpacked(shape))

    @pytorchs_keywords
    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order, by default reversed: `x.transpose(0, 2, 1)`."""
        axes = () if axes == (None,) else axes  # np.transpose(x)
        check_transpose(axes, self.ndim)
        return ops.transpose(self, axes=_unpacked(axes) or None)

    @property
    def T(self) -> Tensor:
        """The axes reversed."""
        return self.transpose()

    def swapaxes(self, first: int, second: int) -> Tensor:
        """Two axes exchanged."""
        axes = list(range(self.ndim))
        axes[first], axes[second] = axes[second], axes[first]
        return self.transpose(axes)

    def squeeze(self, axis: Axis = None, **torch: Any) -> Tensor:
        """Axes of length one dropped: all, or those named, of which longer ones stay."""
        axis = numpys_axes("squeeze", axis, False, torch)["axis"]
        axes = [i for i in range(self.ndim) if axis is None and self.shape[i] == 1]
        if axis is not None:
            axes = list(normalize_axes(axis, self.ndim, "squeeze"))
        kept = (n for i, n in enumerate(self.shape) if n != 1 or i not in axes)
        return self.reshape(tuple(kept))

    # ------------------------------------------------------------------ reductions

    # `**torch`: PyTorch's `dim` and `keepdim`, and what NumPy's functions pass; see `numpys`.

    def sum(self, axis: Axis = None, keepdims: bool = False, **torch: Any) -> Tensor:
        """The sum over `axis` (an integer, a tuple, or None for all)."""
        x, axes = numpys(self, torch), numpys_axes("sum", axis, keepdims, torch)
        total: Tensor = ops.sum(x, **axes)
        return total

    def mean(self, axis: Axis = None, keepdims: bool = False, **torch: Any) -> Tensor:
        """The mean over `axis`; of no values it is an error."""
        x, axes = numpys(self, torch), numpys_axes("mean", axis, keepdims, torch)
        average: Tensor = ops.mean(x, **axes)
        return average

    def var(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False, **torch: Any) -> Tensor:
        """The variance over `axis`, divided by the count less `ddof`; with `dim`, less 1."""
        less = numpys_ddof(ddof, torch)
        variance: Tensor = ops.var(self, ddof=less, **numpys_axes("var", axis, keepdims, torch))
        return variance

    def std(self, axis: Axis = None, ddof: int = 0, keepdims: bool = False, **torch: Any) -> Tensor:
        """The standard deviation over `axis`; see `var`."""
        less = numpys_ddof(ddof, torch)
        deviation: Tensor = ops.std(self, ddof=less, **numpys_axes("std", axis, keepdims, torch))
        return deviation

    def max(self, *args: Any, axis: Axis = None, keepdims: bool = False, **torch: Any) -> Any:
        """The largest value over `axis`; in a tie the first gets the gradient.

        With `dim`, as in PyTorch, a pair: the values, and where they are.
        """
        if args or "dim" in torch:
            return torchs_pair("max", self, self.argmax, args, **torch)
        return ops.max(self, **numpys_axes("max", axis, keepdims, torch))

    def min(self, *args: Any, axis: Axis = None, keepdims: bool = False, **torch: Any) -> Any:
        """The smallest value over `axis`; see `max`."""
        if args or "dim" in torch:
            return torchs_pair("min", self, self.argmin, args, **torch)
        return ops.min(self, **numpys_axes("min", axis, keepdims, torch))

    def argmax(self, axis: int | None = None, **torch: Any) -> Tensor:
        """Where the largest value is; no gradient."""
        return torchs_places(self, ops.argmax, numpys_axes("argmax", axis, False, torch))

    def argmin(self, axis: int | None = None, **torch: Any) -> Tensor:
        """Where the smallest value is; no gradient."""
        return torchs_places(self, ops.argmin, numpys_axes("argmin", axis, False, torch))

    # ------------------------------------------------------------------ element by element

    def exp(self) -> Tensor:
        """`e ** x`."""
        return ops.exp(self)

    def log(self) -> Tensor:
        """The natural logarithm."""
        return ops.log(self)

    def sqrt(self) -> Tensor:
        """The square root."""
        return ops.sqrt(self)

    def abs(self) -> Tensor:
        """The absolute value."""
        return ops.absolute(self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
        return ops.tanh(self)

    def sigmoid(self) -> Tensor:
        """`1 / (1 + exp(-x))`."""
        return ops.sigmoid(self)

    def relu(self) -> Tensor:
        """`max(x, 0)`."""
        return ops.relu(self)

    __add__ = _operator(ops.add)
    __radd__ = _reflected(ops.add)
    __sub__ = _operator(ops.subtract)
    __rsub__ = _reflected(ops.subtract)
    __mul__ = _operator(ops.multiply)
    __rmul__ = _reflected(ops.multiply)
    __truediv__ = _operator(ops.divide)
    __rtruediv__ = _reflected(ops.divide)
    __pow__ = _operator(ops.power)
    __rpow__ = _reflected(ops.power)
    __matmul__ = _operator(ops.matmul)
    __rmatmul__ = _reflected(ops.matmul)
    __iadd__ = _in_place(ops.add)
    __isub__ = _in_place(ops.subtract)
    __imul__ = _in_place(ops.multiply)
    __itruediv__ = _in_place(ops.divide)
    __ipow__ = _in_place(ops.power)
    __lt__ = _operator(ops.less)
    __le__ = _operator(ops.less_equal)
    __gt__ = _operator(ops.greater)
    __ge__ = _operator(ops.greater_equal)
    __and__ = _operator(ops.logical_and)
    __or__ = _operator(ops.logical_or)

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return ops.absolute(self)

    def __invert__(self) -> Tensor:
        return ops.logical_not(self)


def _as_array(data: Any, dtype: Any, device: str | None) -> Array:
    data = raw(data)
    is_array = hasattr(data, "dtype") and hasattr(data, "shape")
    if is_array and not hasattr(data.dtype, "kind"):  # another library's tensor
        data = np.asarray(data)
    if type(data) is not np.ndarray and isinstance(data, np.ndarray):
        data = plain(data)
    array = data if is_array and not isinstance(data, np.generic) else np.asarray(data)
    if not is_array and array.dtype.kind in "if":
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a Tensor holds numbers, got {type(data).__name__} of {array.dtype}")
    if dtype is not None and array.dtype != np.dtype(dtype):
        array = array.astype(dtype)
    if device is None and not is_array:
        device = backend.default_device()
    return array if device is None else backend.to_device(array, device)


def _restored(kind: type[Tensor], array: Array, requires_grad: bool, grad: Tensor | None) -> Tensor:
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, array, requires_grad)  # a Parameter's would ask for a gradient
    if requires_grad:
        tensor.grad = grad
    return tensor


def _brief(value: Any) -> str:
    return f"{value:.5g}" if value.dtype.kind == "f" else str(value)


def _unpacked(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    nested = len(arguments) == 1 and isinstance(arguments[0], tuple | list)
    return tuple(arguments[0]) if nested else arguments


register_tensor(Tensor)
