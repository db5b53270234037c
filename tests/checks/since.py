"""What is said now of both outside sets, of unusual healthy trainings and of two faults at once.

    cd tests/checks; PYTHONPATH=../.. python since.py [NAME...]

Prints, for each fault, which checks name what they did not when the sets were scored, and which no
longer do; and whatever is said of a healthy training. Nothing is written.
"""

import json
import sys
import warnings

import numpy as np
from outside import score as first
from outside_second import score as second
from right_though_unusual import HEALTHY as UNUSUAL

import minires


def main(names):
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    alarms = 0
    made = {"unusual": dict(UNUSUAL)}
    known = {"unusual": {}}
    for label, module in (("first", first), ("second", second)):
        was = json.loads(module.RESULTS.read_text())
        for kind, register in (("healthy", module.HEALTHY), ("faults", module.FAULTS)):
            made[f"{label} {kind}"] = {name: one.make for name, one in register.items()}
            known[f"{label} {kind}"] = was[kind]
    for kind in sorted(made, key=lambda kind: "faults" in kind):
        for name, make in made[kind].items():
            if names and name not in names:
                continue
            before = {*known[kind].get(name, {"broken": ()})["broken"]}
            report = minires.checkup(make)
            now = {f.check: f.message for f in report.broken}
            if "faults" not in kind:
                alarms += bool(now)
                before = set()
            for check in sorted(now.keys() ^ before if not names else now.keys() | before):
                sign = "+" if check in now else "-"
                print(f"{sign} {kind}: {name}: {check}: {now.get(check, '')}", flush=True)
    print(f"{alarms} healthy trainings are called broken")


if __name__ == "__main__":
    main(sys.argv[1:])
