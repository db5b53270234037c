"""The command line: `minires train`, `eval`, `predict`, `summary`, `info`."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import minires
from minires import data, kernels, models, nn
from minires.backend import DeviceError, parse_device
from minires.data import Compose, ImageDataset, Normalize
from minires.engine import no_grad
from minires.gradcheck.command import gradcheck_command
from minires.nn import functional as F
from minires.tensor import Tensor
from minires.training import Evaluation, Interrupted, TrainingError, evaluate, fit, load
from minires.training.recipe import (
    Recipe,
    build_model,
    build_optimizer,
    build_schedule,
    load_task,
    make_recipe,
)

app = typer.Typer(
    help="Residual networks from scratch, on NumPy or CuPy: train them, use them, look inside.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Stopped(Exception):
    """Ctrl-C, and the state is saved. No KeyboardInterrupt: typer would swallow the message."""


_USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
_USER_ERRORS = (_USAGE_ERROR, ValueError, TypeError, DeviceError, OSError)


def _option(metavar: str, help: str, default: str | bool = True, **more: Any) -> Any:
    return typer.Option(metavar=metavar, help=help, show_default=default, **more)


def _data_option(default: str) -> Any:
    text = (
        "digits, fashion-mini (both come with minires), fashion-mnist, cifar10, cifar100, or a "
        "folder with one folder of images a class."
    )
    return _option("NAME|FOLDER", text, default)


DataDirOption = Annotated[
    Path | None, _option("FOLDER", "Where a dataset's official files are, packed or unpacked.")
]
DeviceOption = Annotated[str, _option("NAME", "cpu, cuda or cuda:N.")]
BatchOption = Annotated[int, _option("N", "Images at a time.", min=1)]


def main() -> None:
    """Run the command line; a mistake of the user's gets one line and exit code 2."""
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="minires", standalone_mode=False)
        sys.stdout.flush()
    except _Stopped as error:
        _fail(str(error), 130)
    except (KeyboardInterrupt, typer.Abort):  # some versions of typer return 130 instead
        code = 130
    except TrainingError as error:
        _fail(str(error), 1)
    except BrokenPipeError:  # as in `minires info | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except _USER_ERRORS as error:
        _fail(_message(error), 2)
    if code == 130:
        _fail("interrupted", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _message(error: Any) -> str:
    if isinstance(error, _USAGE_ERROR):
        return str(error.format_message())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _fail(message: str, code: int) -> None:
    print("minires:", *message.split(), file=sys.stderr)  # on one line
    sys.exit(code)


@app.command()
def train(
    context: typer.Context,
    data: Annotated[str | None, _data_option("fashion-mini")] = None,
    data_dir: DataDirOption = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the files if they are missing.")
    ] = False,
    model: Annotated[
        str | None, _option("NAME", "The network; `minires info` lists them.", "by the data")
    ] = None,
    epochs: Annotated[
        int | None, _option("N", "How often to go through the images.", "by the data")
    ] = None,
    batch_size: Annotated[int | None, _option("N", "Images a step.", "by the data")] = None,
    lr: Annotated[
        float | None, _option("X", "Learning rate; the peak of onecycle.", "by the optimizer")
    ] = None,
    optimizer: Annotated[
        str, _option("NAME", "sgd (with Nesterov momentum), adam, adamw or rmsprop.")
    ] = "sgd",
    schedule: Annotated[
        str, _option("NAME", "Of the learning rate: onecycle, cosine, step or constant.")
    ] = "onecycle",
    weight_decay: Annotated[
        float | None, _option("X", "Pulls weights towards 0.", "by the optimizer")
    ] = None,
    label_smoothing: Annotated[
        float, _option("X", "How much of each target is spread over all classes.")
    ] = 0.0,
    augment: Annotated[
        str | None, _option("LIST", "crop, flip, both with a comma, or none.", "by the data")
    ] = None,
    valid: Annotated[
        float, _option("X", "Share of the training images held out to choose the best epoch.")
    ] = 0.1,
    seed: Annotated[int, _option("N", "Of every random draw; the same gives the same run.")] = 0,
    device: DeviceOption = "cpu",
    out: Annotated[
        Path | None, _option("FOLDER", "Where to write the results.", "a new one in runs")
    ] = None,
    resume: Annotated[
        Path | None, _option("FOLDER", "Go on with the training in this folder, as it was set up.")
    ] = None,
) -> None:
    """Train a network; with no option, a ResNet-8 on a small Fashion-MNIST in about a minute.

    A tenth of the training images is held out to choose the best epoch. The
    test images are used once, at the end. Ctrl-C saves, and --resume goes on to
    the very same result.
    """
    if resume is not None:
        others = [name for name in context.params if name != "resume" and _given(context, name)]
        if others:
            raise ValueError(
                f"--resume goes on with the settings in {resume}: leave out "
                + ", ".join(f"--{name.replace('_', '-')}" for name in others)
            )
        recipe, folder = Recipe.read(resume / "recipe.json"), resume
    else:
        recipe = make_recipe(
            data=_lasting(data),
            data_dir=None if data_dir is None else str(data_dir.resolve()),
            download=download,
            model=model,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            optimizer=optimizer,
            schedule=schedule,
            weight_decay=weight_decay,
            label_smoothing=label_smoothing,
            augment=None if augment is None else _names(augment),
            valid=valid,
            seed=seed,
            device=device,
        )
        folder = _new_folder(out, recipe)
    _train(recipe, folder, resume is not None)


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _lasting(name: str | None) -> str | None:
    """A dataset's name, or a folder's whole path: the training may be resumed from elsewhere."""
    if name is None or name in data.DATASET_NAMES or not Path(name).exists():
        return name
    return str(Path(name).resolve())


