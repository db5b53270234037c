"""The command: the table, a file of one's own, the page, the exit code."""

import subprocess
import sys
from html.parser import HTMLParser

import pytest

import minires
from minires import ops
from minires.gradcheck import command
from minires.gradcheck.cases import LAYERS, OPERATIONS
from minires.gradcheck.command import check_declared, gradcheck_command, table
from minires.gradcheck.own_file import load_checks

OWN = """
import numpy as np
from minires import Tensor, nn
from minires.engine import op
from neighbour import FACTOR

rng = np.random.default_rng(0)

@op
def mine(x, w):
    return x @ w

@mine.vjp
def mine_vjp(g, x, w):
    return g @ w.T, FACTOR * (x.T @ g)

def mine_inputs():
    return rng.normal(size=(3, 4)), rng.normal(size=(4, 2))

def by_attribute(x):
    return x * 2

by_attribute.inputs = rng.normal(size=3)

def by_default(x=np.ones(3), times=2):
    return x * times

def by_file(x):
    return x.tanh()

inputs = [np.ones((2, 3), np.float32)]

def wants(x, y):
    return x * y

class Twice(nn.Module):
    def forward(self, x):
        return x * 2

class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x * self.scale

layer = Scaled(3.0)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "neighbour", raising=False)
    (tmp_path / "neighbour.py").write_text("FACTOR = 1.0\n")
    path = tmp_path / "my_layers.py"
    path.write_text(OWN)
    return path


@pytest.fixture
def few(monkeypatch):
    """Only a few declarations, so that the whole table is quick."""
    monkeypatch.setattr(
        command, "OPERATIONS", {n: OPERATIONS[n] for n in ("exp", "matmul", "sign")}
    )
    monkeypatch.setattr(command, "LAYERS", {"Linear": LAYERS["Linear"]})


def test_table(few):
    rows = check_declared()
    assert [row.name for row in rows] == ["exp", "matmul", "sign", "Linear"]
    assert all(rows)
    text = table(rows)
    assert "operation  cases  worst error  order 1  order 2" in text
    assert "4 operations and layers" in text
    assert "all right" in text


def test_command_for_everything(few, capsys, tmp_path):
    page = tmp_path / "pages" / "report.html"
    assert gradcheck_command(html=page) == 0
    assert "all right" in capsys.readouterr().out
    assert_self_contained(page.read_text())


def test_command_for_one(capsys):
    assert gradcheck_command("relu") == 0
    assert "1 operations and layers, 5 cases" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"no operation or layer 'rellu'; relu or .* is one"):
        gradcheck_command("rellu")


def test_wrong_rule(few, capsys, monkeypatch, tmp_path):
    right = ops.exp.rule
    monkeypatch.setattr(ops.exp, "rule", lambda g, *kept: (2 * right(g, *kept)[0],))
    page = tmp_path / "report.html"
    assert gradcheck_command(html=page) == 1
    text = capsys.readouterr().out
    assert "WRONG: exp" in text
    assert "off by a factor of 2" in text
    assert "data:image/png" in page.read_text()
    assert_self_contained(page.read_text())


def test_forward_that_fails_is_wrong(few, capsys, monkeypatch):
    def broken(x):
        raise OverflowError("too much")

    monkeypatch.setattr(ops.exp, "forward", broken)
    assert gradcheck_command("exp") == 1
    assert "OverflowError: too much" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["mine", "by_attribute", "by_default", "by_file", "Twice", "layer"]
)
def test_own_function(own, capsys, name):
    assert gradcheck_command(f"{own}::{name}", order=2) == 0
    text = capsys.readouterr().out
    assert "passed" in text
    assert "order 2" in text


def test_all_of_a_file(own, capsys):
    assert gradcheck_command(str(own)) == 0
    assert capsys.readouterr().out.count("passed") == 2  # those with inputs of their own


def test_own_function_that_is_wrong(own, capsys, tmp_path):
    (tmp_path / "neighbour.py").write_text("FACTOR = 1 / 3\n")
    page = tmp_path / "report.html"
    assert gradcheck_command(f"{own}::mine", html=page) == 1
    assert "a mean where a sum belongs?" in capsys.readouterr().out
    assert_self_contained(page.read_text())


def test_directions(own, capsys):
    assert gradcheck_command(f"{own}::mine", mode="directional") == 0
    assert "directional" in capsys.readouterr().out


def test_messages_say_what_to_do(own, tmp_path):
    bare = tmp_path / "bare.py"
    bare.write_text("def f(x):\n    return x\n")
    with pytest.raises(ValueError, match=r"set f.inputs = \(x, w\), or f_inputs or inputs"):
        load_checks(f"{bare}::f")
    with pytest.raises(ValueError, match="needs example inputs"):
        load_checks(str(bare))
    with pytest.raises(ValueError, match="no function 'g'; it has f"):
        load_checks(f"{bare}::g")
    with pytest.raises(ValueError, match=r"layer = Scaled\(...\)"):
        load_checks(f"{own}::Scaled")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_checks(f"{tmp_path / 'absent.py'}::f")


def test_the_file_leaves_nothing_behind(own):
    before = list(sys.path)
    load_checks(f"{own}::mine")
    assert sys.path == before
    assert "my_layers" not in sys.modules


def test_the_checker_alone_needs_no_layers():
    code = (
        "import sys; import minires; "
        "[sys.modules.pop(n) for n in list(sys.modules) if n.startswith('minires')]; "
        "sys.modules['minires.nn'] = None; "
        "import importlib.machinery as m, types; "
        "package = types.ModuleType('minires'); package.__path__ = [minires.__path__[0]]; "
        "sys.modules['minires'] = package; "
        "from minires.gradcheck import gradcheck; "
        "import numpy as np; from minires import ops; print(bool(gradcheck(ops.exp, np.ones(3))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def assert_self_contained(page):
    class Parser(HTMLParser):
        def handle_starttag(self, tag, attributes):
            assert tag not in ("script", "link", "iframe")
            for name, value in attributes:
                assert name not in ("src", "href") or value.startswith("data:")

    Parser().feed(page)
    assert "url(" not in page
    assert page.startswith("<!doctype html>")


RAISING = """
import numpy as np
def wrong_shapes(x):
    y = x * 2
    return y @ np.ones((3, 3))
