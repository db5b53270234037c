"""CS231n's network, [conv - relu] twice - pool - affine - relu - dropout - affine, on digits."""

import minires
import minires.nn.functional as F
from minires import Tensor, data, nn, optim


class ConvNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(16 * 4 * 4, 64)
        self.dropout = nn.Dropout(p=0.5)
        self.fc2 = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(self.dropout(x))


def run(seed=0, epochs=3):
    minires.manual_seed(seed)
    normalize = data.Normalize([0.3], [0.37])
    loader = data.DataLoader(
        data.digits(), batch_size=32, shuffle=True, seed=seed, transform=normalize
    )
    model = ConvNet()
    optimizer = optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
    for _ in range(epochs):
        model.train()
        for images, labels in loader:
            loss = F.cross_entropy(model(Tensor(images)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    model.eval()  # dropout lets everything through
    test = data.digits(train=False)
    with minires.no_grad():
        predicted = model(Tensor(normalize(test.images))).argmax(dim=1)
    right = float((predicted.numpy() == test.labels).mean())
    return {"test %": round(100 * right, 1)}


if __name__ == "__main__":
    print(run())
