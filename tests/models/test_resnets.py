"""The networks: sizes, names, shapes, options, and what they compute."""

import numpy as np
import pytest
from helpers import close, conv2d_loops, normal, pool_loops, positive

import minires
from minires import Tensor, models, nn
from minires.models.blocks import (
    BasicBlock,
    Bottleneck,
    PadShortcut,
    PreActBlock,
    PreActBottleneck,
    make_shortcut,
)


@pytest.fixture
def without_draws(monkeypatch):
    """Build large networks quickly: their weights are never looked at."""
    monkeypatch.setattr(nn.init, "_fill", lambda tensor, draw: tensor)


def count(model):
    return sum(p.size for p in model.parameters())


# ---------------------------------------------------------------------- sizes and names

COUNTS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "resnet1202": 19_421_274,
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name, without_draws):
    assert count(getattr(models, name)()) == COUNTS[name]
    if name != "resnet1202":
        assert count(models.create(name)) == COUNTS[name]


def by_hand(n, shortcut="A", channels=3, classes=10):
    """The parameters of a CIFAR network with n blocks a stage: weights, gammas and betas."""
    total, width = 9 * channels * 16 + 2 * 16, 16
    for stage in (16, 32, 64):
        for _ in range(n):
            total += 9 * width * stage + 2 * stage + 9 * stage * stage + 2 * stage
            if shortcut == "C" or (shortcut == "B" and width != stage):
                total += width * stage + 2 * stage
            width = stage
    return total + 64 * classes + classes


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_the_small_networks_of_the_family(shortcut, without_draws):
    assert count(models.resnet8(shortcut=shortcut)) == by_hand(1, shortcut)
    assert count(models.resnet14(7, 1, shortcut=shortcut)) == by_hand(2, shortcut, 1, 7)
    assert count(models.create("resnet26", shortcut=shortcut)) == by_hand(4, shortcut)
    assert by_hand(3) == COUNTS["resnet20"]


def test_multiply_adds_of_resnet18_and_resnet20():
    # by hand: output positions times the products of each, stage by stage
    convolutions = 112 * 112 * 64 * 7 * 7 * 3 + 4 * 56 * 56 * 64 * 9 * 64
    for size, width in ((28, 128), (14, 256), (7, 512)):
        area = size * size
        convolutions += area * width * (width // 2) * 9 + 3 * area * width * width * 9
        convolutions += area * width * (width // 2)
    assert nn.summary(models.resnet18(), (224, 224, 3)).multiply_adds == convolutions + 512 * 1000
    total = 32 * 32 * 16 * 27 + 6 * 32 * 32 * 16 * 144
    total += 16 * 16 * 32 * 144 + 5 * 16 * 16 * 32 * 288
    total += 8 * 8 * 64 * 288 + 5 * 8 * 8 * 64 * 576 + 640
    assert nn.summary(models.resnet20(), (32, 32, 3)).multiply_adds == total


def test_parameter_names_are_torchvisions(without_draws):
    eighteen, fifty = models.resnet18().state_dict(), models.resnet50().state_dict()
    assert list(eighteen)[:6] == [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "bn1.num_batches_tracked",
    ]
    assert list(eighteen)[-2:] == ["fc.weight", "fc.bias"]
    assert (len(eighteen), len(fifty)) == (122, 320)
    for name, shape in {
        "conv1.weight": (7, 7, 3, 64),
        "layer1.0.conv1.weight": (3, 3, 64, 64),
        "layer1.1.bn2.running_var": (64,),
        "layer2.0.conv1.weight": (3, 3, 64, 128),
        "layer2.0.downsample.0.weight": (1, 1, 64, 128),
        "layer2.0.downsample.1.num_batches_tracked": (),
        "layer4.1.conv2.weight": (3, 3, 512, 512),
        "fc.weight": (512, 1000),
    }.items():
        assert eighteen[name].shape == shape
    assert "layer1.0.downsample.0.weight" not in eighteen
    for name, shape in {
        "layer1.0.conv1.weight": (1, 1, 64, 64),
        "layer1.0.conv3.weight": (1, 1, 64, 256),
        "layer1.0.downsample.0.weight": (1, 1, 64, 256),
        "layer1.0.downsample.1.bias": (256,),
        "layer3.5.bn3.running_mean": (1024,),
        "layer4.2.conv2.weight": (3, 3, 512, 512),
        "fc.weight": (2048, 1000),
    }.items():
        assert fifty[name].shape == shape
    assert "layer3.6.conv1.weight" not in fifty


def test_names_of_a_small_network():
    names = [n for n, _ in models.resnet8().named_parameters()]
    assert names == [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        *(
            f"layer{s}.0.{part}"
            for s in (1, 2, 3)
            for part in (
                "conv1.weight",
                "bn1.weight",
                "bn1.bias",
                "conv2.weight",
                "bn2.weight",
                "bn2.bias",
            )
        ),
        "fc.weight",
        "fc.bias",
    ]


def test_variants_differ_in_the_inner_convolution(without_draws):
    for name, groups, inner in [
        ("resnet50", 1, 64),
        ("resnext50_32x4d", 32, 128),
        ("wide_resnet50_2", 1, 128),
    ]:
        block = models.create(name).layer1[0]
        assert block.conv2.groups == groups
        assert block.conv2.weight.shape == (3, 3, inner // groups, inner)
        assert block.conv3.weight.shape == (1, 1, inner, 256)


def test_where_a_bottleneck_strides(without_draws):
    block = models.resnet50().layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))
    block = models.resnet50(stride_in_1x1=True).layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))
    assert block.downsample[0].stride == (2, 2)


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize("size", [(32, 32), (9, 12), (1, 1), (7, 40)])
@pytest.mark.parametrize("name", ["resnet8", "preact_resnet8", "plain8", "resnet18", "resnet50"])
def test_images_of_any_size(name, size):
    model = models.create(name, num_classes=5).eval()
    with minires.no_grad():
        out = model(Tensor(normal(2, *size, 3, dtype=np.float32)))
    assert out.shape == (2, 5)
    assert out.dtype == np.float32
    assert np.isfinite(out.numpy()).all()


