"""How an assignment is written down: questions, with inputs, answers, known mistakes, other ways.

    @question(points=2, returns="dx", modules=["numpy"])
    def relu_backward(g, x):                       # the answer, by the definition
        return g * (x > 0)

    draw = Draws(seed=2)
    relu_backward.case("both signs", draw.normal(3, 4), draw.normal(3, 4), visible=True)

    @relu_backward.hidden("zeros in x")            # drawn anew for each course
    def zeros(draw):
        shape = draw.size(1, 4), draw.size(1, 5)
        return draw.normal(*shape), draw.normal(*shape) * draw.integers(*shape, below=2)

    relu_backward.mistake(38, "identity", "...", "g * (x > 0)", "g")

    @relu_backward.correct("loops")
    def loops(g, x): ...

Nothing of this runs when work is graded: `bundle` runs it once and stores what came out.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from minires.coursework.sandbox.parent import Limits

Function = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """Inputs of one test.

    Attributes
    ----------
    name : str
        What is tested, for the student's eyes.
    arguments : dict
        By the answer's parameter names; arrays and plain values.
    visible : bool
        Whether `minires check` shows it to students.
    weight : float
        Its share of the question's points, beside the other cases' weights.
    """

    name: str
    arguments: dict[str, Any]
    visible: bool
    weight: float


@dataclass(frozen=True)
class HiddenCase:
    """A hidden test of which a course draws the inputs by itself, from its secret seed.

    The hidden cases of a question together are its domain: the inputs for which it must be right.

    Attributes
    ----------
    name : str
    draw : callable
        `Draws` to the arguments, in the order of the answer's parameters.
    weight : float
    """

    name: str
    draw: Callable[[Draws], Sequence[Any]]
    weight: float


@dataclass(frozen=True)
class Variant:
    """A question's solution in another form: a known mistake, or another right way.

    Attributes
    ----------
    name : str
    source : str
        Code that stands in the place of the solution; with `old`, what stands for `old` in it.
    old : str or None
        Text that occurs once in the solution.
    number : int
        Of a mistake.
    hint : str
        What the student misunderstood, in a sentence that follows the mistake's name.
    """

    name: str
    source: str
    old: str | None = None
    number: int = 0
    hint: str = ""


@dataclass(frozen=True)
class Accuracy:
    """An answer that is right often enough: predicted classes against these labels.

    Attributes
    ----------
    labels : array (N,)
    at_least : float
        The share of right predictions for full points.
    none_below : float
        Below this share there are none; between the two, points rise in proportion.
    """

    labels: np.ndarray[Any, Any]
    at_least: float
    none_below: float


@dataclass(frozen=True)
class ResNet8:
    """A trained ResNet-8, by its arrays; the grader runs it and judges it.

    The driver returns the arrays before and after, the scaling of images, and what the student's
    own network made of `probe`: see assignment 6 and `resnet8`.

    Attributes
    ----------
    images, labels : array
        Of the test, uint8 (N, 14, 14, 1) and (N,).
    classes : int
    at_least, none_below : float
        As of `Accuracy`.
    probe, g : array
        Images, scaled already, and a gradient of their logits.
    factors : array
        For each of the network's arrays, what it is multiplied by for the second trial.
    """

    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    classes: int
    at_least: float
    none_below: float
    probe: np.ndarray[Any, Any]
    g: np.ndarray[Any, Any]
    factors: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Causes:
    """Names of causes, one for each set-up of a row, where several names may be right.

    Attributes
    ----------
    accepted : list of list of str
        For each set-up; `["nothing"]` is a healthy one, and who finds a fault there has no points.
    """

    accepted: list[list[str]]


@dataclass(frozen=True)
class Repaired:
    """Trainings that were repaired, by the arrays of their networks, which the grader runs.

    The driver returns for each set-up of the row the cause, the network's arrays before and after
    the training, and what the student's `evaluate` said of parts of `probe`: see assignment 8
    and `repaired`.

    Attributes
    ----------
    accepted : list of list of str
        As of `Causes`; a repair counts where its cause has one of these names. Where a healthy
        set-up does not learn, the row has no points.
    sizes : list of int
        Of the network's layers, the images' pixels first.
    norm : bool
        Whether there is batch norm behind each layer but the last.
    images, labels : array (N, pixels) and (N,)
        Of the test.
    probe, probe_labels : array
    at_least : float
        The share of right predictions from which on a training is repaired.
    untrained_below : float
        The largest such share before the training.
    """

    accepted: list[list[str]]
    sizes: list[int]
    norm: bool
    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    probe: np.ndarray[Any, Any]
    probe_labels: np.ndarray[Any, Any]
    at_least: float
    untrained_below: float


@dataclass(frozen=True)
class Separate:
    """Arrays that share no memory, and arguments that are as they were; judged by the grader.

    The driver returns a pair: a list of `memory(array)`, and a list of arrays.

    Attributes
    ----------
    unchanged : list of array
        What the second list must be.
    """

    unchanged: list[np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Order:
    """The numbers of nodes, each before its parents, all parents among them.

    Attributes
    ----------
    parents : list of list of int
        Of each node.
    """

    parents: list[list[int]]


@dataclass
class Question:
    """A question; its methods add to it.

    Attributes
    ----------
    name : str
        Of the function or class that students write.
    answer : callable
        Arguments to what is right, independent of the solution in the notebook.
    points : float
    returns : dict of float
        The names of what is returned, and each one's weight.
    modules : list of str
        What may be imported, beside the standard library.
    rtol : float
        The largest error, relative to the largest entry of what is right.
    seconds : float
        Of processor time for all cases together; by the clock, four times that.
    limits : Limits
    needs : tuple of str
        Earlier questions whose solutions stand in the place of the student's when work is graded;
        in `minires check` the student's own are used.
    withheld : tuple of str
        Parameters of the answer that the child does not get, such as images for a test.
    driver : str or None
        Source of a function `drive(student, **arguments)` that runs in the child in the place of a
        plain call; it holds no answers.
    slow_cases, mutant_inputs
        See `mutants_quickly`.
    """

    name: str
    answer: Function
    points: float
    returns: dict[str, float]
    modules: list[str]
    rtol: float
    seconds: float
    limits: Limits
    needs: tuple[str, ...]
    withheld: tuple[str, ...] = ()
    driver: str | None = None
    fixed_cases: list[Case] = field(default_factory=list)
    hidden_cases: list[HiddenCase] = field(default_factory=list)
    mistakes: list[Variant] = field(default_factory=list)
    correct_ways: list[Variant] = field(default_factory=list)
    slow_cases: Sequence[str] = ()
    mutant_inputs: int | None = None

    def case(self, name: str, *arguments: Any, visible: bool = False, weight: float = 1.0) -> None:
        """Add a test: the arguments in the order of the answer's parameters."""
        self.fixed_cases.append(Case(name, self._named(arguments), visible, weight))

    def hidden(self, name: str, *, weight: float = 1.0) -> Callable[[Function], Function]:
        """Add a hidden test: the decorated function draws its arguments from a `Draws`."""

        def declare(draw: Function) -> Function:
            self.hidden_cases.append(HiddenCase(name, draw, weight))
            return draw

        return declare

    def cases(self, seed: int | None) -> list[Case]:
        """All tests of a course with this seed; None leaves those out that are drawn."""
        drawn = [] if seed is None else [self.drawn(case, seed) for case in self.hidden_cases]
        return self.fixed_cases + drawn

    def drawn(self, case: HiddenCase, *key: int) -> Case:
        """A hidden test as it is for a key. Each has numbers of its own, whatever stands beside."""
        arguments = case.draw(Draws.keyed(self.name, case.name, *key))
        return Case(case.name, self._named(arguments), visible=False, weight=case.weight)

    def _named(self, arguments: Sequence[Any]) -> dict[str, Any]:
        return dict(inspect.signature(self.answer).bind(*arguments).arguments)

    def mutants_quickly(self, *, without: Sequence[str], inputs: int) -> None:
        """Judge mutants by other cases than these, and by so few drawn inputs: each takes long."""
        self.slow_cases, self.mutant_inputs = without, inputs

    def mistake(self, number: int, name: str, hint: str, old: str, new: str) -> None:
        """Add a known mistake: the solution with `new` for `old`, which must occur once."""
        self.mistakes.append(Variant(name, new, old, number, hint))

    def wrong(self, number: int, name: str, hint: str) -> Callable[[Any], Any]:
        """Add a known mistake that is a function or class in the solution's place."""

        def declare(code: Any) -> Any:
            self.mistakes.append(Variant(name, _source(code, self.name), None, number, hint))
            return code

        return declare

    def correct(self, name: str) -> Callable[[Any], Any]:
        """Add another right way: a function or class in the solution's place."""

        def declare(code: Any) -> Any:
            self.correct_ways.append(Variant(name, _source(code, self.name)))
            return code

        return declare

    def right_source(self, name: str, source: str) -> None:
        """Add another right way as text, for those that differ in a few choices."""
        self.correct_ways.append(Variant(name, source))

    def drive(self, function: Function) -> Function:
        """Declare the driver."""
        self.driver = _source(function, "drive")
        return function


