# %% [markdown]
# # Bug hunt
#
# Residual networks are explained on many blogs, and much of the code there does not run, or runs
# and is not what the text says. Here are six pieces of such code, rewritten in NumPy, each with the
# bugs that were found in the wild. For each, say to yourself what it *should* compute, find every
# way in which it does not, and write the corrected version.
#
# A bug that raises an exception is a kind one. The others train, print an accuracy, and are wrong.
#
# Images are `(N, H, W, C)`, weights of a convolution `(KH, KW, C in, C out)`. Use NumPy only, and
# leave the arrays that you are given as they are, and lists too. The layers below are right.
#
# Arrays are float64. Every axis may have any length from 1 on, and several the same; numbers may be
# of either sign, 0 or large. What a function returns depends on its arguments only, not on earlier
# calls.

# %% given="layers"
import numpy as np


def conv(x, w, stride=1):
    """Convolution without bias, padded so that stride 1 keeps the size; KH and KW are odd."""
    kh, kw, _, channels = w.shape
    x = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))
    height = (x.shape[1] - kh) // stride + 1
    width = (x.shape[2] - kw) // stride + 1
    out = np.zeros((len(x), height, width, channels))
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + stride * (height - 1) + 1, stride)
            columns = slice(j, j + stride * (width - 1) + 1, stride)
            out += x[:, rows, columns] @ w[i, j]
    return out


def relu(x):
    """The positive part."""
    return np.maximum(x, 0)


def normalise(x, mean, var):
    """Batch norm with given statistics, gamma 1 and beta 0."""
    return (x - mean) / np.sqrt(var + 1e-5)


# %% [markdown]
# ## 1. The block
#
# Found: a "residual block" in which all layers stand in one list.
#
# ```python
# def block(x, w1, w2, w_shortcut, stride):
#     out = relu(conv(x, w1, stride))
#     out = relu(conv(out, w2))
#     if w_shortcut is not None:
#         out = conv(out, w_shortcut, stride)
#     return out
# ```
#
# A basic block (He et al. 2015, figure 2; batch norm left out here) has two convolutions, the first
# with the stride. The *block's input* is added to what they make, or, where `w_shortcut` is given,
# the input after a projection (a 1x1 convolution with the same stride). Then comes the second ReLU.
#
# A projection is used whenever it is given, also where only the channels change, only the size, or
# neither; without one the stride is 1. The stride may be larger than 2, and kernels may have any
# odd height and width, each its own.


# %% question="block"
def block(x, w1, w2, w_shortcut, stride):
    """A basic residual block without batch norm; w_shortcut is None or (1, 1, C in, C out)."""
    ### BEGIN SOLUTION
    out = conv(relu(conv(x, w1, stride)), w2)
    if w_shortcut is not None:
        x = conv(x, w_shortcut, stride)
    return relu(out + x)
    ### END SOLUTION


# %% [markdown]
# With weights of zero, the branch gives nothing: what must a residual block do then?

# %% check="block"
x = np.arange(1.0, 9.0).reshape(1, 2, 2, 2)
nothing = np.zeros((3, 3, 2, 2))
print("in: ", x.ravel())
print("out:", block(x, nothing, nothing, None, 1).ravel())
assert np.array_equal(block(x, nothing, nothing, None, 1), x), "then the block is the identity"
small = block(x, nothing, nothing, np.eye(2)[None, None], 2)
assert small.shape == (1, 1, 1, 2), f"with stride 2 it halves the image, yours gives {small.shape}"

# %% [markdown]
# ## 2. From features to classes
#
# Found: a head whose output is given to a cross-entropy that takes logits.
#
# ```python
# def head(features, w, b):
#     flat = features[:, 0, 0]
#     logits = flat @ w + b
#     e = np.exp(logits)
#     return e / e.sum(axis=0)
# ```
#
# A ResNet's head averages each channel over all places, applies one linear layer, and returns
# **logits**: the loss takes the softmax itself (twice is a bug that still trains, slowly).


# %% question="head"
def head(features, w, b):
    """Logits (N, classes) of features (N, H, W, C), with w (C, classes) and b (classes,)."""
    ### BEGIN SOLUTION
    return features.mean(axis=(1, 2)) @ w + b
    ### END SOLUTION


# %% check="head"
features = np.arange(16.0).reshape(2, 2, 2, 2)
out = head(features, np.eye(2), np.array([0.0, 100.0]))
print(out, "should be 3 and 104, 11 and 112")
assert out.tolist() == [[3, 104], [11, 112]]

# %% [markdown]
# ## 3. The architecture
#
# Found: a function with a parameter `depth` that is never used for the depth.
#
# ```python
# def plan(depth):
#     blocks, channels = [], 16
#     for stage in range(3):
#         for i in range(depth):
#             blocks.append((channels, 2))
#         channels = channels * 2
#     return blocks
# ```
#
# The networks for CIFAR-10 of the paper (section 4.2) have depth $6n + 2$: a first convolution,
# three stages of $n$ blocks with two convolutions each, and the last layer. The stages have 16, 32
# and 64 channels; the first block of the second and of the third stage halves the image (stride 2),
# all other blocks have stride 1. A depth that is not $6n + 2$ with $n \ge 1$ is a `ValueError`,
# whichever whole number it is, 0 and negative ones too.


