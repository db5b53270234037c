"""Module: what holds parameters, buffers and other modules, in order of definition."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from reprlib import recursive_repr
from typing import Any, NamedTuple, Self

import numpy as np  # for dtypes only

from minires import backend, markup, writes
from minires.engine import raw
from minires.from_pytorch import PyTorchsKeywords, no_attribute
from minires.gradient_hooks import HookHandle
from minires.kernels.machinery.threads import one_blas_thread
from minires.nn.hooks import run_with_backward_hooks
from minires.nn.summary import Summary, summary
from minires.tensors import Tensor

_TABLES = {"_parameters": "parameter", "_buffers": "tensor", "_modules": "module"}
"""Where a module keeps what is registered, and what is assigned there."""


class Parameter(Tensor):
    """A Tensor that a Module learns: it requires a gradient, and optimisers update it in place."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, **options: Any) -> None:
        super().__init__(data, requires_grad, **options)


class KeyMismatch(NamedTuple):
    """What `load_state_dict(strict=False)` could not match."""

    missing: list[str]
    unexpected: list[str]

    @property
    def missing_keys(self) -> list[str]:
        """PyTorch's name of `missing`."""
        return self.missing

    @property
    def unexpected_keys(self) -> list[str]:
        """PyTorch's name of `unexpected`."""
        return self.unexpected


