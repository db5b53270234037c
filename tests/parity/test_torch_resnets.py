"""Whole networks against PyTorch's with the same weights: logits, loss, gradients, statistics.

The PyTorch twins are written out here, so that no other package is needed.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

from minires import Tensor, models, nn


class Block(torch.nn.Module):
    """A basic block or a bottleneck with torchvision's names."""

    def __init__(self, channels, width, stride, bottleneck, shortcut):
        super().__init__()
        T = torch.nn
        out = width * (4 if bottleneck else 1)
        if bottleneck:
            sizes = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        else:
            sizes = [(channels, width, 3, stride), (width, out, 3, 1)]
        for i, (a, b, k, s) in enumerate(sizes, 1):
            self.add_module(f"conv{i}", T.Conv2d(a, b, k, s, padding=k // 2, bias=False))
            self.add_module(f"bn{i}", T.BatchNorm2d(b))
        self.count, self.stride, self.new = len(sizes), stride, out - channels
        self.downsample = None
        if shortcut == "B" and (stride != 1 or self.new):
            self.downsample = T.Sequential(
                T.Conv2d(channels, out, 1, stride, bias=False), T.BatchNorm2d(out)
            )

    def forward(self, x):
        out = x
        for i in range(1, self.count + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            out = TF.relu(out) if i < self.count else out
        if self.downsample is not None:
            x = self.downsample(x)
        elif self.new or self.stride != 1:
            x = TF.pad(
                x[:, :, :: self.stride, :: self.stride],
                (0, 0, 0, 0, self.new // 2, self.new - self.new // 2),
            )
        return TF.relu(out + x)


class Twin(torch.nn.Module):
    def __init__(self, depths, widths, bottleneck, large, shortcut, classes):
        super().__init__()
        T = torch.nn
        size = (7, 2, 3) if large else (3, 1, 1)
        self.conv1 = T.Conv2d(3, widths[0], size[0], size[1], size[2], bias=False)
        self.bn1 = T.BatchNorm2d(widths[0])
        self.large, self.stages, channels = large, len(depths), widths[0]
        for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
            blocks = []
            for j in range(depth):
                stride = 2 if i and not j else 1
                blocks.append(Block(channels, width, stride, bottleneck, shortcut))
                channels = width * (4 if bottleneck else 1)
            self.add_module(f"layer{i + 1}", T.Sequential(*blocks))
        self.fc = T.Linear(channels, classes)

    def forward(self, x):
        x = TF.relu(self.bn1(self.conv1(x)))
        x = TF.max_pool2d(x, 3, 2, 1) if self.large else x
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(x.mean((2, 3)))


TWINS = {
    "resnet18": lambda n: Twin((2, 2, 2, 2), (64, 128, 256, 512), False, True, "B", n),
    "resnet50": lambda n: Twin((3, 4, 6, 3), (64, 128, 256, 512), True, True, "B", n),
    "resnet20": lambda n: Twin((3, 3, 3), (16, 32, 64), False, False, "A", n),
}


def to_torch(array):
    """Weights in PyTorch's layout."""
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    return torch.tensor((array.T if array.ndim == 2 else array).copy())


@pytest.mark.parametrize(
    ("name", "size"), [("resnet18", (40, 33)), ("resnet50", (40, 33)), ("resnet20", (12, 9))]
)
def test_a_training_step_and_an_evaluation(name, size):
    rng = np.random.default_rng(3)
    model = models.create(name, num_classes=7).to(dtype="float64")
    for key, tensor in model.state_dict().items():
        gamma_or_beta = tensor.ndim == 1 and "running" not in key and not key.startswith("fc")
        if gamma_or_beta:
            tensor.data[...] = rng.uniform(0.5, 1.5, tensor.shape) - key.endswith("bias")
    twin = TWINS[name](7).double()
    state = {key: to_torch(t.numpy()) for key, t in model.state_dict().items()}
    assert list(state) == list(twin.state_dict())
    twin.load_state_dict(state)
    for step in range(2):
        x, labels = rng.normal(size=(3, *size, 3)), rng.integers(0, 7, 3)
        model.zero_grad()
        twin.zero_grad()
        logits = model(Tensor(x))
        loss = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
        loss.backward()
        wanted = twin(torch.tensor(x.transpose(0, 3, 1, 2).copy()))
        wanted_loss = TF.cross_entropy(wanted, torch.tensor(labels), label_smoothing=0.1)
        wanted_loss.backward()
        near(logits.numpy(), wanted)
        assert abs(loss.item() - wanted_loss.item()) < 1e-9
        theirs = dict(twin.named_parameters())
        assert len(theirs) == len(list(model.parameters()))
        for key, p in model.named_parameters():
            near(to_torch(p.grad.numpy()), theirs[key].grad, key)
        buffers = dict(twin.named_buffers())
        for key, b in model.named_buffers():
            near(b.numpy(), buffers[key], key)
        if step == 0:
            with torch.no_grad():
                for key, p in model.named_parameters():
                    p.data -= 0.01 * p.grad.data
                    theirs[key] -= 0.01 * theirs[key].grad
    model.eval()
    twin.eval()
    x = rng.normal(size=(2, *size, 3))
    near(model(Tensor(x)).numpy(), twin(torch.tensor(x.transpose(0, 3, 1, 2).copy())))


def near(got, wanted, key=""):
    wanted = wanted.detach().numpy()
    scale = max(float(np.abs(wanted).max()), 1e-8)
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=0, atol=1e-7 * scale, err_msg=key)
