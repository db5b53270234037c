"""SE-ResNets, ConvNeXt and the character Transformer: sizes, names, what they show and learn."""

import numpy as np
import pytest
from helpers import normal

import minires
from minires import Tensor, models, nn, optim, viz
from minires.gradcheck import gradcheck
from minires.interop import export_onnx
from minires.training import load, save

COUNTS = {
    "convnext_tiny": 28_589_128,  # Liu et al. 2022, table 9
    "se_resnet50": 28_088_024,  # Hu et al. 2018, table 1: 28.1 million
}


def images(count=4, size=16):
    return normal(count, size, size, 3, dtype=np.float32)


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    with nn.init.skipped():
        model = models.create(name)
    assert sum(p.size for p in model.parameters()) == COUNTS[name]


@pytest.mark.parametrize("name", ["se_resnet8", "convnext_micro"])
def test_a_step_of_training_and_what_is_shown_of_it(name, tmp_path):
    minires.manual_seed(0)
    model = models.create(name, 5, **({"layer_scale": 1.0} if "convnext" in name else {}))
    labels = np.array([0, 1, 2, 3])
    rate = optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(4):
        model.zero_grad()
        loss = nn.functional.cross_entropy(model(Tensor(images())), labels)
        loss.backward()
        assert all(np.isfinite(p.grad.numpy()).all() for p in model.parameters())
        rate.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    found = nn.summary(model, (16, 16, 3))
    assert sum(row.parameters for row in found.rows) == found.parameters
    assert found.multiply_adds > 0
    assert "add" in viz.graph(model, (16, 16, 3)).html()
    viz.gradient_flow(model, (images(), labels))
    with minires.profile() as report:
        model(Tensor(images())).sum().backward()
    assert "conv2d" in str(report)
    model.eval()
    save(model, tmp_path / "x.npz")
    again = load(tmp_path / "x.npz")
    assert again.architecture == model.architecture
    np.testing.assert_array_equal(again(Tensor(images())).numpy(), model(Tensor(images())).numpy())


def test_blocks_of_a_convnext_begin_as_the_identity():
    block = models.ConvNeXtBlock(6, layer_scale=0.0)
    x = Tensor(normal(2, 5, 4, 6, dtype=np.float32))
    np.testing.assert_array_equal(block(x).numpy(), x.numpy())
    rates = [m.p for m in models.convnext_tiny().modules() if isinstance(m, nn.StochasticDepth)]
    np.testing.assert_allclose(rates, np.linspace(0, 0.1, 18))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: models.ConvNeXtBlock(3, layer_scale=0.7, stochastic_depth=0.4), (2, 5, 4, 3)),
        (lambda: models.SEBasicBlock(3, 4, 2), (2, 5, 4, 3)),
        (lambda: models.SEBottleneck(3, 4), (2, 3, 4, 3)),
        (lambda: models.TransformerBlock(4, 2, dropout=0.2, causal=True), (2, 3, 4)),
    ],
)
def test_gradients_of_the_blocks(make, shape):
    minires.manual_seed(0)
    assert gradcheck(make(), [normal(*shape)], mode="directional", order=2)


def small():
    minires.manual_seed(0)
    return models.create("char_transformer", 7, context=8, embed_dim=16, num_heads=2, depth=2)


def test_no_position_sees_what_follows():
    model = small()
    x = np.random.default_rng(0).integers(0, 7, (3, 8))
    out = model(x).numpy()
    assert out.shape == (3, 8, 7)
    for i in range(7):
        other = x.copy()
        other[:, i + 1 :] = (other[:, i + 1 :] + 1) % 7
        changed = model(other).numpy()
        np.testing.assert_allclose(changed[:, : i + 1], out[:, : i + 1], rtol=1e-5, atol=1e-6)
        assert abs(changed[:, i + 1] - out[:, i + 1]).max() > 1e-4
    np.testing.assert_allclose(model(x[:, :3]).numpy(), out[:, :3], rtol=1e-5, atol=1e-6)


def test_it_learns_a_text_by_heart_and_goes_on_with_it(tmp_path):
    model = small()
    text = np.tile([0, 3, 1, 6, 2, 5], 10)
    step = optim.AdamW(model.parameters(), lr=1e-2)
    windows = np.stack([text[i : i + 9] for i in range(12)])
    for _ in range(60):
        model.zero_grad()
        loss = nn.functional.cross_entropy(model(windows[:, :-1]), windows[:, 1:])
        loss.backward()
        step.step()
    assert loss.item() < 0.3  # the first position cannot be known from more than one character
    written = model.generate([0, 3], 10, temperature=0.1)
    np.testing.assert_array_equal(written, text[:12])
    minires.manual_seed(1)
    first = model.generate([0], 5, 2.0)
    minires.manual_seed(1)
    np.testing.assert_array_equal(first, model.generate([0], 5, 2.0))
    found = nn.summary(model, (8,), "int64")
    assert sum(row.parameters for row in found.rows) == found.parameters
    viz.graph(model.norm(model.blocks(model.tokens(windows[:, :8]))))
    viz.gradient_flow(model, (windows[:, :-1], windows[:, 1:]))
    save(model, tmp_path / "x.npz")
    again = load(tmp_path / "x.npz")
    np.testing.assert_array_equal(again(windows[:, :8]).numpy(), model(windows[:, :8]).numpy())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.create("convnext_tiny", groups=2), "convnext_tiny has no option groups"),
        (lambda: models.create("se_resnet21"), "unknown model 'se_resnet21'"),
        (lambda: models.create("char_transformer"), "wants the number of different characters"),
        (lambda: small()(np.zeros((1, 9), int)), r"\(N, L\) with L up to 8, got \(1, 9\)"),
        (lambda: small().generate([], 3), "at least one character"),
        (lambda: small().generate([1], 3, 0), "temperature above 0"),
        (lambda: small()(np.array([[7]])), "7 is not among the 7 rows"),
        (lambda: export_onnx(small(), "x.onnx", (8,)), r"the input is images \(H, W, C\)"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_transfer_is_for_residual_networks():
    for function in (models.freeze_backbone, models.feature_extractor):
        with pytest.raises(TypeError, match="of the class ResNet, not ConvNeXt"):
            function(models.convnext_micro())
