"""The commands as users type them."""

import json
import subprocess
import sys
import threading
import time

import pytest
from small_assignment import GRADING, SOURCE, write

from minires.coursework.commands import build_and_grade as command
from minires.coursework.commands.build_and_grade import require_isolation
from minires.coursework.sandbox import parent as sandbox
from minires.locks import hold


def test_build_check_and_grade(minires, tmp_path, unsafe):
    said = minires("coursework", "build", tmp_path, "--assignment", "04_batch_norm")
    assert "04_batch_norm: 6 questions, 20 points, 62 tests" in said
    student = tmp_path / "student/04_batch_norm/04_batch_norm.ipynb"
    said = minires("check", student, "--question", "batch_norm_eval", rc=1)
    assert "Batch normalisation: 0 of 1 visible test passes; hidden ones decide" in said
    assert "WRONG batch_norm_eval  0 of 1, not answered" in said
    assert "points" not in said
    assert "a variance of 0" not in said, "that test is hidden"
    instructor = tmp_path / "instructor/04_batch_norm/04_batch_norm.ipynb"
    bundle = tmp_path / "bundle/04_batch_norm.bundle"
    said = minires("grade", instructor, "--assignment", bundle, *unsafe)
    assert "Batch normalisation: 20/20 points" in said


def test_a_group_of_commands_shows_its_help(minires):
    said = minires("coursework")
    assert "similarity" in said
    assert "Error" not in said
    assert said == minires("coursework", "--help")


def test_errors_are_one_line(minires, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, text in [
        (["grade", "nothing.ipynb"], "nothing.ipynb does not exist"),
        (["grade", tmp_path / "empty", "--assignment", "04_batch_norm"], "holds no notebook"),
        (["grade", tmp_path, "--assignment", "99"], "no assignment '99', only"),
        (["grade", tmp_path, "--assignment", tmp_path], "name the file that ends in .bundle"),
        (["coursework", "build", tmp_path, "--source", tmp_path], "holds no assignment"),
        (["check", tmp_path / "a.ipynb"], "does not exist"),
        (["check", tmp_path], "is a folder: name your notebook in it"),
    ]:
        if arguments[0] == "grade":
            arguments.append("--unsafe-no-sandbox")
        said = minires(*arguments, rc=2)
        assert text in said
        assert said.count("\n") == 1


def test_two_graders_do_not_write_to_one_folder(minires, tmp_path):
    (tmp_path / "ada.py").write_text("x = 1\n")
    held, let_go = threading.Event(), threading.Event()

    def other():
        with hold(tmp_path / "out"):
            held.set()
            let_go.wait()

    thread = threading.Thread(target=other)
    thread.start()
    held.wait()
    call = ("grade", tmp_path / "ada.py", "--assignment", "04_batch_norm", "--unsafe-no-sandbox")
    said = minires(*call, "--out", tmp_path / "out", rc=2)
    let_go.set()
    thread.join()
    assert said.startswith(f"minires: {tmp_path / 'out'} is in use by another process")
    assert list((tmp_path / "out").iterdir()) == []


def test_without_isolation_grading_refuses(monkeypatch):
    monkeypatch.setattr(command, "isolation_problem", lambda: "unshare: Operation not permitted")
    with pytest.raises(ValueError, match=r"cannot be locked in .*unshare.*--unsafe-no-sandbox"):
        require_isolation(False)
    assert require_isolation(True) is False


def test_a_kernel_that_denies_namespaces_is_noticed(monkeypatch):
    """The sandbox fails loudly, and the probe says why."""
    script = "import os,sys;os.write(int(sys.argv[1]), b'failed: unshare: denied\\n'); os._exit(99)"
    real = sandbox._isolated

    def denied(*arguments):
        command_line, environment, cwd = real(*arguments)
        return [command_line[0], "-c", script], environment, cwd

    monkeypatch.setattr(sandbox, "_isolated", denied)
    sandbox.isolation_problem.cache_clear()
    try:
        assert sandbox.isolation_problem() == "isolation failed: unshare: denied"
    finally:
        sandbox.isolation_problem.cache_clear()


def test_a_run_resumes_and_regrades(minires, tmp_path, unsafe):
    question = SOURCE[SOURCE.index("# %% question") :].replace("double", "twice")
    graded = GRADING[GRADING.index("@question") :].replace("double", "twice")
    write(tmp_path / "source" / "08_two", SOURCE + "\n" + question, GRADING + graded)
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    (work / "ada.py").write_text("def double(x): return x + x\ndef twice(x): return 2 * x")
    (work / "bob.py").write_text("def double(x): return x\n")
    grade = ["grade", work, "--source", tmp_path / "source", "--assignment", "08_two"]
    grade += ["--out", out, *unsafe]
    first = minires(*grade)
    assert [line.split() for line in first.splitlines()[-3:-1]] == [
        ["ada", "1/1", "1/1", "2/2"],
        ["bob", "0/1", "0/1", "0/2"],
    ]
    stored = out / "results" / "08_two" / "ada.json"
    before = stored.stat().st_mtime_ns
    (out / "results" / "08_two" / "bob.json").unlink()  # as if the run had been cut off
    assert minires(*grade).splitlines()[-3:-1] == first.splitlines()[-3:-1]
    assert stored.stat().st_mtime_ns == before, "what is there is not graded again"
    result = json.loads(stored.read_text())
    result["questions"][0]["earned"] = result["questions"][1]["earned"] = 0.5
    stored.write_text(json.dumps(result))
    said = minires(*grade, "--regrade", "twice")
    assert "ada: twice 0.5 -> 1 of 1" in said
    assert json.loads(stored.read_text())["questions"][0]["earned"] == 0.5


def test_a_run_that_is_killed_goes_on_where_it_was(minires, tmp_path, unsafe):
    write(tmp_path / "source" / "08_two")
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    for i in range(12):
        (work / f"student{i:02}.py").write_text("def double(x): return x + x")
    grade = ["grade", work, "--source", tmp_path / "source", "--assignment", "08_two"]
    grade += ["--out", out, *unsafe]
    running = subprocess.Popen(
        [sys.executable, "-m", "minires", *map(str, grade)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while running.poll() is None and len([*out.glob("results/*/*.json")]) < 2:
        time.sleep(0.01)
    running.kill()
    running.wait()
    done = {path: path.stat().st_mtime_ns for path in out.glob("results/*/*.json")}
    assert 2 <= len(done) < 12
    said = minires(*grade)
    assert said.count("1/1") == 2 * 12
    assert {path: path.stat().st_mtime_ns for path in done} == done, "what is there stays"


def test_scripts_in_a_notebooks_outputs_go_nowhere(minires, tmp_path, unsafe):
    write(tmp_path / "source" / "08_two")
    work, out = tmp_path / "work", tmp_path / "out"
    work.mkdir()
    script = "<img src=x onerror=alert(42)><script>alert(42)</script>"
    output = {"output_type": "display_data", "data": {"text/html": script}, "metadata": {}}
    cell = {"cell_type": "code", "metadata": {}, "execution_count": 1, "outputs": [output]}
    cells = [cell | {"source": "def double(x): return x"}]
    text = {"cell_type": "markdown", "metadata": {}, "source": script}
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [*cells, text]}
    (work / "eve.ipynb").write_text(json.dumps(notebook))
    grade = ["grade", work, "--source", tmp_path / "source", "--assignment", "08_two"]
    assert "0/1 points" in minires(*grade, "--out", out, *unsafe)
    written = [path for path in out.rglob("*") if path.is_file()]
    assert any(path.suffix == ".html" for path in written)
    assert not any("alert(42)" in path.read_text() for path in written)
