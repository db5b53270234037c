"""A returned value against the right one.

This runs in the parent, on plain values that crossed over: what a student's code did to its own
NumPy does not matter here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

RTOL_FLOAT32 = 1e-4
"""What results in 32 bits may be off, relative to the largest right entry."""


@dataclass(frozen=True)
class Verdict:
    """How a value compares.

    Attributes
    ----------
    share : float
        Of the points, 1 if it is right.
    text : str
        What is wrong, empty if nothing.
    got, expected : array or None
        Where both are arrays of one shape and something is wrong.
    tolerance : float
    """

    share: float
    text: str = ""
    got: Array | None = None
    expected: Array | None = None
    tolerance: float = 0.0

    @property
    def wrong(self) -> Array:
        """Which entries are off."""
        assert self.got is not None
        assert self.expected is not None
        return ~_near(self.got, self.expected, self.tolerance)


RIGHT = Verdict(1.0)


def compare(got: Any, expected: Any, rtol: float) -> Verdict:
    """Judge a value that came from a child; numbers and arrays in lists are taken for an array."""
    if isinstance(expected, np.ndarray):
        return _compare_arrays(got, expected, rtol)
    if isinstance(expected, dict):
        for tag, judge in JUDGES.items():
            if tag in expected:
                return judge(got, **expected[tag])
    if isinstance(expected, list):
        return _compare_lists(got, expected, rtol)
    return _compare_plain(got, expected, rtol)


def _compare_arrays(got: Any, expected: Array, rtol: float) -> Verdict:
    array = as_array(got)
    if array is None:
        return Verdict(0.0, f"you returned {described(got)}, wanted is {described(expected)}")
    got = array
    if got.shape != expected.shape:
        return Verdict(0.0, f"your shape is {got.shape}, wanted is {expected.shape}")
    if got.dtype.kind == "f" and got.dtype.itemsize < 8 and expected.dtype.kind == "f":
        rtol = max(rtol, RTOL_FLOAT32)
    tolerance = rtol * _scale(expected)
    wrong = ~_near(got, expected, tolerance)
    if not wrong.any():
        return RIGHT
    return Verdict(0.0, _worst(got, expected, wrong, tolerance), got, expected, tolerance)


def as_array(value: Any, deepest: int = 8) -> Array | None:
    """A number, an array, or lists of these that have one shape, as an array; None of all else."""
    if type(value) in (bool, int, float):
        return np.array(_bounded(value))
    if not isinstance(value, list):
        return value if isinstance(value, np.ndarray) else None
    if value and all(type(one) in (bool, int, float) for one in value):
        return np.array([_bounded(one) for one in value])
    parts = [as_array(one, deepest - 1) if deepest else None for one in value]
    arrays = [part for part in parts if part is not None]
    if not parts or len(arrays) < len(parts) or len({array.shape for array in arrays}) > 1:
        return None
    return np.stack(arrays)


def _scale(values: Array) -> float:
    finite = np.abs(values[np.isfinite(values)].astype(float))
    return float(finite.max(initial=0.0)) or 1.0


def _near(got: Array, expected: Array, tolerance: float) -> Array:
    """Entry by entry: close, or the same infinity or NaN."""
    with np.errstate(over="ignore"):  # what only a longer type holds is infinite
        a, b = got.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(a - b) <= tolerance
    return np.asarray(near | (a == b) | (np.isnan(a) & np.isnan(b)))


def _worst(got: Array, expected: Array, wrong: Array, tolerance: float) -> str:
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    error = np.where(wrong, np.nan_to_num(error, nan=np.inf), -1.0)
    at = tuple(int(i) for i in np.unravel_index(error.argmax(), error.shape))
    place = f" at {list(at)}" if at else ""
    return (
        f"{int(wrong.sum())} of {wrong.size} entries wrong; worst{place}: got {got[at]:.6g}, "
        f"expected {expected[at]:.6g}, error {error[at]:.2g} (allowed {tolerance:.1g})"
    )


def _compare_lists(got: Any, expected: list[Any], rtol: float) -> Verdict:
    if isinstance(got, np.ndarray) and got.ndim > 0:
        got = list(got)
    if not isinstance(got, list):
        return Verdict(0.0, f"you returned {described(got)}, wanted is {described(expected)}")
    if len(got) != len(expected):
        return Verdict(
            0.0, f"you returned {len(got)} values, wanted are {len(expected)}: {shown(got)}"
        )
    for i, (mine, right) in enumerate(zip(got, expected, strict=True)):
        verdict = compare(mine, right, rtol)
        if verdict.text:
            return Verdict(0.0, f"at place {i}: {verdict.text}")
    return RIGHT


def _compare_plain(got: Any, expected: Any, rtol: float) -> Verdict:
    if isinstance(got, np.ndarray | np.generic) and got.shape == ():
        if got.dtype.kind == "f" and got.dtype.itemsize < 8:
            rtol = max(rtol, RTOL_FLOAT32)
        got = got.item()
    if isinstance(expected, float) and type(got) in (int, float):
        same = math.isclose(_bounded(got), expected, rel_tol=rtol, abs_tol=rtol)
    else:
        same = type(got) is type(expected) and got == expected
    return RIGHT if same else Verdict(0.0, f"got {shown(got)}, expected {shown(expected)}")


def _bounded(number: float) -> float:
    """A number, of which a whole one without end, such as 10**400, is infinite."""
    try:
        return number if abs(number) < 2**63 else float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _compare_accuracy(got: Any, labels: Array, at_least: float, none_below: float) -> Verdict:
    array = as_array(got)
    if array is None or array.shape != labels.shape:
        return Verdict(0.0, f"you returned {described(got)}, wanted is {described(labels)}")
    accuracy = float((array == labels).mean())
    if accuracy >= at_least:
        return RIGHT
    share = max(0.0, (accuracy - none_below) / (at_least - none_below))
    return Verdict(
        share, f"{accuracy:.1%} of {len(labels)} are right; full points from {at_least:.0%}"
    )


def _compare_separate(got: Any, unchanged: list[Array], wrong: bool = False) -> Verdict:
    """Where arrays lie, and arguments afterwards: see `question.Separate`; or if both are wrong."""
    if wrong:
        return RIGHT if _compare_separate(got, unchanged).text else Verdict(0.0, "it is right")
    if not (isinstance(got, list) and len(got) == 2 and isinstance(got[1], list)):
        return Verdict(0.0, f"you returned {described(got)}, wanted are arrays")
    try:
        places = [_bytes_of(*place) for place in got[0]]
    except (TypeError, ValueError, OverflowError):
        return Verdict(0.0, "what you returned is no array, or one that is too large")
    for i, one in enumerate(places):
        for other in places[:i]:
            if not one.isdisjoint(other):
                return Verdict(0.0, "two arrays are one in memory: who changes one changes both")
    names = {str(i): array for i, array in enumerate(unchanged)}
    if changed(names, {str(i): array for i, array in enumerate(got[1])}):
        return Verdict(0.0, "your code changed its argument in place; work on a copy")
    return RIGHT


MAX_PLACES = 1 << 18


def _bytes_of(address: int, shape: list[int], strides: list[int], size: int) -> set[int]:
    """The addresses of a small array's bytes."""
    count = math.prod(shape)
    if size * count > MAX_PLACES or min(size, *shape, 1) < 0:
        raise ValueError("too large")
    if count == 0:  # of which one axis may be longer than any memory
        return set()
    found = np.arange(address, address + size, dtype=np.int64)
    for count, stride in zip(shape, strides, strict=True):
        found = np.add.outer(found, np.int64(stride) * np.arange(count, dtype=np.int64))
    return set(found.ravel().tolist())


