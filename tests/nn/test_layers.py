"""Every layer's values, its errors, and what it does with awkward batches."""

import numpy as np
import pytest
from helpers import (
    awkward,
    batch_norm_loops,
    check_gradients,
    close,
    conv2d_loops,
    leaf,
    normal,
    pool_loops,
    positive,
)

import minires
from minires import Tensor, nn


def double(module):
    """The module in float64, with every parameter and buffer drawn anew."""
    module.to(dtype=np.float64)
    for i, p in enumerate(module.parameters()):
        p.data[...] = positive(*p.shape, seed=40 + i) - 1
    return module


# ---------------------------------------------------------------------- linear and convolution


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
def test_linear_is_a_sum_of_products(shape):
    layer, x = double(nn.Linear(3, 4)), normal(*shape)
    wanted = np.zeros((*shape[:-1], 4))
    for *at, j in np.ndindex(wanted.shape):
        wanted[(*at, j)] = layer.bias.data[j] + sum(
            x[(*at, i)] * layer.weight.data[i, j] for i in range(3)
        )
    close(layer(Tensor(x)), wanted)


def test_linear_without_bias():
    layer = nn.Linear(3, 4, bias=False)
    assert layer.bias is None
    assert [n for n, _ in layer.named_parameters()] == ["weight"]
    assert layer(Tensor(np.zeros((2, 3), np.float32))).tolist() == [[0.0] * 4] * 2


def test_linear_of_the_wrong_width():
    for shape in [(5, 4), (3, 1), ()]:
        with pytest.raises(ValueError, match=r"linear wants \(\.\.\., 3\), got"):
            nn.Linear(3, 4)(Tensor(np.zeros(shape, np.float32)))


@pytest.mark.parametrize("features", [(0, 4), (3, 0), (3, -1)])
def test_linear_of_no_features(features):
    with pytest.raises(ValueError, match="at least one feature in and out, got in_features="):
        nn.Linear(*features)