def _names(text: str) -> tuple[str, ...]:
    return tuple(n.strip() for n in text.split(",") if n.strip() not in ("", "none"))


def _new_folder(out: Path | None, recipe: Recipe) -> Path:
    if out is not None:
        if (out / "recipe.json").exists():
            raise ValueError(f"{out} holds a training already: --resume {out}, or another --out")
        if out.exists() and not out.is_dir():
            raise ValueError(f"{out} is no folder: name a folder for --out")
        return out
    stem = f"{Path(recipe.data).name}-{recipe.model}"
    candidates = (Path("runs", stem if i == 1 else f"{stem}-{i}") for i in range(1, 10_000))
    return next(folder for folder in candidates if not folder.exists())


def _train(recipe: Recipe, folder: Path, resume: bool) -> None:
    parse_device(recipe.device)
    task = load_task(recipe)
    network = build_model(recipe, task)
    optimizer = build_optimizer(recipe, network)
    steps = recipe.epochs * max(len(task.train) // recipe.batch_size, 1)
    schedule = build_schedule(recipe, optimizer, steps)
    parameters = sum(p.size for p in network.parameters())
    print(
        f"{recipe.model}, {parameters:,} parameters, on {recipe.data}: {len(task.train):,} images "
        f"to train, {len(task.valid):,} held out, {len(task.test):,} to test"
    )
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    print(
        f"{epochs} of {recipe.optimizer} in batches of {recipe.batch_size}, lr {recipe.lr:g} "
        f"{recipe.schedule}, {kernels.get_num_threads()} threads; writing to {folder}"
    )
    if not resume:
        recipe.write(folder / "recipe.json")
    try:
        history = fit(
            network,
            task.train,
            task.valid,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            optimizer=optimizer,
            schedule=schedule,
            transform=task.transform,
            valid_transform=task.eval_transform,
            label_smoothing=recipe.label_smoothing,
            seed=recipe.seed,
            out=folder,
            resume=resume,
            metadata=task.metadata,
        )
    except Interrupted as error:
        shown = f'"{folder}"' if " " in str(folder) else folder
        raise _Stopped(f"{error}. Go on with: minires train --resume {shown}") from None
    best = load(folder / "best.npz").to(recipe.device)
    result = _evaluate(best, task.test, task.eval_transform, recipe.batch_size)
    classes = task.metadata["classes"]
    print(f"\nbest epoch {history.best.epoch} of {len(history)}, on the test images:")
    print(f"  accuracy  {result.accuracy:.2%} ({result.correct:,} of {result.count:,})")
    print(f"  loss      {result.loss:.4f}")
    if len(classes) <= 20:
        print(_class_table(result.predictions, task.test.labels, classes))
    print("\nwritten:")
    for name, what in (
        ("best.npz", f"the weights: minires predict {folder / 'best.npz'} IMAGE"),
        ("last.npz", "the whole state, to resume from"),
        ("history.csv", "loss and accuracy by epoch"),
        ("curves.png", "the same as a picture"),
        ("recipe.json", "the settings"),
    ):
        print(f"  {folder / name!s:<40}  {what}")


def _evaluate(network: Any, dataset: Any, transform: Any, batch_size: int) -> Evaluation:
    from tqdm.auto import tqdm

    with tqdm(total=len(dataset), desc="testing", unit="image", disable=None, leave=False) as bar:
        return evaluate(
            network, dataset, transform=transform, batch_size=batch_size, on_batch=bar.update
        )


def _class_table(predictions: Any, labels: Any, classes: list[str]) -> str:
    """Each class's accuracy, and what it is mistaken for most."""
    width = max(map(len, classes))
    lines = [f"\n  {'class':<{width}}  right     of  mostly mistaken for"]
    for k, name in enumerate(classes):
        guesses = np.bincount(predictions[labels == k], minlength=len(classes))
        total, right = int(guesses.sum()), int(guesses[k])
        guesses[k] = 0
        other = f"{classes[int(guesses.argmax())]} ({guesses.max()})" if guesses.any() else "-"
        lines.append(f"  {name:<{width}}  {right:5,}  {total:5,}  {other}")
    return "\n".join(lines)


def _numbers(text: str | None, name: str) -> list[float] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} wants numbers with commas between, got {text!r}")
    return numbers