def question(
    points: float,
    returns: str | dict[str, float],
    modules: Sequence[str] = ("numpy",),
    rtol: float = 1e-7,
    seconds: float = 5.0,
    limits: Limits | None = None,
    needs: Sequence[str] = (),
    withheld: Sequence[str] = (),
) -> Callable[[Function], Question]:
    """Declare a question; the decorated function is the answer, its name what students define."""
    weights = dict.fromkeys(returns.split(), 1.0) if isinstance(returns, str) else returns

    def declare(answer: Function) -> Question:
        return Question(
            answer.__name__,
            answer,
            points,
            weights,
            list(modules),
            rtol,
            seconds,
            limits or Limits(),
            tuple(needs),
            tuple(withheld),
        )

    return declare


def _source(code: Any, name: str) -> str:
    """The text of a function or class, without decorators, under another name."""
    text = textwrap.dedent(inspect.getsource(code))
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    lines = text.splitlines()[node.lineno - 1 :]
    keyword = "class" if isinstance(node, ast.ClassDef) else "def"
    lines[0] = lines[0].replace(f"{keyword} {node.name}", f"{keyword} {name}", 1)
    return "\n".join(lines) + "\n"


class Draws:
    """A stream of numbers that is the same with every version of NumPy and on every machine.

    It is splitmix64 (Steele, Lea and Flood 2014), in whole numbers throughout.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._state = seed % (1 << 64)

    @classmethod
    def keyed(cls, *key: int | str) -> Self:
        """A stream for each key; who knows some streams cannot tell the others."""
        return cls(int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big"))

    def size(self, least: int, most: int) -> int:
        """A whole number from `least` to `most`, both included."""
        return least + int(self.integers(below=most - least + 1))

    def choice(self, *options: Any) -> Any:
        """One of the options."""
        return options[self.size(0, len(options) - 1)]

    def integers(self, *shape: int, below: int) -> Any:
        """Whole numbers from 0 to `below` - 1, int64."""
        count, step, whole = int(np.prod(shape)), 0x9E3779B97F4A7C15, np.uint64  # modulo 2**64
        z = whole(self._state) + np.arange(1, count + 1, dtype=whole) * whole(step)
        self._state = (self._state + count * step) % (1 << 64)
        z = (z ^ (z >> whole(30))) * whole(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> whole(27))) * whole(0x94D049BB133111EB)
        return ((z ^ (z >> whole(31))) % whole(below)).astype(np.int64).reshape(shape)

    def normal(self, *shape: int, mean: float = 0.0, scale: float = 1.0) -> Any:
        """About normally distributed multiples of 1/64 (before `mean` and `scale`), float64.

        Each is a sum of twelve even draws, so none is beyond six deviations.
        """
        sums = self.integers(*shape, 12, below=64).sum(axis=-1) - 6 * 63
        return sums / 64 * scale + mean

    def shuffled(self, count: int) -> Any:
        """The whole numbers from 0 to `count` - 1 in any order, int64."""
        return self.integers(count, below=1 << 62).argsort(kind="stable")

    def signed(self, *shape: int, scale: float = 1.0) -> Any:
        """Numbers at least a quarter of `scale` from 0, half of them negative, float64."""
        count = int(np.prod(shape))
        signs = 2.0 * ((self.shuffled(count) + self.size(0, 1)) % 2) - 1
        return np.asarray(signs.reshape(shape) * (abs(self.normal(*shape)) + 0.25) * scale)
