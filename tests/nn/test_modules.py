"""Module: what it holds and in which order, its state, hooks and repr."""

import copy

import numpy as np
import pytest
from helpers import close, leaf
from hypothesis import given
from hypothesis import strategies as st

import minires
from minires import Tensor, nn
from minires.nn import Module, Parameter


class Inner(Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.weight = Parameter(np.full(2, scale))
        self.register_buffer("count", Tensor(np.zeros((), np.int64)))

    def forward(self, x):
        return x * self.weight


class Outer(Module):
    def __init__(self):
        super().__init__()
        self.last = Parameter(np.ones((1, 2)))
        self.second = Inner(2.0)
        self.register_buffer("mean", Tensor(np.zeros(2)))
        self.first = Inner(3.0)
        self.bias = Parameter(np.zeros(2))

    def forward(self, x):
        return self.first(self.second(x)) + self.last + self.bias


# ---------------------------------------------------------------------- what is inside


def test_parameters_and_buffers_come_in_order_of_definition_with_dotted_names():
    net = Outer()
    assert [n for n, _ in net.named_parameters()] == [
        "last",
        "bias",
        "second.weight",
        "first.weight",
    ]
    assert [n for n, _ in net.named_buffers()] == ["mean", "second.count", "first.count"]
    assert list(net.state_dict()) == [
        "last",
        "bias",
        "mean",
        "second.weight",
        "second.count",
        "first.weight",
        "first.count",
    ]
    assert [p is q for p, q in zip(net.parameters(), [net.last, net.bias], strict=False)] == [
        True,
        True,
    ]


def test_modules_come_before_what_is_inside_them():
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh(), nn.Sigmoid()), nn.Identity())
    assert [n for n, _ in net.named_modules()] == ["", "0", "1", "1.0", "1.1", "2"]
    assert [type(m).__name__ for m in net.modules()] == [
        "Sequential",
        "ReLU",
        "Sequential",
        "Tanh",
        "Sigmoid",
        "Identity",
    ]
    assert [n for n, _ in net.named_children()] == ["0", "1", "2"]
    assert len(list(net.children())) == 3


def test_shared_parameters_and_modules_count_once():
    a, b = Inner(), Inner()
    b.weight = a.weight
    net = nn.Sequential(a, b, a)
    assert [n for n, _ in net.named_parameters()] == ["0.weight"]
    assert len(list(net.modules())) == 3
    net(Tensor(np.full(2, 5.0))).sum().backward()
    close(a.weight.grad, [15.0, 15.0])  # d(5 w^3)/dw at 1


def test_what_is_in_two_places_is_saved_under_both_names():
    a, b = nn.Linear(1, 2, bias=False), nn.Linear(1, 2, bias=False)
    b.weight = a.weight
    net = nn.Sequential(a, b, a)
    assert list(net.state_dict()) == ["0.weight", "1.weight", "2.weight"]
    net.load_state_dict({name: np.full((1, 2), 7.0) for name in net.state_dict()})
    close(a.weight, [[7.0, 7.0]])


def test_assigning_again_replaces():
    net = Outer()
    new = Parameter(np.full((1, 2), 7.0))
    net.last = new
    assert net.last is new
    assert dict(net.named_parameters())["last"] is new
    net.second = nn.Identity()
    assert [n for n, _ in net.named_children()] == ["second", "first"]  # in its place
    net.first = None
    assert net.first is None
    assert [n for n, _ in net.named_parameters()] == ["last", "bias"]


def test_a_parameter_may_take_the_place_of_a_plain_attribute_and_back():
    net = Outer()
    net.extra = 5
    net.extra = Parameter(np.zeros(1))
    assert isinstance(net.extra, Parameter)
    assert "extra" in dict(net.named_parameters())
    for value in (6, np.zeros(1), [1.0], nn.ReLU):
        with pytest.raises(TypeError, match="'extra' is a parameter: assign a Parameter, or None"):
            net.extra = value
    assert "extra" in dict(net.named_parameters())
    net.extra = None
    net.extra = 6
    assert net.extra == 6
    assert "extra" not in dict(net.named_parameters())


