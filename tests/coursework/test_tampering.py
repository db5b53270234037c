"""What a child measures stays true, whatever a student's code does to it: no cheat gains a point.

Each cheat stands before a wrong answer, which by itself earns something at most for what is right
in it. The same is tried as an ordinary user where the tests run as root.
"""

import functools
import json
import os
import subprocess
import textwrap
import tracemalloc
from pathlib import Path

import as_user
import cheats
import pytest

from minires.coursework.assignment import load_assignments
from minires.coursework.bundle import make_bundle
from minires.coursework.cells import parse_percent
from minires.coursework.grading.grade import grade_question
from minires.coursework.sandbox import parent as sandbox
from minires.coursework.sandbox.parent import Child, ChildLost, Limits

pytestmark = pytest.mark.slow

CASES = [(name, question) for name, (tried, _) in cheats.CHEATS.items() for question in tried]


@functools.cache
def bundle_of(question):
    return make_bundle(load_assignments(name=cheats.WRONG[question][0])[0])


def earned(question, source, sandboxed):
    bundle = bundle_of(question)
    result = grade_question(
        bundle.question(question), bundle.given, parse_percent(source), sandboxed=sandboxed
    )
    return result.earned


@functools.cache
def by_itself(question, sandboxed):
    return earned(question, cheats.honest(question), sandboxed)


@pytest.mark.parametrize(("name", "question"), CASES)
def test_cheats_gain_nothing(name, question, sandboxed):
    assert earned(question, cheats.source(name, question), sandboxed) <= by_itself(
        question, sandboxed
    )


@pytest.mark.parametrize("name", list(cheats.ANSWERS))
def test_answers_that_cheat_earn_what_is_right_in_them(name, sandboxed):
    question, most, answer = cheats.ANSWERS[name]
    assert earned(question, answer, sandboxed) <= most + 1e-9


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.usefixtures("needs_isolation")
def test_cheats_gain_nothing_for_an_ordinary_user():
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        as_user.command(), capture_output=True, text=True, env=environment, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert str(told["user"]) == as_user.USER
    if told["problem"]:
        pytest.skip(f"no isolation for an ordinary user here: {told['problem']}")
    assert len(told["rows"]) == len(CASES)
    assert [row for row in told["rows"] if row[2] > row[3]] == []


# ---------------------------------------------------------------------- the sandbox's own channel


@pytest.mark.parametrize(
    "lie",
    [
        "os.write(2, b'isolation failed: unshare'); os._exit(99)",
        "[write(n, b'failed: unshare\\n') for n in range(60)]; os._exit(99)",
        "os.write(2, b'out of time'); os._exit(98)",
        "[write(n, b'out of time\\n') for n in range(60)]; os.kill(os.getpid(), 9)",
    ],
)
def test_nobody_but_the_sandbox_says_how_isolation_went(lie, sandboxed):
    source = (
        "import os\ndef write(n, text):\n    try: os.write(n, text)\n    except OSError: pass\n"
        f"def relu_forward(x):\n    {lie}\n"
    )
    bundle = bundle_of("relu_forward")
    question, cells = bundle.question("relu_forward"), parse_percent(source)
    result = grade_question(question, bundle.given, cells, sandboxed=sandboxed)
    assert result.earned == 0
    words = ("the process ended before it answered (exit code", "it does not begin as a message")
    assert all(case.text.startswith(words) for case in result.cases)
    assert len(result.cases) == len(question.cases)


# ---------------------------------------------------------------------- memory that no limit counts


def in_isolation(monkeypatch, code):
    """What a program prints that runs sandboxed in the child's place, without its audit hook."""
    boot = f"class Main:\n    def main(self):\n{textwrap.indent(code, ' ' * 8)}\n"
    boot += "def parts(folder):\n    return Main()\n"
    monkeypatch.setattr(sandbox, "_parts", lambda: {"boot.py": boot})
    task = {"modules": ["numpy"], "given": [], "cells": [], "parts": [], "name": "", "driver": None}
    with Child(task, 10, 60, Limits()) as process:
        process.start()
        with pytest.raises(ChildLost):
            process.ask({})
        process._log.join(timeout=5)
        return process.log.decode()


@pytest.mark.usefixtures("needs_isolation")
@pytest.mark.parametrize(
    "call",
    [
        "libc.shmget(0, 1 << 30, 0o1777)",
        "libc.msgget(0, 0o1777)",
        "libc.semget(0, 100, 0o1777)",
        "libc.memfd_create(b'x', 0)",
        "libc.syscall({'x86_64': 240}.get(os.uname().machine, 180), b'/x', 66, 0o600, 0)",
        "libc.syscall({'x86_64': 248}.get(os.uname().machine, 217), b'user', b'a', b'b', 1, -4)",
        "libc.syscall(425, 8, ctypes.create_string_buffer(200))",
    ],
)
def test_memory_beyond_the_limit_is_not_to_be_had(monkeypatch, call):
    code = (
        "import ctypes, os, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"print({call}, ctypes.get_errno(), file=sys.stderr)"
    )
    assert in_isolation(monkeypatch, code).split() == ["-1", "1"]  # EPERM


@pytest.mark.usefixtures("needs_isolation")
def test_nothing_that_a_child_wrote_is_run(monkeypatch):
    """A library of one's own could write to memory as ctypes does."""
    code = (
        "import mmap, sys\nf = open('/box/lib.so', 'wb+'); f.write(bytes(4096)); f.flush()\n"
        "try: mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)\n"
        "except PermissionError as error: print(error.errno, file=sys.stderr)"
    )
    assert in_isolation(monkeypatch, code).split() == ["1"]


@pytest.mark.parametrize(
    "returned",
    [
        "[np.zeros(1 << 17) for _ in range(400)]",
        "[np.zeros(100) for _ in range(100_000)]",
        "[[] for _ in range(3_000_000)]",
        "[[[[0] * 100] * 100] * 100] * 100",
        "['a' * 10_000] * 10_000",
        "{str(i): 'a' * 100 for i in range(100_000)}",
        "2 ** (1 << 26)",
        "np.broadcast_to(0.0, (1 << 13, 1 << 13))",
        "[np.broadcast_to(0.0, (1 << 10, 1 << 10))] * 9999",
    ],
)
def test_a_reply_is_bounded_as_a_whole(returned, sandboxed):
    source = f"def relu_forward(x):\n    return {returned}\n"
    tracemalloc.start()
    try:
        assert earned("relu_forward", source, sandboxed) == 0
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()
