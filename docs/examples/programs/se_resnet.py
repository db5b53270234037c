"""A small SE-ResNet: each block weighs its channels before it adds (Hu, Shen and Sun 2018)."""

import minires
import minires.nn.functional as F
from minires import Tensor, data, nn, optim


class SELayer(nn.Module):
    def __init__(self, channel, reduction=4):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channel, channel // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channel // reduction, channel, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        b, _, _, c = x.size()  # channels last
        y = self.avg_pool(x).view(b, c)
        return x * self.fc(y).view(b, 1, 1, c).expand_as(x)


class SEBasicBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.se = SELayer(planes)
        self.downsample = nn.Identity()
        if stride != 1 or inplanes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.se(self.bn2(self.conv2(out)))
        return F.relu(out + self.downsample(x))


def run(seed=0, epochs=3):
    minires.manual_seed(seed)
    scale, test = data.Normalize([0.3], [0.37]), data.digits(train=False)
    blocks = SEBasicBlock(1, 16), SEBasicBlock(16, 32, stride=2)
    model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for _ in range(epochs):
        for images, labels in data.DataLoader(
            data.digits(), 32, shuffle=True, seed=seed, transform=scale
        ):
            optimizer.zero_grad()
            F.cross_entropy(model(Tensor(images)), labels).backward()
            optimizer.step()
        scheduler.step()
    return {
        "test %": round(100 * minires.training.evaluate(model, test, transform=scale).accuracy, 1)
    }


if __name__ == "__main__":
    print(run())
