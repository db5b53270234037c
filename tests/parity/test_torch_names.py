"""PyTorch's public names and keywords: minires has each, says what to write, or declares it out.

And what the table sets side by side gives the same.
"""

import inspect
import re
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.utils.prune
from hint_names import CHANNELS_LAST, HINTS, arrays, here, name_of, run

import minires
from minires import Tensor, nn, optim
from minires.from_pytorch import keywords
from minires.from_pytorch.table import TABLES, Family, find, read
from minires.nn import functional

THEIRS = {
    "torch": torch,
    "Tensor": torch.Tensor,
    "nn": torch.nn,
    "nn.functional": torch.nn.functional,
    "optim": torch.optim,
    "optim.lr_scheduler": torch.optim.lr_scheduler,
    "nn.Module": torch.nn.Module,
    "nn.init": torch.nn.init,
    "nn.utils": torch.nn.utils,
    "cuda": torch.cuda,
    "utils": torch.utils,
    "utils.data": torch.utils.data,
    "random": torch.random,
    "optim.Optimizer": torch.optim.Optimizer,
    "optim.lr_scheduler.LRScheduler": torch.optim.lr_scheduler.LRScheduler,
}
OURS = {
    "torch": minires,
    "Tensor": Tensor,
    "nn": nn,
    "nn.functional": functional,
    "optim": optim,
    "optim.lr_scheduler": optim.lr_scheduler,
    "nn.Module": nn.Module,
    "nn.init": nn.init,
    "nn.utils": nn.utils,
    "cuda": minires.cuda,
    "utils": minires.utils,
    "utils.data": minires.data,
    "random": minires.random,
    "optim.Optimizer": optim.Optimizer,
    "optim.lr_scheduler.LRScheduler": optim.lr_scheduler.LRScheduler,
}
AT_MOST_OUT = 0.05
"""How much may be out of scope of each namespace but those where families are told."""


def public(home):
    """The names without an underscore that are PyTorch's own, not what its source imports."""
    for name in sorted(n for n in dir(home) if not n.startswith("_")):
        value = getattr(home, name, None)
        foreign = isinstance(value, types.ModuleType) and not value.__name__.startswith("torch.")
        origin = getattr(value, "__module__", None) or ""
        imported = origin.split(".")[0] in {*sys.stdlib_module_names, "typing_extensions"}
        if home is not torch:
            imported |= value is torch.Tensor or isinstance(value, float)
        if not foreign and not imported and name != "TYPE_CHECKING":
            yield name


def exists(home, name):
    """Whether minires means to have it: a module's own imports and parts do not count."""
    if isinstance(home, type):
        return hasattr(home, name)
    if hasattr(home, "__all__"):
        return name in home.__all__
    return getattr(getattr(home, name, None), "__module__", "").startswith("minires.nn.")


@pytest.mark.parametrize("namespace", TABLES)
def test_every_name_is_answered(namespace):
    names = list(public(THEIRS[namespace]))
    lacking = [name for name in names if not exists(OURS[namespace], name)]
    answers = {name: find(namespace, name) for name in lacking}
    assert [name for name, answer in answers.items() if answer is None] == []
    out = [name for name, answer in answers.items() if isinstance(answer, Family)]
    told = namespace in ("torch", "cuda", "utils", "utils.data")
    assert told or len(out) <= AT_MOST_OUT * len(names), out


@pytest.mark.parametrize("namespace", TABLES)
def test_the_table_has_no_name_that_pytorch_lacks(namespace):
    home = THEIRS[namespace]
    names = [name for hint in read(namespace)[0] for name in hint.names]
    assert [name for name in names if not hasattr(home, name)] == []
    for hint in read(namespace)[0]:
        if hint.theirs:
            assert hint.names[0] in hint.theirs


def there():
    """The names of `hint_names.here` as PyTorch's tensors, in its layout."""
    found = {name: torch.from_numpy(array) for name, array in arrays().items()}
    for name in CHANNELS_LAST:
        found[name] = found[name].movedim(-1, 1).contiguous()
    found["filters"] = found["filters"].permute(3, 2, 0, 1)
    found["kernels"] = found["kernels"].permute(2, 1, 0)
    found["back"] = found["back"].permute(2, 3, 0, 1)
    return {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, **found}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("namespace", "hint"), [(n, h) for n, h in HINTS if h.theirs], ids=name_of)
def test_both_give_the_same(namespace, hint):
    ours = np.asarray(run(hint.ours, here()))
    theirs = run(hint.theirs, there())
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    if theirs.ndim > 2 and any(name in hint.theirs for name in CHANNELS_LAST):
        theirs = np.moveaxis(theirs, 1, -1)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert (
        np.isfinite(np.asarray(theirs, float)).all() or "inf" in hint.theirs or "nan" in hint.theirs
    )


def keywords_of(function):
    """A function's keywords and their defaults, by its signature or the first line of its text."""
    try:
        parameters = inspect.signature(function).parameters.values()
        if not any(p.kind == p.VAR_KEYWORD for p in parameters):
            named = [p for p in parameters if p.default is not p.empty]
            return {p.name: p.default for p in named if not p.name.startswith("_")}
    except ValueError:  # it is written in C++
        pass
    line = re.match(r"\s*\w+\((.*?)\)? *->", function.__doc__ or "", re.DOTALL)
    return dict(re.findall(r"(\w+)\s*=\s*([^,()]+)", line[1])) if line else {}


def shared_functions():
    """Each function or class of both: its name, PyTorch's and minires's own."""
    for namespace, home in OURS.items():
        for name in sorted(set(dir(home)) & set(public(THEIRS[namespace]))):
            if exists(home, name) or home is nn.init:
                theirs, ours = (getattr(h, name) for h in (THEIRS[namespace], home))
                if callable(ours) and callable(theirs):
                    yield f"{namespace}.{name}", name, theirs, ours


def test_every_keyword_is_answered():
    """Taken, or in the table; and PyTorch's default changes nothing."""
    seen, unanswered, defaults = 0, [], []
    for where, name, theirs, ours in shared_functions():
        if isinstance(theirs, type):
            theirs, ours = theirs.__init__, ours.__init__
        wanted = keywords_of(theirs)
        taken = inspect.signature(ours).parameters.values()
        passed_on = any(p.kind == p.VAR_KEYWORD for p in taken)
        for keyword, default in wanted.items():
            seen += 1
            if keyword in [p.name for p in taken]:
                continue
            hint = keywords.find(name, keyword)
            if hint is None:
                unanswered += [] if passed_on else [f"{where}({keyword}={default})"]
            elif isinstance(default, torch.Generator):  # an object of its own, which nobody types
                continue
            elif not passed_on and "*" not in hint.nothing and str(default) not in hint.nothing:
                defaults.append(f"{where}({keyword}={default})")
    assert (unanswered, defaults) == ([], [])
    assert seen > 400