def test_buffers_are_replaced_by_tensors_and_stay_buffers():
    net = Outer()
    net.mean = Tensor(np.full(2, 4.0))
    assert dict(net.named_buffers())["mean"] is net.mean
    close(net.state_dict()["mean"], [4.0, 4.0])


def test_deleting():
    net = Outer()
    del net.last
    del net.second
    del net.mean
    assert list(net.state_dict()) == ["bias", "first.weight", "first.count"]
    with pytest.raises(AttributeError, match="'Outer' object has no attribute 'last'"):
        _ = net.last
    with pytest.raises(AttributeError):
        del net.never_there


def test_dir_shows_what_was_assigned():
    assert {"last", "second", "mean", "forward"} <= set(dir(Outer()))


def test_mistakes_in_a_definition():
    class NoSuper(Module):
        def __init__(self):
            self.weight = Parameter(np.zeros(1))

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\) before assigning 'weight'"):
        NoSuper()
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        Module()(1)
    with pytest.raises(ValueError, match="dot"):
        Module().register_buffer("a.b", Tensor([1.0]))
    with pytest.raises(ValueError, match="empty"):
        setattr(Module(), "", Parameter(np.zeros(1)))


def test_a_parameter_requires_a_gradient_and_shares_its_array():
    array = np.zeros(3)
    assert Parameter(array).requires_grad
    assert Parameter(array).data is array
    assert not Parameter(array, requires_grad=False).requires_grad
    assert Parameter([1.0]).dtype == np.float32


# ---------------------------------------------------------------------- modes, types, copies


def test_train_and_eval_reach_every_module():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(2)))
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net[1].train()
    assert [m.training for m in net.modules()] == [False, False, True, True]
    net.train(False)
    assert not any(m.training for m in net.modules())


def test_to_converts_floating_values_in_place():
    net = Outer()
    parameters = list(net.parameters())
    (net(Tensor(np.ones(2)))).sum().backward()
    assert net.to(dtype=np.float32) is net
    assert all(p is q for p, q in zip(parameters, net.parameters(), strict=True))
    assert {t.dtype for t in net.parameters()} == {np.dtype("f4")}
    assert net.mean.dtype == np.float32
    assert net.first.count.dtype == np.int64
    assert net.first.weight.grad is None
    assert net.first.weight.tolist() == [3.0, 3.0]
    out = net(Tensor(np.ones(2, np.float32)))
    assert out.dtype == np.float32
    out.sum().backward()
    assert net.first.weight.grad.dtype == np.float32
    assert net.to("cpu") is net
    with pytest.raises(ValueError, match="device, a dtype or both"):
        net.to()


def test_to_keeps_what_is_frozen_frozen():
    net = Inner()
    net.requires_grad_(False)
    net.to(dtype=np.float32)
    assert not net.weight.requires_grad


def test_freezing_and_unfreezing_all_parameters():
    net = Outer()
    assert net.requires_grad_(False) is net
    assert not net(Tensor(np.ones(2))).requires_grad
    net.first.requires_grad_()
    net(Tensor(np.ones(2))).sum().backward()
    assert net.first.weight.grad is not None
    assert net.second.weight.grad is None


def test_zero_grad_reaches_every_parameter():
    net = Outer()
    net(Tensor(np.ones(2))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_apply_goes_inside_out_and_in_order():
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh(), nn.Sigmoid()), nn.Identity())
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["ReLU", "Tanh", "Sigmoid", "Sequential", "Identity", "Sequential"]


