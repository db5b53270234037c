# %% [markdown]
# # Convolution and pooling
#
# A convolution slides a small window over an image and multiplies what it sees with the same weights
# everywhere. You write it twice: in loops, to see what it is, and then *lowered* to one matrix
# product, which is how it gets fast. And you write both backwards.
#
# Images are `(N, H, W, C)`: N images of height H and width W with C channels, last. Weights are
# `(KH, KW, C, O)` for O output channels. `stride` and `padding` are whole numbers, the same for both
# directions. Use NumPy only, and leave the arrays that you are given as they are.
#
# **What must work:** every size from 1 on, equal or not, as long as one window fits into the padded
# image: a single image, row, column, channel or filter, a kernel that is larger than the image, a
# stride larger than the kernel. The padding may be 0, 1 or more, also more than the kernel's size, and
# there may be rows and columns at the lower and right edge that no window reaches, with padding and
# without. Values may be negative, go into the thousands, tie or nearly tie. Arrays that you are given lie
# in C order in memory. Each call stands alone. An entry may be
# off by a ten-thousandth of the largest in its array, so computing in float32 is fine.

# %% given="imports"
import numpy as np


# %% given="numerical_gradient"
def numerical_gradient(function, x, g, h=1e-6):
    """The gradient of sum(g * function(x)) by x, from central differences."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        old = x[i]
        x[i] = old + h
        above = function(x)
        x[i] = old - h
        below = function(x)
        x[i] = old
        gradient[i] = np.sum(g * (above - below)) / (2 * h)
    return gradient


# %% [markdown]
# ## 1. Convolution, forward
#
# Put `padding` zeros around each image. The window of output place $(i, j)$ then begins at row
# $i \cdot \text{stride}$ and column $j \cdot \text{stride}$:
#
# $$y_{n,i,j,o} = b_o + \sum_{k,l,c} x^{\text{padded}}_{n,\; i s + k,\; j s + l,\; c}\; w_{k,l,c,o}.$$
#
# The kernel is not flipped (strictly, this is a cross-correlation). There are as many places as whole
# windows fit, $\lfloor (H + 2p - K_H) / s \rfloor + 1$; what is left over at the lower and right edge
# is not looked at. Only `w` says how large the kernel is, and only `padding` how many zeros there are.


# %% question="conv_forward"
def conv_forward(x, w, b, stride, padding):
    """Convolve images x (N, H, W, C) with w (KH, KW, C, O), and add b (O,)."""
    ### BEGIN SOLUTION
    kh, kw = w.shape[:2]
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height = (padded.shape[1] - kh) // stride + 1
    width = (padded.shape[2] - kw) // stride + 1
    out = np.zeros((len(x), height, width, w.shape[3]))
    for i in range(height):
        for j in range(width):
            top, left = i * stride, j * stride
            window = padded[:, top : top + kh, left : left + kw]
            out[:, i, j] = np.einsum("nhwc,hwco->no", window, w) + b
    return out
    ### END SOLUTION


# %% [markdown]
# A kernel that is 1 in one place and 0 elsewhere shifts the image. Which way does it go?

# %% check="conv_forward"
image = np.arange(1.0, 13.0).reshape(1, 3, 4, 1)
kernel = np.zeros((3, 3, 1, 1))
kernel[0, 1] = 1
out = conv_forward(image, kernel, np.zeros(1), stride=1, padding=1)
print("image:", image[0, :, :, 0], "the window's upper middle:", out[0, :, :, 0], sep="\n")
assert out.shape == (1, 3, 4, 1), f"padding 1 keeps the size of a 3x3 convolution: {out.shape}"
assert out[0, 0].max() == 0, "above the first row are zeros"
assert np.array_equal(out[0, 1:], image[0, :-1]), "each place shows the pixel above it"
assert conv_forward(image, kernel, np.zeros(1), stride=2, padding=1).shape == (1, 2, 2, 1)

# %% [markdown]
# ## 2. Convolution, backward
#
# Think of the loop that you just wrote, and of each multiplication in it as a node. Place $(i, j)$
# used a window and all weights; what arrives there, $g_{n,i,j,o}$, goes back to both:
#
# - to the window: $w$ times $g$, **added** to what other windows already brought there, since windows
#   overlap;
# - to the weights: the window times $g$, added over all places and images;
# - to $b_o$: $g$, added over all places and images.
#
# The gradient of the padding is thrown away: crop it. `dx` has the shape of `x` always: what no window
# looked at has gradient 0.


# %% question="conv_backward"
def conv_backward(g, x, w, stride, padding):
    """The gradients (dx, dw, db) of `conv_forward`, for g of the shape of its output."""
    ### BEGIN SOLUTION
    kh, kw = w.shape[:2]
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    dpadded, dw = np.zeros(padded.shape), np.zeros(w.shape)
    for i in range(g.shape[1]):
        for j in range(g.shape[2]):
            top, left = i * stride, j * stride
            rows, columns = slice(top, top + kh), slice(left, left + kw)
            up = g[:, i, j]
            dw += np.einsum("nhwc,no->hwco", padded[:, rows, columns], up)
            dpadded[:, rows, columns] += np.einsum("hwco,no->nhwc", w, up)
    height, width = x.shape[1:3]
    dx = dpadded[:, padding : padding + height, padding : padding + width]
    db = g.sum(axis=(0, 1, 2))
    return dx, dw, db
    ### END SOLUTION


# %% check="conv_backward"
def by_pixels(x, w, stride, padding):
    """A convolution that is too slow for anything but this."""
    p = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    (kh, kw), s = w.shape[:2], stride
    places = range((p.shape[1] - kh) // s + 1), range((p.shape[2] - kw) // s + 1)
    return np.array(
        [
            [
                [np.tensordot(one[i * s : i * s + kh, j * s : j * s + kw], w, 3) for j in places[1]]
                for i in places[0]
            ]
            for one in p
        ]
    )


x, w = np.cos(np.arange(40.0)).reshape(1, 4, 5, 2), np.sin(np.arange(24.0)).reshape(3, 2, 2, 2)
g = np.cos(1 + np.arange(24.0)).reshape(1, 2, 3, 4)[..., :2]
dx, dw, db = conv_backward(g, x, w, stride=2, padding=1)
for name, got, expected in (
    ("dx", dx, numerical_gradient(lambda x: by_pixels(x, w, 2, 1), x.copy(), g)),
    ("dw", dw, numerical_gradient(lambda w: by_pixels(x, w, 2, 1), w.copy(), g)),
):
    print(
        f"{name}: largest difference to the numerical gradient {np.abs(got - expected).max():.1e}"
    )
    assert np.abs(got - expected).max() < 1e-6

# %% [markdown]
# ## 3. Lowering
#
# A window's numbers, written in a row, times the weights, written as a matrix of `KH * KW * C` rows
# and O columns, is the output at one place. With all windows as rows of one matrix, the convolution
# is **one matrix product**, and those are fast.
#
# Return the windows as an array `(N, Ho, Wo, KH * KW * C)`. In each row the channels of a pixel stand
# together, then come the pixels of a row of the window, then the rows: as `window.ravel()` has it. All
# that a convolution may be given must work here too.


# %% question="lower"
def lower(x, kh, kw, stride, padding):
    """The windows of images x (N, H, W, C) as rows: (N, Ho, Wo, KH * KW * C)."""
    ### BEGIN SOLUTION
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1)
    ### END SOLUTION


# %% check="lower"
rows = lower(image, 2, 3, stride=1, padding=0)
print("first window:", rows[0, 0, 0], "should be 1 2 3 5 6 7")
assert rows.shape == (1, 2, 2, 6)
assert rows[0, 0, 0].tolist() == [1, 2, 3, 5, 6, 7]
weights = np.cos(np.arange(12.0)).reshape(2, 3, 1, 2)
product = rows @ weights.reshape(-1, 2)
print(
    "as a matrix product:",
    product[0, 0, 0],
    "in the loop:",
    by_pixels(image, weights, 1, 0)[0, 0, 0],
)

# %% [markdown]
# ## 4. And back
#
# Lowering copies; a pixel that lies in several windows is copied several times. The backward of a
# copy is a **sum**: each pixel gets everything that arrives at any of its copies. (So this does not
# undo lowering: a pixel in four windows comes back four times as large.) `x_shape` is a list of four
# numbers; a pixel in no window gets 0.


# %% question="raise_back"
def raise_back(rows, x_shape, kh, kw, stride, padding):
    """The gradient of `lower` with respect to x, of shape x_shape, for the gradient `rows` of its output."""
    ### BEGIN SOLUTION
    n, height, width, channels = x_shape
    padded = np.zeros((n, height + 2 * padding, width + 2 * padding, channels))
    windows = rows.reshape(*rows.shape[:3], kh, kw, channels)
    down, right = stride * rows.shape[1], stride * rows.shape[2]
    for k in range(kh):
        for l in range(kw):
            padded[:, k : k + down : stride, l : l + right : stride] += windows[:, :, :, k, l]
    return padded[:, padding : padding + height, padding : padding + width]
    ### END SOLUTION


# %% check="raise_back"
ones = np.ones((1, 2, 3, 4))
counts = raise_back(ones, [1, 3, 4, 1], 2, 2, stride=1, padding=0)
print("in how many 2x2 windows is each pixel?", counts[0, :, :, 0], sep="\n")
assert counts[0, :, :, 0].tolist() == [[1, 2, 2, 1], [2, 4, 4, 2], [1, 2, 2, 1]]

# %% [markdown]
# ## 5. Max pooling, forward
#
# Each channel's largest value in each window of `size` by `size`, without padding. As many windows as
# fit: they may overlap, lie apart, or leave rows and columns over. All values may be negative, and a
# window may be a single pixel or the whole image.


# %% question="pool_forward"
def pool_forward(x, size, stride):
    """The maxima of the windows of images x (N, H, W, C), channel by channel."""
    ### BEGIN SOLUTION
    height = (x.shape[1] - size) // stride + 1
    width = (x.shape[2] - size) // stride + 1
    out = np.zeros((len(x), height, width, x.shape[3]))
    for i in range(height):
        for j in range(width):
            top, left = i * stride, j * stride
            out[:, i, j] = x[:, top : top + size, left : left + size].max(axis=(1, 2))
    return out
    ### END SOLUTION


# %% check="pool_forward"
print(pool_forward(image, 2, 1)[0, :, :, 0], "should be 6 7 8, 10 11 12")
assert pool_forward(image, 2, 1)[0, :, :, 0].tolist() == [[6, 7, 8], [10, 11, 12]]
assert pool_forward(-image, 2, 2).tolist() == [[[[-1], [-3]]]]

# %% [markdown]
# ## 6. Max pooling, backward
#
# Only the place of the maximum moved the output, so it gets the whole gradient. Where several values
# tie, the **first** gets it, going through the window row by row, even where all are equal. Windows may
# overlap, also where values tie: then a pixel can be the maximum of several, and gets the sum.


# %% question="pool_backward"
def pool_backward(g, x, size, stride):
    """The gradient of `pool_forward` with respect to x, for g of the shape of its output."""
    ### BEGIN SOLUTION
    dx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(g.shape):
        window = x[n, i * stride : i * stride + size, j * stride : j * stride + size, c]
        k, l = divmod(int(window.argmax()), size)
        dx[n, i * stride + k, j * stride + l, c] += g[n, i, j, c]
    return dx
    ### END SOLUTION


# %% check="pool_backward"
x = np.array([[1.0, 1.0, 0.0], [0.0, 5.0, 0.0], [5.0, 0.0, 0.0]]).reshape(1, 3, 3, 1)
g = np.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(1, 2, 2, 1)
dx = pool_backward(g, x, size=2, stride=1)[0, :, :, 0]
print(dx)
assert dx[1, 1] == 1111, "the 5 in the middle is the maximum, or the first of them, in all windows"
assert dx.sum() == 1111
