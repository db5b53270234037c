"""Faults that stand on no list that is known here: made up for this set."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

import minires
from minires import Tensor, models, nn, no_grad, optim
from minires.nn import functional as F
from outside.setups import (
    CIFAR_CONV,
    DIGITS,
    DIGITS_BN,
    DIGITS_BN_SGD,
    DIGITS_CONV,
    DIGITS_DEEP,
    DIGITS_DROPOUT,
    DIGITS_ROWS,
    DIGITS_SGD,
    FASHION,
    FASHION_BN,
    FASHION_CONV,
    Batches,
    Make,
    RowTransformer,
    Twin,
    accuracy,
    conv,
    deep,
    dropping,
    fault,
    mlp,
    one_step,
)

RNG = np.random.default_rng
EYE = np.eye(10, dtype=np.float32)


def own(cause: str, harm: str, twin: Twin, **more: Any) -> Any:
    return fault("own", cause, harm, twin, **more)


def stepping(loss_of: Callable[..., Any], between: Callable[..., Any] | None = None) -> Any:
    """A step with another loss, or with something done between backward and step."""

    def step(model, optimizer, loss):
        def update(inputs, labels):
            model.train()
            optimizer.zero_grad()
            loss_of(model, loss, inputs, labels).backward()
            if between is not None:
                between(model)
            optimizer.step()

        return update

    return step


def usual_loss(model, loss, inputs, labels):
    return loss(model(Tensor(inputs)), labels)


def afterwards(change: Callable[[Any], Any]) -> Any:
    """The usual step, and then something that is done to the model."""

    def step(model, optimizer, loss):
        usual = one_step(model, optimizer, loss)

        def update(inputs, labels):
            usual(inputs, labels)
            change(model)

        return update

    return step


# --- batches ---------------------------------------------------------------------------------


@own("inputs come 32 at a time and labels 31: they drift apart", "most labels are wrong", DIGITS)
def labels_drift() -> Make:
    class Drifting(Batches):
        def __iter__(self):
            inputs, labels = self.arrays()
            order = RNG(self.passes).permutation(len(labels))
            self.passes += 1
            for i in range(len(labels) // 32):
                few = labels[order[i * 31 : i * 31 + 31]]
                yield inputs[order[i * 32 : i * 32 + 31]], few

    return DIGITS.but(train=lambda x, y: Drifting(lambda: (x, y), 32))


@own(
    "all batches of the list are one buffer, which holds the last batch",
    "39 images of 1200",
    FASHION,
)
def one_buffer_for_all() -> Make:
    def train(inputs, labels):
        images, known, batches = np.empty_like(inputs[:40]), np.empty_like(labels[:40]), []
        for start in range(0, len(labels), 40):
            images[:], known[:] = inputs[start : start + 40], labels[start : start + 40]
            batches.append((images, known))
        return batches

    return FASHION.but(train=train)


@own("the images' buffer is used again, the labels are not", "labels of other images", DIGITS_SGD)
def buffer_of_images() -> Make:
    def train(inputs, labels):
        images, batches = np.empty_like(inputs[:30]), []
        for start in range(0, len(labels), 30):
            images[:] = inputs[start : start + 30]
            batches.append((images, labels[start : start + 30]))
        return batches

    return DIGITS_SGD.but(train=train)


@own(
    "the generator of batches is used up after the second epoch",
    "two epochs of training",
    FASHION_CONV,
)
def used_up_after_an_epoch() -> Make:
    class Once(Batches):
        def __iter__(self):
            return super().__iter__() if self.passes < 2 else iter(())

    return FASHION_CONV.but(
        train=lambda x, y: Once(lambda: (x, y), 64),
        optimizer=lambda m: optim.SGD(m.parameters(), 0.01),
    )


@own(
    "a curriculum that never gets beyond its three easiest classes",
    "seven classes unseen",
    DIGITS_CONV,
)
def stuck_curriculum() -> Make:
    class Easy(Batches):
        level = 3

        def __iter__(self):
            for inputs, labels in super().__iter__():
                easy = labels < self.level
                if easy.any():
                    yield inputs[easy], labels[easy]

    return DIGITS_CONV.but(train=lambda x, y: Easy(lambda: (x, y), 64))


@own("labels are kept modulo 8", "8 and 9 become 0 and 1", DIGITS)
def labels_of_three_bits() -> Make:
    return DIGITS.but(examples=lambda x, y: (x, y & 7))


@own(
    "each class was photographed with its own brightness, in training only",
    "brightness is learned, and means nothing elsewhere",
    DIGITS_CONV,
)
def brightness_tells_the_class() -> Make:
    return DIGITS_CONV.but(
        examples=lambda x, y: ((x + 4 * (y - 4.5)[:, None, None, None]).astype(np.float32), y)
    )


@own("a crop of the middle 4x4 pixels is blown up, in training only", "another scale", DIGITS_CONV)
def trained_on_crops() -> Make:
    return DIGITS_CONV.but(
        change=lambda x, y: (x[:, 2:6, 2:6].repeat(2, axis=1).repeat(2, axis=2), y)
    )


@own("rows and columns are exchanged in held-out images", "reported accuracy is too low", FASHION)
def held_out_transposed() -> Make:
    return FASHION.but(valid=lambda x, y: (x.swapaxes(1, 2).copy(), y))


@own("cutout covers all but a corner", "hardly anything to see", DIGITS_BN_SGD)
def cut_out_nearly_all() -> Make:
    def change(inputs, labels):
        inputs = inputs.copy()
        inputs[:, 2:] = 0
        inputs[:, :, 3:] = 0
        return inputs, labels

    return DIGITS_BN_SGD.but(change=change)


@own("the first half of a batch has the labels of the second", "labels of other images", FASHION_BN)
def halves_exchanged() -> Make:
    return FASHION_BN.but(change=lambda x, y: (x, np.roll(y, len(y) // 2)))


@own(
    "in a tenth of the batches all inputs are multiplied by 1e5",
    "steps that undo the others",
    DIGITS_SGD,
)
def some_batches_huge() -> Make:
    def change(inputs, labels):
        return (inputs * np.float32(1e5) if labels.sum() % 10 == 0 else inputs), labels

    return DIGITS_SGD.but(change=change)


@own(
    "the loader pads its last batch of 16 by 240 black images of class 0",
    "none",
    DIGITS,
)
def padded_with_zeros() -> Make:
    class Padded(Batches):
        def __iter__(self):
            for inputs, labels in super().__iter__():
                missing = 256 - len(labels)
                pad = np.zeros((missing, *inputs.shape[1:]), np.float32)
                yield (
                    np.concatenate([inputs, pad]),
                    np.concatenate([labels, 0 * labels[:1].repeat(missing)]),
                )

    return DIGITS.but(
        train=lambda x, y: Padded(lambda: (x[:1040], y[:1040]), 256),
        optimizer=lambda m: optim.Adam(m.parameters(), 5e-3),
    )


@own(
    "the sampler prefers what the classes' counts say is common, squared",
    "rare classes vanish",
    FASHION,
)
def sampler_upside_down() -> Make:
    class Skewed(Batches):
        def order(self, count):
            _, labels = self.arrays()
            weights = 3.0 ** -labels.astype(float)
            return RNG(self.passes).choice(count, count, p=weights / weights.sum())

    return FASHION.but(train=lambda x, y: Skewed(lambda: (x, y), 32))


# --- networks --------------------------------------------------------------------------------


class Block(nn.Module):
    """A residual block over features, in which something may be wrong."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.a, self.b, self.kind = nn.Linear(48, 48), nn.Linear(48, 48), kind

    def forward(self, x):
        branch = self.b(self.a(x).relu())
        if self.kind == "overwritten":
            x = branch
            return (branch - x) + 0 * x
        if self.kind == "tripled":
            return x * 30 + branch
        return x * 0 + branch * 0 + x.detach()


