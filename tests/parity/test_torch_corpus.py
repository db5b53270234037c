"""Expressions in the shapes that public PyTorch tutorials and ResNet scripts use, run in both.

Each gives the same in minires, or an error that says what to write. The shapes (a name, how many
arguments, which keywords) were counted in scripts; the expressions are ours.
"""

import copy
import functools
import re

import numpy as np
import pytest
import test_torch_names
import torch
from hint_names import arrays, here

import minires
from minires import Tensor, nn, optim

# Of what is drawn at random, after a ~, shapes are compared.
EXPRESSIONS = """
# making tensors
torch.tensor(3)
torch.tensor([1, 2, 3])
torch.tensor([[1.0, 2.0], [3.0, 4.0]])
torch.tensor([1, 0], dtype=torch.long)
torch.tensor([1.0, 2.0], requires_grad=True)
torch.tensor(1, dtype=torch.float)
torch.tensor([1, 2], device="cpu")
torch.tensor([1, 2], dtype=torch.float32, device=torch.device("cpu"))
torch.Tensor([[1.0, 2.0]])
torch.Tensor([[2]]).long()
torch.Tensor(x)
torch.Tensor(2, 3)
torch.FloatTensor([[1.0]])
torch.LongTensor([1, 2])
torch.from_numpy(np.arange(6.0).reshape(2, 3))
torch.from_numpy(np.arange(3)).float()
torch.from_numpy(np.ones((2, 2))).float().unsqueeze(0)
torch.as_tensor([1.0, 2.0])
torch.as_tensor(np.arange(3))
torch.zeros(3)
torch.zeros(2, 3)
torch.zeros((2, 3))
torch.zeros(2, 3, 4)
torch.zeros(3, dtype=torch.long)
torch.zeros((2, 3), dtype=torch.float32, device="cpu")
torch.zeros(2, 1, dtype=torch.int64)
torch.zeros(1, requires_grad=True)
torch.zeros(x.size())
torch.zeros(*x.size())
torch.zeros(x.size(0), 2)
torch.zeros(3, device=x.device)
torch.zeros_like(x)
torch.ones(4)
torch.ones(2, 3)
torch.ones((2,), device=x.device)
torch.ones(x.shape)
torch.ones_like(x)
torch.ones_like(n)
torch.ones(1, 1).type_as(x)
torch.ones(2, 3, dtype=torch.bool)
torch.full((3,), -1)
torch.full((2, 3), 0.5)
torch.full((3,), 1, dtype=torch.float32, device="cpu")
torch.full_like(x, 2.0)
torch.eye(3)
torch.empty(2, 3).shape
torch.empty(size=(2, 3)).shape
torch.empty(3, dtype=torch.long).random_(5).shape
torch.empty_like(x).shape
torch.arange(5)
torch.arange(0, 8)
torch.arange(0, 8, 2)
torch.arange(0, 5, dtype=torch.float)
torch.arange(0, 4, dtype=torch.long, device="cpu")
torch.arange(0, 1, 0.25)
torch.arange(5).view(1, -1)
torch.arange(4, device=x.device)
torch.arange(0, 4).unsqueeze(1).float()
torch.linspace(-1, 1, 5)
torch.linspace(-3.0, 3.0, steps=7)
torch.unsqueeze(torch.linspace(-1, 1, 5), dim=1)
torch.range(1, 4)
torch.logspace(0, 1, 3)
~torch.rand(3)
~torch.rand(2, 3)
~torch.rand(x.size())
~torch.rand_like(x)
~torch.randn(5)
~torch.randn(2, 3)
~torch.randn(1, 3, 8, 8)
~torch.randn(x.size(0), 2)
~torch.randn(2, 3, device="cpu")
~torch.randn(2, 3, requires_grad=True)
~torch.randn_like(x)
~torch.randn(x.shape)
~torch.randint(0, 10, (3,))
~torch.randint(10, (2, 3))
~torch.randint(5, size=(1,))
~torch.randint(0, 5, (2, 2), dtype=torch.long)
~torch.randint(3, (1, 1), dtype=torch.long)
~torch.randperm(6)
~torch.randperm(6, generator=None)
~torch.normal(torch.zeros(3), torch.ones(3))
~torch.normal(0, 1, size=(2, 3))
~torch.normal(mean=0.0, std=0.01, size=(2, 1), requires_grad=True)
~torch.bernoulli(x)
~torch.multinomial(x, num_samples=1)
~torch.multinomial(x[0], 1)
torch.manual_seed(0) and None
torch.cuda.manual_seed(0)
torch.cuda.manual_seed_all(0)
torch.Generator().manual_seed(0)
x.new_zeros(2, 3)
x.new_tensor([0.5, 0.25])
x.new_ones(2)
x.new_full((2,), 3.0)

# devices and modes
torch.device("cpu")
torch.device("cuda")
torch.device("cuda:0").type
torch.device("cuda" if torch.cuda.is_available() else "cpu").type
torch.cuda.is_available()
torch.cuda.device_count()
torch.cuda.synchronize() if torch.cuda.is_available() else None
torch.cuda.empty_cache()
torch.backends.cudnn.benchmark
torch.accelerator.is_available()
torch.accelerator.current_accelerator()
torch.backends.mps.is_available()
torch.get_num_threads() > 0
torch.set_default_dtype(torch.float32)
torch.set_printoptions(precision=3)
torch.no_grad() and None
torch.inference_mode() and None
torch.enable_grad() and None
torch.set_grad_enabled(True) and None
torch.is_grad_enabled()
torch.autograd.grad(loss, list(net.parameters()))
torch.autograd.set_detect_anomaly(True)
torch.cuda.amp.GradScaler()
torch.compile(net)
torch.jit.script(net)
len(torch.utils.data.DataLoader([1, 2], batch_size=2, shuffle=True))
len(torch.utils.data.TensorDataset(x, y))
torch.float32
torch.is_tensor(x)
torch.__version__ and 1
torch.equal(x, x)
torch.allclose(x, x)
torch.numel(x)

# moving and converting
x.to("cpu")
x.to(torch.device("cpu"))
x.to("cpu", non_blocking=True)
x.to(torch.float64)
x.to(dtype=torch.float64)
x.to("cpu", torch.float64)
x.cpu()
x.cpu().numpy()
x.detach().cpu().numpy()
x.detach()
x.numpy()
x.data
x.data.numpy()
x.tolist()
x.float()
n.float()
x.double()
x.half()
x.long()
x.int()
mask.float()
mask.long()
x.bool()
x.type(torch.float64)
n.type(torch.FloatTensor)
n.type_as(x)
x.clone()
x.clone().detach()
x.detach().clone()
x.contiguous()
x.device.type
str(x.device)
x.dtype == torch.float32
x.is_cuda
x.requires_grad
x.requires_grad_(False)
x.clone().requires_grad_(True)
x.sum().item()
x[0, 0].item()
float(x.sum())
int(labels[0])
len(x)
bool((x > 0).sum() > 0)
f"{x.sum():.4f}"
f"{x.mean().item():.3f}"
[row for row in x][1]
np.asarray(x)
np.mean(x.numpy())

# shapes
x.size()
x.size(0)
x.size(-1)
x.size()[0]
x.shape
x.shape[0]
x.dim()
x.ndim
x.ndimension()
x.numel()
x.nelement()
x.view(-1)
x.view(2, 6)
x.view(-1, 2)
x.view(x.size(0), -1)
x.view(3, 2, 2)
x.view(x.size())
x.view(3, -1, 1)
x.view(1, -1).expand_as(x.view(1, -1))
a.view(a.size(0), -1)
a.view(2, 3, 2, 2).transpose(1, 2)
a.view(2, 3, 2, 2).permute(0, 2, 1, 3)
a.view(-1, a.size(-1))
a.view(a.shape[0] * a.shape[1], a.shape[2])
x.view_as(y)
x.reshape(-1)
x.reshape(4, 3)
x.reshape(-1, 2)
x.reshape((2, 6))
x.reshape(x.size(0), -1)
x.reshape(y.shape)
x.reshape(3, 2, 2)
torch.reshape(x, (-1,))
torch.reshape(x, (-1, 2))
x.flatten()
a.flatten(1)
a.flatten(start_dim=1)
a.flatten(0, 1)
torch.flatten(a)
torch.flatten(a, 1)
torch.flatten(a, start_dim=1)
x.unsqueeze(0)
x.unsqueeze(1)
x.unsqueeze(-1)
torch.unsqueeze(x, 1)
torch.unsqueeze(x, dim=1)
x[None]
x[:, None, :]
x[:1].squeeze()
x[:1].squeeze(0)
x[:, :1].squeeze(1)
x[:1].squeeze(dim=0)
torch.squeeze(x[:1])
x.t()
torch.t(x)
x.T
x.transpose(0, 1)
a.transpose(1, 2)
a.transpose(-2, -1)
torch.transpose(a, 1, 2)
torch.transpose(x, 0, 1)
a.permute(0, 2, 1)
a.permute(2, 0, 1)
torch.permute(a, (0, 2, 1))
a.swapaxes(0, 1)
a.movedim(0, 2)
v.expand(3, 4)
v.expand(3, -1)
v.expand((3, -1))
v.expand_as(x)
v.repeat(2)
x.repeat(2, 1)
a.repeat(1, 2, 1)
torch.repeat_interleave(labels, 2)
x.repeat_interleave(2, dim=0)
torch.tile(v, (2,))
x.flip(1)
torch.flip(x, [0])
torch.roll(x, 1, 1)
x.chunk(2, dim=1)
torch.chunk(x, 2, 1)
x.split(2, dim=1)
torch.split(x, 2, dim=1)
x.unbind(0)
torch.unbind(x)
torch.cat([x, y])
torch.cat((x, y), 0)
torch.cat([x, y], 1)
torch.cat([x, y], dim=1)
torch.cat((x, y), dim=-1)
torch.cat((x, y, x), dim=1)
torch.cat([r.view(1, -1) for r in x], 0)
torch.stack([x, y])
torch.stack((x, y))
torch.stack([x, y], dim=1)
torch.stack([v, w], 1)
torch.hstack((x, y))
torch.vstack((x, y))
torch.concat([x, y], dim=1)

# picking
x[0]
x[:, 1]
x[-1]
x[1:3, :2]
x[..., 0]
x[:, -1]
x[:, ::2]
x[mask]
x[x > 0.5]
x[labels < 2]
x[[0, 2]]
x[torch.arange(3), labels]
x[range(3), labels]
x[:, labels]
a[:, -1, :]
a[:, :, 0].shape
m[:2, :2]
m[torch.tensor([0, 2])]
x.index_select(1, labels)
x.masked_fill(mask, 0)
x.masked_fill(mask == 0, float("-inf"))
x.masked_fill(mask, -1e9)
x.masked_select(mask)
x.gather(1, labels.view(-1, 1))
x.gather(1, labels.unsqueeze(1)).squeeze(1)
torch.gather(x, 1, labels.view(-1, 1))
x.narrow(0, 0, 2)
torch.where(x > 0.5, x, y)
torch.where(x > 0.5, 1, 0)
torch.where(mask, x, torch.zeros_like(x))
torch.where(mask)
torch.nonzero(mask)
mask.nonzero()
torch.tril(torch.ones(3, 3))
torch.tril(torch.ones(4, 4)).view(1, 1, 4, 4)
torch.triu(torch.ones(3, 3), diagonal=1)
torch.triu(m)
torch.diag(m)
torch.diag(v)
torch.topk(x, 2)
x.topk(1, 1, True, True)
x.topk(2, dim=1)[1]
torch.sort(v)
x.sort(1)
torch.argsort(v, dim=-1, descending=True)
torch.unique(labels)

# arithmetic
x + y
x - y
x * y
x / y
x @ m
x + 1
1 - x
2 * x
x / 2
1 / x
x ** 2
x ** 0.5
-x
x > 0.5
x == y
x >= y
(x > 0.5) & (y > 0)
~mask
n // 2
n % 2
x.add(y)
x.mul(255)
x.div(2)
x.sub(y)
x.pow(2)
torch.add(x, y)
torch.mul(x, y)
torch.sub(x, y)
torch.div(x, y)
torch.pow(x, 2)
torch.pow(x, 3.0)
torch.pow(10, v)
torch.matmul(x, m)
torch.matmul(a, b)
x.matmul(m)
x.mm(m)
torch.mm(x, m)
torch.bmm(a, b)
a.bmm(b)
a @ a.transpose(-2, -1)
v.dot(w)
torch.dot(v, w)
torch.mv(m, v)
torch.einsum("ij,jk->ik", x, m)
torch.outer(v, w)
torch.exp(y)
torch.log(x)
torch.sqrt(x)
torch.abs(y)
torch.tanh(y)
torch.sigmoid(y)
torch.relu(y)
torch.softmax(y, dim=1)
torch.softmax(y, 1)
torch.log_softmax(y, dim=1)
torch.sin(x)
torch.cos(x)
torch.log1p(x)
torch.log10(x)
torch.square(x)
torch.sign(y)
torch.round(y)
torch.clamp(y, 0, 1)
torch.clamp(y, min=0)
torch.clamp(y, min=-1, max=1)
torch.clip(y, 0, 1)
torch.maximum(x, y)
torch.max(x, y)
torch.min(x, y)
torch.isnan(x)
torch.isnan(x).any()
torch.isfinite(x).all()
y.exp()
x.log()
x.sqrt()
y.abs()
y.tanh()
y.sigmoid()
y.relu()
y.sin()
y.clamp(0, 1)
y.clamp(min=0)
y.clamp(-1, 1)
y.eq(y)
x.gt(0.5)
labels.eq(labels)
labels.eq(labels.view(1, -1).expand_as(labels.view(1, -1)))
y.softmax(dim=-1)
y.softmax(1)
y.log_softmax(dim=1)
abs(y)
(1 + torch.exp(-y)).log()
(x - x.mean()) / x.std()

# reductions
x.sum()
x.sum(1)
x.sum(dim=1)
x.sum(dim=1, keepdim=True)
x.sum(0, keepdim=True)
x.sum(axis=0)
x.sum(-1)
torch.sum(x)
torch.sum(x, dim=1)
torch.sum(x, 1)
torch.sum(x, dim=-1, keepdim=True)
x.mean()
x.mean(1)
x.mean(dim=1)
x.mean(dim=0, keepdim=True)
x.mean(axis=0)
torch.mean(x)
torch.mean(x, dim=0)
torch.mean((x - y) ** 2)
x.var(dim=0)
x.std(dim=0)
torch.std(x)
torch.var(x, dim=1)
torch.var(x, dim=1, unbiased=False)
x.std(axis=0)
x.max()
x.max(1)
x.max(1)[1]
x.max(1, keepdim=True)[1]
x.max(dim=1)
x.max(dim=1)[0]
x.max(dim=1)[1]
x.max(dim=1).indices
torch.max(x)
torch.max(x, 1)
torch.max(x, 1)[1]
torch.max(x, 1)[1].data.numpy()
torch.max(x.data, 1)
torch.max(x, dim=1)
torch.max(x, dim=1).values
torch.max(x, dim=-1, keepdim=True)[0]
x.min()
torch.min(x)
torch.min(x, dim=1)
x.argmax()
x.argmax(1)
x.argmax(dim=1)
x.argmax(dim=1, keepdim=True)
x.argmax(-1)
torch.argmax(x, dim=1)
torch.argmax(x)
(x.argmax(1) == labels).sum().item()
(x.argmax(1) == labels).float().mean()
(x.argmax(1) == labels).type(torch.float).sum().item()
x.argmax(dim=1, keepdim=True).eq(labels.view_as(x.argmax(dim=1, keepdim=True))).sum().item()
(torch.max(x, 1)[1] == labels).sum().item()
x.norm()
x.norm(2)
x.norm(2, 1, keepdim=True)
torch.norm(x)
x.cumsum(1)
torch.cumsum(x, dim=1)
x.prod()
mask.any()
mask.all()
torch.any(mask)
torch.logsumexp(y, dim=1)
torch.median(v[:3])
torch.bincount(labels)

# in place
x.clone().fill_(0.5)
x.clone().zero_()
x.clone().copy_(y)
x.clone().add_(1)
x.clone().mul_(2)
x.clone().div_(2)
x.clone().clamp_(0.2, 0.8)
~x.clone().normal_(0, 0.02)
~x.clone().uniform_(-1, 1)
x.clone().requires_grad_()
p.data.fill_(0.01)
p.data.zero_()
p.data.normal_(0.0, 0.02)
p.data.copy_(p.data)
p.data.add_(p.data)
p.grad.zero_()
~p.grad.data

# functions of nn.functional
F.relu(y)
F.relu(y.clone(), inplace=True)
F.leaky_relu(y, 0.2)
F.leaky_relu(y)
F.gelu(y)
F.silu(y)
F.elu(y)
F.softplus(y)
F.sigmoid(y)
F.tanh(y)
F.softmax(y, dim=1)
F.softmax(y, dim=-1)
F.softmax(y, 1)
F.log_softmax(y, dim=1)
F.log_softmax(y, dim=-1)
F.cross_entropy(y, labels)
F.cross_entropy(y, labels, reduction="none")
F.cross_entropy(y, labels, reduction="sum")
F.cross_entropy(y, labels, ignore_index=-1)
F.cross_entropy(y, labels, label_smoothing=0.1)
F.cross_entropy(y.view(-1, y.size(-1)), labels.view(-1), ignore_index=-1)
F.nll_loss(F.log_softmax(y, dim=1), labels)
F.nll_loss(F.log_softmax(y, 1), labels, reduction="sum").item()
F.mse_loss(x, y)
F.mse_loss(x, y, reduction="sum")
F.l1_loss(x, y)
F.smooth_l1_loss(x, y)
F.binary_cross_entropy(x, x * x, reduction="sum")
F.binary_cross_entropy(x, x, size_average=False)
F.binary_cross_entropy_with_logits(y, x)
F.kl_div(x.log(), x, reduction="batchmean")
~F.dropout(x, 0.5, training=True)
F.dropout(x, training=False)
F.dropout(x, p=0.2, training=False)
F.one_hot(labels)
F.one_hot(labels, 4)
F.one_hot(labels, num_classes=5)
F.normalize(x, dim=1)
F.cosine_similarity(x, y)
F.layer_norm(x, (4,))
F.layer_norm(x, x.shape[-1:])
F.embedding(labels, m)
F.linear(x, m)
F.max_pool2d(images, 2)
F.max_pool2d(images, (2, 2))
F.max_pool2d(images, kernel_size=3, stride=2, padding=1)
F.max_pool2d(F.relu(images), 2)
F.avg_pool2d(images, 4)
F.avg_pool2d(images, 8)
F.adaptive_avg_pool2d(images, 1)
F.adaptive_avg_pool2d(images, (1, 1))
F.adaptive_avg_pool2d(images, (2, 2))
F.interpolate(images, size=(4, 4))
F.interpolate(images, scale_factor=2)
F.interpolate(images, scale_factor=2, mode="nearest")
F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)
F.pad(images, (1, 1, 1, 1))
F.pad(images, (1, 1, 1, 1), "constant", 0)
F.pad(images, (0, 1, 0, 1), mode="reflect")
F.scaled_dot_product_attention(a, a, a)
F.scaled_dot_product_attention(a, a, a, is_causal=True)
F.conv2d(images, filters)
F.conv2d(images, filters, padding=1)
F.conv2d(images, filters, None, 2, 1)
F.conv2d(images, filters, stride=2, padding="valid")

# layers
~nn.Linear(4, 2)(x)
~nn.Linear(4, 2, bias=False)(x)
~nn.Linear(in_features=4, out_features=2)(x)
~nn.Linear(4, 2).to("cpu")(x)
~nn.Conv2d(3, 5, 3)(images)
~nn.Conv2d(3, 5, 3, padding=1)(images)
~nn.Conv2d(3, 5, 3, 1)(images)
~nn.Conv2d(3, 5, 3, 2, 1)(images)
~nn.Conv2d(3, 5, 3, 2, 1, bias=False)(images)
~nn.Conv2d(3, 5, kernel_size=5)(images)
~nn.Conv2d(3, 5, kernel_size=3, padding=1, bias=False)(images)
~nn.Conv2d(3, 5, kernel_size=3, stride=2, padding=1, bias=False)(images)
~nn.Conv2d(3, 6, kernel_size=3, stride=1, padding=1, groups=3, bias=False)(images)
~nn.Conv2d(3, 5, (3, 3), (1, 1), (1, 1))(images)
~nn.Conv2d(in_channels=3, out_channels=5, kernel_size=3, stride=1, padding=1)(images)
~nn.Conv2d(3, 5, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)(images)
~nn.Conv2d(3, 5, 1, stride=2)(images)
~nn.Conv2d(3, 5, 3, padding="same")(images)
~nn.Conv2d(3, 5, 3, dilation=2)(images)
~nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect")(images)
~nn.ConvTranspose2d(3, 5, 4, 2, 1, bias=False)(images)
~nn.ConvTranspose2d(3, 5, 2, stride=2)(images)
~nn.Conv1d(3, 5, 3)(sequences)
~nn.Conv3d(3, 5, 3)(volumes)
nn.BatchNorm2d(3)(images)
nn.BatchNorm2d(3).eval()(images)
nn.BatchNorm2d(3, 0.8).eval()(images)
nn.BatchNorm2d(3, eps=1e-3, momentum=0.01).eval()(images)
nn.BatchNorm2d(3, affine=False)(images)
nn.BatchNorm1d(4)(x)
nn.BatchNorm1d(4, momentum=0.5)(x)
nn.LayerNorm(4)(x)
nn.LayerNorm((4,))(x)
nn.LayerNorm([4])(x)
nn.GroupNorm(3, 3)(images)
nn.InstanceNorm2d(3, affine=True)(images)
nn.LocalResponseNorm(2)(images)
nn.ReLU()(y)
nn.ReLU(inplace=True)(y.clone())
nn.ReLU(True)(y.clone())
nn.ReLU6(inplace=True)(y.clone())
nn.LeakyReLU(0.2)(y)
nn.LeakyReLU(0.2, inplace=True)(y.clone())
nn.LeakyReLU(negative_slope=0.1)(y)
nn.ELU()(y)
nn.GELU()(y)
nn.SiLU()(y)
nn.Hardswish()(y)
nn.Sigmoid()(y)
nn.Tanh()(y)
nn.Softmax(dim=1)(y)
nn.Softmax(1)(y)
nn.LogSoftmax(dim=1)(y)
nn.PReLU()(y)
nn.MaxPool2d(2)(images)
nn.MaxPool2d(2, 2)(images)
nn.MaxPool2d(2, stride=2)(images)
nn.MaxPool2d(3, stride=2, padding=1)(images)
nn.MaxPool2d(kernel_size=2, stride=2)(images)
nn.MaxPool2d(kernel_size=3, stride=1, padding=1)(images)
nn.MaxPool2d(3, 2, 1)(images)
nn.MaxPool2d(3, stride=2, ceil_mode=True)(images)
nn.AvgPool2d(8)(images)
nn.AvgPool2d(3, stride=2, padding=1)(images)
nn.AvgPool2d(kernel_size=2, stride=2)(images)
nn.AvgPool2d(3, 2, 1)(images)
nn.AdaptiveAvgPool2d(1)(images)
nn.AdaptiveAvgPool2d((1, 1))(images)
nn.AdaptiveAvgPool2d((4, 4))(images)
nn.AdaptiveAvgPool2d(output_size=(1, 1))(images)
nn.AdaptiveMaxPool2d(1)(images)
nn.Flatten()(a)
nn.Flatten(1)(a)
nn.Flatten(start_dim=1)(a)
nn.Flatten(1, 2)(a)
nn.Unflatten(1, (2, 2))(x)
nn.Identity()(x)
nn.Dropout()(x).shape
nn.Dropout(0.5)(x).shape
nn.Dropout(p=0.2)(x).shape
nn.Dropout(0.1).eval()(x)
nn.Dropout2d()(images).shape[0]
nn.Dropout2d(0.25)(images).shape[0]
nn.Dropout2d(p=0.4).eval()(images)
~nn.Embedding(5, 4)(labels)
~nn.Embedding(5, 4, padding_idx=0)(labels)
~nn.Embedding(num_embeddings=5, embedding_dim=4)(labels)
nn.Embedding.from_pretrained(m)(labels)
nn.Upsample(scale_factor=2)(images)
nn.Upsample(scale_factor=2, mode="nearest")(images)
nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)(images)
nn.Upsample(size=(4, 4))(images)
nn.PixelShuffle(2)(many)
nn.ZeroPad2d(1)(images)
nn.ReflectionPad2d(1)(images)
nn.ConstantPad2d((0, 1, 0, 1), 0)(images)
~nn.MultiheadAttention(4, 2, batch_first=True)(a, a, a)[0]
~nn.MultiheadAttention(embed_dim=4, num_heads=2, dropout=0.1, batch_first=True)(a, a, a)[0]
nn.MultiheadAttention(4, 2)
nn.TransformerEncoderLayer(4, 2)
nn.TransformerEncoderLayer(d_model=4, nhead=2, dim_feedforward=8, dropout=0.1)
nn.Transformer(d_model=4, nhead=2)
nn.RNN(4, 5)
nn.RNN(input_size=4, hidden_size=5, num_layers=1, batch_first=True)
nn.LSTM(4, 5, 2, batch_first=True)
nn.LSTM(input_size=4, hidden_size=5, num_layers=1, batch_first=True)
nn.LSTMCell(4, 5)
nn.GRU(4, 5, 1, dropout=0.0)
nn.LazyLinear(10)
nn.LazyConv2d(6, kernel_size=5, padding=2)
nn.LazyBatchNorm2d()
nn.DataParallel(net)
torch.nn.Linear(4, 2)
torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU())

# containers and modules
nn.Sequential()
nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
nn.Sequential(*[nn.ReLU(), nn.Tanh()])
len(nn.Sequential(nn.ReLU(), nn.Tanh()))
nn.Sequential(nn.ReLU(), nn.Tanh())[0]
nn.Sequential(*list(net.children())[:-1])(x).shape
nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
nn.ModuleList([nn.ReLU()]).append(nn.Tanh())
nn.ModuleDict({"a": nn.ReLU()})["a"]
nn.ModuleDict(dict(first=nn.Linear(4, 2), act=nn.ReLU()))
nn.Parameter(torch.zeros(3))
nn.Parameter(torch.ones(2, 2), requires_grad=False)
nn.ParameterList([nn.Parameter(x)])
nn.Sequential(nn.ReLU()).add_module("fc", nn.Linear(4, 2))
net.add_module("extra", nn.ReLU())
net.register_buffer("mean", x)
net.register_buffer("mask", torch.ones(2), persistent=False)
net(x).shape
net.forward(x).shape
net.train().training
net.eval().training
net.train(False).training
net.to("cpu") is net
net.to(torch.device("cpu")) is net
net.cpu() is net
net.float() is net
net.double() is net
net.half() is net
net.zero_grad()
net.zero_grad(set_to_none=True)
net.requires_grad_(False) is net
list(net.state_dict().keys())
list(net.state_dict())
net.load_state_dict(net.state_dict()) is not None
net.load_state_dict(net.state_dict(), strict=False).missing_keys
len(list(net.parameters()))
[p.numel() for p in net.parameters()]
sum(p.numel() for p in net.parameters() if p.requires_grad)
[name for name, p in net.named_parameters()]
[name for name, m in net.named_modules()]
[name for name, m in net.named_children()]
len(list(net.modules()))
len(list(net.children()))
net.apply(lambda layer: None) is net
isinstance(net[0], nn.Linear)
net[0].in_features
net[0].out_features
net[0].bias.shape
net[0].weight.requires_grad
net[-1].__class__.__name__
hasattr(net, "weight")
copy.deepcopy(net)(x).shape
net.register_forward_hook(lambda module, args, out: None).remove()
net[0].register_full_backward_hook(lambda module, gi, go: None).remove()
net.get_submodule("0")
net.share_memory()

# initialisation
~nn.init.kaiming_normal_(p)
~nn.init.kaiming_normal_(p, mode="fan_out", nonlinearity="relu")
~nn.init.kaiming_uniform_(p, a=5 ** 0.5)
~nn.init.xavier_uniform_(p)
~nn.init.xavier_uniform_(p, gain=2.0)
~nn.init.xavier_normal_(p)
~nn.init.normal_(p, 0, 0.01)
~nn.init.normal_(p, mean=0.0, std=0.02)
~nn.init.normal_(p, std=0.01)
~nn.init.uniform_(p, -0.1, 0.1)
~nn.init.uniform_(p, a=-0.1, b=0.1)
nn.init.constant_(p, 0.5)
nn.init.constant_(p, val=1)
nn.init.zeros_(p)
nn.init.ones_(p)
~nn.init.trunc_normal_(p, std=0.02)
~nn.init.orthogonal_(p)
nn.init.calculate_gain("relu")
~nn.init.kaiming_normal(p)
nn.init.constant(p, 0)

# losses
nn.CrossEntropyLoss()(y, labels)
nn.CrossEntropyLoss(reduction="none")(y, labels)
nn.CrossEntropyLoss(ignore_index=0)(y, labels)
nn.CrossEntropyLoss(label_smoothing=0.1)(y, labels)
nn.CrossEntropyLoss(weight=torch.ones(4))(y, labels)
nn.NLLLoss()(F.log_softmax(y, 1), labels)
nn.MSELoss()(x, y)
nn.MSELoss(reduction="none")(x, y)
nn.MSELoss(reduction="sum")(x, y)
nn.L1Loss()(x, y)
nn.SmoothL1Loss()(x, y)
nn.HuberLoss()(x, y)
nn.BCELoss()(x, x)
nn.BCEWithLogitsLoss()(y, x)
nn.KLDivLoss(reduction="batchmean")(x.log(), x)
nn.CosineEmbeddingLoss()(x, y, labels)

# training
optim.SGD(net.parameters(), lr=0.1)
optim.SGD(net.parameters(), 0.1)
optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True)
optim.SGD([p], lr=0.1)
optim.SGD([{"params": net[0].parameters(), "lr": 0.01}], lr=0.1)
optim.Adam(net.parameters())
optim.Adam(net.parameters(), lr=1e-3)
optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999))
optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
optim.Adam([p], lr=0.1, betas=[0.5, 0.999])
optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-4, amsgrad=False)
optim.AdamW(net.parameters(), lr=1e-3)
optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01, betas=(0.9, 0.99), eps=1e-8)
optim.AdamW(net.parameters(), lr=1e-3, fused=False)
optim.RMSprop(net.parameters(), lr=0.01)
optim.RMSprop(net.parameters(), lr=0.01, alpha=0.9)
optim.Adadelta(net.parameters(), lr=1.0)
optim.Adagrad(net.parameters(), lr=0.01)
optim.LBFGS(net.parameters(), lr=0.8)
torch.optim.SGD(net.parameters(), lr=0.1)
optimizer.zero_grad()
optimizer.zero_grad(set_to_none=True)
optimizer.step()
optimizer.step(lambda: 3.0)
optimizer.param_groups[0]["lr"]
optimizer.state_dict()["param_groups"][0]["lr"]
len(optimizer.param_groups)
optimizer.load_state_dict(optimizer.state_dict())
optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)
optim.lr_scheduler.StepLR(optimizer, 30)
optim.lr_scheduler.MultiStepLR(optimizer, milestones=[100, 150])
optim.lr_scheduler.MultiStepLR(optimizer, milestones=[100, 150], gamma=0.2)
optim.lr_scheduler.MultiStepLR(optimizer, milestones=[100], last_epoch=-1)
optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=200)
optim.lr_scheduler.CosineAnnealingLR(optimizer, 200, eta_min=1e-5)
optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=lambda epoch: 0.95 ** epoch)
optim.lr_scheduler.ReduceLROnPlateau(optimizer, "min")
optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=2)
optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, steps_per_epoch=10, epochs=3)
optim.lr_scheduler.LinearLR(optimizer)
optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 10)
optim.lr_scheduler.StepLR(optimizer, 30).step()
optim.lr_scheduler.StepLR(optimizer, 30).step(3)
optim.lr_scheduler.StepLR(optimizer, 30).get_last_lr()
loss.backward()
loss.backward(retain_graph=True)
loss.item() > -9
loss.detach().item() > -9
loss.data.item() > -9
loss.requires_grad
loss.grad_fn is not None
nn.utils.clip_grad_norm_(net.parameters(), 1.0) * 0
nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0) * 0
torch.nn.utils.clip_grad_norm_(net.parameters(), 0.25) * 0
nn.utils.clip_grad_value_(net.parameters(), 0.5)
~nn.utils.parameters_to_vector(net.parameters())
torch.save(net.state_dict(), "net.pt")
torch.save({"epoch": 1, "state": net.state_dict()}, "all.pt")
torch.save(net, "whole.pt")
"""
SECTIONS = {part.splitlines()[0]: part.splitlines()[1:] for part in EXPRESSIONS.split("\n# ")[1:]}
EXPRESSIONS = [e for lines in SECTIONS.values() for e in lines if e]

