"""The worked solutions: one for every exercise, run; and where they must not get to."""

import gzip
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SOLUTIONS = CHECKOUT / "instructor" / "solutions"
NOTEBOOKS = sorted((CHECKOUT / "notebooks" / "src").glob("*.py"))
sys.path.insert(0, str(CHECKOUT))  # `instructor` is no part of the installed package

from instructor.given import from_notebook  # noqa: E402


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_exercise_has_a_solution(notebook):
    text = notebook.read_text(encoding="utf-8").rpartition("# ## Exercises")[2]
    asked = re.findall(r"(?m)^# (\d)\. ", text)
    solution = (SOLUTIONS / notebook.name).read_text(encoding="utf-8")
    assert asked == re.findall(r"(?m)^# ## Exercise (\d): ", solution)
    parts = re.split(r"(?m)^# ## Exercise \d: ", solution)[1:]
    assert all(re.search(r"(?m)^\s*(assert|with pytest\.raises)\b", part) for part in parts)


@pytest.mark.slow
@pytest.mark.parametrize("solution", sorted(SOLUTIONS.glob("*.py")), ids=lambda path: path.stem)
def test_solutions_hold(solution, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(solution))


def test_what_a_notebook_gives_is_found_with_all_that_it_needs():
    (loops,) = from_notebook("03", "loops")  # which needs `meetings` and `output_size`
    assert loops.__name__ == "loops"
    assert {"meetings", "output_size", "np"} <= set(loops.__globals__)
    assert "fig" not in loops.__globals__
    with pytest.raises(KeyError, match="defines no nowhere"):
        from_notebook("03", "nowhere")


def test_no_instructors_file_in_what_students_get(tmp_path):
    """Neither in a built course's part for students nor in the folder of notebooks."""
    course = tmp_path / "course"
    for command in (
        ["coursework", "build", course, "--seed", "3", "--assignment", "01_engine"],
        ["notebooks", course / "student", "--no-open"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "minires", *command],
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    handed_out = [p for p in (course / "student").rglob("*") if p.is_file()]
    assert len(handed_out) > len(NOTEBOOKS)
    secret = [p for p in (CHECKOUT / "instructor").rglob("*") if p.suffix in (".py", ".md")]
    assert not {p.name for p in handed_out} & {p.name for p in secret}
    lines = {
        line.removeprefix("# ")
        for path in secret
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("# ") and len(line) > 90  # prose
    }
    assert len(lines) > 100
    for path in handed_out:
        content = path.read_bytes()
        packed = content.startswith(b"\x1f\x8b")
        text = (gzip.decompress(content) if packed else content).decode(errors="replace")
        if path.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        assert not [line for line in lines if line in text], path.name


@pytest.mark.parametrize("exam", sorted((CHECKOUT / "instructor" / "exams").glob("*.md")))
def test_answers_of_quizzes_and_exam_hold(exam):
    text = exam.read_text(encoding="utf-8")
    space = {}
    for block in re.findall(r"(?ms)^```python\n(.*?)^```", text):
        assert "assert" in block
        exec(block, space)
    points = [int(n) for n in re.findall(r"(?m)^\*\*\d.*?\((\d+) points\)", text)]
    assert points
    assert sum(points) == int(re.search(r"minutes, (\d+) points", text)[1])


def test_the_syllabus_counts_words_lines_and_minutes_as_they_are():
    page = (CHECKOUT / "docs" / "syllabus.md").read_text(encoding="utf-8")
    assert not list((CHECKOUT / "docs").rglob("quiz*"))
    for source in NOTEBOOKS:
        cells = jupytext.read(source, fmt="py:percent").cells
        prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
        plain = re.sub(r"\$[^$]*\$", " X ", prose)
        words = len(re.findall(r"[A-Za-zÀ-ÿ'-]+|\d[\d,.]*", plain))
        lines = sum(c.source.count("\n") + 1 for c in cells if c.cell_type == "code")
        reading = words / 150 + lines / 10 + 2 * prose.count("**Predict")
        own = sum(map(int, re.findall(r"difficulty \d, (\d+) min", prose)))
        row = re.search(rf"(?m)^\| {source.name[:2]} \| (.*) \|$", page)[1].replace(",", "")
        told = [int(n) for n in row.split(" | ")]
        assert abs(told[0] / words - 1) < 0.1
        assert abs(told[1] / lines - 1) < 0.1
        assert abs(told[2] - reading) < 8
        assert told[3] == own
