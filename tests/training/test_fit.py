"""The training loop, held against the same loop written out, and what it refuses."""

import csv
import math
import re
from itertools import islice

import numpy as np
import pytest
import small_run
from small_run import settings, train

import minires
from minires import Tensor, data, kernels, models, nn, optim
from minires.data import DataLoader, ImageDataset, Normalize
from minires.nn import functional as F
from minires.optim import clip_grad_norm_
from minires.training import FileError, TrainingError, evaluate, update_bn
from minires.training.archive import read_archive

quick = pytest.fixture(small_run.quick)
pytestmark = pytest.mark.usefixtures("quick")


def linear(size=8, classes=10):
    """The smallest classifier."""
    return nn.Sequential(nn.Flatten(), nn.Linear(size * size, classes))


def numbered(count, classes=10):
    """Images that are told apart by their value: image i is i everywhere."""
    values = np.arange(count, dtype=np.uint8)
    images = np.broadcast_to(values[:, None, None, None], (count, 8, 8, 1)).copy()
    return ImageDataset(images, values % classes, tuple("0123456789"[:classes]))


class Recording:
    """A transform that notes which images, by their value, it was given, in order."""

    def __init__(self):
        self.seen = []

    def __call__(self, images, draws=None):
        self.seen += images[:, 0, 0, 0].tolist()
        return images.astype(np.float32) / np.float32(255)


# ---------------------------------------------------------------------- what it computes


def test_the_same_loop_written_out(tmp_path):
    """Every number of the history, and the weights, to the bit."""
    model, optimizer, schedule = small_run.build()
    options = settings()
    train_set, held_out = data.split(small_run.dataset(), 10, seed=3)
    loader = DataLoader(
        train_set, 16, shuffle=True, seed=3, transform=options["transform"], drop_last=True
    )
    wanted, norms = [], []
    for epoch in range(3):
        model.train()
        losses, right = [], 0
        for step, (images, labels) in enumerate(loader.batches(epoch)):
            lr = optimizer.param_groups[0]["lr"]
            minires.manual_seed([3, epoch, step])  # what dropout draws
            logits = model(Tensor(images))
            loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            norms.append(math.sqrt(sum((p.grad.numpy() ** 2).sum() for p in model.parameters())))
            clip_grad_norm_(model.parameters(), 1.5)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            right += int((logits.numpy().argmax(axis=1) == labels).sum())
        update_bn(islice(loader.batches(epoch), 2), model)  # a quarter of the epoch's 5 and more
        model.eval()
        with minires.no_grad():
            pixels = options["valid_transform"](held_out.images)
            logits = model(Tensor(pixels)).numpy().astype(np.float64)
        log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        valid_loss = -log_probabilities[np.arange(10), held_out.labels].mean()
        valid_accuracy = (logits.argmax(axis=1) == held_out.labels).mean()
        wanted.append((sum(losses) / 5, right / 80, valid_loss, valid_accuracy, lr))

    assert min(norms) < 1.5 < max(norms)
    trained, history = train(tmp_path)
    assert len(history) == 3
    for number, (row, want) in enumerate(zip(history, wanted, strict=True), start=1):
        loss, accuracy, valid_loss, valid_accuracy, lr = want
        assert row.epoch == number
        assert row.train_loss == pytest.approx(loss, rel=1e-14)  # the sum is of another order
        assert (row.train_accuracy, row.valid_accuracy, row.lr) == (accuracy, valid_accuracy, lr)
        assert row.valid_loss == pytest.approx(valid_loss, rel=1e-6)  # float32 against float64
        assert row.seconds > 0
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(trained.state_dict()[key].numpy(), value.numpy())


def test_it_learns(tmp_path):
    """Digits, by a linear model: 9 of 10 right after a few epochs, where chance is 1."""
    history = minires.fit(linear(), data.digits(), epochs=4, progress=False)
    assert history[-1].valid_accuracy > 0.88
    assert history[-1].train_loss < history[0].train_loss / 2
    result = evaluate(linear(), data.digits(train=False))
    assert result.accuracy < 0.4  # what a network is worth that has not learned


def test_a_model_that_comes_in_evaluation_mode_is_trained_all_the_same():
    """As `minires.load` gives it, to go on with."""
    model = models.resnet8(in_channels=1).eval()
    before = model.state_dict()["bn1.running_mean"].numpy().copy()
    minires.fit(model, numbered(20), None, epochs=1, batch_size=10, progress=False)
    assert (model.state_dict()["bn1.running_mean"].numpy() != before).any()


