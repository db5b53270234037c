"""Feature maps, filters, Grad-CAM and the confusion matrix: their numbers, and that they draw."""

import base64
import io

import numpy as np
import pytest
from helpers import normal
from PIL import Image
from reading import numbers

import minires
from minires import Tensor, models, nn, viz


@pytest.fixture
def net():
    return models.resnet8(in_channels=1)


IMAGE = normal(12, 12, 1, dtype=np.float32)


def words(picture):
    """All that is written on a picture's figure."""
    figure = picture.plot()
    inside = [t.get_text() for axes in figure.axes for t in axes.texts]
    return figure, " ".join([*inside, *(t.get_text() for t in figure.texts)])


def drawn(picture):
    figure, text = words(picture)
    assert picture.title in text  # a figure alone says what it is, and what to see
    assert picture.caption in text.replace("\n", " ")
    first = figure.axes[0]
    assert first.get_xlabel()
    assert first.get_ylabel()
    assert first.axison
    bundle = picture._repr_mimebundle_()
    image = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert image.size[0] > 200
    assert len(image.convert("RGB").getcolors(1 << 24)) > 4
    assert picture.title in bundle["text/html"]
    return bundle["text/html"]


def test_feature_maps_are_the_layers_output(net):
    net.train()
    picture = viz.feature_maps(net, IMAGE, "bn1")
    net.eval()
    wanted = net.bn1(net.conv1(Tensor(IMAGE[None]))).numpy()[0]
    np.testing.assert_array_equal(picture.values["maps"], wanted)
    assert numbers(picture.caption) == [
        16, 16, 12, 12, pytest.approx(np.abs(wanted).max(), rel=1e-3),
    ]  # fmt: skip
    drawn(picture)


def test_modes_are_restored(net):
    net.bn1.eval()
    viz.feature_maps(net, IMAGE, "layer1")
    assert net.training
    assert not net.bn1.training


@pytest.mark.slow
def test_filters(net):
    picture = viz.filters(net.conv1)
    np.testing.assert_array_equal(picture.values["weight"], net.conv1.weight.numpy())
    assert numbers(picture.caption)[:4] == [16, 16, 3, 3]
    drawn(picture)
    coloured = viz.filters(models.resnet8())
    top = np.abs(coloured.values["weight"]).max()
    assert numbers(coloured.caption)[-1] == pytest.approx(top, rel=1e-3)
    drawn(coloured)
    assert "mean over 16 input channels" in viz.filters(net.layer1, most=4).caption


def test_grad_cam_on_a_network_that_can_be_solved_by_hand():
    """Mean over the image, then a matrix: the weights are that matrix over the image's size."""
    net = nn.Sequential(nn.Conv2d(1, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(3, 2))  # fmt: skip
    image = normal(4, 5, 1, dtype=np.float32)
    picture = viz.grad_cam(net, image, "0", target=1)
    weights = net[3].weight.numpy()[:, 1] / 20
    np.testing.assert_allclose(picture.values["weights"], weights, rtol=1e-5)
    maps = image * net[0].weight.numpy()[0, 0, 0]
    np.testing.assert_allclose(
        picture.values["map"], np.maximum(maps @ weights, 0), rtol=1e-4, atol=1e-7
    )
    logits = maps.mean(axis=(0, 1)) @ net[3].weight.numpy() + net[3].bias.numpy()
    np.testing.assert_allclose(picture.values["logits"], logits, rtol=1e-4, atol=1e-6)
    assert numbers(picture.caption)[:2] == [1, pytest.approx(logits[1], rel=1e-3)]
    drawn(picture)


def test_grad_cam_takes_the_predicted_class_and_the_last_image(net):
    picture = viz.grad_cam(net, IMAGE)
    net.eval()
    logits = net(Tensor(IMAGE[None])).numpy()[0]
    assert picture.caption.startswith(f"Class {logits.argmax()}, ")
    assert "layer3.0.relu (3 × 3)" in picture.caption
    assert all(p.grad is None for p in net.parameters())


def test_grad_cams_caption_gives_the_maps_size(net):
    text = viz.grad_cam(net, IMAGE, "layer2").caption
    assert numbers(text.partition("seen from")[2]) == [6, 6]


def test_numbers_that_are_not_finite_leave_the_others_their_colours():
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False))
    net[0].weight.data[...] = np.array([1.0, 2.0])
    image = np.ones((4, 5, 1), np.float32)
    image[1, 2] = np.nan
    picture = viz.feature_maps(net, image, "0")
    assert numbers(picture.caption) == [2, 2, 4, 5, 2, 2]  # full colour 2, and two NaN
    assert picture.plot().axes[0].images[0].get_clim() == (-2, 2)
    net[0].weight.data[..., 0] = np.inf
    caption = viz.filters(net).caption
    assert numbers(caption) == [2, 2, 1, 1, 2, 1]
    assert "not finite" in caption