@app.command("eval")
def evaluate_command(
    weights: Annotated[Path, _option("FILE", "What `minires train` wrote, such as best.npz.")],
    data: Annotated[str | None, _data_option("what they learned on")] = None,
    data_dir: DataDirOption = None,
    mean: Annotated[
        str | None, _option("X,X,X", "Per channel, of pixels in [0, 1].", "the file's")
    ] = None,
    std: Annotated[str | None, _option("X,X,X", "Likewise.", "the file's")] = None,
    batch_size: BatchOption = 256,
    device: DeviceOption = "cpu",
) -> None:
    """Measure a trained network on a dataset's test images."""
    network = load(weights).to(device)
    name = data or network.metadata.get("data", "fashion-mini")
    dataset = minires.data.load_dataset(name, root=data_dir, train=False)
    _check_classes(network, dataset.classes, name)
    transform = _preparation(network, _numbers(mean, "--mean"), _numbers(std, "--std"), dataset)
    result = _evaluate(network, dataset, transform, batch_size)
    print(f"{weights} on the test images of {name}:")
    print(f"  accuracy  {result.accuracy:.2%} ({result.correct:,} of {result.count:,})")
    print(f"  loss      {result.loss:.4f}")


def _check_classes(network: Any, found: Sequence[str], name: str) -> None:
    count = network.architecture["num_classes"]
    if count != len(found):
        raise ValueError(f"the weights know {count} classes, {name} has {len(found)}")
    known = network.metadata.get("classes")
    if known and list(known) != list(found):
        raise ValueError(
            f"the weights know other classes ({', '.join(known[:3])}, ...) than {name} has "
            f"({', '.join(found[:3])}, ...)"
        )


