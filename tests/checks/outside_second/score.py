"""Give every fault and every healthy training of this folder to the checkup, once.

    cd tests/checks; PYTHONPATH=../.. python -m outside_second.score

Writes score.json: what is said to be broken of each, in the report's words. For a fault somebody
then reads the words and decides whether they mean the same as one of its `named_by`, or as its
`cause`. `--to-decide` prints them side by side; what was decided is in named.json, and reach.json,
written before anything was scored, says which checks declare that they would see a fault.
`--table` prints what came of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from outside.score import SYMPTOMS, command, of_healthy, reached, seconds

from outside_second.everything import FAULTS, HEALTHY

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "score.json"


def to_decide(known: dict[str, Any]) -> str:
    """Each fault, what would name it, and what was said."""
    lines = []
    for name, found in known["faults"].items():
        fault = FAULTS[name]
        lines += ["", f"{name} ({fault.kind}): {fault.cause}"]
        lines += [f"  named by: {each}" for each in fault.named_by]
        lines += [f"  said: {check}: {words}" for check, words in found["broken"].items()]
    return "\n".join(lines)


def table(known: dict[str, Any]) -> str:
    """How many faults are named, by whom read them, and what is said of healthy trainings."""
    measured, reach, named = (
        json.loads((FOLDER / f"{name}.json").read_text()) for name in ("measured", "reach", "named")
    )
    harmful = [name for name, fault in measured["faults"].items() if fault["harmful"]]
    within = [name for name in harmful if reach[name]["checks"]]
    missed = [name for name in within if not named[name]["named"]]
    others = [name for name in harmful if not named[name]["named"]]
    stated = [name for name in others if SYMPTOMS & {*known["faults"][name]["broken"]}]
    untrue = {name: each["untrue"] for name, each in named.items() if each["untrue"]}
    lines = [
        reached(harmful, within, missed),
        f"not named: {len(others)}, of which {len(stated)} are stated not to learn",
        f"within reach and not named: {', '.join(missed)}",
        *of_healthy(known),
        "said of faults and not so:",
        *(f"  {name}: {', '.join(checks)}" for name, checks in untrue.items()),
        seconds(known),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    views = {"--to-decide": to_decide, "--table": table}
    command({"healthy": HEALTHY, "faults": FAULTS}, RESULTS, views)