def test_sizes_along_the_way():
    model = models.resnet20().eval()
    x = Tensor(normal(1, 32, 30, 3, dtype=np.float32))
    assert model.features(x).shape == (1, 8, 8, 64)
    shapes = [r.output_shape for r in nn.summary(model, (32, 30, 3)).rows]
    assert shapes[0] == (1, 32, 30, 16)
    large = models.create("preact_resnet18", 3).eval()
    assert large.features(Tensor(normal(1, 64, 70, 3, dtype=np.float32))).shape == (1, 2, 3, 512)


def test_grey_images_and_the_wrong_ones():
    model = models.resnet8(in_channels=1).eval()
    assert model(Tensor(np.zeros((2, 8, 8, 1), np.float32))).shape == (2, 10)
    with pytest.raises(ValueError, match=r"\(N, H, W, 1\), got \(2, 8, 8, 3\)"):
        model(Tensor(np.zeros((2, 8, 8, 3), np.float32)))
    with pytest.raises(ValueError, match=r"looks like \(N, C, H, W\)"):
        models.resnet8()(Tensor(np.zeros((2, 3, 8, 8), np.float32)))


def test_one_image_in_training_is_enough_if_it_has_pixels():
    models.resnet8()(Tensor(normal(1, 8, 8, 3, dtype=np.float32)))
    with pytest.raises(ValueError, match="more than one value per channel"):
        models.resnet8()(Tensor(normal(1, 1, 1, 3, dtype=np.float32)))


# ---------------------------------------------------------------------- names and options


def test_a_network_knows_how_to_build_its_twin():
    for options in [{}, {"shortcut": "B", "zero_gamma": True}]:
        model = models.create("resnet14", 7, 1, **options)
        assert model.architecture == {
            "name": "resnet14",
            "num_classes": 7,
            "in_channels": 1,
            **options,
        }
        twin = models.create(**model.architecture)
        assert list(twin.state_dict()) == list(model.state_dict())


