"""What was not graded, in a folder of several assignments."""

import csv
from pathlib import Path

import pytest

from minires.coursework.submissions.collect import Collected, LeftOut, Submission
from minires.coursework.submissions.missed import write_not_graded


@pytest.fixture
def run(tmp_path):
    """Grade one assignment of a folder: what the table says of each file then."""
    done = set()

    def of(assignment, submissions, left_out):
        mine = [Submission(file.partition("/")[0], Path(file), file) for file in submissions]
        done.update((assignment, file) for file in submissions)
        found = Collected({assignment: mine}, left_out)

        write_not_graded(tmp_path / "not_graded.csv", found, [tmp_path], done)
        with (tmp_path / "not_graded.csv").open(encoding="utf-8-sig") as file:
            return {row["file"]: row["why"] for row in csv.DictReader(file)}

    return of


def test_what_is_graded_for_another_assignment_is_not_missed(run):
    first, second, old = "ada/01_x.py", "ada/02_y.py", "ada/02_y_old.py"
    earlier = LeftOut("ada", old, f"{second} counts: it is the later file")

    def elsewhere(file, name):
        return LeftOut("ada", file, f"it is for {name}", other=name)

    others = [elsewhere(second, "02_y"), elsewhere(old, "02_y")]
    assert run("01_x", [first], others) == dict.fromkeys([second, old], "it is for 02_y")
    table = run("02_y", [second], [elsewhere(first, "01_x"), earlier])
    assert table == {old: earlier.why}
    assert run("01_x", [first], others) == {old: earlier.why}, "what was said of it stays"