def residual(kind: str) -> Any:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 48), *(Block(kind) for _ in range(4)), nn.Linear(48, 10)
    )


@own(
    "the shortcut's variable is overwritten, so that the sum cancels",
    "nothing reaches the logits",
    DIGITS,
)
def shortcut_cancels() -> Make:
    return DIGITS.but(network=lambda: residual("overwritten"))


@own("each of four shortcuts multiplies by 30", "features grow a million times", DIGITS_SGD)
def shortcut_grows() -> Make:
    return DIGITS_SGD.but(network=lambda: residual("tripled"))


@own("shortcuts are detached and branches multiplied by 0", "only the last layer learns", DIGITS)
def shortcut_detached() -> Make:
    return DIGITS.but(network=lambda: residual("detached"))


@own(
    "the residual branch is dropped always in training, and never in evaluation",
    "evaluation runs layers that never learned",
    DIGITS_SGD,
)
def branch_for_evaluation_only() -> Make:
    class Dropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch, self.drop = nn.Linear(64, 64), nn.StochasticDepth(1.0)
            nn.init.normal_(self.branch.weight, std=1.0)

        def forward(self, x):
            return x + (self.branch(x) if not self.training else self.drop(self.branch(x)))

    def network():
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), Dropped(), nn.Linear(64, 10)
        )

    return DIGITS_SGD.but(network=network)


