"""Modules that hold modules in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from minires.nn.module import Module, Parameter


class _Ordered(Module):
    def __init__(self, modules: Iterable[Any]) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Self:
        """Add one at the end."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__} holds Modules, got {type(module).__name__}")
        numbers = [int(name) for name in self._modules if name.isdecimal()]
        setattr(self, str(max(numbers, default=-1) + 1), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add several at the end."""
        for module in modules:
            self.append(module)
        return self

    __iadd__ = extend

    def insert(self, index: int, module: Module) -> None:
        """Put one before another; all are numbered anew."""
        modules = list(self)
        modules.insert(index, module)
        self._modules = {}
        self.extend(modules)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._modules = {}
        self.extend(modules)

    def pop(self, index: int = -1) -> Module:
        """Take one out; all others are numbered anew."""
        module: Module = self[index]
        del self[index]
        return module

    def __add__(self, modules: Iterable[Module]) -> Self:
        return type(self)._of([*self, *modules])

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        picked = list(self._modules.values())[index]
        return picked if isinstance(picked, Module) else type(self)._of(picked)

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[index], module)

    @classmethod
    def _of(cls, modules: list[Module]) -> Self:
        return cls(modules)


class Sequential(_Ordered):
    """Modules one after the other, each on the output of the one before.

    They are numbered, or named by a dict: `Sequential({"conv": Conv2d(3, 8, 3), "relu": ReLU()})`.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            super().__init__(())
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            super().__init__(modules)

    @classmethod
    def _of(cls, modules: list[Module]) -> Self:
        return cls(*modules)

    def forward(self, x: Any) -> Any:
        """Whatever the first takes to whatever the last gives."""
        for module in self:
            x = module(x)
        return x


class ModuleList(_Ordered):
    """A list whose modules are registered; what is done with them is up to its owner."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__(modules)


class ModuleDict(Module):
    """A dict whose modules are registered; what is done with them is up to its owner."""

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None
    ) -> None:
        super().__init__()
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add, or replace, modules by name; they come as a dict or in pairs."""
        for name, module in dict(modules).items():
            self[name] = module

    def clear(self) -> None:
        """Take all out."""
        self._modules = {}

    def pop(self, key: str) -> Module:
        """Take one out."""
        module = self[key]
        del self[key]
        return module

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        if hasattr(type(self), name):
            raise ValueError(f"{name!r} is a method of ModuleDict: choose another name")
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def keys(self) -> Iterable[str]:
        """The names, in the order in which they came."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._modules.items()


class ParameterList(Module):
    """A list whose parameters are registered; tensors and arrays become Parameters."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(values)

    def append(self, value: Any) -> Self:
        """Add one at the end."""
        setattr(self, str(len(self)), _parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add several at the end."""
        for value in values:
            self.append(value)
        return self

    __iadd__ = extend

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters.values())

    def __getitem__(self, index: int | slice) -> Any:
        picked = list(self)[index]
        return ParameterList(picked) if isinstance(picked, list) else picked

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, list(self._parameters)[index], _parameter(value))


class ParameterDict(Module):
    """A dict whose parameters are registered; tensors and arrays become Parameters."""

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self.update(parameters or {})

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add, or replace, parameters by name; they come as a dict or in pairs."""
        for name, value in dict(parameters).items():
            self[name] = value

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise ValueError(f"{name!r} is a method of ParameterDict: choose another name")
        self.register_parameter(name, _parameter(value))

    def __delitem__(self, name: str) -> None:
        del self._parameters[name]

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def keys(self) -> Iterable[str]:
        """The names, in the order in which they came."""
        return self._parameters.keys()

    def values(self) -> Iterable[Parameter]:
        """The parameters."""
        return self._parameters.values()

    def items(self) -> Iterable[tuple[str, Parameter]]:
        """Names and parameters."""
        return self._parameters.items()


def _parameter(value: Any) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value)
