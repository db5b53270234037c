"""The optimiser against the model, before anything is run.

Reach: parameters that no optimiser holds or that belong to another model, layers in plain lists,
one layer in several places, parameters frozen at their random initial values, equal weights in all
units, momentum that never forgets, weight decay within a few steps, dropout of nearly everything,
batch norm whose statistics never or always move, too few numbers for the classes.
Not in reach: whether a rate or a decay that is merely unusual suits the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minires import nn
from minires.checks.places import line_of_function, listed
from minires.checks.report import Finding
from minires.checks.setup import host
from minires.nn import init
from minires.optim import SGD, Adam, AdamW, Optimizer
from minires.tensors import Tensor

LONG_MEMORY = 0.995  # a momentum from here on averages over 200 steps and more
SHORT_DECAY = 20  # steps in which weight decay alone takes weights to 1 / e
MOST_DROPPED = 0.9


def check_structure(model: Any, optimizer: Optimizer) -> Iterator[Finding]:
    """Every check that costs nothing."""
    yield parameters_in_optimizer(model, optimizer)
    yield layers_in_lists(model, optimizer)
    yield layers_once(model)
    yield frozen(model, optimizer)
    yield units_differ(model)
    yield decay_and_momentum(optimizer)
    yield dropout(model)
    yield batch_norm(model)
    yield wide_enough(model)


def held_by(optimizer: Optimizer) -> set[int]:
    """The identities of what an optimiser updates."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def parameters_in_optimizer(model: Any, optimizer: Optimizer) -> Finding:
    """Whether each parameter that wants a gradient is updated."""
    check = "parameters in optimizer"
    held = held_by(optimizer)
    wanting = {n: p for n, p in model.named_parameters() if p.requires_grad}
    missing = [name for name, p in wanting.items() if id(p) not in held]
    numbers = {"wanting": len(wanting), "missing": missing, "held": len(held)}
    line = line_of_function(model)
    if not wanting:
        return Finding(
            check,
            "broken",
            "no parameter of the model wants a gradient: nothing can learn",
            numbers,
            line,
            "call requires_grad_(True) on what shall learn",
        )
    if not missing:
        return Finding(
            check,
            "holds",
            f"the optimizer holds all {len(wanting)} parameters that want a gradient",
            numbers,
        )
    sizes = sum(wanting[name].size for name in missing)
    share = sizes / sum(p.size for p in wanting.values())
    numbers["share"] = share
    others = len(held - {id(p) for p in model.parameters()})
    whose = f"; it holds {others} that are not the model's" if others else ""
    return Finding(
        check,
        "broken",
        f"the optimizer lacks {len(missing)} of the model's {len(wanting)} parameters that want a "
        f"gradient ({share:.0%} of the numbers): {listed(missing)}{whose}",
        numbers,
        line,
        "make the optimizer from model.parameters(), after the model is complete; freeze with "
        "requires_grad_(False) what shall stay as it is",
    )


def layers_in_lists(model: Any, optimizer: Optimizer) -> Finding:
    """Whether modules and tensors sit where the model does not look for them."""
    check = "layers registered"
    known = {id(m) for m in model.modules()} | {id(p) for p in model.parameters()}
    known |= held_by(optimizer)
    lost, line = [], ""
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key.startswith("_") and key in ("_modules", "_parameters", "_buffers", "_unsaved"):
                continue
            for inner in _contents(value):
                if id(inner) not in known and _learns(inner):
                    lost.append(f"{name}.{key}" if name else key)
                    line = line or line_of_function(module)
    lost = list(dict.fromkeys(lost))
    if lost:
        return Finding(
            check,
            "broken",
            f"{listed(lost)} holds layers or tensors that want a gradient and are neither among "
            "the model's parameters nor in the optimizer: they are never updated",
            {"places": lost},
            line,
            "use nn.ModuleList, nn.ModuleDict or nn.Parameter instead of plain Python containers",
        )
    return Finding(check, "holds", "no layer sits in a plain list, tuple or dict")


