"""Words that are easily taken and ignored: in place, `out=`, a schedule's changed rate, and such.

Each does here what it does in PyTorch, is an error, or is on the list in docs/conventions.md.
"""

import inspect
import random
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import minires
from minires import Tensor, nn, optim

F, TF = nn.functional, torch.nn.functional
PAGE = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text(encoding="utf-8")
SEED = 20


def close(got, wanted, near=1e-5):
    np.testing.assert_allclose(got.numpy(), wanted.detach().numpy(), near, near)


# ---------------------------------------------------------------------- in place

IN_PLACE = {
    "relu": lambda nn, x: nn.functional.relu(x, inplace=True),
    "leaky_relu": lambda nn, x: nn.functional.leaky_relu(x, 0.2, True),
    "silu": lambda nn, x: nn.functional.silu(x, inplace=True),
    "dropout": lambda nn, x: nn.functional.dropout(x, 0.0, True, True),
    "ReLU": lambda nn, x: nn.ReLU(inplace=True)(x),
    "LeakyReLU": lambda nn, x: nn.LeakyReLU(0.3, inplace=True)(x),
    "SiLU": lambda nn, x: nn.SiLU(True)(x),
    "Dropout": lambda nn, x: nn.Dropout(0.4, inplace=True).eval()(x),
    "Sequential": lambda nn, x: nn.Sequential(nn.ReLU(True), nn.Dropout(0.0, True))(x),
}


def program(seed, nn, values):
    """A few results, some changed in place, each used again; the last one is a number."""
    rng = random.Random(seed)
    made = [values * 1.5, values + 0.5]
    for _ in range(rng.randint(2, 6)):
        name = rng.choice([*IN_PLACE, "add", "multiply", "shift"])
        x, y = rng.choice(made), rng.choice(made)
        if name in IN_PLACE:
            made.append(IN_PLACE[name](nn, x))
            assert made[-1] is x
        else:
            made.append(x + y if name == "add" else x * y if name == "multiply" else x - 0.3)
    total = made[0].sum()
    for each in made[1:]:
        total = total + (each * 0.5).sum()
    return made, total


def test_programs_that_change_results_in_place():
    compared = 0
    for seed in range(150):
        values = np.random.default_rng(seed).normal(size=(2, 3)).astype(np.float32)
        theirs = torch.tensor(values, requires_grad=True)
        wanted, total = program(seed, torch.nn, theirs)
        try:
            total.backward()
        except RuntimeError:  # what a gradient needs was overwritten there: here nothing is
            continue
        ours = Tensor(values, requires_grad=True)
        got, sum_ = program(seed, nn, ours)
        sum_.backward()
        for one, other in zip(got, wanted, strict=True):
            close(one, other)
        close(ours.grad, theirs.grad)
        compared += 1
    assert compared > 50


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_where_no_graph_is(name):
    values = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    for library, tensor in ((nn, minires.tensor), (torch.nn, torch.tensor)):
        x = tensor(values)
        y = IN_PLACE[name](library, x)
        assert y is x
        leaf = tensor(values, requires_grad=True)
        if name not in ("Dropout", "dropout"):  # which do nothing here
            with pytest.raises((ValueError, RuntimeError), match=r"leaf|in-place"):
                IN_PLACE[name](library, leaf)
        with (minires if library is nn else torch).no_grad():
            IN_PLACE[name](library, leaf)
        assert leaf.is_leaf
        assert leaf.requires_grad
        assert leaf.tolist() == x.tolist()


def test_dropout_in_place_changes_its_input():
    for layer, shape in (
        (nn.Dropout(0.5, inplace=True), (100,)),
        (nn.Dropout2d(0.5, True), (2, 3, 3, 9)),
    ):
        x = minires.ones(*shape)
        y = layer(x)
        assert set(y.numpy().ravel().tolist()) == {0.0, 2.0}
        np.testing.assert_array_equal(x.numpy(), y.numpy())
    for kind in (minires, torch):
        with pytest.raises((TypeError, RuntimeError)):
            kind.nn.functional.silu(kind.arange(3), inplace=True)


