"""What a notebook shows at a cell's end: short, escaped, and with the right numbers."""

import re

import numpy as np
import pytest
from helpers import leaf, normal
from reading import numbers

import minires
from minires import Tensor, models, nn
from minires.training.history import Epoch, History


def cells(text):
    return re.findall(r"<td[^>]*>([^<]*)</td>", text)


def test_a_small_tensor_shows_its_values():
    x = leaf(normal(2, 3))
    text = x._repr_html_()
    np.testing.assert_allclose([float(c) for c in cells(text)], x.numpy().ravel(), rtol=1e-4)
    assert "2 × 3" in text
    assert "float64" in text
    assert "wants a gradient" in text
    assert "made by exp" in x.exp()._repr_html_()
    assert cells(Tensor([True, False])._repr_html_()) == ["True", "False"]
    assert cells(Tensor(np.array(7))._repr_html_()) == ["7"]


@pytest.mark.parametrize("shape", [(0,), (200,), (2, 3, 4), (50, 50)])
def test_a_large_tensor_is_folded(shape):
    text = Tensor(np.zeros(shape))._repr_html_()
    assert "<details>" in text
    assert len(text) < 3000


def test_a_module_lists_its_parts_and_their_parameters():
    net = models.resnet8(in_channels=1)
    text = net._repr_html_()
    total = sum(p.numpy().size for p in net.parameters())
    assert f"{total:,} parameters" in text
    counts = [int(c.replace(",", "")) for c in cells(text)[2::3]]
    assert sum(counts) == total
    assert cells(text)[0::3] == [name for name, _ in net.named_children()]
    assert "all layers" in text
    assert nn.Linear(2, 3).extra_repr() in nn.Linear(2, 3)._repr_html_()
    long = nn.Sequential(*[nn.Linear(1, 1) for _ in range(40)])
    assert "31 more" in long._repr_html_()


def test_names_are_escaped():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            setattr(self, "<img src=x>", nn.Linear(2, 2))

    Net.__name__ = "<b>"
    text = Net()._repr_html_()
    assert "<img" not in text
    assert "<b>&lt;b&gt;</b>" in text


def test_a_history_shows_its_best_epoch_and_its_curves():
    epochs = [
        Epoch(i, 2 / i, 0.3 * i, 2.1 / i, (0.2, 0.7, 0.6)[i - 1], 0.1, 1.5) for i in (1, 2, 3)
    ]
    text = History(epochs)._repr_html_()
    head = text.partition("<img")[0]
    assert numbers(head.partition("</b>")[2]) == [3, 4, 70, 2]
    assert "data:image/png;base64,iVBOR" in text
    assert str(History(epochs)) in text
    assert "no epoch" in History()._repr_html_()


def test_a_report_shows_its_verdict():
    x = leaf(normal(2, 3))
    text = minires.gradcheck(lambda t: t * t, [x])._repr_html_()
    assert "class='right'" in text
    assert "class='wrong'" not in text