def test_classes_by_default():
    assert models.create("resnet8").fc.out_features == 10
    assert models.create("resnet18").fc.out_features == 1000


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet21", {}, "unknown model 'resnet21'.*did you mean resnet20|resnet2"),
        ("resnet", {}, "unknown model 'resnet'"),
        ("vgg16", {}, "unknown model 'vgg16': one of resnet8, resnet14, resnet20"),
        ("resnet2", {}, "unknown model"),
        ("resnet20", {"groups": 2}, "resnet20 has no option groups.*shortcut, zero_gamma"),
        ("resnet34", {"stride_in_1x1": True}, "resnet34 has no option stride_in_1x1"),
        ("resnet50", {"depth": 3}, "resnet50 has no option depth.*width_per_group"),
        ("plain20", {"shortcut": "A"}, "plain20 is the plain network: it has no shortcut"),
        ("resnet20", {"shortcut": "D"}, 'shortcut must be "A", "B" or "C", got \'D\''),
        ("preact_resnet20", {"zero_gamma": True}, "zero_gamma wants blocks that end in batch norm"),
    ],
)
def test_wrong_names_and_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        models.create(name, **options)


def test_every_listed_model_builds(without_draws):
    for name in models.MODELS:
        if not name.endswith("1202"):
            assert models.create(name, num_classes=3).architecture["name"] == name


# ---------------------------------------------------------------------- shortcuts


def test_shortcut_a_takes_every_second_pixel_and_pads_with_zeros():
    x = normal(2, 5, 4, 3)
    layer = PadShortcut(3, 8, 2)
    out = layer(Tensor(x)).numpy()
    wanted = np.zeros((2, 3, 2, 8))
    for n, i, j, c in np.ndindex(2, 3, 2, 3):
        wanted[n, i, j, c + 2] = x[n, 2 * i, 2 * j, c]  # 5 new channels: 2 before, 3 after
    close(out, wanted)
    assert list(layer.parameters()) == []
    assert repr(layer) == "PadShortcut(stride=2, new_channels=(2, 3))"


def test_which_shortcut_goes_where():
    for option, same, changed in [
        ("A", type(None), PadShortcut),
        ("B", type(None), nn.Sequential),
        ("C", nn.Sequential, nn.Sequential),
        ("none", type(None), type(None)),
    ]:
        assert type(make_shortcut(option, 16, 16, 1)) is same
        assert type(make_shortcut(option, 16, 32, 2)) is changed
        assert type(make_shortcut(option, 16, 32, 1)) is changed
        assert type(make_shortcut(option, 16, 16, 2)) is changed


def randomized(module):
    """The module in float64 and evaluation mode, every parameter and statistic random."""
    module.to(dtype=np.float64).eval()
    for i, (name, t) in enumerate(module.state_dict().items()):
        if t.dtype == np.float64:
            draw = positive if name.endswith(("var", "bn1.weight", "bn2.weight")) else normal
            t.data[...] = draw(*t.shape, seed=i) * 0.5
    return module


def convolve(layer, x):
    return conv2d_loops(x, layer.weight.data, layer.stride, layer.padding, groups=layer.groups)


def normalise(layer, x):
    mean, var = layer.running_mean.data, layer.running_var.data
    return layer.weight.data * (x - mean) / np.sqrt(var + 1e-5) + layer.bias.data


def relu(x):
    return np.where(x > 0, x, 0)


@pytest.mark.parametrize(("shortcut", "stride"), [("A", 2), ("B", 2), ("C", 1), ("B", 1)])
def test_a_basic_block_by_its_definition(shortcut, stride):
    width = 3 if stride == 1 else 5
    block = randomized(BasicBlock(3, width, stride, shortcut))
    x = normal(2, 5, 4, 3)
    out = relu(normalise(block.bn1, convolve(block.conv1, x)))
    out = normalise(block.bn2, convolve(block.conv2, out))
    if shortcut == "A":
        way = np.zeros(out.shape)
        way[..., 1:4] = x[:, ::2, ::2]
    elif shortcut == "C" or stride == 2:
        way = normalise(block.downsample[1], convolve(block.downsample[0], x))
    else:
        way = x
    close(block(Tensor(x)), relu(out + way), atol=1e-10)
    assert (out + way < 0).any()  # so the rectifier after the add matters


