"""Every command, called with a hundred kinds of nonsense: one line each time, never a traceback.

Where a kind of nonsense goes, and what stands around it, is drawn; the seed is the command's name.
"""

import contextlib
import functools
import io
import random
import sys

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from nonsense import ESCAPES, changed, drawn
from PIL import Image

import minires.cli.commands
from minires import cli, models
from minires.coursework.commands import build_and_grade
from minires.coursework.submissions import entries
from minires.files import LONGEST_MESSAGE
from minires.training.archive import write_archive

NUMBERS = [
    *("0", "-0", "-1", "+1", "1", "2", "007", "1_0", "0x10", "1e3", "3.5", ".5", "1,5", "½", "٣"),
    *("nan", "-nan", "inf", "-inf", "1e400", "1e-400", "9" * 30, "-" + "9" * 30, "9" * 5000),
    *("2147483648", "10**9", "1;2", "1,,2", ",", "0,0,0", "nan,nan,nan", "True", "None", "NaN"),
]
NAMES = [
    *("resnet9", "resnet600002", "resnet" + "9" * 50, "RESNET8", "resnet8 ", "preact_resnet"),
    *("cuda", "cuda:-1", "cuda:" + "9" * 30, "gpu", "cpu:0", "digits/", "DIGITS", "lion", "flip,"),
    *("x" * 5000, "%s%n", "{0}", "${HOME}", "`id`", "$(id)", "; ls", "*", "?", "é", "犬", "🙂"),
    *("\x00", "a\x00b", "\udcff", "\n", "a\nb", "\r", "\t", " ", "", "\x1b[2J", ESCAPES),
]
PLACES = [
    *("nowhere", "nowhere/deeper", "empty", "empty file", "text", "text/below", "half.npz", "."),
    *("..", "/", "//", "null", "zero", "full", "circle", "into nothing", "~", "~x"),
    *("x" * 300, "x/" * 3000 + "y", "deep.npz", "deep.ipynb", "deep.json", "other.npz", "-", "--"),
    *("--help", "-h", "-x", "--out", "http://127.0.0.1:1/w.npz", "file:///etc/passwd", "C:\\x"),
    *("syntax.py", "exits.py", "null.py", "raises.py::f", "raises.py::", "::", "a.pyx", "a.py::f"),
    *("broken.bundle", "no inputs.py", ESCAPES + ".npz", "digits", "list.json", "not.onnx"),
]
NONSENSE = [*NUMBERS, *NAMES, *PLACES]

# what may stand in a command's places, and the options that want a value
COMMANDS = {
    "train": (
        [],
        "data data-dir model epochs batch-size lr optimizer schedule weight-decay label-smoothing "
        "augment valid seed device weights freeze mean std out resume",
    ),
    "eval": ([], "weights model data data-dir mean std batch-size device"),
    "predict": (["w.npz", "i.png"], "model mean std top device"),
    "export": (["o.npz"], "weights model size mean std classes"),
    "summary": (["resnet8"], "size classes channels"),
    "gradcheck": (["relu"], "html order mode seed"),
    "notebooks": (["copies"], ""),
    "info": ([], "conv"),
    "bench": ([], "rounds seconds"),
    "check": (["deep.ipynb"], "question"),
    "checkup": (["deep.ipynb"], "json html seconds seed"),
    "grade": (["deep.ipynb"], "assignment out regrade jobs source"),
    "coursework build": (["built"], "source assignment"),
    "coursework mutants": ([], "source assignment jobs"),
    "coursework marks": (["graded"], "roster anonymous"),
    "coursework statistics": (["graded"], "out"),
    "coursework similarity": (["deep.ipynb"], "assignment most out source"),
}
USUAL = {"weights": "w.npz", "model": "resnet8", "data": "digits", "out": "run", "epochs": "1"}


