"""Evaluation by a plan: the same numbers and always the same bits, and the model where it must."""

import signal
import warnings

import numpy as np
import pytest
import small_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_run import STEPS, assert_same, before_step, outcome, train

import minires
from minires import Tensor, data, kernels, models, nn, no_grad
from minires.compile import Plan
from minires.data import ImageDataset, Normalize
from minires.nn import functional as F
from minires.training import Interrupted, evaluate, predictor
from minires.training.predictor import Predictor

quick = pytest.fixture(small_run.quick)
AS_DIGITS = Normalize([0.3], [0.4])


@pytest.fixture
def pays(monkeypatch):
    """A plan already pays for a handful of images, eight at a time."""
    monkeypatch.setattr(predictor, "AT_ONCE", 8)
    monkeypatch.setattr(predictor, "CALLS", 2)
    monkeypatch.setattr(predictor, "CALLS_EACH_TIME", 2)


@pytest.fixture
def plans(monkeypatch):
    """What is compiled, recorded and refreshed, in order."""
    made = []

    def compiling(*arguments):
        made.append("compile")
        return minires.compile(*arguments)

    def refreshing(plan):
        made.append("refresh")
        refresh(plan)

    refresh = Plan.refresh
    monkeypatch.setattr(predictor, "compile", compiling)
    monkeypatch.setattr(Plan, "refresh", refreshing)
    return made


def network(seed=0):
    minires.manual_seed(seed)
    model = models.resnet8(in_channels=1)
    rng = np.random.default_rng(seed)
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.copy_(rng.uniform(0.5, 1.5, buffer.shape))
    return model


def digits(count, first=0):
    return data.digits().subset(np.arange(first, first + count))


def logits_of(model, dataset, batch_size, monkeypatch):
    """What every image of a dataset gets in an evaluation."""
    seen = []
    with monkeypatch.context() as patch:
        entropy = F.cross_entropy
        patch.setattr(
            minires.training.evaluate.__globals__["F"],
            "cross_entropy",
            lambda logits, *rest, **more: (
                seen.append(logits.numpy()) or entropy(logits, *rest, **more)
            ),
        )
        evaluate(model, dataset, transform=AS_DIGITS, batch_size=batch_size)
    return np.concatenate(seen)


@pytest.mark.parametrize("last", [1, 3, 15])
def test_the_last_small_batch_and_any_threads_give_the_same_bits(
    pays, plans, threads, monkeypatch, last
):
    model = network()
    whole = logits_of(model, digits(48), 16, monkeypatch)
    assert plans == ["compile"]
    with no_grad():
        wanted = model.eval()(Tensor(AS_DIGITS(digits(48).images))).numpy()
    np.testing.assert_allclose(whole, wanted, rtol=0, atol=1e-5 * abs(wanted).max())
    for count in (1, 2, 3):
        kernels.set_num_threads(count)
        some = logits_of(model, digits(32 + last), 16, monkeypatch)
        np.testing.assert_array_equal(some, whole[: 32 + last])


def test_large_batches_go_through_the_same_plan(pays, plans, monkeypatch):
    """Of 8 images, however many come at a time."""
    model = network()
    results = [logits_of(model, digits(50), size, monkeypatch) for size in (8, 16, 24, 1000)]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
    assert plans == ["compile"] * 4


def test_where_it_pays(plans):
    """By the number of images alone."""
    enough = predictor.CALLS * predictor.AT_ONCE
    for images, times, expected in (
        (enough - 1, 1, False),
        (enough, 1, True),
        (predictor.CALLS_EACH_TIME * predictor.AT_ONCE, 100, True),
        (predictor.AT_ONCE, 10_000, False),
        (10**6, 1, True),
    ):
        model = Predictor(network().eval(), images, times=times)
        with no_grad():
            model(Tensor(np.zeros((2, 8, 8, 1), np.float32)))
        assert (model.plan is not None) == expected
    assert Predictor(network(), predictor.CALLS, at_once=1)._pays
    assert not Predictor(network(), 10**6, compile=False)._pays
    assert not Predictor(network(), 10**6, at_once=predictor.AT_ONCE - 1)._pays


# ---------------------------------------------------------------------- in a training


HELD_OUT = {"valid": 35, "batch_size": 8, "schedule": None}
"""With batches of 8 the last is of 3."""


def trained(folder, resume=False, **changes):
    return train(folder, resume=resume, **{**HELD_OUT, **changes})[1]


@pytest.mark.usefixtures("quick")
def test_interrupted_or_not_and_for_any_threads(tmp_path, pays, plans, threads):
    kernels.set_num_threads(2)
    trained(tmp_path / "whole")
    assert plans == ["compile", "refresh", "refresh"]
    wanted = outcome(tmp_path / "whole")
    for count in (1, 2):
        kernels.set_num_threads(count)
        folder = tmp_path / str(count)
        for resume in (False, True):
            undo = before_step(STEPS + 2, lambda: signal.raise_signal(signal.SIGINT))
            try:
                with pytest.raises(Interrupted):
                    trained(folder, resume)
            finally:
                undo()
        trained(folder, True)
        assert_same(outcome(folder), wanted)


