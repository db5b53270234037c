"""What the tests share: awkward arrays, definitions in plain loops, and finite differences."""

import math

import numpy as np

import minires
from minires import Tensor


def normal(*shape, seed=0, dtype=np.float64):
    """Random values, the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(dtype)


def positive(*shape, seed=0):
    """Random values between 0.5 and 2.5."""
    return np.random.default_rng([seed, *shape]).uniform(0.5, 2.5, size=shape)


def awkward(array):
    """The same values in memory that is not contiguous and runs backwards along the last axis."""
    array = np.asarray(array)
    if array.ndim == 0:
        return array.copy()
    buffer = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.array(7, array.dtype))
    view = buffer[..., ::-2]
    view[...] = array
    return view


def leaf(array, dtype=None):
    """A tensor that wants a gradient, on a copy of the values."""
    return Tensor(np.array(array, dtype=dtype), requires_grad=True)


def close(got, wanted, rtol=1e-10, atol=1e-12):
    """Equal up to rounding, and of one shape."""
    got = got.numpy() if isinstance(got, Tensor) else np.asarray(got)
    wanted = np.asarray(wanted)
    assert got.shape == wanted.shape, f"shape {got.shape}, wanted {wanted.shape}"
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


# ---------------------------------------------------------------------- finite differences


def differences(f, arrays, i, step=1e-5):
    """The derivative of the number `f(*arrays)` by each element of `arrays[i]`, from both sides."""
    arrays = [np.array(a) for a in arrays]
    x, slopes = arrays[i], np.zeros(arrays[i].shape)
    for at in np.ndindex(x.shape):
        middle = x[at]
        x[at] = middle + step
        above = f(*arrays)
        x[at] = middle - step
        below = f(*arrays)
        x[at] = middle
        slopes[at] = (above - below) / (2 * step)
    return slopes


def check_gradients(f, *arrays, second=True):
    """Hold `f`'s gradients, and the gradients of those, against finite differences in float64.

    The upstream gradient is random; inputs lie awkwardly in memory and must come out unchanged.
    """
    arrays = [np.asarray(a, np.float64) for a in arrays]
    inputs = [Tensor(awkward(a), requires_grad=True) for a in arrays]
    out = f(*inputs)
    v = normal(*out.shape, seed=99)
    upstream = Tensor(awkward(v))
    _agree(
        minires.grad(out, inputs, upstream),
        lambda *xs: float((f(*map(Tensor, xs)).numpy() * v).sum()),
        arrays,
        "first",
    )
    for x, a in zip(inputs, arrays, strict=True):
        np.testing.assert_array_equal(x.numpy(), a, err_msg="an input was modified")
    np.testing.assert_array_equal(upstream.numpy(), v, err_msg="the upstream gradient was modified")
    if len(arrays) > 1:
        _check_each_alone(f, arrays, v)
    if second:
        _check_second(f, arrays, v)


def _check_each_alone(f, arrays, v):
    """An argument's gradient is the same where the others are constants."""
    leaves = [leaf(a) for a in arrays]
    together = minires.grad(f(*leaves), leaves, Tensor(v))
    for i, wanted in enumerate(together):
        xs = [leaf(a) if i == j else Tensor(a) for j, a in enumerate(arrays)]
        out = f(*xs)
        alone = minires.grad(out, xs[i], Tensor(v)) if out.requires_grad else None
        assert (alone is None) == (wanted is None), f"argument {i} alone has no gradient"
        if wanted is not None:
            np.testing.assert_allclose(alone.numpy(), wanted.numpy(), rtol=1e-12, atol=1e-12)


def _check_second(f, arrays, v):
    directions = [normal(*a.shape, seed=50 + i) for i, a in enumerate(arrays)]

    def slope(*points):
        """The first derivative along the directions, by an ordinary walk on arrays."""
        *xs, v = points
        leaves = [leaf(x) for x in xs]
        grads = minires.grad(f(*leaves), leaves, Tensor(v))
        return sum(
            float((g.numpy() * u).sum())
            for g, u in zip(grads, directions, strict=True)
            if g is not None
        )

    leaves = [Tensor(awkward(a), requires_grad=True) for a in (*arrays, v)]
    *xs, upstream = leaves
    grads = minires.grad(f(*xs), xs, upstream, create_graph=True)
    terms = [(g * u).sum() for g, u in zip(grads, directions, strict=True) if g is not None]
    total = sum(terms, Tensor(np.zeros(())))
    close(total.item(), slope(*arrays, v), rtol=1e-9, atol=1e-9)
    analytic = minires.grad(total, leaves) if total.requires_grad else [None] * len(leaves)
    _agree(analytic, slope, [*arrays, v], "second")


