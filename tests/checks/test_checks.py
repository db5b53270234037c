"""For each check a fault that it must see, and the fault's nearest neighbour, which it must not."""

import warnings

import numpy as np
import pytest
from small_training import Normed, batched, digits, evaluate, found, network, step, training

from minires import Tensor, exp, log, nn, no_grad, optim
from minires.nn import functional as F

GROUPS = ("structure", "data", "one_batch", "steps", "training", "by_heart")
CASES = []


def case(group, check, *says):
    """What a fault, and a neighbour that is none, do to a check; each gives a set-up."""

    def added(function):
        CASES.append(pytest.param(group, check, says, function, id=function.__name__))
        return function

    return added


@pytest.mark.parametrize(("group", "check", "says", "function"), CASES)
def test_a_fault_is_seen_and_its_neighbour_is_none(group, check, says, function):
    for right in (False, True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # overflows are part of some faults
            finding = found(lambda right=right: function(right), group)[check]
        assert finding.verdict == ("holds" if right else "broken"), finding
        if not right:
            for text in says:
                assert text in finding.message, finding


def sgd(**options):
    return lambda model: optim.SGD(model.parameters(), **{"lr": 0.1, **options})


# ------------------------------------------------------------------ structure


@case("structure", "parameters in optimizer", "lacks 4 of the model's 6", "1.weight")
def last_layer_only(right):
    model = network()
    if right:  # what is frozen need not be in it
        for name in (1, 3):
            model[name].requires_grad_(False)
    return training(model, lambda m: optim.SGD(m[5].parameters(), lr=0.1))


@case("structure", "parameters in optimizer", "lacks 6 of the model's 6")
def optimizer_of_another_model(right):
    model = network()
    return training(model, lambda m: optim.SGD((m if right else network()).parameters(), lr=0.1))


class Listed(nn.Module):
    def __init__(self, container):
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)
        self.middle = container([nn.Linear(16, 16), nn.ReLU()])

    def forward(self, x):
        x = self.first(x.reshape(len(x), -1))
        for layer in self.middle:
            x = layer(x)
        return self.last(x)


@case("structure", "layers registered", "middle")
def layers_in_a_list(right):
    return training(Listed(nn.ModuleList if right else list))


@case("steps", "gradients reach the parameters", "(16, 16)", "never learn")
def tensors_in_a_closure(right):
    weight = nn.Parameter(np.eye(16, dtype=np.float32))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    if not right:
        model[2].forward = lambda x: F.relu(x @ weight)
    return training(model)


@case("structure", "layers distinct", "3 times")
def one_layer_repeated(right):
    middle = [nn.Linear(16, 16) for _ in range(3)] if right else [nn.Linear(16, 16)] * 3
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), *middle, nn.Linear(16, 10))
    return training(model)


@case("by_heart", "frozen parameters", "as drawn at random", "all else equal")
def frozen_at_random(right):
    model = network(width=200 if right else 8)  # many random features will do
    model[1].requires_grad_(False)
    model[3].requires_grad_(False)
    return training(
        model, lambda m: optim.Adam([p for p in m.parameters() if p.requires_grad], lr=1e-2)
    )


@case("steps", "units differ", "all 32 units of 1")
def constant_weights(right):
    model = network()
    for name in (3,) if right else (1, 3):  # layers before and after may tell units apart
        model[name].weight.data[...] = 0.05
        model[name].bias.data[...] = 0.0
    return training(model)


@case("structure", "momentum and weight decay", "1,000 steps")
def momentum_that_never_forgets(right):
    return training(optimizer=sgd(momentum=0.99 if right else 0.999))


@case("structure", "momentum and weight decay", "within 2.0 steps")
def decay_that_forgets(right):
    return training(optimizer=sgd(momentum=0.9, weight_decay=0.005 if right else 0.5))


@case("structure", "dropout", "97%")
def dropping_nearly_all(right):
    return training(Normed(p=0.5 if right else 0.97))


@case("structure", "batch norm's momentum", "never move")
def statistics_that_stand(right):
    return training(Normed(momentum=0.01 if right else 0.0))


@case("structure", "batch norm's momentum", "99%")
def momentum_as_elsewhere(right):
    return training(Normed(momentum=None if right else 0.99))


@case("one_batch", "width", "1 number")
def pooled_away(right):
    inside = 2 if right else 1
    return training(
        nn.Sequential(nn.Flatten(), nn.Linear(64, inside), nn.ReLU(), nn.Linear(inside, 10))
    )