@pytest.mark.parametrize("options", [{}, {"stride_in_1x1": True}, {"groups": 2, "base_width": 64}])
def test_a_bottleneck_by_its_definition(options):
    block = randomized(Bottleneck(3, 2, 2, **options))
    x = normal(2, 5, 4, 3)
    out = relu(normalise(block.bn1, convolve(block.conv1, x)))
    out = relu(normalise(block.bn2, convolve(block.conv2, out)))
    out = normalise(block.bn3, convolve(block.conv3, out))
    way = normalise(block.downsample[1], convolve(block.downsample[0], x))
    assert out.shape == (2, 3, 2, 8)
    close(block(Tensor(x)), relu(out + way), atol=1e-10)


@pytest.mark.parametrize(("width", "stride", "shortcut"), [(3, 1, "B"), (5, 2, "B"), (5, 2, "A")])
def test_a_pre_activation_block_by_its_definition(width, stride, shortcut):
    block = randomized(PreActBlock(3, width, stride, shortcut))
    x = normal(2, 5, 4, 3)
    active = relu(normalise(block.bn1, x))
    out = convolve(block.conv2, relu(normalise(block.bn2, convolve(block.conv1, active))))
    if stride == 1:
        way = x  # the identity, untouched
    elif shortcut == "A":
        way = np.zeros(out.shape)
        way[..., 1:4] = active[:, ::2, ::2]
    else:
        assert isinstance(block.downsample, nn.Conv2d)
        way = convolve(block.downsample, active)
    close(block(Tensor(x)), out + way, atol=1e-10)


def test_a_pre_activation_bottleneck_by_its_definition():
    block = randomized(PreActBottleneck(3, 2, 2))
    x = normal(2, 5, 4, 3)
    active = relu(normalise(block.bn1, x))
    out = relu(normalise(block.bn2, convolve(block.conv1, active)))
    out = convolve(block.conv3, relu(normalise(block.bn3, convolve(block.conv2, out))))
    close(block(Tensor(x)), out + convolve(block.downsample, active), atol=1e-10)


def test_a_whole_network_is_stem_stages_mean_and_classifier():
    model = randomized(models.resnet8(num_classes=4))
    x = normal(1, 5, 6, 3)
    h = relu(normalise(model.bn1, convolve(model.conv1, x)))
    for stage in (model.layer1, model.layer2, model.layer3):
        h = stage(Tensor(h)).numpy()
    logits = h.mean(axis=(1, 2)) @ model.fc.weight.data + model.fc.bias.data
    close(model(Tensor(x)), logits, rtol=1e-9)


def test_the_imagenet_stem():
    model = randomized(models.create("resnet18", 3))
    x = normal(1, 13, 9, 3)
    h = relu(normalise(model.bn1, convolve(model.conv1, x)))
    assert h.shape == (1, 7, 5, 64)
    h = pool_loops(h, max, (3, 3), (2, 2), (1, 1))
    seen = []
    model.layer1.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    model(Tensor(x))
    close(seen[0], h, rtol=1e-9)


def test_a_pre_activation_network_normalises_once_more_at_the_end():
    model = randomized(models.create("preact_resnet8", 4))
    x = normal(1, 5, 6, 3)
    h = convolve(model.conv1, x)
    for stage in (model.layer1, model.layer2, model.layer3):
        h = stage(Tensor(h)).numpy()
    close(model.features(Tensor(x)), relu(normalise(model.bn_last, h)), rtol=1e-9)


# ---------------------------------------------------------------------- plain and zero-gamma


def test_plain_networks_are_the_same_layers_without_shortcuts(without_draws):
    assert count(models.plain20()) == COUNTS["resnet20"]  # shortcut A has no parameters
    assert count(models.plain56()) == COUNTS["resnet56"]
    assert list(models.plain20().state_dict()) == list(models.resnet20().state_dict())
    for module in models.plain20().modules():
        assert not isinstance(module, nn.Add | PadShortcut)
        assert getattr(module, "downsample", None) is None
    adds = [m for m in models.resnet20().modules() if isinstance(m, nn.Add)]
    assert len(adds) == 9


def test_a_plain_block_forgets_its_input():
    block = randomized(BasicBlock(3, 3, 1, "none"))
    x = normal(1, 4, 3, 3)
    out = relu(normalise(block.bn1, convolve(block.conv1, x)))
    close(block(Tensor(x)), relu(normalise(block.bn2, convolve(block.conv2, out))), atol=1e-10)


