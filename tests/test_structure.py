"""The house rules: which way imports point, who may use NumPy and CuPy, and what is never used."""

import ast
import functools
import re
from pathlib import Path

import pytest

import minires

PACKAGE = Path(minires.__file__).resolve().parent
FILES = sorted(PACKAGE.rglob("*.py"))

FLOORS = [
    {"keyboard_interrupt", "structures", "text", "progress_bar", "from_pytorch", "in_browser"}
    | {"generators"},
    {"backend", "random", "files", "markup"},
    {"locks", "typed_json", "cuda"},
    {"kernels.machinery"},
    {"kernels.cuda"},
    {"kernels.convolution"},
    {"kernels"},
    {"errors", "dtypes", "grad_mode", "observers", "rule_requests", "scalars", "small_calls"}
    | {"source_lines", "writes"},
    {"engine"},
    {"gradient_hooks", "nonfinite", "overwrites", "profiler", "unbroadcast"},
    {"run_rule"},
    {"backward"},
    {"gradients"},
    {"ops"},
    {"numpy_functions"},
    {"torch_methods"},
    {"tensors"},
    {"gradcheck", "creation", "in_place", "torch_functions"},
    {"optim"},
    {"nn"},
    {"models", "data", "reachable"},
    {"utils"},
    {"model_recording"},
    {"batch_axis"},
    {"compile"},
    {"interop", "checks", "distributed"},
    {"training"},
    {"viz", "gradcheck.cases"},
    {"gradcheck.command", "checks.command"},
    {"coursework", "bench"},
    {"cli"},
    {"__main__"},
]
"""From the ground up. A room imports from the floors below it, not from its own floor's others."""

FLOOR = {name: i for i, names in enumerate(FLOORS) for name in names}

NUMPY_IN_OPS_AND_NN = {
    "ops/shape.py": {"asarray", "intp"},  # lists as keys become index arrays
    "models/convnext.py": {"full", "float32"},  # a new parameter
    "models/transformer.py": {  # positions, and drawing letters on the host
        *("arange", "asarray", "exp", "float64", "ndarray"),
    },
    "nn/convolution.py": {"empty", "float32"},  # new parameters
    "nn/linear.py": {"empty", "float32"},
    "nn/batch_norm.py": {"zeros", "ones", "float32", "int64"},
    "nn/scale_and_shift.py": {"zeros", "ones", "float32"},
    "nn/attention.py": {"empty", "float32", "tri", "zeros"},  # new parameters, masks on the host
    "nn/embedding.py": {"empty", "float32"},
    "nn/module.py": {"dtype", "float16", "float32", "float64"},
    "nn/sizes.py": {"integer"},  # sizes that are NumPy integers
    "nn/functions/pooling.py": {"asarray"},  # how many pixels windows have, on the host
    "nn/functions/resizing.py": {  # coordinates, on the host
        *("arange", "clip", "floor", "float32", "int64", "maximum", "minimum", "ndarray"),
    },
    "nn/summary.py": {"zeros", "float32"},  # the input of zeros
    "nn/init.py": {"random", "ndarray", "minimum", "nextafter"},  # draws on the host
    "nn/hooks.py": {"zeros", "float32"},  # a number that nobody reads
    "nn/functions/cross_entropy.py": {"float32"},
    "nn/functions/targets.py": {"arange", "asarray", "float32", "int64"},  # labels, on the host
    "nn/functional.py": {
        "float32",  # dropout's draws
        "dtype",
        "arange",  # places of what is padded with
        "pad",
        "float16",  # computed in float32
        "int64",  # numbers of rows
        "tri",  # a causal mask, on the host
        "asarray",  # numbers of rows
        "ndarray",
    },
}
"""NumPy names that operations and layers may use. All else goes through `xp_of`, or CuPy breaks."""


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def room_of(path):
    return room(path.relative_to(PACKAGE).with_suffix("").parts)


def room(parts):
    """The room that `gradcheck.check` or `nn.module` is in: the command's parts have their own."""
    two = ".".join(parts[:2])
    return two if two in FLOOR else parts[0] if parts else ""


def is_type_checking(test):
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


def nodes(path):
    """Every node of a file's syntax tree but those that only a type checker sees."""
    return nodes_of(path.read_text(encoding="utf-8"))


