"""Killed graders leave nothing in the temporary folder for long."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minires.coursework.temporary import PREFIX, TemporaryFolder, remove_leftovers

HOLDER = """
import sys, time
from pathlib import Path
from minires.coursework.temporary import TemporaryFolder
folder = TemporaryFolder()
(Path(folder.name) / "inside").mkdir()
print(folder.name, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="no folder can be locked there")
def test_what_a_killed_process_left_is_removed(tmp_path):
    running = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    with running:
        folder = Path(running.stdout.readline().strip())
        assert folder.parent == tmp_path
        assert remove_leftovers() == []
        assert folder.is_dir(), "it is in use"
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert (folder / "inside").is_dir()
    assert remove_leftovers() == [folder]
    assert not folder.exists()


def test_an_own_folder_is_there_until_its_end():
    with TemporaryFolder() as folder:
        (folder / "x").write_text("x")
        assert remove_leftovers() == []
        assert (folder / "x").is_file()
    assert not folder.exists()
    again = TemporaryFolder()
    folder = Path(again.name)
    del again
    assert not folder.exists()


def test_only_ours_are_removed(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(other)
    (tmp_path / f"{PREFIX}file").write_text("x")
    (tmp_path / "minires-graduate-x").mkdir()
    (tmp_path / "minires-grade-new").mkdir()  # of an earlier version, perhaps in use
    old = tmp_path / "minires-grade-old"
    old.mkdir()
    os.utime(old, (time.time() - 2 * 3600,) * 2)
    assert remove_leftovers() == [old]
    assert len(list(tmp_path.iterdir())) == 5


def test_many_begin_at_once():
    """No folder is taken away from whoever has just made it."""

    def make_and_look(_):
        with TemporaryFolder() as folder:
            (folder / "x").write_text("x")
            remove_leftovers()
            return (folder / "x").is_file()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(make_and_look, range(200)))
