"""Checks that must first prove that they can see: beside each new fault its nearest neighbour."""

from pathlib import Path

import numpy as np
import pytest
import right_though_unusual
from right_though_unusual import HEALTHY
from small_training import batched, digits, evaluate, found, network, step, training
from test_checks import changed, losing, sgd, stepping

from minires import Tensor, nn, optim
from minires.checks import checkup
from minires.nn import functional as F

CASES = []


def case(group, check, *says):
    """A fault that a check must name, and the neighbour of which it must not say "broken"."""

    def added(function):
        CASES.append(pytest.param(group, check, says, function, id=function.__name__))
        return function

    return added


@pytest.mark.parametrize(("group", "check", "says", "function"), CASES)
def test_a_fault_is_named_and_its_neighbour_is_not(group, check, says, function):
    finding = found(lambda: function(False), group)[check]
    assert finding.verdict == "broken", finding
    assert finding.line
    for text in says:
        assert text in finding.message, finding
    found_right = found(lambda: function(True), group)
    assert check not in found_right or found_right[check].verdict != "broken", found_right[check]


@case("one_batch", "images differ at the output", "above every other for all images")
def one_class_far_ahead(right):
    model = network()
    model[5].bias.data[3] = 5.0 if right else 1000.0
    return training(model)


@case("one_batch", "images differ at the output", "all images alike")
def two_layers_at_zero(right):
    return training(right_though_unusual.zeroed(network(), *((5,) if right else (3, 5))))


@case("one_batch", "outputs are logits", "between 0 and 1", "free")
def one_squeezed_output(right):
    scale = np.float32(1 / 9 if right else 1)
    return training(
        network(nn.Linear(10, 1), nn.Sigmoid()),
        loss=lambda z, y: F.mse_loss(z[:, 0], Tensor(y.astype(np.float32) * scale)),
    )


@case("one_batch", "outputs are logits", "0.000333 times")
def outputs_divided_by_a_layer(right):
    class Over(nn.Module):
        def forward(self, x):
            return x / (128 if right else 3000)

    return training(network(Over()))


@case("one_batch", "loss is least at the labels", "1 of the batch's 32 rows")
def first_image_counts(right):
    count = 16 if right else 1
    return losing(lambda z, y: F.cross_entropy(z[:count], y[:count]))


@case("one_batch", "loss corrects mistakes", "no gradient")
def clipped_and_not_picked(right):
    if right:
        return losing(right_though_unusual.of_worst(2))
    return losing(lambda z, y: F.cross_entropy(z, y, reduction="none").clip(0.0, 4.0).mean())


@case("steps", "order of the step", "in 72 backward passes")
def no_step_at_all(right):
    if right:
        return stepping(right_though_unusual.accumulating(8))

    def other(model, optimizer, loss, x, y):
        (loss(model(Tensor(x)), y) * 0.1).backward()

    return stepping(other)