def test_a_deep_copy_is_independent():
    net = Outer()
    other = copy.deepcopy(net)
    other.first.weight.data[...] = 50
    other(Tensor(np.ones(2))).sum().backward()
    assert net.first.weight.tolist() == [3.0, 3.0]
    assert net.first.weight.grad is None
    close(other.first.weight.grad, [2.0, 2.0])
    net(Tensor(np.ones(2))).sum().backward()
    close(net.first.weight.grad, [2.0, 2.0])
    assert list(other.state_dict()) == list(net.state_dict())


# ---------------------------------------------------------------------- state


def test_a_state_shares_memory_and_is_outside_the_graph():
    net = Inner(2.0)
    state = net.state_dict()
    assert not state["weight"].requires_grad
    net.weight.data[0] = 9
    assert state["weight"].tolist() == [9.0, 2.0]


def test_loading_copies_values_and_keeps_the_objects():
    net, other = Outer(), Outer()
    for i, t in enumerate(other.state_dict().values()):
        t.data[...] = i + 10
    weight, data = net.first.weight, net.first.weight.data
    result = net.load_state_dict(other.state_dict())
    assert result == ([], [])
    assert net.first.weight is weight
    assert weight.data is data
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), other.state_dict()[name].numpy())
        assert not np.shares_memory(t.data, other.state_dict()[name].data)
    net.load_state_dict({n: t.numpy() + 1 for n, t in other.state_dict().items()})
    assert net.first.weight.tolist() == [16.0, 16.0]


def test_strict_loading_names_all_that_does_not_fit_and_loads_nothing():
    net = Outer()
    before = {n: t.numpy().copy() for n, t in net.state_dict().items()}
    state = {n: t.numpy() + 5 for n, t in net.state_dict().items()}
    del state["bias"], state["first.weight"]
    state["strange"] = np.zeros(1)
    state["last"] = np.zeros((3, 1))
    with pytest.raises(ValueError, match="does not fit Outer") as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert "missing: bias, first.weight" in message
    assert "unexpected: strange" in message
    assert "last: shape (3, 1), wanted (1, 2)" in message
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[name])


def test_loading_that_is_not_strict_reports_what_it_left():
    net = Outer()
    state = {"bias": np.full(2, 7.0), "strange": np.zeros(1)}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert unexpected == ["strange"]
    assert missing == [n for n in net.state_dict() if n != "bias"]
    assert net.bias.tolist() == [7.0, 7.0]


def test_a_wrong_shape_is_an_error_even_if_not_strict_and_loads_nothing():
    net = Outer()
    with pytest.raises(ValueError, match=r"last: shape \(2, 1\).*another order: a layout"):
        net.load_state_dict({"bias": np.full(2, 7.0), "last": np.zeros((2, 1))}, strict=False)
    assert net.bias.tolist() == [0.0, 0.0]


# ---------------------------------------------------------------------- hooks


def test_forward_hooks_see_and_may_replace_arguments_and_output():
    net, seen = Inner(2.0), []
    remove_pre = net.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    remove_post = net.register_forward_hook(
        lambda m, args, out: seen.append((m, args[0].tolist(), out.tolist()))
    )
    remove_last = net.register_forward_hook(lambda m, args, out: out * 10)
    x = Tensor(np.array([1.0, 2.0]))
    assert net(x).tolist() == [40.0, 60.0]
    assert seen == [(net, [2.0, 3.0], [4.0, 6.0])]
    remove_last()
    assert net(x).tolist() == [4.0, 6.0]
    remove_pre()
    remove_post()
    assert net(x).tolist() == [2.0, 4.0]
    assert len(seen) == 2


def test_a_pre_hook_may_return_a_single_argument():
    net = Inner(2.0)
    net.register_forward_pre_hook(lambda m, args: args[0] * 100)
    assert net(Tensor(np.ones(2))).tolist() == [200.0, 200.0]


def test_a_module_hook_may_remove_itself():
    net, calls = Inner(), []

    def once(*_):
        calls.append("once")
        remove()

    remove = net.register_forward_hook(once)
    net.register_forward_hook(lambda *_: calls.append("always"))
    net(Tensor(np.ones(2)))
    net(Tensor(np.ones(2)))
    assert calls == ["once", "always", "always"]