def _agree(analytic, f, arrays, order):
    for i, (got, a) in enumerate(zip(analytic, arrays, strict=True)):
        wanted = differences(f, arrays, i)
        assert got is None or (got.shape, got.dtype) == (a.shape, a.dtype)
        values = np.zeros(a.shape) if got is None else got.numpy()
        scale = np.abs(wanted).max(initial=0)
        np.testing.assert_allclose(
            values,
            wanted,
            rtol=0,
            atol=2e-8 + 1e-7 * scale,
            err_msg=f"{order} derivative by argument {i}",
        )


def along(f, *arrays):
    """`f`'s derivative in a fixed random direction, itself a function of tensors.

    What `check_gradients` says of it are the second and third derivatives of `f`.
    """
    v = normal(*f(*map(Tensor, arrays)).shape, seed=98)
    directions = [normal(*a.shape, seed=70 + i) for i, a in enumerate(arrays)]

    def slope(*tensors):
        with minires.enable_grad():
            xs = [t if t.requires_grad else leaf(t.numpy()) for t in tensors]
            grads = minires.grad(f(*xs), xs, Tensor(v), create_graph=True)
            return sum((g * u).sum() for g, u in zip(grads, directions, strict=True))

    return slope


# ---------------------------------------------------------------------- definitions in plain loops


def conv2d_loops(x, w, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    """Convolution of (N, H, W, C) with (KH, KW, C / groups, O), one product at a time."""
    n, h, wide, _ = x.shape
    kh, kw, cg, o = w.shape
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    ho = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    wo = (wide + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    out = np.zeros((n, ho, wo, o))
    for b, i, j, f, k, l, m in np.ndindex(n, ho, wo, o, kh, kw, cg):
        row, column = sh * i + dh * k - ph, sw * j + dw * l - pw
        if 0 <= row < h and 0 <= column < wide:
            out[b, i, j, f] += x[b, row, column, f // (o // groups) * cg + m] * w[k, l, m, f]
    return out


def pool_loops(x, reduce, kernel, stride, padding=(0, 0), fill=None):
    """`reduce` of each window's values; the padding counts as `fill`, or not at all if None."""
    n, h, wide, c = x.shape
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride, padding
    ho, wo = (h + 2 * ph - kh) // sh + 1, (wide + 2 * pw - kw) // sw + 1
    out = np.zeros((n, ho, wo, c))
    for b, i, j, m in np.ndindex(out.shape):
        values = []
        for row in range(sh * i - ph, sh * i - ph + kh):
            for column in range(sw * j - pw, sw * j - pw + kw):
                if 0 <= row < h and 0 <= column < wide:
                    values.append(x[b, row, column, m])
                elif fill is not None:
                    values.append(fill)
        out[b, i, j, m] = reduce(values)
    return out


def batch_norm_loops(x, gamma, beta, eps=1e-5):
    """Each channel brought to mean 0 and variance 1, then scaled and shifted."""
    out = np.zeros(x.shape)
    for c in range(x.shape[-1]):
        values = x[..., c].ravel()
        mean = sum(values) / len(values)
        var = sum((v - mean) ** 2 for v in values) / len(values)
        for at in np.ndindex(x.shape[:-1]):
            out[(*at, c)] = gamma[c] * (x[(*at, c)] - mean) / math.sqrt(var + eps) + beta[c]
    return out


def cross_entropy_loops(logits, labels, smoothing=0.0):
    """Each row's loss, by the definition with exact sums."""
    losses = []
    for row, label in zip(logits, labels, strict=True):
        top = max(row)
        log_total = top + math.log(math.fsum(math.exp(v - top) for v in row))
        weights = [smoothing / len(row) + (1 - smoothing) * (k == label) for k in range(len(row))]
        losses.append(math.fsum(w * (log_total - v) for w, v in zip(weights, row, strict=True)))
    return np.array(losses)