@pytest.mark.usefixtures("quick")
def test_up_to_rounding_it_is_what_the_model_gives(tmp_path, pays, plans):
    compiled, plain = trained(tmp_path / "a"), trained(tmp_path / "b", compile=False)
    for one, other in zip(compiled, plain, strict=True):
        assert one.valid_loss == pytest.approx(other.valid_loss, rel=1e-5)
        assert (one.train_loss, one.valid_accuracy) == (other.train_loss, other.valid_accuracy)
    assert plans == ["compile", "refresh", "refresh"]
    with pytest.raises(minires.training.FileError, match="compile was False, is True"):
        trained(tmp_path / "b", resume=True)


class Warming(nn.Module):
    """Its Python keeps a number that changes as it trains."""

    def __init__(self):
        super().__init__()
        self.layer, self.scale = nn.Linear(64, 10), 1.0

    def forward(self, x):
        if self.training:
            self.scale *= 0.7
        return self.layer(F.flatten(x)) * self.scale


def test_numbers_in_the_models_python_are_noticed(pays, plans):
    model = Warming()
    for _ in range(3):
        model.train()(Tensor(np.zeros((1, 8, 8, 1), np.float32)))
        found = evaluate(model, digits(70), transform=AS_DIGITS, batch_size=8)
        wanted = evaluate(model, digits(70), transform=AS_DIGITS, batch_size=8, compile=False)
        assert found.loss == pytest.approx(wanted.loss, rel=1e-5)
    one = Predictor(model.eval(), 70, at_once=8)
    x = Tensor(AS_DIGITS(digits(8).images))
    with no_grad():
        for _ in range(2):
            one.renew()
            model.scale *= 0.5
            np.testing.assert_allclose(one(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)
        one.renew()
        one(x)
    assert plans == ["compile"] * 5 + ["refresh"]


# ---------------------------------------------------------------------- where it must not


class Looks(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        y = self.layer(F.flatten(x))
        return y * (2 if y.mean() > 0 else 1)  # HERE


@pytest.mark.usefixtures("quick")
def test_a_refusal_is_said_once_and_the_model_runs(pays, plans):
    with pytest.warns(UserWarning, match="without a plan") as caught:
        found = evaluate(Looks(), digits(40), transform=AS_DIGITS, batch_size=8)
    (warning,) = caught
    assert "test_predictor.py:" in str(warning.message)
    assert found.count == 40
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = Looks()
        minires.fit(model, digits(90), 30, epochs=3, batch_size=8, progress=False)
    assert len(caught) == 1
    assert plans == []
    evaluate(Looks(), digits(40), transform=AS_DIGITS, batch_size=8, compile=False)


def test_images_that_depend_on_each_other_stay_together(pays):
    """Batch norm without running statistics takes those of the batch."""
    minires.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.Flatten(),
        nn.Linear(144, 10),
    )
    found = evaluate(model, digits(300), transform=AS_DIGITS, batch_size=128)
    wanted = evaluate(model, digits(300), transform=AS_DIGITS, batch_size=128, compile=False)
    assert found.loss == wanted.loss


def test_errors_are_the_models_own(pays):
    wide = ImageDataset(np.zeros((40, 9, 9, 1), np.uint8), np.zeros(40, int), list("ab"))
    with pytest.raises(ValueError, match="linear wants"):
        evaluate(Looks(), wide, transform=AS_DIGITS, batch_size=8)


@settings(
    max_examples=25,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(
    images=st.integers(1, 150),
    batch_size=st.integers(1, 90),
    layers=st.lists(st.sampled_from(["conv", "norm", "relu", "pool", "block"]), max_size=4),
)
def test_drawn_networks_and_sizes(pays, images, batch_size, layers):
    channels, parts = 1, []
    for kind in layers:
        if kind == "conv":
            parts.append(nn.Conv2d(channels, channels := 5, 3, padding=1))
        elif kind == "norm":
            parts.append(nn.BatchNorm2d(channels))
        elif kind == "block":
            parts.append(models.blocks.BasicBlock(channels, channels))
        else:
            parts.append(nn.ReLU() if kind == "relu" else nn.MaxPool2d(3, 1, 1))
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    sizes = {"transform": AS_DIGITS, "batch_size": batch_size}
    found = evaluate(model, digits(images), **sizes)
    wanted = evaluate(model, digits(images), compile=False, **sizes)
    assert found.loss == pytest.approx(wanted.loss, rel=1e-5)
    assert found.predictions.shape == (images,)
