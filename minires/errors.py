"""What goes wrong in an operation, said with the operation's name and what it got."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from minires.backend import device_of, xp_of


class BackwardError(RuntimeError):
    """The backward pass failed; the message names the forward line that made the node."""


class NonFiniteError(ArithmeticError):
    """An operation produced a NaN or an infinity; the message names it, its inputs and its line."""


def explain(
    error: Exception, name: str, arrays: Sequence[Any], constants: Mapping[str, Any]
) -> None:
    """Add the operation and what it got to an error that its forward raised.

    Raises
    ------
    TypeError
        Instead, where the operation has no such keyword.
    DeviceError
        Instead, where arrays are on different devices: then that is the likelier cause.
    ValueError
        Instead, where the error makes its own text, as NumPy's AxisError does.
    """
    unknown = str(error).partition("got an unexpected keyword argument '")[2].rstrip("'")
    if unknown in constants:
        raise unknown_keyword(name, unknown) from error
    xp_of(*arrays, *constants.values())
    if str(error).startswith(name):
        if "out" in constants and "unexpected keyword" in str(error):
            error.args = (
                f"{name} has no `out`: a result is new, y.copy_(result) writes it into y",
            )
        return
    message = f"{described_call(name, arrays)}: {error}{_channels_hint(arrays)}"
    error.args = (message,)
    if str(error) != message:
        raise ValueError(message) from error


def _channels_hint(arrays: Sequence[Any]) -> str:
    """What to add where one number for each channel has PyTorch's shape; else nothing."""
    shapes = [array.shape for array in arrays if getattr(array, "ndim", 0) == 4]
    for shape in shapes:
        if shape[2:] == (1, 1) and any(shape[1] == other[3] > 1 for other in shapes):
            return (
                ". Channels are the last axis: view(1, 1, 1, -1), where PyTorch has (1, -1, 1, 1)"
            )
    return ""


def described_call(name: str, arrays: Sequence[Any]) -> str:
    """`add(float32[2, 3], 1.0)`: an operation and its arguments' dtypes and shapes."""
    return f"{name}({', '.join(map(_described, arrays))})"


def _described(value: Any) -> str:
    if hasattr(value, "dtype"):
        where = device_of(value)
        return f"{value.dtype}{list(value.shape)}{'' if where == 'cpu' else ' on ' + where}"
    return repr(value) if isinstance(value, int | float | bool) else type(value).__name__


def wrong_count(
    name: str, arguments: Sequence[str], got: int, unknown: Collection[str]
) -> TypeError:
    """What is wrong with a call: a keyword that is none, or the number of arrays."""
    for keyword in sorted({*unknown} - {*arguments}):
        return unknown_keyword(name, keyword)
    from minires.from_pytorch.keywords import table

    wanted = f"{len(arguments)} arrays by position ({', '.join(arguments)})"
    hint = table().get(f"{name}()")
    return TypeError(f"{name} takes {wanted}, got {got}" + (f": {hint}" if hint else ""))


def unknown_keyword(name: str, keyword: str) -> TypeError:
    from minires.from_pytorch.keywords import find

    hint = find(name, keyword)
    said = f": {hint}" if hint else ""
    return TypeError(f"{name} has no keyword `{keyword}`{said}")


def no_graph() -> BackwardError:
    return BackwardError(
        "this tensor is not in a graph: nothing that it was computed from has requires_grad=True, "
        "or it was computed under no_grad or detached"
    )


def no_seed(shape: tuple[int, ...]) -> BackwardError:
    return BackwardError(
        f"backward without a gradient wants a tensor of one element, such as a loss; this one has "
        f"shape {shape}: pass backward(gradient=...)"
    )


def wrong_seed(shape: tuple[int, ...], got: tuple[int, ...]) -> BackwardError:
    return BackwardError(f"backward got a gradient of shape {got} for a tensor of {shape}")


def no_rule(node: Any) -> BackwardError:
    return BackwardError(f"{node.op.name}, made at {node.line()}, has no gradient rule")


def freed(node: Any) -> BackwardError:
    return BackwardError(
        f"the graph was freed by an earlier backward: {node.op.name}, made at {node.line()}, no "
        "longer has what its rule needs. Pass retain_graph=True to the first backward, or compute "
        "the forward again."
    )


def overwritten(node: Any, name: str) -> BackwardError:
    what = {"out": "result", "saved": "statistics"}.get(name, f"argument {name}")
    return BackwardError(
        f"{node.op.name}, made at {node.line()}: its {what} was overwritten after that, so the "
        "gradient would be wrong. Write into a copy, or call backward before writing."
    )


def rule_failed(node: Any, error: Exception) -> BackwardError:
    return BackwardError(f"in the backward of {node.op.name}, made at {node.line()}: {error}")