LISTED = {
    "x.data.numpy()",
    "torch.max(x, 1)[1].data.numpy()",
    "p.data.fill_(0.01)",
    "p.data.zero_()",
    "p.data.normal_(0.0, 0.02)",
    "p.data.copy_(p.data)",
    "p.data.add_(p.data)",
    "x.std(axis=0)",
    "(x - x.mean()) / x.std()",
    "F.linear(x, m)",
}
"""What docs/conventions.md has instead: `.data` is an array, `std`, and the layout of weights."""


@functools.cache
def tensors(library):
    """What nothing here writes into."""
    names = here() if library is minires else test_torch_names.there()
    labels = arrays()["labels"]
    return {
        **{name: value for name, value in names.items() if name not in ("net", "loss", "p")},
        "labels": Tensor(labels) if library is minires else torch.tensor(labels),
        **{"torch": library, "nn": library.nn, "F": library.nn.functional},
        **{"optim": library.optim, "np": np, "copy": copy},
    }


def evaluated(expression, library):
    """An expression's value, with a network of its own if it has one."""
    code = compile(expression.removeprefix("~"), expression, "eval")
    names = dict(tensors(library))
    used = set(re.findall(r"\w+", expression))
    if used & {"net", "loss", "p", "optimizer"}:
        layers = library.nn
        net = layers.Sequential(layers.Linear(4, 4), layers.ReLU())
        loss = net(names["x"]).sum()
        loss.backward(retain_graph=True)
        optimizer = library.optim.SGD(net.parameters(), lr=0.1)
        names |= {"net": net, "loss": loss, "p": net[0].weight, "optimizer": optimizer}
    return eval(code, names)


