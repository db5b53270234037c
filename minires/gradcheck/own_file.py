"""A function in somebody's own file, and inputs to check it with."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minires.engine import Op
from minires.gradcheck.surroundings import is_module

_HOW = (
    "gradcheck needs example inputs for {name}: in {path} set {name}.inputs = (x, w), or "
    "{name}_inputs or inputs, to arrays or to a function that returns them, or give every "
    "parameter a default"
)


@dataclass(frozen=True)
class OwnCheck:
    """A function, Module or op with the inputs to check it at."""

    function: Callable[..., Any]
    inputs: Any


def load_checks(target: str) -> list[OwnCheck]:
    """What `path/to/file.py::function` names; without `::function` all that have inputs.

    The file is run, as an import would. A class is instantiated without arguments. Inputs are
    looked for in this order: `function.inputs`, `function_inputs` in the file, `inputs` in the
    file, the parameters' defaults; each a sequence, a single array, or a function that returns
    either. Without `::function`, only the first two count.

    Raises
    ------
    ValueError
        If the file cannot be run, or has no such name, or no inputs for it.
    OSError
        If there is no such file.
    """
    place, _, name = target.partition("::")
    path = Path(place)
    module = run_file(path)
    if name:
        if not callable(getattr(module, name, None)):
            functions = ", ".join(_own_names(module)) or "none"
            raise ValueError(f"{path} defines no function {name!r}; it has {functions}")
        return [_check(module, name, path)]
    found = [n for n in _own_names(module) if _named_inputs(module, n) is not None]
    if not found:
        raise ValueError(_HOW.format(name="function", path=path))
    return [_check(module, n, path) for n in found]


def run_file(path: Path) -> ModuleType:
    """Run somebody's file as an import would; a ValueError says where it fails."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file: its name does not end in .py")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # so that it can import its neighbours
    shadowed = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a file may call sys.exit
        raise ValueError(f"{path} cannot be run: {told(error, path) or error}") from error
    finally:
        sys.path.remove(folder)
        if shadowed is not None:
            sys.modules[path.stem] = shadowed
        else:
            sys.modules.pop(path.stem, None)
    return module


def told(error: BaseException, path: Path) -> str | None:
    """What an error says and in which line of the file it arose; None if that was not there."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return text  # which names its file and line itself
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename).resolve() == path.resolve()]
    return f"{text} (line {lines[-1]})" if lines else None


def _own_names(module: ModuleType) -> list[str]:
    """The functions, classes, ops and Modules that the file itself defines; no rules of ops."""
    rules = {id(value.rule) for value in vars(module).values() if isinstance(value, Op)}
    return [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and not name.endswith("inputs")
        and id(value) not in rules
        and (is_module(value) or getattr(value, "__module__", None) == module.__name__)
    ]


def _check(module: ModuleType, name: str, path: Path) -> OwnCheck:
    function: Any = getattr(module, name)
    inputs = _named_inputs(module, name)
    if isinstance(function, type):
        try:
            function = function()
        except TypeError as error:
            raise ValueError(
                f"{name} is a class that wants arguments: make a module in {path}, such as "
                f"layer = {name}(...), and check that ({error})"
            ) from error
    if inputs is None:
        inputs = getattr(module, "inputs", None)
    if inputs is None:
        inputs = _defaults(function)
    if inputs is None:
        raise ValueError(_HOW.format(name=name, path=path))
    if inspect.isfunction(inputs):
        try:
            inputs = inputs()
        except Exception as error:
            raise ValueError(
                f"the inputs of {name} cannot be made: {told(error, path) or error}"
            ) from error
    if isinstance(inputs, (list, tuple)):
        inputs = [_array(value) for value in inputs]
    return OwnCheck(function, inputs)


def _array(value: Any) -> Any:
    """A list of numbers, or of such lists, as an array; anything else as it is."""
    if not isinstance(value, list) or not value:
        return value
    try:
        array = np.asarray(value)
    except ValueError:  # of unequal lengths, or of arrays
        return value
    plain = array.dtype.kind in "iuf" and not any(hasattr(entry, "dtype") for entry in value)
    return array.astype(np.float64) if plain else value


def _named_inputs(module: ModuleType, name: str) -> Any:
    attribute = getattr(getattr(module, name), "inputs", None)
    return getattr(module, f"{name}_inputs", None) if attribute is None else attribute


def _defaults(function: Any) -> Any:
    """The defaults of all parameters, None unless every one has one."""
    try:
        parameters = inspect.signature(getattr(function, "forward", function)).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    defaults = [p.default for p in positional]
    complete = defaults and all(d is not inspect.Parameter.empty for d in defaults)
    return defaults if complete else None