def test_only_with_defaults(tmp_path, monkeypatch):
    """`fit(model, images)`: SGD, one cycle up to 0.2, a tenth held out, ten epochs, no file."""
    monkeypatch.chdir(tmp_path)
    history = minires.fit(linear(), data.digits().subset(np.arange(200)), progress=False)
    assert len(history) == 10
    assert all(0 <= row.valid_accuracy <= 1 and math.isfinite(row.valid_loss) for row in history)
    # the last of 20 steps: 180 images, in batches of 64 of which the last is dropped
    assert history[-1].lr == pytest.approx(0.2 / 25 / 1e4, rel=1e-12)
    assert list(tmp_path.iterdir()) == []


def steps_of_length(model, optimizer=None, **options):
    """How far the parameters went in an epoch of one step, all together."""
    before = [p.numpy().copy() for p in model.parameters()]
    settings = {"valid": None, "epochs": 1, "batch_size": 40, "progress": False, **options}
    minires.fit(model, numbered(40), optimizer=optimizer, **settings)
    pairs = zip(model.parameters(), before, strict=True)
    return math.sqrt(sum(((p.numpy() - old) ** 2).sum() for p, old in pairs))


@pytest.mark.parametrize("amp", [False, True])
def test_a_step_goes_no_further_than_the_largest_norm(amp):
    lengths = {}
    for limit in (None, 0.01, math.inf):
        minires.manual_seed(0)
        model = linear()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        lengths[limit] = steps_of_length(model, optimizer, amp=amp, max_grad_norm=limit)
    assert lengths[0.01] == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert lengths[None] == lengths[math.inf] > 0.002


def test_the_default_optimiser_clips_at_1_and_ones_own_not_at_all():
    for own, wanted in ((False, 1.0), (True, None)):
        model = linear()
        optimizer = optim.SGD(model.parameters(), lr=0.2) if own else None
        with pytest.MonkeyPatch.context() as patch:
            limits = []
            patch.setattr(
                minires.training.run,
                "clip_grad_norm_",
                lambda parameters, limit, limits=limits: limits.append(limit),
            )
            steps_of_length(model, optimizer)
        assert limits == ([] if wanted is None else [wanted])


@pytest.mark.parametrize("limit", [0, -1.0, math.nan, "1", True])
def test_a_norm_that_is_none(limit):
    with pytest.raises((TypeError, ValueError), match="max_grad_norm must be"):
        minires.fit(linear(), numbered(40), max_grad_norm=limit)


def test_any_number_of_threads_gives_the_same_bits(tmp_path, threads):
    """Clipping and batch norm's statistics included."""
    outcomes = []
    for count in (1, 2, 5):
        kernels.set_num_threads(count)
        minires.manual_seed(0)
        model = models.resnet8(in_channels=1)
        (row,) = minires.fit(
            model, data.digits()[:120], 40, epochs=1, batch_size=16, progress=False
        )
        state = {name: value.numpy().tobytes() for name, value in model.state_dict().items()}
        outcomes.append((state, row.train_loss, row.valid_loss))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_schedule_is_stepped_once_a_batch():
    model = linear()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.StepLR(optimizer, 3, gamma=0.1)
    options = {"valid": None, "epochs": 2, "batch_size": 10, "progress": False}
    history = minires.fit(model, numbered(40), optimizer=optimizer, schedule=schedule, **options)
    assert schedule.last_epoch == 8
    # steps 0 to 7; the epochs end with step 3, divided once, and step 7, divided twice
    assert [row.lr for row in history] == pytest.approx([0.1, 0.01])


def test_label_smoothing_moves_the_loss_to_that_of_the_smoothed_target():
    """With weights of 0 all classes are equally likely, whatever the target: log 10. Then not."""
    frozen = {"valid": None, "epochs": 1, "batch_size": 40, "progress": False}
    for smoothing in (0.0, 0.3):
        model = linear()
        for parameter in model.parameters():
            parameter.data[...] = 0
        model[1].bias.data[0] = 5.0
        loss = minires.fit(model, numbered(40), label_smoothing=smoothing, **frozen)[0].train_loss
        log_total = math.log(math.exp(5) + 9)
        target = (1 - smoothing) * 0.1 + smoothing / 10  # of class 0, whose logit is 5
        assert loss == pytest.approx(log_total - 5 * target, rel=1e-6)
        assert evaluate(model, numbered(40)).loss != loss


def test_label_smoothing_leaves_the_validation_alone(tmp_path):
    """A held-out loss is the plain cross-entropy, so that runs can be compared."""
    model, history = train(tmp_path)
    _, held_out = data.split(small_run.dataset(), 10, seed=3)
    result = evaluate(model, held_out, transform=settings()["valid_transform"])
    assert history[-1].valid_loss == result.loss


