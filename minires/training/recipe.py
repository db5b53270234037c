"""A training run as plain settings: sensible ones for each dataset, and what they build."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from minires import data, models, optim, random, typed_json
from minires.data import Compose, DataError, ImageFolder, LabelledImages
from minires.files import FileError, atomic_write
from minires.nn import Module
from minires.training.archive import read_archive
from minires.training.weights import described, load_network

OptimizerName = Literal["sgd", "adam", "adamw", "rmsprop"]
Freeze = Literal["none", "backbone"]
ScheduleName = Literal["onecycle", "cosine", "step", "constant"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
AUGMENTATIONS = ("crop", "flip")

# what suits each dataset; a folder of images is "folder". docs/recipes.md has what comes of it
_DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"model": "resnet8", "epochs": 15, "batch_size": 64, "augment": ()},
    "fashion-mini": {
        "model": "resnet8",
        "epochs": 20,
        "batch_size": 64,
        "label_smoothing": 0.1,
        "augment": ("flip",),  # crops want more epochs than these
    },
    "fashion-mnist": {"model": "resnet14", "epochs": 10, "batch_size": 128},
    "cifar10": {"model": "resnet20", "epochs": 30, "batch_size": 128},
    "cifar100": {"model": "resnet20", "epochs": 30, "batch_size": 128},
    "folder": {"model": "resnet18", "epochs": 10, "batch_size": 32},
}
_PADDING = {"cifar10": 4, "cifar100": 4}  # of random crops; small grey images want less
_SGD_DECAY = {"fashion-mini": 1e-3}
_LR = {"sgd": 0.1, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3}
_ONE_CYCLE_LR = {"sgd": 0.3, "adam": 5e-3, "adamw": 5e-3, "rmsprop": 2e-3}


@dataclass(frozen=True)
class Recipe:
    """All the settings of a run; `make_recipe` fills in those that are not given."""

    data: str
    data_dir: str | None
    download: bool
    model: str
    epochs: int
    batch_size: int
    lr: float
    optimizer: OptimizerName
    schedule: ScheduleName
    weight_decay: float
    label_smoothing: float
    augment: tuple[str, ...]
    valid: float
    seed: int
    device: str
    amp: bool = False
    compile: bool = False  # as in recipes of before
    sync_batch_norm: bool = False
    weights: str | None = None
    freeze: Freeze = "none"
    replace_head: bool = False
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    max_grad_norm: float = 0.0  # 0: as they are, as in recipes of before

    def write(self, path: Path) -> None:
        """Write the settings as JSON, atomically."""
        with atomic_write(path) as file:
            file.write((json.dumps(asdict(self), indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """Read what `write` wrote.

        Raises
        ------
        FileError
            If the file is missing, damaged or incomplete.
        """
        try:
            return typed_json.build(cls, typed_json.read_json(path)).checked()
        except (FileNotFoundError, NotADirectoryError):
            raise FileError(f"no training to resume: {path} does not exist") from None
        except OSError as error:
            raise FileError(f"cannot read {path}: {error.strerror or error}") from error
        except FileError:
            raise
        except ValueError as error:
            raise FileError(f"{path} is damaged: {error}") from error

    def checked(self) -> Recipe:
        """Itself, if every number and name makes sense.

        Raises
        ------
        ValueError
            Naming the first that does not.
        """
        for key, choices in (
            ("optimizer", get_args(OptimizerName)),
            ("schedule", get_args(ScheduleName)),
            ("freeze", get_args(Freeze)),
        ):
            if getattr(self, key) not in choices:
                raise ValueError(
                    f"unknown {key} {getattr(self, key)!r}: one of {', '.join(choices)}"
                )
        for name in self.augment:
            if name not in AUGMENTATIONS:
                raise ValueError(
                    f"unknown augmentation {name!r}: {', '.join(AUGMENTATIONS)} or none"
                )
        if self.weights is None and (self.freeze != "none" or self.replace_head):
            raise ValueError("freeze and replace_head are for weights from a file: give weights")
        for key, wanted, good in (
            ("epochs", "at least 1", self.epochs >= 1),
            ("batch_size", "at least 1", self.batch_size >= 1),
            ("lr", "a number greater than 0", 0 < self.lr < math.inf),
            ("weight_decay", "a number, at least 0", 0 <= self.weight_decay < math.inf),
            ("label_smoothing", "0 to 1", 0 <= self.label_smoothing <= 1),
            ("max_grad_norm", "a number, at least 0", 0 <= self.max_grad_norm < math.inf),
            ("valid", "a share between 0 and 1", 0 < self.valid < 1),
            ("seed", "at least 0", self.seed >= 0),
        ):
            if not good:
                raise ValueError(f"{key} must be {wanted}, got {getattr(self, key)}")
        return self


def lowest_loss(label_smoothing: float, classes: int) -> float:
    """The cross-entropy of the best answer to smoothed targets: their entropy, in nats."""
    other = label_smoothing / classes
    shares = [1 - label_smoothing + other, *[other] * (classes - 1)]
    return -sum(share * math.log(share) for share in shares if share)


def make_recipe(**given: Any) -> Recipe:
    """The settings given, and for the rest (None) what suits the dataset and the optimiser.

    Raises
    ------
    ValueError
        If a setting is unknown or makes no sense.
    """
    known = {f.name for f in fields(Recipe)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"a recipe has no {', '.join(unknown)}: its settings are {sorted(known)}")
    chosen = {key: value for key, value in given.items() if value is not None}
    name = chosen.setdefault("data", "fashion-mini")
    optimizer = chosen.setdefault("optimizer", "sgd")
    schedule = chosen.setdefault("schedule", "onecycle")
    decay = {"sgd": _SGD_DECAY.get(name, 5e-4), "adamw": 0.01}
    usual = {
        "data_dir": None,
        "download": False,
        "lr": (_ONE_CYCLE_LR if schedule == "onecycle" else _LR).get(optimizer),
        "weight_decay": decay.get(optimizer, 0.0),
        "label_smoothing": 0.0,
        "max_grad_norm": 1.0,  # one bad batch at the peak rate undid a training now and then
        "augment": AUGMENTATIONS,
        "valid": 0.1,
        "seed": 0,
        "device": "cpu",
        "compile": True,
    }
    return Recipe(**{**usual, **_DEFAULTS.get(name, _DEFAULTS["folder"]), **chosen}).checked()


@dataclass(frozen=True)
class Task:
    """What a recipe's data amount to: three sets and how to prepare their images."""

    train: LabelledImages
    valid: LabelledImages
    test: LabelledImages
    transform: Compose
    eval_transform: Compose
    channels: int
    metadata: dict[str, Any]