# ------------------------------------------------------------------ data


def changed(train=lambda x, y: (x, y), valid=lambda x, y: (x, y)):
    first, second = digits()
    return training(train=batched(train(*first)), valid=batched(valid(*second), 100))


@case("data", "inputs are finite", "training")
def a_pixel_is_nan(right):
    def put(x, y):
        x = x.copy()
        x[3, 2, 2] = 1e6 if right else np.nan
        return x, y

    return changed(put)


@case("data", "inputs vary", "all 600 inputs are the same")
def all_images_alike(right):
    return changed(lambda x, y: (x if right else np.repeat(x[:1], len(x), 0), y))


@case("data", "inputs vary", "channels")
def a_channel_is_constant(right):
    other = 0.5 if right else 0.0
    return changed(lambda x, y: (np.concatenate([x, other * x, x], -1), y))


@case("data", "validation is scaled like training", "standard deviation")
def training_not_scaled(right):
    return changed(lambda x, y: (x * (1.2 if right else 70), y))


@case("data", "validation images are new", "20%")
def validation_is_trained_on(right):
    (x, y), (v, w) = digits()
    if not right:
        v, w = np.concatenate([v[60:], x[:60]]), np.concatenate([w[60:], y[:60]])
    return training(valid=batched((v, w), 100))


@case("data", "training images differ", "30 of 600")
def few_images_again_and_again(right):
    count = 300 if right else 30
    return changed(lambda x, y: (np.resize(x[:count], x.shape), np.resize(y[:count], y.shape)))


@case("data", "classes per batch", "classes")
def sorted_by_class(right):
    (x, y), _ = digits()
    order = np.arange(600) if right else np.argsort(y)
    train = [(x[i], y[i]) for i in np.split(order, range(32, 600, 32))]
    return training(train=train)


@case("data", "classes in training", "class 3")
def a_class_is_missing(right):
    def some(x, y):
        keep = (y != 3) | ((np.arange(len(y)) % 4 == 0) & right)
        return x[keep], y[keep]

    return changed(some)


@case("data", "classes in training", "class 0 is")
def one_class_is_nearly_all(right):
    return changed(lambda x, y: (x, np.where(np.arange(len(y)) % 10 < (1 if right else 7), 0, y)))


@case("data", "labels fit their images", "permuted")
def labels_shifted(right):
    return changed(lambda x, y: (np.roll(x, 1, 0), np.roll(y, 1 if right else 2)))


@case("data", "labels fit their images", "contradict")
def labels_half_wrong(right):
    def wrong(x, y):
        share = 0.05 if right else 0.5
        lost = np.random.default_rng(1).random(len(y)) < share
        return x, np.where(lost, np.random.default_rng(2).permutation(y), y)

    return changed(wrong)


@case("data", "labels mean the same in validation", "renamed")
def classes_in_another_order(right):
    return changed(valid=lambda x, y: (x, y if right else (y + 3) % 10))


# ------------------------------------------------------------------ one forward