def _compare_order(got: Any, parents: list[list[int]]) -> Verdict:
    """Numbers of nodes, -1 for one that is unknown: see `question.Order`."""
    if not isinstance(got, list) or any(type(n) is not int for n in got):
        return Verdict(0.0, f"you returned {described(got)}, wanted are nodes")
    place: dict[int, int] = {}
    for i, node in enumerate(got):
        if not 0 <= node < len(parents):
            return Verdict(0.0, f"at place {i}: this node is not in the graph")
        place.setdefault(node, i)
    for node, i in place.items():
        for parent in parents[node]:
            if parent not in place:
                return Verdict(0.0, f"a parent of the node at place {i} is missing")
            if place[parent] <= i:
                return Verdict(0.0, f"the node at place {place[parent]} comes before its consumer")
    return RIGHT


def _compare_resnet8(got: Any, **expected: Any) -> Verdict:
    from minires.coursework.answers.resnet8 import judged  # which compares by this module

    return judged(got, **expected)


def _compare_causes(got: Any, **expected: Any) -> Verdict:
    from minires.coursework.answers.repaired import causes_judged

    return causes_judged(got, **expected)


def _compare_repaired(got: Any, **expected: Any) -> Verdict:
    from minires.coursework.answers.repaired import judged

    return judged(got, **expected)


JUDGES: dict[str, Callable[..., Verdict]] = {
    "$accuracy": _compare_accuracy,
    "$causes": _compare_causes,
    "$repaired": _compare_repaired,
    "$resnet8": _compare_resnet8,
    "$separate": _compare_separate,
    "$order": _compare_order,
}


def changed(arguments: dict[str, Any], after: Any) -> list[str]:
    """The names of the arrays that are not byte for byte what they were."""
    after = after if isinstance(after, dict) else {}
    return [
        name
        for name, value in arguments.items()
        if isinstance(value, np.ndarray) and name in after
        if not isinstance(after[name], np.ndarray) or after[name].tobytes() != value.tobytes()
    ]


def described(value: Any) -> str:
    """What kind of value something is, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, dict) and "$type" in value:
        return f"something of type {value['$type']}"
    if isinstance(value, list):
        return f"a sequence of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"


def shown(value: Any) -> str:
    """A value in at most a line."""
    if isinstance(value, np.ndarray | dict):
        return described(value)
    if isinstance(value, list | tuple):
        value = value[:50]  # whose text is too long anyway
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # whole numbers of many digits, lists in lists
        return described(value)
    return text if len(text) <= 100 else text[:97] + "..."