# ---------------------------------------------------------------------- what is trained on


def test_every_image_once_an_epoch_and_never_a_held_out_one():
    training, validation = Recording(), Recording()
    options = {"epochs": 2, "batch_size": 10, "progress": False}
    minires.fit(
        linear(),
        numbered(100),
        0.2,
        transform=training,
        valid_transform=validation,
        **options,
    )
    first, second = training.seen[:80], training.seen[80:]
    assert len(set(first)) == 80
    assert sorted(second) == sorted(first)
    assert second != first  # another order
    held = validation.seen[:20]
    assert sorted(held + first) == list(range(100))
    assert validation.seen == held * 2  # the same ones every time
    by_class = np.bincount(np.array(held) % 10, minlength=10)
    assert by_class.tolist() == [2] * 10


def test_what_is_held_out_depends_on_the_seed():
    def held(seed):
        recording = Recording()
        minires.fit(
            linear(),
            numbered(50),
            10,
            epochs=1,
            valid_transform=recording,
            seed=seed,
            progress=False,
        )
        return recording.seen

    assert held(1) == held(1)
    assert held(1) != held(2)
    assert len(held(1)) == 10


def test_a_validation_set_of_ones_own():
    training, validation = Recording(), Recording()
    minires.fit(
        linear(),
        numbered(30),
        numbered(7),
        epochs=1,
        batch_size=10,
        transform=training,
        valid_transform=validation,
        progress=False,
    )
    assert sorted(training.seen) == list(range(30))
    assert validation.seen == list(range(7))


def test_nothing_held_out(tmp_path):
    history = minires.fit(
        linear(), numbered(30), None, epochs=2, batch_size=10, out=tmp_path, progress=False
    )
    assert all(math.isnan(row.valid_loss) and math.isnan(row.valid_accuracy) for row in history)
    assert history.best == max(history, key=lambda row: row.train_accuracy)
    with (tmp_path / "history.csv").open() as file:
        assert [row["valid_loss"] for row in csv.DictReader(file)] == ["nan", "nan"]
    assert minires.load(tmp_path / "best.npz", linear()).metadata["epoch"] == history.best.epoch


@pytest.mark.parametrize(
    ("count", "batch_size", "seen", "steps"),
    [(25, 10, 20, 2), (20, 10, 20, 2), (7, 10, 7, 1), (10, 10, 10, 1), (1, 1, 1, 1)],
)
def test_the_last_batch_is_dropped_unless_it_is_the_only_one(count, batch_size, seen, steps):
    recording, model = Recording(), linear()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.StepLR(optimizer, 1000)
    minires.fit(
        model,
        numbered(count),
        None,
        epochs=1,
        batch_size=batch_size,
        optimizer=optimizer,
        schedule=schedule,
        transform=recording,
        progress=False,
    )
    assert len(set(recording.seen)) == seen
    assert schedule.last_epoch == steps


def test_the_accuracy_of_an_only_small_batch_is_of_its_images():
    model = linear(classes=10)
    model[1].bias.data[3] = 1e3  # always says 3
    history = minires.fit(model, numbered(7), None, epochs=1, batch_size=64, progress=False)
    assert history[0].train_accuracy == 1 / 7


# ---------------------------------------------------------------------- the best epoch


def test_the_best_epoch_is_chosen_on_the_held_out_images(tmp_path, monkeypatch):
    """Their accuracy is 0.3, 0.8, 0.8, 0.5: the second epoch is the best, and not the third."""
    after, planned = [], [0.3, 0.8, 0.8, 0.5]

    def told(predictor, *_):
        state = predictor.model.state_dict()
        after.append({key: value.numpy().copy() for key, value in state.items()})
        correct = round(planned[len(after) - 1] * 10)
        return minires.training.Evaluation(float(len(after)), correct, 10, np.zeros(10))

    monkeypatch.setattr("minires.training.run.evaluate_with", told)
    history = minires.fit(
        linear(), numbered(50), 10, epochs=4, batch_size=10, out=tmp_path, progress=False
    )
    assert [row.valid_accuracy for row in history] == planned
    assert [row.valid_loss for row in history] == [1, 2, 3, 4]
    assert history.best is history[1]
    best = read_archive(tmp_path / "best.npz", "weights")
    assert best["metadata"]["epoch"] == 2
    small_run.assert_same(best["state"], after[1])
    assert not np.array_equal(after[1]["1.weight"], after[2]["1.weight"])