def watch(module):
    """What a full backward hook is told, call by call."""
    calls = []

    def hook(m, grad_input, grad_output):
        assert m is module
        plain = [
            [None if g is None else g.numpy().copy() for g in side]
            for side in (grad_input, grad_output)
        ]
        calls.append(plain)

    return calls, module.register_full_backward_hook(hook)


def test_a_backward_hook_sees_the_gradients_at_input_and_output():
    net = Inner(2.0)
    calls, remove = watch(net)
    x = leaf([5.0, 7.0])
    net(x * 3).backward(Tensor([1.0, 10.0]))
    [(grad_input, grad_output)] = calls
    close(grad_output[0], [1.0, 10.0])
    close(grad_input[0], [2.0, 20.0])
    close(x.grad, [6.0, 60.0])
    close(net.weight.grad, [15.0, 210.0])
    remove()
    net(x).sum().backward()
    assert len(calls) == 1


def test_a_backward_hook_sees_its_own_modules_share_only():
    # the same tensor goes into the module and around it, as in a residual block
    net = Inner(2.0)
    calls, _ = watch(net)
    x = leaf([5.0, 7.0])
    (net(x) * 3 + x).backward(Tensor([1.0, 10.0]))
    [(grad_input, grad_output)] = calls
    close(grad_output[0], [3.0, 30.0])
    close(grad_input[0], [6.0, 60.0])
    close(x.grad, [7.0, 70.0])


def test_a_backward_hook_of_a_first_layer_whose_input_wants_no_gradient():
    net = Inner(2.0)
    calls, _ = watch(net)
    net(Tensor(np.array([5.0, 7.0]))).backward(Tensor([1.0, 10.0]))
    [(grad_input, grad_output)] = calls
    assert grad_input == [None]
    close(grad_output[0], [1.0, 10.0])


def test_a_backward_hook_of_a_module_with_two_inputs():
    add = nn.Add()
    calls, _ = watch(add)
    x, y = leaf([5.0, 7.0]), leaf([1.0, 2.0])
    (add(x * 2, y) * add(x, y).detach()).backward(Tensor([1.0, 1.0]))
    [(grad_input, grad_output)] = calls
    close(grad_output[0], [6.0, 9.0])
    close(grad_input[0], [6.0, 9.0])
    close(grad_input[1], [6.0, 9.0])


def test_a_backward_hook_tells_each_walk_through_a_retained_graph():
    net = Inner(2.0)
    calls, _ = watch(net)
    out = net(leaf([5.0, 7.0]))
    out.backward(Tensor([1.0, 10.0]), retain_graph=True)
    out.backward(Tensor([2.0, 20.0]))
    assert len(calls) == 2
    for (grad_input, grad_output), factor in zip(calls, (1, 2), strict=True):
        close(grad_output[0], [1.0 * factor, 10.0 * factor])
        close(grad_input[0], [2.0 * factor, 20.0 * factor])


def test_a_backward_hook_of_a_module_that_does_not_use_an_input():
    class First(nn.Module):
        def forward(self, x, y):
            return 2 * x

    net = First()
    calls, _ = watch(net)
    net(leaf([5.0, 7.0]), leaf([1.0, 2.0])).backward(Tensor([1.0, 10.0]))
    [(grad_input, grad_output)] = calls
    close(grad_input[0], [2.0, 20.0])
    assert grad_input[1] is None
    close(grad_output[0], [1.0, 10.0])


