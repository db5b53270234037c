"""What published tools look for: UMLAUT, DeepLocalize, AUTOTRAINER, NeuraLint, TheDeepChecker.

Schoop et al., CHI 2021; Wardat et al., ICSE 2021; Zhang et al., ICSE 2021; Nikanjam et al., TOSEM
2021; Ben Braiek and Khomh, TOSEM 2023; Wardat et al., "DeepDiagnosis", ICSE 2022.
"""

from __future__ import annotations

import numpy as np

from minires import Tensor, nn, optim
from minires.nn import functional as F
from outside.setups import (
    CIFAR_CONV,
    DIGITS,
    DIGITS_BN,
    DIGITS_BN_SGD,
    DIGITS_CONV,
    DIGITS_DEEP,
    DIGITS_DROPOUT,
    DIGITS_SGD,
    FASHION,
    FASHION_CONV,
    Make,
    conv,
    deep,
    fault,
    mlp,
    parts,
    raw,
    sgd,
    standard,
)

EYE = np.eye(10, dtype=np.float32)


def hidden_biases(model, value):
    for layer in model:
        if isinstance(layer, nn.Linear | nn.Conv2d) and layer is not model[len(model) - 1]:
            nn.init.constant_(layer.bias, value)


# --- UMLAUT ----------------------------------------------------------------------------------


@fault(
    "UMLAUT: input data exceed typical limits",
    "pixels of 0 to 255 with SGD",
    "units die",
    DIGITS_SGD,
    prepare=raw,
)
def pixels_not_scaled() -> Make:
    return DIGITS_SGD.but(prepare=raw)


@fault(
    "UMLAUT: input is not floating point",
    "uint8 pixels straight from the loader",
    "units die",
    FASHION,
    prepare=lambda x, name: x,
)
def bytes_as_input() -> Make:
    return FASHION.but(prepare=lambda x, name: x, form="loader", optimizer=sgd)


@fault("UMLAUT: NaN in input", "three images hold not-a-number", "all weights become NaN", DIGITS)
def holes_in_images() -> Make:
    def examples(inputs, labels):
        inputs = inputs.copy()
        inputs[[100, 500, 900], 3] = np.nan
        return inputs, labels

    return DIGITS.but(examples=examples)


def scrambled(images, name):
    return standard(images, name).transpose(0, 3, 1, 2).reshape(images.shape)


@fault(
    "UMLAUT: image channels in the wrong order",
    "planes of colours read as pixels of colours",
    "images are scrambled",
    CIFAR_CONV,
    prepare=scrambled,
)
def planes_as_pixels() -> Make:
    return CIFAR_CONV.but(prepare=scrambled)


@fault(
    "UMLAUT: softmax doubled", "softmax before a cross-entropy that has its own", "slow", DIGITS_SGD
)
def softmax_twice() -> Make:
    return DIGITS_SGD.but(network=lambda: nn.Sequential(*mlp(64, 64), nn.Softmax()))


@fault("UMLAUT: softmax missing", "negative log-likelihood of raw logits", "no lower bound", DIGITS)
def likelihood_of_raw_logits() -> Make:
    return DIGITS.but(loss=F.nll_loss)


@fault(
    "UMLAUT: softmax missing",
    "negative log-likelihood of probabilities, not their logarithms",
    "none",
    FASHION,
)
def likelihood_of_probabilities() -> Make:
    return FASHION.but(loss=lambda logits, y: F.nll_loss(F.softmax(logits, -1), y))


@fault("UMLAUT: learning rate too high", "Adam at 1", "units die", DIGITS_CONV)
def adam_at_one() -> Make:
    return DIGITS_CONV.but(optimizer=lambda m: optim.Adam(m.parameters(), lr=1.0))


@fault("UMLAUT: learning rate too low", "Adam at 1e-7", "nothing moves", FASHION_CONV)
def adam_at_a_ten_millionth() -> Make:
    return FASHION_CONV.but(optimizer=lambda m: optim.Adam(m.parameters(), lr=1e-7))


@fault(
    "UMLAUT: high dropout rate",
    "dropout of 0.9 after every layer",
    "too little gets through",
    DIGITS_DROPOUT,
)
def dropout_everywhere() -> Make:
    def network():
        return nn.Sequential(nn.Dropout(0.9), *mlp(48), nn.Dropout(0.9))

    return DIGITS_DROPOUT.but(network=network)


@fault(
    "UMLAUT: overfitting",
    "fifty images, a wide network, 150 epochs",
    "learned by heart",
    FASHION,
    epochs=150,
)
def fifty_by_heart() -> Make:
    return FASHION.but(examples=lambda x, y: (x[:50], y[:50]), network=lambda: mlp(256, pixels=784))


@fault(
    "UMLAUT: validation accuracy suspiciously high",
    "three in four held-out images are trained on",
    "false accuracy",
    FASHION,
    epochs=30,
)
def held_out_images_in_training() -> Make:
    images, labels = parts("fashion").train

    def valid(inputs, known):
        inputs = np.concatenate([inputs[:125], standard(images[:375], "fashion")])
        return inputs, np.concatenate([known[:125], labels[:375]])

    return FASHION.but(valid=valid)


