"""Initialisation: fans, gains, the distributions drawn from, and the seed."""

import math

import numpy as np
import pytest

import minires
from minires import Tensor, nn
from minires.nn import init


def empty(*shape):
    return Tensor(np.full(shape, np.nan, np.float32))


def test_fans_of_linear_and_convolution_weights():
    assert init.fans(empty(3, 5)) == (3, 5)
    assert init.fans(empty(3, 2, 4, 7)) == (3 * 2 * 4, 3 * 2 * 7)
    for shape in [(), (4,)]:
        with pytest.raises(ValueError, match="2 or more axes"):
            init.fans(empty(*shape))


def test_gains():
    assert init.calculate_gain("linear") == init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu", 0.5) == math.sqrt(2 / 1.25)
    with pytest.raises(ValueError, match="unknown nonlinearity 'swish': one of linear"):
        init.calculate_gain("swish")


WEIGHT = (3, 3, 50, 80)  # fan-in 450, fan-out 720, 36,000 values


@pytest.mark.parametrize(
    ("fill", "std", "uniform"),
    [
        (lambda t: init.normal_(t, 0.0, 0.3), 0.3, False),
        (lambda t: init.uniform_(t, -0.3, 0.3), 0.3 / math.sqrt(3), True),
        (lambda t: init.kaiming_normal_(t), math.sqrt(2 / 450), False),
        (lambda t: init.kaiming_normal_(t, mode="fan_out"), math.sqrt(2 / 720), False),
        (
            lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
            math.sqrt(2 / 720),
            False,
        ),
        (lambda t: init.kaiming_normal_(t, a=2.0), math.sqrt(2 / 5 / 450), False),
        (lambda t: init.kaiming_normal_(t, nonlinearity="linear"), math.sqrt(1 / 450), False),
        (lambda t: init.kaiming_uniform_(t), math.sqrt(2 / 450), True),
        (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), math.sqrt(1 / 3 / 450), True),
        (lambda t: init.xavier_normal_(t), math.sqrt(2 / (450 + 720)), False),
        (lambda t: init.xavier_normal_(t, gain=3.0), 3 * math.sqrt(2 / (450 + 720)), False),
        (lambda t: init.xavier_uniform_(t), math.sqrt(2 / (450 + 720)), True),
        (lambda t: init.xavier_uniform_(t, gain=0.5), 0.5 * math.sqrt(2 / (450 + 720)), True),
    ],
)
def test_distributions(fill, std, uniform):
    tensor = empty(*WEIGHT)
    assert fill(tensor) is tensor
    values = tensor.numpy().astype(float)
    assert tensor.dtype == np.float32
    # within five standard errors of 36,000 draws
    assert abs(values.mean()) < 5 * std / math.sqrt(36_000)
    fourth = 1.8 if uniform else 3.0
    assert abs(values.std() / std - 1) < 5 * math.sqrt((fourth - 1) / 4 / 36_000)
    assert abs((values**4).mean() / std**4 / fourth - 1) < 0.1  # tells the two shapes apart
    if uniform:
        assert np.abs(values).max() <= std * math.sqrt(3) * (1 + 1e-6)
        assert np.abs(values).max() > std * math.sqrt(3) * 0.999
    else:
        assert np.abs(values).max() > 3.5 * std


def test_means_of_normal_and_bounds_of_uniform():
    values = init.normal_(empty(100, 100), 5.0, 0.1).numpy()
    assert abs(values.mean() - 5) < 0.01
    values = init.uniform_(empty(100, 100)).numpy()
    assert 0 <= values.min() < 0.01
    assert 0.99 < values.max() < 1


def test_constants():
    assert init.constant_(empty(2, 3), 7.0).tolist() == [[7.0] * 3] * 2
    assert init.zeros_(empty(2)).tolist() == [0, 0]
    assert init.ones_(empty(2)).tolist() == [1, 1]


def test_a_wrong_mode_is_an_error():
    with pytest.raises(ValueError, match='"fan_in" or "fan_out", got \'fan\''):
        init.kaiming_normal_(empty(3, 4), mode="fan")


def test_values_are_drawn_into_the_same_array():
    tensor = empty(3, 4)
    array = tensor.data
    init.xavier_uniform_(tensor)
    assert tensor.data is array
    assert np.isfinite(array).all()


def test_layers_draw_uniformly_within_one_over_the_root_of_fan_in():
    for layer, fan_in in [
        (nn.Linear(100, 200), 100),
        (nn.Conv2d(20, 100, (3, 2), groups=2), 60),
    ]:
        bound = 1 / math.sqrt(fan_in)
        for p in (layer.weight, layer.bias):
            assert np.abs(p.numpy()).max() <= bound * (1 + 1e-6)
            assert np.abs(p.numpy()).max() > 0.9 * bound
            assert p.numpy().min() < -0.9 * bound


def test_a_seed_gives_the_same_layer_again_and_another_seed_another():
    def draw(seed):
        minires.manual_seed(seed)
        return nn.Conv2d(3, 4, 3).weight.numpy()

    np.testing.assert_array_equal(draw(3), draw(3))
    assert (draw(3) != draw(4)).all()
    minires.manual_seed(3)
    first, second = nn.Linear(3, 4).weight.numpy(), nn.Linear(3, 4).weight.numpy()
    assert (first != second).all()


def test_batch_norm_starts_as_plain_normalisation():
    layer = nn.BatchNorm2d(3)
    assert layer.weight.tolist() == [1, 1, 1]
    assert layer.bias.tolist() == [0, 0, 0]
    assert layer.running_mean.tolist() == [0, 0, 0]
    assert layer.running_var.tolist() == [1, 1, 1]
    assert layer.num_batches_tracked.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_uniform_never_reaches_its_upper_end(dtype):
    minires.manual_seed(0)
    for low, high in [(0, 1), (-3, -2.5), (0, 2**-14), (5, 5)]:
        drawn = init.uniform_(Tensor(np.empty(200_000, dtype)), low, high).numpy()
        assert drawn.min() >= dtype(low)
        assert drawn.max() < dtype(high) or low == high == drawn.max()


@pytest.mark.parametrize("fill", [init.normal_, init.uniform_])
def test_whole_numbers_are_not_drawn(fill):
    for dtype in (np.int64, np.uint8, bool):
        with pytest.raises(TypeError, match="want a floating-point tensor, not one of"):
            fill(Tensor(np.zeros(3, dtype)))


@pytest.mark.parametrize(
    "fill", [init.kaiming_normal_, init.kaiming_uniform_, init.xavier_normal_, init.xavier_uniform_]
)
def test_weights_without_inputs_or_outputs(fill):
    for shape in [(0, 3), (3, 0), (0, 0), (3, 3, 0, 4)]:
        assert fill(empty(*shape)).shape == shape
