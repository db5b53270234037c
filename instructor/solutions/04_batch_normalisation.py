# %% [markdown]
# # Solutions to notebook 04: Batch normalisation

# %%
import numpy as np

import minires
from instructor.given import from_notebook, sized
from minires import Tensor, nn

batch_norm, batch_norm_backward, network, train, pixels, test = from_notebook(
    "04", "batch_norm", "batch_norm_backward", "network", "train", "pixels", "test"
)
rng = np.random.default_rng(0)

# %% [markdown]
# ## Exercise 1: a batch of two
#
# The mean is $(a+b)/2$ and the standard deviation $|a-b|/2$, so with $\epsilon = 0$ the normalised values
# are $\pm 1$, whatever $a \ne b$ are. An output that never changes has the gradient 0 with respect to
# $a$ and $b$: no layer before it learns anything. All that a batch of two tells a batch norm is which of the two
# is larger.

# %%
for _ in range(5):
    x = rng.normal(size=(2, 3)) * 10
    y = batch_norm(x, np.ones(3), np.zeros(3), eps=0)
    dx, _, _ = batch_norm_backward(rng.normal(size=(2, 3)), x, np.ones(3), eps=0)
    assert np.allclose(np.abs(y), 1)
    assert np.allclose(y, np.sign(x - x[::-1]))
    assert np.abs(dx * x.std(axis=0)).max() < 1e-14  # of a gradient of about 1, before the division

# %% [markdown]
# ## Exercise 2: fold it away
#
# With $s = \gamma / \sqrt{v + \epsilon}$ of the running variance $v$, evaluation computes
# $(xW + b - m)\,s + \beta = x(Ws) + (b - m)s + \beta$: multiply each column of $W$ by its $s$, and change
# the bias.

# %%
net = network(True)
train(net, lr=0.3, steps=sized(50, 200))
net.eval()
layers, folded = list(net), []
for layer in layers:
    if isinstance(layer, nn.BatchNorm1d):
        linear = folded[-1]
        variance = layer.running_var.numpy().astype(np.float64)
        s = layer.weight.numpy() / np.sqrt(variance + layer.eps)
        linear.bias.data[:] = (linear.bias.numpy() - layer.running_mean.numpy()) * s
        linear.bias.data += layer.bias.numpy()
        linear.weight.data *= s
    elif isinstance(layer, nn.Linear):
        copy = nn.Linear(layer.in_features, layer.out_features)
        copy.load_state_dict(layer.state_dict())
        folded.append(copy)
    else:
        folded.append(layer)
small = nn.Sequential(*folded)
assert not any(isinstance(layer, nn.BatchNorm1d) for layer in small)
x = Tensor(test.images.reshape(-1, 64).astype(np.float32) / 255)
before, after = net(x).numpy(), small(x).numpy()
difference = np.abs(before - after).max() / np.abs(before).max()
print(f"largest difference, of the largest logit: {difference:.0e}")
assert difference < 5e-6  # float32 has seven digits, and six layers each round

# %% [markdown]
# ## Exercise 3: another axis
#
# Mean and variance over the last axis, so $m$ and $s$ have one entry for each image. The derivation is that of
# batch norm with the sums over features: the three paths are the same. No other image takes part, so a
# prediction does not depend on the batch: layer norm needs no running statistics, and has one mode only. (In
# notebook 14, it is in every Transformer block.) In the first figure the sizes stay as with batch norm.


# %%
def layer_norm(x, eps=1e-5):
    mean, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


def layer_norm_backward(g, x, eps=1e-5):
    s, normal = np.sqrt(x.var(axis=1, keepdims=True) + eps), layer_norm(x, eps)
    along = (g * normal).mean(axis=1, keepdims=True)
    return (g - g.mean(axis=1, keepdims=True) - normal * along) / s


(numeric,) = from_notebook("02", "numeric")
x, g = rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
assert np.allclose(layer_norm_backward(g, x), numeric(layer_norm, x, g), atol=1e-7)

for factor in (1.4, 1.0, 0.7):
    draw, x = np.random.default_rng(0), pixels
    for _ in range(30):
        x = x @ (draw.normal(size=(x.shape[1], 64)) * factor * (2 / x.shape[1]) ** 0.5)
        x = np.maximum(layer_norm(x), 0)
    print(f"weights × {factor}: root mean square after 30 layers {np.sqrt((x**2).mean()):.2f}")
    assert 0.5 < np.sqrt((x**2).mean()) < 0.9


def with_layer_norm(depth=6, width=32):
    minires.manual_seed(0)
    layers = []
    for i in range(depth):
        layers += [nn.Linear(64 if i == 0 else width, width), nn.LayerNorm(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


loss = train(with_layer_norm(), lr=0.1, steps=sized(60, 100))
print(f"with layer norm: loss {loss:.2f}; plain: {train(network(False), 0.1, sized(60, 100)):.2f}")
assert loss < 2
