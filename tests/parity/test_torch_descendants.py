"""The layers and networks that came after ResNet, against PyTorch, in drawn shapes and dtypes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from parity.test_torch_operations import compare, draw, filters, images, near, same
from parity.test_torch_resnets import Block
from parity.twins import nchw, nhwc, to_torch

import minires
from minires import Tensor, models, nn
from minires.interop import load_torch, load_weights, save_torch_compatible

F, T = nn.functional, torch.nn
drawn = settings(derandomize=True, database=None, max_examples=20)
dtypes = st.sampled_from(["float64", "float32"])
small = st.integers(1, 5)


@drawn
@given(st.data(), dtypes)
def test_layer_norm(data, dtype):
    shape = tuple(data.draw(st.lists(small, min_size=1, max_size=4)))
    count = data.draw(st.integers(1, len(shape)))
    inner = shape[-count:]
    assume(np.prod(inner) > 1)
    arrays = [3 * draw(*shape) + 1, draw(*inner, seed=1), draw(*inner, seed=2)]
    compare(
        lambda x, w, b: F.layer_norm(x, inner, w, b, 1e-3),
        lambda x, w, b: TF.layer_norm(x, inner, w, b, 1e-3),
        arrays,
        dtype,
    )


@drawn
@given(st.data(), dtypes)
def test_group_norm(data, dtype):
    groups, width, n = data.draw(small), data.draw(small), data.draw(small)
    places = tuple(data.draw(st.lists(small, max_size=3)))
    assume(width * np.prod(places) > 1)
    channels = groups * width
    first = lambda a: np.moveaxis(a, -1, 1)  # noqa: E731
    compare(
        lambda x, w, b: F.group_norm(x, groups, w, b, 1e-3),
        lambda x, w, b: TF.group_norm(x, groups, w, b, 1e-3),
        [2 * draw(n, *places, channels) - 1, draw(channels), draw(channels, seed=1)],
        dtype,
        [first, same, same],
        first,
    )


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@drawn
@given(st.lists(st.integers(0, 5), max_size=3), st.sampled_from([0.1, 1, 5, 40]), dtypes)
def test_gelu_and_silu(approximate, shape, scale, dtype):
    x = np.asarray(scale * draw(*shape))
    compare(
        lambda a: F.gelu(a, approximate), lambda a: TF.gelu(a, approximate=approximate), [x], dtype
    )
    compare(F.silu, TF.silu, [x], dtype)


@drawn
@given(st.data(), dtypes)
def test_transposed_convolution(data, dtype):
    pairs = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in "ab")  # noqa: E731
    kernel, stride, dilation, padding = pairs(1, 4), pairs(1, 3), pairs(1, 3), pairs(0, 2)
    extra = tuple(
        data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
    )
    groups, inside, outside = data.draw(st.tuples(*[st.integers(1, 3)] * 3))
    size, n = pairs(1, 5), data.draw(st.integers(1, 2))
    out = [
        (m - 1) * s - 2 * p + d * (k - 1) + e + 1
        for m, s, p, d, k, e in zip(size, stride, padding, dilation, kernel, extra, strict=True)
    ]
    assume(min(out) >= 1)
    options = (stride, padding, extra, groups, dilation)
    w = draw(*kernel, outside, groups * inside)
    compare(
        lambda x, w, b: F.conv_transpose2d(x, w, b, *options),
        lambda x, w, b: TF.conv_transpose2d(x, w, b, *options),
        [draw(n, *size, groups * inside), w, draw(groups * outside)],
        dtype,
        [images, filters, same],
        images,
    )


@drawn
@given(st.data(), dtypes)
def test_interpolation(data, dtype):
    shape = (data.draw(st.integers(1, 2)), *(data.draw(st.integers(1, 9)) for _ in "hw"), 2)
    mode = data.draw(st.sampled_from(["nearest", "bilinear"]))
    options = {"mode": mode}
    if mode == "bilinear":
        options["align_corners"] = data.draw(st.sampled_from([True, False, None]))
    if data.draw(st.booleans()):
        options["size"] = tuple(data.draw(st.integers(1, 20)) for _ in "hw")
    else:
        factors = st.floats(0.25, 4) | st.integers(1, 4).map(float)
        factors = tuple(data.draw(factors) for _ in "hw")
        assume(all(n * f >= 1 for n, f in zip(shape[1:3], factors, strict=True)))
        options["scale_factor"] = factors
    compare(
        lambda x: F.interpolate(x, **options),
        lambda x: TF.interpolate(x, **options),
        [draw(*shape)],
        dtype,
        [images],
        images,
    )


@drawn
@given(st.data(), dtypes)
def test_embedding(data, dtype):
    rows, columns = data.draw(small), data.draw(small)
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=3)))
    numbers = np.random.default_rng(len(shape)).integers(0, rows, shape)
    padding = data.draw(st.none() | st.integers(-rows, rows - 1))
    compare(
        lambda w: F.embedding(numbers, w, padding),
        lambda w: TF.embedding(torch.as_tensor(numbers), w, padding),
        [draw(rows, columns)],
        dtype,
    )


@drawn
@given(st.data(), dtypes)
def test_scaled_dot_product_attention(data, dtype):
    lead = tuple(data.draw(st.lists(st.integers(1, 3), max_size=2)))
    length, sources, features, width = (data.draw(small) for _ in range(4))
    rng = np.random.default_rng(length)
    kind = data.draw(st.sampled_from(["none", "causal", "boolean", "added"]))
    mask = None
    if kind == "boolean":
        mask = rng.random((length, sources)) < 0.6
        mask[:, rng.integers(sources)] = True  # each looks somewhere
    elif kind == "added":
        mask = rng.normal(size=(length, sources)).astype(dtype)
    theirs = None if mask is None else torch.from_numpy(mask)
    causal, scale = kind == "causal", data.draw(st.sampled_from([None, 0.3]))
    compare(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale),
        lambda q, k, v: TF.scaled_dot_product_attention(q, k, v, theirs, 0.0, causal, scale=scale),
        [
            draw(*lead, length, features),
            draw(*lead, sources, features, seed=1),
            draw(*lead, sources, width, seed=2),
        ],
        dtype,
    )


@drawn
@given(st.data(), dtypes)
def test_multihead_attention(data, dtype):
    """The output, the weights, all gradients, with masks of every kind."""
    n, length, sources = data.draw(st.tuples(*[st.integers(1, 4)] * 3))
    heads, bias = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    dim = heads * data.draw(st.integers(1, 3))
    ours = nn.MultiheadAttention(dim, heads, bias=bias).to(dtype=dtype)
    for i, p in enumerate(ours.parameters()):
        p.data[...] = draw(*p.shape, seed=i)
    theirs = T.MultiheadAttention(dim, heads, bias=bias, batch_first=True)
    theirs = theirs.to(getattr(torch, dtype))
    theirs.load_state_dict({key: to_torch(t.numpy()) for key, t in ours.state_dict().items()})
    rng = np.random.default_rng(n)
    options = {"average_attn_weights": data.draw(st.booleans())}
    kind = data.draw(st.sampled_from(["none", "causal", "each head", "padding"]))
    there = dict(options)
    if kind == "causal":
        options["is_causal"] = True
        there["attn_mask"] = torch.from_numpy(~np.tri(length, sources, dtype=bool))
    elif kind == "each head":
        options["attn_mask"] = rng.normal(size=(n * heads, length, sources)).astype(dtype)
        there["attn_mask"] = torch.from_numpy(options["attn_mask"])
    elif kind == "padding":
        options["key_padding_mask"] = rng.random((n, sources)) < 0.5
        options["key_padding_mask"][:, 0] = False
        there["key_padding_mask"] = torch.from_numpy(options["key_padding_mask"])
    arrays = [draw(n, m, dim, seed=i) for i, m in enumerate((length, sources, sources))]
    for which in (0, 1):
        compare(
            lambda q, k, v, which=which: ours(q, k, v, **options)[which] + 0 * v.sum(),
            lambda q, k, v, which=which: theirs(q, k, v, **there)[which] + 0 * v.sum(),
            arrays,
            dtype,
        )
    for (key, p), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        scale = max(1, float(other.grad.abs().max()))
        got = to_torch(p.grad.numpy()).numpy() / scale
        near(got, (other.grad / scale).numpy(), dtype)
        assert key in dict(theirs.named_parameters())


def test_layers_show_themselves_as_pytorchs_do():
    pairs = [
        (nn.LayerNorm(3), T.LayerNorm(3)),
        (nn.GroupNorm(2, 4), T.GroupNorm(2, 4)),
        (nn.GELU(), T.GELU()),
        (nn.SiLU(), T.SiLU()),
        (nn.Embedding(5, 3, padding_idx=-1), T.Embedding(5, 3, padding_idx=-1)),
        (nn.ConvTranspose2d(2, 4, 3, 2, 1, 1), T.ConvTranspose2d(2, 4, 3, 2, 1, 1)),
        (nn.Upsample(scale_factor=2), T.Upsample(scale_factor=2)),
        (nn.Upsample((3, 4), mode="bilinear"), T.Upsample((3, 4), mode="bilinear")),
    ]
    for ours, theirs in pairs:
        assert repr(ours) == repr(theirs)


# ---------------------------------------------------------------------- networks


class Permute(T.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(self.axes)


class LayerNorm2d(T.LayerNorm):
    def forward(self, x):
        return nchw(super().forward(nhwc(x)))


class CNBlock(T.Module):
    """As torchvision names its parts; channels first."""

    def __init__(self, c):
        super().__init__()
        self.layer_scale = T.Parameter(torch.ones(c, 1, 1))
        self.block = T.Sequential(
            T.Conv2d(c, c, 7, padding=3, groups=c),
            Permute(0, 2, 3, 1),
            T.LayerNorm(c, eps=1e-6),
            T.Linear(c, 4 * c),
            T.GELU(),
            T.Linear(4 * c, c),
            Permute(0, 3, 1, 2),
        )

    def forward(self, x):
        return x + self.layer_scale * self.block(x)


def convnext(depths, widths, patch, classes):
    """torchvision's ConvNeXt, of plain modules with the same keys and shapes."""
    norm = lambda c: LayerNorm2d(c, eps=1e-6)  # noqa: E731
    layers = [T.Sequential(T.Conv2d(3, widths[0], patch, patch), norm(widths[0]))]
    for i, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if i:
            before = widths[i - 1]
            layers.append(T.Sequential(norm(before), T.Conv2d(before, width, 2, 2)))
        layers.append(T.Sequential(*(CNBlock(width) for _ in range(depth))))
    chain = Chain()
    chain.features, chain.avgpool = T.Sequential(*layers), T.AdaptiveAvgPool2d(1)
    chain.classifier = T.Sequential(norm(widths[-1]), T.Flatten(1), T.Linear(widths[-1], classes))
    return chain