def outcome(expression):
    """`same`, `hint`, `error` or `different`, and what was said or computed."""
    try:
        got = evaluated(expression, minires)
    except Exception as error:
        said = str(error)
        hint = "write " in said or "leave it out" in said
        return ("hint" if hint else "error"), f"{type(error).__name__}: {said}"
    wanted = evaluated(expression, torch)
    got, wanted = plain(got, expression), plain(wanted, expression)
    return ("same" if alike(got, wanted, expression) else "different"), f"{got!r}, not {wanted!r}"


def plain(value, code):
    """Tensors as arrays, with channels last; modules, optimisers and schedules by name."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy()
        last = array.ndim == 4 and any(name in code for name in test_torch_names.CHANNELS_LAST)
        return np.moveaxis(array, 1, -1) if last else array
    if isinstance(value, Tensor):
        return value.numpy()
    if isinstance(value, torch.device | minires.device):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(each, code) for each in value]
    if isinstance(value, torch.nn.Module | nn.Module | torch.optim.Optimizer | optim.Optimizer):
        return type(value).__name__
    if isinstance(value, optim.Schedule | torch.optim.lr_scheduler.LRScheduler):
        return type(value).__name__
    if isinstance(value, torch.dtype | np.dtype):
        return str(value).removeprefix("torch.")
    return list(value) if hasattr(value, "keys") else value


def alike(got, wanted, expression):
    if isinstance(wanted, list) and isinstance(got, list):
        return len(got) == len(wanted) and all(
            alike(g, w, expression) for g, w in zip(got, wanted, strict=True)
        )
    if isinstance(wanted, np.ndarray):
        got = np.asarray(got)
        if got.shape != wanted.shape:
            return False
        kinds = got.dtype.kind == wanted.dtype.kind
        return expression.startswith("~") or (
            kinds and np.allclose(got.astype(float), wanted.astype(float), 1e-3, 1e-5, True)
        )
    if isinstance(wanted, float):
        return got == pytest.approx(wanted, 1e-4)
    return type(got) is type(wanted) and got == wanted


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("section", SECTIONS)
def test_the_same_or_an_error_that_says_what_to_write(section, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    outcomes = {e: outcome(e) for e in SECTIONS[section] if e}
    wrong = {e: said for e, (kind, said) in outcomes.items() if kind in ("error", "different")}
    assert {e: said for e, said in wrong.items() if e not in LISTED} == {}
    assert set(wrong) == LISTED & set(outcomes)  # each of the list is