def test_colours_follow_the_numbers(net):
    """What imshow is given is the layer's output, in one scale for all."""
    picture = viz.feature_maps(net, IMAGE, "conv1", most=3)
    maps = picture.values["maps"]
    figure = picture.plot()
    top = np.abs(maps[..., :3]).max()
    for c in range(3):
        (image,) = figure.axes[c].images
        np.testing.assert_array_equal(image.get_array(), maps[..., c])
        assert image.get_clim() == (-top, top)
    heat = viz.grad_cam(net, IMAGE, "layer2")
    (image,) = heat.plot().axes[1].images
    np.testing.assert_array_equal(image.get_array(), heat.values["map"])


def test_of_very_many_classes_some_are_named():
    labels = np.arange(100)
    picture = viz.confusion_matrix(labels, labels, [f"a class of a long name, {i}" for i in labels])
    figure = picture.plot()
    ticks = figure.axes[0].get_yticklabels()
    assert len(ticks) == 25
    assert all(len(t.get_text()) < 20 for t in ticks)
    share = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(share, np.eye(100))


def test_confusion_matrix_counts_pairs():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    names = ["coat", "<i>bag</i>", "shirt $", "boot", "none"]
    picture = viz.confusion_matrix(Tensor(labels), predictions, names)
    counts = picture.values["counts"]
    for i, j in np.ndindex(5, 5):
        assert counts[i, j] == sum(
            (a, b) == (i, j) for a, b in zip(labels, predictions, strict=True)
        )
    right = (labels == predictions).sum()
    assert numbers(picture.caption)[:3] == [right, 50, pytest.approx(100 * right / 50, abs=0.1)]
    off = counts - np.diag(np.diag(counts))
    assert numbers(picture.caption)[-1] == off.max()
    texts = picture.plot().axes[0].texts
    assert sorted(int(t.get_text()) for t in texts) == sorted(counts[counts > 0])
    assert "<i>bag" not in drawn(picture)


def test_errors(net):
    with pytest.raises(ValueError, match="no layer 'conv9'"):
        viz.feature_maps(net, IMAGE, "conv9")
    with pytest.raises(ValueError, match="fc gives no image"):
        viz.feature_maps(net, IMAGE, "fc")
    with pytest.raises(ValueError, match="one image"):
        viz.grad_cam(net, np.zeros((2, 12, 12, 1), np.float32))
    with pytest.raises(ValueError, match="no class 10"):
        viz.grad_cam(net, IMAGE, target=10)
    with pytest.raises(ValueError, match=r"no class 1\.5"):
        viz.grad_cam(net, IMAGE, target=1.5)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        viz.feature_maps(net, IMAGE, "conv1", most=0)
    with pytest.raises(ValueError, match="an image as an array, got str"):
        viz.feature_maps(net, "cat.png", "conv1")
    with pytest.raises(TypeError, match="a Conv2d or a network, got int"):
        viz.filters(3)
    with pytest.raises(ValueError, match="got none"):
        viz.confusion_matrix([], [])
    with pytest.raises(viz.TooLargeError, match="at most 1000 classes, numbered from 0"):
        viz.confusion_matrix([10**6], [0])
    with pytest.raises(ValueError, match="no Conv2d"):
        viz.filters(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="as many predictions"):
        viz.confusion_matrix([1, 2], [1])
    with pytest.raises(ValueError, match="integers from 0"):
        viz.confusion_matrix([1.0], [1.0])
    with pytest.raises(ValueError, match="2 classes, and 1 names"):
        viz.confusion_matrix([1], [0], ["a"])


def test_everything_public_says_what_it_does():
    for name in viz.__all__:
        assert getattr(viz, name).__doc__, name
    assert minires.viz is viz
