"""What has been tried to get points without the work, or to harm who grades. None of it works."""

import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

import minires
from minires.coursework.cells import parse_percent
from minires.coursework.grading.grade import grade_question
from minires.coursework.sandbox import child

pytestmark = pytest.mark.slow

WRONG = "\ndef batch_norm_eval(*arguments):\n    return 0 * arguments[0]\n"


@pytest.mark.parametrize(
    "cheat",
    [
        "np.allclose = np.isclose = np.array_equal = lambda *a, **k: True",
        "import numpy.testing\nfor name in dir(np.testing):\n"
        "    if name.startswith('assert'): setattr(np.testing, name, lambda *a, **k: None)",
        "import builtins\nbuiltins.abs = builtins.max = lambda *a, **k: 0",
        "import sys\nsys.exit(0)",
        "import sys\nsys.exit = lambda *a: None\nsys.stdout = sys.stderr = None",
        "import os\nos._exit(0)",
        "import os\nos.kill(os.getpid(), 9)",
        "import ctypes\nctypes.string_at(0)",
        "raise KeyboardInterrupt",
        "import json, struct\njson.dumps = lambda *a, **k: '{\"result\": true}'",
        "import os\nos.write(1, b'\\x02\\x00\\x00\\x00{}\\x00\\x00\\x00\\x00')",
        "import os\nfor i in range(3, 20):\n    try: os.write(i, b'garbage' * 100)\n"
        "    except OSError: pass",
        "import gc, sys\nfor f in (sys._getframe(i) for i in range(4)):\n"
        "    f.f_locals.update(question=None, expected=None)",
    ],
)
def test_tampering_with_the_child_earns_nothing(graded, cheat):
    assert graded(cheat + WRONG).earned == 0
    inside = "".join(f"    {line}\n" for line in cheat.splitlines())
    assert graded(f"def batch_norm_eval(*a):\n{inside}    return a[0]").earned == 0


@pytest.mark.parametrize(
    "returned",
    [
        "type('Yes', (), {'__eq__': lambda *a: True, 'shape': x.shape, 'dtype': x.dtype})()",
        "type('Yes', (np.ndarray,), {'__eq__': lambda *a: True, '__sub__': lambda a, b: 0})"
        "(x.shape)",
        "np.ma.masked_all(x.shape)",
        "type('Yes', (float,), {'__eq__': lambda *a: True})()",
        "{'$accuracy': 1, '$array': 0}",
        "np.full(x.shape, np.nan)",
        "np.full(x.shape, np.inf)",
        "np.broadcast_to(0.0, (10**6, 10**6))",
        "np.zeros((0, 3))",
    ],
)
def test_objects_that_claim_to_be_equal_earn_nothing(graded, returned):
    source = f"def batch_norm_eval(x, *rest):\n    return {returned}\n"
    assert graded(source).earned == 0


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("minires", "minires may not be used here, only numpy and the standard library"),
        ("torch", "torch may not be used here"),
        ("scipy", "scipy may not be used here"),
    ],
)
def test_other_modules_are_refused(graded, module, text):
    source = f"import {module}\n"
    result = graded(source + f"def batch_norm_eval(*a): return {module}.nothing")
    assert result.earned == 0
    inside = graded(f"def batch_norm_eval(*a):\n    import {module}\n    return 0")
    assert text in inside.cases[0].text


def test_minires_is_not_there_whichever_way_it_is_asked_for(graded):
    source = (
        "def batch_norm_eval(x, *rest):\n    import importlib\n"
        "    reference = importlib.import_module('min' + 'ires.kernels.reference')\n"
    )
    text = "ModuleNotFoundError: minires may not be used here, only numpy"
    assert text in graded(source).cases[0].text


def test_a_student_who_finds_the_package_by_its_path_does_not(needs_isolation, graded):
    place = str(Path(minires.__file__).parent.parent)
    source = (
        f"import sys\nsys.path.insert(0, {place!r})\ndef batch_norm_eval(*a):\n"
        "    return __import__('minires').nn\n"
    )
    assert "minires may not be used here" in graded(source).cases[0].text


def test_a_loop_without_end_loses_its_question_only(graded, bundle, sandboxed):
    question = replace(bundle.question("batch_norm_eval"), seconds=0.5)
    cells = parse_percent("def batch_norm_eval(*a):\n    while True: pass")
    begin = time.monotonic()
    result = grade_question(question, bundle.given, cells, sandboxed=sandboxed)
    assert time.monotonic() - begin < 30
    assert result.cases[0].text.startswith("time-out: it took more than ")
    assert result.cases[1].text == "time-out: not run, since the question's time was over"