def test_in_place_under_a_backward_hook():
    """PyTorch refuses; here the input and the gradients are what they are without a hook."""
    found = []
    for hooked in (False, True):
        seen = []
        layer = nn.LeakyReLU(0.25, inplace=True)
        if hooked:
            layer.register_full_backward_hook(
                lambda _, came, went, seen=seen: seen.append((came, went))
            )
        w = Tensor([[1.0, -2.0]], requires_grad=True)
        h = w * 2
        y = layer(h)
        (h * y).sum().backward()
        found.append((h.tolist(), y.tolist(), w.grad.tolist()))
        if hooked:
            (came,), (went,) = seen[0]
            np.testing.assert_allclose(came.numpy(), went.numpy() * [[1, 0.25]])
    assert found[0] == found[1]


def test_networks_in_place_and_not():
    made = []
    for inplace in (False, True):
        minires.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace), nn.Dropout(0.3, inplace),
            nn.Conv2d(4, 4, 3), nn.LeakyReLU(0.1, inplace), nn.SiLU(inplace), nn.Flatten(),
            nn.Linear(16, 3),
        )  # fmt: skip
        images = Tensor(np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32))
        net(images).sum().backward()
        gradients = [p.grad.numpy() for p in net.parameters()]
        out = net.eval()(images).numpy()
        np.testing.assert_allclose(minires.compile(net, images)(images).numpy(), out, 1e-4, 1e-5)
        made.append([out, *gradients])
    for one, other in zip(*made, strict=True):
        np.testing.assert_array_equal(one, other)


# ---------------------------------------------------------------------- out=

ARGUMENTS = [
    "x",
    "x, y",
    "x, 2",
    "[x, y]",
    "2, 3",
    "x, x > 0",
    "x, 0, 1",
    "(2, 3), 1.0",
    "x > 0, x, y",
    "0, 1, 6",
]


def test_out_is_written_or_refused():
    """Every function of PyTorch's that takes `out=` with such arguments."""
    refused, unnamed = 0, []
    for name in sorted(set(minires.__all__) | set(dir(minires))):
        if (
            name.startswith("_")
            or not callable(getattr(torch, name, None))
            or name in ("tensor", "device")
        ):
            continue
        for arguments in ARGUMENTS:
            for shape in ((2, 3), (2, 2), (4, 3), (2,), (3,), (6,), ()):

                def call(library, tensor, name=name, arguments=arguments, shape=shape):
                    x, y, out = (
                        tensor(np.full(s, v, np.float32))
                        for s, v in (((2, 3), 0.3), ((2, 3), 0.7), (shape, 9.0))
                    )
                    made = eval(
                        f"m.{name}({arguments}, out=out)",
                        {"m": library, "x": x, "y": y, "out": out},
                    )
                    assert made is out or made[0] is out
                    return out

                try:
                    wanted = call(torch, torch.tensor)
                except Exception:
                    continue
                try:
                    got = call(minires, minires.tensor)
                except TypeError as error:
                    refused += 1
                    if "copy_" not in str(error):
                        unnamed.append(f"{name}({arguments}): {error}")
                else:
                    close(got, wanted)
    assert refused > 20
    assert not unnamed
    with pytest.raises(TypeError, match=r"add has no `out`: write y.copy_\(x \* 2\)"):
        minires.add(minires.ones(2), 1, out=minires.zeros(2))


# ---------------------------------------------------------------------- one word or none


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_a_softmax_that_is_not_told_along_which_axis(ndim):
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5)[:ndim]).astype(np.float32)
    for ours, theirs in (
        (F.softmax, TF.softmax),
        (F.log_softmax, TF.log_softmax),
        (nn.Softmax(), torch.nn.Softmax()),
        (nn.LogSoftmax(), torch.nn.LogSoftmax()),
    ):
        if ndim > 2:
            with pytest.raises(ValueError, match="write dim=-1"):
                ours(Tensor(values))
        else:
            with pytest.warns(UserWarning, match="Implicit dimension"):
                wanted = theirs(torch.tensor(values))
            close(ours(Tensor(values)), wanted)


