"""Settings that suit each dataset, and what they build."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from minires import Tensor, data, optim
from minires.data import DataError
from minires.nn import functional as F
from minires.training import FileError
from minires.training.recipe import (
    Recipe,
    build_model,
    build_optimizer,
    build_schedule,
    load_task,
    lowest_loss,
    make_recipe,
)


@pytest.mark.parametrize(
    ("name", "model", "augment"),
    [
        ("digits", "resnet8", ()),  # a mirrored digit is none
        ("fashion-mini", "resnet8", ("flip",)),  # crops want more epochs
        ("fashion-mnist", "resnet14", ("crop", "flip")),
        ("cifar10", "resnet20", ("crop", "flip")),
        ("cifar100", "resnet20", ("crop", "flip")),
        ("some/folder", "resnet18", ("crop", "flip")),
    ],
)
def test_what_suits_the_data(name, model, augment):
    recipe = make_recipe(data=name)
    assert (recipe.model, recipe.augment) == (model, augment)
    assert (recipe.optimizer, recipe.schedule, recipe.valid) == ("sgd", "onecycle", 0.1)


def test_weight_decay_suits_the_optimizer_first():
    decays = {
        name: make_recipe(data="fashion-mini", optimizer=name).weight_decay
        for name in ("sgd", "adam", "adamw", "rmsprop")
    }
    assert decays == {"sgd": 1e-3, "adam": 0.0, "adamw": 0.01, "rmsprop": 0.0}
    assert make_recipe(data="digits").weight_decay == 5e-4


def test_only_what_few_images_need_is_smoothed_and_everything_is_clipped():
    smoothed = {n: make_recipe(data=n).label_smoothing for n in ("fashion-mini", "digits", "x")}
    assert smoothed == {"fashion-mini": 0.1, "digits": 0.0, "x": 0.0}
    assert {make_recipe(optimizer=name).max_grad_norm for name in ("sgd", "adamw")} == {1.0}


def test_a_recipe_of_before_goes_on_without_clipping(tmp_path):
    settings = asdict(make_recipe())
    del settings["max_grad_norm"]
    (tmp_path / "recipe.json").write_text(json.dumps(settings))
    assert Recipe.read(tmp_path / "recipe.json").max_grad_norm == 0


@pytest.mark.parametrize(("smoothing", "classes"), [(0.1, 10), (0.5, 3), (1.0, 7), (0.0, 10)])
def test_no_answer_has_a_lower_loss(smoothing, classes):
    """The best logits are the logarithms of the targets; others are worse."""
    lowest = lowest_loss(smoothing, classes)
    target = np.full(classes, smoothing / classes)
    target[0] += 1 - smoothing

    def loss(logits):
        given = Tensor(np.array([logits], np.float64))
        return F.cross_entropy(given, [0], label_smoothing=smoothing).item()

    assert loss(np.log(target + 1e-300)) == pytest.approx(lowest, abs=1e-12)
    rng = np.random.default_rng(0)
    assert all(loss(np.log(target + 1e-9) + rng.normal(size=classes)) >= lowest for _ in range(50))


def test_what_is_given_wins():
    recipe = make_recipe(data="digits", model="plain8", lr=0.01, epochs=None, augment=("flip",))
    assert (recipe.model, recipe.lr, recipe.augment) == ("plain8", 0.01, ("flip",))
    assert recipe.epochs == make_recipe(data="digits").epochs
    with pytest.raises(ValueError, match="a recipe has no momentum"):
        make_recipe(momentum=0.9)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 0, "epochs must be at least 1, got 0"),
        ("batch_size", -1, "batch_size must be at least 1, got -1"),
        ("lr", 0.0, "lr must be a number greater than 0, got 0.0"),
        ("lr", math.nan, "lr must be a number greater than 0, got nan"),
        ("lr", math.inf, "lr must be a number greater than 0, got inf"),
        ("weight_decay", -0.1, "weight_decay must be a number, at least 0, got -0.1"),
        ("weight_decay", math.nan, "weight_decay must be a number, at least 0, got nan"),
        ("label_smoothing", math.nan, "label_smoothing must be 0 to 1, got nan"),
        ("label_smoothing", 1.1, "label_smoothing must be 0 to 1, got 1.1"),
        ("max_grad_norm", -1.0, "max_grad_norm must be a number, at least 0, got -1"),
        ("max_grad_norm", math.inf, "max_grad_norm must be a number, at least 0, got inf"),
        ("valid", 0.0, "valid must be a share between 0 and 1, got 0.0"),
        ("valid", 1.0, "valid must be a share between 0 and 1, got 1.0"),
        ("valid", math.nan, "valid must be a share between 0 and 1, got nan"),
        ("seed", -1, "seed must be at least 0, got -1"),
        ("optimizer", "lion", "unknown optimizer 'lion': one of sgd, adam, adamw, rmsprop"),
        ("schedule", "linear", "unknown schedule 'linear': one of onecycle, cosine, step, const"),
        ("augment", ("spin",), "unknown augmentation 'spin': crop, flip or none"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, key, value, message):
    with pytest.raises(ValueError, match=message):
        make_recipe(**{key: value})
    path = tmp_path / "recipe.json"  # nor from a file that somebody edited
    path.write_text(json.dumps({**asdict(make_recipe()), key: value}))
    with pytest.raises(FileError, match=f"recipe.json is damaged: {message}"):
        Recipe.read(path)


def test_a_recipe_comes_back_from_its_file(tmp_path):
    recipe = make_recipe(data="digits", lr=0.1 + 0.2, seed=2**40, augment=("crop", "flip"))
    recipe.write(tmp_path / "recipe.json")
    assert Recipe.read(tmp_path / "recipe.json") == recipe


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"text"', "{}", '{"data": "digits", "augment": []}', "\xff"]
)
def test_damaged_files(tmp_path, text):
    (tmp_path / "recipe.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(FileError, match=r"recipe.json is damaged: "):
        Recipe.read(tmp_path / "recipe.json")


def test_wrong_types_in_a_file(tmp_path):
    path = tmp_path / "recipe.json"
    for key, value in (("epochs", "ten"), ("augment", 3), ("lr", None), ("extra", 1)):
        path.write_text(json.dumps({**asdict(make_recipe()), key: value}))
        with pytest.raises(FileError, match=r"recipe.json is damaged: "):
            Recipe.read(path)


def test_no_file(tmp_path):
    with pytest.raises(FileError, match=r"no training to resume: .*recipe.json does not exist"):
        Recipe.read(tmp_path / "recipe.json")


# ---------------------------------------------------------------------- the data


def test_a_constant_channel_is_normalised_to_zeros(monkeypatch):
    digits = data.digits()
    digits.images = np.full_like(digits.images, 77)
    monkeypatch.setattr(data, "load_dataset", lambda *arguments, **options: digits)
    task = load_task(make_recipe(data="digits"))
    assert (task.metadata["mean"], task.metadata["std"]) == ([77 / 255], [1.0])
    assert abs(task.eval_transform(digits.images)).max() < 1e-6


def test_three_sets_that_share_no_image():
    task = load_task(make_recipe(data="digits", valid=0.25, seed=5))
    assert (len(task.train), len(task.valid), len(task.test)) == (1078, 359, 360)
    whole = data.digits()
    wanted = sorted(image.tobytes() for image in whole.images)
    parts = [*task.train.images, *task.valid.images]
    assert sorted(image.tobytes() for image in parts) == wanted
    np.testing.assert_array_equal(task.test.images, data.digits(train=False).images)


def test_normalised_by_the_training_images_alone():
    task = load_task(make_recipe(data="digits"))
    pixels = task.train.images / 255
    assert task.metadata["mean"] == pytest.approx([pixels.mean()], rel=1e-12)
    assert task.metadata["std"] == pytest.approx([pixels.std()], rel=1e-12)
    for transform in (task.transform, task.eval_transform):  # digits are not augmented
        normalised = transform(task.train.images)
        assert normalised.mean() == pytest.approx(0, abs=1e-4)
        assert normalised.std() == pytest.approx(1, abs=1e-4)
    assert task.metadata["classes"] == list("0123456789")
    assert task.metadata["size"] == [8, 8]


def test_augmentation_is_for_training_only():
    task = load_task(make_recipe(data="fashion-mini", augment=("crop", "flip")))
    assert [type(t).__name__ for t in task.transform.transforms] == [
        "RandomCrop",
        "RandomHorizontalFlip",
        "Normalize",
    ]
    assert [type(t).__name__ for t in task.eval_transform.transforms] == ["Normalize"]
    plain = load_task(make_recipe(data="fashion-mini", augment=()))
    assert [type(t).__name__ for t in plain.transform.transforms] == ["Normalize"]


@pytest.mark.parametrize(
    ("augment", "training"),
    [
        (("crop", "flip"), ["RandomResizedCrop", "RandomHorizontalFlip", "Normalize"]),
        (("flip",), ["Resize", "CenterCrop", "RandomHorizontalFlip", "Normalize"]),
        ((), ["Resize", "CenterCrop", "Normalize"]),
    ],
)
def test_a_folder_of_images(tmp_path, augment, training):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for i in range(10):
            Image.new("RGB", (30 + i, 20), (i, 0, 0)).save(tmp_path / name / f"{i}.png")
    task = load_task(make_recipe(data=str(tmp_path), augment=augment))
    assert (len(task.train), len(task.valid), len(task.test)) == (14, 2, 4)
    assert [type(t).__name__ for t in task.transform.transforms] == training
    assert [type(t).__name__ for t in task.eval_transform.transforms] == [
        "Resize",
        "CenterCrop",
        "Normalize",
    ]
    images, _ = task.test.take(np.arange(4))
    assert task.eval_transform(images).shape == (4, 224, 224, 3)
    assert task.channels == 3
    assert task.metadata["classes"] == ["ant", "bee"]


def test_data_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="unknown dataset 'mnits'"):
        load_task(make_recipe(data="mnits"))
    with pytest.raises(DataError, match="CIFAR-10 is not in "):
        load_task(make_recipe(data="cifar10", data_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("classes", "each", "message"),
    [
        (1, 10, "one class only, '0', so there is nothing to tell apart; expected one folder"),
        (2, 2, "2 images are too few to hold a share of 0.1 out and to train on the rest"),
    ],
)
def test_a_folder_that_is_not_enough(tmp_path, classes, each, message):
    for k in range(classes):
        (tmp_path / str(k)).mkdir()
        for i in range(each):
            Image.new("RGB", (8, 8)).save(tmp_path / str(k) / f"{i}.png")
    with pytest.raises(DataError, match=message) as caught:
        load_task(make_recipe(data=str(tmp_path)))
    assert str(caught.value).startswith(str(tmp_path))


# ---------------------------------------------------------------------- what is built


def built(**options):
    recipe = make_recipe(data="digits", **options)
    model = build_model(recipe, load_task(recipe))
    optimizer = build_optimizer(recipe, model)
    return model, optimizer, build_schedule(recipe, optimizer, 100)


def test_the_seed_gives_the_weights():
    first, again, other = (built(seed=seed)[0].state_dict() for seed in (1, 1, 2))
    key = "layer2.0.conv1.weight"
    np.testing.assert_array_equal(first[key].numpy(), again[key].numpy())
    assert (first[key].numpy() != other[key].numpy()).all()


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("sgd", optim.SGD, {"lr": 0.25, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
        ("adam", optim.Adam, {"lr": 0.25, "weight_decay": 0.0}),
        ("adamw", optim.AdamW, {"lr": 0.25, "weight_decay": 0.01}),
        ("rmsprop", optim.RMSprop, {"lr": 0.25, "weight_decay": 0.0}),
    ],
)
@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "step", "constant"])
def test_every_optimiser_with_every_schedule(name, kind, options, schedule):
    model, optimizer, plan = built(optimizer=name, schedule=schedule, lr=0.25)
    assert type(optimizer) is kind
    assert {key: optimizer.defaults[key] for key in options} == options
    assert len(optimizer.param_groups[0]["params"]) == len(list(model.parameters()))
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(99):
        if plan is not None:
            plan.step()
        rates.append(optimizer.param_groups[0]["lr"])
    wanted = {
        "onecycle": [0.01, 0.25, 0.01 / 1e4],  # first, highest, last
        "cosine": [0.25, 0.25, 0.125 * (1 + math.cos(0.99 * math.pi))],
        "step": [0.25, 0.25, 0.0025],
        "constant": [0.25, 0.25, 0.25],
    }[schedule]
    assert [rates[0], max(rates), rates[-1]] == pytest.approx(wanted, rel=1e-9)
    if schedule == "step":
        assert [rates.count(rate) for rate in sorted(set(rates), reverse=True)] == [50, 25, 25]
