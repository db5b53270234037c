"""Which algorithm is chosen, and how to choose oneself."""

import numpy as np
import pytest

from minires import kernels
from minires.kernels import ConvGeometry
from minires.kernels.convolution import choose

RESNET = ((8, 56, 56, 64), (3, 3, 64, 64))
WIDE = ((8, 14, 14, 256), (3, 3, 256, 256))


def names(x_shape, w_shape, dtype=np.float32, device="cpu", **settings):
    along = {"geometry": ConvGeometry(**settings), "dtype": dtype, "device": device}
    choices = kernels.explain(x_shape, w_shape, **along)
    return {task: choice.name for task, choice in choices.items()}


def test_winograd_for_wide_3x3_layers():
    assert set(names(*WIDE, padding=(1, 1)).values()) == {"winograd2"}
    many = (32, 14, 14, 256), WIDE[1]
    assert set(names(*many, padding=(1, 1)).values()) == {"winograd4"}
    last = (8, 7, 7, 512), (3, 3, 512, 512)
    assert set(names(*last, padding=(1, 1)).values()) == {"winograd2"}
    one = (1, 7, 7, 512), (3, 3, 512, 512)  # the weights take longer to transform than it saves
    assert set(names(*one, padding=(1, 1)).values()) == {"im2col"}
    shorter = (8, 28, 28, 128), (3, 3, 128, 128)
    assert names(*shorter, padding=(1, 1)) == {
        "forward": "winograd1d", "dx": "winograd1d", "dw": "winograd4"
    }  # fmt: skip


def test_float64_is_exact_by_default():
    for shapes in RESNET, WIDE:
        chosen = names(*shapes, padding=(1, 1), dtype=np.float64)
        assert not any(name.startswith("winograd") for name in chosen.values())


@pytest.mark.parametrize(
    ("w_shape", "settings", "expected"),
    [
        ((1, 1, 64, 64), {}, "pointwise"),
        ((1, 1, 64, 64), {"stride": (2, 2)}, "pointwise"),
        ((3, 3, 64, 64), {"stride": (2, 2)}, "im2col"),
        ((3, 3, 8, 64), {"groups": 8}, "im2col"),
        ((3, 3, 1, 64), {"groups": 64}, "depthwise"),
    ],
)
def test_the_shape_decides(w_shape, settings, expected):
    assert set(names(RESNET[0], w_shape, **settings).values()) == {expected}


@pytest.mark.parametrize(("C", "O"), [(16, 16), (64, 64), (128, 32), (3, 64)])
def test_winograd_down_the_image_alone_for_few_channels(C, O):
    shapes = (128, 32, 32, C), (3, 3, C, O)
    assert set(names(*shapes, padding=(1, 1)).values()) == {"winograd1d"}


def test_few_channels_otherwise_are_lowered():
    shapes = (128, 32, 32, 16), (3, 3, 16, 16)
    chosen = names(*shapes, padding=(1, 1), dtype=np.float64)
    assert set(chosen.values()) == {"im2col"}
    assert names((8, 32, 32, 16), (5, 5, 16, 16))["forward"] == "im2col"


def test_few_channels_on_a_gpu_where_launches_count():
    shapes = (128, 32, 32, 16), (3, 3, 16, 16)
    assert set(names(*shapes, padding=(1, 1), device="cuda:0").values()) == {"rows"}


def test_strides_over_few_channels():
    stem = names((8, 224, 224, 3), (7, 7, 3, 64), stride=(2, 2), padding=(3, 3))
    assert set(stem.values()) == {"im2col"}


def test_every_choice_has_a_reason():
    for choice in kernels.explain(*RESNET).values():
        assert len(choice.reason) > 10


def test_forcing_ends_with_the_block():
    before = names(*RESNET)
    with kernels.use_algorithm("rows"):
        assert set(names(*RESNET).values()) == {"rows"}
        with kernels.use_algorithm("winograd2"):
            assert set(names(*RESNET).values()) == {"winograd2"}
        assert set(names(*RESNET).values()) == {"rows"}
    assert names(*RESNET) == before


def test_forcing_ends_with_an_exception():
    before = names(*RESNET)
    with pytest.raises(KeyError), kernels.use_algorithm("rows"):
        raise KeyError
    assert names(*RESNET) == before


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"unknown algorithm 'fft': there are im2col, rows"):
        kernels.use_algorithm("fft").__enter__()


@pytest.mark.parametrize(
    ("algorithm", "w_shape", "settings", "message"),
    [
        ("winograd4", (5, 5, 4, 6), {}, "winograd4 .* it needs a 3x3 kernel, not 5x5"),
        ("winograd1d", (5, 3, 4, 6), {}, "it needs a kernel 3 rows high, not 5"),
        ("winograd1d", (3, 3, 4, 6), {"stride": (1, 2)}, "a stride of 1"),
        ("winograd1d", (3, 3, 4, 6), {"dilation": (1, 2)}, "a dilation of 1"),
        ("winograd1d", (3, 3, 2, 6), {"groups": 2}, "one group, not 2"),
        ("winograd2", (3, 3, 4, 6), {"stride": (2, 2)}, "a stride of 1"),
        ("winograd2", (3, 3, 4, 6), {"dilation": (2, 1)}, "a dilation of 1"),
        ("rows", (3, 3, 4, 6), {"stride": (1, 2)}, "a stride of 1"),
        ("rows", (3, 3, 2, 6), {"groups": 2}, "one group, not 2"),
        ("pointwise", (3, 3, 4, 6), {}, "a 1x1 kernel, not 3x3"),
        ("depthwise", (3, 3, 4, 6), {}, "one channel and one filter to a group"),
    ],
)
def test_a_shape_that_an_algorithm_cannot_do(algorithm, w_shape, settings, message):
    given = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1} | settings
    x, w = np.ones((2, 9, 8, 4)), np.ones(w_shape)
    g = np.ones_like(kernels.conv2d(x, w, geometry=ConvGeometry(**given)))
    with kernels.use_algorithm(algorithm):
        with pytest.raises(ValueError, match=message):
            kernels.conv2d(x, w, geometry=ConvGeometry(**given))
        with pytest.raises(ValueError, match=message):
            kernels.conv2d_dw(x, g, kernel_size=w_shape[:2], geometry=ConvGeometry(**given))


def test_a_strided_gradient_in_parts_that_an_algorithm_cannot_do():
    given = {"stride": (2, 2), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    with kernels.use_algorithm("winograd4"), pytest.raises(ValueError, match="3x3 kernel, not"):
        kernels.conv2d_dx(
            np.ones((1, 4, 4, 2)),
            np.ones((3, 3, 2, 2)),
            input_size=(8, 8),
            geometry=ConvGeometry(**given),
        )


def test_names_and_functions_go_together():
    assert set(choose.ALGORITHMS) == {
        "im2col", "rows", "pointwise", "depthwise", "winograd1d", "winograd2", "winograd4",
        "cuda",
    }  # fmt: skip
