"""Healthy trainings that a check may take for broken: each does on purpose what faults do too."""

from copy import deepcopy

import numpy as np
from small_training import Normed, batched, digits, evaluate, network, step, training

import minires
from minires import Tensor, nn, no_grad, optim
from minires.checks import Setup
from minires.nn import functional as F
from minires.optim import lr_scheduler

HEALTHY = {}
EYE = np.eye(10, dtype=np.float32)


def healthy(function):
    """Register a set-up under its function's name."""
    HEALTHY[function.__name__] = function
    return function


def zeroed(model, *names):
    for name in names:
        model[name].weight.data[...] = 0
        model[name].bias.data[...] = 0
    return model


def adam(model):
    return optim.Adam(model.parameters(), lr=3e-3)


def each(logits, labels):
    return F.cross_entropy(logits, labels, reduction="none")


# ------------------------------------------------------------------ what starts at zero


@healthy
def last_layer_at_zero():
    return training(zeroed(network(), 5))


class Branches(nn.Module):
    """Residual branches whose last layer starts at zero, or that a gain of zero leaves out."""

    def __init__(self, gains):
        super().__init__()
        self.first, self.last = nn.Linear(64, 32), nn.Linear(32, 10)
        self.ins = nn.ModuleList([nn.Linear(32, 32) for _ in range(3)])
        self.outs = nn.ModuleList([nn.Linear(32, 32) for _ in range(3)])
        self.gains = nn.ParameterList([nn.Parameter(np.zeros(32, np.float32)) for _ in range(3)])
        self.gained = gains
        for layer in self.outs:
            if not gains:
                layer.weight.data[...] = 0

    def forward(self, x):
        x = self.first(x.flatten(1)).relu()
        for into, out, gain in zip(self.ins, self.outs, self.gains, strict=True):
            branch = out(into(x).relu())
            x = x + (branch * gain if self.gained else branch + gain)
        return self.last(x)


@healthy
def branches_at_zero():
    return training(Branches(False), adam)


@healthy
def gains_at_zero():
    return training(Branches(True), adam)


def scheduled(schedule_of, model=None, optimizer=adam, inside=True):
    """A set-up whose rate follows a schedule, stepped with the update or outside of it."""
    made = training(model, optimizer)
    schedule = schedule_of(made.optimizer)

    def stepped(x, y):
        value = step(made.model, made.optimizer, made.loss, x, y)
        if inside:
            schedule.step()
        return value

    made.step, made.schedule = stepped, schedule
    return made


def warmup(steps):
    return lambda o: lr_scheduler.LambdaLR(o, lambda step: min(1.0, step / steps))


@healthy
def warmup_from_zero():
    return scheduled(warmup(20))


@healthy
def long_warmup_from_zero():
    return scheduled(warmup(2000), optimizer=lambda m: optim.SGD(m.parameters(), lr=0.02))


@healthy
def warmup_from_zero_and_last_layer_at_zero():
    return scheduled(warmup(1000), zeroed(network(), 5))


@healthy
def warmup_by_epochs_outside_the_step():
    return scheduled(warmup(5), inside=False)


@healthy
def warmup_by_hand():
    made = training(optimizer=adam)
    count = iter(range(10**6))

    def stepped(x, y):
        made.optimizer.param_groups[0]["lr"] = 3e-3 * min(1.0, next(count) / 50)
        return step(made.model, made.optimizer, made.loss, x, y)

    made.step = stepped
    return made


# ------------------------------------------------------------------ losses that pick and weigh


def of_worst(count):
    def loss(logits, labels):
        losses = each(logits, labels)
        return losses[np.argsort(-losses.numpy())[: min(count, len(labels))]].mean()

    return loss


@healthy
def worst_half():
    return training(loss=of_worst(16))


@healthy
def worst_two():
    return training(loss=of_worst(2), optimizer=adam)