# %% question="plan"
def plan(depth):
    """The blocks of a CIFAR ResNet, in order, each as a pair (channels, stride)."""
    ### BEGIN SOLUTION
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        raise ValueError(f"depth is 6n + 2, not {depth}")
    blocks = []
    for stage, channels in enumerate([16, 32, 64]):
        for i in range(n):
            blocks.append((channels, 2 if stage > 0 and i == 0 else 1))
    return blocks
    ### END SOLUTION


# %% check="plan"
for depth in (8, 20):
    print(depth, plan(depth))
assert len(plan(20)) == 9, "ResNet-20 has 9 blocks: 18 convolutions, one before and a linear layer"
assert [stride for _, stride in plan(20)].count(2) == 2

# %% [markdown]
# ## 4. The learning rate
#
# Found: a training with one rate for all 50 epochs, "because it worked". A later version:
#
# ```python
# def learning_rate(epoch, epochs):
#     rate = 0.1
#     if epoch > epochs // 2:
#         rate = rate / 10
#     if epoch > epochs * 3 // 4:
#         rate = rate / 100
#     return rate
# ```
#
# The paper's rate is 0.1, a tenth of that from half of the training on, and a hundredth from three
# quarters on. Epochs count from 0, so the first epoch with the lower rate is number `epochs / 2`.
# `epochs` is any whole number from 1 on, odd ones too: of 5 epochs number 3 is the first that begins
# when half is over. Epochs may be asked for in any order.


# %% question="learning_rate"
def learning_rate(epoch, epochs):
    """The rate in an epoch, of `epochs` in all."""
    ### BEGIN SOLUTION
    if epoch >= 0.75 * epochs:
        return 0.001
    return 0.01 if epoch >= 0.5 * epochs else 0.1
    ### END SOLUTION


# %% check="learning_rate"
print([learning_rate(epoch, 8) for epoch in range(8)])
assert [learning_rate(epoch, 8) for epoch in range(8)] == [0.1] * 4 + [0.01] * 2 + [0.001] * 2

# %% [markdown]
# ## 5. The accuracy
#
# Found: a test loop that never switches to evaluation.
#
# ```python
# def accuracy(images, labels, w, mean, var, batch_size):
#     total = 0
#     for start in range(0, len(images) - batch_size, batch_size):
#         x = images[start : start + batch_size]
#         mean *= 0.9
#         mean += 0.1 * x.mean(axis=0)
#         scores = normalise(x, x.mean(axis=0), x.var(axis=0)) @ w
#         right = scores.argmax(axis=0) == labels[start : start + batch_size]
#         total += right.mean()
#     return total / (len(images) // batch_size)
# ```
#
# The model is one batch norm and one linear layer; images are rows `(N, C)`. In evaluation batch
# norm uses its *running* statistics `mean` and `var` and does not change them, so the accuracy is
# the same for every batch size. Each image counts once, those of the last, smaller batch too.
#
# A batch may be one image, or larger than all there are. A variance may be 0, where all images have
# the mean; no two classes of an image share the highest score.


# %% question="accuracy"
def accuracy(images, labels, w, mean, var, batch_size):
    """The share of images that are classified right, between 0 and 1."""
    ### BEGIN SOLUTION
    right = 0
    for start in range(0, len(images), batch_size):
        scores = normalise(images[start : start + batch_size], mean, var) @ w
        right += (scores.argmax(axis=1) == labels[start : start + batch_size]).sum()
    return right / len(images)
    ### END SOLUTION


# %% check="accuracy"
images = np.array([[1.0, 0.0], [0.0, 1.0], [5.0, 6.0], [6.0, 5.0], [9.0, 8.0]])
labels = np.array([0, 1, 1, 0, 1])
statistics = np.array([0.0, 0.0]), np.array([1.0, 1.0])
for batch_size in (1, 2, 3, 5):
    print(batch_size, accuracy(images, labels, np.eye(2), *statistics, batch_size))
    assert abs(accuracy(images, labels, np.eye(2), *statistics, batch_size) - 0.8) < 1e-12

# %% [markdown]
# ## 6. The gradient
#
# Found: "the gradient of a residual network is the product of its layers' derivatives", and
#
# ```python
# def through(g, jacobians):
#     for jacobian in jacobians:
#         g = g * jacobian.sum(axis=0)
#     return g
# ```
#
# For blocks $h_{l+1} = h_l + F_l(h_l)$, with the Jacobian $J_l = \partial F_l / \partial h_l$
# (`jacobian[i, j]` is the derivative of output i by input j) and $g = \partial L / \partial h_L$ a
# row, the chain rule says
#
# $$\frac{\partial L}{\partial h_0} = g\,(I + J_{L-1}) \cdots (I + J_1)(I + J_0).$$
#
# The $I$ is the point of it all: small Jacobians leave the gradient as it is, they do not shrink
# it. There may be any number of blocks, one or none too.


# %% question="through"
def through(g, jacobians):
    """dL/dh_0 of shape (D,), from g = dL/dh_L and the branches' Jacobians, first block first."""
    ### BEGIN SOLUTION
    for jacobian in reversed(jacobians):
        g = g + g @ jacobian
    return g
    ### END SOLUTION


# %% check="through"
g = np.array([1.0, -2.0])
print("fifty branches that do nothing:", through(g, [np.zeros((2, 2))] * 50))
assert np.array_equal(through(g, [np.zeros((2, 2))] * 50), g), "then the gradient is unchanged"
turn = np.array([[0.0, 1.0], [0.0, 0.0]])
print("order matters:", through(g, [turn, turn.T]), through(g, [turn.T, turn]))
assert through(g, [turn, turn.T]).tolist() == [-1, -3]
