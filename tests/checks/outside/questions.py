"""What people ask about in public: mistakes around the training loop, the data and the mode.

Where a thread is named the same mistake is discussed there; none of its code is used.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np

from minires import Tensor, nn, no_grad, optim
from minires.nn import functional as F
from minires.optim import clip_grad_norm_
from outside.setups import (
    CIFAR_CONV,
    DIGITS,
    DIGITS_BN,
    DIGITS_BN_SGD,
    DIGITS_CONV,
    DIGITS_DROPOUT,
    DIGITS_RESNET,
    DIGITS_SGD,
    FASHION,
    FASHION_BN,
    FASHION_CONV,
    Batches,
    Make,
    accuracy,
    conv,
    fault,
    mlp,
    one_step,
    parts,
    standard,
    unit,
)

COMMON = "public question"  # asked so often that no thread stands for it
RNG = np.random.default_rng


# --- the order of the calls ------------------------------------------------------------------


@fault(
    "public issue: IBM/aihwkit#446, missing zero_grad()",
    "gradients are never zeroed",
    "each step repeats all before it",
    DIGITS_SGD,
)
def zero_grad_forgotten() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            loss(model(Tensor(inputs)), labels).backward()
            optimizer.step()

        return update

    return DIGITS_SGD.but(step=step)


@fault(
    f"{COMMON}: zero_grad once an epoch",
    "gradients are zeroed every 38 steps only",
    "steps grow through the epoch",
    FASHION_BN,
)
def zero_grad_once_an_epoch() -> Make:
    def step(model, optimizer, loss):
        steps = [0]

        def update(inputs, labels):
            if steps[0] % 63 == 0:
                optimizer.zero_grad()
            steps[0] += 1
            loss(model(Tensor(inputs)), labels).backward()
            optimizer.step()

        return update

    return FASHION_BN.but(step=step)


@fault(
    "public issue: Tony-Y/pytorch_warmup#12, zero_grad between backward and step",
    "gradients are forgotten before the step",
    "nothing learns",
    DIGITS,
)
def zeroed_before_the_step() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            loss(model(Tensor(inputs)), labels).backward()
            optimizer.zero_grad()
            optimizer.step()

        return update

    return DIGITS.but(step=step)


@fault(
    "public issue: ClementPinard/SfmLearner-Pytorch#5, the schedule's step for the optimiser's",
    "only the schedule steps",
    "nothing learns",
    DIGITS_CONV,
)
def schedule_steps_alone() -> Make:
    def step(model, optimizer, loss):
        schedule = optim.StepLR(optimizer, 100)

        def update(inputs, labels):
            optimizer.zero_grad()
            loss(model(Tensor(inputs)), labels).backward()
            schedule.step()

        return update

    return DIGITS_CONV.but(step=step)


@fault(f"{COMMON}: backward forgotten", "the step has no gradients", "nothing learns", FASHION)
def backward_forgotten() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            optimizer.zero_grad()
            value = loss(model(Tensor(inputs)), labels)
            optimizer.step()
            return value.item()

        return update

    return FASHION.but(step=step)


@fault(
    f"{COMMON}: clipping before backward",
    "gradients are clipped before they are there",
    "no clipping at a rate that wants it",
    DIGITS_SGD,
)
def clipped_before_backward() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            optimizer.zero_grad()
            value = loss(model(Tensor(inputs)), labels)
            clip_grad_norm_(model.parameters(), 0.1)
            value.backward()
            optimizer.step()

        return update

    return DIGITS_SGD.but(
        step=step, optimizer=lambda m: optim.SGD(m.parameters(), lr=1.0, momentum=0.9)
    )


@fault(
    "public issue: huggingface/transformers#1563, clipping while gradients accumulate",
    "the sum so far is clipped hard after each part",
    "the last part counts most",
    DIGITS_SGD,
)
def clipped_while_accumulating() -> Make:
    def step(model, optimizer, loss):
        parts_done = [0]

        def update(inputs, labels):
            loss(model(Tensor(inputs)), labels).backward()
            clip_grad_norm_(model.parameters(), 0.05)
            parts_done[0] += 1
            if parts_done[0] % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()

        return update

    return DIGITS_SGD.but(step=step)


@fault(
    "public issue: fredzzhang/atlas#26, accumulated loss not divided",
    "the sum of 16 batches' gradients at the rate of the mean",
    "16 times too large steps",
    DIGITS_SGD,
)
def accumulated_and_not_divided() -> Make:
    def step(model, optimizer, loss):
        parts_done = [0]

        def update(inputs, labels):
            loss(model(Tensor(inputs)), labels).backward()
            parts_done[0] += 1
            if parts_done[0] % 16 == 0:
                optimizer.step()
                optimizer.zero_grad()

        return update

    return DIGITS_SGD.but(
        step=step, optimizer=lambda m: optim.SGD(m.parameters(), 0.2, momentum=0.9)
    )


@fault(
    f"{COMMON}: accumulation that is never finished",
    "a step after 64 batches, of which there are 38",
    "few steps",
    DIGITS,
)
def accumulated_too_long() -> Make:
    def step(model, optimizer, loss):
        parts_done = [0]

        def update(inputs, labels):
            (loss(model(Tensor(inputs)), labels) / 64).backward()
            parts_done[0] += 1
            if parts_done[0] % 64 == 0:
                optimizer.step()
                optimizer.zero_grad()

        return update

    return DIGITS.but(step=step)


@fault(
    f"{COMMON}: accumulation zeroed too often",
    "each part of the sum is forgotten",
    "one batch in eight counts, an eighth",
    DIGITS_SGD,
)
def accumulated_and_forgotten() -> Make:
    def step(model, optimizer, loss):
        parts_done = [0]

        def update(inputs, labels):
            optimizer.zero_grad()
            (loss(model(Tensor(inputs)), labels) / 8).backward()
            parts_done[0] += 1
            if parts_done[0] % 8 == 0:
                optimizer.step()

        return update

    return DIGITS_SGD.but(step=step)


@fault(
    f"{COMMON}: the same batch again and again",
    "a new iterator each step gives the first batch",
    "32 images are learned by heart",
    FASHION,
)
def always_the_first_batch() -> Make:
    def train(inputs, labels):
        batches = Batches(lambda: (inputs, labels), 32, shuffle=False)
        return [next(iter(batches)) for _ in range(len(batches))]

    return FASHION.but(train=train)


# --- which parameters ------------------------------------------------------------------------


@fault(
    f"{COMMON}: optimiser made before the head is replaced",
    "the new last layer is not trained",
    "none",
    DIGITS_RESNET,
)
def head_replaced_afterwards() -> Make:
    def after(model):
        model.fc = nn.Linear(64, 10)

    return DIGITS_RESNET.but(after=after)


@fault(
    f"{COMMON}: optimiser of another copy",
    "the optimiser has a copy's parameters",
    "nothing learns",
    DIGITS,
)
def optimiser_of_a_copy() -> Make:
    return DIGITS.but(optimizer=lambda m: optim.Adam(deepcopy(m).parameters(), 1e-3))


@fault(
    f"{COMMON}: weights drawn anew after the optimiser was made",
    "the hidden layers are exchanged afterwards",
    "only the last layer learns",
    FASHION_CONV,
)
def convolutions_replaced_afterwards() -> Make:
    def after(model):
        return nn.Sequential(*list(conv(size=28))[:-1], list(model)[-1])

    return FASHION_CONV.but(after=after)


class InAList(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = [nn.Linear(64, 24), nn.Linear(24, 12), nn.Linear(12, 12)]
        self.out = nn.Linear(12, 10)

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.hidden:
            x = layer(x).relu()
        return self.out(x)


@fault(
    f"{COMMON}: layers in a Python list",
    "hidden layers are not registered",
    "they never learn",
    DIGITS,
)
def layers_in_a_list() -> Make:
    return DIGITS.but(network=InAList)


@fault(
    f"{COMMON}: requires_grad left off",
    "all but the last layer is frozen, and random",
    "random features",
    DIGITS_CONV,
)
def frozen_by_accident() -> Make:
    def after(model):
        for layer in list(model)[:-1]:
            layer.requires_grad_(False)

    return DIGITS_CONV.but(after=after)


class Cut(nn.Module):
    def __init__(self, how: str, drop: str = "") -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(64, 16), nn.Linear(16, 8), nn.Linear(8, 10)
        self.how = how

    def forward(self, x):
        x = self.first(x.flatten(1)).relu()
        if self.how == "no_grad":
            with no_grad():
                x = self.second(x).relu()
        elif self.how == "detach":
            x = self.second(x.detach()).relu().detach()
        else:
            x = Tensor(self.second(x).relu().numpy())
        return self.out(x)


@fault(
    f"{COMMON}: detach in the forward pass",
    "hidden features are detached",
    "hidden layers never learn",
    DIGITS,
)
def detached_features() -> Make:
    return DIGITS.but(network=lambda: Cut("detach"))


@fault(
    f"{COMMON}: no_grad in the forward pass",
    "a layer computes without a graph",
    "hidden layers never learn",
    DIGITS_SGD,
)
def layer_without_graph() -> Make:
    return DIGITS_SGD.but(network=lambda: Cut("no_grad"))


@fault(
    f"{COMMON}: through NumPy and back",
    "an array is taken out and wrapped again",
    "hidden layers never learn",
    DIGITS,
)
def through_numpy() -> Make:
    return DIGITS.but(network=lambda: Cut("numpy"))


@fault(
    f"{COMMON}: a new optimiser each step",
    "Adam's memory is lost after each step",
    "none",
    DIGITS,
)
def optimiser_made_each_step() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            fresh = optim.Adam(model.parameters(), lr=0.02)
            fresh.zero_grad()
            loss(model(Tensor(inputs)), labels).backward()
            fresh.step()

        return update

    return DIGITS.but(step=step)


# --- modes -----------------------------------------------------------------------------------


def evaluating_without(mode_call):
    def evaluate(model, inputs, labels):
        def run():
            mode_call(model)
            return accuracy(model, inputs, labels)

        return run

    return evaluate


@fault(
    f"{COMMON}: model.train() forgotten after evaluation",
    "batch norm and dropout are in evaluation mode from the second epoch on",
    "none",
    DIGITS_BN,
)
def stays_in_evaluation() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            optimizer.zero_grad()
            loss(model(Tensor(inputs)), labels).backward()
            optimizer.step()

        return update

    return DIGITS_BN.but(step=step, evaluate=evaluating_without(lambda m: m.eval()))


@fault(
    "public issue: deep-learning-with-pytorch/dlwpt-code#104, no eval() when validating",
    "dropout of 0.8 goes on in evaluation",
    "reported accuracy is too low",
    DIGITS_DROPOUT,
)
def dropout_in_evaluation() -> Make:
    from outside.setups import dropping

    return DIGITS_DROPOUT.but(
        network=lambda: dropping(0.8), evaluate=evaluating_without(lambda m: m.train())
    )


@fault(
    "public issue: princeton-vl/pytorch_stacked_hourglass#44, train() when validating",
    "batch norm normalises single held-out images by themselves",
    "false accuracy",
    DIGITS_BN_SGD,
)
def batch_norm_of_single_images() -> Make:
    def evaluate(model, inputs, labels):
        def run():
            model.train()
            return accuracy(model, inputs, labels, size=1)

        return run

    return DIGITS_BN_SGD.but(evaluate=evaluate, step=one_step)


@fault(
    "public issue: pytorch/pytorch#4741, eval() with batch norm gives a high error",
    "running statistics never move: momentum 1e-6",
    "evaluation by mean 0 and variance 1",
    FASHION_BN,
)
def statistics_never_move() -> Make:
    def after(model):
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 1e-6

    return FASHION_BN.but(after=after)


@fault(
    f"{COMMON}: functional dropout without the mode",
    "F.dropout is always on",
    "noisy evaluation",
    DIGITS,
)
def dropout_always_on() -> Make:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 10)

        def forward(self, x):
            return self.b(F.dropout(self.a(x.flatten(1)).relu(), 0.85, True))

    return DIGITS.but(network=Net)


@fault(
    f"{COMMON}: batch norm with batches of two",
    "statistics of two images",
    "noise",
    DIGITS_BN_SGD,
    epochs=2,
)
def batch_norm_of_two() -> Make:
    return DIGITS_BN_SGD.but(batch_size=2)


# --- schedules and decay ---------------------------------------------------------------------


def scheduled(schedule_of):
    def step(model, optimizer, loss):
        schedule = schedule_of(optimizer)

        def update(inputs, labels):
            model.train()
            optimizer.zero_grad()
            loss(model(Tensor(inputs)), labels).backward()
            optimizer.step()
            schedule.step()

        return update

    return step


@fault(
    "public issue: pytorch/tutorials#640, schedule stepped per batch, not per epoch",
    "a tenth of the rate after every 3 batches",
    "stands still soon",
    FASHION_CONV,
)
def tenth_every_three_batches() -> Make:
    return FASHION_CONV.but(step=scheduled(lambda o: optim.StepLR(o, 3)))


@fault(
    "public issue: pytorch/pytorch#3814, schedule stepped per batch",
    "0.9 of the rate each batch",
    "stands still soon",
    DIGITS,
)
def decays_each_batch() -> Make:
    return DIGITS.but(step=scheduled(lambda o: optim.ExponentialLR(o, 0.9)))


@fault(
    f"{COMMON}: schedule per batch stepped per epoch",
    "a warm-up of 100 steps advances once an epoch",
    "the rate stays tiny",
    DIGITS_SGD,
)
def warms_up_for_ever() -> Make:
    def step(model, optimizer, loss):
        warmup = optim.LambdaLR(optimizer, lambda n: min(1.0, (n + 1) / 1000))
        usual, steps = one_step(model, optimizer, loss), [0]

        def update(inputs, labels):
            usual(inputs, labels)
            steps[0] += 1
            if steps[0] % 38 == 0:
                warmup.step()

        return update

    return DIGITS_SGD.but(step=step)


@fault(
    f"{COMMON}: warm-up counter reset",
    "the schedule is made anew each step",
    "the rate stays at its start",
    DIGITS_CONV,
)
def warm_up_begins_anew() -> Make:
    def step(model, optimizer, loss):
        usual = one_step(model, optimizer, loss)

        def update(inputs, labels):
            optimizer.param_groups[0]["lr"] = 1e-3 * 1 / 200  # step 0 of a warm-up, always
            usual(inputs, labels)

        return update

    return DIGITS_CONV.but(step=step)


@fault(
    f"{COMMON}: weight decay taken for Adam's rate",
    "L2 of 3 in Adam",
    "weights shrink to nothing",
    FASHION,
)
def decay_of_three_in_adam() -> Make:
    return FASHION.but(optimizer=lambda m: optim.Adam(m.parameters(), 1e-3, weight_decay=3.0))


@fault(
    f"{COMMON}: sign of the regularisation",
    "the squared weights are subtracted from the loss",
    "weights grow without bound",
    DIGITS_SGD,
)
def decay_of_the_wrong_sign() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            optimizer.zero_grad()
            value = loss(model(Tensor(inputs)), labels)
            for parameter in model.parameters():
                value = value - 0.02 * (parameter * parameter).sum()
            value.backward()
            optimizer.step()

        return update

    return DIGITS_SGD.but(step=step)


@fault(
    f"{COMMON}: maximised for minimised",
    "the loss is the log-likelihood, without its minus",
    "learns to be wrong",
    FASHION,
)
def minus_forgotten() -> Make:
    return FASHION.but(loss=lambda logits, y: -F.cross_entropy(logits, y))


# --- labels and data -------------------------------------------------------------------------


@fault(
    f"{COMMON}: labels off by one",
    "training labels are one too high, modulo 10",
    "always wrong",
    DIGITS_CONV,
)
def labels_off_by_one() -> Make:
    return DIGITS_CONV.but(examples=lambda x, y: (x, (y + 1) % 10))


class ShufflesInputsOnly(Batches):
    def __iter__(self):
        inputs, labels = self.arrays()
        order = RNG(self.passes).permutation(len(inputs))
        self.passes += 1
        for start in range(0, len(inputs), self.size):
            chosen = slice(start, start + self.size)
            yield inputs[order[chosen]], labels[chosen]


@fault(
    f"{COMMON}: inputs shuffled without labels",
    "each pass mixes the inputs only",
    "labels are random",
    DIGITS,
)
def inputs_shuffled_only() -> Make:
    return DIGITS.but(train=lambda x, y: ShufflesInputsOnly(lambda: (x, y), 32))


@fault(
    f"{COMMON}: sorted data without shuffling",
    "all images of a class come one after the other",
    "the last class wins",
    DIGITS_SGD,
)
def sorted_by_class() -> Make:
    def train(inputs, labels):
        order = np.argsort(labels, kind="stable")
        return Batches(lambda: (inputs[order], labels[order]), 32, shuffle=False)

    return DIGITS_SGD.but(train=train)


@fault(
    f"{COMMON}: ignored class",
    "ignore_index is 0, which is a class too",
    "no 0 is ever learned",
    DIGITS,
)
def class_zero_ignored() -> Make:
    return DIGITS.but(loss=lambda logits, y: F.cross_entropy(logits, y, ignore_index=0))


@fault(
    f"{COMMON}: class weights of the wrong classes",
    "weights of 0.001 for half of the classes",
    "those are hardly learned",
    FASHION,
)
def weights_of_classes() -> Make:
    weight = Tensor(np.where(np.arange(10) % 2, 1e-3, 1).astype(np.float32))
    return FASHION.but(loss=lambda logits, y: F.cross_entropy(logits, y, weight=weight))


@fault(
    f"{COMMON}: uint8 arithmetic wraps around",
    "pixels plus 120 in uint8",
    "bright pixels turn dark",
    FASHION_CONV,
)
def bytes_wrap_around() -> Make:
    def prepare(images, name):
        return standard(images + np.uint8(120), name)

    def make():
        from dataclasses import replace as renewed

        setup = FASHION_CONV.but(prepare=prepare)()
        return renewed(setup, valid=FASHION_CONV.make().valid)

    return make


@fault(
    f"{COMMON}: signed bytes",
    "pixels read as int8: those above 127 are negative",
    "dark and bright mix",
    DIGITS_CONV,
    prepare=lambda x, n: x.view(np.int8).astype(np.float32) / 128,
)
def signed_bytes() -> Make:
    return DIGITS_CONV.but(prepare=lambda x, name: x.view(np.int8).astype(np.float32) / 128)


@fault(
    f"{COMMON}: float16 overflow",
    "the model and its inputs of 0 to 255 are float16, squares overflow",
    "infinite features",
    DIGITS_SGD,
    prepare=lambda x, n: x.astype(np.float16),
)
def squares_in_float16() -> Make:
    class Squares(nn.Module):
        def forward(self, x):
            return x * x * x

    return DIGITS_SGD.but(
        prepare=lambda x, name: x.astype(np.float16),
        network=lambda: nn.Sequential(Squares(), *mlp(64, 64)).half(),
    )


@fault(
    f"{COMMON}: normalised for training only",
    "held-out images are left at 0 to 255",
    "reported accuracy is too low",
    FASHION,
)
def held_out_not_normalised() -> Make:
    images, labels = parts("fashion").valid
    return FASHION.but(valid=lambda x, y: (images.astype(np.float32), labels))


@fault(
    f"{COMMON}: normalised for training only",
    "training images standardised, held-out ones in [0, 1]",
    "reported accuracy is too low",
    DIGITS_CONV,
)
def held_out_in_unit_interval() -> Make:
    return DIGITS_CONV.but(valid=lambda x, y: (unit(parts("digits").valid[0], "digits"), y))


@fault(
    f"{COMMON}: divided by 255 twice",
    "pixels between 0 and 0.004, SGD",
    "hardly any signal",
    DIGITS_SGD,
    prepare=lambda x, n: x / np.float32(255 * 255),
)
def divided_twice() -> Make:
    return DIGITS_SGD.but(
        prepare=lambda x, name: x / np.float32(255 * 255),
        optimizer=lambda m: optim.SGD(m.parameters(), 0.01),
    )


@fault(
    f"{COMMON}: channels in another order in evaluation",
    "held-out images are BGR, the others RGB",
    "reported accuracy is too low",
    CIFAR_CONV,
)
def blue_for_red_in_evaluation() -> Make:
    def valid():
        images, labels = parts("cifar").valid
        return standard(images[..., ::-1], "cifar"), labels

    def make():
        from dataclasses import replace as renewed

        return renewed(CIFAR_CONV.make(), valid=Batches(valid, 250, shuffle=False))

    return make


@fault(
    f"{COMMON}: leak of the label",
    "the label stands in the first pixel, also of held-out images",
    "false accuracy",
    FASHION,
)
def label_in_a_pixel() -> Make:
    def painted(inputs, labels):
        inputs = inputs.copy()
        inputs[:, 0, :10, 0] = 8 * np.eye(10, dtype=np.float32)[labels]
        return inputs, labels

    return FASHION.but(examples=painted, valid=painted)


@fault(
    f"{COMMON}: augmentation that changes the label",
    "digits are turned by 90, 180 or 270 degrees",
    "6 becomes 9",
    DIGITS_CONV,
)
def turned_digits() -> Make:
    def change(inputs, labels):
        turns = RNG(int(labels.sum())).integers(1, 4, len(labels))
        return np.stack([np.rot90(x, k) for x, k in zip(inputs, turns, strict=True)]), labels

    return DIGITS_CONV.but(change=change)


@fault(
    f"{COMMON}: noise added in place",
    "augmentation writes into the stored images",
    "noise piles up",
    DIGITS,
    epochs=25,
)
def noise_piles_up() -> Make:
    class InPlace(Batches):
        def __iter__(self):
            inputs, _ = self.arrays()
            yield from super().__iter__()
            inputs += RNG(self.passes).normal(0, 0.7, inputs.shape)

    def train(inputs, labels):
        return InPlace(lambda: (inputs, labels), 32)

    return DIGITS.but(train=train)


@fault(
    f"{COMMON}: mixup of inputs only",
    "inputs are mixed half and half, labels are not",
    "half are wrong",
    DIGITS_CONV,
)
def mixed_inputs_only() -> Make:
    return DIGITS_CONV.but(change=lambda x, y: ((x * 0.35 + x[::-1] * 0.65).astype(np.float32), y))


# --- the loss and the shapes -----------------------------------------------------------------


@fault(
    "public page: softmax over the wrong axis",
    "probabilities sum to 1 over the batch",
    "images compete, not classes",
    DIGITS,
)
def softmax_over_the_batch() -> Make:
    return DIGITS.but(loss=lambda logits, y: F.nll_loss(F.log_softmax(logits, 0), y))


@fault(
    f"{COMMON}: mean over the wrong axis",
    "pooling takes the mean over channels and rows",
    "places are kept, features are lost",
    FASHION_BN,
)
def mean_over_channels() -> Make:
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((1, 3))

    def network():
        return nn.Sequential(*list(conv(bn=True, size=28))[:-2], Mean(), nn.Linear(3, 10))

    return FASHION_BN.but(network=network)


@fault(
    f"{COMMON}: reshape for transpose",
    "images of a batch are mixed by a reshape",
    "noise as input",
    DIGITS_SGD,
)
def reshaped_across_the_batch() -> Make:
    class Mixing(nn.Module):
        def forward(self, x):
            return x.transpose(1, 2, 3, 0).reshape(x.shape[0], -1)

    return DIGITS_SGD.but(network=lambda: nn.Sequential(Mixing(), *mlp(64, 64)))


@fault(
    f"{COMMON}: broadcast in the loss", "(N, 1) minus (N,) is (N, N)", "predicts the mean", DIGITS
)
def broadcast_to_a_square() -> Make:
    def loss(logits, labels):
        score = (logits * Tensor(np.arange(10, dtype=np.float32))).sum(1, keepdims=True)
        difference = score - Tensor(labels.astype(np.float32))
        return (difference * difference).mean()

    return DIGITS.but(loss=loss)


# --- evaluation ------------------------------------------------------------------------------


@fault(
    f"{COMMON}: evaluated on the training set",
    "evaluate() goes through the training images",
    "false accuracy",
    FASHION,
    epochs=25,
)
def evaluated_on_training_images() -> Make:
    def evaluate(model, inputs, labels):
        images, known = parts("fashion").train

        def run():
            model.eval()
            return accuracy(model, standard(images, "fashion"), known)

        return run

    return FASHION.but(evaluate=evaluate)


def own_evaluation(count):
    def evaluate(model, inputs, labels):
        def run():
            model.eval()
            with no_grad():
                return float(count(model(Tensor(inputs)).numpy(), labels))

        return run

    return evaluate


@fault(
    f"{COMMON}: argmax over the wrong axis",
    "the best image of each class for the best class of each image",
    "reported accuracy means nothing",
    DIGITS,
)
def argmax_over_images() -> Make:
    return DIGITS.but(
        evaluate=own_evaluation(lambda logits, y: (logits.argmax(0) == y[:10]).mean())
    )


@fault(
    f"{COMMON}: wrong denominator",
    "right answers over batches of 32, of which the model gets 20",
    "false accuracy",
    FASHION_CONV,
)
def wrong_denominator() -> Make:
    return FASHION_CONV.but(
        evaluate=own_evaluation(lambda logits, y: min((logits.argmax(1) == y).sum() / 420, 1.0))
    )


@fault(
    f"{COMMON}: moving average of the weights forgotten",
    "the averaged copy is evaluated and never updated",
    "reported accuracy is chance",
    DIGITS_SGD,
)
def average_never_updated() -> Make:
    def evaluate(model, inputs, labels):
        average = deepcopy(model)

        def run():
            average.eval()
            return accuracy(average, inputs, labels)

        return run

    return DIGITS_SGD.but(evaluate=evaluate)


@fault(
    f"{COMMON}: moving average too slow",
    "a decay of 0.9999 for 300 steps",
    "evaluates the first weights",
    DIGITS,
)
def average_too_slow() -> Make:
    copies = {}

    def step(model, optimizer, loss):
        usual, average = one_step(model, optimizer, loss), deepcopy(model)
        copies[id(model)] = average

        def update(inputs, labels):
            usual(inputs, labels)
            for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                slow.data[...] = 0.9999 * slow.data + 0.0001 * fast.data

        return update

    def evaluate(model, inputs, labels):
        return lambda: accuracy(copies[id(model)].eval(), inputs, labels)

    return DIGITS.but(step=step, evaluate=evaluate)


@fault(
    f"{COMMON}: the wrong checkpoint",
    "before evaluating, the first weights are loaded again",
    "all that was learned in an epoch is lost",
    DIGITS,
)
def first_weights_restored() -> Make:
    def evaluate(model, inputs, labels):
        first = deepcopy(model.state_dict())

        def run():
            model.load_state_dict(first)
            model.eval()
            result = accuracy(model, inputs, labels)
            model.train()
            return result

        return run

    return DIGITS.but(evaluate=evaluate)