def test_a_norm_is_a_tensor():
    for norm_type in (2, 1, float("inf")):
        norms = []
        for kind, tensor in ((nn, Tensor), (torch.nn, torch.tensor)):
            p, q = kind.Parameter(tensor([3.0])), kind.Parameter(tensor([0.0]))
            none = kind.utils.clip_grad_norm_([q], 1.0)
            (p * 4).sum().backward()
            norm = kind.utils.clip_grad_norm_([p, q], 1.0, norm_type=norm_type)
            norms.append((norm.detach().item(), norm.cpu().shape, norm.requires_grad, none.item()))
        assert norms[0] == norms[1]


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
def test_the_dtype_of_numbers_in_lists():
    for data in (
        [1.0, 2],
        [np.float64(2), 1.0],
        [np.float32(1), 1],
        [np.ones(2), np.ones(2)],
        [[np.arange(2, dtype=np.uint8)]],
        [np.ones(2, np.float16)],
        [np.int32(1)],
        [True],
        [],
    ):
        ours, theirs = minires.tensor(data), torch.tensor(data)
        assert str(theirs.dtype) == f"torch.{ours.dtype}", data
        assert ours.tolist() == theirs.tolist()
    for name in ("float16", "float32", "float64", "uint8", "int16", "int32", "int64"):
        assert getattr(minires, name).itemsize == getattr(torch, name).itemsize
        assert minires.zeros(1, dtype=getattr(minires, name)).dtype is getattr(minires, name)


def test_gradients_of_values_that_tie():
    rng = np.random.default_rng(0)
    for name in ("maximum", "minimum"):
        for shapes in (((4, 5), (4, 5)), ((4, 5), (5,)), ((1, 5), (4, 1))):
            arrays = [rng.integers(0, 3, shape).astype(np.float32) for shape in shapes]
            ours = [Tensor(a, requires_grad=True) for a in arrays]
            theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
            (getattr(minires, name)(*ours) * 3).sum().backward()
            (getattr(torch, name)(*theirs) * 3).sum().backward()
            for one, other in zip(ours, theirs, strict=True):
                close(one.grad, other.grad)


def test_attention_that_may_look_nowhere():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        arrays = [rng.normal(size=(2, 3, 4)).astype(np.float32) for _ in range(3)]
        seen = rng.random((3, 3)) > 0.6
        added = np.where(seen, rng.normal(size=(3, 3)), -np.inf).astype(np.float32)
        for mask in (seen, added, seen[None], minires.tensor(seen), minires.tensor(added)):
            ours = [Tensor(a, requires_grad=True) for a in arrays]
            theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
            got = F.scaled_dot_product_attention(*ours, attn_mask=mask)
            wanted = TF.scaled_dot_product_attention(
                *theirs, attn_mask=torch.tensor(mask.numpy() if isinstance(mask, Tensor) else mask)
            )
            close(got, wanted, 1e-4)
            (got * got).sum().backward()
            (wanted * wanted).sum().backward()
            for one, other in zip(ours, theirs, strict=True):
                close(one.grad, other.grad, 1e-3)


# ---------------------------------------------------------------------- schedules

SCHEDULES = {
    "StepLR": lambda s, o: s.StepLR(o, 2, gamma=0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 3], gamma=0.3),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.7),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 9, eta_min=0.01),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda n: 1 / (1 + n)),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=20),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.ExponentialLR(o, 0.5), s.StepLR(o, 2)], [3]),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, patience=0),
}


def rates(seed, optimisers, parameters):
    rng = random.Random(seed)
    optimizer = optimisers.SGD(parameters, lr=1.0, momentum=0.9)
    names = [rng.choice(list(SCHEDULES)) for _ in range(rng.choice([1, 1, 2]))]
    schedules = [SCHEDULES[name](optimisers.lr_scheduler, optimizer) for name in names]
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(7):
        if lr := rng.choice([None, None, 0.3, 2.0]):
            optimizer.param_groups[0]["lr"] = lr
        if rng.random() < 0.2:
            optimizer.load_state_dict(optimizer.state_dict())
        optimizer.step()
        for name, schedule in zip(names, schedules, strict=True):
            schedule.step(*([1.0] if name == "ReduceLROnPlateau" else []))
        found.append(optimizer.param_groups[0]["lr"])
    return names, found


