"""Names of PyTorch's that minires lacks answer with what to write, and others as Python has it."""

import copy
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hint_names import HINTS, here, name_of, run

import minires
from minires import Tensor, nn, optim
from minires.from_pytorch.table import TABLES, Family, find, read
from minires.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
X = Tensor([[1.0, 2.0]])


@pytest.mark.parametrize(("namespace", "hint"), HINTS, ids=name_of)
def test_what_a_hint_says_runs(namespace, hint):
    names = here()
    with minires.no_grad():  # where parameters are updated
        run(hint.ours, names)


@pytest.mark.parametrize(
    ("owner", "name", "said"),
    [
        (X, "squeeze_", r"Tensor has no `squeeze_`: write x = x.squeeze\(\) \(tensors are not"),
        (X, "sin_", r"Tensor has no `sin_`: write x = Tensor\(np.sin\(x.numpy\(\)\)\)"),
        (nn.Parameter([1.0]), "dot", r"Parameter has no `dot`: write \(v \* w\).sum\(\)"),
        (minires, "einsum", "minires has no `einsum`: write x @ m"),
        (minires, "sin", r"minires has no `sin`: write Tensor\(np.sin"),
        (minires, "celu_", "minires has no `celu_`: write y = minires.where"),
        (
            minires,
            "quantize_per_tensor",
            "minires has no `quantize_per_tensor`: it does without",
        ),
        (nn, "ELU", r"minires.nn has no `ELU`: write minires.where\(y > 0"),
        (F, "elu", r"minires.nn.functional has no `elu`: write minires.where\(y > 0"),
        (optim, "Adagrad", "minires.optim has no `Adagrad`: write optim.RMSprop"),
        (X, "sqeeze", "'Tensor' object has no attribute 'sqeeze'"),
        (X, "__array_interface__", "'Tensor' object has no attribute '__array_interface__'"),
        (minires, "foo", "module 'minires' has no attribute 'foo'"),
        (nn, "Lstm", "module 'minires.nn' has no attribute 'Lstm'"),
        (F, "foo", "module 'minires.nn.functional' has no attribute 'foo'"),
        (optim, "adamw", "module 'minires.optim' has no attribute 'adamw'"),
    ],
)
def test_the_error_says_what_to_write(owner, name, said):
    assert not hasattr(owner, name)
    with pytest.raises(AttributeError, match=f"^{said}"):
        getattr(owner, name)


def test_probes_find_nothing():
    x = Tensor([1.0, 2.0], requires_grad=True)
    for made in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert made.requires_grad
        np.testing.assert_array_equal(made.numpy(), x.numpy())
    np.testing.assert_array_equal(np.asarray(x), [1.0, 2.0])
    np.testing.assert_array_equal(np.stack([x, x]), [[1.0, 2.0]] * 2)
    for probe in (
        "_ipython_display_",
        "_ipython_canary_method_should_not_exist_",
        "_repr_mimebundle_",
    ):
        assert getattr(x, probe, None) is None
        assert getattr(minires, probe, None) is None
    bare = Tensor.__new__(Tensor)  # as copy and pickle make one, before it has anything
    with pytest.raises(AttributeError):
        bare.array  # noqa: B018


def test_unknown_submodules_are_import_errors():
    for name in ("minires.utils", "minires.nn.utils", "minires.sin"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    with pytest.raises(ImportError):
        from minires import sin  # noqa: F401


def test_the_table_is_not_read_before_it_is_needed():
    program = (
        "import sys, minires; x = minires.Tensor([1.0], requires_grad=True); x.sum().backward()\n"
        "import numpy; numpy.asarray(x.detach()); repr(x); hasattr(x, '__foo__')\n"
        "assert 'minires.from_pytorch.table' not in sys.modules\n"
        "assert not hasattr(minires, 'sin') and 'minires.from_pytorch.table' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize("namespace", TABLES)
def test_no_name_stands_twice(namespace):
    names = [name for hint in read(namespace)[0] for name in hint.names]
    assert sorted(names) == sorted(set(names))
    assert not [name for name in names if isinstance(find(namespace, name), Family)]


def test_the_page_is_what_the_table_gives(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    tool = importlib.import_module("build_from_pytorch_page")
    page = (ROOT / "docs" / "from-pytorch.md").read_text(encoding="utf-8")
    assert tool.with_blocks(page, tool.BLOCKS) == page, (
        "run: python tools/build_from_pytorch_page.py"
    )
