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


def test_weights_are_drawn_through_their_data():
    for kind, _, _ in BOTH:
        layer = kind.Linear(300, 20)
        kind.init.normal_(layer.weight.data, 1.0, 0.02)
        kind.init.constant_(layer.bias.data, 0.5)
        assert layer.bias.min().item() == layer.bias.max().item() == 0.5
        assert abs(layer.weight.mean().item() - 1) < 0.01
        kind.init.kaiming_uniform_(layer.weight.data, nonlinearity="relu")
        assert abs(layer.weight.mean().item()) < 0.05


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


def test_lists_of_modules_are_edited():
    made = []
    for kind, _, _ in BOTH:
        for make in (kind.ModuleList, lambda modules, kind=kind: kind.Sequential(*modules)):
            each = make([kind.Linear(1, 2), kind.ReLU(), kind.Linear(2, 3), kind.Tanh()])
            del each[1]
            each.insert(1, kind.Sigmoid())
            each.insert(2, kind.Identity())
            each.extend([kind.Softmax(1), kind.GELU()])
            taken = each.pop(0)
            each += make([kind.SiLU()])
            del each[3:5]
            both = each + make([kind.Tanh()])
            made.append(
                (
                    names(each),
                    [type(m).__name__ for m in [*each, *both, taken]],
                    len(each),
                    len(both),
                )
            )
    assert made[:2] == made[2:]


def test_dicts_of_modules_from_pairs():
    made = []
    for kind, _, _ in BOTH:
        each = kind.ModuleDict([("a", kind.ReLU()), ("b", kind.Linear(1, 2))])
        each.update([("c", kind.Tanh())])
        taken = each.pop("a")
        made.append((list(each), type(taken).__name__, names(each)))
        each.clear()
        made.append(len(each))
    assert made[:2] == made[2:]


def test_buffers_that_are_not_saved():
    made = []
    for kind, tensor, _ in BOTH:
        module = kind.Module()
        module.register_buffer("kept", tensor([1.0]))
        module.register_buffer("mask", tensor([2.0]), persistent=False)
        module.register_buffer("changed", tensor([1.0]), persistent=False)
        module.register_buffer("changed", tensor([3.0]))
        module.inner = kind.Linear(1, 1)
        module.load_state_dict(module.state_dict())
        made.append(
            (
                list(module.state_dict()),
                list(module.state_dict(prefix="net.")),
                [name for name, _ in module.named_buffers("x")],
                [name for name, _ in module.named_parameters(prefix="x")],
                len(list(module.parameters(recurse=False))),
                len(list(module.buffers(recurse=False))),
                str(module.double().mask.dtype).removeprefix("torch."),
                str(module.half().inner.weight.dtype).removeprefix("torch."),
                module.float() is module.cpu() is module.to(kind.Module().train and "cpu"),
            )
        )
    assert made[0] == made[1]


def test_keys_that_do_not_match_by_both_names():
    for kind, tensor, _ in BOTH:
        found = kind.Linear(2, 2).load_state_dict({"other": tensor([1.0])}, strict=False)
        assert (found.missing_keys, found.unexpected_keys) == (["weight", "bias"], ["other"])


def test_pretrained_embeddings():
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    for kind, tensor, _ in BOTH:
        frozen = kind.Embedding.from_pretrained(tensor(table))
        assert not frozen.weight.requires_grad
        assert kind.Embedding.from_pretrained(tensor(table), freeze=False).weight.requires_grad
        np.testing.assert_array_equal(frozen(tensor(np.array([2, 0]))).tolist(), table[[2, 0]])


def test_a_step_with_a_closure():
    values = []
    for kind, tensor, optimisers in BOTH:
        p = kind.Parameter(tensor([2.0]))
        optimizer = optimisers.SGD([p])

        def closure(p=p, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        values.append((optimizer.step(closure).item(), p.tolist(), optimizer.step()))
    assert values[0] == values[1]


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 2), ((3, 5), 1), (2, 2)])
def test_padding_by_a_word(kernel, dilation):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 9, 8, 3)).astype(np.float32)
    for padding in ("same", "valid"):
        ours = nn.Conv2d(3, 4, kernel, padding=padding, dilation=dilation)
        theirs = torch.nn.Conv2d(3, 4, kernel, padding=padding, dilation=dilation)
        theirs.weight.data = torch.tensor(ours.weight.numpy()).permute(3, 2, 0, 1)
        theirs.bias.data = torch.tensor(ours.bias.numpy())
        wanted = theirs(torch.tensor(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).detach()
        np.testing.assert_allclose(ours(Tensor(images)).numpy(), wanted.numpy(), 1e-4, 1e-5)
        again = nn.functional.conv2d(
            Tensor(images), ours.weight, ours.bias, padding=padding, dilation=dilation
        )
        np.testing.assert_allclose(again.numpy(), wanted.numpy(), 1e-4, 1e-5)


def test_padding_that_no_word_means():
    with pytest.raises(ValueError, match="stride 1"):
        nn.Conv2d(3, 4, 3, stride=2, padding="same")
    with pytest.raises(ValueError, match="valid"):
        nn.Conv2d(3, 4, 3, padding="full")
    with pytest.raises(ValueError, match=r"write F.pad\(x, \(0, 1, 0, 1\)\)"):
        nn.Conv2d(3, 4, 2, padding="same")


def test_soft_targets_ignore_no_label():
    with pytest.raises(ValueError, match="ignore_index is for labels"):
        nn.functional.cross_entropy(Tensor(X), [[0.5, 0.25, 0.25]], ignore_index=1)


def test_a_causal_mask_given_twice():
    x = Tensor(np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32))
    layer = nn.MultiheadAttention(4, 2)
    ahead = ~np.tri(3, dtype=bool)
    once, both = (
        layer(x, x, x, is_causal=True)[0],
        layer(x, x, x, is_causal=True, attn_mask=ahead)[0],
    )
    np.testing.assert_array_equal(once.numpy(), both.numpy())
    with pytest.raises(ValueError, match="look ahead"):
        layer(x, x, x, is_causal=True, attn_mask=np.zeros((3, 3), bool))


def test_devices_are_texts():
    for device in (minires.device, torch.device):
        assert (device("cuda", 1).type, device("cuda", 1).index) == ("cuda", 1)
        assert (device("cpu").type, device("cpu").index) == ("cpu", None)
        assert str(device("cuda:0")) == "cuda:0"
        with pytest.raises((ValueError, RuntimeError)):
            device("gpu")
    assert minires.device("cpu") == "cpu" == Tensor(X).device
    assert Tensor(X).device.type == "cpu"
    assert minires.cuda.is_available() == (minires.cuda.device_count() > 0)
    minires.cuda.synchronize()


def test_whole_numbers_at_random():
    for library in (minires, torch):
        for made in (
            library.randint(5, (200,)),
            library.randint(0, 5, (200,)),
            library.randint(high=5, size=(200,)),
            library.randint(5, size=(200,)),
        ):
            assert (set(made.tolist()), made.shape) == (set(range(5)), (200,))
        assert set(library.randint(3, 5, (50,)).tolist()) == {3, 4}