@pytest.mark.parametrize(
    ("options", "plain"),
    [
        ({"kernel_size": 3}, {}),
        (
            {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
            {"stride": (2, 1), "padding": (1, 0)},
        ),
        (
            {"kernel_size": 2, "stride": 3, "padding": 1, "dilation": 2},
            {"stride": (3, 3), "padding": (1, 1), "dilation": (2, 2)},
        ),
        ({"kernel_size": 3, "padding": 1, "groups": 2}, {"padding": (1, 1), "groups": 2}),
    ],
)
def test_convolution_adds_its_bias_to_each_filter(options, plain):
    layer, x = double(nn.Conv2d(4, 6, **options)), normal(2, 7, 6, 4)
    assert layer.weight.shape[2:] == (4 // plain.get("groups", 1), 6)
    wanted = conv2d_loops(x, layer.weight.data, **plain) + layer.bias.data
    close(layer(Tensor(awkward(x))), wanted, atol=1e-11)


def test_convolution_layer_errors():
    for channels in [(3, 4, 2), (4, 3, 2), (4, 4, 0), (0, 4, 1)]:
        with pytest.raises(ValueError, match="positive channels that groups divides"):
            nn.Conv2d(channels[0], channels[1], 3, groups=channels[2])
    for size in [2.5, (1, 2, 3), "3"]:
        with pytest.raises(TypeError, match="kernel_size wants an integer or a pair"):
            nn.Conv2d(3, 4, size)
    with pytest.raises(TypeError, match="stride wants"):
        nn.Conv2d(3, 4, 3, stride=None)
    for name, value in {"kernel_size": 0, "stride": (1, 0), "dilation": -1, "padding": -1}.items():
        with pytest.raises(ValueError, match=f"Conv2d wants a {name} of at least [01], got"):
            nn.Conv2d(3, 4, **{"kernel_size": 3, name: value})


def test_images_that_are_not_scaled_are_recognised():
    with pytest.raises(ValueError, match="wants images of floating-point numbers, got uint8: sca"):
        nn.Conv2d(3, 4, 3)(Tensor(np.zeros((2, 5, 5, 3), np.uint8)))


def test_images_with_channels_first_are_recognised():
    layer = nn.Conv2d(3, 8, 3)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        layer(Tensor(np.zeros((2, 3, 32, 30), np.float32)))
    message = str(caught.value)
    assert "conv2d wants images (N, H, W, 3), got (2, 3, 32, 30): 30 channels, not 3" in message
    assert "looks like (N, C, H, W)" in message
    assert "x.transpose(0, 2, 3, 1)" in message
    converted = Tensor(np.zeros((2, 3, 32, 30), np.float32)).transpose(0, 2, 3, 1)
    assert layer(converted).shape == (2, 30, 28, 8)


@pytest.mark.parametrize("shape", [(32, 32, 3), (1, 2, 32, 32, 3), (2, 32, 32, 4)])
def test_images_of_the_wrong_rank_or_channels(shape):
    with pytest.raises(ValueError, match="conv2d wants images"):
        nn.Conv2d(3, 8, 3)(Tensor(np.zeros(shape, np.float32)))


# ---------------------------------------------------------------------- batch norm


def test_batch_norm_in_training_normalises_by_the_batch():
    for layer, shape in [
        (nn.BatchNorm2d(3), (4, 2, 5, 3)),
        (nn.BatchNorm1d(3), (6, 3)),
        (nn.BatchNorm1d(3, eps=0.2), (4, 5, 3)),
    ]:
        double(layer)
        x = normal(*shape) * 2 + 1
        wanted = batch_norm_loops(x, layer.weight.data, layer.bias.data, layer.eps)
        close(layer(Tensor(awkward(x))), wanted)
        check_gradients(
            lambda x, g, b, layer=layer: nn.functional.batch_norm(
                x, None, None, g, b, True, eps=layer.eps
            ),
            x[:2, :2] if x.ndim > 2 else x,
            layer.weight.data,
            layer.bias.data,
            second=False,
        )


def test_running_statistics_over_several_steps_and_an_evaluation():
    momentum, eps, steps = 0.3, 0.01, 4
    layer = double(nn.BatchNorm2d(2, eps=eps, momentum=momentum))
    mean, var = np.zeros(2), np.ones(2)
    close(layer.running_mean, mean)
    close(layer.running_var, var)
    assert layer.num_batches_tracked.item() == 0
    for step in range(steps):
        x = normal(3, 2, 4, 2, seed=step) * (step + 1) + step
        layer(Tensor(x))
        for c in range(2):
            values = x[..., c].ravel()
            batch_mean = sum(values) / 24
            unbiased = sum((v - batch_mean) ** 2 for v in values) / 23
            mean[c] = (1 - momentum) * mean[c] + momentum * batch_mean
            var[c] = (1 - momentum) * var[c] + momentum * unbiased
        close(layer.running_mean, mean)
        close(layer.running_var, var)
    assert layer.num_batches_tracked.item() == steps
    layer.eval()
    x = normal(2, 1, 3, 2, seed=77)
    gamma, beta = layer.weight.data, layer.bias.data
    wanted = gamma * (x - mean) / np.sqrt(var + eps) + beta
    for _ in range(2):  # evaluation changes nothing
        close(layer(Tensor(x)), wanted)
    close(layer.running_mean, mean)
    close(layer.running_var, var)
    assert layer.num_batches_tracked.item() == steps


def test_the_default_momentum_is_a_tenth():
    layer = nn.BatchNorm1d(1)
    layer(Tensor(np.array([[1.0], [3.0]], np.float32)))
    close(layer.running_mean, np.array([0.2], "f4"), rtol=1e-6)
    close(layer.running_var, np.array([0.9 + 0.1 * 2], "f4"), rtol=1e-6)


def test_gradients_in_evaluation_treat_the_statistics_as_constants():
    layer = double(nn.BatchNorm2d(3))
    layer.running_mean.data[...] = normal(3)
    layer.running_var.data[...] = positive(3)
    layer.eval()
    x, g = leaf(normal(2, 3, 1, 3)), normal(2, 3, 1, 3, seed=8)
    layer(x).backward(Tensor(g))
    inverse = 1 / np.sqrt(layer.running_var.data + 1e-5)
    close(x.grad, g * layer.weight.data * inverse)
    xhat = (x.numpy() - layer.running_mean.data) * inverse
    close(layer.weight.grad, (g * xhat).sum(axis=(0, 1, 2)))
    close(layer.bias.grad, g.sum(axis=(0, 1, 2)))
    check_gradients(
        lambda x, gamma, beta: nn.functional.batch_norm(
            x, layer.running_mean, layer.running_var, gamma, beta
        ),
        normal(2, 2, 1, 3),
        positive(3),
        normal(3),
    )


def test_batch_norm_without_affine_or_statistics():
    plain = nn.BatchNorm2d(3, affine=False).to(dtype=np.float64)
    assert list(plain.parameters()) == []
    x = normal(2, 3, 2, 3)
    close(plain(Tensor(x)), batch_norm_loops(x, np.ones(3), np.zeros(3)))
    close(plain.eval()(Tensor(x)), (x - plain.running_mean.data) / np.sqrt(
        plain.running_var.data + 1e-5))  # fmt: skip
    own = nn.BatchNorm2d(3, track_running_stats=False).to(dtype=np.float64).eval()
    assert list(own.buffers()) == []
    close(own(Tensor(x)), batch_norm_loops(x, np.ones(3), np.zeros(3)))


def test_running_statistics_are_outside_the_graph_and_keep_their_arrays():
    layer = nn.BatchNorm2d(3)
    arrays = layer.running_mean.data, layer.running_var.data
    layer(leaf(normal(2, 3, 2, 3), np.float32))
    assert layer.running_mean.data is arrays[0]
    assert layer.running_var.data is arrays[1]
    assert not layer.running_mean.requires_grad
    assert layer.running_mean.dtype == np.float32


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.BatchNorm2d(3), (2, 4, 4, 5), r"BatchNorm2d wants images \(N, H, W, 3\), got"),
        (nn.BatchNorm2d(3), (2, 3), r"BatchNorm2d wants images \(N, H, W, 3\), got \(2, 3\)"),
        (nn.BatchNorm1d(3), (2, 4, 4, 3), r"BatchNorm1d wants \(N, 3\) or \(N, L, 3\), got"),
        (nn.BatchNorm2d(3), (1, 1, 1, 3), "more than one value per channel, got 1"),
        (nn.BatchNorm1d(3), (1, 3), "larger batch, or eval"),
        (nn.BatchNorm2d(3), (0, 4, 4, 3), "more than one value per channel, got 0"),
    ],
)
def test_batch_norm_errors_leave_the_statistics_alone(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(Tensor(np.zeros(shape, np.float32)))
    assert layer.running_mean.tolist() == [0, 0, 0]
    assert layer.num_batches_tracked.item() == 0


def test_one_image_is_enough_in_evaluation_and_so_is_none():
    layer = nn.BatchNorm2d(3).eval()
    assert layer(Tensor(np.zeros((1, 1, 1, 3), np.float32))).shape == (1, 1, 1, 3)
    assert layer(Tensor(np.zeros((0, 4, 4, 3), np.float32))).shape == (0, 4, 4, 3)


def test_functional_batch_norm_errors():
    x = Tensor(normal(4, 3))
    with pytest.raises(ValueError, match="running_mean and running_var"):
        nn.functional.batch_norm(x, None, None)
    with pytest.raises(ValueError, match=r"batch_norm wants \(\.\.\., 5\), got \(4, 3\)"):
        nn.functional.batch_norm(x, None, None, Tensor(np.ones(5)), training=True)


# ---------------------------------------------------------------------- activations


def test_activation_layers():
    x = normal(3, 4)
    for layer, wanted in [
        (nn.ReLU(), np.where(x > 0, x, 0)),
        (nn.LeakyReLU(), np.where(x > 0, x, 0.01 * x)),
        (nn.LeakyReLU(0.3), np.where(x > 0, x, 0.3 * x)),
        (nn.Sigmoid(), 1 / (1 + np.exp(-x))),
        (nn.Tanh(), np.tanh(x)),
        (nn.Softmax(), np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)),
        (nn.Softmax(dim=0), np.exp(x) / np.exp(x).sum(axis=0)),
        (nn.Identity(3, unused=True), x),
    ]:
        t = Tensor(x.copy())
        close(layer(t), wanted)
        close(t, x)  # nothing happens in place
    close(nn.functional.log_softmax(Tensor(x), 0), x - np.log(np.exp(x).sum(axis=0)))


