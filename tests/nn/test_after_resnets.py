"""Layers that came after ResNet: by hand, at their edges, and what they refuse."""

import math

import numpy as np
import pytest
from helpers import close, conv2d_loops, normal

import minires
from minires import Tensor, nn, ops
from minires.nn import functional as F


def test_erf_is_the_standard_librarys():
    """Within two units in the last place in float64, four in float32, and at both ends."""
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.normal(0, 1.5, 20_000), rng.uniform(-7, 7, 5_000), 10 ** rng.uniform(-30, 1, 5_000)]
    )
    for dtype, units in (("float64", 2), ("float32", 4)):
        given = x.astype(dtype)
        wanted = np.array([math.erf(float(v)) for v in given])
        error = abs(ops.erf(given) - wanted) / np.spacing(abs(wanted).astype(dtype))
        assert error.max() <= units
    ends = ops.erf(np.array([np.inf, -np.inf, 0.0, np.nan]))
    np.testing.assert_array_equal(ends, [1, -1, 0, np.nan])


def test_norms_by_hand():
    x = normal(2, 3, 2, 4) * 3 + 1
    each = np.zeros(x.shape)
    for at in np.ndindex(x.shape[:-1]):
        each[at] = (x[at] - x[at].mean()) / math.sqrt(x[at].var() + 1e-5)
    close(nn.LayerNorm(4).to(dtype="float64")(Tensor(x)), each)
    groups = np.zeros(x.shape)
    for n in range(2):
        for part in (slice(0, 2), slice(2, 4)):
            values = x[n, ..., part]
            groups[n, ..., part] = (values - values.mean()) / math.sqrt(values.var() + 1e-5)
    close(nn.GroupNorm(2, 4).to(dtype="float64")(Tensor(x)), groups)


def test_half_precision_is_computed_in_float32():
    x = (300 * normal(4, 8)).astype(np.float16)  # whose squares are infinite
    for layer in (nn.LayerNorm(8).to(dtype="float16"), nn.GELU("tanh"), nn.GELU()):
        given = Tensor(x, requires_grad=True)
        out = layer(given)
        out.sum().backward()
        assert out.dtype == given.grad.dtype == np.float16
        assert np.isfinite(out.numpy()).all()
        assert np.isfinite(given.grad.numpy()).all()


def test_a_transposed_convolution_is_the_adjoint_of_the_convolution():
    """<conv(x), y> = <x, conv_transpose(y)> for every x and y."""
    x, w = normal(2, 7, 6, 4), normal(3, 2, 2, 6)
    y = conv2d_loops(x, w, (2, 3), (1, 0), groups=2)
    g = normal(*y.shape, seed=1)
    back = F.conv_transpose2d(Tensor(g), Tensor(w), None, (2, 3), (1, 0), (0, 1), 2)
    assert back.shape == x.shape
    close((y * g).sum(), (x * back.numpy()).sum())


def test_squeeze_and_excitation_by_hand():
    layer = nn.SqueezeExcitation(4, 2).to(dtype="float64")
    x = normal(2, 3, 5, 4)
    hidden = np.maximum(x.mean((1, 2)) @ layer.fc1.weight.data[0, 0] + layer.fc1.bias.data, 0)
    scale = 1 / (1 + np.exp(-(hidden @ layer.fc2.weight.data[0, 0] + layer.fc2.bias.data)))
    close(layer(Tensor(x)), x * scale[:, None, None])


def test_stochastic_depth_drops_samples_whole_and_keeps_the_mean():
    minires.manual_seed(3)
    layer = nn.StochasticDepth(0.25)
    out = layer(Tensor(np.ones((4000, 2, 3)))).numpy()
    kept = out[:, 0, 0] != 0
    np.testing.assert_array_equal(out, np.where(kept, 1 / 0.75, 0)[:, None, None] * np.ones((2, 3)))
    assert abs(kept.mean() - 0.75) < 0.03
    minires.manual_seed(3)
    np.testing.assert_array_equal(out, layer(Tensor(np.ones((4000, 2, 3)))).numpy())
    together = nn.StochasticDepth(0.5, "batch")(Tensor(np.ones((9, 2)))).numpy()
    assert len(np.unique(together)) == 1
    assert not nn.StochasticDepth(1.0)(Tensor(np.ones((3, 2)))).numpy().any()
    x = Tensor(np.ones((3, 2)))
    assert layer.eval()(x) is x


def test_padding_gets_no_gradient_and_repeated_rows_their_sum():
    layer = nn.Embedding(4, 2, padding_idx=1)
    np.testing.assert_array_equal(layer.weight.numpy()[1], 0)
    layer([[0, 1], [0, 3]]).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), [[2, 2], [0, 0], [0, 0], [1, 1]])