def test_a_backward_hook_of_a_module_of_whose_outputs_one_is_used():
    class Two(nn.Module):
        def forward(self, x, y):
            return 2 * x, x * y

    net = Two()
    calls, _ = watch(net)
    x, y = leaf([5.0]), leaf([3.0])
    doubled, product = net(x, y)
    doubled.sum().backward(retain_graph=True)
    product.sum().backward(retain_graph=True)
    (doubled * product).sum().backward()
    assert [[g and g.tolist() for g in side] for side in calls[0]] == [[[2.0], None], [[1.0], None]]
    assert [[g and g.tolist() for g in side] for side in calls[1]] == [
        [[3.0], [5.0]],
        [None, [1.0]],
    ]
    assert [g.tolist() for g in calls[2][0]] == [[2 * 15 + 3 * 10.0], [5 * 10.0]]
    assert len(calls) == 3


@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)])
def test_a_backward_hook_where_no_input_wants_a_gradient_and_not_all_outputs_are_used(used):
    class Two(Inner):
        def forward(self, x):
            h = self.weight * x
            return h * 1, h * 2

    net = Two(2.0)
    calls, _ = watch(net)
    outputs = net(Tensor(np.array([5.0, 7.0])))
    sum(outputs[i].sum() for i in used).backward()
    [(grad_input, grad_output)] = calls
    assert grad_input == [None]
    for i in (0, 1):
        assert (grad_output[i] is not None) == (i in used)


def test_backward_hooks_stay_silent_under_no_grad():
    net = Inner(2.0)
    calls, _ = watch(net)
    with minires.no_grad():
        assert net(leaf([1.0, 2.0])).tolist() == [2.0, 4.0]
    assert calls == []


# ---------------------------------------------------------------------- repr


def test_repr_of_layers():
    wanted = [
        (nn.ReLU(inplace=True), "ReLU(inplace=True)"),
        (nn.Dropout(0.2, inplace=True), "Dropout(p=0.2, inplace=True)"),
        (nn.LeakyReLU(0.2, True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
        (nn.Softmax(dim=1), "Softmax(dim=1)"),
        (nn.Sigmoid(), "Sigmoid()"),
        (nn.Linear(3, 4), "Linear(in_features=3, out_features=4, bias=True)"),
        (nn.Linear(3, 4, bias=False), "Linear(in_features=3, out_features=4, bias=False)"),
        (nn.Conv2d(3, 4, 5), "Conv2d(3, 4, kernel_size=(5, 5), stride=(1, 1))"),
        (
            nn.Conv2d(4, 8, (3, 2), 2, (1, 0), dilation=2, groups=4, bias=False),
            "Conv2d(4, 8, kernel_size=(3, 2), stride=(2, 2), padding=(1, 0), dilation=(2, 2), "
            "groups=4, bias=False)",
        ),
        (
            nn.BatchNorm2d(4),
            "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)",
        ),
        (nn.MaxPool2d(3, 2, 1), "MaxPool2d(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))"),
        (
            nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
            "AvgPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=True, "
            "count_include_pad=False)",
        ),
        (nn.AdaptiveAvgPool2d(1), "AdaptiveAvgPool2d(output_size=(1, 1))"),
        (nn.Dropout(0.3), "Dropout(p=0.3)"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.Add(), "Add()"),
    ]
    for module, text in wanted:
        assert repr(module) == text


def test_repr_of_nested_modules():
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Dropout(0.5)), nn.ModuleList())
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Dropout(p=0.5)\n"
        "  )\n"
        "  (2): ModuleList()\n"
        ")"
    )


# ---------------------------------------------------------------------- containers


def test_sequential_runs_in_order():
    net = nn.Sequential(Inner(2.0), Inner(3.0)).append(Inner(5.0))
    assert net(Tensor(np.ones(2))).tolist() == [30.0, 30.0]
    assert len(net) == 3
    assert net[-1].weight.tolist() == [5.0, 5.0]
    head = net[:2]
    assert isinstance(head, nn.Sequential)
    assert head(Tensor(np.ones(2))).tolist() == [6.0, 6.0]
    assert head[0] is net[0]
    net[1] = nn.Identity()
    assert net(Tensor(np.ones(2))).tolist() == [10.0, 10.0]
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "2.weight"]
    assert nn.Sequential()(5) == 5