def after(function, **options):
    """A network whose outputs go through a function."""

    class After(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network(**options)

        def forward(self, x):
            return function(self.net(x))

    return After()


@case("one_batch", "outputs are logits", "double softmax", "1.46")
def softmax_twice(right):
    if right:  # a loss that takes probabilities
        return training(network(nn.Softmax()), loss=lambda p, y: F.nll_loss(log(p), y))
    return training(network(nn.Softmax()))


@case("one_batch", "outputs are logits", "between")
def sigmoid_before_the_loss(right):
    if right:  # outputs that may grow, though they are small at first
        return training(after(lambda z: z * 0.1))
    return training(network(nn.Sigmoid()))


@case("one_batch", "outputs are logits", "ReLU")
def relu_at_the_end(right):
    return training(network(nn.Identity() if right else nn.ReLU()))


@case("one_batch", "outputs are logits", "0.001 times")
def logits_made_small(right):
    return training(after(lambda z: z * (0.1 if right else 0.001)))


@case("one_batch", "outputs are logits", "double softmax")
def softmax_twice_but_log_softmax_is_fine(right):
    return training(after(lambda z: F.log_softmax(z, -1) if right else F.softmax(z, -1)))


@case("one_batch", "forward is finite", "conv")
def overflow_in_half(right):
    (x, y), _ = digits()
    model = Normed()
    model.conv.weight.data[...] *= 1 if right else 1e30
    return training(model, train=batched((x * np.float32(1 if right else 1e10), y)))


@case("one_batch", "images differ at the output", "all images alike")
def multiplied_by_zero(right):
    return training(after(lambda z: z * 0.0 + z.mean(axis=0, keepdims=True) if not right else z))


@case("one_batch", "images differ at the output", "from 10 on")
def sigmoids_in_a_row(right):
    layers = [nn.Flatten(), nn.Linear(64, 16)]
    for _ in range(2 if right else 9):
        layers += [nn.Sigmoid(), nn.Linear(16, 16)]
    return training(nn.Sequential(*layers, nn.Linear(16, 10)))


@case("one_batch", "network is not linear", "one linear map")
def nothing_between_the_layers(right):
    return training(network(act=nn.LeakyReLU if right else nn.Identity))


@case("one_batch", "network is not linear", "one linear map")
def small_inputs_do_not_look_linear(right):
    (x, y), _ = digits()
    model = network(act=nn.ReLU if right else nn.Identity)
    return training(model, train=batched((x * np.float32(1e-4), y)))


@case("one_batch", "evaluation repeats", "draws at random")
def dropout_that_is_always_on(right):
    model = Normed(p=0.5)
    if not right:
        model.drop.forward = lambda x: F.dropout(x, 0.5, True)
    return training(model)


@case("one_batch", "image alone as in batch", "other images")
def softmax_over_the_batch(right):
    axis = -1 if right else 0
    return training(after(lambda z: F.softmax(z, axis) * 5))


@case("one_batch", "units alive", "100%")
def biases_far_below(right):
    model = network()
    model[1].bias.data[...] = -0.3 if right else -30
    return training(model)


@case("one_batch", "units alive", "at its ends")
def tanh_of_raw_pixels(right):
    (x, y), _ = digits()
    return training(network(act=nn.Tanh), train=batched((x * np.float32(1 if right else 200), y)))


@case("one_batch", "batch norm normalises", "times the variance")
def eps_above_the_variance(right):
    return training(Normed(eps=1e-3 if right else 1e3))


@case("steps", "images for batch norm", "2 images")
def batches_of_two(right):
    return training(Normed(), train=batched(digits()[0], 4 if right else 2))


# ------------------------------------------------------------------ the loss


def losing(function, **options):
    return training(loss=function, **options)


@case("one_batch", "loss has a gradient", "detached")
def loss_detached(right):
    return losing(lambda z, y: F.cross_entropy(z if right else z.detach(), y))


@case("one_batch", "loss has a gradient", "shape (64,)")
def loss_not_reduced(right):
    reduction = "sum" if right else "none"
    return losing(nn.CrossEntropyLoss(reduction=reduction), train=batched(digits()[0], 64))


@case("one_batch", "loss is least at the labels", "rises")
def loss_maximised(right):
    return losing(lambda z, y: F.cross_entropy(z, y) * (1 if right else -1))


def one_hot(y):
    return Tensor(np.eye(10, dtype=np.float32)[y])


@case("one_batch", "loss is least at the labels", "no least value")
def logarithm_forgotten(right):
    p = F.log_softmax if right else (lambda z, axis: z)
    return losing(lambda z, y: -(p(z, -1) * one_hot(y)).sum() / len(y))


@case("one_batch", "loss is least at the labels", "right for")
def square_of_class_numbers(right):
    if right:
        return losing(lambda z, y: ((z - one_hot(y)) ** 2).mean())
    return losing(lambda z, y: ((z - Tensor(y.astype(np.float32)[:, None])) ** 2).mean())


@case("one_batch", "loss is least at the labels", "right for")
def labels_of_its_own(right):
    return losing(lambda z, y: F.cross_entropy(z, y if right else z.numpy().argmax(-1)))


@case("one_batch", "loss is least at the labels", "smoothed away")
def smoothing_of_nearly_all(right):
    return losing(nn.CrossEntropyLoss(label_smoothing=0.1 if right else 0.9))


@case("one_batch", "loss is finite", "not finite")
def exponential_of_large_logits(right):
    def naive(z, y):
        e = exp(z)
        return -(log(e / e.sum(axis=-1, keepdims=True)) * one_hot(y)).sum() / len(y)

    (x, y), _ = digits()
    return losing(naive, train=batched((x * np.float32(1 if right else 400), y)))


@case("one_batch", "loss corrects mistakes", "no gradient")
def loss_clipped(right):
    least = 1e-6 if right else 0.05

    def clipped(z, y):
        p = (F.softmax(z, -1) * one_hot(y)).sum(axis=-1)
        return -log(p.clip(least, 1.0)).mean()

    return losing(clipped)


@case("one_batch", "loss weighs the classes", "class 2 counts 10,000 times")
def one_class_weighs_all(right):
    weight = np.full(10, 0.01, np.float32)
    weight[2] = 0.1 if right else 100
    return losing(nn.CrossEntropyLoss(weight=weight))


# ------------------------------------------------------------------ steps


def stepping(function, **options):
    return training(step=function, **options)


@case("steps", "order of the step", "finds no gradient")
def step_before_backward(right):
    def other(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        value = loss(model(Tensor(x)), y)
        if right:
            value.backward()
        optimizer.step()
        if not right:
            value.backward()

    return stepping(other)


@case("steps", "order of the step", "finds no gradient")
def gradients_cleared_before_the_step(right):
    def other(model, optimizer, loss, x, y):
        if right:  # of the batch before, which is the usual order from another place on
            optimizer.step()
            optimizer.zero_grad()
        loss(model(Tensor(x)), y).backward()
        if not right:
            optimizer.zero_grad()
            optimizer.step()

    return stepping(other)


@case("steps", "order of the step", "add up")
def gradients_never_cleared(right):
    def other(model, optimizer, loss, x, y):
        for part in (slice(0, 16), slice(16, 32)):  # accumulation within a step is fine
            (loss(model(Tensor(x[part])), y[part]) * 0.5).backward()
        optimizer.step()
        if right:
            for parameter in model.parameters():
                parameter.grad = None

    return stepping(other)


@case("steps", "order of the step", "never called")
def no_step(right):
    def other(model, optimizer, loss, x, y):
        model.zero_grad()
        loss(model(Tensor(x)), y).backward()
        if right:  # by hand
            for parameter in model.parameters():
                parameter.data -= 0.1 * parameter.grad.data

    return stepping(other)


@case("steps", "training mode", "evaluation mode")
def training_in_evaluation_mode(right):
    def other(model, optimizer, loss, x, y):
        model.train(right)
        optimizer.zero_grad()
        loss(model(Tensor(x)), y).backward()
        optimizer.step()

    return stepping(other, model=Normed())


@case("steps", "gradients reach the parameters", "cut off")
def features_detached(right):
    model = Normed()
    features = model.features
    model.features = features if right else (lambda x: features(x).detach())
    return training(model)


class Unused(Normed):
    def __init__(self, used):
        super().__init__()
        self.second, self.used = nn.Conv2d(8, 8, 1), used

    def features(self, x):
        x = self.act(self.norm(self.conv(x)))
        y = self.second(x)
        return self.pool(y if self.used else x).reshape(len(x), -1)


@case("steps", "gradients reach the parameters", "second.weight")
def a_result_is_not_used(right):
    return training(Unused(right))


@case("steps", "gradients arrive at the update", "next to nothing")
def clipped_to_nothing(right):
    def other(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        loss(model(Tensor(x)), y).backward()
        optim.clip_grad_norm_(model.parameters(), 0.1 if right else 1e-5)
        optimizer.step()

    return stepping(other)


@case("steps", "weights move", "no weight moves")
def rate_of_zero(right):
    return training(optimizer=sgd(lr=1e-5 if right else 0.0))


@case("steps", "weights move", "anew")
def model_made_in_the_loop(right):
    def other(model, optimizer, loss, x, y):
        if not right:
            model.load_state_dict(network().state_dict())
        step(model, optimizer, loss, x, y)

    return stepping(other)


@case("steps", "weights move", "put back")
def weights_put_back(right):
    start = {}

    def other(model, optimizer, loss, x, y):
        start.update({n: p.numpy().copy() for n, p in model.state_dict().items()})
        step(model, optimizer, loss, x, y)
        if not right:
            model.load_state_dict(start)

    return stepping(other)


@case("steps", "step follows the loss", "against")
def uphill(right):
    def other(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        value = loss(model(Tensor(x)), y)
        (value if right else -value).backward()
        optimizer.step()

    return stepping(other)


@case("steps", "step follows the loss", "penalty")
def penalty_swallows_the_loss(right):
    def other(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        value = loss(model(Tensor(x)), y)
        for parameter in model.parameters():
            value = value + (1e-3 if right else 2.0) * (parameter * parameter).sum()
        value.backward()
        optimizer.step()

    return stepping(other)


@case("steps", "weight decay below the gradient", "times as strong")
def decay_above_the_gradient(right):
    return training(
        optimizer=lambda m: optim.Adam(m.parameters(), weight_decay=1e-2 if right else 5)
    )


# ------------------------------------------------------------------ learning


@case("training", "evaluation mode", "training mode")
def evaluated_in_training_mode(right):
    def other(model, valid):
        model.train(not right)
        with no_grad():
            return np.mean([(model(Tensor(x)).numpy().argmax(-1) == y).mean() for x, y in valid])

    return training(Normed(), evaluate=other)


@case("training", "evaluation counts right", "evaluate says")
def argmax_over_the_batch(right):
    def other(model, valid):
        model.eval()
        axis = -1 if right else 0
        with no_grad():
            answers = [model(Tensor(x)).numpy().argmax(axis) for x, _ in valid]
        return np.mean(
            [(a == y[: len(a)]).mean() for a, (_, y) in zip(answers, valid, strict=True)]
        )

    return training(evaluate=other)


@case("training", "evaluation counts right", "never runs")
def another_model_is_evaluated(right):
    stale = network()
    return training(evaluate=lambda model, valid: evaluate(model if right else stale, valid))


@case("training", "evaluation changes nothing", "changes")
def statistics_move_in_evaluation(right):
    def other(model, valid):
        model.train(not right)
        return np.mean([(model(Tensor(x)).numpy().argmax(-1) == y).mean() for x, y in valid])

    return training(Normed(), evaluate=other)


@case("training", "validation follows training", "validation images are right")
def validation_upside_down(right):
    return changed(valid=lambda x, y: (x if right else -x[:, ::-1, ::-1], y))


class LabelsAnew:
    """Batches whose labels are drawn anew in every epoch."""

    def __init__(self):
        self.draw = np.random.default_rng(4)

    def __iter__(self):
        for x, y in batched(digits()[0]):
            yield x, self.draw.integers(0, 10, len(y))


@case("training", "training gets better than guessing", "does not learn")
def labels_at_random(right):
    return training(train=None if right else LabelsAnew())


@case("by_heart", "learns one batch", "does not learn")
def rate_far_too_small(right):
    return training(optimizer=sgd(lr=0.05 if right else 1e-6))


@case("one_batch", "loss is least at the labels", "runs over the batch")
def loss_with_a_softmax_over_the_batch(right):
    return training(loss=lambda z, y: F.nll_loss(F.log_softmax(z, -1 if right else 0), y))


def test_properties_out_of_a_softmax():
    def some(x, y):
        return x, np.stack([y % 2, y > 4, y > 7], 1).astype(np.float32)

    train = batched(some(*digits()[0]))
    for end in (nn.Sigmoid(), nn.Softmax()):
        made = training(network(nn.Linear(10, 3), end), train=train, loss=F.binary_cross_entropy)
        finding = found(lambda made=made: made, "one_batch")["outputs are logits"]
        assert ("compete" in finding.message) is isinstance(end, nn.Softmax), finding


def test_a_loss_that_holds_each_output_against_all_targets():
    def loss(right):
        return lambda z, y: (
            (z - Tensor(y.reshape(-1, 1) if right else y).astype("float32")) ** 2
        ).mean()

    for right in (False, True):
        made = training(network(nn.Linear(10, 1)), loss=loss(right))
        finding = found(lambda made=made: made, "one_batch")["loss is least at the labels"]
        assert (finding.verdict == "broken") is not right, finding
        assert right or "change places" in finding.message


@case("steps", "step follows the loss", "the same inputs")
def one_batch_for_ever(right):
    first = []

    def always(model, optimizer, loss, x, y):
        first.append((x, y))
        return step(model, optimizer, loss, *first[-1 if right else 0])

    return training(step=always)


def test_a_single_setting_with_which_the_batch_is_learnt():
    for name, make in {
        "eps of the optimizer": lambda: training(
            optimizer=lambda m: optim.Adam(m.parameters(), lr=3e-3, eps=1e3)
        ),
        "loss scale": lambda: training(loss=lambda z, y: F.cross_entropy(z, y) / 1e5),
        "input scale": lambda: changed(lambda x, y: (x * np.float32(1e-4), y)),
    }.items():
        groups = found(make, "by_heart")
        if name == "loss scale":  # which the loss alone must tell first
            from minires.checks.run import _Checkup

            run = _Checkup(make, 60.0, 0)
            run.group(run.one_batch)
            run.group(run.by_heart)
            groups = {finding.check: finding for finding in run.findings}
        assert groups["learns one batch"].verdict == "broken"
        assert groups[name].verdict == "broken", groups
        assert "all else equal" in groups[name].message
