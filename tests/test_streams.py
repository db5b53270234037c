"""Standard streams that are closed or full, and a terminal that would obey what a file says."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nonsense import ESCAPES, drawn
from PIL import Image

import minires
from minires import data, nn
from minires.cli.streams import LONGEST_LINE, Plain, all_open
from minires.files import LONGEST_MESSAGE, FileError
from minires.text import bounded, plain

BIN = Path(sys.executable).parent
SMALL = ("train", "--data", "digits", "--model", "plain8", "--valid", "0.9", "--epochs", "1")
RESULTS = ["best.npz", "curves.png", "history.csv", "last.npz", "recipe.json"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix is wanted")


def shell(line, **environment):
    """A line of the shell; the command is the one that is installed here."""
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    return subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, **environment},
    )


# ---------------------------------------------------------------------- closed and full


@posix
def test_a_training_without_standard_error_is_a_training(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    done = shell(f"exec minires {' '.join(SMALL)} --out run 2>&-")
    assert done.returncode == 0
    assert "on the test images" in done.stdout
    assert sorted(path.name for path in Path("run").iterdir()) == RESULTS


@posix
@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("info >&-", 0, ""),
        ("nonsense <&- >&- 2>&-", 2, ""),
        ("info >/dev/full", 2, "minires: standard output: No space left on device\n"),
        ("info >/dev/full 2>/dev/full", 2, ""),
    ],
)
def test_streams_that_are_closed_or_full(line, code, error):
    if "full" in line and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell(f"exec minires {line}")
    assert (done.returncode, done.stderr) == (code, error)


@posix
def test_what_a_library_says_to_a_closed_stream_goes_into_no_file(tmp_path):
    program = """
import os, sys
from minires.cli.streams import all_open
os.close(1), os.close(2)
with all_open(), open(sys.argv[1], "w") as file:
    os.write(1, b"to standard output"), os.write(2, b"to standard error")
    child = os.spawnvp(os.P_WAIT, "sh", ["sh", "-c", "echo this too >&2"])
    os._exit(10 * child + (file.fileno() > 2))
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "file"])
    assert done.returncode == 1
    assert (tmp_path / "file").read_bytes() == b""


