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
from minires.from_pytorch import imports
from minires.from_pytorch.keywords import table as keywords
from minires.from_pytorch.table import TABLES, Family, find, read
from minires.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
X = Tensor([[1.0, 2.0]])
OPTIMIZER = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)


@pytest.mark.parametrize(("namespace", "hint"), HINTS, ids=name_of)
def test_what_a_hint_says_runs(namespace, hint):
    names = here()
    with minires.no_grad():  # where parameters are updated
        run(hint.ours, names)


@pytest.mark.parametrize("name", keywords())
def test_what_is_said_of_a_keyword_runs(name):
    run(keywords()[name].ours, here())


CALLS = {
    "nn.Linear(2, 3, device='cpu', dtype=minires.float32)": None,
    "nn.Conv2d(3, 4, 3, padding_mode='zeros')": None,
    "nn.MaxPool2d(2, ceil_mode=False, return_indices=False, dilation=1)": None,
    "nn.Embedding(3, 2, max_norm=None, norm_type=2.0, sparse=False)": None,
    "optim.Adam(net.parameters(), amsgrad=False, foreach=True, fused=None)": None,
    "optim.StepLR(optimizer, 3, last_epoch=-1)": None,
    "minires.zeros_like(x, memory_format='preserve_format')": None,
    "x.to('cpu', non_blocking=True)": None,
    "net.to('cpu', non_blocking=True)": None,
    "net.load_state_dict(net.state_dict(), assign=False)": None,
    "x.add(y, alpha=1)": None,
    "minires.zeros(size=(2, 3))": None,
    "minires.arange(end=3)": None,
    "optimizer.state[p]": None,
    "nn.init.normal_(p.data, 0.0, 0.02)": None,
    "nn.Conv2d(3, 4, 3, padding_mode='reflect')": "Conv2d has no `padding_mode`: write F.pad",
    "nn.ConvTranspose2d(3, 4, 2)(images, output_size=(9, 9))": "forward has no `output_size`",
    "nn.AvgPool2d(2, 1, 1, ceil_mode=True, count_include_pad=False)(images)": None,
    "nn.AvgPool2d(2, divisor_override=3)": "AvgPool2d has no `divisor_override`: write F.avg",
    "nn.Linear(2, 3, dtype='float16')": r"has no `dtype`: write nn.Linear\(4, 2\).to\(dtype=",
    "nn.Linear(2, 3, biases=False)": "has no `biases`: it takes in_features, out_features, bias",
    "F.max_pool2d(images, 2, return_indices=True)": "max_pool2d has no `return_indices`: write F.m",
    "optim.SGD(net.parameters(), 0.1, maximize=True)": r"SGD has no `maximize`: write \(-net\(x\)",
    "optim.StepLR(optimizer, 3, last_epoch=4)": "StepLR has no `last_epoch`: write schedule.load",
    "schedule.step(4)": "step.. takes 1 .* 2 were given: write schedule.step",
    "nn.Linear(2)": "missing 1 .*'out_features': it takes in_features, out_features, bias=True",
    "x.add(y, alpha=2)": r"add has no `alpha`: write x \+ 2 \* y",
    "minires.permute(a, dims=(2, 0, 1))": r"permute has no `dims`: write a.permute\(2, 0, 1\)",
    "minires.exp(x, out=x)": r"exp has no keyword `out`: write y.copy_\(",
    "minires.where(mask, x, other=0)": r"no keyword `other`: write minires.where\(mask, x, y\)",
    "x.view(minires.int32)": r"x.numpy\(\).view\('int32'\)",
    "Tensor(2, 3, 4)": r"write minires.empty\(2, 3\)",
    "Tensor(2, 3)": r"wants values, not sizes: write minires.empty\(2, 3\)",
    "p // 2": r"Tensor has no `//`: write Tensor\(np.floor_divide",
    "2 % p": r"Tensor has no `%`: write Tensor\(np.remainder",
    "np.arctan(p)": r"no gradient by arctan: write Tensor\(np.arctan",
    "minires.concatenate([x, y], dim=1)": r"concatenate.* write minires.concatenate\(.*axis=1\)",
    "minires.where(mask)": r"takes 3 arrays .* got 1: write np.nonzero\(mask\)",
    "minires.compile(net)": r"missing 1 .* write minires.compile\(net.eval\(\), x\)",
    "loss.backward(inputs=[p])": r"backward has no `inputs`: write minires.grad\(",
    "F.pad(x, 1)": r"write F.pad\(x, \(1, 1, 1, 1\)\)",
    "minires.save(net, print)": "wants a path: write minires.save",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_is_understood_or_says_what_to_write(call):
    if CALLS[call] is None:
        run(call, here())
    else:
        with pytest.raises(TypeError, match=CALLS[call]):
            run(call, here())


def test_an_error_inside_is_as_it_was():
    def hook(unwanted):
        raise AssertionError

    layer = nn.Linear(2, 3)
    layer.register_forward_hook(hook)
    with pytest.raises(TypeError, match=r"hook\(\) takes 1 positional argument but 3 were given$"):
        layer(X)


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
        (minires, "version", "minires has no `version`: it does without PyTorch's insides"),
        (nn, "ELU", r"minires.nn has no `ELU`: write minires.where\(y > 0"),
        (F, "elu", r"minires.nn.functional has no `elu`: write minires.where\(y > 0"),
        (optim, "Adagrad", "minires.optim has no `Adagrad`: write optim.RMSprop"),
        (X, "sqeeze", "'Tensor' object has no attribute 'sqeeze'"),
        (X, "__array_interface__", "'Tensor' object has no attribute '__array_interface__'"),
        (minires, "foo", "module 'minires' has no attribute 'foo'"),
        (nn, "Lstm", "module 'minires.nn' has no attribute 'Lstm'"),
        (F, "foo", "module 'minires.nn.functional' has no attribute 'foo'"),
        (optim, "adamw", "module 'minires.optim' has no attribute 'adamw'"),
        (nn.ReLU(), "compile", r"ReLU has no `compile`: write minires.compile\(net"),
        (
            minires.random,
            "fork_rng",
            r"minires.random has no `fork_rng`: write rng_state = minires",
        ),
        (OPTIMIZER, "register_step_post_hook", r"SGD has no `register_step_post_hook`: write opt"),
        (optim.StepLR(OPTIMIZER, 2), "get_lr", r"StepLR has no `get_lr`: write schedule.get_last"),
        (nn.ReLU(), "fc", "'ReLU' object has no attribute 'fc'"),
        (nn.init, "trunc_normal_", r"minires.nn.init has no `trunc_normal_`: write p.copy_\("),
        (nn.utils, "convert_parameters", r".* write nn.utils.parameters_to_vector\("),
        (minires.cuda, "empty_cache", "minires.cuda has no `empty_cache`: leave it out"),
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
    for name in ("minires.util", "minires.nn.util", "minires.sin"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    with pytest.raises(ImportError):
        from minires import sin  # noqa: F401


IMPORTS = {
    "from minires.nn.parameter import Parameter": None,
    "from minires.nn.modules import Conv2d, Module": None,
    "from minires.nn.modules.batchnorm import _BatchNorm": None,
    "import minires.nn.modules.conv as conv; conv._ConvNd": None,
    "from minires.nn.modules.activation import MultiheadAttention, ReLU": None,
    "from minires.nn.modules.dropout import Dropout": None,
    "from minires.nn.modules.flatten import Flatten": None,
    "from minires.nn.modules.linear import Identity, Linear": None,
    "from minires.nn.modules.normalization import GroupNorm, LayerNorm": None,
    "from minires.nn.modules.utils import _pair": None,
    "from minires.nn.utils.clip_grad import clip_grad_norm_": None,
    "from minires.optim.lr_scheduler import _LRScheduler": None,
    "from minires import einsum": "minires has no `einsum`: write x @ m",
    "from minires.autograd import Variable": "minires has no `autograd`: .* a Variable a Tensor",
    "from minires.cuda.amp import autocast": "minires.cuda has no `amp`: write minires.training.Mi",
    "from minires.distributions import Normal": r"no `distributions`: write minires.random.gener",
    "from minires.utils.data import DataLoader, random_split": None,
    "from minires.utils.data import RandomSampler, Sampler": None,
    "from minires.utils.data.dataset import Dataset, Subset": None,
    "from minires.utils.data.dataloader import DataLoader, default_collate": None,
    "from minires.utils.data.sampler import SubsetRandomSampler": None,
    "from minires.utils.data.distributed import DistributedSampler": "DistributedSampler`: write",
    "from minires.utils.checkpoint import checkpoint": r"no `checkpoint`: write net\(x\)",
    "from minires.utils.tensorboard import SummaryWriter": "without logs of other tools .*tensorbo",
    "import minires.utils.nothing": "No module named 'minires.utils.nothing'",
    "from minires.nn.functional import relu, elu": "minires.nn.functional has no `elu`: write",
    "from minires.nn.init import trunc_normal_": "minires.nn.init has no `trunc_normal_`: write",
    "from minires.nn.utils.rnn import pad_sequence": "minires.nn.utils has no `rnn`: write",
    "import minires.backends.cudnn as cudnn": "minires has no `backends`: leave it out",
    "import minires.nn.utils.prune as prune": "minires.nn.utils has no `prune`: write",
    "from minires.nn.modules import ELU": "minires.nn has no `ELU`|cannot import name 'ELU'",
    "from minires.nn.modules.activation import ELU": "minires.nn has no `ELU`|cannot import name",
    "import minires.nn.modules.nothing": "No module named 'minires.nn.modules.nothing'",
    "from minires import nothing": "cannot import name 'nothing'",
}


@pytest.mark.parametrize("line", IMPORTS)
def test_an_import_is_found_or_says_what_to_write(line):
    if IMPORTS[line] is None:
        exec(line, {})
    else:
        with pytest.raises(ImportError, match=IMPORTS[line]):
            exec(line, {})


def test_every_module_of_pytorchs_has_a_home():
    for name, home in imports.HOMES.items():
        assert importlib.import_module(name).__doc__ == importlib.import_module(home).__doc__


def test_a_module_of_pytorchs_has_the_same_classes():
    from minires.nn.modules import batchnorm, linear

    assert isinstance(nn.BatchNorm2d(2), nn.modules.batchnorm._BatchNorm)
    assert linear.Linear is nn.Linear is nn.modules.Linear
    assert batchnorm.BatchNorm2d is nn.BatchNorm2d
    from minires.utils.data.dataset import Dataset, TensorDataset

    assert (Dataset, TensorDataset) == (minires.data.Dataset, minires.data.TensorDataset)
    with pytest.raises(AttributeError, match="no attribute 'foo'"):
        nn.modules.foo  # noqa: B018


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
