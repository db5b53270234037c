"""Mutants made by machine: every gradient rule broken in the same dozen ways."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import claims
import numpy as np

from minires import engine
from minires.engine import raw
from minires.gradcheck import Report, gradcheck
from minires.gradcheck.cases import OPERATIONS


@dataclass(frozen=True)
class Broken:
    """A way to break a rule.

    Attributes
    ----------
    name : str
    change : callable
        `change(gradients)` gives the wrong gradients: a list of arrays and None.
    upstream : callable
        What is done to the upstream gradient first.
    order : int
        The order of derivative that it breaks.
    alone : bool
        Whether it breaks only what is computed when not every argument's gradient is wanted.
    told : str
        A regular expression: what may be said of it first, going by what is broken.
    """

    name: str
    told: str
    change: Callable = list
    upstream: Callable = lambda g: g
    order: int = 1
    alone: bool = False


def each(function):
    """`function` on every gradient that there is."""
    return lambda grads: [None if g is None else np.asarray(function(np.array(g))) for g in grads]


def only(index, function):
    """`function` on one gradient."""

    def change(grads):
        return [
            np.asarray(function(np.array(g))) if i == index and g is not None else g
            for i, g in enumerate(grads)
        ]

    return change


def first_index_only(g):
    if not g.ndim:
        return g
    kept = np.zeros_like(g)
    kept[:1] = g[:1]
    return kept


def last_entry_dropped(g):
    g[(-1,) * g.ndim] = 0
    return g


def averaged(g):
    return g / (len(g) if g.ndim else 2)


def rolled(g):
    return np.roll(g, 1, axis=-1) if g.ndim else g


def backwards(g):
    return np.flip(g)


def in_memory_order(g):
    return g.ravel("K").reshape(g.shape)


def clipped(g):
    return np.asarray(np.clip(g, -2, 2))  # of 0-d arrays NumPy makes scalars


def size_only(g):
    return np.asarray(abs(g))


def exchanged(grads):
    """The first two gradients in each other's places, where they have one shape."""
    first, second, *rest = grads
    fits = first is not None and second is not None and first.shape == second.shape
    return [second, first, *rest] if fits else list(grads)


def ways(arguments):
    """All ways for a rule of that many arguments."""
    nonlinear = "not linear in the upstream gradient"
    yield Broken("upstream ignored", "upstream gradient is ignored", upstream=np.ones_like)
    yield Broken("upstream's size only", nonlinear, upstream=size_only)
    yield Broken("upstream clipped", nonlinear, upstream=clipped)
    yield Broken("in float32", "float32", each(lambda g: g.astype(np.float32)))
    # where a gradient is broadcast, other orders of memory are part of the plain check
    layout = "Fortran-ordered inputs change|right numbers at the wrong entries"
    yield Broken("in the order of memory", layout, each(in_memory_order))
    yield Broken("sign", "sign is wrong", each(np.negative))
    yield Broken("twice", "factor of 2:", each(lambda g: 2 * g))
    yield Broken("off by 1 in 10,000", r"analytic = 1\.0001 ", each(lambda g: 1.0001 * g))
    yield Broken("cut off from the graph", "graph was cut", each_detached, order=2)
    alone = "not every input's is wanted|factor of 2:"  # of one argument it is the plain check
    yield Broken("twice if alone", alone, each(lambda g: 2 * g), alone=True)
    zeros = r"zero (only )?at|zero everywhere|wrong only at \["
    # before sums over broadcast axes, the shapes of gradients and places are not those one sees
    elsewhere = "does not depend on .*, yet passes a gradient on"
    for i in range(arguments):
        yield Broken(f"argument {i} zero", "zero everywhere", only(i, lambda g: 0 * g))
        yield Broken(f"argument {i} averaged", "factor of 1/", only(i, averaged))
        yield Broken(f"argument {i} last entry dropped", zeros, only(i, last_entry_dropped))
        first = r"right only at index 0 of .*, zero at the others"
        yield Broken(f"argument {i} first index only", first, only(i, first_index_only))
        # of two entries, shifting by one turns them round
        moved = f"shifted by 1 along|back to front|numbers at the wrong entries|{elsewhere}"
        yield Broken(f"argument {i} shifted", moved, only(i, rolled))
        yield Broken(f"argument {i} back to front", "back to front", only(i, backwards))
    if arguments > 1:
        yield Broken("gradients exchanged", f"exchanged|{elsewhere}", exchanged)


def each_detached(grads):
    """Right values that forget what they were computed from."""
    return [g if g is None or not hasattr(g, "detach") else g.detach() for g in grads]


def rule_of(operation, broken):
    """The broken rule, and a list that fills up once it has done any harm."""
    right = operation.rule
    harm = []

    def rule(g, *kept):
        grads = right(g, *kept)
        if broken.order == 2:
            changed = broken.change(grads)
            if any(a is not None and getattr(a, "requires_grad", False) for a in grads):
                harm.append(True)
            return changed
        everything = not operation.wants_needs or all(kept[operation.requests.index("needs")])
        if hasattr(g, "detach") or (broken.alone and everything):
            return grads
        wrong = broken.change(right(broken.upstream(g), *kept))
        for a, b in zip(grads, wrong, strict=True):
            if a is not None and not np.array_equal(raw(a), raw(b)):
                harm.append(True)
        return wrong

    return rule, harm


def operations():
    """The library's own operations."""
    return [o for name, o in engine.registry.items() if name.startswith("minires.ops.") and o.rule]


@dataclass(frozen=True)
class Outcome:
    """What gradcheck says of a mutant, the smaller cases first until one is found wrong.

    Attributes
    ----------
    operation : str
    broken : Broken
    harm : bool
        Whether it changes anything at all.
    report : Report or None
        Of the first case where it is noticed.
    case : str
    untrue : list of str
        What is said and does not hold when it is measured again.
    """

    operation: str
    broken: Broken
    harm: bool
    report: Report | None = None
    case: str = ""
    untrue: Sequence[str] = ()

    def __str__(self):
        return f"{self.operation}: {self.broken.name}"


@functools.cache
def sweep():
    """Every operation broken in every way, and checked."""
    return [
        _outcome(operation, broken)
        for operation in operations()
        for broken in ways(max(len(operation.arguments), 1))
    ]


def _outcome(operation, broken):
    rule, harm = rule_of(operation, broken)
    right, operation.rule = operation.rule, rule
    try:
        for case in sorted(OPERATIONS[operation.name], key=lambda c: c.size):
            empty = any(np.size(value) == 0 for value in case.inputs)
            if empty or case.order < broken.order:
                continue
            subject, inputs = case.subject, case.inputs
            report = gradcheck(subject, inputs, order=broken.order, raise_exception=False)
            if not report:
                untrue = claims.untrue(report, subject, inputs)
                return Outcome(operation.name, broken, True, report, str(case), untrue)
    finally:
        operation.rule = right
    return Outcome(operation.name, broken, bool(harm))