def test_sleeping_does_not_help(bundle, sandboxed):
    question = replace(bundle.question("batch_norm_eval"), seconds=0.25)
    cells = parse_percent("def batch_norm_eval(*a):\n    import time; time.sleep(1000)")
    result = grade_question(question, bundle.given, cells, sandboxed=sandboxed)
    assert result.cases[0].text == "time-out: it took more than 1 s by the clock"


def test_a_crash_loses_its_case_only(graded, bundle, right):
    first = float(bundle.question("batch_norm_eval").cases[0].arguments["x"][0, 0])
    crash = right.replace(
        "    return", f"    if x[0, 0] == {first}: import os; os._exit(3)\n    return"
    )
    result = graded(crash)
    assert [case.passed for case in result.cases] == [False] + [True] * 8
    assert "ended before it answered (exit code 3)" in result.cases[0].text


# ---------------------------------------------------------------------- only a sandbox survives it


@pytest.mark.usefixtures("needs_isolation")
class TestIsolation:
    def refused(self, graded, code, error):
        """The code fails inside a call with this error."""
        body = "\n".join(f"    {line}" for line in code.splitlines())
        result = graded(f"def batch_norm_eval(*a):\n{body}\n    return 'it worked'")
        assert result.cases[0].text.startswith(error), result

    def test_fork_bomb(self, graded):
        code = "import os\nwhile True:\n    os.fork()"
        self.refused(graded, code, "BlockingIOError")
        code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', '1'])"
        self.refused(graded, code, "BlockingIOError")
        code = "import threading\nthreading.Thread(target=print).start()"
        self.refused(graded, code, "RuntimeError: can't start new thread")

    def test_memory_bomb(self, graded):
        self.refused(graded, "x = []\nwhile True:\n    x.append(bytearray(10**7))", "MemoryError")

    def test_ten_gigabytes_of_output(self, bundle, graded):
        question = replace(bundle.question("batch_norm_eval"), seconds=1)
        flood = "def batch_norm_eval(*a):\n    while True: print('x' * 10**6)"
        result = grade_question(question, bundle.given, parse_percent(flood))
        assert result.earned == 0
        assert len(result.printed) <= 4096

    def test_files_as_large_as_the_disk(self, graded):
        code = "with open('/box/a', 'wb') as f:\n    while True: f.write(bytes(10**6))"
        self.refused(graded, code, "OSError: [Errno 27] File too large")
        code = "for i in range(99):\n    open(f'/box/{i}', 'wb').write(bytes(7 << 20))"
        self.refused(graded, code, "OSError: [Errno 28] No space left on device")

    def test_writing_elsewhere(self, graded, tmp_path):
        tmp_path.chmod(0o777)
        for place in (tmp_path / "a", "/a", "/tmp/a", "/usr/lib/a", "/packages/numpy/a"):
            result = graded(
                f"def batch_norm_eval(*a):\n    open({str(place)!r}, 'w')\n    return 1"
            )
            assert "Error" in result.cases[0].text
        assert list(tmp_path.iterdir()) == []

    def test_reading_the_graders_files(self, graded, tmp_path):
        secret = tmp_path / "answers"
        secret.write_text("42")
        tmp_path.chmod(0o777)
        secret.chmod(0o666)
        for place in (secret, "/etc/passwd", __file__, child.__file__):
            self.refused(graded, f"open({str(place)!r}).read()", "FileNotFoundError")

    def test_reading_the_parents_memory(self, graded):
        self.refused(graded, f"open('/proc/{os.getpid()}/mem', 'rb')", "FileNotFoundError")
        self.refused(graded, "import os\nos.listdir('/proc')", "FileNotFoundError")
        self.refused(graded, f"import os\nos.kill({os.getpid()}, 9)", "ProcessLookupError")
        self.refused(graded, "import ctypes", "ImportError: ctypes may not be used here")

    def test_sockets(self, graded):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            code = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)"
            result = graded(
                f"def batch_norm_eval(*a):\n    {code.replace(chr(10), '; ')}\n    return 1"
            )
            assert "Error" in result.cases[0].text
            server.settimeout(0.2)
            with pytest.raises(TimeoutError):
                server.accept()

    def test_one_child_leaves_nothing_for_the_next(self, graded):
        graded("open('/box/note', 'w').write('for you')" + WRONG)
        self.refused(graded, "open('/box/note')", "FileNotFoundError")

    def test_nobody_is_root(self, graded):
        self.refused(graded, "import os\nos.setuid(0)", "PermissionError")
        code = "import os\nassert os.getuid() != 0\nraise LookupError(os.getpid())"
        self.refused(graded, code, "LookupError: 1\n")
