"""Give every fault and every healthy training of this folder to the checkup, once.

    cd tests/checks; PYTHONPATH=../.. python -m outside.score

Writes score.json: which checks say "broken" of each, and the time. `reach.json`, written before
anything was scored, says which checks declare that they would see a fault. What the file has
already is not tried again; `--table` prints what came of it.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minires
from outside.faults import FAULTS
from outside.healthy import HEALTHY

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "score.json"
SYMPTOMS = {"learns one batch", "training gets better than guessing"}
"""These state that a training does not learn; they name no cause."""


def scored(make: Any) -> dict[str, Any]:
    """What the checkup says of a set-up, in its usual ten seconds."""
    start = time.process_time(), time.monotonic()
    report = minires.checkup(make)
    return {
        "broken": {f.check: f.message for f in report.broken},
        "not checked": [f.check for f in report.findings if f.verdict == "not checked"],
        "processor": round(time.process_time() - start[0], 2),
        "seconds": round(time.monotonic() - start[1], 2),
    }


def table(known: dict[str, Any]) -> str:
    """How many faults are named, and what is said of healthy trainings."""
    reach = json.loads((FOLDER / "reach.json").read_text())
    harm = json.loads((FOLDER / "outside.json").read_text())["faults"]
    harmful = [name for name in known["faults"] if harm[name]["harmful"]]
    within = [name for name in harmful if reach[name]["checks"]]
    missed = [n for n in within if not {*reach[n]["checks"]} & {*known["faults"][n]["broken"]}]
    silent = [n for n in harmful if not known["faults"][n]["broken"]]
    harmless = {n: [*known["faults"][n]["broken"]] for n in known["faults"] if n not in harmful}
    lines = [
        reached(harmful, within, missed),
        f"nothing said of {len(silent)} harmful ones: {', '.join(silent)}",
        f"within reach and not named: {', '.join(missed)}",
        *of_healthy(known),
        "harmless faults, and what is said of them:",
        *(f"  {name}: {', '.join(checks) or 'nothing'}" for name, checks in harmless.items()),
        seconds(known),
    ]
    return "\n".join(lines)


def reached(harmful: list[str], within: list[str], missed: list[str]) -> str:
    """How many harmful faults are within the declared reach, and how many of these are named."""
    return (
        f"harmful faults: {len(harmful)}, within the declared reach {len(within)}, "
        f"of these named {len(within) - len(missed)}"
    )


def of_healthy(known: dict[str, Any]) -> list[str]:
    """The healthy trainings of which something is said to be broken."""
    alarms = {n: [*r["broken"]] for n, r in known["healthy"].items() if r["broken"]}
    return [
        f"healthy trainings: {len(known['healthy'])}, of which something is said of {len(alarms)}",
        *(f"  {name}: {', '.join(checks)}" for name, checks in alarms.items()),
    ]


def seconds(known: dict[str, Any]) -> str:
    """What a checkup took."""
    times = sorted(r["seconds"] for kind in known.values() for r in kind.values())
    return f"seconds: median {times[len(times) // 2]}, most {times[-1]}"


def command(
    kinds: dict[str, dict[str, Any]], results: Path, views: dict[str, Callable[[Any], str]]
) -> None:
    """Score what is not known yet, or print what an option shows of what is."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    known: dict[str, Any] = {"faults": {}, "healthy": {}}
    if results.exists():
        known |= json.loads(results.read_text())
    for option, view in views.items():
        if option in sys.argv:
            print(view(known))
            return
    score_all(known, kinds, results)


def score_all(known: dict[str, Any], kinds: dict[str, dict[str, Any]], results: Path) -> None:
    """Score what is not known yet, and write the file after each."""
    for kind, everything in kinds.items():
        for name, one in everything.items():
            if name not in known[kind]:
                known[kind][name] = result = scored(one.make)
                results.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
                print(f"{result['seconds']:6.1f} s  {name}: {[*result['broken']]}", flush=True)


if __name__ == "__main__":
    command({"healthy": HEALTHY, "faults": FAULTS}, RESULTS, {"--table": table})
