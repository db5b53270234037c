"""What single layers make of one batch.

Reach: units dead or saturated; batch norm whose eps is far above the variance.
"""

from __future__ import annotations

import numpy as np

from minires import nn
from minires.checks.forward import Seen
from minires.checks.places import listed
from minires.checks.report import Finding, broken, holds

DEAD = 0.8  # share of a layer's units
SATURATED = 0.7  # share of a layer's values


def units_alive(seen: Seen) -> Finding:
    """Whether units answer at all, and not all at their ends."""
    check = "units alive"
    worst = 0.0
    for name, module, _, out in seen.layers:
        if not isinstance(module, nn.ReLU | nn.Sigmoid | nn.Tanh) or out.ndim < 2:
            continue
        units = out.reshape(-1, out.shape[-1])
        if isinstance(module, nn.ReLU):
            dead = float((units <= 0).all(0).mean())
            worst = max(worst, dead)
            if dead >= DEAD and len(seen.outputs) >= 8:
                return broken(
                    check,
                    f"{dead:.0%} of the units of {name} (ReLU) give 0 for all {len(out)} images: "
                    "they get no gradient",
                    "look at the biases and weights before it, or use a smaller rate",
                    seen.line,
                    {"layer": name, "dead": dead},
                )
        else:
            ends = np.abs(units if isinstance(module, nn.Tanh) else 2 * units - 1)
            full = float((ends > 0.99).mean())
            worst = max(worst, full)
            if full >= SATURATED:
                return broken(
                    check,
                    f"{full:.0%} of the values of {name} ({type(module).__name__}) are at its ends,"
                    " where it has next to no slope",
                    "scale the inputs to mean 0 and standard deviation 1",
                    seen.line,
                    {"layer": name, "saturated": full},
                )
    return holds(check, f"at most {worst:.0%} of a layer is dead or saturated", {"worst": worst})


def normalised(seen: Seen) -> Finding:
    """Whether batch norm divides by the variance, and not by its eps."""
    check = "batch norm normalises"
    bad = []
    largest = 0.0
    for name, module, given, _ in seen.layers:
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.eps >= 1e-2:
            variance = float(np.median(given.reshape(-1, given.shape[-1]).astype("f8").var(0)))
            if module.eps > 10 * variance:
                bad.append(name)
                largest = max(largest, module.eps / max(variance, 1e-30))
    if bad:
        return broken(
            check,
            f"eps of {listed(bad)} is up to {largest:,.0f} times the variance of what comes in: it "
            "divides by eps, and the signal shrinks",
            "eps of 1e-5 is usual",
            seen.line,
            {"layers": bad, "ratio": largest},
        )
    return holds(check, "no batch norm's eps is above the variance")
