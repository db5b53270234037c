"""Loss and accuracy on a dataset, by hand."""

import math

import numpy as np
import pytest

from minires import data, models, nn
from minires.data import ImageDataset, Normalize
from minires.tensors import Tensor
from minires.training import evaluate


class Table(nn.Module):
    """Logits that are looked up by an image's value."""

    def __init__(self, logits):
        super().__init__()
        self.logits = np.array(logits, np.float32)
        self.sizes = []

    def forward(self, x):
        values = x.numpy()[:, 0, 0, 0]
        self.sizes.append(len(values))
        return Tensor(self.logits[values.astype(int)])


def as_they_are(images, draws=None):
    return images.astype(np.float32)


def images_of(values, labels, classes):
    images = np.array(values, np.uint8).reshape(-1, 1, 1, 1)
    return ImageDataset(images, labels, [str(k) for k in range(classes)])


LOGITS = [[0.0, 0.0], [math.log(3), 0.0], [0.0, math.log(9)], [1.0, 1.0]]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_by_hand(batch_size):
    """Probabilities 1/2, 3/4, 9/10; of equal logits the first class is said."""
    dataset = images_of([0, 1, 1, 2, 3], [1, 0, 1, 1, 0], 2)
    model = Table(LOGITS)
    result = evaluate(model, dataset, transform=as_they_are, batch_size=batch_size)
    wanted = [1 / 2, 3 / 4, 1 / 4, 9 / 10, 1 / 2]
    assert result.loss == pytest.approx(-sum(map(math.log, wanted)) / 5, rel=1e-6)
    assert result.predictions.tolist() == [0, 0, 0, 1, 0]
    assert (result.correct, result.count, result.accuracy) == (3, 5, 3 / 5)
    assert sum(model.sizes) == 5
    assert max(model.sizes) == min(batch_size, 5)


def test_progress_is_told_in_images():
    told = []
    dataset = images_of([0] * 7, [0] * 7, 2)
    evaluate(Table(LOGITS), dataset, transform=as_they_are, batch_size=3, on_batch=told.append)
    assert told == [3, 3, 1]


def test_modes_are_restored_one_by_one_and_also_after_an_error():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2), nn.BatchNorm1d(2))
    model.train()
    model[3].eval()
    before = [module.training for module in model.modules()]
    assert before == [True, True, True, True, False]
    seen = []
    model[1].register_forward_hook(lambda module, args, out: seen.append(module.training))
    fits = ImageDataset(np.zeros((3, 2, 2, 1), np.uint8), [0, 1, 0], "ab")
    evaluate(model, fits, transform=as_they_are)
    assert [module.training for module in model.modules()] == before
    assert seen == [False]
    too_large = ImageDataset(np.zeros((3, 3, 3, 1), np.uint8), [0, 1, 0], "ab")
    with pytest.raises(ValueError, match="4"):
        evaluate(model, too_large, transform=as_they_are)
    assert [module.training for module in model.modules()] == before


def test_no_graph_and_no_change():
    model = models.resnet8(in_channels=1).train()
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    graphs = []
    model.register_forward_hook(lambda module, args, out: graphs.append(out.requires_grad))
    evaluate(model, data.digits().subset(np.arange(20)), transform=Normalize([0.3], [0.4]))
    assert graphs == [False]
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_an_empty_dataset():
    with pytest.raises(ValueError, match="the dataset is empty"):
        evaluate(Table(LOGITS), images_of([], np.zeros(0, int), 2), transform=as_they_are)