@pytest.mark.filterwarnings("ignore")
def test_rates_set_by_hand_and_schedules_together():
    for seed in range(100):
        names, got = rates(seed, optim, nn.Linear(2, 1).parameters())
        if len(names) == 2 and {"OneCycleLR"} & set(names):  # its first rate is the other's base
            continue
        _, wanted = rates(seed, torch.optim, torch.nn.Linear(2, 1).parameters())
        np.testing.assert_allclose(got, wanted, 1e-6, 1e-9, err_msg=f"{names} {seed}")


def test_a_rate_that_was_taken_over_is_saved():
    optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0)
    schedule = optim.ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["lr"] = 8.0
    schedule.step()
    state = schedule.state_dict()
    again = optim.ExponentialLR(optim.SGD(nn.Linear(2, 1).parameters(), lr=1.0), 0.5)
    again.load_state_dict(state)
    again.step()
    assert again.optimizer.param_groups[0]["lr"] == again.get_last_lr()[0] == 2.0


# ---------------------------------------------------------------------- arguments by position

OWN_ORDER = {"save", "load", "Optimizer", "named_modules"}
"""Whose arguments are not PyTorch's: each refuses PyTorch's by their types."""


def by_position(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD and p.name != "self"]


def test_arguments_stand_where_pytorch_has_them():
    """Where another one stands, one of PyTorch's is refused: it is no text, which is wanted."""
    pairs = [(nn, torch.nn), (F, TF), (optim, torch.optim), (nn.init, torch.nn.init)]
    pairs += [(optim.lr_scheduler, torch.optim.lr_scheduler), (nn.utils, torch.nn.utils)]
    pairs += [(nn.Module, torch.nn.Module)]
    compared = 0
    for ours, theirs in pairs:
        for name in sorted(set(dir(ours)) & set(dir(theirs)) - OWN_ORDER):
            one, other = by_position(getattr(ours, name)), by_position(getattr(theirs, name))
            if name.startswith("_") or not one or not other:
                continue
            compared += 1
            for mine, there in zip(one, other, strict=False):
                if mine != there:
                    assert mine in ("reduction", "batch_first", "bias", "cycle_momentum"), (
                        name,
                        mine,
                        there,
                    )
                    break
    assert compared > 60
    with pytest.raises(TypeError, match=r"takes from 2 to 3 positional"):
        F.nll_loss(Tensor([[0.0]]), [0], None, True)
    for call in (
        lambda: nn.MSELoss(True)(Tensor([1.0]), Tensor([1.0])),
        lambda: F.mse_loss(Tensor([1.0]), Tensor([1.0]), False),
    ):
        with pytest.raises(TypeError, match="reduction"):
            call()


# ---------------------------------------------------------------------- what is listed