def test_module_lists_register_and_iterate():
    class Net(Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(Inner(s) for s in (2.0, 3.0))

        def forward(self, x):
            return sum(layer(x) for layer in self.layers)

    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["layers.0.weight", "layers.1.weight"]
    assert net(Tensor(np.ones(2))).tolist() == [5.0, 5.0]
    assert isinstance(net.layers[:1], nn.ModuleList)
    assert len(net.layers[1:]) == 1
    with pytest.raises(NotImplementedError):
        net.layers(1)
    with pytest.raises(IndexError):
        net.layers[2]


@pytest.mark.parametrize("make", [lambda: nn.Sequential(len), lambda: nn.ModuleList([3])])
def test_containers_hold_modules_only(make):
    with pytest.raises(TypeError, match="holds Modules, got"):
        make()


# ---------------------------------------------------------------------- summary


def test_summary_counts_by_hand():
    net = nn.Sequential(
        nn.Conv2d(3, 4, (3, 2), stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, padding=1, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )
    s = nn.summary(net, (9, 8, 3))
    # 9 + 2 - 3 over 2 leaves 4 + 1 rows, 8 + 2 - 2 over 2 leaves 4 + 1 columns
    assert [r.output_shape for r in s.rows] == [
        (1, 5, 5, 4),
        (1, 5, 5, 4),
        (1, 5, 5, 4),
        (1, 5, 5, 6),
        (1, 1, 1, 6),
        (1, 6),
        (1, 5),
    ]
    assert [r.parameters for r in s.rows] == [3 * 2 * 3 * 4, 8, 0, 3 * 3 * 2 * 6 + 6, 0, 0, 35]
    first, second, last = 5 * 5 * 4 * 3 * 2 * 3, 5 * 5 * 6 * 3 * 3 * 2, 6 * 5
    assert [r.multiply_adds for r in s.rows] == [first, 0, 0, second, 0, 0, last]
    assert s.multiply_adds == first + second + last
    assert s.parameters == s.trainable == 72 + 8 + 114 + 35
    assert s.buffers == 4 + 4 + 1
    assert [r.kind for r in s.rows][:2] == ["Conv2d", "BatchNorm2d"]
    assert [r.name for r in s.rows] == list("0123456")


def test_summary_draws_a_table_and_leaves_the_model_as_it_was():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    net[2].eval()
    net[0].requires_grad_(False)
    before = {n: t.numpy().copy() for n, t in net.state_dict().items()}
    text = str(nn.summary(net, (3,)))
    assert text.splitlines()[0] == "Sequential, input (N, 3)"
    assert "(N, 4)" in text
    assert "parameters     34 (16 frozen)" in text
    assert "multiply-adds  20 per image" in text
    assert [m.training for m in net.modules()] == [True, True, True, False, True]
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[name])
    assert all(not m._forward_hooks for m in net.modules())


def test_summary_counts_shared_layers_once():
    relu, layer = nn.ReLU(), nn.Linear(3, 3)
    s = nn.summary(nn.Sequential(layer, relu, layer, relu), (3,))
    assert [r.parameters for r in s.rows] == [12, 0, 0, 0]
    assert s.parameters == 12
    assert s.multiply_adds == 18


def test_summary_cleans_up_after_an_error():
    net = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(ValueError, match="linear wants"):
        nn.summary(net, (5,))
    assert net.training
    assert not net[0]._forward_hooks


# ---------------------------------------------------------------------- what replaces what

PARTS = {
    "parameter": lambda: Parameter(np.zeros(1)),
    "module": nn.Identity,
    "buffer": lambda: Tensor(np.zeros(1)),
    "array": lambda: np.zeros(1),
    "number": lambda: 3,
    "none": lambda: None,
}
NAMES = ["a", "b", "c"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(sorted(PARTS))), max_size=12))
def test_a_name_keeps_its_place_as_long_as_it_keeps_its_kind(assignments):
    """Held against a dictionary for each kind, in which assigning to a key keeps its place."""
    net = nn.Module()
    kinds = {"parameter": {}, "module": {}, "plain": {}}
    for name, kind in assignments:
        value = PARTS[kind]()
        own = next((k for k in ("parameter", "module") if name in kinds[k]), "plain")
        if kind in kinds:
            if own != kind:
                kinds[own].pop(name, None)
            kinds[kind][name] = value
        elif own != "plain" and kind != "none":
            with pytest.raises(TypeError, match=f"{name!r} is a {own}"):
                setattr(net, name, value)
            continue
        else:
            kinds[own].pop(name, None)
            kinds["plain"][name] = value
        setattr(net, name, value)
    assert [n for n, _ in net.named_parameters()] == list(kinds["parameter"])
    assert [n for n, _ in net.named_children()] == list(kinds["module"])
    for table in kinds.values():
        for name, value in table.items():
            assert getattr(net, name) is value


