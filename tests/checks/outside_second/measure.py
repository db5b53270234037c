"""Train every fault beside the same training without it, and every healthy one, by several seeds.

    cd tests/checks; PYTHONPATH=../.. nice -n 10 python -m outside_second.measure

Writes what becomes of them to measured.json, all with one seed before any with the next; it can
be stopped and goes on from there. What the file has already is not trained again;
`--again NAME...` trains those anew, `--table` prints numbers by kind.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from outside.measure import judged, verdict

import minires
from outside_second.everything import FAULTS, HEALTHY, Fault, Healthy

RESULTS = Path(__file__).with_name("measured.json")
SEEDS = (0, 1, 2)


def of_fault(fault: Fault, seed: int) -> dict[str, Any]:
    """A fault beside the same training without it."""
    found = judged(partial(fault.make, seed), fault.epochs, fault.judge)
    right = judged(partial(fault.right, seed), fault.epochs, fault.right_judge)
    return {"harm": verdict(found, right), "with": found, "without": right}


def of_healthy(one: Healthy, seed: int) -> dict[str, Any]:
    """What becomes of a healthy training: it learns if it gets as good as it should."""
    found = judged(partial(one.make, seed), one.epochs, one.judge)
    return {"learns": found.get("accuracy", 0.0) >= one.good, **found}


def summary_of_fault(fault: Fault, seeds: dict[str, Any]) -> dict[str, Any]:
    """A fault is harmful if it harms in more than half of the seeds."""
    harms = Counter(each["harm"] for each in seeds.values() if each["harm"] != "none")
    harmful = sum(harms.values()) > len(seeds) / 2
    harm = harms.most_common(1)[0][0] if harmful else "none"
    return {"kind": fault.kind, "harmful": harmful, "harm": harm, "seeds": seeds}


def summary_of_healthy(one: Healthy, seeds: dict[str, Any]) -> dict[str, Any]:
    learns = all(each["learns"] for each in seeds.values())
    return {"good": one.good, "learns": learns, "seeds": seeds}


def table(known: dict[str, Any]) -> str:
    """How many faults there are of each kind, and what they do."""
    faults = known["faults"]
    lines = []
    for kind in dict.fromkeys(each["kind"] for each in faults.values()):
        of_kind = [each for each in faults.values() if each["kind"] == kind]
        harmful = sum(each["harmful"] for each in of_kind)
        lines.append(f"{kind:30}{len(of_kind):4}{harmful:4}")
    lines.append(f"{'all':30}{len(faults):4}{sum(f['harmful'] for f in faults.values()):4}")
    harms = Counter(each["harm"] for each in faults.values())
    lines += [f"{harm:30}{count:4}" for harm, count in harms.most_common()]
    lines.append(f"harmless: {', '.join(n for n, f in faults.items() if not f['harmful'])}")
    healthy = known["healthy"]
    lines.append(f"healthy trainings: {len(healthy)}")
    lines.append(f"that do not learn: {[n for n, h in healthy.items() if not h['learns']]}")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    minires.set_num_threads(1)
    known: dict[str, Any] = {"faults": {}, "healthy": {}}
    if RESULTS.exists():
        known |= json.loads(RESULTS.read_text())
    if arguments[:1] == ["--table"]:
        print(table(known))
        return
    again = arguments[1:] if arguments[:1] == ["--again"] else []
    kinds: Any = (
        ("faults", FAULTS, of_fault, summary_of_fault),
        ("healthy", HEALTHY, of_healthy, summary_of_healthy),
    )
    for kind, everything, _, _ in kinds:
        kept = {n: r for n, r in known[kind].items() if n in everything and n not in again}
        known[kind] = kept
    for seed in SEEDS:  # all of them with one seed before any with the next
        for kind, everything, measure, summary in kinds:
            for name, one in everything.items():
                seeds = known[kind].get(name, {}).get("seeds", {})
                if str(seed) in seeds:
                    continue
                start = time.process_time()
                seeds = {**seeds, str(seed): measure(one, seed)}
                known[kind][name] = summary(one, seeds)
                RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
                used = time.process_time() - start
                print(f"{used:6.1f} s  {name}: {seeds[str(seed)]}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
