"""Datasets of a student's own, the loop of a tutorial, and its files, with PyTorch as the judge."""

import random
from collections import namedtuple

import numpy as np
import pytest
import torch

import minires
from minires import data

Pair = namedtuple("Pair", "left right")


def sample(r, kind, make):
    """A sample of a kind of `KINDS`, whose numbers `r` draws."""
    if isinstance(kind, Pair):
        return Pair(*(sample(r, part, make) for part in kind))
    if isinstance(kind, tuple):
        return tuple(sample(r, part, make) for part in kind)
    if isinstance(kind, dict):
        return {key: sample(r, part, make) for key, part in kind.items()}
    values = np.array([[r.randint(0, 9) for _ in range(3)]] * 2)
    return {
        "int": lambda: r.randint(-9, 9),
        "float": r.random,
        "bool": lambda: r.random() < 0.5,
        "text": lambda: "ab"[r.randint(0, 1)],
        "float32": lambda: np.float32(r.random()),
        "array": lambda: values.astype("float32"),
        "doubles": lambda: values / 2,
        "bytes": lambda: values.astype("uint8"),
        "tensor": lambda: make(values.astype("float32")),
        "labels": lambda: make(values),
    }[kind]()


KINDS = [
    *("int", "float", "float32", "array", "bytes", "tensor"),
    *[("array", "int"), ("tensor", "labels"), ("doubles", "bool"), ("array", ("float", "int"))],
    *[{"image": "array", "name": "text"}, ("tensor", {"a": "int"}), Pair("array", "int")],
]


def datasets(kind, length):
    """The same student's dataset for both."""
    made = []
    for library, base in ((minires, data.Dataset), (torch, torch.utils.data.Dataset)):

        class Own(base):
            make = staticmethod(library.tensor)

            def __len__(self):
                return length

            def __getitem__(self, index):
                return sample(random.Random(index), kind, self.make)

        made.append(Own())
    return made


def assert_same(ours, theirs):
    assert isinstance(ours, type(theirs)) or hasattr(theirs, "dtype")
    if hasattr(theirs, "dtype"):
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    elif isinstance(theirs, dict):
        assert_same(list(ours.items()), list(theirs.items()))
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs)
        for mine, wanted in zip(ours, theirs, strict=True):
            assert_same(mine, wanted)
    else:
        assert ours == theirs


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 4},
        {"batch_size": 3, "drop_last": True, "pin_memory": False},
        {"batch_size": 4, "collate_fn": lambda samples: len(samples)},
        {"batch_size": 4, "sampler": [3, 1, 1, 0, 5]},
    ],
    ids=lambda o: "-".join(o),
)
def test_batches_of_ones_own_samples(kind, options):
    ours, theirs = datasets(kind, 10)
    mine, wanted = data.DataLoader(ours, **options), torch.utils.data.DataLoader(theirs, **options)
    assert len(mine) == len(wanted)
    assert_same(list(mine), list(wanted))


def test_every_sample_once_in_another_order_each_epoch():
    loader = data.DataLoader(datasets("int", 20)[0], 6, shuffle=True, num_workers=2)
    first, second = ([int(n) for batch in loader for n in batch] for _ in range(2))
    assert first != second
    assert sorted(first) == sorted(second) == sorted(loader.dataset[i] for i in range(20))