def test_what_is_written(tmp_path):
    out = tmp_path / "a" / "new" / "folder"
    history = minires.fit(
        models.resnet8(in_channels=1),
        data.digits().subset(np.arange(40)),
        epochs=2,
        batch_size=16,
        out=str(out),
        progress=False,
        metadata={"classes": list("0123456789")},
    )
    assert sorted(p.name for p in out.iterdir()) == ["best.npz", "history.csv", "last.npz"]
    best = minires.load(out / "best.npz")
    assert best.metadata == {"classes": list("0123456789"), "epoch": history.best.epoch}
    assert best.architecture["name"] == "resnet8"
    text = (out / "history.csv").read_text()
    columns = "epoch,train_loss,train_accuracy,valid_loss,valid_accuracy,lr,seconds"
    assert text.splitlines()[0] == columns
    for line, row in zip(text.splitlines()[1:], history, strict=True):
        assert [float(v) for v in line.split(",")] == [getattr(row, c) for c in columns.split(",")]


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, [1, {"a": len}], 1 + 2j, np.datetime64("2020-01-01")]
)
def test_metadata_that_no_file_can_hold_are_told_before_the_training(tmp_path, value):
    metadata = {"classes": ["a"], "note": value}
    with pytest.raises(TypeError, match="'note' cannot be written to a file"):
        minires.fit(
            linear(), numbered(20), epochs=1, out=tmp_path, progress=False, metadata=metadata
        )
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- what is not finite


class Log(nn.Module):
    """The logarithm of negative numbers too, from step 7 on."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += self.training
        return minires.log(x + 1.0 if self.calls < 7 else x - 1000.0)


class PoisonedFrom(Normalize):
    """Every image is NaN (or infinite) in one epoch."""

    def __init__(self, epoch, value=np.nan):
        super().__init__([0.5], [0.5])
        object.__setattr__(self, "when", (epoch, value))

    def batch(self, images, draws=None):
        epoch, value = self.when
        out = super().batch(images, draws)
        return out if draws.epoch != epoch else np.full_like(out, value)


def test_a_loss_of_nan_names_the_epoch_the_step_and_the_first_operation():
    model = nn.Sequential(nn.Flatten(), Log(), nn.Linear(64, 10), nn.ReLU())
    with pytest.raises(TrainingError) as caught:
        minires.fit(model, numbered(40), None, epochs=3, batch_size=10, progress=False)
    message = str(caught.value)
    assert message.startswith("the loss is nan at epoch 2, step 3: log(float32[10, 64]) at ")
    assert "test_fit.py" in message  # the line of the operation
    assert "from finite inputs" in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_that_are_not_finite_are_named_as_the_cause(value):
    with pytest.raises(TrainingError, match=r"at epoch 2, step 1: the images of this batch alread"):
        minires.fit(
            linear(),
            numbered(40),
            None,
            epochs=3,
            batch_size=10,
            transform=PoisonedFrom(1, value),
            progress=False,
        )


def test_a_weight_that_is_not_finite_is_named_as_the_cause():
    model = linear()
    model[1].bias.data[2] = np.inf
    with pytest.raises(TrainingError, match=r"epoch 1, step 1: 1.bias already holds NaN or infini"):
        minires.fit(model, numbered(40), None, epochs=1, progress=False)


def test_a_learning_rate_far_too_large():
    """NumPy's warnings of overflow (errors, here) are not what the user gets to see."""
    model = models.resnet8(in_channels=1)
    optimizer = optim.SGD(model.parameters(), lr=1e30)
    with pytest.raises(TrainingError, match=r"the loss is nan at epoch 1, step 2: .*smaller learn"):
        minires.fit(
            model, numbered(40), None, epochs=2, batch_size=10, optimizer=optimizer, progress=False
        )


def test_a_last_step_that_blows_up_is_noticed_in_the_validation(tmp_path):
    """Otherwise the run would end as if all was well, since no further step looks at the loss."""
    model = models.resnet8(in_channels=1)
    optimizer = optim.SGD(model.parameters(), lr=1e30)
    with pytest.raises(TrainingError, match=r"the validation loss is nan after epoch 1: .*smaller"):
        minires.fit(
            model,
            numbered(20),
            10,
            epochs=1,
            batch_size=10,
            optimizer=optimizer,
            out=tmp_path,
            progress=False,
        )
    assert [p.name for p in tmp_path.iterdir()] == ["last.npz"]