def load_task(recipe: Recipe) -> Task:
    """Load the data, hold the validation images out, and measure the mean and deviation.

    Raises
    ------
    DataError
        If the data are missing or damaged.
    """
    options = {"root": recipe.data_dir, "download": recipe.download}
    whole = data.load_dataset(recipe.data, train=True, **options)  # type: ignore[arg-type]
    test = data.load_dataset(recipe.data, train=False, **options)  # type: ignore[arg-type]
    if len(whole.classes) < 2:
        raise DataError(
            f"{recipe.data}: one class only, {whole.classes[0]!r}, so there is nothing to tell "
            "apart; expected one folder of images a class"
        )
    if not 0 < round(recipe.valid * len(whole)) < len(whole) - 1:
        raise DataError(
            f"{recipe.data}: {len(whole):,} images are too few to hold a share of "
            f"{recipe.valid:g} out and to train on the rest"
        )
    train, valid = data.split(whole, recipe.valid, recipe.seed)
    random_steps: list[Any] = []
    if isinstance(train, ImageFolder):
        height = width = 224
        mean, std, channels = IMAGENET_MEAN, IMAGENET_STD, 3
        steps: list[Any] = [data.Resize(256), data.CenterCrop(224)]
        random_steps += [data.RandomResizedCrop(224)] if "crop" in recipe.augment else steps
    else:
        height, width, channels = train.images.shape[1:]
        mean, std = data.dataset_statistics(train.images)  # type: ignore[assignment]
        std = tuple(s or 1.0 for s in std)  # type: ignore[assignment]  # of a constant channel
        padding = _PADDING.get(recipe.data, 2)
        crop = data.RandomCrop((height, width), padding)
        random_steps += [crop] if "crop" in recipe.augment else []
        steps = []
    random_steps += [data.RandomHorizontalFlip()] if "flip" in recipe.augment else []
    mean, std = recipe.mean or mean, recipe.std or std  # type: ignore[assignment]
    normalize = data.Normalize(mean, std)
    if len(mean) != channels:
        raise ValueError(
            f"{recipe.data} has images of {channels} channel{'s'[: channels - 1]}, but there are "
            f"{len(mean)} numbers for mean and for std"
        )
    return Task(
        train=train,
        valid=valid,
        test=test,
        transform=Compose([*random_steps, normalize]),
        eval_transform=Compose([*steps, normalize]),
        channels=channels,
        metadata={
            "data": recipe.data,
            "classes": list(whole.classes),
            "mean": list(mean),
            "std": list(std),
            "size": [height, width],
        },
    )