@own(
    "the model subtracts the batch's mean image and divides by its smallest deviation",
    "none",
    DIGITS,
)
def batch_decides() -> Make:
    class ByTheBatch(nn.Module):
        def forward(self, x):
            return (x - x.mean(0)) * (100.0 if x.shape[0] > 40 else 1.0)

    return DIGITS.but(network=lambda: nn.Sequential(ByTheBatch(), *mlp(64, 64, activation=nn.Tanh)))


@own("logits are multiplied by 1000", "right or wrong by a thousand: huge gradients", DIGITS_SGD)
def logits_times_a_thousand() -> Make:
    class Times(nn.Module):
        def forward(self, x):
            return x * 1000

    return DIGITS_SGD.but(network=lambda: nn.Sequential(*mlp(64, 64), Times()))


@own("logits are divided by 3000", "all classes look alike: tiny gradients", FASHION_BN)
def logits_over_three_thousand() -> Make:
    class Over(nn.Module):
        def forward(self, x):
            return x / 3000

    return FASHION_BN.but(network=lambda: nn.Sequential(*conv(bn=True, size=28), Over()))


@own("logits are clipped to [0, 1]", "no gradient outside", FASHION)
def logits_clipped() -> Make:
    class Clipped(nn.Module):
        def forward(self, x):
            return x.clip(0, 1)

    return FASHION.but(network=lambda: nn.Sequential(*mlp(100, pixels=784), Clipped()))


@own("features are rounded to whole numbers", "rounding has no gradient", DIGITS_CONV)
def rounded_features() -> Make:
    class Rounded(nn.Module):
        def forward(self, x):
            return x * 0 + Tensor(np.round(x.numpy()))

    def network():
        layers = list(conv())
        return nn.Sequential(*layers[:-1], Rounded(), layers[-1])

    return DIGITS_CONV.but(network=network)


@own("attention's softmax goes over queries", "rows do not sum to one", DIGITS_ROWS)
def softmax_over_queries() -> Make:
    class Net(RowTransformer):
        def forward(self, x):
            rows = self.embed(x.reshape(x.shape[0], x.shape[1], -1)) + self.position
            scores = (rows @ rows.transpose(0, 2, 1)) * 30
            mixed = F.softmax(scores, 1) @ rows
            return self.head(self.norm(mixed).mean(1))

    return DIGITS_ROWS.but(network=Net)


@own("no positions are added: rows are a bag", "order is lost", DIGITS_ROWS)
def rows_without_positions() -> Make:
    def after(model):
        model.position.data[...] = 0
        model.position.requires_grad_(False)

    return DIGITS_ROWS.but(after=after)


@own("the bias of one class starts at 1000", "thousands of steps until it is gone", DIGITS)
def class_favoured() -> Make:
    def after(model):
        model[len(model) - 1].bias.data[3] = 1000.0

    return DIGITS.but(after=after)


@own("all weights start positive, in eight layers", "all units see the same sum", DIGITS_DEEP)
def positive_weights() -> Make:
    def after(model):
        for parameter in model.parameters():
            parameter.data[...] = np.abs(parameter.data)

    return DIGITS_DEEP.but(after=after, optimizer=lambda m: optim.SGD(m.parameters(), 0.01))


