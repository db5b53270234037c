"""`minires train`."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from minires import data as datasets
from minires import kernels
from minires.backend import parse_device
from minires.cli.distributed import among_processes
from minires.cli.evaluate import measure, numbers
from minires.cli.images import look_at_images
from minires.cli.metadata import metadata_of
from minires.cli.options import CompileOption, DataDirOption, DeviceOption, data_option, option
from minires.data.arrays import class_counts
from minires.distributed import DataParallel, Group, agreed
from minires.distributed.parallel import enough
from minires.files import whole
from minires.locks import hold
from minires.models import ResNet
from minires.progress_bar import progress_bars
from minires.text import bounded
from minires.training import History, Interrupted, fit
from minires.training.recipe import (
    Recipe,
    Task,
    build_model,
    build_optimizer,
    build_schedule,
    load_task,
    lowest_loss,
    make_recipe,
)
from minires.training.weights import load_network

ASIDE = ("resume", "distributed", "allreduce")  # what --resume goes with


class Stopped(Exception):
    """Ctrl-C, and the state is saved. No KeyboardInterrupt: typer would swallow the message."""


@among_processes
def train_command(
    context: typer.Context,
    data: Annotated[str | None, data_option("fashion-mini")] = None,
    data_dir: DataDirOption = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the files if they are missing.")
    ] = False,
    model: Annotated[
        str | None, option("NAME", "The network; `minires info` lists them.", "by the data")
    ] = None,
    epochs: Annotated[
        int | None, option("N", "How often to go through the images.", "by the data")
    ] = None,
    batch_size: Annotated[int | None, option("N", "Images a step.", "by the data")] = None,
    lr: Annotated[
        float | None, option("X", "Learning rate; the peak of onecycle.", "by the optimizer")
    ] = None,
    optimizer: Annotated[
        str, option("NAME", "sgd (with Nesterov momentum), adam, adamw or rmsprop.")
    ] = "sgd",
    schedule: Annotated[
        str, option("NAME", "Of the learning rate: onecycle, cosine, step or constant.")
    ] = "onecycle",
    weight_decay: Annotated[
        float | None, option("X", "Pulls weights towards 0.", "by the optimizer")
    ] = None,
    label_smoothing: Annotated[
        float | None,
        option("X", "How much of each target is spread over all classes.", "by the data"),
    ] = None,
    max_grad_norm: Annotated[
        float, option("X", "Larger gradients are scaled down to this norm; 0: never.")
    ] = 1.0,
    augment: Annotated[
        str | None, option("LIST", "crop, flip, both with a comma, or none.", "by the data")
    ] = None,
    valid: Annotated[
        float, option("X", "Share of the training images held out to choose the best epoch.")
    ] = 0.1,
    seed: Annotated[int, option("N", "Of every random draw; the same gives the same run.")] = 0,
    device: DeviceOption = "cpu",
    weights: Annotated[
        Path | None,
        option("FILE", "Start from these: minires's, PyTorch's or safetensors.", "random ones"),
    ] = None,
    freeze: Annotated[
        str, option("NAME", "backbone: of --weights, train only the classifier; or none.")
    ] = "none",
    replace_head: Annotated[
        bool, typer.Option("--replace-head", help="Give --weights a new classifier.")
    ] = False,
    mean: Annotated[
        str | None, option("X,X,X", "Per channel, of pixels in [0, 1].", "of --weights or the data")
    ] = None,
    std: Annotated[str | None, option("X,X,X", "Likewise.", "likewise")] = None,
    amp: Annotated[
        bool, typer.Option("--amp", help="Mixed precision, for a GPU: half the memory.")
    ] = False,
    compile: CompileOption = True,
    distributed: Annotated[
        bool,
        typer.Option("--distributed", help="Share each batch among the processes of mpirun."),
    ] = False,
    sync_batch_norm: Annotated[
        bool,
        typer.Option("--sync-batch-norm", help="Then, normalise by the whole batch all the same."),
    ] = False,
    allreduce: Annotated[
        bool, typer.Option("--allreduce", help="Then, add gradients in the order that MPI likes.")
    ] = False,
    out: Annotated[
        Path | None, option("FOLDER", "Where to write the results.", "a new one in runs")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="First a checkup, of up to 10 seconds.")
    ] = False,
    resume: Annotated[
        Path | None, option("FOLDER", "Go on with the training in this folder, as it was set up.")
    ] = None,
) -> None:
    """Train a network; with no option, a ResNet-8 on a small Fashion-MNIST in about a minute.

    A tenth of the training images is held out to choose the best epoch. The
    test images are used once, at the end. Ctrl-C saves, and --resume goes on to
    the very same result.
    """
    group: Group = context.obj
    if resume is not None:
        others = [name for name in context.params if name not in ASIDE and _given(context, name)]
        if others:
            raise ValueError(
                f"--resume goes on with the settings in {resume}: leave out "
                + ", ".join(f"--{name.replace('_', '-')}" for name in others)
            )
        recipe = _on_own_device(Recipe.read(resume / "recipe.json"), group)
        with hold(resume) if group.rank == 0 else nullcontext():
            # killed before it wrote anything else, it has lost nothing by beginning anew
            begun = any((resume / name).exists() for name in ("last.npz", "best.npz"))
            task, network = _prepare(recipe, resume / "last.npz" if begun else None)
            _train(recipe, task, network, resume, group, begun)
        return
    if out is not None:
        _check_new(out)
    mean_std = {"mean": numbers(mean, "--mean"), "std": numbers(std, "--std")}
    if weights is not None:
        network = load_network(weights, model, head=not replace_head)
        if not getattr(network, "architecture", None):
            raise ValueError(
                f"{weights} holds a network that is not from minires.models: train it in "
                "Python, with minires.fit"
            )
        model = network.architecture["name"]
        known = metadata_of(network, weights)
        mean_std = {key: mean_std[key] or getattr(known, key) for key in mean_std}
    recipe = make_recipe(
        data=_lasting(data),
        data_dir=None if data_dir is None else str(whole(data_dir)),
        download=download,
        model=model,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        optimizer=optimizer,
        schedule=schedule,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        max_grad_norm=max_grad_norm,
        augment=None if augment is None else _names(augment),
        valid=valid,
        seed=seed,
        device=device,
        amp=amp,
        compile=compile,
        sync_batch_norm=sync_batch_norm,
        weights=None if weights is None else str(whole(weights)),
        freeze=freeze,
        replace_head=replace_head,
        **{key: value and tuple(value) for key, value in mean_std.items()},
    )
    recipe = _on_own_device(recipe, group)
    task, network = _prepare(recipe)
    with _new_folder(out, recipe) if group.rank == 0 else nullcontext(Path()) as folder:
        folder = Path(group.exchange(str(folder))[0])
        _train(recipe, task, network, folder, group, check=check)


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _lasting(name: str | None) -> str | None:
    """A dataset's name, or a folder's whole path: the training may be resumed from elsewhere."""
    if not name or name in datasets.DATASET_NAMES or not Path(name).exists():
        return name
    return str(whole(name))


def _names(text: str) -> tuple[str, ...]:
    return tuple(n.strip() for n in text.split(",") if n.strip() not in ("", "none"))


def _check_new(out: Path) -> None:
    if (out / "recipe.json").exists():
        raise ValueError(
            f"{out} holds a training already: --resume {shlex.quote(str(out))}, or another --out"
        )
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is no folder: name a folder for --out")


@contextmanager
def _new_folder(out: Path | None, recipe: Recipe) -> Iterator[Path]:
    """A folder for a new training, which nobody else takes: `out`, or a new one in runs."""
    if out is not None:
        made = not out.exists()
        try:
            with hold(out):
                _check_new(out)
                yield out
        finally:
            if made:
                _remove_empty(out)
        return
    stem = f"{Path(recipe.data).name}-{recipe.model}"
    for number in itertools.count(1):
        folder = Path("runs", stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)  # of several who try at once, one makes it
        except FileExistsError:
            if os.path.lexists(folder):
                continue
            raise  # `runs` is a link that leads nowhere
        try:
            with hold(folder):
                yield folder
        finally:
            _remove_empty(folder)
        return


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # there is something in it
        folder.rmdir()


def _prepare(recipe: Recipe, checkpoint: Path | None = None) -> tuple[Task, ResNet]:
    parse_device(recipe.device)
    History.check_plot()
    progress_bars()  # if their settings are wrong, before anything is written
    task = load_task(recipe)
    return task, build_model(recipe, task, checkpoint)


def _train(
    recipe: Recipe,
    task: Task,
    network: ResNet,
    folder: Path,
    group: Group,
    resume: bool = False,
    check: bool = False,
) -> None:
    enough(min(recipe.batch_size, len(task.train)), group)
    optimizer = build_optimizer(recipe, network)
    steps = recipe.epochs * max(len(task.train) // recipe.batch_size, 1)
    schedule = build_schedule(recipe, optimizer, steps)
    parameters = sum(p.size for p in network.parameters())
    learning = sum(p.size for p in network.parameters() if p.requires_grad)
    counted = f"{parameters:,} parameters"
    if learning < parameters:
        counted += f" ({learning:,} of them learning)"
    print(
        f"{recipe.model}, {counted}, on {recipe.data}: {len(task.train):,} images "
        f"to train, {len(task.valid):,} held out, {len(task.test):,} to test"
    )
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    print(
        f"{epochs} of {recipe.optimizer} in batches of {recipe.batch_size}, lr {recipe.lr:g} "
        f"{recipe.schedule}, {_threads(group)}; writing to {folder}"
    )
    if recipe.label_smoothing:
        lowest = lowest_loss(recipe.label_smoothing, len(task.metadata["classes"]))
        print(
            f"label smoothing {recipe.label_smoothing:g} keeps the training loss above "
            f"{lowest:.2f}; the validation loss is the plain one"
        )
    if recipe.amp and recipe.device == "cpu":
        print("mixed precision on the CPU: correct, but slower than without --amp")
    if not resume and group.rank == 0:
        look_at_images(recipe, task)
        recipe.write(folder / "recipe.json")
    shown = shlex.quote(str(folder))
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
            max_grad_norm=recipe.max_grad_norm or None,
            compile=recipe.compile,
            amp=recipe.amp,
            seed=recipe.seed,
            out=folder,
            resume=resume,
            metadata=task.metadata,
            check=check or None,
            group=group,
            sync_bn=recipe.sync_batch_norm,
        )
    except Interrupted as error:
        go_on = f"minires train --resume {shown}{' --distributed' * (group.size > 1)}"
        raise agreed(Stopped(f"{error}. Go on with: {go_on}")) from None
    best = network  # of the other processes, which get the first one's
    if group.rank == 0:
        best = load_network(folder / "best.npz").to(recipe.device)
    DataParallel(best, group)
    try:
        result = measure(
            best, task.test, task.eval_transform, recipe.batch_size, recipe.compile, group
        )
    except datasets.DataError as error:  # gone or damaged since they were looked at
        raise ValueError(
            f"{error}. The training is done and saved; test with: minires train --resume {shown}"
        ) from error
    classes = task.metadata["classes"]
    print(f"\nbest epoch {history.best.epoch} of {len(history)}, on the test images:")
    print(f"  accuracy  {result.accuracy:.2%} ({result.correct:,} of {result.count:,})")
    print(f"  loss      {result.loss:.4f}")
    if len(classes) <= 20:
        print(_class_table(result.predictions, task.test.labels, classes))
    print("\nwritten:")
    for name, what in (
        ("best.npz", f"the weights: minires predict {shlex.quote(str(folder / 'best.npz'))} IMAGE"),
        ("last.npz", "the whole state, to resume from"),
        ("history.csv", "loss and accuracy by epoch"),
        ("curves.png", "the same as a picture"),
        ("recipe.json", "the settings"),
    ):
        print(f"  {folder / name!s:<40}  {what}")


def _on_own_device(recipe: Recipe, group: Group) -> Recipe:
    return recipe if group.size == 1 else replace(recipe, device=group.device)


def _threads(group: Group) -> str:
    count = kernels.get_num_threads()
    if group.size == 1:
        return f"{count} threads"
    return f"{group.size} processes of {count} thread{'s' * (count > 1)}"


def _class_table(predictions: Any, labels: Any, classes: list[str]) -> str:
    """Each class's accuracy, and what it is mistaken for most."""
    classes = [bounded(name, 40) for name in classes]
    width = max(map(len, classes))
    lines = [f"\n  {'class':<{width}}  right     of  mostly mistaken for"]
    for k, name in enumerate(classes):
        guesses = class_counts(predictions[labels == k], len(classes))
        total, right = int(guesses.sum()), int(guesses[k])
        guesses[k] = 0
        other = f"{classes[int(guesses.argmax())]} ({guesses.max()})" if guesses.any() else "-"
        lines.append(f"  {name:<{width}}  {right:5,}  {total:5,}  {other}")
    return "\n".join(lines)
