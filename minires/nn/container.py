"""Modules that hold modules in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

from minires.nn.module import Module


class _Ordered(Module):
    def __init__(self, modules: Iterable[Module]) -> None:
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
    """Modules one after the other, each on the output of the one before."""

    def __init__(self, *modules: Module) -> None:
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