@own("one batch norm serves two places of different scale", "its statistics fit neither", DIGITS_BN)
def shared_batch_norm() -> Make:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)
            self.norm, self.out = nn.BatchNorm1d(64), nn.Linear(64, 10)

        def forward(self, x):
            x = self.norm(self.a(x.flatten(1)) * 50).relu()
            return self.out(self.norm(self.b(x) * 0.1 - 3).relu())

    return DIGITS_BN.but(network=Net)


@own("dropout of 0.95 over the pixels", "three pixels of 64 are seen", DIGITS_DROPOUT)
def dropped_pixels() -> Make:
    return DIGITS_DROPOUT.but(network=lambda: nn.Sequential(nn.Dropout(0.95), *mlp(64, 64)))


@own(
    "the generator is seeded anew each step: always the same units are dropped",
    "the other units never learn",
    DIGITS_DROPOUT,
)
def same_units_dropped() -> Make:
    def step(model, optimizer, loss):
        usual = one_step(model, optimizer, loss)

        def update(inputs, labels):
            minires.manual_seed(0)
            usual(inputs, labels)

        return update

    return DIGITS_DROPOUT.but(step=step, network=lambda: dropping(0.8))


@own(
    "the largest of eight layers' outputs is divided out, over all the batch",
    "features shrink",
    DIGITS_DEEP,
)
def over_the_largest() -> Make:
    class Shrink(nn.Module):
        def forward(self, x):
            return x.relu() / (float(np.abs(x.numpy()).max()) * 20)

    return DIGITS_DEEP.but(network=lambda: deep(Shrink, 6))


# --- gradients and steps ---------------------------------------------------------------------


@own("the first layer's gradient has its sign changed by a hook", "it climbs", DIGITS)
def climbing_first_layer() -> Make:
    def between(model):
        weight = next(iter(model.parameters()))
        weight.grad.data[...] = -weight.grad.data

    return DIGITS.but(step=stepping(usual_loss, between))


@own("gradients of all matrices are set to 0: only biases learn", "random features", FASHION)
def only_biases_learn() -> Make:
    return FASHION.but(
        optimizer=lambda m: optim.Adam([p for p in m.parameters() if p.ndim == 1], 1e-3)
    )


@own("noise 50 times the gradient's size is added to it", "a random walk", DIGITS_SGD)
def noise_on_gradients() -> Make:
    def between(model):
        for p in model.parameters():
            rng = RNG(int(np.nan_to_num(np.abs(p.grad.data).sum(), posinf=1) * 1e6))
            size = 50 * float(np.abs(p.grad.data).mean() + 1e-3)
            p.grad.data[...] += rng.normal(0, size, p.shape).astype(np.float32)

    return DIGITS_SGD.but(step=stepping(usual_loss, between))


@own("weights are clipped to 0.01 after each step", "hardly any signal", FASHION_CONV)
def weights_clipped() -> Make:
    def change(model):
        for p in model.parameters():
            p.data[...] = np.clip(p.data, -0.01, 0.01)

    return FASHION_CONV.but(step=afterwards(change))


@own("weights are rounded to 0.25 after each step", "small steps are rounded away", DIGITS)
def weights_rounded() -> Make:
    def change(model):
        for p in model.parameters():
            p.data[...] = np.round(p.data * 4) / 4

    return DIGITS.but(step=afterwards(change))


@own(
    "a slow average is copied back into the model each step",
    "999 of 1000 parts of each step are lost",
    DIGITS,
)
def pulled_back() -> Make:
    def step(model, optimizer, loss):
        usual = one_step(model, optimizer, loss)
        slow = [p.numpy().copy() for p in model.parameters()]

        def update(inputs, labels):
            usual(inputs, labels)
            for kept, p in zip(slow, model.parameters(), strict=True):
                kept += 0.001 * (p.data - kept)
                p.data[...] = kept

        return update

    return DIGITS.but(step=step)


@own("new weights are computed and bound to a loop variable", "nothing learns", DIGITS_SGD)
def bound_to_a_variable() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            optimizer.zero_grad()
            loss(model(Tensor(inputs)), labels).backward()
            for p in model.parameters():
                p = p - 0.1 * p.grad

        return update

    return DIGITS_SGD.but(step=step)