wrong_shapes.inputs = [np.ones((2, 2))]
def fine(x):
    return x * 3
fine.inputs = [np.ones(2)]
"""


def test_what_ones_own_function_raises_is_reported_with_its_line(tmp_path, capsys):
    path = tmp_path / "raising.py"
    path.write_text(RAISING)
    assert gradcheck_command(str(path)) == 1
    text = capsys.readouterr().out
    assert "gradcheck of wrong_shapes: FAILED" in text
    assert "WRONG the forward failed: ValueError: matmul wants (..., n, k)" in text
    assert "(line 5)" in text
    assert "gradcheck of fine: passed" in text  # the others are checked all the same


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def f(x:\n", r"own.py cannot be run: SyntaxError: .*\(own.py, line 1\)"),
        ("import numpy\nx = nowhere\n", r"cannot be run: NameError: .*nowhere.* \(line 2\)"),
        ("import sys\nsys.exit(3)\n", r"cannot be run: SystemExit: 3 \(line 2\)"),
        ("x = '\0'\n", "cannot be run: .*null bytes"),
        (
            "def f(x):\n    return x\n\ndef f_inputs():\n    return 1 / 0\n",
            r"the inputs of f cannot be made: ZeroDivisionError: .* \(line 5\)",
        ),
    ],
)
def test_a_file_that_cannot_be_run(tmp_path, code, message):
    path = tmp_path / "own.py"
    (tmp_path / "own.pyx").write_text(code)
    with pytest.raises(ValueError, match=r"own.pyx is no Python file: its name does not end in"):
        load_checks(f"{path}x::f")
    path.write_text(code)
    with pytest.raises(ValueError, match=message):
        load_checks(f"{path}::f")


def test_a_function_that_exits_is_wrong(tmp_path, capsys):
    path = tmp_path / "own.py"
    path.write_text("import sys, numpy\n\ndef f(x):\n    sys.exit(0)\n\nf.inputs = numpy.ones(2)\n")
    assert gradcheck_command(str(path)) == 1
    assert "WRONG the forward failed: SystemExit: 0 (line 4)" in capsys.readouterr().out


def test_rules_are_not_offered_as_functions(own):
    with pytest.raises(ValueError, match="defines no function 'absent'; it has mine, by_attribute"):
        load_checks(f"{own}::absent")


def test_what_no_function_of_ones_own_raises_is_not_swallowed(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("def f(x):\n    return x\nf.inputs = [1, 2]\n")
    with pytest.raises(ValueError, match="nothing to differentiate"):
        gradcheck_command(str(path))


@pytest.mark.parametrize("inputs", ["[1.0, 2.0],", "[[1, 2], [3, 4]],", "[0.5], [2.0, 3.0]"])
def test_lists_of_numbers_are_inputs(tmp_path, inputs):
    path = tmp_path / "own.py"
    path.write_text(f"def f(*x):\n    return x[0] * x[-1]\n\nf.inputs = ({inputs})\n")
    (check,) = load_checks(f"{path}::f")
    assert minires.gradcheck(check.function, check.inputs)
