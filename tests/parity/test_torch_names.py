"""PyTorch's public names, each: minires has it, says what to write instead, or declares it out.

And what the table sets side by side gives the same.
"""

import sys
import types

import numpy as np
import pytest
import torch
from hint_names import CHANNELS_LAST, HINTS, arrays, here, name_of, run

import minires
from minires import Tensor, nn, optim
from minires.from_pytorch.table import TABLES, Family, find, read
from minires.nn import functional

THEIRS = {
    "torch": torch,
    "Tensor": torch.Tensor,
    "nn": torch.nn,
    "nn.functional": torch.nn.functional,
    "optim": torch.optim,
    "optim.lr_scheduler": torch.optim.lr_scheduler,
}
OURS = {
    "torch": minires,
    "Tensor": Tensor,
    "nn": nn,
    "nn.functional": functional,
    "optim": optim,
    "optim.lr_scheduler": optim.lr_scheduler,
}
AT_MOST_OUT = 0.05
"""How much may be out of scope of each namespace but `torch`, where families are told."""


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
    assert namespace == "torch" or len(out) <= AT_MOST_OUT * len(names), out


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
