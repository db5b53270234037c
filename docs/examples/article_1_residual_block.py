"""A ResNet-18 from a residual block of one's own, and the training loop written out.

SGD with momentum, the accuracy on training and test images after each epoch. `--width 64 --epochs
50` is the full network; on this small data a narrower one for a few epochs is enough to see it.
"""

from __future__ import annotations

import typer
from small import NORMALIZE, Row, clothes_to_test, fashion, show

import minires
from minires import Tensor, data, nn, no_grad, optim
from minires.nn import functional as F


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, added before the last ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()  # made once, not at each call
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut.append(nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.shortcut(x))


class ResNet18(nn.Module):
    """Four stages of two blocks; a 3x3 stem without pooling, for small images."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        channels, blocks = width, nn.Sequential()
        for stage in range(4):
            out_channels = width * 2**stage
            for block in range(2):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(ResidualBlock(channels, out_channels, stride))
                channels = out_channels
        self.blocks = blocks
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)  # basic blocks do not expand: 8 * width

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.relu(self.bn1(self.conv1(x))))
        return self.fc(F.flatten(self.pool(x)))


def run(images: int = 1000, epochs: int = 4, width: int = 8, batch_size: int = 50) -> list[Row]:
    """Train and give the accuracies of each epoch."""
    train, test = fashion(images), clothes_to_test()
    loader = data.DataLoader(
        train, batch_size, shuffle=True, transform=NORMALIZE, drop_last=images > batch_size
    )
    test_loader = data.DataLoader(test, 200, transform=NORMALIZE)
    minires.manual_seed(0)
    model = ResNet18(1, len(train.classes), width)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    # one rate of 0.1 to the end would keep it jumping: divide it at a half and three quarters
    steps = epochs * len(loader)
    schedule = optim.MultiStepLR(optimizer, [steps // 2, steps * 3 // 4])
    rows = []
    for epoch in range(1, epochs + 1):
        model.train()
        loss_sum, right, seen = 0.0, 0, 0
        for inputs, labels in loader:
            optimizer.zero_grad()
            outputs = model(Tensor(inputs))
            loss = F.cross_entropy(outputs, labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += loss.item() * len(labels)
            right += int((outputs.numpy().argmax(axis=1) == labels).sum())
            seen += len(labels)
        model.eval()  # or batch norm would use, and learn from, the test batches
        with no_grad():
            logits = [(model(Tensor(x)).numpy(), y) for x, y in test_loader]
        correct = sum(int((z.argmax(axis=1) == y).sum()) for z, y in logits)
        rows.append(
            {
                "epoch": epoch,
                "loss": round(loss_sum / seen, 3),
                "training %": round(100 * right / seen, 1),
                "test %": round(100 * correct / len(test), 1),
            }
        )
    return rows


def main(images: int = 1000, epochs: int = 4, width: int = 8) -> None:
    show(run(images, epochs, width))


if __name__ == "__main__":
    typer.run(main)