def test_a_layer_of_a_sequence_is_replaced_where_it_is():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    net[0] = nn.Linear(2, 2, bias=False)
    assert [type(m).__name__ for m in net] == ["Linear", "ReLU", "Linear"]
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "2.weight", "2.bias"]
    (net(Tensor(-np.ones((1, 2), np.float32))) * 0).sum().backward()


def test_a_buffer_may_be_none_until_it_comes():
    net = nn.Module()
    net.register_buffer("mean", None)
    assert net.mean is None
    assert net.state_dict() == {}
    net.mean = Tensor([1.0])
    assert list(net.state_dict()) == ["mean"]
    assert [n for n, _ in net.named_buffers()] == ["mean"]
    net.mean = None
    assert list(net.buffers()) == []
    for value in (np.ones(2), 1.0, [1.0]):
        with pytest.raises(TypeError, match="a buffer is a Tensor or None, got"):
            net.register_buffer("mean", value)
    with pytest.raises(TypeError, match="'mean' is a tensor"):
        net.mean = np.ones(2)


def test_a_module_that_contains_itself_is_an_error_and_not_an_endless_loop():
    net = nn.Sequential(nn.Linear(1, 1), nn.Sequential())
    net[1].again = net
    with pytest.raises(ValueError, match=r"1\.again is a Sequential that contains itself"):
        net.state_dict()
    assert "(itself)" in repr(net)
    assert len(list(net.modules())) == 3
    twice = nn.Linear(1, 1)
    assert len(nn.Sequential(twice, twice).state_dict()) == 4


@pytest.mark.parametrize("batches", [1, 3])
def test_without_momentum_batch_norm_averages_over_all_batches(batches):
    layer = nn.BatchNorm1d(2, momentum=None)
    drawn = np.random.default_rng(0).normal(2, 3, (batches, 5, 2)).astype(np.float32)
    for batch in drawn:
        layer(Tensor(batch))
    close(layer.running_mean, drawn.mean(axis=1).mean(axis=0), rtol=1e-5)
    close(layer.running_var, drawn.var(axis=1, ddof=1).mean(axis=0), rtol=1e-5)
    assert "momentum=None" in repr(layer)
    layer.eval()(Tensor(drawn[0]))
    assert layer.num_batches_tracked.item() == batches


def test_a_state_that_holds_no_arrays_is_told_by_its_names():
    layer = nn.Linear(2, 2)
    before = layer.weight.numpy().copy()
    with pytest.raises(ValueError, match="weight: a str, which is no array"):
        layer.load_state_dict({"weight": "abc", "bias": np.zeros(2)})
    with pytest.raises(ValueError, match="bias: a list, which is no array"):
        layer.load_state_dict({"weight": np.zeros((2, 2)), "bias": [0.0, 0.0]})
    with pytest.raises(TypeError, match="a dict of arrays by their names, not a list"):
        layer.load_state_dict([np.zeros(2)])
    assert np.array_equal(layer.weight.numpy(), before)
