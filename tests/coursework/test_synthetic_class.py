"""A class of many sorts, small enough for every day; `synthetic_class` tells of a large one."""

import sys

import pytest
from small_assignment import GRADING, write
from sorts_of_files import DAMAGED, FILES
from sorts_of_work import WORK
from synthetic_class import cell, check, expectations, taken_wrongly
from synthetic_class import write as write_class

from minires.coursework.assignment import find_assignments, question_names
from minires.coursework.submissions.collect import collect

LARGE = {"a notebook: more than 50 MB", "outputs of megabytes"}
SLOW = {
    *("an endless loop", "a long sleep", "memory without end", "a large array", "forks"),
    *("prints megabytes", "fills the disk", "returns more than crosses over"),
}
SEVERAL_QUESTIONS = {"another right way", "an odd style", "answered in another question's cell"}


@pytest.mark.skipif(sys.platform != "linux", reason="names, links and pipes as Linux has them")
def test_nobody_and_no_file_is_lost(tmp_path):
    sorts = {name: one for name, one in FILES.items() if name not in LARGE}
    names = ["02_layers", "04_batch_norm", "07_bug_hunt"]
    write_class(tmp_path, 2 * len(sorts), 3, sorts, names)
    asked = {name: question_names(place) for name, place in find_assignments().items()}
    (tmp_path / "box").mkdir()
    found = collect(sorted((tmp_path / "class").iterdir()), asked, tmp_path / "box")
    graded = {(s.student, kind): s.file for kind, own in found.submissions.items() for s in own}
    reasons = {cell(one.file): one.why for one in found.left_out}
    assert not taken_wrongly(tmp_path, expectations(tmp_path), graded, reasons)


def test_each_sort_gets_its_points(minires, tmp_path, needs_isolation):
    source = tmp_path / "source"
    write(source / "08_two", grading=GRADING.replace("2.0", "3.0"))  # of which twice is no square
    chosen = {*WORK, *DAMAGED} - SLOW - SEVERAL_QUESTIONS - LARGE
    sorts = {name: one for name, one in FILES.items() if name in chosen}
    write_class(tmp_path, len(sorts), 5, sorts, ["08_two"], source)
    places = sorted((tmp_path / "class").iterdir())
    minires("grade", *places, "--source", source, "--out", tmp_path / "graded")
    problems, counts = check(tmp_path)
    assert not problems
    assert counts.keys() == sorts.keys()
