"""Whether the images of a batch depend on each other, by what each operation does to their axis.

It is decided operation by operation, never by trying numbers: `x / maximum(abs(x).max(), 1)` is
the same for one image as for four as long as all are small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minires.backend import Array
from minires.model_recording import Leaf, Recorded, Recording, Ref
from minires.ops.reduction import normalize_axes
from minires.structures import leaves

Shape = tuple[int, ...]


def independent(recording: Recording, examples: Sequence[Array]) -> bool:
    """Whether all inputs and results have the images on axis 0, each from its own image alone."""
    shapes = {ref: array.shape for ref, array in zip(recording.inputs, examples, strict=True)}
    lengths = {shape[:1] for shape in shapes.values()}
    of_images = dict.fromkeys(recording.inputs, len(lengths) == 1 and () not in lengths)
    for step in recording.steps:
        values = (*step.inputs, *step.constants.values())
        inputs = [i for i in values if type(i) is Ref and i in shapes]
        if not inputs:
            continue  # of constants only, and one itself
        shapes[step.out] = step.shape
        first = shapes[inputs[0]][:1]
        known = all(of_images[i] for i in inputs) and step.op.name in _RULES
        operands = [shapes.get(i) if type(i) is Ref else None for i in step.inputs]
        kept = known and step.shape[:1] == first and _RULES[step.op.name](step, operands)
        of_images[step.out] = kept
    return all(of_images.get(ref, False) for ref in leaves(recording.outputs))


# Each rule is asked of a step whose result is as long on axis 0 as what it is computed from:
# whether that axis is still the images'. `operands` are shapes, and None for constants.


def _number_by_number(step: Recorded, operands: list[Shape | None]) -> bool:
    """Broadcasting must not bring the images' axis elsewhere, nor tell images apart."""
    return all(
        len(shape) == len(step.shape) if shape is not None else _same_for_all(value, step.shape)
        for value, shape in zip(step.inputs, operands, strict=True)
    ) and not any(hasattr(constant, "ndim") for constant in step.constants.values())


def _same_for_all(constant: Any, shape: Shape) -> bool:
    constant = constant.tensor.array if isinstance(constant, Leaf) else constant
    return getattr(constant, "ndim", 0) < len(shape) or bool(constant.shape[0] == 1)


def _first_by_weights(step: Recorded, operands: list[Shape | None]) -> bool:
    return operands[0] is not None and not any(operands[1:])


def _product(step: Recorded, operands: list[Shape | None]) -> bool:
    if len(step.shape) == 2:
        return _first_by_weights(step, operands) and operands[0] is not None
    return _number_by_number(step, operands)


def _along_others(step: Recorded, operands: list[Shape | None]) -> bool:
    axis = step.constants.get("axis", -1 if step.op.name in ("softmax", "log_softmax") else None)
    return operands[0] is not None and 0 not in normalize_axes(axis, len(operands[0]))


def _joined(step: Recorded, operands: list[Shape | None]) -> bool:
    return None not in operands and step.constants["axis"] % len(step.shape) > 0


def _picked(step: Recorded, operands: list[Shape | None]) -> bool:
    key = step.constants["key"]
    first, *others = key if isinstance(key, tuple) else (key,)
    plain = all(other is None or isinstance(other, int | slice) for other in others)
    return isinstance(first, slice) and first == slice(None) and plain


_RULES: dict[str, Callable[[Recorded, list[Shape | None]], bool]] = {
    **dict.fromkeys(
        (
            *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "where"),
            *("negative", "exp", "log", "sqrt", "absolute", "sign", "clip", "astype", "move"),
            *("erf", "relu", "leaky_relu", "sigmoid", "tanh", "less", "less_equal", "greater"),
            *("greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not"),
        ),
        _number_by_number,
    ),
    **dict.fromkeys(
        ("conv2d", "conv2d_dx", "scale_shift", "max_pool2d", "avg_pool2d"), _first_by_weights
    ),
    **dict.fromkeys(
        (
            *("softmax", "log_softmax", "argmax", "argmin"),
            *("sum", "mean", "var", "std", "logsumexp"),
        ),
        _along_others,
    ),
    "matmul": _product,
    "reshape": lambda step, operands: True,  # its first axis is as long as before
    "transpose": lambda step, operands: (step.constants.get("axes") or [-1])[0] == 0,
    "pad": lambda step, operands: tuple(step.constants["width"][0]) == (0, 0),
    "_concatenate": _joined,
    "take_along": lambda step, operands: (
        step.constants["axis"] % len(step.shape) > 0 and type(step.constants["indices"]) is Ref
    ),
    "take": _picked,
}