# ---------------------------------------------------------------------- pooling


def test_pooling_layers():
    x = normal(2, 7, 6, 3)
    t = Tensor(awkward(x))
    for layer, wanted in [
        (nn.MaxPool2d(2), pool_loops(x, max, (2, 2), (2, 2))),
        (nn.MaxPool2d(3, 2, 1), pool_loops(x, max, (3, 3), (2, 2), (1, 1))),
        (nn.MaxPool2d((3, 2), stride=(1, 2)), pool_loops(x, max, (3, 2), (1, 2))),
        (nn.MinPool2d(3, 2, 1), pool_loops(x, min, (3, 3), (2, 2), (1, 1))),
        (nn.AvgPool2d(2), pool_loops(x, np.mean, (2, 2), (2, 2))),
        (nn.AvgPool2d(3, 2, 1), pool_loops(x, np.mean, (3, 3), (2, 2), (1, 1), fill=0.0)),
    ]:
        close(layer(t), wanted)


def test_the_first_minimum_of_a_window_gets_the_gradient():
    x = leaf(np.array([[2.0, 1.0], [1.0, 1.0]]).reshape(1, 2, 2, 1))
    nn.MinPool2d(2)(x).backward(Tensor(np.full((1, 1, 1, 1), 3.0)))
    close(x.grad.reshape(2, 2), [[0, 3], [0, 0]])


