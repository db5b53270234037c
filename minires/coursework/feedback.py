"""Why a value is wrong: known mistakes by what they return, then patterns, then pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from minires.coursework.bundle import GradedQuestion, KnownMistake
from minires.coursework.compare import Verdict, compare
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


def pattern(verdict: Verdict, arguments: dict[str, Any]) -> str:
    """What a wrong array looks like: a factor, a sign, axes exchanged; empty if like nothing."""
    if verdict.got is None or verdict.expected is None or not verdict.got.size:
        return ""
    got, expected = verdict.got.astype(float), verdict.expected.astype(float)
    nothing = np.zeros(got.shape, bool)
    comparison = Comparison(
        1, "", "", got, expected, verdict.tolerance, verdict.wrong, nothing, False, False
    )
    shapes = [v.shape for v in arguments.values() if isinstance(v, np.ndarray)]
    with np.errstate(all="ignore"):
        hint = hints.find(comparison, hints.Evidence(expected, nothing, shapes))
    return _translated(hint or "")


def _translated(hint: str) -> str:
    """The hints speak of gradients; here they are of anything."""
    for old, new in (
        ("the analytic gradient", "your result"),
        ("the analytic one", "yours"),
        ("the numeric gradient", "the right result"),
        ("the numeric one", "the right one"),
        ("analytic", "yours"),
        ("numeric", "right"),
        ("the gradient should be zero: the output does not depend on this input", "it should be 0"),
    ):
        hint = hint.replace(old, new)
    return hint


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