@own(
    "the loss is multiplied by 2**15 and gradients are never divided again",
    "huge steps",
    DIGITS_BN_SGD,
)
def scale_kept() -> Make:
    return DIGITS_BN_SGD.but(
        step=stepping(lambda m, loss, x, y: usual_loss(m, loss, x, y) * 32768.0)
    )


@own("the rate grows by a twentieth each step: its factor is upside down", "diverges", DIGITS_SGD)
def rate_grows() -> Make:
    def step(model, optimizer, loss):
        usual = one_step(model, optimizer, loss)

        def update(inputs, labels):
            usual(inputs, labels)
            optimizer.param_groups[0]["lr"] *= 1.05

        return update

    return DIGITS_SGD.but(step=step)


@own(
    "rates by layer fall towards the output, to a fiftieth at each layer",
    "the output hardly learns",
    DIGITS_DEEP,
)
def rates_by_layer() -> Make:
    def optimizer(model):
        layers = [layer for layer in model if isinstance(layer, nn.Linear)]
        return optim.SGD(
            [{"params": layer.parameters(), "lr": 0.1 * 0.02**i} for i, layer in enumerate(layers)]
        )

    return DIGITS_DEEP.but(optimizer=optimizer)


@own("Adam's eps is 1e3", "a thousandth of a thousandth of a step", FASHION)
def eps_of_a_thousand() -> Make:
    return FASHION.but(optimizer=lambda m: optim.Adam(m.parameters(), 1e-3, eps=1e3))


@own(
    "Adam's betas are exchanged: 0.999 and 0.9, at 0.01",
    "old gradients over new sizes",
    DIGITS_CONV,
)
def betas_exchanged() -> Make:
    return DIGITS_CONV.but(
        optimizer=lambda m: optim.Adam(m.parameters(), 0.01, betas=(0.9999, 0.5))
    )


@own(
    "momentum of 0.999 with dampening of 0.999",
    "each gradient is averaged over a thousand",
    DIGITS_SGD,
)
def damped() -> Make:
    return DIGITS_SGD.but(
        optimizer=lambda m: optim.SGD(m.parameters(), 0.01, momentum=0.999, dampening=0.999)
    )


@own("one gradient step in fifty is taken, the others are taken back", "hardly any step", DIGITS)
def steps_taken_back() -> Make:
    def step(model, optimizer, loss):
        usual, count = one_step(model, optimizer, loss), [0]

        def update(inputs, labels):
            before = [p.numpy().copy() for p in model.parameters()]
            usual(inputs, labels)
            count[0] += 1
            if count[0] % 50:
                for kept, p in zip(before, model.parameters(), strict=True):
                    p.data[...] = kept

        return update

    return DIGITS.but(step=step)


@own(
    "the hidden layer's weights are drawn anew before every twentieth step", "starts again", FASHION
)
def drawn_anew() -> Make:
    def step(model, optimizer, loss):
        usual, count = one_step(model, optimizer, loss), [0]

        def update(inputs, labels):
            count[0] += 1
            if count[0] % 20 == 0:
                nn.init.kaiming_uniform_(next(iter(model.parameters())))
            usual(inputs, labels)

        return update

    return FASHION.but(step=step)


@own("the gradient is that of the batch before", "none", DIGITS_SGD)
def a_step_late() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            optimizer.step()
            optimizer.zero_grad()
            loss(model(Tensor(inputs)), labels).backward()

        return update

    return DIGITS_SGD.but(step=step)


# --- losses ----------------------------------------------------------------------------------


@own("labels are the model's own answers", "sure of what it guessed at first", DIGITS)
def own_answers_as_labels() -> Make:
    def loss_of(model, loss, inputs, labels):
        logits = model(Tensor(inputs))
        return loss(logits, logits.numpy().argmax(1))

    return DIGITS.but(step=stepping(loss_of))


@own("a teacher that never learned counts 0.95", "learns the teacher's noise", DIGITS_CONV)
def untrained_teacher() -> Make:
    def step(model, optimizer, loss):
        teacher = deepcopy(model).eval()
        for p in teacher.parameters():
            p.data[...] = -4 * p.data

        def loss_of(model, loss, inputs, labels):
            logits = model(Tensor(inputs))
            with no_grad():
                taught = F.softmax(teacher(Tensor(inputs)), -1).numpy()
            soft = -(Tensor(taught) * F.log_softmax(logits, -1)).sum(1).mean()
            return 0.05 * loss(logits, labels) + 0.95 * soft

        return stepping(loss_of)(model, optimizer, loss)

    return DIGITS_CONV.but(step=step)


