"""DeepCrime's operators: what a program that trains can be changed by.

Humbatova, Jahangirova and Tonella, "DeepCrime: mutation testing of deep learning systems based on
real faults", ISSTA 2021: 24 operators in groups for data, hyperparameters, activations,
regularisation, weights, loss, optimiser and validation. Each stands here at least once, beside the
learning rate's increase.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import Tensor, nn, optim
from minires.nn import functional as F
from minires.optim import clip_grad_norm_
from outside.setups import (
    DIGITS,
    DIGITS_BN,
    DIGITS_CONV,
    DIGITS_DEEP,
    DIGITS_DROPOUT,
    DIGITS_RESNET,
    DIGITS_SGD,
    FASHION,
    FASHION_CONV,
    Make,
    Twin,
    conv,
    deep,
    dropping,
    fault,
    mlp,
    parts,
    standard,
)

RNG = np.random.default_rng


def operator(name: str, cause: str, harm: str, twin: Twin, **more: Any) -> Any:
    return fault(f"DeepCrime operator: {name}", cause, harm, twin, **more)


@operator(
    "change labels",
    "four in ten labels are drawn at random",
    "much is learned wrong",
    DIGITS,
    epochs=40,
)
def labels_at_random() -> Make:
    def examples(inputs, labels):
        rng = RNG(3)
        lost = rng.random(len(labels)) < 0.4
        return inputs, np.where(lost, rng.integers(0, 10, len(labels)), labels)

    return DIGITS.but(examples=examples)


@operator("change labels", "every 3 is labelled 8", "no 3 is ever recognised", DIGITS_CONV)
def threes_are_eights() -> Make:
    return DIGITS_CONV.but(examples=lambda x, y: (x, np.where(y == 3, 8, y)))


@operator("remove portion of training data", "1 in 40 images is left", "too few", DIGITS, epochs=60)
def thirty_images() -> Make:
    return DIGITS.but(examples=lambda x, y: (x[::40], y[::40]))


@operator("remove portion of training data", "one class is gone", "it is never found", FASHION)
def no_bags() -> Make:
    return FASHION.but(examples=lambda x, y: (x[y != 8], y[y != 8]))


@operator(
    "unbalance training data",
    "97 of 100 images of classes 5 to 9 are gone",
    "those classes are missed",
    DIGITS_SGD,
)
def half_the_classes_rare() -> Make:
    def examples(inputs, labels):
        kept = (labels < 5) | (RNG(0).random(len(labels)) < 0.03)
        return inputs[kept], labels[kept]

    return DIGITS_SGD.but(examples=examples)


@operator(
    "add noise to training data",
    "noise three times as large as the images is added",
    "the network learns the noise",
    DIGITS,
    epochs=20,
)
def noise_over_the_images() -> Make:
    def examples(inputs, labels):
        return inputs + RNG(0).normal(0, 3, inputs.shape).astype(np.float32), labels

    return DIGITS.but(examples=examples)


@operator(
    "make output classes overlap",
    "images of 4 and 9 stand there under both labels",
    "the two are guessed",
    DIGITS,
)
def four_and_nine_overlap() -> Make:
    def examples(inputs, labels):
        both = np.isin(labels, (4, 9))
        return np.concatenate([inputs, inputs[both]]), np.concatenate([labels, 13 - labels[both]])

    return DIGITS.but(examples=examples)


@operator(
    "change batch size",
    "batches of one at the rate for batches of 32",
    "unstable",
    DIGITS_SGD,
    epochs=2,
)
def batches_of_one() -> Make:
    return DIGITS_SGD.but(batch_size=1)


@operator("change batch size", "batches of 600: two steps an epoch", "too few steps", DIGITS)
def batches_of_six_hundred() -> Make:
    return DIGITS.but(batch_size=600)


@operator("disable data batching", "all images in a single batch", "one step an epoch", FASHION)
def a_single_batch() -> Make:
    return FASHION.but(batch_size=2000)


@operator("decrease learning rate", "Adam at 1e-6", "hardly any step", DIGITS)
def rate_of_a_millionth() -> Make:
    return DIGITS.but(optimizer=lambda m: optim.Adam(m.parameters(), lr=1e-6))


@operator(
    "decrease learning rate", "SGD at 1e-5 without momentum", "hardly any step", DIGITS_RESNET
)
def resnet_at_a_tiny_rate() -> Make:
    return DIGITS_RESNET.but(optimizer=lambda m: optim.SGD(m.parameters(), lr=1e-5))


@operator("increase learning rate", "SGD at 8", "diverges", DIGITS_SGD)
def rate_of_eight() -> Make:
    return DIGITS_SGD.but(optimizer=lambda m: optim.SGD(m.parameters(), lr=8, momentum=0.9))


@operator("increase learning rate", "Adam at 0.3", "units die at once", FASHION_CONV)
def adam_at_a_third() -> Make:
    return FASHION_CONV.but(optimizer=lambda m: optim.Adam(m.parameters(), lr=0.3))


@operator("change number of epochs", "one epoch where six are needed", "none", FASHION, epochs=1)
def one_epoch() -> Make:
    return FASHION.but()


@operator("change activation function", "sigmoid in eight layers", "gradients vanish", DIGITS_DEEP)
def sigmoids_for_relus() -> Make:
    return DIGITS_DEEP.but(network=lambda: deep(nn.Sigmoid))


@operator(
    "change activation function", "softmax between the layers", "hardly any signal", DIGITS_SGD
)
def softmax_between_layers() -> Make:
    return DIGITS_SGD.but(network=lambda: mlp(64, 64, activation=nn.Softmax))


@operator("change activation function", "the exponential in six layers", "overflows", DIGITS)
def exponentials_for_relus() -> Make:
    class Exp(nn.Module):
        def forward(self, x):
            return x.exp()

    return DIGITS.but(network=lambda: mlp(64, 64, 64, activation=Exp))


@operator("remove activation function", "linear layers only", "none", FASHION)
def no_activation() -> Make:
    return FASHION.but(network=lambda: mlp(100, 100, activation=nn.Identity, pixels=784))


@operator("add activation function to layer", "ReLU on the logits", "no logit below 0", DIGITS_SGD)
def relu_on_logits() -> Make:
    def network():
        return nn.Sequential(*mlp(64, 64), nn.ReLU())

    return DIGITS_SGD.but(network=network, optimizer=lambda m: optim.SGD(m.parameters(), lr=0.5))


@operator("add activation function to layer", "sigmoid on the logits", "flat loss", FASHION_CONV)
def sigmoid_on_logits() -> Make:
    return FASHION_CONV.but(network=lambda: nn.Sequential(*conv(size=28), nn.Sigmoid()))


@operator("add weights regularisation", "weight decay of 1 in SGD", "weights go to 0", DIGITS_SGD)
def decay_of_one() -> Make:
    return DIGITS_SGD.but(
        optimizer=lambda m: optim.SGD(m.parameters(), 0.05, momentum=0.9, weight_decay=1.0)
    )


@operator(
    "add weights regularisation",
    "the sum of all absolute weights is added to the loss",
    "weights go to 0",
    DIGITS,
)
def absolute_weights_in_the_loss() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            optimizer.zero_grad()
            value = loss(model(Tensor(inputs)), labels)
            for parameter in model.parameters():
                value = value + parameter.abs().sum()
            value.backward()
            optimizer.step()

        return update

    return DIGITS.but(step=step)


@operator(
    "change weights regularisation", "AdamW with weight decay of 300", "weights go to 0", DIGITS
)
def decoupled_decay_of_three_hundred() -> Make:
    return DIGITS.but(optimizer=lambda m: optim.AdamW(m.parameters(), 1e-3, weight_decay=300.0))


@operator("remove weights regularisation", "weight decay is gone", "none", DIGITS_RESNET)
def no_weight_decay() -> Make:
    return DIGITS_RESNET.but(
        optimizer=lambda m: optim.SGD(m.parameters(), 0.05, momentum=0.9, weight_decay=0)
    )


@operator(
    "change dropout rate", "dropout of 0.97 for 0.2", "too little gets through", DIGITS_DROPOUT
)
def dropout_of_nearly_all() -> Make:
    return DIGITS_DROPOUT.but(network=lambda: dropping(0.97))


@operator("change dropout rate", "dropout of 0 for 0.2", "none", DIGITS_DROPOUT)
def dropout_of_nothing() -> Make:
    return DIGITS_DROPOUT.but(network=lambda: dropping(0.0))


@operator(
    "change patience",
    "training ends as soon as one batch is worse than the best",
    "stops after a few batches",
    DIGITS,
)
def no_patience() -> Make:
    def step(model, optimizer, loss):
        best, stopped = [float("inf")], [False]

        def update(inputs, labels):
            if stopped[0]:
                return
            optimizer.zero_grad()
            value = loss(model(Tensor(inputs)), labels)
            value.backward()
            optimizer.step()
            stopped[0] = value.item() > best[0]
            best[0] = min(best[0], value.item())

        return update

    return DIGITS.but(step=step)


def weights(fill: Callable[[Any], Any]) -> Callable[[Any], None]:
    def after(model):
        for parameter in model.parameters():
            if parameter.ndim > 1:
                fill(parameter)

    return after


@operator(
    "change weights initialisation", "all weights are 0", "no gradient in most layers", DIGITS
)
def weights_of_zero() -> Make:
    return DIGITS.but(after=weights(nn.init.zeros_))


@operator(
    "change weights initialisation", "all weights are 1", "all units are the same", DIGITS_CONV
)
def weights_of_one() -> Make:
    return DIGITS_CONV.but(after=weights(nn.init.ones_))


@operator(
    "change weights initialisation",
    "normal weights of standard deviation 3",
    "huge logits",
    FASHION,
)
def weights_too_large() -> Make:
    return FASHION.but(after=weights(lambda w: nn.init.normal_(w, std=3.0)))


@operator(
    "change weights initialisation",
    "normal weights of standard deviation 1e-4",
    "the signal is lost on its way",
    DIGITS_DEEP,
)
def weights_too_small() -> Make:
    return DIGITS_DEEP.but(after=weights(lambda w: nn.init.normal_(w, std=1e-4)))


@operator("add bias to a layer", "biases before batch norm", "none", DIGITS_BN)
def bias_before_batch_norm() -> Make:
    return DIGITS_BN.but()  # `conv` has them


@operator("remove bias from a layer", "no layer has a bias", "none", DIGITS)
def no_biases() -> Make:
    def network():
        model = mlp(64, 64)
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.bias = None
        return model

    return DIGITS.but(network=network)


@operator(
    "change loss function",
    "squared difference of the largest logit's number from the label",
    "class numbers are no quantities",
    DIGITS,
)
def squared_difference_to_the_number() -> Make:
    return DIGITS.but(loss=lambda logits, y: F.mse_loss(logits[:, 0], np.float32(y)))


@operator(
    "change loss function",
    "absolute difference of logits from one-hot labels",
    "the median of a one-hot vector is 0",
    DIGITS_SGD,
)
def absolute_difference() -> Make:
    return DIGITS_SGD.but(loss=lambda logits, y: F.l1_loss(logits, np.eye(10, dtype=np.float32)[y]))


@operator(
    "change loss function",
    "Poisson loss: the logits minus the label's logit's logarithm",
    "logits below 0 have no logarithm",
    FASHION,
)
def poisson_loss() -> Make:
    def loss(logits, labels):
        target = Tensor(np.eye(10, dtype=np.float32)[labels])
        return (logits - target * logits.log()).mean()

    return FASHION.but(loss=loss)


@operator(
    "change gradient clip", "gradients are clipped to a norm of 1e-4", "tiny steps", DIGITS_SGD
)
def clipped_to_nothing() -> Make:
    def step(model, optimizer, loss):
        def update(inputs, labels):
            optimizer.zero_grad()
            loss(model(Tensor(inputs)), labels).backward()
            clip_grad_norm_(model.parameters(), 1e-4)
            optimizer.step()

        return update

    return DIGITS_SGD.but(step=step)


@operator(
    "change optimisation function", "Adam at the rate of SGD, 0.5", "too large steps", DIGITS_BN
)
def adam_at_the_rate_of_sgd() -> Make:
    return DIGITS_BN.but(optimizer=lambda m: optim.Adam(m.parameters(), lr=0.5))


@operator(
    "change optimisation function", "SGD at the rate of Adam, 1e-3", "too small steps", FASHION
)
def sgd_at_the_rate_of_adam() -> Make:
    return FASHION.but(optimizer=lambda m: optim.SGD(m.parameters(), lr=1e-3))


@operator(
    "remove validation set",
    "what is held out is the training data",
    "false accuracy",
    FASHION,
    epochs=25,
)
def validated_on_the_training_data() -> Make:
    images, labels = parts("fashion").train
    return FASHION.but(valid=lambda x, y: (standard(images, "fashion"), labels))
