"""Distillation (Hinton, Vinyals and Dean 2015): a student that sees no label, only a teacher."""

import minires
import minires.nn.functional as F
from minires import data, nn, optim


def images_of(part):
    return minires.tensor(part.images, dtype=minires.float32) / 127.5 - 1


def percent(model, part):
    model.eval()
    with minires.no_grad():
        predicted = model(images_of(part)).argmax(dim=1).numpy()
    return round(100 * float((predicted == part.labels).mean()), 1)


def batches(count, size=32):
    return minires.randperm(count).numpy()[: count // size * size].reshape(-1, size)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten()
        )
        self.classifier = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x):
        return self.classifier(self.features(x))


def run(seed=0, epochs=4, T=4.0):
    minires.manual_seed(seed)
    train, test = data.digits(), data.digits(train=False)
    x, labels = images_of(train), minires.tensor(train.labels)

    teacher = minires.models.resnet8(in_channels=1)
    optimizer = optim.SGD(teacher.parameters(), lr=0.05, momentum=0.9)
    for _ in range(3):
        for chosen in batches(len(x)):
            optimizer.zero_grad()
            F.cross_entropy(teacher(x[chosen]), labels[chosen]).backward()
            optimizer.step()

    teacher.eval()
    student = Student()
    groups = [
        {"params": student.features.parameters(), "lr": 5e-3},
        {"params": student.classifier.parameters(), "lr": 2e-2},  # the last layer may move faster
    ]
    optimizer = optim.Adam(groups)
    for _ in range(epochs):
        for chosen in batches(len(x)):
            with minires.no_grad():
                soft = F.softmax(teacher(x[chosen]) / T, dim=1)
            loss = T * T * F.cross_entropy(student(x[chosen]) / T, soft)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {"teacher %": percent(teacher, test), "student %": percent(student, test)}


if __name__ == "__main__":
    print(run())