def _contents(value: Any, depth: int = 2) -> Iterator[Any]:
    """Modules and tensors in plain containers, and tensors that are no Parameters."""
    if isinstance(value, nn.Module | Tensor):
        yield value
    elif isinstance(value, list | tuple | set | dict) and depth:
        inside = value.values() if isinstance(value, dict) else value
        for inner in inside:
            yield from _contents(inner, depth - 1)


def _learns(value: Any) -> bool:
    if isinstance(value, nn.Module):
        return any(p.requires_grad for p in value.parameters())
    return bool(value.requires_grad and value.is_leaf)


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
            return Finding(
                check,
                "broken",
                f"one and the same layer stands {most} times in {where}: these places share their "
                "weights",
                {"container": name, "times": most},
                line_of_function(model),
                "[layer] * n repeats one layer: make each with [Layer() for _ in range(n)]",
            )
    return Finding(check, "holds", "no container holds one layer twice")


def frozen(model: Any, optimizer: Optimizer) -> Finding:
    """Whether what is frozen has been learnt before, or still is as it was drawn."""
    check = "frozen parameters"
    weights = [(n, m) for n, m in model.named_modules() if _plain_layer(m)]
    off = [(n, m) for n, m in weights if not m.weight.requires_grad]
    every = sum(p.size for p in model.parameters())
    asleep = sum(p.size for p in model.parameters() if not p.requires_grad)
    numbers: dict[str, Any] = {"share": asleep / max(every, 1)}
    if not asleep:
        return Finding(check, "holds", "no parameter is frozen", numbers)
    fresh = [n for n, m in off if _as_drawn(m)]
    numbers["as drawn"] = fresh
    if fresh:
        return Finding(
            check,
            "broken",
            f"{asleep / every:.0%} of the parameters are frozen, and {listed(fresh)} is frozen at "
            "values that look as drawn at random (uniform within 1 / sqrt(fan-in)): it never "
            "learnt and never will",
            numbers,
            line_of_function(model),
            "call requires_grad_(True), or load trained weights before freezing",
        )
    return Finding(
        check,
        "holds",
        f"{asleep / every:.0%} of the parameters are frozen, at values that are not those of the "
        "default initialisation",
        numbers,
    )


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


def units_differ(model: Any) -> Finding:
    """Whether the units of a layer begin with different weights."""
    check = "units differ"
    for name, module in model.named_modules():
        if not _plain_layer(module) or module.weight.shape[-1] < 2:
            continue
        weight = host(module.weight).reshape(-1, module.weight.shape[-1])
        if weight.any() and (weight == weight[:, :1]).all() and weight.shape[1] > 2:
            return Finding(
                check,
                "broken",
                f"all {weight.shape[1]} units of {name} begin with the same weights "
                f"({weight.flat[0]:.3g}, ...): they get the same gradient and stay one and the "
                "same",
                {"layer": name, "units": weight.shape[1]},
                line_of_function(model),
                "draw the weights at random, as the layers' default initialisation does",
            )
    return Finding(check, "holds", "no layer's units begin all alike")


def decay_and_momentum(optimizer: Optimizer) -> Finding:
    """How long momentum remembers, and how fast weight decay alone forgets the weights."""
    check = "momentum and weight decay"
    worst: dict[str, Any] = {"memory": 1.0, "decay steps": math.inf}
    for group in optimizer.param_groups:
        momentum = group.get("momentum", 0.0)
        if isinstance(optimizer, Adam):
            momentum = group["betas"][0]
        memory = 1 / (1 - momentum) if momentum < 1 else math.inf
        rate = group["lr"] * group.get("weight_decay", 0.0)
        shrink = 0.0  # an L2 penalty that Adam or RMSprop scale does not shrink by its size
        if type(optimizer) is AdamW:
            shrink = rate
        elif isinstance(optimizer, SGD):
            kept = 1 - group["dampening"] if momentum else 1
            shrink = rate * kept * memory if math.isfinite(memory) else rate
        worst["memory"] = max(worst["memory"], memory)
        worst["decay steps"] = min(worst["decay steps"], 1 / shrink if shrink else math.inf)
    said = []
    if worst["memory"] >= 1 / (1 - LONG_MEMORY) - 1e-6:
        steps = f"{worst['memory']:,.0f}" if math.isfinite(worst["memory"]) else "endlessly many"
        said.append(
            f"the momentum sums gradients over {steps} steps: the rate in effect is as many times "
            "as large, and the step goes on for as long in an old direction"
        )
    if worst["decay steps"] < SHORT_DECAY:
        said.append(
            f"weight decay alone takes the weights to 1/e within {worst['decay steps']:.1f} steps "
            "(lr * weight_decay / (1 - momentum) a step)"
        )
    if said:
        return Finding(
            check,
            "broken",
            "; ".join(said),
            worst,
            "",
            "momentum of 0.9 and weight_decay of about 1e-4 are usual",
        )
    decay = worst["decay steps"]
    decays = f"decays weights within {decay:,.0f} steps" if math.isfinite(decay) else "no decay"
    return Finding(check, "holds", f"momentum over {worst['memory']:.0f} steps, {decays}", worst)