class Chain(T.Module):
    """Its parts one after the other."""

    def forward(self, x):
        for part in self.children():
            x = part(x)
        return x


class SEBlock(Block):
    """A residual block of the ResNet twins, with squeeze and excitation before the add."""

    def __init__(self, channels, width, stride, bottleneck):
        super().__init__(channels, width, stride, bottleneck, "B")
        out = width * (4 if bottleneck else 1)
        self.se = T.Module()
        self.se.fc1 = T.Conv2d(out, out // 16, 1)
        self.se.fc2 = T.Conv2d(out // 16, out, 1)

    def forward(self, x):
        out = x
        for i in range(1, self.count + 1):
            out = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(out))
            out = self.relu(out) if i < self.count else out
        means = out.mean((2, 3), keepdim=True)
        out = out * self.se.fc2(self.se.fc1(means).relu()).sigmoid()
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def fill(twin, seed=0):
    """Random numbers of a sensible size everywhere."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in twin.state_dict().values():
            if tensor.dtype.is_floating_point:
                fan = tensor[0].numel() if tensor.ndim > 1 else 4
                tensor.copy_(torch.randn(tensor.shape) / fan**0.5)
    return twin


def step(model, twin, x, tolerance):
    """The same logits, and the same gradients of every parameter."""
    labels = np.arange(len(x)) % 3
    logits = model(Tensor(x))
    nn.functional.cross_entropy(logits, labels).backward()
    wanted = twin(torch.tensor(x.transpose(0, 3, 1, 2).copy()))
    TF.cross_entropy(wanted, torch.tensor(labels)).backward()
    scale = float(wanted.detach().abs().max())
    np.testing.assert_allclose(
        logits.numpy(), wanted.detach().numpy(), rtol=0, atol=tolerance * scale
    )
    theirs = dict(twin.named_parameters())
    assert len(theirs) == len(list(model.parameters()))
    for key, p in model.named_parameters():
        grad = p.grad.numpy()
        got = grad.transpose(2, 0, 1) if key.endswith("layer_scale") else to_torch(grad).numpy()
        want = theirs[key].grad.numpy()
        limit = tolerance * max(float(np.abs(want).max()), 1e-6)
        np.testing.assert_allclose(got, want, rtol=0, atol=limit, err_msg=key)


def test_convnext_tiny_with_a_state_of_torchvisions_shape(tmp_path):
    """Its keys, in its order, from a file that PyTorch wrote."""
    twin = fill(convnext((3, 3, 9, 3), (96, 192, 384, 768), 4, 1000))
    assert sum(p.numel() for p in twin.parameters()) == 28_589_128
    torch.save(twin.state_dict(), tmp_path / "convnext.pth")
    model = load_weights(tmp_path / "convnext.pth", "convnext_tiny")
    assert list(model.state_dict()) == list(twin.state_dict())
    x = draw(1, 64, 64, 3).astype(np.float32)
    with minires.no_grad(), torch.no_grad():
        got = model(Tensor(x)).numpy()
        wanted = twin.eval()(torch.tensor(x.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5 * abs(wanted).max())


@pytest.mark.parametrize("size", [(16, 16), (19, 25)])
def test_a_small_convnext_and_its_gradients(size, tmp_path):
    twin = fill(convnext((1, 1, 3, 1), (16, 32, 64, 128), 1, 10))
    torch.save(twin.state_dict(), tmp_path / "x.pth")
    model = load_weights(tmp_path / "x.pth", "convnext_micro").to(dtype="float64")
    step(model, twin.double(), draw(2, *size, 3), 1e-9)
    pytest.importorskip("safetensors")
    save_torch_compatible(model, tmp_path / "x.safetensors")
    from safetensors.torch import load_file

    twin.load_state_dict(load_file(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_se_resnet_and_its_gradients(bottleneck):
    model = models.create("se_resnet50" if bottleneck else "se_resnet18", num_classes=3)
    stage = model.layer2[0].to(dtype="float64")
    twin = fill(SEBlock(256 if bottleneck else 64, 128, 2, bottleneck)).double()
    stage.load_state_dict({k: np.asarray(v) for k, v in ours_of(twin).items()})
    assert list(stage.state_dict()) == list(twin.state_dict())
    x = draw(3, 7, 6, 256 if bottleneck else 64)
    compare(stage, twin, [x], "float64", [images], images)
    for (key, p), other in zip(stage.named_parameters(), twin.parameters(), strict=True):
        scale = max(float(other.grad.abs().max()), 1e-9)
        got = to_torch(p.grad.numpy()).numpy()
        np.testing.assert_allclose(got / scale, other.grad / scale, atol=1e-9, err_msg=key)


def ours_of(twin):
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}
    return {
        k: v.permute(axes.get(v.ndim, tuple(range(v.ndim)))) for k, v in twin.state_dict().items()
    }


@pytest.mark.parametrize("causal", [True, False])
def test_a_transformer_block_is_pytorchs_with_the_norm_first(causal):
    """The same numbers in the encoder layer of PyTorch, under its own names."""
    block = models.TransformerBlock(8, 2, 4, causal=causal).to(dtype="float64")
    for i, p in enumerate(block.parameters()):
        p.data[...] = draw(*p.shape, seed=i) / 2
    twin = T.TransformerEncoderLayer(
        8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    named = {
        key.replace("attention", "self_attn"): to_torch(t.numpy())
        for key, t in block.state_dict().items()
    }
    twin.load_state_dict(named)
    mask = torch.from_numpy(~np.tri(5, dtype=bool)) if causal else None
    compare(block, lambda x: twin(x, src_mask=mask), [draw(2, 5, 8)], "float64")


def test_a_character_transformer_reads_a_state_of_pytorchs(tmp_path):
    """Its tables are not turned, its other weights are, and so back again."""
    model = models.create("char_transformer", 5, context=5, embed_dim=5, num_heads=1, depth=1)
    state = {k: v.copy() for k, v in model.state_dict().items()}
    turned = {
        k: v.numpy() if k.startswith(("tokens", "positions")) else to_torch(v.numpy()).numpy()
        for k, v in state.items()
    }
    torch.save({k: torch.tensor(v) for k, v in turned.items()}, tmp_path / "x.pth")
    other = models.char_transformer(5, context=5, embed_dim=5, num_heads=1, depth=1)
    load_weights(tmp_path / "x.pth", other)
    for key, value in other.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[key].numpy(), err_msg=key)
    pytest.importorskip("safetensors")
    save_torch_compatible(other, tmp_path / "x.safetensors")
    from safetensors.numpy import load_file

    for key, value in load_file(tmp_path / "x.safetensors").items():
        np.testing.assert_array_equal(value, turned[key], err_msg=key)


class Characters(T.Module):
    """A character model as one writes it in PyTorch, of its own layers and with their names."""

    def __init__(self, vocabulary, context, features, heads, depth):
        super().__init__()
        self.tokens = T.Embedding(vocabulary, features)
        self.positions = T.Embedding(context, features)
        self.blocks = T.ModuleList(
            T.TransformerEncoderLayer(
                features, heads, 4 * features, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = T.LayerNorm(features)
        self.head = T.Linear(features, vocabulary, bias=False)

    def forward(self, x):
        length = x.shape[1]
        h = self.tokens(x) + self.positions(torch.arange(length))
        mask = torch.from_numpy(~np.tri(length, dtype=bool))
        for block in self.blocks:
            h = block(h, src_mask=mask)
        return self.head(self.norm(h))


@settings(derandomize=True, database=None, max_examples=8)
@given(
    vocabulary=st.sampled_from([4, 7]),  # 4: a square table, whose shape does not tell
    context=st.sampled_from([4, 5]),
    heads=st.sampled_from([1, 2]),
    depth=st.integers(1, 2),
    wrapper=st.sampled_from(["", "module.", "net."]),
)
def test_embeddings_norms_and_attention_of_pytorchs_give_its_logits(
    tmp_path_factory, vocabulary, context, heads, depth, wrapper
):
    path = tmp_path_factory.mktemp("characters") / "x.pth"
    twin = fill(Characters(vocabulary, context, 4, heads, depth)).eval()
    torch.save({wrapper + key: value for key, value in twin.state_dict().items()}, path)
    make = lambda: models.char_transformer(  # noqa: E731
        vocabulary, context=context, embed_dim=4, num_heads=heads, depth=depth
    )
    by_network, by_state = make(), make()
    load_weights(path, by_network)
    by_state.load_state_dict(load_torch(path, by_state))
    numbers = np.random.default_rng(0).integers(0, vocabulary, (3, context))
    with torch.no_grad():
        wanted = twin(torch.tensor(numbers)).numpy()
    for model in (by_network, by_state):
        np.testing.assert_allclose(
            model(numbers).numpy(), wanted, rtol=0, atol=1e-5 * abs(wanted).max()
        )