class Module(PyTorchsKeywords):
    """The base of layers and networks: define `forward`, assign parameters and modules.

    Parameters, modules and buffers are found by assignment (`self.weight = Parameter(...)`) and
    keep that order everywhere.

    Examples
    --------
    >>> class Twice(Module):
    ...     def forward(self, x):
    ...         return 2 * x
    >>> Twice()(Tensor([1.0, 2.0]))
    Tensor([2., 4.], dtype=float32)
    """

    training: bool
    in_summary = True  # whether `summary` has a row for a layer of this kind

    def __init__(self) -> None:
        self._parameters: dict[str, Parameter] = {}
        self._buffers: dict[str, Tensor | None] = {}
        self._unsaved: set[str] = set()  # names of buffers
        self._modules: dict[str, Module] = {}
        self._forward_pre_hooks: list[Callable[..., Any]] = []
        self._forward_hooks: list[Callable[..., Any]] = []
        self._backward_hooks: list[Callable[..., Any]] = []
        self.training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass has its own."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for hook in tuple(self._forward_pre_hooks):  # a hook may remove itself
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        if self._backward_hooks:
            out = run_with_backward_hooks(self, self._backward_hooks, args, kwargs)
        else:
            with one_blas_thread():  # once for all layers inside
                out = self.forward(*args, **kwargs)
        for hook in tuple(self._forward_hooks):
            changed = hook(self, args, out)
            if changed is not None:
                out = changed
        return out

    # ------------------------------------------------------------------ assignment

    def __setattr__(self, name: str, value: Any) -> None:
        """Register parameters and modules; what replaces one of its kind has its place."""
        writes.modules = writes.tick()
        attributes: dict[str, Any] = self.__dict__
        own = next((table for table in _TABLES if name in attributes.get(table, ())), "")
        if isinstance(value, Parameter | Module):
            if "_modules" not in attributes:
                raise AttributeError(f"call super().__init__() before assigning {name!r}")
            _check_name(name)
            table = "_parameters" if isinstance(value, Parameter) else "_modules"
            if own != table:
                attributes.get(own, {}).pop(name, None)
            attributes.pop(name, None)
            attributes[table][name] = value
        elif own == "_buffers" and (value is None or isinstance(value, Tensor)):
            attributes[own][name] = value
        elif own and value is not None:
            raise TypeError(
                f"{name!r} is a {_TABLES[own]}: assign a {_TABLES[own].title()}, or None to drop "
                f"it, not {type(value).__name__}"
            )
        else:
            attributes.get(own, {}).pop(name, None)
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        for table in _TABLES:
            if name in self.__dict__.get(table, ()):
                return self.__dict__[table][name]
        raise no_attribute("nn.Module", self, name)

    def __delattr__(self, name: str) -> None:
        writes.modules = writes.tick()
        for table in _TABLES:
            if name in self.__dict__.get(table, ()):
                del self.__dict__[table][name]
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        own = [*self._parameters, *self._buffers, *self._modules]
        return sorted({*super().__dir__(), *own})

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Keep a Tensor that is saved and moved with the module, but not learned.

        None keeps the name for one that may come later; what is not persistent is not saved.
        """
        _check_name(name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"a buffer is a Tensor or None, got {type(tensor).__name__}")
        if name in self._parameters or name in self._modules:
            raise ValueError(f"{name!r} is a parameter or module of this {type(self).__name__}")
        self.__dict__.pop(name, None)
        self._buffers[name] = tensor
        (self._unsaved.discard if persistent else self._unsaved.add)(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Assign a parameter under a name; None keeps an ordinary attribute for one."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"a parameter is a Parameter or None, got {type(param).__name__}")
        setattr(self, name, param)

    def add_module(self, name: str, module: Module) -> None:
        """Assign a module under a name."""
        if not isinstance(module, Module):
            raise TypeError(f"a module is a Module, got {type(module).__name__}")
        setattr(self, name, module)

    register_module = add_module

    # ------------------------------------------------------------------ what is inside

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules assigned to this one, with their names."""
        yield from self._modules.items()

    def children(self) -> Iterator[Module]:
        """The modules assigned to this one."""
        yield from self._modules.values()

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and every one inside it, each once, with dotted names."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            inside = [(dotted(name, child), m) for child, m in module._modules.items()]
            stack += reversed(inside)

    def modules(self) -> Iterator[Module]:
        """This module and every one inside it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Every parameter, each once, with its dotted name; or without those of modules inside."""
        seen: set[int] = set()
        for name, parameter in self._named("_parameters", prefix, recurse):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Every buffer, with its dotted name."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, table: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        for place, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, value in module.__dict__[table].items():
                if value is not None:
                    yield dotted(place, name), value

    def get_submodule(self, target: str) -> Module:
        """The module of this dotted name."""
        return self._get(target, Module)  # type: ignore[no-any-return]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of this dotted name."""
        return self._get(target, Parameter)  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of this dotted name."""
        return self._get(target, Tensor)  # type: ignore[no-any-return]

    def _get(self, target: str, kind: type) -> Any:
        found = functools.reduce(getattr, target.split(".") if target else (), self)
        if not isinstance(found, kind):
            raise AttributeError(f"{target!r} is a {type(found).__name__}, no {kind.__name__}")
        return found

    # ------------------------------------------------------------------ state

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Parameters and buffers by dotted name, sharing memory with the module.

        What is in two places has two names here, as in PyTorch. All names begin with `prefix`.
        """
        return {prefix + name: value for name, value in self._state("", ())}

    def _state(self, prefix: str, around: tuple[Module, ...]) -> Iterator[tuple[str, Tensor]]:
        if any(module is self for module in around):
            raise ValueError(f"{prefix} is a {type(self).__name__} that contains itself")
        for name, value in (self._parameters | self._buffers).items():
            if value is not None and name not in self._unsaved:
                yield dotted(prefix, name), value.detach()
        for name, module in self._modules.items():
            yield from module._state(dotted(prefix, name), (*around, self))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> KeyMismatch:
        """Copy values in by name; all are checked before the first is copied.

        Parameters
        ----------
        state_dict : mapping of str to Tensor or array
        strict : bool
            Whether missing and unexpected names are an error. A wrong shape always is.

        Returns
        -------
        KeyMismatch
            The names that were missing and unexpected.

        Raises
        ------
        ValueError
            Naming every key that does not fit; nothing has been loaded then.
        TypeError
            If `state_dict` is no mapping.
        """
        state = state_dict
        if not isinstance(state, Mapping):
            raise TypeError(
                f"a state is a dict of arrays by their names, not a {type(state).__name__}"
            )
        own = self.state_dict()
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        for name, tensor in own.items():
            if name in state and not hasattr(state[name], "shape"):
                problems.append(f"{name}: a {type(state[name]).__name__}, which is no array")
            elif name in state and tuple(state[name].shape) != tensor.shape:
                got = tuple(state[name].shape)
                hint = ""
                if sorted(got) == sorted(tensor.shape):
                    hint = " (the same numbers in another order: a layout to convert?)"
                problems.append(f"{name}: shape {got}, wanted {tensor.shape}{hint}")
        if problems:
            raise ValueError(
                f"this state does not fit {type(self).__name__}:\n  " + "\n  ".join(problems)
            )
        for name, tensor in own.items():
            if name in state:
                value = backend.to_device(raw(state[name]), tensor.device)
                tensor.copy_(value)
        return KeyMismatch(missing, unexpected)

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and inside: batch statistics, dropout on."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Leave training mode: running statistics, dropout off."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or unfreeze every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient, or fill it with zeros."""
        for parameter in self.parameters():
            parameter.zero_grad(set_to_none)

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every module, those inside before the one that holds them."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, device: Any = None, dtype: Any = None) -> Self:
        """Move parameters and buffers to `device`, or convert the floating ones to `dtype`.

        A dtype may stand alone. In place: the same Parameter objects hold the moved arrays, so an
        optimiser keeps working. Gradients are forgotten.
        """
        if device is not None and not isinstance(device, str):
            return self.to(dtype=device)
        if device is None and dtype is None:
            raise ValueError("to wants a device, a dtype or both")
        for tensor in [*self.parameters(), *self.buffers()]:
            data = tensor.data
            if device is not None:
                data = backend.to_device(data, device)
            if dtype is not None and data.dtype.kind == "f":
                data = data.astype(np.dtype(dtype), copy=False)
            if data is not tensor.data:
                tensor.data = data
        return self

    def cpu(self) -> Self:
        """`to("cpu")`."""
        return self.to("cpu")

    def cuda(self) -> Self:
        """`to("cuda")`."""
        return self.to("cuda")

    def float(self) -> Self:
        """`to(dtype=float32)`."""
        return self.to(dtype=np.float32)

    def double(self) -> Self:
        """`to(dtype=float64)`."""
        return self.to(dtype=np.float64)

    def half(self) -> Self:
        """`to(dtype=float16)`."""
        return self.to(dtype=np.float16)

    # ------------------------------------------------------------------ hooks

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, args)` before each forward; it may return other arguments.

        The handle's `remove()` removes the hook, as that of all three kinds does.
        """
        return HookHandle(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, args, output)` after each forward; it may return another output."""
        return HookHandle(self._forward_hooks, hook)

    def register_full_backward_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` once both are known, each a tuple."""
        return HookHandle(self._backward_hooks, hook)

    # ------------------------------------------------------------------ looking at it

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses, beside the modules inside."""
        return ""

    @recursive_repr("(itself)")
    def __repr__(self) -> str:
        name, extra = type(self).__name__, self.extra_repr()
        if not self._modules:
            return f"{name}({extra})"
        lines = [extra] if extra else []
        lines += [f"({child}): {module!r}" for child, module in self._modules.items()]
        inside = "\n".join(lines).replace("\n", "\n  ")
        return f"{name}(\n  {inside}\n)"

    def _repr_html_(self) -> str:
        """What a notebook shows: the parts with their parameters, and the whole text on demand."""
        count = sum(p.size for p in self.parameters())
        rows = [
            (name, type(module).__name__, f"{sum(p.size for p in module.parameters()):,}")
            for name, module in self.named_children()
        ]
        if len(rows) > 12:
            rows = [*rows[:8], ("…", f"{len(rows) - 9} more", ""), rows[-1]]
        head = markup.line(
            type(self).__name__, f"{count:,} parameters", "" if rows else self.extra_repr()
        )
        if not rows:
            return head
        shown = markup.table(("part", "kind", "parameters"), rows, left=2)
        return head + shown + markup.folded("all layers", repr(self))

    def summary(self, input_shape: tuple[int, ...], dtype: Any = None) -> Summary:
        """Output shapes, parameters and multiply-adds, layer by layer: see `minires.nn.summary`.

        `input_shape` is one sample's, (H, W, C) for an image.
        """
        return summary(self, input_shape, dtype)

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        """How many multiplications with an addition make an output of this shape; 0 if not counted.

        Of this layer itself, without the modules inside.
        """
        return 0


def dotted(prefix: str, name: str) -> str:
    """The name of what is inside another."""
    return f"{prefix}.{name}" if prefix else name


def _check_name(name: str) -> None:
    if not name or "." in name:
        raise ValueError(f"a name in a module may not be empty or hold a dot, got {name!r}")
