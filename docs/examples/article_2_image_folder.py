"""A ResNet over a folder of images, one folder a class: loading, flips, device, evaluation.

`python article_2_image_folder.py FOLDER` trains on your own images. Without a folder, real ones are
written to a temporary one: photographs of clothes, as PNG files of unequal size, as folders are.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from small import Row, show

import minires
from minires import Tensor, backend, data, models, no_grad, optim
from minires.nn import functional as F


def write_folder(root: Path, per_class: int) -> None:
    """Some of Fashion-MNIST as PNG files, every other one larger."""
    for part, train in (("train", True), ("test", False)):
        images = data.fashion_mini(train)
        for label, name in enumerate(images.classes):
            folder = root / part / name.replace("/", " or ")
            folder.mkdir(parents=True)
            for i, index in enumerate((images.labels == label).nonzero()[0][:per_class]):
                picture = Image.fromarray(images.images[index, :, :, 0])
                picture.resize((40, 36) if i % 2 else (28, 28)).save(folder / f"{i}.png")


def best_device() -> str:
    """A GPU where there is one."""
    try:
        backend.load_cupy()
    except backend.DeviceError:
        return "cpu"
    return "cuda"


def run(
    folder: Path | None = None,
    model: str = "resnet18",
    per_class: int = 60,
    epochs: int = 4,
    size: int = 32,
    lr: float = 0.01,
) -> list[Row]:
    """Train a network of the family on the folder and give each epoch's accuracies."""
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            folder = Path(temporary)
            write_folder(folder, per_class)
        train = data.load_dataset(folder, train=True)
        test = data.load_dataset(folder, train=False)
        resize = data.Resize((size, size))  # images of unequal size make no batch
        normalize = data.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        augment = data.Compose([resize, data.RandomHorizontalFlip(), normalize])
        loader = data.DataLoader(
            train, min(20, len(train)), shuffle=True, transform=augment, drop_last=True
        )
        plain = data.DataLoader(test, 64, transform=data.Compose([resize, normalize]))

        device = best_device()
        minires.manual_seed(0)
        network = models.create(model, num_classes=len(train.classes)).to(device)
        optimizer = optim.SGD(network.parameters(), lr=lr, momentum=0.9)
        rows = []
        for epoch in range(1, epochs + 1):
            network.train()
            losses = []
            for inputs, labels in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(network(Tensor(inputs).to(device)), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            network.eval()
            with no_grad():
                right = sum(
                    int((network(Tensor(x).to(device)).numpy().argmax(axis=1) == y).sum())
                    for x, y in plain
                )
            rows.append(
                {
                    "epoch": epoch,
                    "loss": round(sum(losses) / len(losses), 3),
                    "test %": round(100 * right / len(test), 1),
                }
            )
        return rows


def main(
    folder: Annotated[Path | None, typer.Argument(help="One folder of images a class.")] = None,
    model: Annotated[str, typer.Option(help="resnet18 to resnet152, or resnet8 ...")] = "resnet18",
    per_class: int = 60,
    epochs: int = 4,
    size: int = 32,
) -> None:
    show(run(folder, model, per_class, epochs, size))


if __name__ == "__main__":
    typer.run(main)
