"""`python -m benchmarks.paper`: each experiment is a command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.paper import articles, pages, results
from benchmarks.paper.ablation import ablation
from benchmarks.paper.counts import Count, cifar_counts, imagenet_counts
from benchmarks.paper.depth import DEPTHS, degradation
from benchmarks.paper.resnet20 import train_resnet20
from benchmarks.paper.training import Settings
from benchmarks.paper.weights import measure_weights

app = typer.Typer(
    help="The experiments of He et al. 2015 on a small scale. Each can be stopped with Ctrl-C and "
    "goes on with the same command; results go to benchmarks/results/paper as soon as they are "
    "there.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

WORK = Path("runs/paper")
DEFAULT = Settings()

DataOption = Annotated[str, typer.Option(help="A dataset's name, as for `minires train`.")]
DirOption = Annotated[Path | None, typer.Option(help="Where its official files are.")]
ImagesOption = Annotated[int, typer.Option(help="How many training images, from the first.", min=2)]
SizeOption = Annotated[int, typer.Option(help="Pixels a side, by averaging.", min=4)]
EpochsOption = Annotated[int, typer.Option(min=1)]
SeedOption = Annotated[int, typer.Option(min=0)]
WorkOption = Annotated[Path, typer.Option(help="Where unfinished trainings are kept.")]


@app.command("counts")
def counts_command() -> None:
    """Parameters and multiply-adds beside tables 1 and 6 (some seconds)."""

    def show(title: str, rows: list[Count]) -> None:
        print(f"{title}\nnetwork           parameters   multiply-adds   paper")
        for row in rows:
            print(
                f"{row.network:<14}  {row.parameters:>12,}  {row.multiply_adds:>14,}  "
                f"{row.published:>6}"
            )

    show("224x224; the paper prints 10^9 multiply-adds", imagenet_counts())
    show("\n32x32; the paper prints millions of parameters", cifar_counts())


@app.command("degradation")
def degradation_command(
    data: DataOption = DEFAULT.dataset,
    data_dir: DirOption = None,
    depths: Annotated[str, typer.Option(help="Of the pairs, in this order.")] = ",".join(
        map(str, DEPTHS)
    ),
    images: ImagesOption = DEFAULT.images,
    size: SizeOption = DEFAULT.size,
    epochs: EpochsOption = DEFAULT.epochs,
    seed: SeedOption = DEFAULT.seed,
    work: WorkOption = WORK / "degradation",
    out: Path = results.FOLDER / "degradation.json",
) -> None:
    """Plain and residual networks of 8 to 56 layers (about an hour on two quiet cores)."""
    settings = Settings(dataset=data, images=images, size=size, epochs=epochs, seed=seed)
    degradation(settings, tuple(map(int, depths.split(","))), data_dir, work, out)


@app.command("ablation")
def ablation_command(
    data: DataOption = DEFAULT.dataset,
    data_dir: DirOption = None,
    images: ImagesOption = DEFAULT.images,
    size: SizeOption = DEFAULT.size,
    epochs: EpochsOption = DEFAULT.epochs,
    seed: SeedOption = DEFAULT.seed,
    work: WorkOption = WORK / "ablation",
    out: Path = results.FOLDER / "ablation.json",
) -> None:
    """Shortcuts A, B and C, pre-activation, zero gamma, batch norm (about half an hour)."""
    settings = Settings(dataset=data, images=images, size=size, epochs=epochs, seed=seed)
    ablation(settings, data_dir, work, out)


@app.command("resnet20")
def resnet20_command(
    data: DataOption = "cifar10",
    data_dir: DirOption = None,
    epochs: EpochsOption = 24,
    minutes: Annotated[float, typer.Option(help="Stop then, and save; run again to go on.")] = 80,
    images: Annotated[int | None, typer.Option(help="Fewer images, to try it out.", min=2)] = None,
    seed: SeedOption = 0,
    work: WorkOption = WORK / "resnet20",
    out: Path = results.FOLDER / "resnet20.json",
) -> None:
    """ResNet-20 on all of CIFAR-10 with crops, flips and one cycle (at most 80 minutes)."""
    train_resnet20(
        dataset=data,
        data_dir=data_dir,
        epochs=epochs,
        minutes=minutes,
        images=images,
        seed=seed,
        work=work,
        out=out,
    )


@app.command("weights")
def weights_command(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="resnet20-12fca82f.th and others of its family."),
    ],
    data_dir: DirOption = None,
    images: Annotated[int | None, typer.Option(help="Fewer test images.", min=1)] = None,
    out: Path = results.FOLDER / "weights.json",
) -> None:
    """Published weights on CIFAR-10's test images, logits beside PyTorch's (about five minutes)."""
    measure_weights(files, data_dir, images, out)


@app.command("articles")
def articles_command(
    only: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Some only.")] = None,
) -> None:
    """The scripts of docs/examples at their own settings (about ten minutes)."""
    for name in only or articles.names():
        print(name, flush=True)
        articles.measure(name)


@app.command("pages")
def pages_command() -> None:
    """Write the tables of docs/paper.md, articles.md and weights.md, and draw their pictures."""
    pages.write_all()


if __name__ == "__main__":
    try:
        app()
    except (ValueError, ImportError, OSError) as error:
        raise SystemExit(f"benchmarks.paper: {error}") from None
