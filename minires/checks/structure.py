"""The optimiser against the model: what it holds, and what stands where.

Reach: parameters that no optimiser holds or that belong to another model, layers in plain lists,
one layer in several places of a list.
Not in reach: why something was left out. What somebody else moves (a second optimiser, an average
of the weights) or has trained before is left out on purpose, and is told by what steps do to it and
by its singular values.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from minires import nn
from minires.checks.places import line_of, listed
from minires.checks.report import Finding, broken, holds, not_checked
from minires.checks.setup import host
from minires.checks.trace import Tracer
from minires.nn import init
from minires.optim import Optimizer
from minires.tensors import Tensor


def check_structure(
    model: Any, optimizer: Optimizer, after: Tracer | None = None
) -> Iterator[Finding]:
    """Every check of what the optimiser holds; `after` some traced steps, they know what moved."""
    moved = after.moved() if after else set()
    yield parameters_in_optimizer(model, optimizer, moved)
    yield layers_in_lists(model, optimizer, after is not None)
    yield layers_once(model)


def held_by(optimizer: Optimizer) -> set[int]:
    """The identities of what an optimiser updates."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def parameters_in_optimizer(
    model: Any, optimizer: Optimizer, moved: Collection[str] = ()
) -> Finding:
    """Whether each parameter that wants a gradient is updated, by this optimiser or another."""
    check = "parameters in optimizer"
    held = held_by(optimizer)
    wanting = {n: p for n, p in model.named_parameters() if p.requires_grad}
    missing = [name for name, p in wanting.items() if id(p) not in held and name not in moved]
    numbers = {"wanting": len(wanting), "missing": missing, "held": len(held)}
    line = line_of(optimizer) or line_of(model)
    if not wanting:
        return broken(
            check,
            "no parameter of the model wants a gradient: nothing can learn",
            "call requires_grad_(True) on what shall learn",
            line,
            numbers,
        )
    if not missing:
        return holds(
            check,
            f"the optimizer holds all {len(wanting)} parameters that want a gradient",
            numbers,
        )
    left_out = {n: m for n, m in model.named_modules() if f"{n}.weight" in missing}
    layers = [m for m in left_out.values() if _plain_layer(m) and m.weight.size >= 100]
    if any(_learnt(m) for m in layers):
        text = f"the optimizer lacks {listed(missing)}, which has learnt before by its looks"
        return not_checked(check, text)
    sizes = sum(wanting[name].size for name in missing)
    share = sizes / sum(p.size for p in wanting.values())
    numbers["share"] = share
    others = len(held - {id(p) for p in model.parameters()})
    whose = f"; it holds {others} that are not the model's" if others else ""
    return broken(
        check,
        f"the optimizer lacks {len(missing)} of the model's {len(wanting)} parameters that want a "
        f"gradient ({share:.0%} of the numbers): {listed(missing)}{whose}",
        "make the optimizer from model.parameters(), after the model is complete; freeze with "
        "requires_grad_(False) what shall stay as it is",
        line,
        numbers,
    )


def layers_in_lists(model: Any, optimizer: Optimizer, ran: bool = False) -> Finding:
    """Whether modules and tensors sit where the model does not look for them.

    After a step (`ran`) only those count that got a gradient: a teacher is hidden on purpose.
    """
    check = "layers registered"
    known = {id(m) for m in model.modules()} | {id(p) for p in model.parameters()}
    known |= held_by(optimizer)
    lost, line = [], ""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key.startswith("_") and key in ("_modules", "_parameters", "_buffers", "_unsaved"):
                continue
            for inner in _contents(value):
                if id(inner) not in known and _learns(inner, ran):
                    lost.append(f"{name}.{key}" if name else key)
                    line = line or line_of(module)
    lost = list(dict.fromkeys(lost))
    if lost:
        return broken(
            check,
            f"{listed(lost)} holds layers or tensors that want a gradient and are neither among "
            "the model's parameters nor in the optimizer: they are never updated",
            "use nn.ModuleList, nn.ModuleDict or nn.Parameter instead of plain Python containers",
            line,
            {"places": lost},
        )
    return holds(check, "no layer sits in a plain list, tuple or dict")


def _contents(value: Any, depth: int = 2) -> Iterator[Any]:
    """Modules and tensors in plain containers, and tensors that are no Parameters."""
    if isinstance(value, nn.Module | Tensor):
        yield value
    elif isinstance(value, list | tuple | set | dict) and depth:
        inside = value.values() if isinstance(value, dict) else value
        for inner in inside:
            yield from _contents(inner, depth - 1)


def _learns(value: Any, ran: bool) -> bool:
    tensors = value.parameters() if isinstance(value, nn.Module) else [value]
    wanting = [t for t in tensors if t.requires_grad and t.is_leaf]
    return any(t.grad is not None for t in wanting) if ran else bool(wanting)


def layers_once(model: Any) -> Finding:
    """Whether one layer stands in several places of one container, as `[layer] * n` makes it."""
    check = "layers distinct"
    for name, module in model.named_modules():
        if not isinstance(module, nn.Sequential | nn.ModuleList):
            continue
        inside = [m for m in module.children() if any(True for _ in m.parameters())]
        most = max((sum(m is other for other in inside) for m in inside), default=0)
        if most > 1:
            where = name or "the model"
            return broken(
                check,
                f"one and the same layer stands {most} times in {where}: these places share their "
                "weights",
                "[layer] * n repeats one layer: make each with [Layer() for _ in range(n)]",
                line_of(model),
                {"container": name, "times": most},
            )
    return holds(check, "no container holds one layer twice")


def as_drawn(model: Any) -> list[str]:
    """The layers that are frozen at values as the default initialisation draws them.

    Small layers of a network that has learnt before may look so too, and do not count.
    """
    weights = [(n, m) for n, m in model.named_modules() if _plain_layer(m)]
    off = [(n, m) for n, m in weights if not m.weight.requires_grad]
    return [] if any(_learnt(m) for _, m in off) else [n for n, m in off if _as_drawn(m)]


def _plain_layer(module: Any) -> bool:
    return isinstance(module, nn.Linear | nn.Conv2d)


def _as_drawn(layer: Any) -> bool:
    """Whether weights are uniform within 1 / sqrt(fan-in), by Kolmogorov's and Smirnov's test.

    Trained weights leave the bounds, or crowd in the middle of them; small layers tell nothing.
    """
    values = host(layer.weight).ravel().astype(np.float64)
    if values.size < 100:
        return False
    bound = 1 / math.sqrt(max(init.fans(layer.weight)[0], 1))
    if np.abs(values).max() > bound * 1.001:
        return False
    ranks = np.sort((values / bound + 1) / 2)
    steps = np.arange(1, ranks.size + 1) / ranks.size
    distance = max(np.abs(ranks - steps).max(), np.abs(ranks - steps + 1 / ranks.size).max())
    return bool(distance < 1.63 / math.sqrt(ranks.size))  # the 1 % point


def _learnt(layer: Any) -> bool:
    """Whether a layer's largest singular value is above that of its numbers in random places.

    Training adds a few strong directions; whatever is drawn at random has none.
    """
    values = host(layer.weight).astype(np.float64)
    values = values.reshape(-1, values.shape[-1])
    draw = np.random.default_rng(0)
    mixed = [draw.permutation(values.ravel()).reshape(values.shape) for _ in range(3)]
    top, *others = (float(np.linalg.norm(v, 2)) for v in (values, *mixed))
    return top > 1.25 * max(others)
