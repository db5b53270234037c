"""A ResNet-8 that a student trained, as arrays: it is run here, and judged by what it does.

The child tells the arrays before and after the training, and what the student's own objects made of
images and weights of the grader's. What is right is computed here from the arrays alone; so what is
judged is a residual network of this structure, whatever the student's code is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any

import numpy as np

from minires import ops
from minires.coursework.answers.compare import Array, Verdict, compare, described
from minires.grad_mode import no_grad
from minires.nn.functional import conv2d, relu
from minires.tensors import Tensor

CHANNELS = (16, 16, 32, 64)
"""Of the stem, and of each block; where they change the stride is 2, and the shortcut projects."""
BLOCKS = tuple(enumerate(pairwise(CHANNELS), 1))
TRAINED = 1e-4
"""How much of an array must be new, beside what a mere factor does to the old one."""
MATTERS = 0.02
"""By how much of itself the output must change without one of a block's two ways."""
LOGITS, GRADIENTS = 1e-3, 1e-2
"""The largest errors, relative to the largest right entry, also for work in float32."""
FAILING = (
    "your network gets nowhere with images that are (images - mean) / deviation, in floating point"
)
OUTLINE = ("before", "after", "mean", "deviation", "logits", "other_logits", "gradients")
"""What the driver tells of a training, in this order."""

Way = tuple[int, str]
"""A block's number, and "residual branch" or "shortcut"."""


def shapes(classes: int) -> dict[str, tuple[int, ...]]:
    """The arrays by name, in the order in which a driver tells them."""
    found: dict[str, tuple[int, ...]] = {}

    def pair(conv: str, norm: str, size: int, c_in: int, c_out: int) -> None:
        found[f"{conv}: w"] = size, size, c_in, c_out
        found.update({f"{norm}: {part}": (c_out,) for part in ("gamma", "beta", "mean", "var")})

    pair("stem, convolution", "stem, batch norm", 3, 1, CHANNELS[0])
    for i, (c_in, c_out) in BLOCKS:
        pair(f"block {i}, conv1", f"block {i}, bn1", 3, c_in, c_out)
        pair(f"block {i}, conv2", f"block {i}, bn2", 3, c_out, c_out)
        if c_in != c_out:
            pair(f"block {i}, conv_s", f"block {i}, bn_s", 1, c_in, c_out)
    return found | {"head: w": (CHANNELS[-1], classes), "head: b": (classes,)}


def is_parameter(name: str) -> bool:
    """Whether an array is trained by gradients, and not a running statistic."""
    return not name.endswith((": mean", ": var"))