def test_parts_and_sums_of_datasets():
    made = []
    for library, kind in ((minires, data), (torch, torch.utils.data)):
        x, y = library.arange(12).reshape(6, 2), library.arange(6)
        rows = kind.TensorDataset(x, y)
        parts = [rows, kind.Subset(rows, [4, 1, 1]), rows + kind.Subset(rows, [5]), [7, 8]]
        parts.append(kind.ConcatDataset(parts[:2]))
        assert [len(part) for part in parts] == [6, 3, 7, 2, 9]
        made.append([[part[i] for i in range(-len(part), len(part))] for part in parts])
        for share in ([4, 2], [0.5, 0.5], [0.3, 0.3, 0.4]):
            split = kind.random_split(rows, share)
            made[-1].append([len(part) for part in split])
            assert sorted(int(label) for part in split for _, label in part) == list(range(6))
        with pytest.raises(IndexError):
            parts[-1][9]
    assert_same(*made)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: list(data.DataLoader([np.ones(2), np.ones(3)], 2)),
            r"unequal shape .*\(2,\)",
        ),
        (lambda: list(data.DataLoader([(1, 2), (1,)], 2)), "unequal length .* collate_fn"),
        (lambda: list(data.DataLoader([None, None], 2)), "not NoneType"),
        (lambda: data.DataLoader([]), "dataset is empty"),
        (lambda: data.DataLoader([1], transform=abs), "in __getitem__"),
        (lambda: data.DataLoader([1], shuffle=True, sampler=[0]), "leave shuffle out"),
        (lambda: data.TensorDataset(minires.zeros(2), minires.zeros(3)), r"lengths \[2, 3\]"),
        (lambda: data.random_split([1, 2], [2, 2]), "of 2 samples"),
    ],
)
def test_what_does_not_fit_is_said(make, said):
    with pytest.raises(data.DataError, match=said):
        make()


LOOP = """
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

class Points(torch.utils.data.Dataset):
    def __init__(self, n, transform=None):
        r = np.random.default_rng(0)
        self.points = r.normal(size=(n, 4)).astype(np.float32)
        self.labels = (self.points[:, 0] > 0) + (self.points[:, 1] > 0).astype(int)
        self.transform = transform

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        point = self.points[index]
        if self.transform:
            point = self.transform(point)
        return point, self.labels[index]

class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc = nn.Linear(4, 3)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        x = x.view(x.size(0), -1)
        return F.log_softmax(self.fc(x), dim=1)

def train(model, loader, criterion, optimizer):
    model.train()
    running_loss, correct, total = 0.0, 0, 0
    for i, (x, y) in enumerate(loader, 0):
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        outputs = model(x)
        loss = criterion(outputs, y)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * x.size(0)
        _, predicted = torch.max(outputs.data, 1)
        total += y.size(0)
        correct += (predicted == y).sum().item()
    return running_loss / total, 100. * correct / total

points = Points(200, transform=lambda point: point * 2)
loader = torch.utils.data.DataLoader(points, batch_size=32, num_workers=0, pin_memory=False)
model = Net().to(device)
criterion = nn.NLLLoss()
optimizer = optim.Adam(model.parameters(), lr=0.05, amsgrad=True)
history = [train(model, loader, criterion, optimizer) for epoch in range(3)]
torch.save(model.state_dict(), PATH)
model = Net()
model.load_state_dict(torch.load(PATH, map_location=device, weights_only=True))
model.eval()
correct = 0
with torch.no_grad():
    for x, y in loader:
        outputs = model(x)
        _, predicted = torch.max(outputs, 1)
        correct += (predicted == y).sum().item()
history.append((correct / len(points),))
"""


def test_a_tutorials_loop_runs_as_it_is(tmp_path):
    """But for its imports: see `names`."""
    histories = []
    for library, extension in ((minires, "npz"), (torch, "pth")):
        names = {"torch": library, "nn": library.nn, "F": library.nn.functional, "np": np}
        names |= {"optim": library.optim, "PATH": str(tmp_path / f"net.{extension}")}
        exec(LOOP, names)
        histories.append(np.concatenate(names["history"]))
    np.testing.assert_allclose(*histories, rtol=1e-4)
    assert histories[0][-1] > 0.8


def test_pytorchs_place_for_data():
    from minires.utils.data import DataLoader

    assert DataLoader is minires.utils.data.DataLoader is data.DataLoader
    with pytest.raises(AttributeError, match=r"minires.data has no `IterableDataset`: write"):
        _ = data.IterableDataset
    with pytest.raises(TypeError, match="random_split has no `generator`: write data"):
        data.random_split([1, 2], [1, 1], generator=3)
    data.DataLoader([1], persistent_workers=True, generator=None)
