"""Random small networks of PyTorch's, of layers and of functions as scripts have them."""

import random

import torch
from torch import nn
from torch.nn import functional as F


class Call(nn.Module):
    """A function of the images, and perhaps of a layer."""

    def __init__(self, function, *layers):
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x):
        return self.function(x, *self.layers)


def layers(r, c):
    """Constructors for images of c channels."""
    pool = {"ceil_mode": r.random() < 0.4, "stride": r.choice([1, 2, 3])}
    counted = {"count_include_pad": r.random() < 0.5, "padding": r.choice([0, 1])}
    axis = r.choice([1, 2])
    kernel = (r.choice([1, 2, 3]), r.choice([1, 3]))
    conv = {"stride": r.choice([1, 2]), "padding": r.choice([0, 1]), "dilation": r.choice([1, 2])}
    return [
        lambda: nn.Conv2d(c, r.choice([2, 4, 6]), kernel, **conv, bias=r.random() < 0.7),
        lambda: nn.Conv2d(c, 2 * c, 3, groups=c, padding=1),
        lambda: nn.BatchNorm2d(c),
        lambda: nn.InstanceNorm2d(c, affine=True),
        lambda: nn.GroupNorm(1, c),
        lambda: nn.MaxPool2d(r.choice([2, 3]), padding=r.choice([0, 1]), **pool),
        lambda: nn.MaxPool2d(2, dilation=2, **pool),
        lambda: nn.AvgPool2d(r.choice([2, 3]), **pool, **counted),
        lambda: r.choice([nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.ELU, nn.SELU, nn.Tanh])(),
        lambda: r.choice([nn.PReLU, nn.LeakyReLU, nn.Softplus, nn.Mish, nn.Hardsigmoid, nn.CELU])(),
        lambda: nn.PReLU(c),
        lambda: nn.Softmax(r.choice([1, 2, 3])),
        lambda: r.choice([nn.ReflectionPad2d(1), nn.ReplicationPad2d((1, 2, 0, 1))]),
        lambda: Call(lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True))),
        lambda: Call(lambda x: x * torch.sigmoid(x.mean((2, 3)).view(x.size(0), -1, 1, 1))),
        lambda: Call(lambda x: torch.cat([x, torch.relu(x)], axis)),
        lambda: Call(lambda x: torch.cat(x.split([1, x.size(1) - 1], 1)[::-1], 1)),
        lambda: Call(lambda x: x.clamp(min=-0.3)),
        lambda: Call(lambda x: x.clamp(-0.5, 0.5)),
        lambda: Call(lambda x: x.abs().sqrt() + x**2),
        lambda: Call(lambda x: 1 / (x.abs() + 1)),
        lambda: Call(lambda x: x.permute(0, 1, 3, 2)),
        lambda: Call(lambda x: x[:, :, ::2, 1:]),
        lambda: Call(lambda x: x[:, :1] * x),
        lambda: Call(lambda x: x + x[0].mean(0)),
        lambda: Call(lambda x: x + x[0].mean(0)[0]),
        lambda: Call(lambda x: x * x.mean((1, 2)).unsqueeze(1).unsqueeze(1)),
        lambda: Call(lambda x: (x.unsqueeze(1) * x.unsqueeze(2)).mean(2)),
        lambda: Call(lambda x: F.pad(x, (1, 0, 2, -1), value=0.5)),
        lambda: Call(lambda x: torch.where(x > 0, x, x * 0.1)),
        lambda: Call(lambda x: x.amax(1, keepdim=True) + x),
        lambda: Call(lambda x: (x + 3) / x.size(2)),
        lambda: Call(
            lambda x: (
                x.view(x.size(0), 2, x.size(1) // 2, x.size(2), x.size(3))
                .transpose(1, 2)
                .reshape(x.size(0), -1, x.size(2), x.size(3))
            )
        ),
    ]


def heads(r, c, h, w):
    """What ends a network of images (N, c, h, w)."""
    linear = lambda n: nn.Linear(n, 5, bias=r.random() < 0.7)  # noqa: E731
    return [
        lambda: Call(lambda x, fc: fc(x.view(x.size(0), -1)), linear(c * h * w)),
        lambda: Call(lambda x, fc: fc(torch.flatten(x, 1)), linear(c * h * w)),
        lambda: Call(lambda x, fc: fc(F.adaptive_avg_pool2d(x, 1).flatten(1)), linear(c)),
        lambda: Call(lambda x, fc: fc(x.mean((2, 3))), linear(c)),
        lambda: Call(lambda x, fc: fc(x.mean(3).mean(2)).log_softmax(1), linear(c)),
        lambda: Call(lambda x, fc: fc(x.permute(0, 2, 3, 1)), linear(c)),
        lambda: Call(lambda x, fc: fc(x.flatten(2).transpose(1, 2)).mean(1), linear(c)),
        lambda: Call(lambda x, fc: fc(x), linear(w)),
        lambda: Call(lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2)),
        lambda: nn.Identity(),
    ]


def drawn_network(seed):
    """A network in evaluation mode, the shape of its images, and an opset to export it with."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    shape = (2, r.choice([1, 3, 4]), r.choice([7, 8, 9, 12]), r.choice([7, 8, 10]))
    x, parts = torch.randn(shape), []
    for _ in range(30):
        if len(parts) == 4:
            break
        try:
            part = r.choice(layers(r, x.shape[1]))().eval()
            y = fitting(part, x)
        except (RuntimeError, ValueError):  # it does not fit these images
            continue
        if y is not None:
            if y.shape == x.shape and r.random() < 0.25:
                part, y = Call(lambda x, inner: x + inner(x), part), x + y
            parts.append(part)
            x = y
    parts.append(r.choice(heads(r, *x.shape[1:]))())
    return nn.Sequential(*parts).eval(), shape, r.choice([9, 10, 11, 12, 13, 14, 15, 17, 18, 20])


def fitting(part, x):
    """What a part gives, if that is images of a fair size and of fair numbers."""
    for module in part.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        y = part(x)
    fair = y.dim() == 4 and y.numel() < 20_000 and torch.isfinite(y).all() and y.abs().max() < 1e3
    return y if fair else None
