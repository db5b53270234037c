"""A player of a compiled model: the list of its steps before and after each rewrite."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from minires.viz.player import Frame, Player, TooLargeError
from minires.viz.scene import Box, Label, Scene, shortened

if TYPE_CHECKING:
    from minires.compile import Plan

MOST_STEPS = 120
"""Steps before the first rewrite; more would not fit on a page."""

ROW, COLUMN, COLUMNS = 24.0, 360.0, 3


def rewrites(plan: Plan, *, title: str = "What the compiler does to the list of steps") -> Player:
    """Step through the rewrites of a plan: what goes, and what it is joined to.

    Parameters
    ----------
    plan : Plan
        From `minires.compile`; of the shape that it was last called with.
    title : str

    Returns
    -------
    Player
        A frame for the recorded list and one after each rewrite that found something.

    Raises
    ------
    TooLargeError
        If the model does more than 120 operations: compile a smaller one of its kind.
    """
    history = plan.history
    longest = len(history[0][1])
    if longest > MOST_STEPS:
        raise TooLargeError(
            f"{longest} operations are more than the {MOST_STEPS} that fit on a page: compile a "
            "smaller network of the kind"
        )
    columns = min(COLUMNS, -(-longest // 10))
    rows = -(-longest // columns)
    scene = Scene(columns * COLUMN + 10, rows * ROW + 16)
    for i in range(longest):
        x, y = 10 + i // rows * COLUMN, 8 + i % rows * ROW
        scene.add(
            Box(x, y, COLUMN - 10, ROW - 4, key=f"b{i}", radius=4),
            Label(x + 8, y + ROW / 2 - 2, "", key=f"t{i}", anchor="start", size=12, mono=True),
        )
    frames, before = [], history[0][1]
    for rule, after in history:
        changed = _changed(before, after)
        frames.append(
            Frame(
                _sentence(rule, len(before), len(after)),
                text={f"t{i}": _shown(after, i) for i in range(longest)},
                classes={f"b{i}": "shown" if i < len(after) else "hidden" for i in range(longest)},
                marks={f"b{i}": "now" for i in changed},
            )
        )
        before = after
    return Player(title, scene, frames)


def _shown(steps: list[str], i: int) -> str:
    return shortened(steps[i], COLUMN - 26, 12) if i < len(steps) else ""


def _changed(before: list[str], after: list[str]) -> list[int]:
    """The places in `after` that were not there before."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    blocks = [m for m in matcher.get_opcodes() if m[0] != "equal"]
    return [i for _, _, _, first, last in blocks for i in range(first, last)]


def _sentence(rule: str, before: int, after: int) -> str:
    if rule == "recorded":
        return f"Recorded: the model does {after} operations, each of which writes an array."
    gone = "the list is as long as before" if before == after else f"{before} steps become {after}"
    return f"{rule} {gone[0].upper()}{gone[1:]}."