@pytest.mark.parametrize("size", [1, (1, 1), 2, (3, 2), (7, 6), (5, 4), (2, 5), (9, 8)])
def test_adaptive_pooling_of_sizes_that_do_not_divide(size):
    x = normal(2, 7, 6, 3)
    rows, columns = size if isinstance(size, tuple) else (size, size)
    wanted = np.zeros((2, rows, columns, 3))
    for n, i, j, c in np.ndindex(wanted.shape):
        top, bottom = int(np.floor(i * 7 / rows)), int(np.ceil((i + 1) * 7 / rows))
        left, right = int(np.floor(j * 6 / columns)), int(np.ceil((j + 1) * 6 / columns))
        cell = x[n, top:bottom, left:right, c]
        wanted[n, i, j, c] = cell.sum() / cell.size
    layer = nn.AdaptiveAvgPool2d(size)
    close(layer(Tensor(awkward(x))), wanted)


def test_adaptive_pooling_gradients():
    for size in (1, (3, 2)):
        check_gradients(lambda x, s=size: nn.functional.adaptive_avg_pool2d(x, s),
                        normal(2, 5, 3, 2))  # fmt: skip


def test_adaptive_pooling_errors():
    with pytest.raises(ValueError, match=r"images \(N, H, W, C\), got \(7, 6, 3\)"):
        nn.AdaptiveAvgPool2d(1)(Tensor(normal(7, 6, 3)))
    with pytest.raises(TypeError, match="output_size"):
        nn.AdaptiveAvgPool2d(2.5)


# ---------------------------------------------------------------------- structure


def test_flatten_keeps_the_batch():
    x = normal(2, 3, 4, 5)
    close(nn.Flatten()(Tensor(x)), x.reshape(2, 60))
    close(nn.Flatten(2)(Tensor(x)), x.reshape(2, 3, 20))
    assert nn.Flatten()(Tensor(np.zeros((0, 3, 4)))).shape == (0, 12)


def test_the_residual_add_sends_the_gradient_both_ways():
    x, shortcut = leaf(normal(2, 3)), leaf(normal(2, 3, seed=1))
    g = normal(2, 3, seed=2)
    out = nn.Add()(x, shortcut)
    close(out, x.numpy() + shortcut.numpy())
    out.backward(Tensor(g))
    close(x.grad, g)
    close(shortcut.grad, g)
    assert not np.shares_memory(x.grad.data, shortcut.grad.data)


def test_the_residual_add_stretches_nothing():
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3\) and \(1, 3\).*projection"):
        nn.Add()(Tensor(normal(2, 3)), Tensor(normal(1, 3)))


# ---------------------------------------------------------------------- dropout


def test_dropout_zeroes_a_share_and_scales_the_rest():
    x = np.full((200, 300), 2.0, np.float32)
    for p in (0.2, 0.5, 0.9):
        out = nn.Dropout(p)(Tensor(x)).numpy()
        assert out.dtype == np.float32
        kept = out != 0
        np.testing.assert_allclose(out[kept], 2 / (1 - p), rtol=1e-6)
        # 60,000 draws: the share lies within five standard deviations
        assert abs(kept.mean() - (1 - p)) < 5 * (p * (1 - p) / 60_000) ** 0.5
        # and masks differ along both axes
        assert len({row.tobytes() for row in kept}) == 200
        assert len({column.tobytes() for column in kept.T}) == 300