def forward(
    arrays: dict[str, Any], images: Array, *, training: bool = False, without: Way | None = None
) -> Any:
    """The logits of images that are scaled already; `without` leaves out one way of a block."""

    def convolved(x: Any, conv: str, norm: str, stride: int = 1) -> Any:
        w = arrays[f"{conv}: w"]
        gamma, beta, mean, var = (arrays[f"{norm}: {p}"] for p in ("gamma", "beta", "mean", "var"))
        out = conv2d(x, w, stride=stride, padding=w.shape[0] // 2)
        if training:
            return ops.batch_norm(out, gamma, beta)
        return (out - mean) * (gamma / (var + 1e-5) ** 0.5) + beta

    x: Any = relu(convolved(Tensor(images), "stem, convolution", "stem, batch norm"))
    for i, (c_in, c_out) in BLOCKS:
        block, stride = f"block {i}, ", 1 if c_in == c_out else 2
        inner = relu(convolved(x, f"{block}conv1", f"{block}bn1", stride))
        ways = {"residual branch": convolved(inner, f"{block}conv2", f"{block}bn2"), "shortcut": x}
        if c_in != c_out:
            ways["shortcut"] = convolved(x, f"{block}conv_s", f"{block}bn_s", stride)
        kept = [way for kind, way in ways.items() if (i, kind) != without]
        x = relu(kept[0] + kept[1] if len(kept) == 2 else kept[0])
    return x.mean(axis=(1, 2)) @ arrays["head: w"] + arrays["head: b"]


def logits(arrays: dict[str, Array], images: Array, without: Way | None = None) -> Array:
    """The logits in evaluation mode."""
    tensors = {name: Tensor(array) for name, array in arrays.items()}
    with no_grad():
        return np.asarray(forward(tensors, images, without=without).numpy())


def gradients(arrays: dict[str, Array], images: Array, g: Array) -> dict[str, Array]:
    """Of the parameters, in training mode, for a gradient g of the logits."""
    tensors = {n: Tensor(a, requires_grad=is_parameter(n)) for n, a in arrays.items()}
    forward(tensors, images, training=True).backward(Tensor(g))
    return {n: t.grad.numpy() for n, t in tensors.items() if t.grad is not None}


def judged(
    got: Any,
    images: Array,
    labels: Array,
    classes: int,
    at_least: float,
    none_below: float,
    probe: Array,
    g: Array,
    factors: Array,
) -> Verdict:
    """What a trained network is worth: see `question.ResNet8`."""
    if not isinstance(got, list) or len(got) != len(OUTLINE):
        return Verdict(0.0, f"you returned {described(got)}, wanted are a mean and a deviation")
    got = dict(zip(OUTLINE, got, strict=True))
    wanted = shapes(classes)
    for verdict in _unfit(got, wanted, images.shape[1:]):
        return verdict
    before, after = (_named(got[time], wanted) for time in ("before", "after"))
    scaled = (images - got["mean"].astype(float)) / got["deviation"].astype(float)
    found = logits(after, scaled)
    if not np.isfinite(found).all():
        return Verdict(0.0, "your network's output on the test images is not finite")
    other = {n: a * f for (n, a), f in zip(after.items(), factors, strict=True)}
    for verdict in chain(_untrained(before, after), _unlike(got, after, other, probe, g)):
        return verdict  # the first will do
    goal = {"labels": labels, "at_least": at_least, "none_below": none_below}
    accuracy = compare(found.argmax(axis=1), {"$accuracy": goal}, 0.0)
    if accuracy.share == 0:
        return _prefixed(FAILING, accuracy)
    for verdict in _idle(after, scaled, found):
        return verdict
    return accuracy


def _named(values: list[Array], wanted: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    return {name: v.astype(np.float64) for name, v in zip(wanted, values, strict=True)}


def _unfit(
    got: dict[str, Any], wanted: dict[str, tuple[int, ...]], image: tuple[int, ...]
) -> Iterator[Verdict]:
    """What cannot be run at all."""
    for time in ("before", "after"):
        values = got[time]
        if not isinstance(values, list) or len(values) != len(wanted):
            count = len(values) if isinstance(values, list) else 0
            yield Verdict(
                0.0,
                f"{time} the training your model has {count} arrays, a ResNet8 has {len(wanted)}: "
                "is each block one of two convolutions and, in the second and third, a projection?",
            )
            return
        for (name, shape), value in zip(wanted.items(), values, strict=True):
            if not isinstance(value, np.ndarray) or value.shape != shape:
                yield Verdict(
                    0.0, f"{name} is {described(value)} {time} the training, wanted is {shape}"
                )
            elif not np.isfinite(value).all():
                yield Verdict(0.0, f"{name} is not finite {time} the training")
    for name in ("mean", "deviation"):
        value = got[name]
        if isinstance(value, bool | int | float):
            value = got[name] = np.array(float(value))
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
            yield Verdict(0.0, f"the {name} that you returned is {described(value)}, no number")
        elif value.ndim > 4 or not _broadcasts(value.shape, image):
            yield Verdict(
                0.0,
                f"the {name} that you returned is {described(value)}, which does not broadcast to "
                f"an image's shape {image}",
            )
        elif not np.isfinite(value).all() or (name == "deviation" and not value.all()):
            yield Verdict(0.0, f"the {name} that you returned is 0 somewhere, or not finite")


def _broadcasts(shape: tuple[int, ...], image: tuple[int, ...]) -> bool:
    padded = (1,) * (4 - len(shape)) + shape
    return all(n in (1, m) for n, m in zip(padded, (1, *image), strict=True))


def _untrained(before: dict[str, Array], after: dict[str, Array]) -> Iterator[Verdict]:
    """Arrays that are what they were, or a multiple of it, which weight decay alone makes."""
    still = []
    for name, old in before.items():
        new, length = after[name], float((old * old).sum())
        rest = new - old * ((new * old).sum() / length if length else 0.0)
        if float((rest * rest).sum()) <= TRAINED**2 * max(length, float((new * new).sum())):
            still.append(name)
    weights = [name for name in still if is_parameter(name)]
    if weights:
        yield Verdict(
            0.0,
            f"{len(weights)} of the model's parameters did not change in your training: "
            f"{_listed(weights)}. Train the model that you are given, with all its parameters",
        )
    elif still:
        yield Verdict(
            0.0,
            f"running statistics did not change in your training: {_listed(still)}. Batch norm "
            "must be in training mode while you train",
        )


def _listed(names: list[str]) -> str:
    return "; ".join(names[:3]) + ("; ..." if len(names) > 3 else "")


def _unlike(
    got: dict[str, Any],
    after: dict[str, Array],
    other: dict[str, Array],
    probe: Array,
    g: Array,
) -> Iterator[Verdict]:
    """Where the student's own network is not what its arrays give."""
    for key, arrays, text in (
        ("logits", after, "your network's output on these images is not what its weights give"),
        (
            "other_logits",
            other,
            "with other weights put in, your network's output is not what those give: something in "
            "it does not come from its parameters",
        ),
    ):
        verdict = compare(got[key], logits(arrays, probe), LOGITS)
        if verdict.text:
            yield _prefixed(text, verdict)
    right = gradients(other, probe, g)
    mine = got["gradients"]
    if not isinstance(mine, list) or len(mine) != len(right):
        yield Verdict(0.0, f"your network's gradients are {described(mine)}")
        return
    largest = {n: np.abs(v).max() for n, v in right.items()}
    for (name, value), one in zip(right.items(), mine, strict=True):
        if largest[name] > 1e-8 * max(largest.values()):  # else it is nothing but rounding
            verdict = compare(one, value, GRADIENTS)
            if verdict.text:
                yield _prefixed(f"the gradient of {name} after model.backward is wrong", verdict)


def _prefixed(text: str, verdict: Verdict) -> Verdict:
    return Verdict(0.0, f"{text}: {verdict.text}", verdict.got, verdict.expected, verdict.tolerance)


def _idle(after: dict[str, Array], scaled: Array, found: Array) -> Iterator[Verdict]:
    """Ways of blocks without which the output is nearly the same."""
    some = slice(0, 100)
    whole = _centred(found[some])
    for i, _ in BLOCKS:
        for kind in ("residual branch", "shortcut"):
            change = _centred(logits(after, scaled[some], (i, kind))) - whole
            share = float(np.sqrt((change**2).sum() / max((whole**2).sum(), 1e-300)))
            if not share >= MATTERS:
                yield Verdict(
                    0.0,
                    f"without the {kind} of block {i} your network's output changes by {share:.1%} "
                    "only: the network does not use it",
                )


def _centred(values: Array) -> Array:
    """Logits, of which only the differences matter."""
    means: Array = values.mean(axis=1, keepdims=True)
    return values - means