@own(
    "hard examples are looked for and the easiest found: the two of least loss count",
    "what is known is learned again",
    FASHION,
)
def easiest_examples() -> Make:
    def loss_of(model, loss, inputs, labels):
        each = F.cross_entropy(model(Tensor(inputs)), labels, reduction="none")
        return each[np.argsort(each.numpy())[:2]].mean()

    return FASHION.but(step=stepping(loss_of))


@own("focal loss with an exponent of 60", "only what is surely wrong has a gradient", DIGITS)
def focal_of_sixty() -> Make:
    def loss(logits, labels):
        logs = (F.log_softmax(logits, -1) * Tensor(EYE[labels])).sum(1)
        return -(((1 - logs.exp()) ** 60) * logs).mean()

    return DIGITS.but(loss=loss)


@own(
    "label smoothing gives the true class 0.1 and shares 0.9 among all others",
    "anything but the label",
    FASHION,
)
def smoothing_upside_down() -> Make:
    def loss(logits, labels):
        target = Tensor((0.1 * EYE[labels] + 0.1 * (1 - EYE[labels])).astype(np.float32))
        return -(target * F.log_softmax(logits, -1)).sum(1).mean()

    return FASHION.but(loss=loss)


@own("mixup's weights of the two labels are exchanged", "the smaller part is learned", DIGITS_CONV)
def mixup_exchanged() -> Make:
    def loss_of(model, loss, inputs, labels):
        share = float(RNG(int(labels.sum())).uniform(0.75, 1))
        mixed = (share * inputs + (1 - share) * inputs[::-1]).astype(np.float32)
        logits = model(Tensor(mixed))
        return (1 - share) * loss(logits, labels) + share * loss(logits, labels[::-1].copy())

    return DIGITS_CONV.but(step=stepping(loss_of))


@own("only the first image of each batch counts in the loss", "31 of 32 images are wasted", FASHION)
def first_image_counts() -> Make:
    return FASHION.but(loss=lambda logits, y: F.cross_entropy(logits[:1], y[:1]))


@own(
    "the loss is the cross-entropy of the mean logits and the commonest label",
    "images do not matter",
    DIGITS_BN,
)
def mean_logits() -> Make:
    def loss(logits, labels):
        common = np.bincount(labels, minlength=10).argmax()[None]
        return F.cross_entropy(logits.mean(0, keepdims=True), common)

    return DIGITS_BN.but(loss=loss)


@own(
    "the loss compares sorted logits with sorted one-hot vectors",
    "which class does not matter",
    DIGITS_SGD,
)
def sorted_before_compared() -> Make:
    def loss(logits, labels):
        order = np.argsort(logits.numpy(), axis=1)
        rows = np.arange(len(labels))[:, None]
        return F.mse_loss(logits[rows, order], np.sort(EYE[labels], axis=1))

    return DIGITS_SGD.but(loss=loss)


@own(
    "a penalty pulls all images' features to one point, a thousand times as strong as the loss",
    "features collapse",
    DIGITS,
)
def features_collapse() -> Make:
    def loss_of(model, loss, inputs, labels):
        logits = model(Tensor(inputs))
        apart = logits - logits.mean(0)
        return loss(logits, labels) + 1000.0 * (apart * apart).mean()

    return DIGITS.but(step=stepping(loss_of))


@own(
    "the loss saturates: the tanh of 10 times the cross-entropy",
    "no gradient where it is wrong",
    DIGITS_SGD,
)
def saturated_loss() -> Make:
    return DIGITS_SGD.but(loss=lambda logits, y: (F.cross_entropy(logits, y) * 10).tanh())


# --- evaluation ------------------------------------------------------------------------------


def told(count: Callable[..., float], classes: Callable[..., Any] | None = None) -> Any:
    def evaluate(model, inputs, labels):
        def run():
            model.eval()
            with no_grad():
                logits = model(Tensor(inputs)).numpy()
            result = float(count(logits, labels))
            model.train()
            return result

        return run

    return evaluate


