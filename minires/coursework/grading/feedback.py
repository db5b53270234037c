"""Why a value is wrong: known mistakes by what they return, then patterns, then pictures."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from minires.coursework.answers.compare import Verdict, as_array, compare
from minires.coursework.bundle import GradedQuestion, KnownMistake
from minires.gradcheck import hints, pictures
from minires.gradcheck.comparison import Comparison

MOST_ENTRIES = 1 << 16
"""Larger arrays get no picture."""


def recognised(
    question: GradedQuestion, answers: Sequence[list[Any] | None], case: int, output: int
) -> KnownMistake | None:
    """The known mistake that returns, for an output of a case, what a student returned.

    Of several, the one that agrees with the student in most other cases. One that would be right
    here explains nothing.
    """
    got, rtol = answers[case], question.rtol
    assert got is not None
    expected = question.cases[case].expected[output]
    found = []
    for mistake in question.mistakes:
        outputs = mistake.outputs[case]
        if outputs is None or not _same(got[output], outputs[output], rtol):
            continue
        if _same(outputs[output], expected, rtol):
            continue
        found.append((_agreement(answers, mistake, rtol), mistake))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _agreement(answers: Sequence[list[Any] | None], mistake: KnownMistake, rtol: float) -> int:
    """In how many outputs of all cases a student and a mistake agree."""
    return sum(
        _same(a, b, rtol)
        for got, known in zip(answers, mistake.outputs, strict=True)
        if got is not None and known is not None
        for a, b in zip(got, known, strict=True)
    )


def _same(got: Any, other: Any, rtol: float) -> bool:
    return not compare(got, other, rtol).text


def exchanged(
    question: GradedQuestion, values: Sequence[Any], expected: Sequence[Any], output: int
) -> str:
    """That a wrong value is the right one of another place; empty if it is not."""
    names = list(question.returns)
    for other, right in enumerate(expected):
        if other == output or not _same(values[output], right, question.rtol):
            continue
        if isinstance(right, np.ndarray) and right.any():
            return f"it is what {names[other]} should be: are the returned values exchanged?"
    return ""


def other_shape(got: Any, expected: Any, rtol: float) -> str:
    """What the right numbers in a wrong shape are; empty if they are not that."""
    mine = as_array(got)
    if mine is None or not isinstance(expected, np.ndarray) or mine.shape == expected.shape:
        return ""
    if mine.ndim == expected.ndim <= 6:
        for axes in itertools.permutations(range(mine.ndim)):
            if _same(mine.transpose(axes), expected, rtol):
                return f"it is right, but for its axes: yours.transpose{axes} is wanted"
    if mine.size == expected.size > 1:
        if _same(mine.reshape(expected.shape), expected, rtol):
            return f"it is right, but for its shape: yours.reshape{expected.shape} is wanted"
        if _same_numbers(mine, expected, rtol):
            return OTHER_PLACES
    return ""


OTHER_PLACES = (
    "the right numbers in the wrong places: a reshape where a transpose belongs? Only a transpose "
    "changes the order of axes"
)


def _same_numbers(got: Any, expected: Any, rtol: float) -> bool:
    mine, right = np.sort(got, axis=None), np.sort(expected, axis=None)
    return len(np.unique(right.round(9))) > 3 and _same(mine, right, rtol)


def pattern(verdict: Verdict, arguments: dict[str, Any]) -> str:
    """What a wrong array looks like: a factor, a sign, axes exchanged; empty if like nothing."""
    if verdict.got is None or verdict.expected is None or not verdict.got.size:
        return ""
    got, expected = verdict.got.astype(float), verdict.expected.astype(float)
    nothing = np.zeros(got.shape, bool)
    comparison = Comparison(
        1, "", "", got, expected, verdict.tolerance, verdict.wrong, nothing, False, False
    )
    arrays = _arrays(arguments)
    known = arrays | _deviations(arrays, arguments.get("eps"))
    shapes = [array.shape for array in arrays.values()]
    with np.errstate(all="ignore"):
        evidence = hints.Evidence(
            expected, nothing, shapes, x=arrays.get("x"), upstream=arrays.get("g"), known=known
        )
        hint = _translated(hints.find(comparison, evidence) or "")
        if DEVIATION in hint:
            return f"{hint} A standard deviation forgotten, or divided by it once too often?"
        if hint.startswith(PLACES):
            return hint
        return _scaled_wrongly(got - expected, arrays, verdict.tolerance) or (
            OTHER_PLACES if _same_numbers(got, expected, 1e-7) else hint
        )


PLACES = ("off by", "the sign", "transposed", "back to front", "shifted", "your result is zero")


def _arrays(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are finite numbers, as floats."""
    return {
        name: value.astype(float)
        for name, value in arguments.items()
        if isinstance(value, np.ndarray) and value.size and np.isfinite(value).all()
    }


