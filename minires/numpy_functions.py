"""NumPy's functions of single values, such as `np.exp` and `np.add`, called with a tensor.

Where there is an operation of that meaning it is called, gradient included: so `array * tensor` and
`np.float64(2) * tensor` come here too. Of the others NumPy's own value is the result, of what no
gradient is wanted of.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minires import ops, writes
from minires.dtypes import unpromoted
from minires.engine import Variable, make_tensor, raw
from minires.grad_mode import is_grad_enabled

_OPERATIONS = {
    **{name: getattr(ops, name) for name in ("add", "subtract", "multiply", "divide", "power")},
    **{name: getattr(ops, name) for name in ("matmul", "maximum", "minimum", "negative")},
    **{name: getattr(ops, name) for name in ("absolute", "exp", "log", "sign", "sqrt", "tanh")},
    **{name: getattr(ops, name) for name in ("equal", "not_equal", "less", "less_equal")},
    **{name: getattr(ops, name) for name in ("greater", "greater_equal")},
    **{"bitwise_and": ops.logical_and, "bitwise_or": ops.logical_or, "invert": ops.logical_not},
}
"""By the names of NumPy's functions. Its `logical_and` is of numbers too, ours is `&`."""


def numpys_function(
    function: Any, method: str, *inputs: Any, out: Any = None, called: str = "", **options: Any
) -> Any:
    """The operation of that meaning, or NumPy's function of the arrays.

    Parameters
    ----------
    function : numpy.ufunc
    method : str
        `"__call__"`, `"reduce"`, ... .
    *inputs : Tensor or array_like
    out : tuple of arrays, optional
        Where to write: `array += tensor` says so.
    called : str
        What was typed, for the message.

    Raises
    ------
    TypeError
        If a gradient would be lost.
    """
    plain_call = method == "__call__" and out is None and not options
    if plain_call and function.__name__ in _OPERATIONS:
        return _OPERATIONS[function.__name__](*inputs)
    if is_grad_enabled() and any(isinstance(x, Variable) and x.node is not None for x in inputs):
        from minires.from_pytorch.table import find

        lacking = f"Tensor has no `{called}`" if called else f"no gradient by {function.__name__}"
        hint = find("Tensor", function.__name__) or "write x.detach() where none is wanted"
        raise TypeError(f"{lacking}: {hint}")
    arrays = [raw(x) for x in inputs]
    if out is not None:
        getattr(function, method)(*arrays, out=tuple(map(raw, out)), **options)
        for written in out:
            writes.note(raw(written))
        return out[0] if len(out) == 1 else out
    found = getattr(function, method)(*arrays, **options)
    if isinstance(found, tuple):
        return tuple(_tensor(each, arrays) for each in found)
    kept = "dtype" in options  # what was asked for
    return found if found is None else _tensor(found, [found] if kept else arrays)


def _tensor(values: Any, arrays: list[Any]) -> Any:
    values = values if hasattr(values, "flags") else np.asarray(values)
    return make_tensor(unpromoted(values, arrays))


class ForNumPy:
    """`__array_ufunc__` of a class, which NumPy asks; of an object it is None, as others ask.

    So NumPy calls the function, and CuPy and masked arrays leave `array * tensor` to the tensor.
    """

    def __get__(self, owner: Any, kind: Any) -> Any:
        return _override if owner is None else None


def _override(self: Any, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
    return numpys_function(function, method, *inputs, **options)
