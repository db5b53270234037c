"""A tracer of training steps: what is called in which order, and what the gradients are then.

It looks at a loop from outside: hooks on the layers, and `step`, `zero_grad` and `backward` wrapped
while it is on. `remove` takes all of that away.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minires import nn, random
from minires.backward import topological_order
from minires.checks.places import calling_line
from minires.checks.setup import Array, host
from minires.optim import Optimizer
from minires.tensors import Tensor


@dataclass
class Step:
    """What was seen from one update to the next.

    Attributes
    ----------
    events : list of str
        "forward", "backward", "zero" and "step", in their order.
    training : list of bool
        For each forward whether any layer that cares was in training mode.
    """

    events: list[str] = field(default_factory=list)
    training: list[bool] = field(default_factory=list)
    recording: list[bool] = field(default_factory=list)  # whether the outputs want a gradient
    stale: bool = False  # the update used gradients that an earlier one had used
    thrown: int = 0  # gradients that were set to zero before anything was done with them
    loss: float | None = None
    gradients: dict[str, Array | None] = field(default_factory=dict)  # after the last backward
    at_step: dict[str, Array | None] = field(default_factory=dict)  # as the update found them
    before: dict[str, Array] = field(default_factory=dict)  # weights when the update began
    after: dict[str, Array] = field(default_factory=dict)
    at_forward: dict[str, Array] = field(default_factory=dict)  # weights at the first forward
    outputs: Array | None = None  # the model's, of the last forward
    leaves: list[tuple[Tensor, Array]] = field(default_factory=list)  # that nobody is known to hold
    lines: dict[str, str] = field(default_factory=dict)
    random_state: Any = None  # of the generator, before the first forward
    inputs: Any = None
    operation: str = ""  # which made the outputs
    normalised: int | None = None  # images that a batch norm took its statistics of, at most
    rates: list[float] = field(default_factory=list)  # of the groups, at the update

    def strangers(self) -> list[tuple[int, ...]]:
        """Shapes of leaves that got a gradient, and that nobody has updated since."""
        return [tuple(t.shape) for t, value in self.leaves if np.array_equal(host(t), value)]


class Tracer:
    """Records steps of any loop that trains `model` by `optimizer`.

    Parameters
    ----------
    model : Module
    optimizer : Optimizer
    most : int
        After so many updates it removes itself.
    done : callable, optional
        Called then.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Optimizer,
        most: int = 3,
        done: Callable[[], None] | None = None,
    ) -> None:
        self.model, self.optimizer, self.most, self.done = model, optimizer, most, done
        self.parameters = dict(model.named_parameters())
        self.steps: list[Step] = []
        self.now = Step()
        self.used = False  # an update has used the gradients that are there
        self.adds = False  # a backward has added to such
        self.active = False
        self.inside = False
        self.called: set[str] = set()  # modules that ran
        self.zero_at_first = {n for n, p in self.parameters.items() if not host(p).any()}

    @property
    def seen(self) -> list[Step]:
        """The steps, and what came after the last update."""
        return [*self.steps, self.now] if self.now.events else self.steps

    def line(self, event: str) -> str:
        """Where such an event was first."""
        return next((s.lines[event] for s in self.seen if event in s.lines), "")

    def moved(self) -> set[str]:
        """The parameters that are no longer what they were at the first forward."""
        first = next((s.at_forward for s in self.seen if s.at_forward), {})
        return {
            n
            for n, p in self.parameters.items()
            if n in first and not np.array_equal(host(p), first[n], equal_nan=True)
        }

    def __enter__(self) -> Tracer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()

    # -------------------------------------------------------------- wrapping

    def start(self) -> None:
        """Put the hooks in place."""
        model, optimizer = self.model, self.optimizer
        self.active = True
        self.handles = [
            model.register_forward_pre_hook(self._before_forward),
            model.register_forward_hook(self._after_forward),
        ]
        for name, module in model.named_modules():
            self.handles.append(module.register_forward_hook(self._noting(name)))
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                self.handles.append(module.register_forward_hook(self._normalising))
        plain: Any = Tensor.backward
        self._plain_backward = plain
        tracer = self

        def backward(tensor: Tensor, *args: Any, **kwargs: Any) -> None:
            tracer._before_backward(tensor)
            plain(tensor, *args, **kwargs)
            tracer._after_backward()

        self._own_backward = backward
        setattr(Tensor, "backward", self._own_backward)  # noqa: B010
        self._wrapped: list[tuple[Any, str, Any]] = []
        self._wrap(optimizer, "step", self._step)
        self._wrap(optimizer, "zero_grad", self._zero)
        self._wrap(model, "zero_grad", self._zero)

    def _wrap(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
        plain = getattr(owner, name)
        earlier = vars(owner).get(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return wrapper(plain, args, kwargs)

        object.__setattr__(owner, name, call)
        self._wrapped.append((owner, name, earlier))

    def remove(self) -> None:
        """Take every hook away."""
        if not self.active:
            return
        self.active = False
        for handle in self.handles:
            handle.remove()
        if Tensor.backward is self._own_backward:
            setattr(Tensor, "backward", self._plain_backward)  # noqa: B010
        for owner, name, earlier in self._wrapped:
            if earlier is None:
                vars(owner).pop(name, None)
            else:
                object.__setattr__(owner, name, earlier)

    # -------------------------------------------------------------- events

    def _event(self, name: str) -> None:
        self.now.events.append(name)
        self.now.lines.setdefault(name, calling_line())

    def _noting(self, name: str) -> Callable[..., None]:
        def note(module: Any, args: Any, out: Any) -> None:
            self.called.add(name)

        return note

    def _normalising(self, module: Any, args: Any, out: Any) -> None:
        if module.training and isinstance(out, Tensor) and out.requires_grad:
            self.now.normalised = max(self.now.normalised or 0, len(out))

    def _before_forward(self, module: Any, args: Any) -> None:
        if "forward" not in self.now.events:
            self.now.at_forward = self._weights()
            state = random.generator().bit_generator.state
            self.now.random_state = state
            self.now.inputs = args[0] if args else None

    def _after_forward(self, module: Any, args: Any, out: Any) -> None:
        self._event("forward")
        self.now.training.append(any_training(self.model))
        if isinstance(out, Tensor):
            self.now.recording.append(out.requires_grad)
            self.now.outputs = host(out).copy()
            self.now.operation = out.node.op.name if out.node and out.node.op else ""

    def _before_backward(self, tensor: Tensor) -> None:
        present = any(_nonzero(p.grad) for p in self.parameters.values())
        self.adds = self.adds or (self.used and present)
        self.used = False
        if tensor.size == 1:
            self.now.loss = float(host(tensor).item())
        if tensor.node is not None and not self.steps and "backward" not in self.now.events:
            with suppress(Exception):
                self._find_strangers(tensor)

    def _find_strangers(self, tensor: Tensor) -> None:
        known = {id(p.node) for p in self.parameters.values()}
        known |= {id(p.node) for group in self.optimizer.param_groups for p in group["params"]}
        batch = len(self.now.outputs) if self.now.outputs is not None else -1
        for node in topological_order(tensor.node):  # type: ignore[arg-type]
            if node.op is None and id(node) not in known and node.shape[:1] != (batch,):
                holders = [t for t in gc.get_referrers(node) if isinstance(t, Tensor)]
                self.now.leaves += [(t, host(t).copy()) for t in holders[:1]]

    def _after_backward(self) -> None:
        self._event("backward")
        self.now.gradients = self._gradients()

    def _zero(self, plain: Any, args: Any, kwargs: Any) -> Any:
        fresh = "backward" in self.now.events and not self.used
        if fresh and any(_nonzero(p.grad) for p in self.parameters.values()):
            now, first = self._weights(), self.now.at_forward
            same = all(np.array_equal(now[n], first[n]) for n in first)
            self.now.thrown += bool(first) and same
        self._event("zero")
        self.used = self.adds = False
        return plain(*args, **kwargs)

    def _step(self, plain: Any, args: Any, kwargs: Any) -> Any:
        self.now.stale = self.adds
        self.now.rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        if args or kwargs:  # a closure runs forward and backward inside
            result = plain(*args, **kwargs)
            self.now.at_step = self._gradients()
            self.now.before = self.now.at_forward
        else:
            self.now.at_step = self._gradients()
            self.now.before = self._weights()
            result = plain(*args, **kwargs)
        self.now.after = self._weights()
        self._event("step")
        self.used = True
        self._end()
        return result

    def _end(self) -> None:
        self.steps.append(self.now)
        self.now = Step()
        if len(self.steps) >= self.most:
            self.remove()
            if self.done is not None:
                self.done()

    def _weights(self) -> dict[str, Array]:
        return {n: host(p).copy() for n, p in self.parameters.items()}

    def _gradients(self) -> dict[str, Array | None]:
        return {
            n: None if p.grad is None else host(p.grad).copy() for n, p in self.parameters.items()
        }


def _nonzero(gradient: Tensor | None) -> bool:
    return gradient is not None and bool(host(gradient).any())


def cares(module: Any) -> bool:
    """Whether a module does something else in training, and is meant to."""
    if isinstance(module, nn.Dropout | nn.StochasticDepth):
        return bool(module.p)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return not module.affine or any(p.requires_grad for p in module.parameters())
    return False


def any_training(model: Any) -> bool:
    """Whether the model is in training mode, as far as any layer cares."""
    caring = [m for m in model.modules() if cares(m)]
    return any(m.training for m in caring or [model])
