"""What the trainings of assignment 8 reach, repaired and not, over many courses' seeds.

    python tests/coursework/repair_shop_measured.py 50

prints the table of docs/coursework.md, by which the thresholds were chosen.
"""

import copy
import sys
from collections import defaultdict

import numpy as np

from minires.coursework.answers import repaired
from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import make_bundle, task_of
from minires.coursework.sandbox import child
from minires.coursework.sandbox.guard import Direct


def reached(question, given, source):
    """The causes that count, and the accuracy, of every set-up of every row."""
    cells = [{"name": "own", "source": source, "how": "all"}]
    with np.errstate(all="ignore"):
        session = child.Session(task_of(question, given, cells), Direct())
        for case in question.cases:
            answer = session.answer(copy.deepcopy(case.arguments))
            causes, judged = (
                value[tag]
                for value, tag in zip(case.expected, ("$causes", "$repaired"), strict=True)
            )
            if "error" in answer:
                raise SystemExit(f"{question.name}: {answer['error']}")
            tests = {k: v for k, v in judged.items() if k != "accepted"}
            loose = repaired.Tests(**tests | {"at_least": 0.0, "untrained_below": 1.0})
            wanted = repaired.shapes(loose.sizes, loose.norm)
            for names, told in zip(causes["accepted"], answer["result"][1], strict=True):
                arrays = dict(zip(wanted, told[2], strict=True))
                share = repaired._accuracy(arrays, loose.images, loose.labels, loose)
                problem = next(repaired._problems(told, [told[0]], loose), "")
                yield " / ".join(names), share, problem


def main(seeds):
    (assignment,) = load_assignments(name="08_repair_shop")
    for declared in assignment.questions.values():
        declared.mistakes.clear()
    given = [cell.source for cell in assignment.given()]
    found = defaultdict(lambda: ([], [], []))
    for seed in range(seeds):
        for question in make_bundle(assignment, seed).questions:
            name = question.name
            idle = f"def {name}(setup):\n    return 'nothing'\n"
            for i, source in enumerate((assignment.solution(name), idle)):
                for causes, share, problem in reached(question, given, source):
                    found[name, causes][i].append(share)
                    if i:
                        found[name, causes][2].append(problem)
    repaired = "repaired: minimum | median | not repaired: maximum"
    print(f"| counter | fault | {repaired} | detected otherwise |")
    print("| --- | --- | --: | --: | --: | --: |")
    for (name, causes), (right, idle, problems) in found.items():
        noticed = sum(map(bool, problems)) / len(problems)
        print(
            f"| {name} | {causes} | {min(right):.3f} | {np.median(right):.3f} | {max(idle):.3f} | "
            f"{noticed:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]))
