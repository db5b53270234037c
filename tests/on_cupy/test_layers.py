"""Every layer gives on a GPU what it gives on NumPy, and keeps the same state."""

import inspect

import numpy as np
import pytest

import minires
from minires import Tensor, nn
from on_cupy.cases import cotangent, normal
from on_cupy.test_operations import assert_equal

IMAGES = normal(2, 7, 6, 4)
FEATURES = normal(3, 4)


class CausalAttention(nn.MultiheadAttention):
    """Of a sequence to itself, each position to those before it; the weights are left out."""

    def forward(self, x):
        return super().forward(x, x, x, is_causal=True)[0]


LAYERS = {  # by class: how to make one, and what goes in
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((3, 2)), [IMAGES]),
    "Add": (nn.Add, [IMAGES, normal(2, 7, 6, 4, seed=1)]),
    "AvgPool2d": (lambda: nn.AvgPool2d((3, 2), 3, (1, 0), True, False), [IMAGES]),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), [FEATURES]),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4, momentum=0.3), [IMAGES]),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, (3, 2), 2, 1, (1, 0), 2), [IMAGES]),
    "Conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1), [IMAGES]),
    "BCELoss": (nn.BCELoss, [np.abs(normal(3, 4, seed=2)) % 1, np.abs(normal(3, 4, seed=1)) % 1]),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, [FEATURES, np.abs(normal(3, 4, seed=1)) % 1]),
    "Dropout": (lambda: nn.Dropout(0.3), [IMAGES]),
    "Dropout2d": (lambda: nn.Dropout2d(0.3), [IMAGES]),
    "Embedding": (lambda: nn.Embedding(5, 4, padding_idx=0), [np.array([3, 0, 3])]),
    "Flatten": (nn.Flatten, [IMAGES]),
    "GELU": (nn.GELU, [FEATURES]),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), [IMAGES]),
    "Identity": (nn.Identity, [FEATURES]),
    "KLDivLoss": (nn.KLDivLoss, [FEATURES, np.abs(normal(3, 4, seed=1)) % 1]),
    "L1Loss": (nn.L1Loss, [FEATURES, normal(3, 4, seed=1)]),
    "LayerNorm": (lambda: nn.LayerNorm(4), [IMAGES]),
    "LeakyReLU": (nn.LeakyReLU, [FEATURES]),
    "Linear": (lambda: nn.Linear(4, 5), [FEATURES]),
    "MSELoss": (nn.MSELoss, [FEATURES, normal(3, 4, seed=1)]),
    "MaxPool2d": (lambda: nn.MaxPool2d((3, 2), padding=(1, 0), ceil_mode=True), [IMAGES]),
    "MinPool2d": (lambda: nn.MinPool2d((3, 2), padding=(1, 0)), [IMAGES]),
    "MultiheadAttention": (lambda: CausalAttention(4, 2, 0.2), [normal(2, 7, 4)]),
    "ReLU": (nn.ReLU, [FEATURES]),
    "Sequential": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh()), [FEATURES]),
    "SiLU": (nn.SiLU, [FEATURES]),
    "Sigmoid": (nn.Sigmoid, [FEATURES]),
    "SmoothL1Loss": (nn.SmoothL1Loss, [FEATURES, normal(3, 4, seed=1)]),
    "Softmax": (nn.Softmax, [FEATURES]),
    "LogSoftmax": (nn.LogSoftmax, [FEATURES]),
    "SqueezeExcitation": (lambda: nn.SqueezeExcitation(4, 2), [IMAGES]),
    "StochasticDepth": (lambda: nn.StochasticDepth(0.4), [IMAGES]),
    "Tanh": (nn.Tanh, [FEATURES]),
    "Upsample": (lambda: nn.Upsample((5, 9), mode="bilinear"), [IMAGES]),
}
NO_TENSORS = {
    "Module",
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
}  # they compute nothing
LABELS = {"CrossEntropyLoss", "NLLLoss"}  # below
CONSTANT_TARGETS = {"BCELoss", "BCEWithLogitsLoss"}


def run(name: str, device: str) -> list[Tensor]:
    """In training: the value, the gradients and the state; then the value in evaluation."""
    minires.manual_seed(1)
    make, arrays = LAYERS[name]
    layer = make().to(device, np.float64)
    inputs = [Tensor(a.copy()).to(device) for a in arrays]
    for tensor in inputs[: 1 if name in CONSTANT_TARGETS else None]:
        tensor.requires_grad = tensor.dtype.kind == "f"
    out = layer(*inputs)
    out.backward(Tensor(cotangent(out.numpy())).to(device))
    grads = [t.grad for t in [*(t for t in inputs if t.requires_grad), *layer.parameters()]]
    state = [layer.state_dict()[key].copy() for key in layer.state_dict()]
    return [out, *grads, *state, layer.eval()(*inputs)]


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_equals_numpys(gpu, name):
    assert_equal(run(name, "cuda"), run(name, "cpu"))


def test_no_layer_is_left_out():
    classes = {
        name
        for name, value in vars(nn).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and name in nn.__all__
    }
    assert classes == LAYERS.keys() | NO_TENSORS | LABELS | (classes & {"Parameter"})


LOSSES = [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.1), nn.NLLLoss()]


@pytest.mark.parametrize("of_labels", LOSSES, ids=repr)
def test_losses_of_labels_equal_numpys(gpu, of_labels):
    def run(device):
        logits = Tensor(FEATURES.copy()).to(device).requires_grad_()
        loss = of_labels(logits, np.array([3, 0, 1]))
        loss.backward()
        return [loss, logits.grad]

    assert_equal(run("cuda"), run("cpu"))


def test_labels_on_the_gpu_will_do(gpu):
    logits = Tensor(FEATURES).to("cuda")
    loss = nn.functional.cross_entropy(logits, Tensor(np.array([3, 0, 1])).to("cuda"))
    np.testing.assert_allclose(
        loss.item(),
        nn.functional.cross_entropy(Tensor(FEATURES), np.array([3, 0, 1])).item(),
        rtol=1e-12,
    )


def test_labels_are_checked_on_the_host_before_they_are_uploaded(counting_gpu):
    logits = Tensor(FEATURES).to("cuda")
    counting_gpu.start_counting()
    with pytest.raises(ValueError, match="label 4 is out of range: 4 classes are numbered 0 to 3"):
        nn.functional.cross_entropy(logits, np.array([3, 4, 1]))
    assert set(counting_gpu.counted().values()) == {0}


def test_dropout_draws_the_same_mask_as_on_numpy(gpu):
    def run(device):
        minires.manual_seed(5)
        return nn.functional.dropout(Tensor(np.ones((8, 8))).to(device), 0.4).numpy()

    np.testing.assert_array_equal(run("cuda"), run("cpu"))
    assert 0 < (run("cuda") == 0).sum() < 64