@fault(
    "UMLAUT: no nonlinearity",
    "convolutions follow one another without an activation",
    "none",
    FASHION_CONV,
)
def linear_convolutions() -> Make:
    def network():
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.AvgPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 49, 10),
        )

    return FASHION_CONV.but(network=network)


@fault("UMLAUT: final layer of the wrong size", "100 outputs for 10 classes", "none", DIGITS)
def hundred_outputs() -> Make:
    return DIGITS.but(network=lambda: nn.Sequential(*list(mlp(64, 64))[:-1], nn.Linear(64, 100)))


# --- DeepLocalize, DeepDiagnosis, AUTOTRAINER ------------------------------------------------


@fault("AUTOTRAINER: dying ReLU", "biases start at -20", "no unit is ever active", DIGITS)
def biases_of_minus_twenty() -> Make:
    return DIGITS.but(after=lambda model: hidden_biases(model, -20.0))


@fault(
    "AUTOTRAINER: dying ReLU",
    "the first step is so large that most units die",
    "few units left",
    DIGITS_SGD,
)
def killed_by_the_first_step() -> Make:
    def step(model, optimizer, loss):
        steps = [0]

        def update(inputs, labels):
            optimizer.param_groups[0]["lr"] = 30.0 if steps[0] == 0 else 0.05
            steps[0] += 1
            optimizer.zero_grad()
            loss(model(Tensor(inputs)), labels).backward()
            optimizer.step()

        return update

    return DIGITS_SGD.but(step=step)


@fault(
    "AUTOTRAINER: gradient vanishing",
    "fifteen layers of tanh with small weights",
    "flat loss",
    DIGITS_DEEP,
)
def fifteen_small_tanhs() -> Make:
    def after(model):
        for parameter in model.parameters():
            nn.init.uniform_(parameter, -0.05, 0.05)

    return DIGITS_DEEP.but(network=lambda: deep(nn.Tanh, 15), after=after)


@fault("AUTOTRAINER: gradient vanishing", "twelve layers of sigmoid, SGD", "flat loss", DIGITS_DEEP)
def twelve_sigmoids() -> Make:
    return DIGITS_DEEP.but(
        network=lambda: deep(nn.Sigmoid, 12), optimizer=lambda m: optim.SGD(m.parameters(), 0.1)
    )


@fault(
    "AUTOTRAINER: gradient explosion",
    "eight layers whose weights are five times too large",
    "huge logits",
    DIGITS_DEEP,
)
def weights_five_times_too_large() -> Make:
    def after(model):
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data *= 5

    return DIGITS_DEEP.but(after=after, optimizer=lambda m: optim.SGD(m.parameters(), 0.01))


@fault(
    "AUTOTRAINER: oscillating loss", "SGD at 0.6 with momentum 0.95", "goes up and down", FASHION
)
def up_and_down() -> Make:
    return FASHION.but(optimizer=lambda m: optim.SGD(m.parameters(), 0.6, momentum=0.95))


@fault(
    "AUTOTRAINER: slow convergence",
    "SGD at 1e-3 without momentum",
    "not there in time",
    DIGITS_CONV,
)
def not_there_in_time() -> Make:
    return DIGITS_CONV.but(optimizer=lambda m: optim.SGD(m.parameters(), 1e-3))


@fault(
    "DeepLocalize program: wrong loss for the last activation",
    "squared difference of ReLU outputs from one-hot labels",
    "classes die",
    DIGITS_SGD,
)
def squares_of_relus() -> Make:
    return DIGITS_SGD.but(
        network=lambda: nn.Sequential(*mlp(64, 64), nn.ReLU()),
        loss=lambda out, y: F.mse_loss(out, EYE[y]),
    )


@fault(
    "DeepLocalize program: wrong loss for the last activation",
    "binary cross-entropy with logits of probabilities",
    "none",
    DIGITS,
)
def binary_loss_of_probabilities() -> Make:
    return DIGITS.but(
        network=lambda: nn.Sequential(*mlp(64, 64), nn.Softmax()),
        loss=lambda out, y: F.binary_cross_entropy_with_logits(out, EYE[y]),
    )


@fault(
    "DeepLocalize program: one output for many classes",
    "a sigmoid of one unit compared with the class number",
    "no classes",
    DIGITS,
)
def one_output() -> Make:
    return DIGITS.but(
        network=lambda: nn.Sequential(*list(mlp(64, 64))[:-1], nn.Linear(64, 1), nn.Sigmoid()),
        loss=lambda out, y: F.mse_loss(out[:, 0], np.float32(y)),
    )


@fault(
    "DeepLocalize program: numerical error",
    "the logarithm of probabilities that reach 0",
    "NaN",
    DIGITS_SGD,
)
def logarithm_of_zero() -> Make:
    def loss(logits, labels):
        exps = logits.exp()
        p = exps / exps.sum(-1, keepdims=True)
        return -(Tensor(EYE[labels]) * p.log()).sum(-1).mean()

    return DIGITS_SGD.but(
        loss=loss, prepare=raw, optimizer=lambda m: optim.SGD(m.parameters(), 0.05)
    )


