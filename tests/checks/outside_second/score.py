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
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from outside.score import SYMPTOMS, score_all

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
    alarms = {n: [*r["broken"]] for n, r in known["healthy"].items() if r["broken"]}
    untrue = {name: each["untrue"] for name, each in named.items() if each["untrue"]}
    times = sorted(r["seconds"] for kind in known.values() for r in kind.values())
    lines = [
        f"harmful faults: {len(harmful)}, within the declared reach {len(within)}, "
        f"of these named {len(within) - len(missed)}",
        f"not named: {len(others)}, of which {len(stated)} are stated not to learn",
        f"within reach and not named: {', '.join(missed)}",
        f"healthy trainings: {len(known['healthy'])}, of which something is said of {len(alarms)}",
        *(f"  {name}: {', '.join(checks)}" for name, checks in alarms.items()),
        "said of faults and not so:",
        *(f"  {name}: {', '.join(checks)}" for name, checks in untrue.items()),
        f"seconds: median {times[len(times) // 2]}, most {times[-1]}",
    ]
    return "\n".join(lines)


def main() -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    known: dict[str, Any] = {"faults": {}, "healthy": {}}
    if RESULTS.exists():
        known |= json.loads(RESULTS.read_text())
    if "--to-decide" in sys.argv:
        print(to_decide(known))
        return
    if "--table" in sys.argv:
        print(table(known))
        return
    score_all(known, {"healthy": HEALTHY, "faults": FAULTS}, RESULTS)


if __name__ == "__main__":
    main()
