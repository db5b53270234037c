"""What a wrong gradient looks like: the mistakes that everybody makes, recognised.

Every hint is first a fact about the arrays, and only then a question about the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np  # host arithmetic in float64

from minires.gradcheck import jacobian, known_arrays, patterns, places
from minires.gradcheck.alike import CLOSE, Alike, HostArray
from minires.gradcheck.comparison import Comparison
from minires.gradcheck.patterns import Shapes


@dataclass(frozen=True)
class Evidence:
    """What is known of a failed comparison beside its values.

    Attributes
    ----------
    numeric : array
        Its numeric gradient, with a one-sided slope at kinks.
    kinks : array of bool
        Entries where the one-sided slopes disagree.
    shapes : sequence of tuple
        Of all inputs and of the output: where a factor of N may come from.
    none : bool
        Whether the backward gave no gradient at all.
    cause : str or None
        What is known to be wrong with it beside the values, and explains them.
    noise : float
        How far off rounding of the function's values can put a numeric slope.
    x, upstream : array or None
        The input and the upstream gradient.
    known : mapping of str to array
        Whatever a rule may have multiplied with, by the name that it has there.
    others : mapping of str to array
        The numeric gradients with respect to the other inputs, of this output.
    jacobian : callable
        Measures the Jacobian, if that is affordable.
    """

    numeric: HostArray
    kinks: HostArray
    shapes: Shapes
    none: bool = False
    cause: str | None = None
    noise: float = 0.0
    x: HostArray | None = None
    upstream: HostArray | None = None
    known: Mapping[str, HostArray] = field(default_factory=dict)
    others: Mapping[str, HostArray] = field(default_factory=dict)
    jacobian: Callable[[], jacobian.Jacobian | None] = lambda: None


def find(comparison: Comparison, evidence: Evidence) -> str | None:
    """The mistake that a failed comparison looks like, None if like no mistake known here."""
    analytic, numeric = comparison.analytic, evidence.numeric
    wrong = comparison.wrong
    if not wrong.any():
        return None  # too many kinks, which the text says already
    if evidence.none:
        return "the backward gave no gradient (None, or the graph was cut), but there is one"
    if not np.isfinite(analytic).all():
        return "the analytic gradient has NaN or infinite entries"
    if not np.isfinite(numeric).all():
        return "the function itself is NaN or infinite next to this point"
    if evidence.cause:
        return evidence.cause
    if evidence.kinks[wrong].all():
        return "it differs only at kinks, where it lies outside both one-sided slopes"
    if not analytic.any():
        return "the analytic gradient is zero everywhere, the numeric one is not"
    if comparison.error.max() <= evidence.noise:
        return (
            "not certain: the outputs are so large beside their slopes that rounding puts the "
            f"numeric ones off by up to {evidence.noise:.1g}; check without what is constant"
        )
    if abs(numeric).max() <= comparison.tolerance:
        return "the gradient should be zero: the output does not depend on this input"
    scale = abs(numeric).max() or 1.0
    alike = Alike(min(CLOSE * scale, comparison.error.max() / 10))
    if comparison.directional:  # entries have no places
        return patterns.multiple(analytic, numeric, alike, evidence.shapes)
    return _of_arrays(analytic, numeric, wrong, evidence, alike) or _of_single_entries(
        numeric, wrong, evidence, alike
    )


def _of_arrays(
    a: HostArray, n: HostArray, wrong: HostArray, evidence: Evidence, alike: Alike
) -> str | None:
    """What the gradients themselves say, the plainest first."""
    names = places.names_of(a)
    return (
        patterns.multiple(a, n, alike, evidence.shapes)
        or known_arrays.unchanged(a, evidence.upstream, alike)
        or known_arrays.exchanged(a, evidence.others, alike)
        or patterns.moved(a, n, alike)
        or patterns.shifted(a, n, alike)
        or known_arrays.power(a, n, evidence.known, alike)
        or patterns.factor_by_index(a, n, alike)
        or known_arrays.quotient(a, n, evidence.known, alike)
        or places.describe(a, n, wrong, names, alike)
        or known_arrays.term(a, n, evidence.known, alike)
        or patterns.missing_term(a, n, evidence.x, evidence.upstream, alike)
        or patterns.unlike_sums(a, n)
        or patterns.constant(a, n, alike)
        or known_arrays.exchanged_sums(a, evidence.others)
    )


def _of_single_entries(
    n: HostArray, wrong: HostArray, evidence: Evidence, alike: Alike
) -> str | None:
    """What only the terms of the gradient's sums say; and where it is wrong, if not how."""
    measured = evidence.jacobian()
    place = places.where(n, wrong, places.names_of(n), alike)
    if measured is None:
        return place
    return (
        jacobian.find(measured)
        or jacobian.find_example(measured)
        or place
        or jacobian.same_places(measured)
    )
