"""Mixed precision: float16 where it saves memory, float32 where training would lose by it."""

import numpy as np
import pytest
import small_run
from small_run import assert_same, before_step, outcome, train

import minires
from minires import Tensor, data, models, nn, optim
from minires.nn import functional as F
from minires.observers import observe
from minires.training import Interrupted, MixedPrecision, TrainingError, evaluate
from minires.training.mixed_precision import SMALLEST, half_weights

quick = pytest.fixture(small_run.quick)


def linear(weight, lr=1.0):
    """A linear layer with one weight, and SGD."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.data[...] = weight
    return model, optim.SGD(model.parameters(), lr=lr)


def ones(count=1):
    return Tensor(np.ones((count, 1), np.float32))


def small_network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 32, 10),
    )


def test_as_accurate_as_float32_to_a_hundredth():
    normalize = data.Normalize([0.3], [0.4])
    accuracies = []
    for amp in (False, True):
        minires.manual_seed(0)
        model = small_network()
        optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        minires.fit(
            model,
            data.digits(),
            None,
            epochs=4,
            batch_size=32,
            optimizer=optimizer,
            schedule=optim.OneCycleLR(optimizer, 0.05, total_steps=4 * 44),
            transform=lambda images, draws: normalize(images),
            amp=amp,
            progress=False,
        )
        result = evaluate(model, data.digits(train=False), transform=normalize)
        accuracies.append(result.accuracy)
    single, mixed = accuracies
    assert single > 0.9
    assert abs(mixed - single) <= 0.01


def test_activations_and_their_gradients_are_kept_as_float16():
    model = models.resnet8(in_channels=1)
    mixed = MixedPrecision(model, optim.SGD(model.parameters(), lr=0.1))
    made = []
    with observe(lambda op, arrays, constants, out: made.append((op.name, out.dtype))):
        logits = mixed.forward(Tensor(np.ones((2, 8, 8, 1), np.float32)))
    assert logits.dtype == np.float32  # the loss is float32
    assert {dtype for name, dtype in made[:-1]} == {np.dtype(np.float16)}
    assert {"conv2d", "batch_norm", "relu", "add", "matmul"} <= {name for name, _ in made}
    mixed.step(F.cross_entropy(logits, [0, 1]))
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_master_weights_take_up_updates_too_small_for_float16():
    model, optimizer = linear(1.0, lr=1e-4)
    mixed = MixedPrecision(model, optimizer, scale=2.0**10)
    for _ in range(10):
        optimizer.zero_grad()
        mixed.step(mixed.forward(ones()).sum())
    assert np.float16(1) - np.float16(1e-4) == 1
    assert model.weight.item() == pytest.approx(1 - 10e-4, abs=1e-6)


def test_the_scale_saves_gradients_that_float16_would_lose():
    small = 1e-9
    for scale, wanted in ((1.0, 0.0), (2.0**16, small)):
        model, optimizer = linear(0.0)
        mixed = MixedPrecision(model, optimizer, scale=scale)
        mixed.step(mixed.forward(ones()).sum() * small)
        assert model.weight.grad.item() == pytest.approx(wanted, rel=1e-2)


def test_an_overflow_leaves_the_step_out_and_halves_the_scale():
    model, optimizer = linear(1.0)
    mixed = MixedPrecision(model, optimizer, scale=2.0**17)
    steps = []
    for _ in range(3):
        optimizer.zero_grad()
        steps.append(mixed.step(mixed.forward(ones()).sum()))
    assert steps == [False, False, True]  # 2**16 is infinite in float16, 2**15 is not
    assert (mixed.scale, mixed.skipped) == (2.0**15, 2)
    assert model.weight.item() == 0.0  # one step of 1


def test_the_scale_grows_after_good_steps():
    model, optimizer = linear(1.0)
    mixed = MixedPrecision(model, optimizer, scale=4.0, grow_after=2)
    scales = []
    for _ in range(4):
        optimizer.zero_grad()
        mixed.step(mixed.forward(ones()).sum())
        scales.append(mixed.scale)
    assert scales == [4, 8, 8, 16]


def test_gradients_that_overflow_at_any_scale_are_an_error():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    parameter = next(model.parameters())
    parameter.register_hook(lambda g: g * np.inf)
    with pytest.raises(TrainingError, match=r"overflow float16 .* at epoch 1, step 31\. Try"):
        minires.fit(
            model,
            data.digits(),
            None,
            epochs=1,
            batch_size=16,
            optimizer=optimizer,
            amp=True,
            progress=False,
        )
    assert 2.0**16 / 2**31 < SMALLEST <= 2.0**16 / 2**30


def test_weights_are_restored_after_an_error_and_shared_ones_halved_once():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    before = model[0].weight.data
    with half_weights(model):
        assert model[0].weight.dtype == model[1].bias.dtype == np.float16
    with pytest.raises(RuntimeError), half_weights(model):
        raise RuntimeError
    assert model[0].weight.data is before
    assert model[0].weight.dtype == np.float32


def test_only_float32_parameters():
    model = nn.Linear(2, 2).to(dtype=np.float64)
    with pytest.raises(ValueError, match="float32 parameters, weight is float64"):
        MixedPrecision(model, optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.usefixtures("quick")
def test_resumed_to_the_bit_and_never_mixed_up_with_float32(tmp_path):
    train(tmp_path / "whole", amp=True)
    restore = before_step(7, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        with pytest.raises((Interrupted, KeyboardInterrupt)):
            train(tmp_path / "part", amp=True)
    finally:
        restore()
    train(tmp_path / "part", amp=True, resume=True)
    assert_same(outcome(tmp_path / "part"), outcome(tmp_path / "whole"))
    with pytest.raises(minires.training.FileError, match="amp was True, is False"):
        train(tmp_path / "part", resume=True)
