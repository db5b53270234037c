"""The command line, for the tests of weights and networks of others."""

import sys

import pytest

from minires import cli


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """`run("export", "x.onnx")`: exit code, standard output and error, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["minires", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code or 0, *capsys.readouterr()

    return command