@fault(
    "DeepDiagnosis: saturated activation",
    "tanh units that start with weights of 2",
    "saturated",
    DIGITS_DEEP,
)
def saturated_tanhs() -> Make:
    def after(model):
        for parameter in model.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=2.0)

    return DIGITS_DEEP.but(network=lambda: deep(nn.Tanh, 6), after=after)


@fault(
    "DeepDiagnosis: saturated activation",
    "sigmoid units on pixels of 0 to 255",
    "saturated",
    DIGITS_SGD,
    prepare=raw,
)
def sigmoids_of_raw_pixels() -> Make:
    return DIGITS_SGD.but(prepare=raw, network=lambda: mlp(64, 64, activation=nn.Sigmoid))


@fault(
    "DeepDiagnosis: unchanged weights",
    "the optimiser has only the first layer",
    "the rest stays",
    DIGITS_DEEP,
)
def only_the_first_layer_learns() -> Make:
    return DIGITS_DEEP.but(
        optimizer=lambda m: optim.Adam(list(m.parameters())[:2], 1e-3),
        network=lambda: deep(nn.Tanh),
    )


# --- NeuraLint -------------------------------------------------------------------------------


@fault(
    "NeuraLint: constant initialisation",
    "all weights are 0.05",
    "all units are the same",
    DIGITS_SGD,
)
def same_units() -> Make:
    def after(model):
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.05)

    return DIGITS_SGD.but(after=after)


@fault("NeuraLint: dropout as the last layer", "dropout of 0.5 on the logits", "none", DIGITS)
def dropout_on_logits() -> Make:
    return DIGITS.but(network=lambda: nn.Sequential(*mlp(64, 64), nn.Dropout(0.5)))


@fault(
    "NeuraLint: dropout before batch norm",
    "dropout of 0.8 before batch norm",
    "statistics differ in evaluation",
    DIGITS_BN,
)
def dropout_before_batch_norm() -> Make:
    def network():
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 64),
            nn.Dropout(0.8),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.Dropout(0.8),
            nn.BatchNorm1d(64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    return DIGITS_BN.but(network=network)


@fault(
    "NeuraLint: too much pooling",
    "the first pooling leaves one pixel",
    "no places left",
    DIGITS_CONV,
)
def pooled_to_a_pixel() -> Make:
    def network():
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(8),
            nn.Flatten(),
            nn.Linear(8, 10),
        )

    return DIGITS_CONV.but(network=network)


@fault("NeuraLint: narrowing channels", "two channels, then one", "a bottleneck", FASHION_CONV)
def narrowing_channels() -> Make:
    def network():
        return nn.Sequential(
            nn.Conv2d(1, 2, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(2, 1, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(1, 1, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, 10),
        )

    return FASHION_CONV.but(network=network)


@fault(
    "NeuraLint: batch norm after the last layer",
    "batch norm over the logits, without scale",
    "none",
    DIGITS_BN_SGD,
)
def batch_norm_on_logits() -> Make:
    def network():
        return nn.Sequential(*conv(bn=True), nn.BatchNorm1d(10, affine=False))

    return DIGITS_BN_SGD.but(network=network)


# --- TheDeepChecker --------------------------------------------------------------------------


@fault(
    "TheDeepChecker: loss not averaged",
    "the sum over the batch at the rate of the mean",
    "32 times too large steps",
    DIGITS_SGD,
)
def sum_over_the_batch() -> Make:
    return DIGITS_SGD.but(loss=lambda logits, y: F.cross_entropy(logits, y, reduction="sum"))


@fault(
    "TheDeepChecker: inputs that do not vary",
    "an integer division makes all pixels 0",
    "nothing to see",
    DIGITS_CONV,
    prepare=lambda x, n: np.float32(x.astype(int) // 256),
)
def black_images() -> Make:
    return DIGITS_CONV.but(prepare=lambda x, name: np.float32(x.astype(int) // 256))


@fault(
    "TheDeepChecker: inputs far from mean 0",
    "pixels plus 100",
    "a large common part",
    DIGITS_SGD,
    prepare=lambda x, n: x.astype(np.float32) / 255 + 100,
)
def inputs_far_from_zero() -> Make:
    return DIGITS_SGD.but(prepare=lambda x, name: x.astype(np.float32) / 255 + 100)


@fault(
    "TheDeepChecker: parameters that are not trained",
    "the first convolution asks for no gradient",
    "none",
    CIFAR_CONV,
)
def first_layer_without_gradient() -> Make:
    return CIFAR_CONV.but(after=lambda m: m[1].requires_grad_(False) and None)


def over_tiny_deviations(images, name):
    first = parts(name).train[0][:60].astype(np.float32)
    return ((images - first.mean(0)) / (first.std(0) + 1e-6)).astype(np.float32)


@fault(
    "TheDeepChecker: unstable normalisation",
    "each pixel over its own tiny deviation",
    "rare pixels blow up",
    FASHION,
    prepare=over_tiny_deviations,
)
def pixels_over_tiny_deviations() -> Make:
    return FASHION.but(prepare=over_tiny_deviations)