def test_attention_by_hand():
    layer = nn.MultiheadAttention(4, 2).to(dtype="float64")
    for i, p in enumerate(layer.parameters()):
        p.data[...] = normal(*p.shape, seed=i)
    x = normal(1, 3, 4)
    q, k, v = np.split(x[0] @ layer.in_proj_weight.data + layer.in_proj_bias.data, 3, axis=1)
    heads, mean = np.zeros((3, 4)), np.zeros((3, 3))
    for h in (slice(0, 2), slice(2, 4)):
        for i in range(3):
            scores = [math.exp(q[i, h] @ k[j, h] / math.sqrt(2)) for j in range(i + 1)]
            for j, score in enumerate(scores):
                heads[i, h] += score / sum(scores) * v[j, h]
                mean[i, j] += score / sum(scores) / 2
    out, weights = layer(Tensor(x), Tensor(x), Tensor(x), is_causal=True)
    close(out[0], heads @ layer.out_proj.weight.data + layer.out_proj.bias.data)
    close(weights[0], mean)
    assert layer(Tensor(x), Tensor(x), Tensor(x), need_weights=False)[1] is None


ONES = Tensor(np.ones((2, 3, 4), np.float32))
REFUSED = [
    (lambda: nn.LayerNorm(3)(ONES), r"layer_norm wants \(\.\.\., 3\), got \(2, 3, 4\)"),
    (lambda: F.layer_norm(ONES, (3, 4), ONES), "layer_norm wants a weight of"),
    (lambda: nn.GroupNorm(3, 4), "3 groups do not divide 4 channels"),
    (lambda: nn.GroupNorm(1, 3)(ONES), r"GroupNorm wants \(N, \.\.\., 3\), got \(2, 3, 4\)"),
    (lambda: F.group_norm(ONES[0, 0], 1), r"group_norm wants \(N, \.\.\., C\)"),
    (lambda: nn.GELU("sigmoid"), 'approximate must be "none" or "tanh"'),
    (lambda: nn.Embedding(3, 2)(np.array([0, 3])), "embedding: 3 is not among the 3 rows 0 to 2"),
    (lambda: nn.Embedding(3, 2)(np.array([-1])), "embedding: -1 is not among"),
    (lambda: nn.Embedding(0, 2), "at least one row and one column"),
    (lambda: nn.ConvTranspose2d(4, 6, 3, groups=3), "positive channels that groups divides"),
    (lambda: nn.ConvTranspose2d(3, 6, 3)(ONES.reshape(1, 2, 3, 4)), r"\(N, H, W, 3\), got"),
    (
        lambda: nn.ConvTranspose2d(4, 6, 3, output_padding=1)(ONES.reshape(1, 2, 3, 4)),
        "output_padding less than the stride or the dilation",
    ),
    (
        lambda: nn.ConvTranspose2d(4, 6, 1, padding=2)(ONES.reshape(1, 2, 3, 4)),
        "nothing is left",
    ),
    (lambda: nn.Upsample(), "either size or scale_factor"),
    (lambda: nn.Upsample(2, 2), "either size or scale_factor"),
    (lambda: nn.Upsample(2, mode="bicubic"), 'mode must be "nearest" or "bilinear"'),
    (lambda: nn.Upsample(2)(ONES), r"interpolate wants images \(N, H, W, C\)"),
    (lambda: F.interpolate(ONES.reshape(1, 2, 3, 4), 0), "cannot make"),
    (lambda: F.interpolate(ONES.reshape(1, 2, 3, 4), scale_factor=-1), "positive scale factors"),
    (lambda: F.interpolate(ONES.reshape(1, 2, 3, 4), 2, align_corners=True), "align_corners is"),
    (lambda: nn.StochasticDepth(1.1), "0 <= p <= 1"),
    (lambda: nn.StochasticDepth(0.1, "rows"), 'mode must be "row" or "batch"'),
    (lambda: nn.MultiheadAttention(4, 3), "embed_dim that num_heads divides"),
    (lambda: nn.MultiheadAttention(4, 2, batch_first=False), "batch_first=True"),
    (lambda: nn.MultiheadAttention(3, 1)(ONES, ONES, ONES), r"\(N, length, 3\), got a query"),
    (
        lambda: nn.MultiheadAttention(4, 2)(ONES, ONES, ONES, attn_mask=np.ones((2, 3))),
        "wants an attn_mask of",
    ),
    (
        lambda: F.scaled_dot_product_attention(ONES, ONES, ONES, np.ones((3, 3)), 0.0, True),
        "a mask or is_causal, not both",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_numbers_that_are_none():
    with pytest.raises(TypeError, match="embedding wants integers from 0 to 2, got float32"):
        nn.Embedding(3, 2)(ONES)
    with pytest.raises(TypeError, match="layer_norm wants floating-point numbers, got int64"):
        nn.LayerNorm(2)(Tensor(np.zeros((3, 2), np.int64)))


@pytest.mark.parametrize("name", ["attn_mask", "key_padding_mask"])
def test_a_mask_of_whole_numbers_is_refused(name):
    """They would be added to the scores, and mask nothing."""
    attention, x = nn.MultiheadAttention(4, 2), Tensor(np.ones((1, 3, 4), np.float32))
    mask = np.triu(np.ones((3, 3), int), 1) if name == "attn_mask" else np.array([[0, 0, 1]])
    with pytest.raises(TypeError, match="truth values or floating numbers, not int64"):
        attention(x, x, x, **{name: mask})
    with pytest.raises(TypeError, match="truth values or floating numbers, not int64"):
        nn.functional.scaled_dot_product_attention(x, x, x, np.eye(3, dtype=int))
