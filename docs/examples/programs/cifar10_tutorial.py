"""The network of PyTorch's tutorial on CIFAR-10, and its loop, on Fashion-MNIST's grey images."""

import minires
import minires.nn.functional as F
from minires import Tensor, data, nn, optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 4 * 4, 120)  # 5 * 5 for images of 32 x 32
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.flatten(1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def run(seed=0, epochs=1, images=5000):
    minires.manual_seed(seed)
    transform = data.Normalize([0.5], [0.5])
    trainset = data.fashion_mini().subset(range(images))
    testset = data.fashion_mini(train=False)
    trainloader = data.DataLoader(trainset, 16, shuffle=True, seed=seed, transform=transform)
    testloader = data.DataLoader(testset, 100, transform=transform)

    net = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(epochs):
        for inputs, labels in trainloader:
            optimizer.zero_grad()
            outputs = net(Tensor(inputs))
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()

    correct, total = 0, 0
    with minires.no_grad():
        for inputs, labels in testloader:
            _, predicted = net(Tensor(inputs)).max(dim=1)
            total += len(labels)
            correct += (predicted.numpy() == labels).sum()
    return {"test %": round(100 * float(correct) / total, 1)}


if __name__ == "__main__":
    print(run())
