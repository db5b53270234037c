"""Commands that write and read files, in a Python that is in this like Windows's."""

import os
import sys

import pytest
from other_pythons import said_by

from minires import keyboard_interrupt


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What such a process says."""
    environment = {
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "cp1252",  # strict: what it cannot write is an error
        "PYTHONWARNDEFAULTENCODING": "1",
    }
    folder = tmp_path_factory.mktemp("like_windows")
    return said_by("like_windows.py", folder, "cp1252", **environment)


def test_what_windows_refuses_is_refused(found):
    assert found["caught"] == [True] * 5


def test_commands_do_their_work(found):
    for code, printed in found["commands"]:
        assert code == 0, printed
        assert "Traceback" not in printed


def test_nothing_was_done_that_windows_refuses(found):
    """No reserved name, no file replaced or removed that was open."""
    assert found["refused"] == []


def test_tables_have_no_empty_lines(found):
    """As CSV has that is written with CR LF twice."""
    lines = found["history"].replace("\r\n", "\n").split("\n")
    assert len(lines) == 3
    assert lines[0].startswith("epoch,")
    assert lines[-1] == ""


@pytest.mark.parametrize(
    ("program", "is_ours"),
    [
        (r"C:\Program Files\Python\Scripts\minires.exe", True),
        (r"C:\venv\Lib\site-packages\minires\__main__.py", True),
        (r"C:\minires\train.py", False),
    ],
)
def test_the_command_is_known_by_windows_paths(monkeypatch, program, is_ours):
    monkeypatch.setattr(os, "sep", "\\")
    monkeypatch.setattr(sys, "argv", [program])
    assert keyboard_interrupt._is_command() is is_ours
