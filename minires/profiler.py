"""`minires.profile()`: where the time goes, operation by operation, forward and backward.

While a profile is active, each operation's forward and rule are wrapped in a stopwatch; without one
nothing is wrapped, so it costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from types import TracebackType
from typing import Any, Self

from minires import engine, markup
from minires.backend import finish


@dataclass
class Passes:
    """What one operation took: calls and seconds, of its forward and of its rule."""

    forward_calls: int = 0
    forward: float = 0.0
    backward_calls: int = 0
    backward: float = 0.0

    @property
    def seconds(self) -> float:
        """Both ways together."""
        return self.forward + self.backward


@dataclass
class Profile:
    """Times and calls by operation, as `minires.profile` gives them; `str` draws a table.

    Attributes
    ----------
    operations : dict of str to Passes
        By name; under `by_shape` by name and the shape of the result.
    seconds : float
        Of the whole block. What is not in an operation is the engine's own work and everything else
        in the block: optimisers, data, Python.
    """

    by_shape: bool = False
    operations: dict[str, Passes] = field(default_factory=dict)
    seconds: float = 0.0

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        self._busy = False
        self._plain = [(op, op.forward, op.rule) for op in engine.registry.values()]
        for op, forward, rule in self._plain:
            op.forward = self._timed(op, forward)
            if rule is not None:
                op.rule = self._timed(op, rule, backward=True)
        _active.profiles.append(self)
        finish()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        finish()
        self.seconds += time.perf_counter() - self._start
        _active.profiles.remove(self)
        for op, forward, rule in self._plain:
            op.forward, op.rule = forward, rule

    def step(self, run: Callable[[Any], None]) -> Callable[[Any], None]:
        """`run` of a plan's steps, each timed under its name."""

        def timed(call: Any) -> None:
            self._busy = True
            start = time.perf_counter()
            try:
                run(call)
                finish()
            finally:
                self._busy = False
            shape = f" {tuple(call.step.shape)}" if self.by_shape else ""
            passes = self.operations.setdefault(call.step.name + shape, Passes())
            passes.forward_calls += 1
            passes.forward += time.perf_counter() - start

        return timed

    def _timed(
        self, op: engine.Op, function: Callable[..., Any], backward: bool = False
    ) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: Any, **static: Any) -> Any:
            if self._busy or threading.get_ident() != self._thread:
                return function(*args, **static)
            self._busy = True  # what it calls in its turn is part of it
            start = time.perf_counter()
            try:
                result = function(*args, **static)
                finish()
            finally:
                self._busy = False
            took = time.perf_counter() - start
            name = op.name
            if self.by_shape:
                made = args[0] if backward else result[0] if op.returns_saved else result
                name += f" {tuple(made.shape)}"
            passes = self.operations.setdefault(name, Passes())
            if backward:
                passes.backward_calls += 1
                passes.backward += took
            else:
                passes.forward_calls += 1
                passes.forward += took
            return result

        return timed

    def _rows(self) -> list[tuple[str, ...]]:
        """The operations' rows, the longest first, then the rest and the sum."""
        ranked = sorted(self.operations.items(), key=lambda item: -item[1].seconds)
        rows: list[tuple[str, ...]] = [
            (
                name,
                *(f"{p.forward_calls:,}", f"{p.forward * 1e3:.2f}"),
                *(f"{p.backward_calls:,}", f"{p.backward * 1e3:.2f}"),
                *self._share(p.seconds),
            )
            for name, p in ranked
        ]
        inside = sum(p.seconds for p in self.operations.values())
        rows.append(("outside operations", "", "", "", "", *self._share(self.seconds - inside)))
        rows.append(("together", "", "", "", "", *self._share(self.seconds)))
        return rows

    def _share(self, seconds: float) -> tuple[str, str]:
        return f"{seconds * 1e3:.2f}", f"{seconds / self.seconds:.1%}" if self.seconds else ""

    def __str__(self) -> str:
        head, *body, total = markup.aligned([_HEAD, *self._rows()])
        rule = "-" * len(head)
        return "\n".join([head, rule, *body, rule, total])

    def _repr_html_(self) -> str:
        return markup.table(_HEAD, self._rows())


class _Active(threading.local):
    def __init__(self) -> None:
        self.profiles: list[Profile] = []


_active = _Active()


def current() -> Profile | None:
    """The profile whose block this thread is in, the innermost one."""
    return _active.profiles[-1] if _active.profiles else None


_HEAD = ("operation", "forwards", "ms", "backwards", "ms", "together ms", "share")


def profile(*, by_shape: bool = False) -> Profile:
    """Time every operation in a `with` block, on this thread.

    Parameters
    ----------
    by_shape : bool
        Tell operations of one name apart by the shape of their results.

    Returns
    -------
    Profile
        Empty until the block is entered; several blocks with the same one add up. Operations that
        are defined inside the block are not in it. On a GPU each operation is waited for.

    Examples
    --------
    >>> with minires.profile() as profile:
    ...     loss = F.cross_entropy(model(images), labels)
    ...     loss.backward()
    >>> print(profile)
    """
    return Profile(by_shape)
