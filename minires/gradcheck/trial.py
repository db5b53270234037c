"""The analytic side: forward and backward, tried in every way that could trip them up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np  # host arithmetic in float64

from minires.backend import to_device, to_host
from minires.errors import BackwardError
from minires.gradcheck import variations
from minires.gradcheck.graph import close, host, vjp
from minires.gradcheck.linearity import Finding
from minires.gradcheck.subject import Gradients, HostArray, Problem, Subject
from minires.tensors import Tensor


class Trial:
    """The analytic gradients, and what can be wrong with a function beside their values.

    Attributes
    ----------
    problems : list of str
    nonlinear : list of Finding
        Those of the problems that concern linearity and precision.
    late : list of str
        Those that wrong values, if there are any, may explain.
    values : list of array
        The outputs'.
    cotangents : list of list of array
        By output.
    gradients : list of list of list of array or None
        By output, cotangent and input; empty if there is something so wrong that numerical
        derivatives would mean nothing.
    """

    def __init__(
        self, problem: Problem, rng: np.random.Generator, subject: Subject, count: int
    ) -> None:
        self.problem = problem
        self.subject = subject
        self.problems: list[str] = []
        self.nonlinear: list[Finding] = []
        self.late: list[str] = []
        self.values: list[HostArray] = []
        self.cotangents: list[list[HostArray]] = []
        self.gradients: Gradients = []
        try:
            self.values = values = (
                self._forward()
            )  # which runs rules already where it is itself a gradient
            if self.problems:
                return
            self.cotangents = [[_cotangent(rng, v.shape) for _ in range(count)] for v in values]
            gradients = self._backward()
            self._accumulate(gradients)
            found, self.nonlinear, self.late = variations.find_differences(
                self.problem, values, self.cotangents, gradients
            )
            self.problems += found
        except BackwardError as error:
            self.problems.append(f"the backward failed: {error}")
        else:
            self.gradients = gradients

    def _forward(self) -> list[HostArray]:
        """The outputs' values, if they are fit to be differentiated."""
        point = self.problem.point
        leaves = self.problem.tensors([a.copy() for a in point], requires_grad=True)
        outs = self.problem.call(leaves)
        self.subject.surroundings.watch_draws()
        values = [to_host(out.data).copy() for out in outs]
        names = self.problem.name_outputs()
        for name, value in zip(names, values, strict=True):
            if value.dtype != np.float64:
                self.problems.append(
                    f"the {name} is {value.dtype} though every input is float64: rounding to it "
                    "hides derivatives"
                )
            elif not np.isfinite(value).all():
                at = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
                self.problems.append(f"the {name} is {value[at]} at {list(at)}")
        self._find_modified(leaves, "the forward")
        if not self.problems:
            again = self.problem.call(self.problem.tensors(point, requires_grad=True))
            if not _same(values, [to_host(out.data) for out in again]):
                self.problems.append(
                    "the forward is not repeatable: two calls gave different values (randomness "
                    "that comes neither from minires.random nor numpy.random, or state?)"
                )
        return values

    def _find_modified(self, leaves: Sequence[Tensor], culprit: str) -> None:
        named = zip(self.problem.inputs, leaves, self.problem.point, strict=True)
        changed = [name for name, leaf, before in named if not _same([before], [host(leaf)])]
        changed += self.subject.changed_constants()
        self.problems += [f"{culprit} modified its input {name} in place" for name in changed]

    def _backward(self) -> Gradients:
        """By output, cotangent and input; each walked twice, and once more on a new graph."""
        gradients, leaves = self._walk(self.cotangents)
        again, _ = self._walk([vs[:1] for vs in self.cotangents])
        if not _same(_arrays([of_output[:1] for of_output in gradients]), _arrays(again)):
            self.problems.append(
                "the backward is not repeatable: two calls and walks gave different gradients"
            )
        self._find_modified(leaves, "the backward")
        return gradients

    def _walk(self, cotangents: list[list[HostArray]]) -> tuple[Gradients, list[Tensor]]:
        leaves = self.problem.tensors([a.copy() for a in self.problem.point], requires_grad=True)
        outs = self.problem.call(leaves)
        gradients: Gradients = []
        for out, vs, name in zip(outs, cotangents, self.problem.name_outputs(), strict=True):
            of_output = []
            for v in vs:
                upstream = Tensor(to_device(v.copy(), out.device))
                grads = vjp(out, leaves, upstream)
                if not _same(grads, vjp(out, leaves, upstream)):
                    text = "the backward is not re-entrant: a second walk gave other gradients"
                    self._note(f"{text} of the {name}")
                if not _same([v], [host(upstream)]):
                    self._note(f"the backward modified the upstream gradient of the {name}")
                of_output.append(grads)
            gradients.append(of_output)
        return gradients, leaves

    def _note(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)

    def _accumulate(self, gradients: Gradients) -> None:
        """`backward()` twice on every output leaves twice the sum of the gradients in `.grad`."""
        leaves = self.problem.tensors(self.problem.point, requires_grad=True)
        outs = self.problem.call(leaves)
        for _ in range(2):
            for out, vs in zip(outs, self.cotangents, strict=True):
                if out.requires_grad:
                    out.backward(to_device(vs[0].copy(), out.device), retain_graph=True)
        for i, leaf in enumerate(leaves):
            parts = [g for g in (of_output[0][i] for of_output in gradients) if g is not None]
            if not parts:
                continue
            wanted = 2 * np.sum(parts, axis=0)
            got = np.zeros(leaf.shape) if leaf.grad is None else host(leaf.grad)
            if not close(got, wanted):
                self.problems.append(
                    f"backward() twice did not leave twice the gradient in {self.problem.inputs[i]}"
                )


def _cotangent(rng: np.random.Generator, shape: tuple[int, ...]) -> HostArray:
    """Random, of both signs, and nowhere so small that it would hide an error."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def _arrays(gradients: Gradients) -> list[HostArray | None]:
    return [g for of_output in gradients for of_cotangent in of_output for g in of_cotangent]


def _same(a: Sequence[HostArray | None], b: Sequence[HostArray | None]) -> bool:
    """Equal bit for bit, NaN included."""
    return len(a) == len(b) and all(
        (x is None) == (y is None)
        and (x is None or y is None or np.array_equal(x, y, equal_nan=True))
        for x, y in zip(a, b, strict=True)
    )
