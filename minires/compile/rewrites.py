"""Rewrites of a program: each looks for one pattern, and puts fewer steps in its place.

conv2d(x, w) * scale + shift  =  conv2d(x, w * scale) + shift
max_pool(relu(x + b))         =  relu(max_pool(x) + b)
relu(conv2d(x, w) + b + r)    is finished block by block, in the cache, as it is written
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minires.compile.steps import Program, Step, is_vector
from minires.model_recording import Ref

Uses = Counter[Ref]
Rule = Callable[[Program, Ref, Step, Uses], bool]


def rewrite(program: Program, seen: Callable[[str], None] = lambda rule: None) -> None:
    """Apply every rule, in place, until none finds anything; `seen` is called after each.

    Its argument is what the rule does, in a sentence.
    """
    drop_unused(program)
    for rule in RULES:
        found = False
        while _apply_once(program, rule):
            found = True
        if found:
            seen((rule.__doc__ or "").partition("\n")[0])


def _apply_once(program: Program, rule: Rule) -> bool:
    uses = program.uses()
    return any(rule(program, ref, step, uses) for ref, step in list(program.steps.items()))


def drop_unused(program: Program) -> None:
    """Steps whose values nobody needs go."""
    while unused := program.steps.keys() - program.uses().keys():
        for ref in unused:
            del program.steps[ref]


def fold_batch_norm(program: Program, ref: Ref, step: Step, uses: Uses) -> bool:
    """A batch norm's scale goes into the weights before it, and its shift becomes their bias.

    In float64, rounded once; not in float16, whose weights would lose digits.
    """
    if step.op.name != "scale_shift":
        return False
    maker = _only(program, step.inputs[0], uses, ("conv2d", "matmul"))
    scale, shift = step.inputs[1:]
    C = step.shape[-1]
    if maker is None or maker.relu or maker.residual is not None or step.dtype == np.float16:
        return False
    w = maker.inputs[1]
    if type(w) is Ref or not (is_vector(scale, C) and is_vector(shift, C)):
        return False
    scale, shift = (a.astype(np.float64) for a in (scale, shift))
    before = 0 if maker.bias is None else maker.bias
    maker.inputs[1] = (w * scale).astype(w.dtype)
    maker.bias = (before * scale + shift).astype(w.dtype)
    return _takes_over(program, ref, step.inputs[0], "batch norm")


def join_bias(program: Program, ref: Ref, step: Step, uses: Uses) -> bool:
    """A constant vector that is added to a convolution or a product is its bias."""
    if step.op.name != "add":
        return False
    for made, vector in (step.inputs, step.inputs[::-1]):
        maker = _only(program, made, uses, ("conv2d", "matmul"))
        if maker is None or maker.relu or maker.residual is not None or not _same(maker, step):
            continue
        if is_vector(vector, maker.shape[-1]) and vector.dtype == maker.dtype:
            maker.bias = vector if maker.bias is None else maker.bias + vector
            return _takes_over(program, ref, made, "bias")
    return False


def pool_first(program: Program, ref: Ref, step: Step, uses: Uses) -> bool:
    """Bias and ReLU follow a max pooling instead of leading it: a quarter of the numbers."""
    if step.op.name != "max_pool2d" or step.joined:
        return False
    maker = _only(program, step.inputs[0], uses, ("conv2d",))
    if maker is None or maker.residual is not None or not (maker.relu or maker.bias is not None):
        return False
    step.bias, maker.bias = maker.bias, None
    step.relu, maker.relu = maker.relu, False
    step.joined, maker.joined = maker.joined, []
    return True


def join_residual(program: Program, ref: Ref, step: Step, uses: Uses) -> bool:
    """A value of the same shape that is added: to the later of the two convolutions."""
    if step.op.name != "add" or len(step.reads()) < 2:
        return False
    for made in sorted(step.inputs, reverse=True):
        other = step.inputs[0] if made == step.inputs[1] else step.inputs[1]
        maker = _only(program, made, uses, ("conv2d",))
        if maker is None or maker.relu or maker.residual is not None or not _same(maker, step):
            continue
        shape, dtype = _kind(program, other)
        if other != made and (shape, dtype) == (maker.shape, maker.dtype):
            maker.residual = other
            return _takes_over(program, ref, made, "add")
    return False


def join_relu(program: Program, ref: Ref, step: Step, uses: Uses) -> bool:
    """A ReLU joins what comes before it."""
    if step.op.name != "relu":
        return False
    maker = _only(program, step.inputs[0], uses, ("conv2d", "matmul", "max_pool2d"))
    if maker is None or maker.relu:
        return False
    maker.relu = True
    return _takes_over(program, ref, step.inputs[0], "relu")


RULES: Sequence[Rule] = (
    join_bias,
    fold_batch_norm,
    join_bias,
    join_residual,
    join_relu,
    pool_first,
)


def _only(program: Program, value: Any, uses: Uses, names: Sequence[str]) -> Step | None:
    """The step that made a value, if it is of one of these operations and nobody else needs it."""
    step = program.steps.get(value) if type(value) is Ref else None
    return step if step is not None and step.op.name in names and uses[value] == 1 else None


def _same(maker: Step, step: Step) -> bool:
    return maker.shape == step.shape and maker.dtype == step.dtype


def _kind(program: Program, ref: Ref) -> tuple[tuple[int, ...], Any]:
    if ref in program.steps:
        return program.steps[ref].shape, program.steps[ref].dtype
    return program.shapes[program.inputs.index(ref)]


def _takes_over(program: Program, ref: Ref, maker: Ref, joined: str) -> bool:
    """The step that made `maker` moves to where `ref` was made, and makes that."""
    step = program.steps.pop(maker)
    step.joined.append(joined)
    program.steps[ref] = step  # in the place of the step that is gone
    return True