@functools.cache
def nodes_of(text):
    found, stack = [], [ast.parse(text)]
    while stack:
        node = stack.pop()
        found.append(node)
        if isinstance(node, ast.If) and is_type_checking(node.test):
            stack += node.orelse
        else:
            stack += ast.iter_child_nodes(node)
    return found


def imported(path):
    """The dotted modules that a file imports, inside functions too; `from a import b` gives a.b."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = [PACKAGE.name, *path.relative_to(PACKAGE).parts[: -node.level]]
                base = ".".join([*package, base]).rstrip(".")
            found += [f"{base}.{alias.name}" for alias in node.names]
    return found


def upward(path):
    """The imports of a file that point up the stairs, or sideways."""
    own = room_of(path)
    wrong = []
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != PACKAGE.name:
            continue
        other = room(parts[1:])
        if (
            "." not in other
            and not (PACKAGE / other).is_dir()
            and not (PACKAGE / f"{other}.py").is_file()
        ):
            other = ""  # the package itself, which imports nearly everything
        if not other:
            if FLOOR[own] < FLOOR["training"]:
                wrong.append(name)
        elif other != own and FLOOR.get(other, 99) >= FLOOR[own]:
            wrong.append(name)
    return wrong


def test_every_room_has_its_floor():
    assert {room_of(path) for path in FILES} - {"__init__"} <= set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downwards(path):
    if room_of(path) != "__init__":
        assert upward(path) == []


def test_an_upward_import_would_be_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path / "minires")
    (tmp_path / "minires" / "ops").mkdir(parents=True)
    for name in ("tensors", "engine", "backend"):
        (tmp_path / "minires" / f"{name}.py").write_text("")
    path = tmp_path / "minires" / "ops" / "new.py"
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "from minires.engine import op\n"
        "from ..backend import xp_of\n"
        "if TYPE_CHECKING:\n"
        "    from minires.tensors import Tensor\n"
    )
    assert upward(path) == []
    for line in [
        "from minires.tensors import Tensor",
        "from minires import tensors",
        "from minires import Tensor",
        "from .. import tensors",
        "from ..tensors import Tensor",
        "import minires.tensors",
        "import minires",
        "def f():\n    from minires.tensors import Tensor",
    ]:
        path.write_text(line)
        assert len(upward(path)) == 1, line


def test_only_the_backend_imports_cupy():
    users = {
        name_of(path)
        for path in FILES
        if any(re.match(r"cupy(x|_backends)?(\.|$)", name) for name in imported(path))
    }
    assert users == {"backend.py"}


def numpy_names(path):
    """What a file uses of NumPy: `np.zeros` and `from numpy import zeros` both give `zeros`."""
    aliases, used = set(), set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "numpy":
                    aliases.add(alias.asname or "numpy")
                    used |= set(alias.name.split(".")[1:2])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numpy":
            used |= {alias.name for alias in node.names}
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used |= {node.attr} if node.value.id in aliases else set()
    return used


@pytest.mark.parametrize(
    "path", [p for p in FILES if room_of(p) in ("ops", "nn", "models")], ids=name_of
)
def test_operations_and_layers_use_of_numpy_only_what_is_listed(path):
    assert numpy_names(path) <= NUMPY_IN_OPS_AND_NN.get(name_of(path), set())


def test_the_list_of_allowed_numpy_names_is_up_to_date():
    for name, allowed in NUMPY_IN_OPS_AND_NN.items():
        annotations = {"ndarray"}  # seen by the type checker only, where annotations are not run
        assert allowed - annotations <= numpy_names(PACKAGE / name), name


def test_nothing_is_pickled():
    for path in FILES:
        modules = {name.split(".")[0] for name in imported(path)}
        assert not modules & {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}, path
        for node in nodes(path):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path


def test_numpy_files_are_loaded_without_pickle():
    for path in FILES:
        for node in nodes(path):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value
            if node.func.attr == "load" and isinstance(owner, ast.Name) and owner.id == "np":
                assert "allow_pickle" in {keyword.arg for keyword in node.keywords}, path


def lines_of_code(path):
    """Lines without blank ones, comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings |= set(range(node.lineno, node.end_lineno + 1))
    return sum(
        1
        for i, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#") and i not in docstrings
    )


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_modules_are_short(path):
    assert lines_of_code(path) <= 400
