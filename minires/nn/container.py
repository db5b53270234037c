"""Modules that hold modules in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Self, TypeVar

from minires.nn.module import Module, Parameter

Entry = TypeVar("Entry")


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


class _Named(Module, Generic[Entry]):
    """A dict whose entries are registered under their names."""

    @property
    def _entries(self) -> dict[str, Entry]:
        raise NotImplementedError

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __setitem__(self, name: str, entry: Any) -> None:
        if hasattr(type(self), name):
            kind = type(self).__name__
            raise ValueError(f"{name!r} is a method of {kind}: choose another name")
        self._register(name, entry)

    def _register(self, name: str, entry: Any) -> None:
        raise NotImplementedError

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def keys(self) -> Iterable[str]:
        """The names, in the order in which they came."""
        return self._entries.keys()

    def values(self) -> Iterable[Entry]:
        """What stands under the names."""
        return self._entries.values()

    def items(self) -> Iterable[tuple[str, Entry]]:
        """The names, and what stands under them."""
        return self._entries.items()


class ModuleDict(_Named[Module]):
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

    @property
    def _entries(self) -> dict[str, Module]:
        return self._modules

    def _register(self, name: str, entry: Any) -> None:
        self.add_module(name, entry)


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


class ParameterDict(_Named[Parameter]):
    """A dict whose parameters are registered; tensors and arrays become Parameters."""

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self.update(parameters or {})

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add, or replace, parameters by name; they come as a dict or in pairs."""
        for name, value in dict(parameters).items():
            self[name] = value

    @property
    def _entries(self) -> dict[str, Parameter]:
        return self._parameters

    def _register(self, name: str, entry: Any) -> None:
        self.register_parameter(name, _parameter(entry))


def _parameter(value: Any) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value)
