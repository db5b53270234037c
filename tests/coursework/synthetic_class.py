"""A class that nobody taught: submissions of many sorts, and whether each was graded as it must be.

    python tests/coursework/synthetic_class.py write FOLDER --submissions 1000
    minires grade FOLDER/class/* --out FOLDER/graded
    python tests/coursework/synthetic_class.py check FOLDER

The same seed writes the same class.
"""

import argparse
import csv
import json
import os
import random
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path

from class_folder import Class
from sorts_of_files import FILES
from sorts_of_work import Kit

from minires.coursework.csv_output import as_csv
from minires.coursework.submissions.entries import readable
from minires.coursework.submissions.platforms import METADATA

ASSIGNMENTS = ["01_engine", "02_layers", "03_convolution_pooling", "04_batch_norm"]
ASSIGNMENTS += ["05_residual_sgd", "06_resnet8", "07_bug_hunt"]
FEW = {"a notebook: more than 50 MB": 2, "outputs of megabytes": 5}
"""Sorts of which there are only so many, since they fill the disk."""


def write(folder, submissions, seed=0, sorts=FILES, assignments=ASSIGNMENTS, source=None):
    """Write a class to FOLDER/class and what must become of it to FOLDER/wanted.json."""
    draw, kits = random.Random(seed), [Kit(name, source) for name in assignments]
    own, wanted, written = Class(folder / "class", draw, kits), [], Counter()
    turns = list(sorts)
    while sum(written.values()) < submissions:
        name = turns[sum(written.values()) % len(turns)]
        if written[name] >= FEW.get(name, submissions):
            turns.remove(name)
            continue
        got = None
        while got is None:
            got = sorts[name](own, name, draw.choice(kits))
        written[name] += 1
        wanted += got if isinstance(got, list) else [got]
    own.finish()
    (folder / "wanted.json").write_text(json.dumps([asdict(one) for one in wanted], indent=1))
    return wanted


def check(folder):
    """What is wrong with how a class was graded, and the number of expectations by sort."""
    wanted, out = expectations(folder), folder / "graded"
    results = json.loads((out / "grades.json").read_text())
    rows = {(one["student"], one["assignment"]): one for one in results}
    reasons = dict(row[1:3] for row in table(out / "not_graded.csv"))
    problems = taken_wrongly(
        folder, wanted, {key: row["file"] for key, row in rows.items()}, reasons
    )
    for one in wanted:
        row = rows.get((one["student"], one["assignment"]))
        if row is not None:
            problems += [f"{named(one)}: {problem}" for problem in _misjudged(one, row)]
    return problems + list(_tables(out, results)), Counter(one["sort"] for one in wanted)


def expectations(folder):
    """What must become of a class."""
    return json.loads((folder / "wanted.json").read_text())


def named(one):
    """An expectation's name."""
    return f"{one['sort']}: {one['student']!r}, {one['assignment']}"


def taken_wrongly(folder, wanted, graded, reasons):
    """What is wrong with whose work was found: nobody and no file may be lost.

    Parameters
    ----------
    folder : Path
    wanted : list of dict
    graded : dict of str
        The file that counts by student and assignment.
    reasons : dict of str
        Why the others do not, by their names as `cell` has them.
    """
    problems, expected = [], set()
    for one in wanted:
        key = one["student"], one["assignment"]
        for file, why in one["left_out"].items():
            got = reasons.get(cell(file))
            if got is None or why not in got:
                problems.append(f"{named(one)}: {file!r} is not left out for {why!r} but {got!r}")
        if one["student"] is not None:
            expected.add(key)
            if graded.get(key) != one["graded"]:
                problems.append(f"{named(one)}: {graded.get(key)!r} counts, not {one['graded']!r}")
    problems += [f"a row too many: {key}" for key in graded.keys() - expected]
    return problems + [f"lost: {file!r}" for file in _lost(folder / "class", graded, reasons)]


def table(path):
    """The rows of a table behind the first."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))[1:]


def cell(text):
    """A text as the tables show it."""
    return next(csv.reader([as_csv([[text]])]))[0] if "\n" not in text else as_csv([[text]])[1:-2]


def _misjudged(one, row):
    if not one["least"] - 0.005 <= row["earned"] <= one["most"] + 0.005:
        lost = {
            question["name"]: [question["earned"], question["hints"], case["text"], case["outputs"]]
            for question in row["questions"]
            for case in question["cases"]
            if case["earned"] < case["points"]
        }
        yield f"{row['earned']} points, wanted {one['least']} to {one['most']}: {lost}"
    if one["problem"] not in row["problem"] or (row["problem"] and not one["problem"]):
        yield f"the problem is {row['problem']!r}, wanted {one['problem']!r}"
    if one["says"] not in json.dumps(row["questions"]):
        yield f"nothing says {one['says']!r}"


def _lost(folder, graded, reasons):
    """Files that are neither graded nor named."""
    told = {cell(file) for file in graded.values()} | reasons.keys()
    packed = {file.partition(".zip/")[0] + ".zip" for file in told}
    packed |= {file.partition(".ipynb/")[0] + ".ipynb" for file in told}
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in files + links:
            parts = [readable(part) for part in (Path(place) / name).relative_to(folder).parts]
            above = {cell("/".join(parts[:i])) for i in range(1, len(parts) + 1)}
            if name != METADATA and not above & (told | packed):
                yield "/".join(parts)


def _tables(out, results):
    """What is wrong with what was written for people."""
    grades = table(out / "grades.csv")
    if len(grades) != len(results):
        yield f"{len(grades)} rows in grades.csv of {len(results)} results"
    by_assignment = defaultdict(list)
    for one in results:
        by_assignment[one["assignment"]].append(one)
        for question in one["questions"]:
            for case in question["cases"]:
                if case["text"].startswith("the grader failed"):
                    yield f"{one['student']!r}, {question['name']}: {case['text']}"
    for path in out.rglob("*.csv"):
        rows = table(path)
        if path.parent.name in by_assignment:
            count = len(by_assignment[path.parent.name]) + (path.name == "canvas.csv")
            if len(rows) != count:
                yield f"{path}: {len(rows)} rows, wanted {count}"
        for text in (text for row in rows for text in row):
            number = text.lstrip("-").replace(".", "", 1).isdigit()
            if text[:1] in tuple("=+-@\t＝") and text and not number:
                yield f"{path}: a formula {text[:50]!r}"
    for name, mine in by_assignment.items():
        pages = list((out / name / "pages").iterdir()) if len(by_assignment) > 1 else mine
        if len(pages) != len(mine):
            yield f"{len(pages)} pages of {len(mine)} students of {name}"
    for path in out.rglob("*.html"):
        text = path.read_text()
        if "\u202e" in text or "\x1b" in text or not text:
            yield f"{path}: what does not print"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["write", "check"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.what == "write":
        wanted = write(asked.folder, asked.submissions, asked.seed)
        sorts = {one.sort for one in wanted}
        print(f"{asked.submissions} submissions of {len(sorts)} sorts")
        return 0
    problems, counts = check(asked.folder)
    print("\n".join(problems))
    print(f"{sum(counts.values())} expectations of {len(counts)} sorts, {len(problems)} not met")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