def build_model(recipe: Recipe, task: Task, checkpoint: Path | None = None) -> models.ResNet:
    """The network, on its device: with random weights from the recipe's seed, or with a file's.

    Parameters
    ----------
    recipe : Recipe
    task : Task
    checkpoint : Path, optional
        The last.npz from which a training will go on. It holds every weight, so that the file
        which the training started from may be gone; here they are random still.

    Raises
    ------
    FileError
        If the file's weights cannot be loaded.
    ValueError
        If they are for other images or classes than the data's.
    """
    random.manual_seed(recipe.seed)
    if recipe.weights is None:
        classes = len(task.metadata["classes"])
        drawn: models.ResNet = models.create(recipe.model, classes, task.channels)
        return drawn.to(recipe.device)
    saved = read_archive(checkpoint, "checkpoint") if checkpoint is not None else {}
    if saved.get("architecture"):
        try:
            network: models.ResNet = described(saved["architecture"], saved["model"])
        except Exception as error:  # whatever a wrong type leads to
            raise FileError(f"{checkpoint} does not fit this run: {error}") from error
    else:
        network = _with_weights_of(recipe.weights, recipe, task)
    if recipe.freeze == "backbone":
        models.freeze_backbone(network)
    return network.train().to(recipe.device)


def _with_weights_of(path: str, recipe: Recipe, task: Task) -> models.ResNet:
    """The network of a file, for the task's classes."""
    network: models.ResNet = load_network(path, recipe.model, head=not recipe.replace_head)
    classes = len(task.metadata["classes"])
    known, channels = (network.architecture[key] for key in ("num_classes", "in_channels"))
    if channels != task.channels:
        raise ValueError(
            f"{path} wants images of {channels} channels, {recipe.data} has {task.channels}"
        )
    if recipe.replace_head:
        models.replace_head(network, classes)
    elif known != classes:
        raise ValueError(
            f"{path} knows {known} classes, {recipe.data} has {classes}: "
            "replace_head (--replace-head) gives it a new classifier"
        )
    network.metadata = {}  # of what it learned before
    return network


def build_optimizer(recipe: Recipe, model: Module) -> optim.Optimizer:
    """The optimiser; SGD has momentum 0.9 and Nesterov. Weight decay is on all parameters."""
    options: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    parameters = [p for p in model.parameters() if p.requires_grad]
    if recipe.optimizer == "sgd":
        return optim.SGD(parameters, momentum=0.9, nesterov=True, **options)
    kinds: dict[str, Callable[..., optim.Optimizer]] = {
        "adam": optim.Adam,
        "adamw": optim.AdamW,
        "rmsprop": optim.RMSprop,
    }
    return kinds[recipe.optimizer](parameters, **options)


def build_schedule(
    recipe: Recipe, optimizer: optim.Optimizer, total_steps: int
) -> optim.Schedule | None:
    """The schedule over all steps of the run; "step" divides by 10 at a half and at 3/4."""
    if recipe.schedule == "onecycle":
        momentum = recipe.optimizer != "rmsprop"  # whose momentum is off
        return optim.OneCycleLR(
            optimizer,
            max_lr=recipe.lr,
            total_steps=total_steps,
            pct_start=0.25,
            cycle_momentum=momentum,
        )
    if recipe.schedule == "cosine":
        return optim.CosineAnnealingLR(optimizer, T_max=total_steps)
    if recipe.schedule == "step":
        return optim.MultiStepLR(optimizer, [total_steps // 2, total_steps * 3 // 4])
    return None
