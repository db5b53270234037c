"""A ResNet for small images as blogs write it: blocks, stages, a loop, a test."""

import minires as torch
import minires.nn as nn
import minires.optim as optim

from minires import data


class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = downsample

    def forward(self, x):
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, block, layers, num_classes=10):
        super().__init__()
        self.in_channels = 8
        self.conv = nn.Conv2d(1, 8, kernel_size=3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self.make_layer(block, 8, layers[0])
        self.layer2 = self.make_layer(block, 16, layers[1], stride=2)
        self.layer3 = self.make_layer(block, 32, layers[2], stride=2)
        self.avg_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(32, num_classes)

    def make_layer(self, block, out_channels, blocks, stride=1):
        downsample = None
        if stride != 1 or self.in_channels != out_channels:
            downsample = nn.Sequential(
                nn.Conv2d(self.in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        layers = [block(self.in_channels, out_channels, stride, downsample)]
        self.in_channels = out_channels
        for _ in range(1, blocks):
            layers.append(block(out_channels, out_channels))
        return nn.Sequential(*layers)

    def forward(self, x):
        out = self.relu(self.bn(self.conv(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = self.avg_pool(out)
        out = out.view(out.size(0), -1)
        return self.fc(out)


def load(train):
    digits = data.digits(train)
    images = torch.from_numpy(digits.images / 255.0).float()
    return images, torch.from_numpy(digits.labels).long()


def train(model, images, labels, num_epochs=2, batch_size=32, learning_rate=0.05):
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(
        model.parameters(), lr=learning_rate, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.2)
    history = []
    model.train()
    for epoch in range(num_epochs):
        running_loss = 0.0
        for i in range(0, len(images), batch_size):
            inputs, targets = images[i : i + batch_size], labels[i : i + batch_size]
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, targets)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * inputs.size(0)
        scheduler.step()
        history.append(running_loss / len(images))
        print(f"epoch [{epoch + 1}/{num_epochs}], loss {history[-1]:.4f}")
    return history


def test(model, images, labels):
    model.eval()
    with torch.no_grad():
        outputs = model(images)
        _, predicted = outputs.max(dim=1)
        correct = (predicted == labels).sum().item()
    print(f"accuracy {100 * correct / labels.size(0):.1f}%")
    return correct / labels.size(0)


if __name__ == "__main__":
    torch.manual_seed(0)
    net = ResNet(ResidualBlock, [1, 1, 1])
    train(net, *load(True))
    test(net, *load(False))
    torch.save(net.state_dict(), "resnet.ckpt")