def _preparation(
    network: Any, mean: list[float] | None, std: list[float] | None, dataset: Any = None
) -> Compose:
    """How the weights want their images: size, mean and deviation are kept beside them."""
    metadata = network.metadata
    mean, std = mean or metadata.get("mean"), std or metadata.get("std")
    if not mean or not std:
        raise ValueError("these weights do not say how to normalise images: pass --mean and --std")
    steps: list[Any] = []
    size = metadata.get("size")
    in_memory = isinstance(dataset, ImageDataset)
    if size and not (in_memory and dataset.images.shape[1:3] == tuple(size)):
        # a margin as in training on photographs, none for small images
        margin = 256 / 224 if min(size) >= 128 else 1
        steps = [data.Resize(round(min(size) * margin)), data.CenterCrop(tuple(size))]
    return Compose([*steps, Normalize(tuple(mean), tuple(std))])


@app.command()
def predict(
    weights: Annotated[Path, typer.Argument(help="What `minires train` wrote, such as best.npz.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, of any size.")],
    top: Annotated[int, _option("N", "How many classes to show.", min=1)] = 5,
    device: DeviceOption = "cpu",
) -> None:
    """Say what is on images: the likeliest classes and their probabilities."""
    network = load(weights).to(device)
    classes = network.metadata.get("classes") or [
        f"class {k}" for k in range(network.architecture["num_classes"])
    ]
    prepare = _preparation(network, None, None)
    for path in images:
        pixels = data.read_image(path)[None]  # (1, H, W, 3)
        if network.architecture["in_channels"] == 1:
            grey = pixels @ np.array([0.299, 0.587, 0.114])  # the luma of ITU-R BT.601
            pixels = np.rint(grey).astype(np.uint8)[..., None]
        with no_grad():
            logits = network(Tensor(prepare(pixels)).to(device))
            probabilities = F.softmax(logits).numpy()[0]
        print(path)
        for k in (-probabilities).argsort(kind="stable")[:top]:
            print(f"  {probabilities[k]:7.2%}  {classes[k]}")


@app.command()
def summary(
    model: Annotated[str, typer.Argument(help="A network's name, such as resnet20.")],
    size: Annotated[int | None, _option("N", "Height and width.", "32 or 224", min=1)] = None,
    classes: Annotated[
        int | None, _option("N", "Classes to tell apart.", "10 or 1000", min=1)
    ] = None,
    channels: Annotated[int, _option("N", "3 for colour images, 1 for grey ones.", min=1)] = 3,
) -> None:
    """Show a network layer by layer: output shapes, parameters, multiply-adds."""
    network = models.create(model, classes, channels)
    side = size or (224 if isinstance(network.maxpool, nn.MaxPool2d) else 32)
    print(nn.summary(network, (side, side, channels)))


app.command("gradcheck")(gradcheck_command)


@app.command()
def info() -> None:
    """Show versions, the BLAS library, threads and devices."""
    import threadpoolctl

    print(f"minires   {minires.__version__}")
    print(f"Python    {platform.python_version()} on {platform.system()} {platform.machine()}")
    print(f"NumPy     {np.__version__}")
    for library in threadpoolctl.threadpool_info():
        if library["user_api"] == "blas":
            kernel = library.get("architecture") or "unknown kernels"
            print(
                f"BLAS      {library['internal_api']} {library['version']}, {kernel}, "
                f"{library['num_threads']} threads of its own"
            )
    print(f"threads   {kernels.get_num_threads()} (MINIRES_NUM_THREADS changes it)")
    print("devices   cpu")
    try:
        cupy = minires.backend.load_cupy()
        for number in range(cupy.cuda.runtime.getDeviceCount()):
            name = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
            print(f"          cuda:{number}  {name} (CuPy {cupy.__version__})")
    except DeviceError as error:
        print(f"          no cuda: {error}")
    print(f"datasets  {', '.join(data.DATASET_NAMES)}, or a folder of images")
    print(f"models    {', '.join(models.MODELS)}")
