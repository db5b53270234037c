"""The assignment that the tests grade, and submissions made from it."""

import csv
import json
import sys

import pytest
from ruled_class import CLASS, known

from minires import cli
from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import make_bundle
from minires.coursework.cells import parse_percent
from minires.coursework.grading.grade import grade_question
from minires.coursework.marks.adjusted_points import marked
from minires.coursework.marks.rules import read_rules
from minires.coursework.sandbox.parent import isolation_problem


@pytest.fixture(scope="session")
def assignment():
    return load_assignments(name="04_batch_norm")[0]


@pytest.fixture(scope="session")
def bundle(assignment):
    return make_bundle(assignment)


@pytest.fixture(scope="session")
def sandboxed():
    """Whether children can be locked in here; the tests of grading itself need no sandbox."""
    return isolation_problem() is None


@pytest.fixture
def needs_isolation(sandboxed):
    """For tests that do what only a sandbox survives."""
    if not sandboxed:
        pytest.skip(f"no isolation here: {isolation_problem()}")


@pytest.fixture
def graded(bundle, sandboxed):
    """Grade code as a submission for one question."""

    def run(source, question="batch_norm_eval"):
        chosen = bundle.question(question)
        return grade_question(chosen, bundle.given, parse_percent(source), sandboxed=sandboxed)

    return run


RIGHT = """
def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta
"""


@pytest.fixture
def right():
    """A right answer to a question."""
    return RIGHT


def notebook_of(*cells):
    """The text of a notebook with these code cells: sources, or (source, metadata)."""
    written = []
    for cell in cells:
        source, metadata = cell if isinstance(cell, tuple) else (cell, {})
        written.append({"cell_type": "code", "source": source, "metadata": metadata})
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": written})


@pytest.fixture
def notebook():
    return notebook_of


@pytest.fixture
def minires(monkeypatch, capsys):
    """Run the command line in this process; what it prints."""

    def run(*arguments, rc=0):
        monkeypatch.setattr(sys, "argv", ["minires", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = "".join(capsys.readouterr())
        assert ended.value.code == rc, printed
        return printed

    return run


@pytest.fixture
def unsafe(sandboxed):
    return [] if sandboxed else ["--unsafe-no-sandbox"]


@pytest.fixture
def rows(tmp_path):
    """A table below `out`, without its heading."""

    def read(name="grades.csv"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8-sig")
        return list(csv.reader(text.splitlines()))[1:]

    return read


@pytest.fixture
def ruled(tmp_path):
    """The class's results by files of rules."""

    def run(results=CLASS, **files):
        for name, content in files.items():
            suffix = "toml" if name == "course" else "csv"
            if isinstance(content, str):
                content = content.encode()
            (tmp_path / f"{name}.{suffix}").write_bytes(content)
        rules = read_rules([tmp_path], known(results))
        found = [marked(one, rules) for one in results]
        run.rules = rules
        return {one.student: one for one in found}

    return run
