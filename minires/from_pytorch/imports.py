"""Modules that only PyTorch has: `from minires.nn.parameter import Parameter` finds minires's own.

Python asks here for a module that nobody else has found. Where its names are elsewhere here, it is
made of those; otherwise the error says what the table says of its name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

HOMES = {
    "minires.nn.parameter": "minires.nn",
    "minires.nn.modules": "minires.nn",
    **{
        f"minires.nn.modules.{name}": "minires.nn"
        for name in (
            *("activation", "container", "dropout", "flatten", "linear", "module"),
            *("normalization", "pooling", "sparse", "transformer", "upsampling"),
        )
    },
    "minires.nn.modules.batchnorm": "minires.nn.batch_norm",  # which has a name with an underscore
    "minires.nn.modules.conv": "minires.nn.convolution",  # as has this
    "minires.nn.modules.loss": "minires.nn.loss",
    "minires.nn.modules.utils": "minires.nn.sizes",
    "minires.nn.utils.clip_grad": "minires.nn.utils",
}
"""A module of PyTorch's, and where its names are here."""

NAMES = {"_ConvNd": "_Convolution", "_pair": "pair"}
"""What scripts take from there although it begins with an underscore, and its name here."""

NAMESPACES = {
    "minires": "torch",
    "minires.cuda": "cuda",
    "minires.data": "utils.data",
    "minires.utils": "utils",
    **{f"minires.{name}": name for name in ("nn", "nn.functional", "nn.init", "nn.utils")},
    **{f"minires.{name}": name for name in ("optim", "optim.lr_scheduler")},
}


class Finder:
    """The last of `sys.meta_path`."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """A module of `HOMES`; None for what is neither there nor in the table.

        Raises
        ------
        ModuleNotFoundError
            With a hint. It has no `name`: an error about the name that is imported is one that
            `from minires import ...` passes over.
        """
        if name in HOMES:
            loader: Any = _Loader()
            return ModuleSpec(name, loader, is_package=True)
        parent, _, child = name.rpartition(".")
        if parent in NAMESPACES:
            from minires.from_pytorch.table import find

            if hint := find(NAMESPACES[parent], child):
                raise ModuleNotFoundError(f"{parent} has no `{child}`: {hint}")
        return None


class _Loader:
    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary one."""

    def exec_module(self, module: ModuleType) -> None:
        home = import_module(HOMES[module.__name__])

        def look_up(name: str) -> Any:
            below = f"{module.__name__}.{name}"
            if below in HOMES:
                return import_module(below)
            return getattr(home, NAMES.get(name, name))

        vars(module).update(__getattr__=look_up, __doc__=home.__doc__)


def find_pytorchs_modules() -> None:
    """Let Python ask the finder, which it does after all others."""
    if not any(finder is Finder for finder in sys.meta_path):
        sys.meta_path.append(Finder)
