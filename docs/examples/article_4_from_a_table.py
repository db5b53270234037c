"""`ResNet(num_layers=50, num_classes=10)` from a table of stages, trained with Adam at 0.001."""

from __future__ import annotations

import typer
from small import Row, clothes_to_test, fashion, learn, percent, show

import minires
from minires import Tensor, nn, optim

# blocks a stage, and whether a block is a bottleneck (He et al. 2015, table 1)
TABLE = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


def conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1 with four times the channels at the end."""

    def __init__(self, in_channels: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        out_channels = 4 * width if bottleneck else width
        if bottleneck:
            layers = [
                conv_bn(in_channels, width, 1),
                nn.ReLU(),
                conv_bn(width, width, 3, stride),
                nn.ReLU(),
                conv_bn(width, out_channels, 1),
            ]
        else:
            layers = [conv_bn(in_channels, width, 3, stride), nn.ReLU(), conv_bn(width, width, 3)]
        self.residual = nn.Sequential(*layers)
        changes = stride != 1 or in_channels != out_channels
        self.shortcut = conv_bn(in_channels, out_channels, 1, stride) if changes else nn.Identity()
        self.add, self.relu = nn.Add(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.add(self.residual(x), self.shortcut(x)))


class ResNet(nn.Module):
    """The network of a depth in the table; `width` is 64 in the paper. A stem for small images."""

    def __init__(
        self, num_layers: int, num_classes: int, in_channels: int = 3, width: int = 64
    ) -> None:
        super().__init__()
        if num_layers not in TABLE:
            raise ValueError(f"num_layers must be one of {', '.join(map(str, TABLE))}")
        depths, bottleneck = TABLE[num_layers]
        layers = [conv_bn(in_channels, width, 3), nn.ReLU()]
        channels = width
        for stage, depth in enumerate(depths):
            inner = width * 2**stage
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(Block(channels, inner, stride, bottleneck))
                channels = 4 * inner if bottleneck else inner
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layers(x))


def weighted_layers(model: nn.Module) -> int:
    """Convolutions and linear layers on the longest way through: what the 50 counts."""
    names = [name for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum("shortcut" not in name for name in names)


def run(images: int = 1000, epochs: int = 3, num_layers: int = 50, width: int = 8) -> list[Row]:
    """Train it with Adam and give what it reaches."""
    train, test = fashion(images), clothes_to_test()
    minires.manual_seed(0)
    model = ResNet(num_layers, num_classes=10, in_channels=1, width=width)
    optimizer = optim.Adam(model.parameters(), lr=0.001)
    history = learn(model, train, epochs, optimizer=optimizer)
    return [
        {
            "layers with weights": weighted_layers(model),
            "parameters": sum(p.size for p in model.parameters()),
            "training %": round(100 * history[-1].train_accuracy, 1),
            "test %": percent(model, test),
        }
    ]


def main(images: int = 1000, epochs: int = 3, num_layers: int = 50, width: int = 8) -> None:
    show(run(images, epochs, num_layers, width))


if __name__ == "__main__":
    typer.run(main)