def test_dropout_draws_anew_each_time_and_the_same_from_the_same_seed():
    x, layer = Tensor(np.ones((10, 20), np.float32)), nn.Dropout(0.5)
    minires.manual_seed(5)
    first, second = layer(x).numpy(), layer(x).numpy()
    assert (first != second).any()
    minires.manual_seed(5)
    np.testing.assert_array_equal(layer(x).numpy(), first)
    np.testing.assert_array_equal(layer(x).numpy(), second)
    minires.manual_seed([5, 1])
    assert (layer(x).numpy() != first).any()


def test_dropout_sends_the_gradient_where_the_value_went():
    x = leaf(np.ones((10, 20)))
    out = nn.functional.dropout(x, 0.25)
    g = normal(10, 20)
    out.backward(Tensor(g))
    close(x.grad, g * out.numpy())


def test_dropout_does_nothing_in_evaluation_or_with_p_zero():
    x = leaf(normal(3, 4))
    assert nn.Dropout(0.5).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert nn.functional.dropout(x, 0.5, training=False) is x


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_dropout_wants_a_probability(p):
    with pytest.raises(ValueError, match=f"0 <= p <= 1, got {p}"):
        nn.Dropout(p)
    with pytest.raises(ValueError, match=f"0 <= p <= 1, got {p}"):
        nn.functional.dropout(Tensor([1.0]), p)


# ---------------------------------------------------------------------- functional


def test_functional_signatures_are_those_that_pytorch_users_know():
    import inspect

    wanted = {
        "conv2d": "input, weight, bias, stride, padding, dilation, groups",
        "linear": "input, weight, bias",
        "batch_norm": "input, running_mean, running_var, weight, bias, training, momentum, eps",
        "relu": "input, inplace",
        "leaky_relu": "input, negative_slope, inplace",
        "softmax": "input, dim",
        "log_softmax": "input, dim",
        "dropout": "input, p, training, inplace",
        "max_pool2d": "input, kernel_size, stride, padding, ceil_mode",
        "avg_pool2d": "input, kernel_size, stride, padding, ceil_mode, count_include_pad",
        "adaptive_avg_pool2d": "input, output_size",
        "cross_entropy": "input, target, reduction, label_smoothing, weight, ignore_index",
        "mse_loss": "input, target, reduction",
    }
    for name, parameters in wanted.items():
        got = inspect.signature(getattr(nn.functional, name)).parameters
        assert ", ".join(got) == parameters, name


def test_functional_layers_take_everything_by_keyword():
    F = nn.functional
    x = Tensor(normal(2, 5, 4, 3))
    w, b = normal(3, 2, 3, 4), normal(4)
    out = F.conv2d(input=x, weight=Tensor(w), bias=Tensor(b), stride=2, padding=(1, 0))
    close(out, conv2d_loops(x.numpy(), w, (2, 2), (1, 0)) + b)
    close(F.max_pool2d(input=x, kernel_size=2), pool_loops(x.numpy(), max, (2, 2), (2, 2)))
    close(F.flatten(input=x), x.numpy().reshape(2, 60))
    close(F.linear(input=x, weight=Tensor(normal(3, 2))), x.numpy() @ normal(3, 2))


def test_layers_and_losses_differentiate_twice_through_a_small_network():
    conv, norm = double(nn.Conv2d(2, 3, 2)), double(nn.BatchNorm2d(3))
    labels = np.array([1, 0])

    def loss(x, w, gamma, beta):
        F = nn.functional
        h = F.tanh(F.batch_norm(F.conv2d(x, w), None, None, gamma, beta, training=True))
        h = F.max_pool2d(h, 2) + F.avg_pool2d(h, 2)
        return F.cross_entropy(F.flatten(h), labels, label_smoothing=0.1)

    check_gradients(
        loss, normal(2, 3, 3, 2), conv.weight.data, norm.weight.data + 1.5, norm.bias.data
    )


def test_dropout_of_whole_numbers_gives_floats(rng):
    minires.manual_seed(0)
    x = Tensor(np.arange(1, 1001))
    y = nn.functional.dropout(x, 0.25)
    kept = y.numpy() != 0
    assert 0.6 < kept.mean() < 0.9
    np.testing.assert_allclose(y.numpy()[kept], np.arange(1, 1001)[kept] / 0.75, rtol=1e-6)