def test_warnings_of_others_are_shown():
    def transform(images, draws):
        np.float32([1.0]) / np.float32([0.0])
        return images.astype(np.float32)

    with pytest.raises(RuntimeWarning, match="divide by zero"):
        minires.fit(linear(), numbered(40), None, epochs=1, transform=transform, progress=False)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"batch_size": -3}, "batch_size must be at least 1, got -3"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"valid": 0.0}, "held_out=0.0 would leave 40 of 40"),
        ({"valid": 1.0}, "held_out=1.0 would leave 0 of 40"),
        ({"valid": 40}, "held_out=40 would leave 0 of 40"),
        ({"valid": numbered(4).subset(np.arange(0))}, "valid is empty"),
        ({"train": numbered(4).subset(np.arange(0)), "valid": None}, "the dataset is empty"),
        ({"train": numbered(4).subset(np.arange(0))}, "would leave 0 of 0"),
        ({"label_smoothing": 1.5}, "label_smoothing must be between 0 and 1, got 1.5"),
        ({"label_smoothing": math.nan}, "label_smoothing must be between 0 and 1, got nan"),
        ({"resume": True}, "pass out"),
    ],
)
def test_settings_that_make_no_sense(changes, message):
    options = {"train": numbered(40), "epochs": 1, "progress": False, **changes}
    with pytest.raises(ValueError, match=re.escape(message)):
        minires.fit(linear(), **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 1.5}, "epochs must be an integer, got 1.5"),
        ({"batch_size": "64"}, "batch_size must be an integer, got '64'"),
        ({"train": np.zeros((4, 8, 8, 1))}, "train must be a dataset, .*, got ndarray"),
        ({"train": (np.zeros((4, 8, 8, 1)), [0] * 4)}, "train must be a dataset, .*, got tuple"),
        ({"valid": True}, "valid must be a dataset, .*, got True"),
        ({"valid": [1, 2]}, "valid must be a dataset, .*, got list"),
    ],
)
def test_arguments_of_a_wrong_kind(changes, message):
    options = {"train": numbered(40), "epochs": 1, "progress": False, **changes}
    with pytest.raises(TypeError, match=message):
        minires.fit(linear(), **options)


def test_an_optimiser_of_another_model():
    optimizer = optim.SGD(linear().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="holds no parameter of this model"):
        minires.fit(linear(), numbered(40), epochs=1, optimizer=optimizer, progress=False)


def test_labels_out_of_range():
    with pytest.raises(ValueError, match="label 12 of image 1 is out of range: there are 10 class"):
        ImageDataset(np.zeros((2, 8, 8, 1), np.uint8), [0, 12], tuple("0123456789"))
    with pytest.raises(ValueError, match="label 5 is out of range: 5 classes are numbered 0 to 4"):
        minires.fit(linear(classes=5), numbered(40), None, epochs=1, progress=False)


def test_images_with_channels_first():
    with pytest.raises(ValueError, match=r"transpose\(0, 2, 3, 1\)"):
        ImageDataset(np.zeros((2, 1, 8, 8), np.uint8), [0, 1], "ab")


def test_images_that_do_not_fit_the_model():
    with pytest.raises(ValueError, match=r"wants images \(N, H, W, 3\), got \(40, 8, 8, 1\)"):
        minires.fit(models.resnet8(), numbered(40), None, epochs=1, progress=False)


def test_images_of_floats_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="expected uint8 images, got dtype float32"):
        ImageDataset(np.zeros((2, 8, 8, 1), np.float32), [0, 1], "ab")


def test_a_transform_that_leaves_unequal_sizes():
    class Ragged:
        def __call__(self, images, draws):
            return [image[: 4 + i % 2] for i, image in enumerate(images)]

    with pytest.raises(ValueError, match="images of unequal size in one batch"):
        minires.fit(linear(), numbered(40), None, epochs=1, transform=Ragged(), progress=False)


def test_a_batch_of_one_where_batch_norm_has_nothing_to_average():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10))
    with pytest.raises(
        ValueError, match="batch_norm in training wants more than one value per channel"
    ):
        minires.fit(model, numbered(10), None, epochs=1, batch_size=1, progress=False)


def test_an_unwritable_folder_is_noticed_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    recording = Recording()
    with pytest.raises(OSError, match=r"cannot write to .*file"):
        minires.fit(
            linear(),
            numbered(40),
            epochs=1,
            out=tmp_path / "file",
            transform=recording,
            progress=False,
        )
    assert recording.seen == []


def test_resuming_a_weights_file_is_refused(tmp_path):
    minires.save(linear(), tmp_path / "last.npz")
    with pytest.raises(
        FileError, match=r"last.npz is a minires weights file, wanted minires check"
    ):
        minires.fit(linear(), numbered(40), out=tmp_path, resume=True, progress=False)