def dropout(model: Any) -> Finding:
    """How much of the signal dropout lets through."""
    check = "dropout"
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Dropout) and m.p]
    if not layers:
        return Finding(check, "holds", "there is no dropout layer that drops anything")
    name, worst = max(layers, key=lambda item: item[1].p)
    numbers = {"layer": name, "p": worst.p}
    if worst.p >= MOST_DROPPED:
        return Finding(
            check,
            "broken",
            f"{name} drops {worst.p:.0%} of its values in training (p is the share that is "
            "dropped, not kept)",
            numbers,
            line_of_function(model),
            "p of 0.1 to 0.5 is usual",
        )
    return Finding(check, "holds", f"at most {worst.p:.0%} is dropped, in {name}", numbers)


def batch_norms(model: Any) -> list[tuple[str, Any]]:
    """The batch norm layers with their names."""
    found = nn.BatchNorm1d | nn.BatchNorm2d
    return [(n, m) for n, m in model.named_modules() if isinstance(m, found)]


def batch_norm(model: Any) -> Finding:
    """Whether batch norm's running statistics move, and average."""
    check = "batch norm's momentum"
    layers = [
        (n, m) for n, m in batch_norms(model) if m.track_running_stats and m.momentum is not None
    ]
    if not layers:
        return Finding(check, "holds", "there is no batch norm with running statistics")
    for name, layer in layers:
        numbers = {"layer": name, "momentum": layer.momentum}
        if layer.momentum == 0:
            said = "never move from 0 and 1: evaluation normalises by these"
        elif layer.momentum >= MOST_DROPPED:
            said = f"are to {layer.momentum:.0%} those of the last batch"
        elif layer.momentum < 1e-3:
            said = f"take {1 / layer.momentum:,.0f} steps to follow"
        else:
            continue
        return Finding(
            check,
            "broken",
            f"momentum={layer.momentum:g} in {name}: its running statistics {said}",
            numbers,
            line_of_function(model),
            "momentum is the share of the new batch: 0.1 is usual (elsewhere called 0.9)",
        )
    return Finding(check, "holds", f"running statistics of {len(layers)} layers move and average")


def images_for_batch_norm(model: Any, size: int) -> Finding:
    """Whether batch norm's mean and variance are of more than two images."""
    check = "images for batch norm"
    if not batch_norms(model):
        return Finding(check, "holds", "there is no batch norm")
    if size <= 2:
        return Finding(
            check,
            "broken",
            f"batch norm takes its mean and variance from {size} image{'s' if size > 1 else ''} at "
            "a time: they scatter, and those of evaluation are others",
            {"images": size},
            "",
            "train on batches of 16 and more, or use GroupNorm",
        )
    return Finding(check, "holds", f"{size} images at a time", {"images": size})


def wide_enough(model: Any) -> Finding:
    """Whether more than one number reaches the last layer."""
    check = "width"
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not layers:
        return Finding(check, "holds", "there is no linear layer")
    for name, layer in layers:
        if layer.in_features == 1 and layer.out_features >= 4:
            return Finding(
                check,
                "broken",
                f"{name} makes {layer.out_features} outputs of 1 number: what comes before it has "
                "pooled all else away",
                {"layer": name, "in": 1, "out": layer.out_features},
                line_of_function(model),
                "pool over the image axes (1, 2) only, and keep the channels",
            )
    return Finding(check, "holds", "every linear layer gets more than one number")