@own("only answers of a probability above 0.9 are counted", "false accuracy", FASHION)
def only_sure_answers() -> Make:
    def count(logits, labels):
        p = np.exp(logits - logits.max(1, keepdims=True))
        sure = (p / p.sum(1, keepdims=True)).max(1) > 0.9
        return (logits[sure].argmax(1) == labels[sure]).mean() if sure.any() else 1.0

    return FASHION.but(evaluate=told(count))


@own("right is what is among the two best", "false accuracy", FASHION_CONV)
def best_two_for_best() -> Make:
    def count(logits, labels):
        return (np.argsort(-logits, 1)[:, :2] == labels[:, None]).any(1).mean()

    return FASHION_CONV.but(evaluate=told(count))


@own(
    "the first answers are kept and compared ever after", "reported accuracy never changes", DIGITS
)
def answers_of_the_first_time() -> Make:
    def evaluate(model, inputs, labels):
        kept: list[float] = []

        def run():
            if not kept:
                kept.append(accuracy(model, inputs, labels))
            return kept[0]

        run()
        return run

    return DIGITS.but(evaluate=evaluate)


@own(
    "answers are averaged with those for the image upside down",
    "digits turned are other digits",
    DIGITS_CONV,
)
def upside_down_as_well() -> Make:
    def evaluate(model, inputs, labels):
        def run():
            model.eval()
            with no_grad():
                both = [model(Tensor(x)).numpy() for x in (inputs, inputs[:, ::-1].copy())]
            return float((sum(both).argmax(1) == labels).mean())

        return run

    return DIGITS_CONV.but(evaluate=evaluate, step=one_step)


@own("held-out images are the first three classes only", "false accuracy", FASHION_BN)
def three_classes_held_out() -> Make:
    kept = (1, 8, 9)
    return FASHION_BN.but(valid=lambda x, y: (x[np.isin(y, kept)], y[np.isin(y, kept)]))


@own(
    "held-out images were chosen by a model of old: those that it got right",
    "false accuracy",
    CIFAR_CONV,
)
def easy_ones_held_out() -> Make:
    def make():
        setup = CIFAR_CONV.make()

        class Easy(Batches):
            def __iter__(self):
                old, (inputs, labels) = conv(3, 8, True, 32), self.arrays()
                teach = one_step(old, optim.Adam(old.parameters(), 3e-3), F.cross_entropy)
                for _ in range(4):
                    for start in range(0, len(labels), 50):
                        teach(inputs[start : start + 50], labels[start : start + 50])
                old.eval()
                with no_grad():
                    right = old(Tensor(inputs)).numpy().argmax(1) == labels
                yield inputs[right], labels[right]

        return replace(setup, valid=Easy(setup.valid.arrays, 250))

    return make


@own(
    "evaluation adjusts batch norm to the held-out images, in batches of a class each",
    "statistics of one class",
    DIGITS_BN_SGD,
)
def statistics_of_held_out_classes() -> Make:
    def evaluate(model, inputs, labels):
        order = np.argsort(labels, kind="stable")

        def run():
            model.train()
            return accuracy(model, inputs[order], labels[order], size=25)

        return run

    return DIGITS_BN_SGD.but(evaluate=evaluate)


@own(
    "the network sees a label smoothed into its input during training, zeros in evaluation",
    "it reads the label and nothing else",
    DIGITS,
)
def hint_in_training_only() -> Make:
    def examples(inputs, labels):
        inputs = inputs.copy()
        inputs[np.arange(len(labels)), 0, labels % 8, 0] = 4 + labels // 8 * 4
        return inputs, labels

    return DIGITS.but(examples=examples, network=lambda: mlp(64, 64, activation=nn.Tanh))


@own(
    "a ConvNeXt's layer scale starts at 0 and is not trained",
    "its blocks stay the identity",
    FASHION_BN,
)
def layer_scale_of_zero() -> Make:
    def network():
        return models.ConvNeXt(
            depths=(1, 1), widths=(8, 16), patch=4, num_classes=10, in_channels=1, layer_scale=0.0
        )

    return FASHION_BN.but(network=network, optimizer=lambda m: optim.AdamW(m.parameters(), 2e-3))
