"""Settings that are judged by what they say, before anything is run.

Reach: momentum that never forgets, weight decay within a few steps, dropout of nearly everything,
batch norm whose statistics never or always move.
Not in reach: whether a rate or a decay that is merely unusual suits the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from minires import nn
from minires.checks.places import line_of
from minires.checks.report import Finding, broken, holds
from minires.checks.setup import host
from minires.optim import SGD, Adam, AdamW, Optimizer

LONG_MEMORY = 0.995  # a momentum from here on averages over 200 steps and more
SHORT_DECAY = 20  # steps in which weight decay alone takes weights to 1 / e
MOST_DROPPED = 0.9


def check_settings(model: Any, optimizer: Optimizer) -> Iterator[Finding]:
    """Every check of a setting."""
    yield decay_and_momentum(optimizer)
    yield dropout(model)
    yield batch_norm(model)


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
        does = "sums gradients over {} steps: the rate in effect is as many times as large, and"
        if isinstance(optimizer, Adam):
            does = "(the first beta) averages gradients over {} steps:"
        said.append(
            f"the momentum {does.format(steps)} the step goes on for as long in an old direction"
        )
    if worst["decay steps"] < SHORT_DECAY:
        said.append(
            f"weight decay alone takes the weights to 1/e within {worst['decay steps']:.1f} steps "
            "(lr * weight_decay / (1 - momentum) a step)"
        )
    if said:
        return broken(
            check,
            "; ".join(said),
            "momentum of 0.9 and weight_decay of about 1e-4 are usual",
            line_of(optimizer),
            worst,
        )
    decay = worst["decay steps"]
    decays = f"decays weights within {decay:,.0f} steps" if math.isfinite(decay) else "no decay"
    return holds(check, f"momentum over {worst['memory']:.0f} steps, {decays}", worst)


def dropout(model: Any) -> Finding:
    """How much of the signal dropout lets through."""
    check = "dropout"
    kinds = nn.Dropout | nn.StochasticDepth
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, kinds) and m.p]
    if not layers:
        return holds(check, "there is no dropout layer that drops anything")
    name, worst = max(layers, key=lambda item: item[1].p)
    numbers = {"layer": name, "p": worst.p}
    if worst.p >= MOST_DROPPED:
        return broken(
            check,
            f"{name} drops {worst.p:.0%} of its values in training (p is the share that is "
            "dropped, not kept)",
            "p of 0.1 to 0.5 is usual",
            line_of(worst),
            numbers,
        )
    return holds(check, f"at most {worst.p:.0%} is dropped, in {name}", numbers)


def batch_norm(model: Any) -> Finding:
    """Whether batch norm's running statistics move, and average."""
    check = "batch norm's momentum"
    kinds = nn.BatchNorm1d | nn.BatchNorm2d
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, kinds)]
    layers = [(n, m) for n, m in layers if m.track_running_stats and m.momentum is not None]
    if not layers:
        return holds(check, "there is no batch norm with running statistics")
    for name, layer in layers:
        momentum = layer.momentum or 0.0
        numbers = {"layer": name, "momentum": layer.momentum}
        if momentum == 0 and host(layer.running_mean).any():
            continue  # statistics that were learnt before are kept
        if momentum == 0:
            said = "never move from 0 and 1: evaluation normalises by these"
        elif momentum >= MOST_DROPPED:
            said = f"are to {momentum:.0%} those of the last batch"
        elif momentum <= 1e-3:
            said = f"take {1 / momentum:,.0f} steps to follow"
        else:
            continue
        return broken(
            check,
            f"momentum={momentum:g} in {name}: its running statistics {said}",
            "momentum is the share of the new batch: 0.1 is usual (elsewhere called 0.9)",
            line_of(layer),
            numbers,
        )
    return holds(check, f"running statistics of {len(layers)} layers move and average")
