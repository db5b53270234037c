"""ResNet-18 as "Dive into Deep Learning" builds it: functions that make its stages."""

import minires
import minires.nn.functional as F
from minires import Tensor, data, nn, optim


class Residual(nn.Module):
    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.Conv2d(
            input_channels, num_channels, kernel_size=3, padding=1, stride=strides
        )
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, padding=1)
        self.conv3 = None
        if use_1x1conv:
            self.conv3 = nn.Conv2d(input_channels, num_channels, kernel_size=1, stride=strides)
        self.bn1 = nn.BatchNorm2d(num_channels)
        self.bn2 = nn.BatchNorm2d(num_channels)

    def forward(self, X):
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3:
            X = self.conv3(X)
        Y += X
        return F.relu(Y)


def stage(input_channels, num_channels, first=False):
    halved = Residual(input_channels, num_channels, use_1x1conv=not first, strides=2 - first)
    return nn.Sequential(halved, Residual(num_channels, num_channels))


def resnet18(width=64, num_classes=10):
    stem = nn.Sequential(
        nn.Conv2d(1, width, kernel_size=7, stride=2, padding=3),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    )
    stages = [stage(width, width, first=True)]
    stages += [stage(width * 2**i, width * 2 ** (i + 1)) for i in range(3)]
    return nn.Sequential(
        stem, *stages, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(8 * width, num_classes)
    )


def run(seed=0, images=5000, width=8):
    minires.manual_seed(seed)
    net, scale = resnet18(width), data.Normalize([0.286], [0.353])
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    train = data.DataLoader(
        data.fashion_mini().subset(range(images)), 50, shuffle=True, seed=seed, transform=scale
    )
    for X, y in train:
        optimizer.zero_grad()
        F.cross_entropy(net(Tensor(X)), y).backward()
        optimizer.step()
    accuracy = minires.training.evaluate(net, data.fashion_mini(False), transform=scale).accuracy
    return {"test %": round(100 * accuracy, 1)}


if __name__ == "__main__":
    print(run())