DEVIATION = "sqrt(var"


def _deviations(arrays: dict[str, Any], eps: Any) -> dict[str, Any]:
    """Each channel's standard deviation, of what is given or over all axes but the last."""
    eps = eps if isinstance(eps, float) else 0.0
    found = {}
    for name, array in arrays.items():
        if array.ndim == 1 and "var" in name:
            found[f"{DEVIATION} + eps)"] = np.sqrt(array + eps)
        elif array.ndim > 1:
            var = array.reshape(-1, array.shape[-1]).var(axis=0)
            found[f"{DEVIATION}({name}) + eps)"] = np.sqrt(var + eps)
    return {name: array for name, array in found.items() if (array > 0).all()}


def _scaled_wrongly(error: Any, arrays: dict[str, Any], tolerance: float) -> str:
    """That what is off is, channel by channel, a multiple of x less its mean."""
    x = arrays.get("x")
    if x is None or x.shape != error.shape or x.ndim < 2 or len(x) < 3:
        return ""
    rows, off = x.reshape(-1, x.shape[-1]), error.reshape(-1, x.shape[-1])
    means = {"mean(x)": rows.mean(axis=0)}
    means |= {n: a for n, a in arrays.items() if "mean" in n and a.shape == rows.shape[1:]}
    for name, mean in means.items():
        centred = rows - mean
        factors = (off * centred).sum(axis=0) / (centred**2).sum(axis=0)
        near = abs(off - factors * centred).max() <= max(tolerance, 1e-6 * abs(off).max())
        if near and len(rows) > 2:
            return (
                f"what is off is, channel by channel, a multiple of x - {name}: is that where "
                "x-hat belongs, which is divided by the standard deviation sqrt(var + eps)?"
            )
    return ""


def _translated(hint: str) -> str:
    """The hints speak of gradients; here they are of anything."""
    for old, new in TRANSLATIONS:
        hint = re.sub(old, new, hint)
    return hint


TRANSLATIONS = (
    (r"the gradient should be zero: the output does not depend on this input", "it should be 0"),
    (r"the backward gave no gradient .*", "there is no result"),
    (r"the (analytic) (gradient|one)", "your result"),
    (r"the (numeric) (gradient|one)", "the right result"),
    (r"\banalytic\b", "yours"),
    (r"\bnumeric\b", "right"),
    (r"(?<!upstream )\bgradient\b", "result"),
)


def heat_maps(verdict: Verdict) -> dict[str, str]:
    """Pictures of what was got, what was expected, and the error; PNG in base64."""
    if verdict.got is None or verdict.expected is None or not 1 < verdict.got.size < MOST_ENTRIES:
        return {}
    got, expected = verdict.got.astype(float), verdict.expected.astype(float)
    with np.errstate(invalid="ignore"):
        error = np.abs(got - expected)
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max(initial=0.0)) or 1.0
    largest = float(error[np.isfinite(error)].max(initial=0.0)) or 1.0
    return {
        name: _png(values, size, colour)
        for name, values, size, colour in (
            ("got", got, scale, pictures.POSITIVE),
            ("expected", expected, scale, pictures.POSITIVE),
            ("error", error, largest, pictures.ERROR),
        )
    }


def _png(values: np.ndarray[Any, Any], scale: float, colour: tuple[int, int, int]) -> str:
    rows = pictures.matrix(np.atleast_2d(values))[: pictures.MOST_CELLS, : pictures.MOST_CELLS]
    return base64.b64encode(pictures.png(pictures.heat(rows, scale, colour))).decode()