def test_streams_that_are_none(monkeypatch, run, tmp_path):
    """As services have them, and programs without a console on Windows."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    monkeypatch.setattr("minires.training.History.write_plot", lambda self, path: None)
    code, _, _ = run(*SMALL, "--out", "run")
    assert code == 0
    assert (sys.stdin, sys.stdout, sys.stderr) == (None, None, None)
    assert (tmp_path / "run" / "best.npz").exists()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    assert len(minires.fit(model, data.digits().subset(range(60)), epochs=2, batch_size=8)) == 2


def test_a_stream_that_was_closed(monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    with all_open():
        print("nowhere")
    assert sys.stdout is closed


# ---------------------------------------------------------------------- plain and bounded

anything = st.one_of(
    st.text(alphabet=st.characters(codec=None)),
    st.text(alphabet="\x1b[]0;m\x07\x9b\u202e\u2066\u200f\r\n\t\b\x7f a"),
    st.builds(lambda text, times: text * times, st.text(max_size=9), st.integers(0, 999)),
)


@settings(drawn, max_examples=300)
@given(anything, st.integers(10, 300))
def test_text_is_made_plain_and_bounded(text, most):
    escaped = plain(text)
    assert escaped.replace("\t", "").isprintable()
    if text.isprintable():
        assert escaped == text
    short = bounded(text, most)
    assert len(short) <= most
    assert short.replace("\t", "").isprintable()
    if len(escaped) <= most:
        assert short == escaped
    elif len(text) <= most:
        head, tail = short.split("...")[0], short.split("...")[-1]
        assert escaped.startswith(head)
        assert escaped.endswith(tail)


@settings(drawn, max_examples=300)
@given(st.lists(anything, max_size=3))
def test_what_is_printed_is_plain_whatever_it_is(texts):
    shown = io.StringIO()
    stream = Plain(shown)
    print(*texts, file=stream)
    lines = shown.getvalue().split("\n")
    assert all(line.replace("\t", "").isprintable() for line in lines)
    assert all(len(line) <= (LONGEST_LINE + 1) * max(1, len(texts)) for line in lines)
    assert len(lines) == sum(text.count("\n") for text in texts) + 2


@settings(drawn, max_examples=300)
@given(anything)
def test_errors_of_files_are_plain_and_bounded(text):
    for kind in (FileError, data.DataError):
        message = str(kind(text))
        assert message.replace("\t", "").isprintable()
        assert len(message) <= LONGEST_MESSAGE


@posix
def test_folders_of_pictures_with_names_that_clear_the_terminal(run, monkeypatch):
    monkeypatch.setattr("minires.training.History.write_plot", lambda self, path: None)
    names = [f"a{ESCAPES}", "b" * 200]
    for k, name in enumerate(names):
        folder = Path(f"pictures{ESCAPES}", name)
        folder.mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (40, 40), (k * 200, i, 0)).save(folder / f"{i}{ESCAPES}.png")
    path, weights = f"pictures{ESCAPES}", f"run{ESCAPES}/best.npz"
    fast = ("--model", "resnet8", "--epochs", 1, "--batch-size", 7, "--lr", 0.1)
    picture = Path(path, names[0], f"0{ESCAPES}.png")
    for call in (
        ("train", "--data", path, *fast, "--out", f"run{ESCAPES}"),
        ("train", "--resume", f"run{ESCAPES}"),
        ("eval", "--weights", weights),
        ("predict", weights, picture),
        ("export", "--weights", weights, f"{ESCAPES}.npz"),
        ("eval", "--weights", weights, "--data", "digits"),
        ("predict", weights, f"{ESCAPES}nowhere.png"),
        ("predict", weights, weights),
    ):
        code, out, err = run(*call)
        assert code in (0, 2), err
        assert (out + err).replace("\n", "").isprintable()
        assert max(map(len, (out + err).split("\n"))) <= LONGEST_MESSAGE
    assert minires.load(weights).metadata["classes"] == names  # the file has them as they are


# ---------------------------------------------------------------------- Ctrl-C, and settings

INTERRUPTED = """
import os, signal, time
os.kill(os.getpid(), signal.SIGINT)
time.sleep(30)
"""


@posix
@pytest.mark.parametrize(
    ("line", "module"),
    [("minires info", "numpy"), (f"'{sys.executable}' -m minires info", "typer")],
    ids=["installed", "as a module"],
)
def test_ctrl_c_while_it_is_imported(tmp_path, line, module):
    (tmp_path / f"{module}.py").write_text(INTERRUPTED)
    done = shell(f"exec {line}", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "minires: interrupted\n")


@posix
def test_ctrl_c_while_another_program_imports_the_library(tmp_path):
    (tmp_path / "typer.py").write_text(INTERRUPTED)
    done = subprocess.run(
        [sys.executable, "-c", "import minires, typer"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


@posix
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("TQDM_NCOLS=wide", "a setting of progress bars is wrong (TQDM_NCOLS=wide): "),
        ("MINIRES_NUM_THREADS=0", "MINIRES_NUM_THREADS must be a positive integer, not '0'"),
        ("MPLBACKEND=nonsense", "matplotlib cannot draw the curves: "),
    ],
)
def test_a_wrong_setting_is_told_before_the_training(monkeypatch, tmp_path, setting, message):
    monkeypatch.chdir(tmp_path)
    done = shell(f"exec env {setting} minires {' '.join(SMALL)}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"minires: {message}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_library_is_imported_whatever_the_number_of_threads():
    done = subprocess.run(
        [sys.executable, "-c", "import minires; minires.kernels.set_num_threads(1)"],
        env={**os.environ, "MINIRES_NUM_THREADS": "nonsense"},
    )
    assert done.returncode == 0
