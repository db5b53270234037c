"""Give every fault and every healthy training of this folder to the checkup, once.

    cd tests/checks; PYTHONPATH=../.. python -m outside_second.score

Writes score.json: what is said to be broken of each, in the report's words. For a fault somebody
then reads the words and decides whether they mean the same as one of its `named_by`, or as its
`cause`. `--to-decide` prints them side by side.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from outside.score import score_all

from outside_second.everything import FAULTS, HEALTHY

RESULTS = Path(__file__).with_name("score.json")


def to_decide(known: dict[str, Any]) -> str:
    """Each fault, what would name it, and what was said."""
    lines = []
    for name, found in known["faults"].items():
        fault = FAULTS[name]
        lines += ["", f"{name} ({fault.kind}): {fault.cause}"]
        lines += [f"  named by: {each}" for each in fault.named_by]
        lines += [f"  said: {check}: {words}" for check, words in found["broken"].items()]
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
    score_all(known, {"healthy": HEALTHY, "faults": FAULTS}, RESULTS)


if __name__ == "__main__":
    main()