NETWORK = models.resnet8(in_channels=1)
CONTENT = {"architecture": NETWORK.architecture, "state": NETWORK.state_dict()}
SAID = {
    "classes": [f"{ESCAPES}{k}" for k in range(10)],
    "mean": [0.3],
    "std": [0.3],
    "size": [8, 8],
    "data": "digits",
    "epoch": 3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with files of every kind that no command wants, and a few that they do."""
    folder = tmp_path_factory.mktemp("nonsense")
    minires.save(NETWORK, folder / "w.npz", **SAID)
    whole = (folder / "w.npz").read_bytes()
    (folder / "half.npz").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (8, 8)).save(folder / "i.png")
    (folder / "empty").mkdir()
    (folder / "circle").symlink_to("circle")
    for name in ("null", "zero", "full"):
        (folder / name).symlink_to(f"/dev/{name}")
    (folder / "into nothing").symlink_to("nothing/at/all")
    np.savez(folder / "other.npz", x=np.eye(2))
    np.savez(folder / "deep.npz", **{"minires.json": np.array("[" * 50_000)})
    for name, text in {
        "empty file": "",
        "text": "something else",
        "syntax.py": "def f(:\n",
        "exits.py": "import sys\nsys.exit(3)\n",
        "null.py": "x = '\0'\n",
        "raises.py": f"def f(x):\n    raise OSError({ESCAPES!r})\nf.inputs = [[1.0]]\n",
        "no inputs.py": "def f(x):\n    return x\n",
        "a.pyx": "x",
        "deep.ipynb": "[" * 50_000,
        "deep.json": "[" * 50_000,
        "list.json": "[1, 2]",
        "not.onnx": "onnx",
        "broken.bundle": "\x1f\x8b\x08",
        ESCAPES + ".npz": "PK",
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


LOAD = functools.cache(build_and_grade.load_assignments)  # which runs their code


@pytest.fixture
def quickly(monkeypatch):
    """What is good enough to begin long work ends there."""

    def reached(*arguments, **options):
        raise ValueError("this far, and no further")

    once = typer.main.get_command(cli.commands.app)  # made for each call, it takes most of the time
    monkeypatch.setattr(cli.commands, "app", once)
    monkeypatch.setattr(build_and_grade, "load_assignments", LOAD)
    monkeypatch.setattr(entries, "MOST_ENTRIES", 300)  # of the whole disk
    for module, name in (
        (cli.train, "fit"),
        (cli.bench, "compare"),
        (cli.notebooks, "copy_out"),
        (build_and_grade, "build"),
        (build_and_grade, "run_trials"),
        (build_and_grade, "grade_all"),
    ):
        monkeypatch.setattr(module, name, reached)


def call(arguments):
    """The exit code, standard output and standard error of a command."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["minires", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as left:
        return left.code or 0, out.getvalue(), err.getvalue()
    finally:
        sys.argv = before
    raise AssertionError("the command did not exit")


def civil(arguments):
    """Call a command, and hold what it says and its exit code against what they must always be."""
    code, out, err = call(arguments)
    assert code in (0, 1, 2), arguments
    assert (code == 2) == err.startswith("minires: "), (arguments, err)
    assert err.count("\n") <= 1, (arguments, err)
    assert len(err) <= LONGEST_MESSAGE + 20, arguments
    assert (out + err).replace("\n", "").isprintable(), (arguments, out, err)
    return code, out


def placed(command, nonsense, rng):
    """A call with this nonsense somewhere in it."""
    places, options = COMMANDS[command]
    places, options = list(places), options.split()
    slot = rng.randrange(len(places) + len(options) + 1)
    if slot < len(places):
        places[slot] = nonsense
    elif slot == len(places):
        places.append(nonsense)
    given = dict.fromkeys(rng.sample(options, min(len(options), rng.randrange(3))))
    if slot > len(places):
        given[options[slot - len(places) - 1]] = nonsense
    arguments = command.split() + places
    for name, value in given.items():
        known = value or USUAL.get(name) or rng.choice(NONSENSE)
        values = [rng.choice(NUMBERS) for _ in range(6)] if name == "conv" else []
        arguments += [f"--{name}", known, *values]
    return arguments


def test_there_are_a_hundred_kinds():
    assert len(set(NONSENSE)) >= 100
    app, below = cli.commands.app, cli.commands.coursework_app
    assert set(COMMANDS) == {
        *(command.name for command in app.registered_commands),
        *(f"coursework {command.name}" for command in below.registered_commands),
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_nonsense(folder, quickly, monkeypatch, command):
    monkeypatch.chdir(folder)
    rng = random.Random(command)
    for nonsense in NONSENSE:
        civil(placed(command, nonsense, rng))


@given(changed(SAID))
@settings(drawn, max_examples=25)
def test_weights_that_say_nonsense(folder, quickly, tmp_path_factory, said):
    here = tmp_path_factory.mktemp("weights")
    write_archive(here / "w.npz", "weights", {**CONTENT, "metadata": said})
    civil(["predict", str(here / "w.npz"), str(folder / "i.png")])
    civil(["eval", "--weights", str(here / "w.npz"), "--batch-size", "2048"])
    civil(["train", "--data", "digits", "--weights", str(here / "w.npz")])
    code, _ = civil(["export", "--weights", str(here / "w.npz"), str(here / "o.npz")])
    if code == 0:
        civil(["predict", str(here / "o.npz"), str(folder / "i.png")])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"classes": ["a", "b"]}, "it names 2 classes, its network has 10"),
        ({"classes": "0123456789"}, "classes must be a list, got '0123456789'"),
        ({"classes": [["a"]] * 10}, "classes must be a text, got a list"),
        ({"mean": [0.3, 0.3]}, "its mean has 2 numbers for 1 channels"),
        ({"mean": [float("nan")]}, "its mean is not finite"),
        ({"std": [0]}, "its std must be above 0, got 0"),
        ({"size": [10**6, 10**6]}, "its size must be two numbers from 1 to 4096"),
        ({"size": [8]}, "its size must be two numbers from 1 to 4096"),
        ({"size": 8}, "size must be a list, got 8"),
    ],
)
def test_words_that_do_not_fit_the_weights(folder, tmp_path, said, message):
    path = tmp_path / "w.npz"
    write_archive(path, "weights", {**CONTENT, "metadata": {**SAID, **said}})
    code, out, err = call(["predict", str(path), str(folder / "i.png")])
    assert (code, out, err) == (2, "", f"minires: {path}: {message}\n")
