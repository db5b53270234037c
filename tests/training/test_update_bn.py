"""Running statistics measured anew: the mean over batches, of the network as it is now."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minires
from minires import Tensor, models, nn
from minires.data import DataLoader, digits
from minires.training import update_bn


def batches_of(rng, count, shape):
    """Of unequal sizes, means and deviations."""
    return [
        (rng.normal(i, 1 + i, (2 + i % 3, *shape)) * 3).astype(np.float32) for i in range(count)
    ]


def statistics(model):
    return {
        name: value.numpy().copy()
        for name, value in model.state_dict().items()
        if "running" in name
    }


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 5),
    kind=st.sampled_from(["images", "features", "sequences"]),
    momentum=st.floats(0.0, 1.0),
)
def test_the_mean_over_the_batches_whatever_was_there(seed, count, kind, momentum):
    rng = np.random.default_rng(seed)
    shape = {"images": (3, 2, 4), "features": (4,), "sequences": (3, 4)}[kind]
    norm = (nn.BatchNorm2d if kind == "images" else nn.BatchNorm1d)(4, momentum=momentum)
    norm.running_mean.data[...] = rng.choice([0.0, 1e30, np.inf, np.nan], 4)
    norm.running_var.data[...] = rng.choice([1.0, 1e30, np.inf, np.nan], 4)
    batches = batches_of(rng, count, shape)
    update_bn(batches, norm)
    flat = [batch.reshape(-1, 4).astype(np.float64) for batch in batches]
    mean = np.mean([rows.mean(axis=0) for rows in flat], axis=0)
    var = np.mean([rows.var(axis=0, ddof=1) for rows in flat], axis=0)
    np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-4, atol=1e-4)
    # in float32 the deviations from a mean that is far from 0 carry its rounding
    square = np.mean([(rows**2).mean(axis=0) for rows in flat], axis=0)
    assert (abs(norm.running_var.numpy() - var) <= 1e-4 * var + 1e-6 * square).all()
    assert (norm.momentum, norm.num_batches_tracked.item()) == (momentum, 0)


def test_all_of_a_network_and_nothing_but_its_statistics(rng):
    """What a batch norm in the depths sees depends on the batches of those before it."""
    model = models.resnet8(in_channels=1)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    batches = batches_of(rng, 3, (8, 8, 1))
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    seen = {name: [] for name in norms}
    for name, norm in norms.items():
        norm.register_forward_pre_hook(
            lambda m, args, name=name: seen[name].append(args[0].numpy())
        )
    update_bn(((batch, "a label") for batch in batches), model)
    for name, norm in norms.items():
        flat = [x.reshape(-1, x.shape[-1]).astype(np.float64) for x in seen[name]]
        mean = np.mean([rows.mean(axis=0) for rows in flat], axis=0)
        var = np.mean([rows.var(axis=0, ddof=1) for rows in flat], axis=0)
        np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(norm.running_var.numpy(), var, rtol=1e-3)
    assert all(module.training for module in model.modules())
    for name, value in model.state_dict().items():
        if "running" not in name:
            np.testing.assert_array_equal(value.numpy(), before[name], err_msg=name)


def test_dropout_does_not_drop(rng):
    model = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(4))
    batch = rng.normal(size=(50, 4)).astype(np.float32)
    update_bn([batch], model)
    np.testing.assert_allclose(model[1].running_mean.numpy(), batch.mean(axis=0), atol=1e-6)
    assert model[0].training


def test_what_is_frozen_keeps_its_statistics(rng):
    model = models.freeze_backbone(models.resnet8(in_channels=1)).train()
    before = statistics(model)
    update_bn(batches_of(rng, 2, (8, 8, 1)), model)
    np.testing.assert_equal(statistics(model), before)


@pytest.mark.parametrize(
    "model",
    [nn.Linear(4, 2), nn.BatchNorm1d(4, track_running_stats=False), nn.BatchNorm1d(4).eval()],
    ids=["none", "without statistics", "in evaluation mode"],
)
def test_no_batch_is_asked_for_where_there_is_nothing_to_measure(model):
    def unwanted():
        raise AssertionError("asked for")
        yield

    update_bn(unwanted(), model)


def test_no_batches_change_nothing():
    norm = nn.BatchNorm1d(2)
    norm.running_mean.data[...] = 3.0
    update_bn([], norm)
    assert norm.running_mean.numpy().tolist() == [3.0, 3.0]


def test_an_error_leaves_modes_and_momentum(rng):
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    with pytest.raises(ValueError, match="BatchNorm1d wants"):
        update_bn([rng.normal(size=(5, 4)).astype(np.float32), np.ones((5, 3), "float32")], model)
    assert model[0].momentum == 0.1
    assert model[0].num_batches_tracked.item() == 0
    assert all(module.training for module in model.modules())


# ---------------------------------------------------------------------- in `fit`


def test_the_held_out_images_are_judged_by_statistics_of_now():
    """The weights are the same; only the verdict on them differs."""
    found = {}
    for precise in (False, True):
        minires.manual_seed(0)
        model = models.resnet8(in_channels=1)
        optimizer = minires.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        options = {"optimizer": optimizer, "precise_bn": precise, "progress": False}
        (row,) = minires.fit(model, digits()[:260], 100, epochs=1, batch_size=16, **options)
        found[precise] = model.state_dict(), row
    (trailing, before), (now, after) = found[False], found[True]
    for name, value in trailing.items():
        assert (value.numpy() == now[name].numpy()).all() == ("running" not in name), name
    assert before.train_loss == after.train_loss
    assert after.valid_loss < before.valid_loss / 2


@pytest.mark.parametrize(("batch_size", "wanted"), [(16, 10), (64, 3), (600, 1)])
def test_over_a_quarter_of_the_epoch_and_no_more_than_1024_images(batch_size, wanted, monkeypatch):
    counted = []

    def counting(loader, model):
        counted.append(sum(len(images) for images, _ in loader) / batch_size)

    monkeypatch.setattr(minires.training.run, "update_bn", counting)
    monkeypatch.setattr(minires.training.run, "STATISTICS", 160)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    images = digits().subset(np.arange(700))
    options = {"batch_size": batch_size, "epochs": 1, "progress": False}
    minires.fit(model, images, 60, **options)
    assert counted == [wanted]
    minires.fit(model, images, 60, precise_bn=False, **options)
    minires.fit(model, images, None, **options)
    assert counted == [wanted]


def test_a_data_loader_is_as_good():
    model = models.resnet8(in_channels=1)
    loader = DataLoader(
        digits().subset(np.arange(64)), 32, transform=lambda x, draws: x.astype(np.float32)
    )
    update_bn(loader, model)
    twin = models.resnet8(in_channels=1)
    twin.load_state_dict(model.state_dict())
    update_bn([Tensor(images) for images, _ in loader], twin)
    np.testing.assert_equal(statistics(twin), statistics(model))