def test_zero_gamma_starts_every_block_as_its_shortcut():
    model = models.resnet8(zero_gamma=True).to(dtype=np.float64)
    for name, p in model.named_parameters():
        if name.endswith("bn2.weight"):
            assert p.tolist() == [0.0] * p.size
        elif "bn" in name and name.endswith("weight"):
            assert p.tolist() == [1.0] * p.size
    x = np.abs(normal(2, 4, 6, 16))
    close(model.layer1(Tensor(x)), x)
    close(model.layer2(Tensor(x)), make_shortcut("A", 16, 32, 2)(Tensor(x)))
    fifty = Bottleneck(4, 1)
    assert fifty.bn3.weight.tolist() == [1.0] * 4
    deep = models.ResNet(Bottleneck, (1, 1), (2, 4), stem="cifar", num_classes=3, zero_gamma=True)
    assert deep.layer1[0].bn3.weight.tolist() == [0.0] * 8
    assert deep.layer1[0].bn2.weight.tolist() == [1.0] * 2
    assert models.resnet8().layer1[0].bn2.weight.tolist() == [1.0] * 16


def test_weights_start_as_he_drew_them():
    model = models.create("resnet18", 10)
    weight = model.layer3[0].conv1.weight.numpy()  # 128 channels to 256
    assert abs(weight.std() / np.sqrt(2 / (9 * 256)) - 1) < 0.01  # by fan-out
    assert abs(model.fc.weight.numpy()).max() <= 1 / np.sqrt(512)


# ---------------------------------------------------------------------- gradients and depth


@pytest.mark.parametrize("name", ["resnet8", "preact_resnet8"])
def test_gradients_of_a_network_against_finite_differences(name):
    model = models.create(name, num_classes=4, shortcut="B").to(dtype=np.float64)
    for i, (key, p) in enumerate(model.named_parameters()):
        if "bn" in key or "downsample.1" in key:
            p.data[...] = positive(*p.shape, seed=i) - (0.0 if key.endswith("weight") else 1.0)
    x, labels = Tensor(normal(3, 6, 5, 3), requires_grad=True), np.array([2, 0, 3])

    def loss():
        return nn.functional.cross_entropy(model(x), labels, label_smoothing=0.1)

    loss().backward()
    for i, (key, p) in enumerate([*model.named_parameters(), ("image", x)]):
        direction = normal(*p.shape, seed=i)
        step = 1e-6 / np.sqrt((direction**2).mean() * p.size)
        middle = p.data.copy()
        p.data[...] = middle + step * direction
        above = loss().item()
        p.data[...] = middle - step * direction
        below = loss().item()
        p.data[...] = middle
        wanted = (above - below) / (2 * step)
        got = (p.grad.numpy() * direction).sum()
        scale = np.abs(p.grad.numpy()).max() * np.sqrt((direction**2).sum())
        assert abs(got - wanted) < 1e-6 * scale + 2e-8, key


def train_one_step(model, x, labels):
    loss = nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    before = loss.item()
    for p in model.parameters():
        assert p.grad is not None
        assert np.isfinite(p.grad.numpy()).all()
        p.data -= 0.01 * p.grad.data
    return before


def test_resnet110_trains():
    model = models.resnet110()
    x = Tensor(normal(4, 8, 8, 3, dtype=np.float32))
    losses = [0.0] * 3
    for i in range(3):
        model.zero_grad()
        losses[i] = train_one_step(model, x, np.array([1, 7, 3, 3]))
    assert np.isfinite(losses).all()
    assert losses[2] < losses[0]


@pytest.mark.slow
def test_resnet1202_runs_forward_and_backward():
    model = models.resnet1202()
    x = Tensor(normal(2, 4, 4, 3, dtype=np.float32))
    assert np.isfinite(train_one_step(model, x, np.array([1, 7])))


def test_a_step_is_the_same_to_the_bit_from_the_same_seed():
    def run():
        minires.manual_seed(7)
        model = models.resnet8()
        train_one_step(model, Tensor(normal(4, 8, 9, 3, dtype=np.float32)), np.array([1, 2, 3, 4]))
        return model.state_dict()

    first, second = run(), run()
    for name, t in first.items():
        np.testing.assert_array_equal(t.numpy(), second[name].numpy())
