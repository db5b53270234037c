"""Write cupy_api.json: what the real CuPy offers of NumPy's interface. It needs no GPU.

python tests/on_cupy/strict/dump_api.py    # in an environment with the CuPy wheel
"""

import inspect
import json
from pathlib import Path
from typing import Any

import numpy

TARGET = Path(__file__).with_name("cupy_api.json")
SUBMODULES = ("linalg", "lib.stride_tricks")


def parameters(function: Any) -> list[list[Any]] | None:
    """The name and `inspect` kind of each parameter; None where Cython does not tell."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    return [[p.name, int(p.kind)] for p in signature.parameters.values()]


def names(module: Any, model: Any, ufunc: type) -> dict[str, Any]:
    """The names of `module` that `model`, NumPy's own, has too, by kind."""
    found: dict[str, Any] = {"functions": {}, "ufuncs": [], "others": []}
    for name in sorted(set(dir(module)) & set(dir(model))):
        value = getattr(module, name)
        if name.startswith("_"):
            continue
        if isinstance(value, ufunc):
            found["ufuncs"].append(name)
        elif callable(value) and not isinstance(value, type):
            found["functions"][name] = parameters(value)
        else:
            found["others"].append(name)
    return found


def dump(cupy: Any) -> dict[str, Any]:
    """All that the stand-in wants to know."""
    api = {"version": cupy.__version__, **names(cupy, numpy, cupy.ufunc)}
    for path in SUBMODULES:
        module, model = cupy, numpy
        for part in path.split("."):
            module, model = getattr(module, part), getattr(model, part)
        api[path] = names(module, model, cupy.ufunc)["functions"]
    api["ndarray"] = sorted(set(dir(cupy.ndarray)) & set(dir(numpy.ndarray)))
    return api


def as_text(api: dict[str, Any]) -> str:
    """The JSON, one function a line."""
    lines = []
    for key, value in api.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(n)}: {json.dumps(v)}" for n, v in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    import cupy

    TARGET.write_text(as_text(dump(cupy)))
    print(f"wrote {TARGET}")
