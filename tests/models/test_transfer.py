"""Transfer learning: features, new heads, frozen backbones, and training with them."""

import numpy as np
import pytest
from helpers import normal

import minires
from minires import Tensor, models
from minires.nn import functional as F
from minires.training.recipe import build_model, build_optimizer, load_task, make_recipe

IMAGES = normal(4, 8, 8, 3, dtype=np.float32)


def test_features_are_what_the_classifier_sees():
    network = models.resnet8().eval()
    extractor = models.feature_extractor(network)
    features = extractor(Tensor(IMAGES))
    assert (features.shape, extractor.channels) == ((4, 64), 64)
    np.testing.assert_array_equal(network.fc(features).numpy(), network(Tensor(IMAGES)).numpy())


def test_a_new_head():
    network = models.replace_head(models.resnet8(), 3)
    assert network(Tensor(IMAGES)).shape == (4, 3)
    assert models.create(**network.architecture).fc.weight.shape == (64, 3)


def test_a_frozen_backbone_learns_nothing_and_does_not_see_the_batch():
    network = models.freeze_backbone(models.resnet8()).train()
    before = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    optimizer = minires.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    F.cross_entropy(network(Tensor(IMAGES)), np.arange(4)).backward()
    optimizer.step()
    changed = {
        name
        for name, value in network.state_dict().items()
        if not np.array_equal(value.numpy(), before[name])
    }
    assert changed == {"fc.weight", "fc.bias"}
    alone = network(Tensor(IMAGES[:1])).numpy()
    np.testing.assert_allclose(network(Tensor(IMAGES)).numpy()[:1], alone, rtol=1e-4, atol=1e-5)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.npz"
    minires.save(models.resnet8(7, 1), path)
    return str(path)


def test_a_recipe_starts_from_weights(weights):
    recipe = make_recipe(
        data="digits", weights=weights, freeze="backbone", replace_head=True, mean=(0.25,)
    )
    task = load_task(recipe)
    assert task.metadata["mean"] == [0.25]
    network = build_model(recipe, task)
    optimizer = build_optimizer(recipe, network)
    assert sum(p.size for p in optimizer.param_groups[0]["params"]) == 650
    assert network.fc.weight.shape == (64, 10)
    given = minires.load(weights)
    np.testing.assert_array_equal(network.conv1.weight.numpy(), given.conv1.weight.numpy())


def test_weights_for_other_data_are_refused(weights, tmp_path):
    recipe = make_recipe(data="digits", weights=weights)
    task = load_task(recipe)
    with pytest.raises(ValueError, match="knows 7 classes, digits has 10: replace_head"):
        build_model(recipe, task)
    minires.save(models.resnet8(10, 3), tmp_path / "colour.npz")
    with pytest.raises(ValueError, match="wants images of 3 channels, digits has 1"):
        build_model(make_recipe(data="digits", weights=str(tmp_path / "colour.npz")), task)
    for wrong in ({"freeze": "backbone"}, {"replace_head": True}):
        with pytest.raises(ValueError, match="give weights"):
            make_recipe(data="digits", **wrong)
    with pytest.raises(ValueError, match="unknown freeze"):
        make_recipe(data="digits", weights=weights, freeze="everything")


def test_a_recipe_with_weights_is_read_back(weights, tmp_path):
    recipe = make_recipe(data="digits", weights=weights, mean=(0.25,), std=(0.5,))
    recipe.write(tmp_path / "recipe.json")
    assert type(recipe).read(tmp_path / "recipe.json") == recipe
