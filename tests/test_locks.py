"""A folder to oneself, and who must wait: threads, processes, forks, and processes that died."""

import os
import subprocess
import sys
import threading

import pytest

from minires.files import FileError
from minires.locks import LOCK, FolderInUse, hold

HOLDER = """
import sys, time
from minires.locks import hold
with hold(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""

COUNTER = """
import sys
from pathlib import Path
from minires.locks import FolderInUse, hold
folder, times = Path(sys.argv[1]), int(sys.argv[2])
counter, mine = folder / "counter", 0
while mine < times:
    try:
        with hold(folder):
            count = int(counter.read_text())
            counter.write_text(str(count + 1))
            mine += 1
    except FolderInUse:
        pass
"""


def other(folder):
    """Another process that holds the folder, until it is told or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def end(process):
    process.communicate("\n", timeout=60)


def test_a_thread_may_hold_again_what_it_holds_and_leaves_nothing(tmp_path):
    folder = tmp_path / "new" / "folder"
    with hold(folder):
        assert (folder / LOCK).exists()
        with hold(str(folder)), hold(folder / ".." / "folder"):
            pass
        assert (folder / LOCK).exists()
        (tmp_path / "link").symlink_to(folder)
        with hold(tmp_path / "link"):
            pass
    assert list(folder.iterdir()) == []


def test_another_thread_may_not(tmp_path):
    found = []

    def attempt():
        try:
            with hold(tmp_path):
                found.append("held")
        except FolderInUse as error:
            found.append(error)

    with hold(tmp_path):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    attempt()
    refusal, after = found
    assert isinstance(refusal, FileError)
    assert str(refusal).startswith(f"{tmp_path} is in use by another process: wait")
    assert after == "held"


def test_another_process_may_not_until_it_has_ended_or_died(tmp_path):
    for how in (end, lambda process: (process.kill(), process.communicate())):
        process = other(tmp_path)
        with pytest.raises(FolderInUse), hold(tmp_path):
            raise AssertionError("two hold one folder")
        how(process)
        with hold(tmp_path):
            pass
        assert list(tmp_path.iterdir()) == []


def test_one_at_a_time_however_they_hurry(tmp_path):
    """Lock files come and go under everybody's hands; no count may be lost."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNTER, tmp_path, "60"]) for _ in range(3)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "180"
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_that_ends_gives_nothing_back(tmp_path):
    with hold(tmp_path):
        child = os.fork()
        if child == 0:
            try:
                with hold(tmp_path):
                    raise KeyboardInterrupt
            except KeyboardInterrupt:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        process = subprocess.run(
            [sys.executable, "-c", HOLDER, tmp_path], capture_output=True, text=True
        )
        assert "FolderInUse" in process.stderr


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def unsupported(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("minires.locks.lock", unsupported)
    with hold(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "circle").symlink_to("circle")
    for name in ("file", "file/below", "circle", "circle/below"):
        with pytest.raises(OSError, match=f"cannot write to .*{name}"), hold(tmp_path / name):
            raise AssertionError("held what is no folder")