@case("steps", "order of the step", "throws away the gradients of 3 batches")
def gradients_thrown_away(right):
    count = iter(range(1, 10**6))

    def other(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        value = loss(model(Tensor(x)), y)
        value.backward()
        if right or next(count) % 4 == 0:
            optimizer.step()

    return stepping(other)


@case("data", "labels fit their images", "with another label")
def images_under_two_labels(right):
    def twice(x, y):
        both = np.isin(y, (4, 9))
        other = y[both] if right else 13 - y[both]
        return np.concatenate([x, x[both]]), np.concatenate([y, other])

    return changed(twice)


def between(function, **options):
    """A step with something done to the gradients between backward and the update."""

    def other(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        loss(model(Tensor(x)), y).backward()
        for place, parameter in enumerate(model.parameters()):
            function(place, parameter.grad.data)
        optimizer.step()

    return stepping(other, **options)


@case("steps", "gradients arrive at the update", "1.weight", "turned around")
def one_gradient_turned_around(right):
    def turned(place, gradient):
        if place == 0:
            gradient *= 0.1 if right else -1

    return between(turned)


@case("steps", "gradients arrive at the update", "noise buries it")
def gradients_buried_in_noise(right):
    draw = np.random.default_rng(0)

    def noisy(place, gradient):
        gradient += draw.normal(0, 0.01 if right else 1, gradient.shape).astype(np.float32)

    return between(noisy)


@case("steps", "weights move", "shrinks the weights")
def weights_shrunk_after_each_update(right):
    def other(model, optimizer, loss, x, y):
        step(model, optimizer, loss, x, y)
        for parameter in model.parameters():
            np.clip(parameter.data, *((-0.5, 0.5) if right else (-0.01, 0.01)), out=parameter.data)

    return stepping(other)


class Branch(nn.Module):
    """A branch that is dropped in training, and never in evaluation."""

    def __init__(self, p):
        super().__init__()
        self.branch, self.drop = nn.Linear(32, 32), nn.StochasticDepth(p)
        self.branch.weight.data[...] *= 8

    def forward(self, x):
        return x + (self.drop(self.branch(x)) if self.training else self.branch(x))


def branched(p):
    model = network()
    return training(nn.Sequential(*model[:3], Branch(p), *model[3:]), sgd(momentum=0.9))


@case("steps", "gradients reach the parameters", "3.branch.weight", "33 steps")
def a_branch_that_is_always_dropped(right):
    return branched(0.7 if right else 1.0)


@case("training", "evaluation answers like training", "taken anew")
def evaluation_computes_something_else(right):
    return branched(0.3 if right else 1.0)


@case("training", "evaluation answers like training", "taken anew")
def one_norm_in_two_places(right):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.out = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)
            self.norm = nn.BatchNorm1d(32)
            self.other = nn.BatchNorm1d(32) if right else self.norm

        def forward(self, x):
            x = self.norm(self.a(x.flatten(1)) * 50).relu()
            return self.out(self.other(self.b(x) * 0.1 - 3).relu())

    return training(Net(), lambda m: optim.Adam(m.parameters(), lr=3e-3))


@case("training", "evaluation counts right", "were trained on")
def training_images_evaluated(right):
    first, _ = digits()

    def other(model, valid):
        return evaluate(model, valid if right else batched(first, 100))

    return training(evaluate=other)


@case("data", "validation is scaled like training", "deviations apart")
def bytes_wrap_around(right):
    def wrapped(x, y):
        pixels = np.round((x - x.min()) / (x.max() - x.min()) * 255).astype(np.uint8)
        return (pixels if right else pixels + np.uint8(120)).astype(np.float32) / 255, y

    def scaled(x, y):
        return (x - x.min()) / (x.max() - x.min()), y

    return changed(wrapped, scaled)


@case("data", "labels mean the same in validation", "look different")
def training_images_turned(right):
    turns = np.random.default_rng(0).integers(0 if right else 1, 2 if right else 4, 600)
    return changed(lambda x, y: (np.stack([np.rot90(v, k) for v, k in zip(x, turns)]), y))  # noqa: B905


@pytest.mark.parametrize(
    ("name", "make"),
    {
        "activation": lambda: training(network(act=nn.Softmax)),
        "input scale": lambda: changed(lambda x, y: (x + np.float32(300), y)),
    }.items(),
)
def test_one_change_with_which_a_training_learns(name, make):
    report = checkup(make, seconds=60)
    assert report[name].verdict == "broken", report
    assert "all else equal" in report[name].message


@pytest.mark.slow
@pytest.mark.parametrize("name", [*HEALTHY][::5])
def test_nothing_is_said_of_what_is_right_though_unusual(name):
    report = checkup(HEALTHY[name])
    assert report.ok, report


def test_a_finding_names_the_line_where_the_optimizer_was_made():
    def make():
        model = network()
        made = training(model)
        made.optimizer = optim.SGD(model[5].parameters(), lr=0.1)  # here
        return made

    finding = found(make, "structure")["parameters in optimizer"]
    path, _, number = finding.line.rpartition(":")
    assert Path(path).read_text().splitlines()[int(number) - 1].endswith("# here")
