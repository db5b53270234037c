"""What scripts do with modules, hooks and optimisers, done to both libraries alike."""

from collections import OrderedDict

import numpy as np
import pytest
import torch

import minires
from minires import Tensor, data, nn, optim

BOTH = [(nn, Tensor, optim), (torch.nn, torch.tensor, torch.optim)]
X = [[1.0, -2.0, 3.0]]


def names(module):
    return [name for name, _ in module.named_parameters()], list(module.state_dict())


def test_names_of_a_sequence_from_a_dict():
    def make(nn):
        inner = OrderedDict([("first", nn.Linear(3, 4)), ("act", nn.ReLU())])
        return nn.Sequential(
            OrderedDict([("inner", nn.Sequential(inner)), ("fc", nn.Linear(4, 2))])
        )

    ours, theirs = make(nn), make(torch.nn)
    assert names(ours) == names(theirs)
    assert ours.inner.first.in_features == 3
    assert [len(ours), len(ours[:1])] == [len(theirs), len(theirs[:1])]
    assert ours(Tensor(X)).shape == (1, 2)
    with pytest.raises(TypeError, match="Module"):
        nn.Sequential({"a": 3})


def test_a_dict_of_modules():
    made = []
    for kind, _, _ in BOTH:
        d = kind.ModuleDict({"conv": kind.Conv2d(3, 4, 1), "fc": kind.Linear(3, 2)})
        d["act"] = kind.ReLU()
        d.update({"fc": kind.Linear(2, 2), "last": kind.Identity()})
        del d["act"]
        made.append(
            (
                names(d),
                list(d),
                len(d),
                "conv" in d,
                "act" in d,
                [type(m).__name__ for m in d.values()],
                [name for name, _ in d.items()],
                list(d.keys()),
                d["fc"].weight.shape,
            )
        )
    assert made[0] == made[1]
    with pytest.raises(KeyError):
        nn.ModuleDict()["gone"]
    with pytest.raises(ValueError, match="method"):
        nn.ModuleDict({"keys": nn.ReLU()})


def test_registering_by_name():
    made = []
    for kind, tensor, _ in BOTH:
        module = kind.Module()
        module.register_parameter("scale", kind.Parameter(tensor([1.0, 2.0])))
        module.register_parameter("none", None)
        module.add_module("fc", kind.Linear(2, 2))
        module.register_module("act", kind.ReLU())
        made.append((names(module), module.none, [n for n, _ in module.named_children()]))
    assert made[0] == made[1]
    with pytest.raises(TypeError, match="Parameter"):
        nn.Module().register_parameter("w", Tensor([1.0]))
    with pytest.raises(TypeError, match="Module"):
        nn.Module().add_module("w", Tensor([1.0]))


def test_hooks_are_removed_by_their_handles():
    for kind, tensor, _ in BOTH:
        seen = []
        layer = kind.Linear(3, 2)
        x = tensor(X, requires_grad=True)
        handles = [
            layer.register_forward_hook(lambda *_, seen=seen: seen.append("forward")),
            layer.register_forward_pre_hook(lambda *_, seen=seen: seen.append("before")),
            layer.register_full_backward_hook(lambda *_, seen=seen: seen.append("backward")),
            x.register_hook(lambda _, seen=seen: seen.append("gradient")),
        ]
        layer(x).sum().backward()
        assert seen == ["before", "forward", "backward", "gradient"] or kind is torch.nn
        assert sorted(seen) == ["backward", "before", "forward", "gradient"]
        for handle in handles:
            handle.remove()
            handle.remove()
        layer(x).sum().backward()
        assert len(seen) == 4


def test_gradients_are_forgotten_or_zero():
    for kind, tensor, optimisers in BOTH:
        layer = kind.Linear(3, 2)
        optimizer = optimisers.SGD(layer.parameters(), lr=0.1)
        for owner in (layer, optimizer):
            layer(tensor(X)).sum().backward()
            owner.zero_grad(set_to_none=False)
            assert float(abs(layer.weight.grad).sum()) == 0
            owner.zero_grad(set_to_none=True)
            assert layer.weight.grad is None
            owner.zero_grad(set_to_none=False)
            assert layer.weight.grad is None


def test_workers_are_accepted():
    images = data.fashion_mini().subset(range(8))
    plain = data.DataLoader(images, 4, shuffle=True)
    other = data.DataLoader(images, batch_size=4, shuffle=True, num_workers=4, pin_memory=True)
    for (x, y), (u, v) in zip(plain, other, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


def test_a_state_is_saved_and_loaded(tmp_path):
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    path = tmp_path / "weights.npz"
    minires.save(net.state_dict(), path)
    again = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    minires.load(path, again)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name].numpy(), value.numpy())
    for wrong in ({}, {"a": 3}, {"epoch": 1, "state": net.state_dict()}, [1], None):
        with pytest.raises(TypeError, match="save wants a network or its state_dict"):
            minires.save(wrong, path)


def test_schedules_stand_where_pytorch_has_them():
    from minires.optim.lr_scheduler import LRScheduler, StepLR

    optimizer = optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
    schedule = StepLR(optimizer, step_size=1)
    assert isinstance(schedule, LRScheduler)
    assert optim.lr_scheduler.StepLR is optim.StepLR
    with pytest.raises(AttributeError, match=r"write optim.LambdaLR\(optimizer, lambda n: 0.95"):
        _ = optim.lr_scheduler.MultiplicativeLR
    with pytest.raises(TypeError, match="what was measured"):
        optim.ReduceLROnPlateau(optimizer).step()
    with pytest.raises(TypeError, match="steps alone"):
        optim.SequentialLR(optimizer, [schedule, optim.ReduceLROnPlateau(optimizer)], [3])
    with pytest.raises(ValueError, match="one milestone fewer"):
        optim.SequentialLR(optimizer, [schedule], [3])