@healthy
def without_the_worst_tenth():
    def loss(logits, labels):
        losses = each(logits, labels)
        return losses[np.argsort(losses.numpy())[: max(len(labels) * 9 // 10, 1)]].mean()

    return training(loss=loss)


@healthy
def weights_of_samples():
    weights = Tensor(np.random.default_rng(0).uniform(0, 2, 512).astype(np.float32) ** 4)
    return training(loss=lambda z, y: (each(z, y) * weights[: len(y)]).mean())


@healthy
def second_half_without_labels():
    def loss(logits, labels):
        half = (len(labels) + 1) // 2
        return F.cross_entropy(logits[:half], labels[:half])

    return training(loss=loss)


@healthy
def eighth_of_labels_known():
    def loss(logits, labels):
        count = max(len(labels) // 8, 1)
        return F.cross_entropy(logits[:count], labels[:count])

    return training(loss=loss, optimizer=adam)


@healthy
def loss_of_each_image_and_a_step_that_takes_their_mean():
    def stepped(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        value = loss(model(Tensor(x)), y).mean()
        value.backward()
        optimizer.step()
        return value.item()

    return training(loss=each, step=stepped)


@healthy
def loss_with_its_parts():
    def loss(logits, labels):
        value = F.cross_entropy(logits, labels)
        return value, {"entropy": value.item()}

    def stepped(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        value, _ = loss(model(Tensor(x)), y)
        value.backward()
        optimizer.step()

    return training(loss=loss, step=stepped)


@healthy
def smoothing_of_a_third():
    return training(loss=nn.CrossEntropyLoss(label_smoothing=0.3))


@healthy
def labels_as_soft_rows():
    (x, y), _ = digits()
    soft = (0.6 * EYE[y] + 0.04).astype(np.float32)
    batches = [(a, soft[i]) for a, i in batched((x, np.arange(len(y))))]
    return training(
        loss=lambda z, p: -(F.log_softmax(z, -1) * Tensor(p)).sum(1).mean(), train=batches
    )


@healthy
def hinge():
    def loss(logits, labels):
        own = (logits * Tensor(EYE[labels])).sum(1, keepdims=True)
        return ((logits - own + 1).relu() * Tensor(1 - EYE[labels])).sum(1).mean()

    return training(loss=loss)


class Cosines(nn.Module):
    """Cosines with a direction of each class; the loss has the temperature in it."""

    def __init__(self):
        super().__init__()
        self.net = network(nn.Linear(10, 16))
        self.directions = nn.Parameter(np.random.default_rng(0).normal(0, 1, (16, 10)).astype("f4"))

    def forward(self, x):
        def unit(v, axis):
            return v / ((v * v).sum(axis, keepdims=True) + 1e-8).sqrt()

        return unit(self.net(x), 1) @ unit(self.directions, 0)


@healthy
def cosines_over_a_temperature():
    return training(Cosines(), adam, loss=lambda z, y: F.cross_entropy(z * 16, y))


@healthy
def outputs_over_the_width():
    model = network()
    made = model.forward
    model.forward = lambda x: made(x) * (1 / 128)
    return training(model, lambda m: optim.Adam(m.parameters(), lr=3e-2))


# ------------------------------------------------------------------ steps of one's own


@healthy
def mixup():
    draw = np.random.default_rng(0)

    def stepped(model, optimizer, loss, x, y):
        share, other = float(draw.beta(1, 1)), draw.permutation(len(y))
        optimizer.zero_grad()
        logits = model(Tensor((share * x + (1 - share) * x[other]).astype(np.float32)))
        (share * loss(logits, y) + (1 - share) * loss(logits, y[other])).backward()
        optimizer.step()

    return training(step=stepped)


def accumulating(parts, scale=1.0):
    count = iter(range(1, 10**6))

    def stepped(model, optimizer, loss, x, y):
        (loss(model(Tensor(x)), y) * (scale / parts)).backward()
        if next(count) % parts == 0:
            optimizer.step()
            optimizer.zero_grad()

    return stepped


@healthy
def gradients_of_four_batches():
    return training(step=accumulating(4))


@healthy
def gradients_of_sixteen_small_batches():
    train = batched(digits()[0], 8)
    return training(step=accumulating(16), train=train)


@healthy
def loss_scaled_and_gradients_divided_again():
    def stepped(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        (loss(model(Tensor(x)), y) * 65536.0).backward()
        for parameter in model.parameters():
            parameter.grad.data[...] = parameter.grad.data * np.float32(1 / 65536)
        optimizer.step()

    return training(step=stepped)


@healthy
def little_noise_on_gradients():
    draw = np.random.default_rng(0)

    def stepped(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        loss(model(Tensor(x)), y).backward()
        for parameter in model.parameters():
            parameter.grad.data[...] += draw.normal(0, 0.01, parameter.shape).astype(np.float32)
        optimizer.step()

    return training(step=stepped)


@healthy
def sharpness_aware():
    def stepped(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        loss(model(Tensor(x)), y).backward()
        start = [p.data.copy() for p in model.parameters()]
        for p in model.parameters():
            p.data[...] += 0.01 * p.grad.data
        optimizer.zero_grad()
        loss(model(Tensor(x)), y).backward()
        for p, value in zip(model.parameters(), start, strict=True):
            p.data[...] = value
        optimizer.step()

    return training(step=stepped)


@healthy
def rows_kept_at_length_one():
    def stepped(model, optimizer, loss, x, y):
        value = step(model, optimizer, loss, x, y)
        for p in list(model.parameters())[:-2]:
            if p.ndim > 1:
                p.data[...] /= np.linalg.norm(p.data, axis=0, keepdims=True)
        return value

    return training(step=stepped, optimizer=lambda m: optim.SGD(m.parameters(), lr=0.05))


@healthy
def layers_left_out_at_random():
    model, draw = Branches(False), np.random.default_rng(3)
    for layer in model.outs:
        layer.weight.data[...] = draw.normal(0, 0.1, (32, 32))
    plain = nn.Module.__call__

    class Skipping(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            if self.training and draw.random() < 0.7:
                return x
            return plain(self.inner, x)

    model.ins = nn.ModuleList([Skipping(layer) for layer in model.ins])
    return training(model, adam)


# ------------------------------------------------------------------ who holds and moves what


class WithTeacher(nn.Module):
    """A network and an average of its weights beside it, registered or not."""

    def __init__(self, registered):
        super().__init__()
        self.student = network()
        teacher = deepcopy(self.student)
        if registered:
            self.teacher = teacher
        else:
            self.hidden = [teacher]
        self.average = teacher

    def forward(self, x):
        return self.student(x)


def following(registered, frozen=False):
    model = WithTeacher(registered)
    if frozen:
        model.average.requires_grad_(False)

    def stepped(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        logits = model(Tensor(x))
        with no_grad():
            teacher = F.softmax(model.average(Tensor(x)), -1)
        value = loss(logits, y) - 0.1 * (F.log_softmax(logits, -1) * teacher).sum(1).mean()
        value.backward()
        optimizer.step()
        pairs = zip(model.average.parameters(), model.student.parameters(), strict=True)
        for slow, fast in pairs:
            slow.data[...] = 0.99 * slow.data + 0.01 * fast.data
        return value.item()

    return training(
        model, lambda m: optim.SGD(m.student.parameters(), lr=0.1, momentum=0.9), step=stepped
    )


@healthy
def teacher_registered():
    return following(True)


@healthy
def teacher_in_a_list():
    return following(False)


@healthy
def teacher_frozen_at_the_students_first_weights():
    return following(True, frozen=True)


@healthy
def two_optimizers():
    model = network()
    second = optim.Adam(model[5].parameters(), lr=3e-3)

    def stepped(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        second.zero_grad()
        value = loss(model(Tensor(x)), y)
        value.backward()
        optimizer.step()
        second.step()
        return value.item()

    first = lambda m: optim.SGD([*m[1].parameters(), *m[3].parameters()], lr=0.1)  # noqa: E731
    return training(model, first, step=stepped)


@healthy
def loss_with_weights_of_its_own():
    temperature = nn.Parameter(np.ones((1, 10), np.float32))
    second = optim.SGD([temperature], lr=0.01)

    def stepped(model, optimizer, loss, x, y):
        optimizer.zero_grad()
        second.zero_grad()
        value = loss(model(Tensor(x)), y)
        value.backward()
        optimizer.step()
        second.step()
        return value.item()

    return training(loss=lambda z, y: F.cross_entropy(z * temperature, y), step=stepped)


class TwoHeads(nn.Module):
    """A second answer in training only, as a tuple."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.other = network()[:3], nn.Linear(32, 10), nn.Linear(32, 10)

    def forward(self, x):
        features = self.body(x)
        return (self.head(features), self.other(features)) if self.training else self.head(features)


@healthy
def auxiliary_head():
    def stepped(model, optimizer, loss, x, y):
        model.train()
        optimizer.zero_grad()
        first, second = model(Tensor(x))
        value = loss(first, y) + 0.3 * loss(second, y)
        value.backward()
        optimizer.step()
        return value.item()

    return training(TwoHeads(), step=stepped, evaluate=evaluate)


@healthy
def two_parts_against_each_other():
    """A discriminator of real and made images, and what makes them, with an optimiser each."""

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.maker = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 64))
            self.judge = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

        def forward(self, x):
            return self.judge(x)

    model, draw = Pair(), np.random.default_rng(0)
    second = optim.Adam(model.maker.parameters(), lr=1e-3)

    def loss(score, real):
        return F.binary_cross_entropy_with_logits(score[:, 0], Tensor(real.astype(np.float32)))

    def stepped(model, optimizer, loss, x, real):
        noise = Tensor(draw.normal(0, 1, (len(x), 8)).astype(np.float32))
        made = model.maker(noise)
        optimizer.zero_grad()
        (loss(model(Tensor(x)), real) + loss(model(made.detach()), 0 * real)).backward()
        optimizer.step()
        second.zero_grad()
        value = loss(model(model.maker(noise)), 0 * real + 1)
        value.backward()
        second.step()
        return value.item()

    (x, y), (v, w) = digits()
    return training(
        model,
        lambda m: optim.Adam(m.judge.parameters(), lr=1e-3),
        batched((x, np.ones_like(y))),
        [(v, np.ones_like(w))],
        loss,
        stepped,
    )


def trained(model=None, steps=200):
    """A model that has learnt the digits."""
    made = training(model)
    for epoch in range(max(steps // len(made.train), 1)):
        for x, y in batched(digits()[0], seed=epoch):
            step(made.model, made.optimizer, made.loss, x, y)
    return made.model


@healthy
def head_alone_of_a_trained_network():
    model = trained()
    model[5] = nn.Linear(32, 10)
    for name in (1, 3):
        model[name].requires_grad_(False)
    return training(model, lambda m: optim.SGD(m[5].parameters(), lr=0.1))


@healthy
def head_alone_in_the_optimizer():
    model = trained(steps=600)
    model[5] = nn.Linear(32, 10)
    return training(model, lambda m: optim.SGD(m[5].parameters(), lr=0.1))


@healthy
def training_goes_on():
    model = trained(steps=400)
    return training(model, lambda m: optim.SGD(m.parameters(), 0.01, weight_decay=5e-4))


@healthy
def statistics_kept_from_before():
    model = trained(Normed(p=0.0))

    def stepped(model, optimizer, loss, x, y):
        model.eval()
        optimizer.zero_grad()
        value = loss(model(Tensor(x)), y)
        value.backward()
        optimizer.step()
        return value.item()

    return training(
        model, lambda m: optim.SGD(m.parameters(), 0.01), batched(digits()[0], 2), step=stepped
    )


@healthy
def factors_of_lower_rank():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.Linear(6, 10))
    return training(model)


class Gated(nn.Module):
    """Channels weighed by what one number squeezes out of them."""

    def __init__(self):
        super().__init__()
        self.first, self.squeeze, self.excite = (
            nn.Linear(64, 32),
            nn.Linear(32, 1),
            nn.Linear(1, 32),
        )
        self.gate, self.last = nn.Sigmoid(), nn.Linear(32, 10)

    def forward(self, x):
        x = self.first(x.flatten(1)).relu()
        return self.last(x * self.gate(self.excite(self.squeeze(x))))


@healthy
def squeezed_to_one():
    return training(Gated())


# ------------------------------------------------------------------ evaluation


def averaged(decay, swap):
    """An average of the weights, evaluated as a model of its own or in the model's place."""
    model = network()
    average = deepcopy(model)

    def stepped(model, optimizer, loss, x, y):
        value = step(model, optimizer, loss, x, y)
        for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
            slow.data[...] = decay * slow.data + (1 - decay) * fast.data
        return value

    def evaluated(model, valid):
        if not swap:
            return evaluate(average, valid)
        own = {n: p.numpy().copy() for n, p in model.state_dict().items()}
        model.load_state_dict(average.state_dict())
        result = evaluate(model, valid)
        model.load_state_dict(own)
        return result

    return training(model, step=stepped, evaluate=evaluated)


@healthy
def slow_average_evaluated():
    return averaged(0.999, swap=False)


@healthy
def slow_average_in_the_models_place():
    return averaged(0.999, swap=True)


@healthy
def average_of_ten_steps():
    return averaged(0.9, swap=False)


@healthy
def several_views_of_each_image():
    def views(model, valid):
        model.eval()
        right = []
        with no_grad():
            for x, y in valid:
                moved = [
                    x,
                    np.roll(x, 1, 1),
                    np.roll(x, -1, 1),
                    np.roll(x, 1, 2),
                    np.roll(x, -1, 2),
                ]
                answers = sum(F.softmax(model(Tensor(v)), -1).numpy() for v in moved)
                right.append((answers.argmax(-1) == y).mean())
        return float(np.mean(right))

    return training(evaluate=views)


@healthy
def dropout_in_evaluation_averaged():
    def often(model, valid):
        model.train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        right = []
        with no_grad():
            for x, y in valid:
                answers = sum(F.softmax(model(Tensor(x)), -1).numpy() for _ in range(10))
                right.append((answers.argmax(-1) == y).mean())
        return float(np.mean(right))

    return training(Normed(0.3), evaluate=often)


@healthy
def statistics_taken_anew_before_evaluation():
    def precise(model, valid):
        model.train()
        with no_grad():
            for x, _ in batched(digits()[0], 100):
                model(Tensor(x))
        return evaluate(model, valid)

    return training(Normed(), evaluate=precise)


@healthy
def batch_norm_without_running_statistics():
    return training(Normed(track_running_stats=False), evaluate=evaluate)


@healthy
def statistics_that_follow_slowly():
    return training(Normed(momentum=0.01), evaluate=evaluate)


# ------------------------------------------------------------------ data


def changed(train=lambda x, y: (x, y), valid=lambda x, y: (x, y), size=32, **options):
    first, second = digits()
    return training(
        train=batched(train(*first), size), valid=batched(valid(*second), 100), **options
    )


@healthy
def batches_filled_up_with_black_images():
    def filled(pair):
        for x, y in batched(pair, 200):
            pad = np.zeros((56, *x.shape[1:]), np.float32)
            yield np.concatenate([x, pad]), np.concatenate([y, np.zeros(56, y.dtype)])

    return training(train=list(filled(digits()[0])), optimizer=adam)


@healthy
def black_frame_around_images():
    def framed(x, y):
        return np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0))), y

    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
    return changed(framed, framed, model=model)


@healthy
def opacity_as_a_channel():
    def opaque(x, y):
        return np.concatenate([x, x, x, np.ones_like(x)], -1), y

    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10))
    return changed(opaque, opaque, model=model)


def rare(x, y):
    """Classes from 5 on are seldom."""
    keep = (y < 5) | (np.random.default_rng(0).random(len(y)) < 0.1)
    return x[keep], y[keep]


@healthy
def rare_classes_drawn_more_often():
    first, second = digits()
    x, y = rare(*first)
    share = 1 / np.bincount(y, minlength=10)[y]
    chosen = np.random.default_rng(1).choice(len(y), 640, p=share / share.sum())
    return training(train=batched((x[chosen], y[chosen])), valid=batched(rare(*second), 100))


@healthy
def rare_classes_with_larger_weights():
    first, second = digits()
    x, y = rare(*first)
    weight = (1 / np.bincount(y, minlength=10)).astype(np.float32)
    loss = nn.CrossEntropyLoss(weight=weight / weight.mean())
    return training(
        optimizer=adam, train=batched((x, y)), valid=batched(rare(*second), 100), loss=loss
    )


@healthy
def three_classes_in_each_batch():
    (x, y), _ = digits()
    draw = np.random.default_rng(0)
    batches = []
    for _ in range(40):
        classes = draw.choice(10, 3, replace=False)
        chosen = np.concatenate([draw.choice(np.flatnonzero(y == k), 10) for k in classes])
        batches.append((x[chosen], y[chosen]))
    return training(train=batches, optimizer=lambda m: optim.SGD(m.parameters(), lr=0.02))


@healthy
def small_set_repeated_in_an_epoch():
    return changed(lambda x, y: (np.resize(x[:250], (2500, 8, 8, 1)), np.resize(y[:250], 2500)))


@healthy
def one_pixel_in_a_hundred():
    """Images as one-hot rows of numbers."""

    def spread(x, y):
        levels = np.clip(np.round((x[:, 2:6, 2:6, 0] + 1) * 30), 0, 99).astype(int)
        return np.eye(100, dtype=np.float32)[levels], y

    model = nn.Sequential(nn.Flatten(), nn.Linear(1600, 64), nn.ReLU(), nn.Linear(64, 10))
    return changed(spread, spread, model=model, optimizer=adam)


class Augmented:
    """Batches that are changed anew each time."""

    def __init__(self, change):
        self.change, self.draw = change, np.random.default_rng(0)

    def __iter__(self):
        for x, y in batched(digits()[0], seed=int(self.draw.integers(10**6))):
            yield self.change(x, self.draw).astype(np.float32), y


@healthy
def noise_on_training_images():
    return training(train=Augmented(lambda x, draw: x + draw.normal(0, 0.5, x.shape)))


@healthy
def training_images_brighter_and_darker():
    return training(train=Augmented(lambda x, draw: x * draw.uniform(0.4, 1.6, (len(x), 1, 1, 1))))


@healthy
def training_images_moved():
    def moved(x, draw):
        return np.stack([np.roll(v, draw.integers(-1, 2, 2), (0, 1)) for v in x])

    return training(Normed(), train=Augmented(moved))


@healthy
def training_images_partly_erased():
    def erased(x, draw):
        x = x.copy()
        for v in x:
            i, j = draw.integers(0, 6, 2)
            v[i : i + 3, j : j + 3] = 0
        return x

    return training(train=Augmented(erased))


@healthy
def training_images_mixed_in_the_loader():
    def mixed(x, draw):
        share = draw.uniform(0.7, 1, (len(x), 1, 1, 1))
        return share * x + (1 - share) * x[draw.permutation(len(x))]

    return training(train=Augmented(mixed))


@healthy
def training_images_turned_or_not():
    def turned(x, draw):
        return np.stack(
            [np.rot90(v, k) for v, k in zip(x, draw.integers(0, 2, len(x)), strict=True)]
        )

    return training(network(width=64), train=Augmented(turned), optimizer=adam)


@healthy
def numbers_that_are_learnt_as_numbers():
    (x, y), (v, w) = digits()
    scale = np.float32(1 / 9)
    return Setup(
        model := network(nn.ReLU(), nn.Linear(10, 1), nn.Sigmoid()),
        batched((x, y)),
        batched((v, w), 100),
        lambda z, y: F.mse_loss(z[:, 0], Tensor(y.astype(np.float32) * scale)),
        optim.Adam(model.parameters(), lr=1e-2),
    )


@healthy
def yes_or_no_by_a_sigmoid():
    (x, y), (v, w) = digits()
    return Setup(
        model := network(nn.ReLU(), nn.Linear(10, 1), nn.Sigmoid()),
        batched((x, y % 2)),
        batched((v, w % 2), 100),
        lambda z, y: F.binary_cross_entropy(z[:, 0], Tensor(y.astype(np.float32))),
        optim.Adam(model.parameters(), lr=1e-2),
    )


def main():
    """`python tests/checks/right_though_unusual.py [NAME...]`: what is said of each."""
    import sys

    alarms = 0
    for name in sys.argv[1:] or HEALTHY:
        report = minires.checkup(HEALTHY[name])
        alarms += not report.ok
        print(f"{report.seconds:5.1f} s  {name}", flush=True)
        for finding in report.broken if len(sys.argv) < 2 else report.findings:
            print(finding, flush=True)
    print(f"{alarms} of {len(sys.argv[1:] or HEALTHY)} are called broken")


if __name__ == "__main__":
    main()