def test_rows_of_the_list_that_are_no_expressions():
    rows = re.findall(
        r"^\| (.+?) \|", PAGE.split("## Silently different")[1].split("are errors")[0], re.M
    )
    tested = {
        "nn.ReLU",
        "F.cross_entropy",
        "table[places]",
        "Tensor(array)",
        "the gradient of",
        "nn.init",
    }
    tested |= {"LambdaLR", "CosineAnnealingLR", "nn.MaxPool2d", "Tensor(3)", "y = x", "g = w.grad"}
    tested |= {"np.round", "np.nonzero", "np.isnan"}
    others = [row for row in rows[1:] if not row.startswith("`x")]
    assert len(others) == len(tested)
    assert all(any(row.lstrip("`").startswith(start) for row in others) for start in tested)

    views = []
    for kind, tensor in ((nn, minires.tensor), (torch.nn, torch.tensor)):
        x = tensor([[-1.0, 2.0]])
        view = x.view(-1)
        kind.ReLU(inplace=True)(x)
        views.append((x.tolist(), view.tolist()))
    assert views == [([[0.0, 2.0]], [-1.0, 2.0]), ([[0.0, 2.0]], [0.0, 2.0])]

    logits = np.random.default_rng(0).normal(size=(2, 3, 3)).astype(np.float32)
    labels = np.array([[0, 1, 2], [0, 1, 2]])
    there = TF.cross_entropy(torch.tensor(logits), torch.tensor(labels))
    assert abs(F.cross_entropy(Tensor(logits), labels).item() - there.item()) > 1e-3
    turned = F.cross_entropy(Tensor(logits.transpose(0, 2, 1).copy()), labels)
    np.testing.assert_allclose(turned.item(), there.item(), 1e-5)

    kinds = []
    with warnings.catch_warnings(action="ignore"):  # of PyTorch's __array_wrap__
        for tensor in (minires.tensor, torch.tensor):
            x = tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
            found = [np.round(x, 1), np.cumsum(x), np.argsort(x), np.exp(x)]
            kinds.append([isinstance(each, type(x)) for each in found])
            kinds[-1] += [np.shape(np.nonzero(x)), np.asarray(np.isnan(x)).dtype.name]
    assert kinds == [
        [False, False, False, True, (2, 3), "bool"],
        [True, True, True, True, (3, 2), "uint8"],
    ]

    places = np.array([1, 0, 1], np.uint8)
    assert minires.arange(3)[places].tolist() == [1, 0, 1]
    with pytest.warns(UserWarning, match="uint8"):
        assert torch.arange(3)[places].tolist() == [0, 2]
    with pytest.raises(IndexError, match=r"mask\.bool"):
        minires.arange(3)[minires.tensor(places)]
    with pytest.raises(IndexError, match=r"mask\.bool"):
        minires.arange(3)[minires.tensor(places)] = 1

    assert (Tensor(np.ones(1)).dtype, torch.Tensor(np.ones(1)).dtype) == (np.float64, torch.float32)
    assert (Tensor([True]).dtype, torch.Tensor([True]).dtype) == (np.bool_, torch.float32)

    gradients = []
    for tensor in (minires.tensor, torch.tensor):
        x = tensor([2.0, 1.0, 2.0], requires_grad=True)
        x.max().backward()
        gradients.append(x.grad.tolist())
    assert gradients == [[1, 0, 0], [0.5, 0, 0.5]]

    kept = []
    for tensor in (minires.tensor, torch.tensor):
        w = tensor([1.0], requires_grad=True)
        (2 * w).sum().backward()
        g = w.grad
        (3 * w).sum().backward()
        kept.append((g.tolist(), w.grad.tolist(), g is w.grad))
    assert kept == [([2.0], [5.0], False), ([5.0], [5.0], True)]

    for tensor in (minires.tensor, torch.tensor):
        for part in (lambda x: x[0], lambda x: x.detach(), lambda x: next(iter(x))):
            x = tensor([[1.0], [2.0]])
            y = part(x)
            y += 1
            assert (x.tolist() == [[1.0], [2.0]]) == (tensor is minires.tensor)

    bounds = []
    for library in (minires, torch):
        w = library.empty(50, 200)
        library.nn.init.kaiming_uniform_(w, nonlinearity="relu")
        bounds.append(float(abs(w).max()))
    np.testing.assert_allclose(bounds, [(6 / 50) ** 0.5, (6 / 200) ** 0.5], 1e-2)

    lambdas, cosines = [], []
    for kind, library in ((nn, optim), (torch.nn, torch.optim)):
        s = library.lr_scheduler
        optimizer = library.SGD(kind.Linear(1, 1).parameters(), lr=1.0)
        first = s.LambdaLR(optimizer, lambda n: 0.5)
        s.LambdaLR(optimizer, lambda n: 1.0)
        lambdas.append(optimizer.param_groups[0]["lr"])
        optimizer = library.SGD(kind.Linear(1, 1).parameters(), lr=1.0)
        first = s.CosineAnnealingLR(optimizer, 2)
        optimizer.param_groups[0]["lr"] = 4.0
        for _ in range(4):
            optimizer.step()
            first.step()
        cosines.append(optimizer.param_groups[0]["lr"])
    assert lambdas == [0.5, 1.0]
    np.testing.assert_allclose(cosines, [4.0, 1.0])

    kinds = [
        (library.nn.MaxPool2d(3).kernel_size, type(library.nn.ReLU().state_dict()).__name__)
        for library in (minires, torch)
    ]
    assert kinds == [((3, 3), "dict"), (3, "OrderedDict")]
    assert minires.manual_seed(0) is None
    assert torch.manual_seed(0) is not None
