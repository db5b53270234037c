"""Networks by name: `create("resnet20", num_classes=10)`, and a function for each known one."""

from __future__ import annotations

import difflib
import re
from typing import Any

from minires.models.blocks import BasicBlock, Bottleneck, PreActBlock, PreActBottleneck
from minires.models.convnext import ConvNeXt
from minires.models.resnet import ResNet
from minires.models.squeeze_excitation import SEBasicBlock, SEBottleneck
from minires.models.transformer import CharTransformer

# He et al. 2015, table 1: blocks per stage; widths are 64, 128, 256, 512
IMAGENET_DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
# He et al. 2015, section 4.2: 6n + 2 layers, n blocks per stage; 8 and 14 are for small data
CIFAR_DEPTHS = (8, 14, 20, 32, 44, 56, 110, 1202)

MODELS = (
    *(f"resnet{depth}" for depth in (*CIFAR_DEPTHS, *IMAGENET_DEPTHS)),
    "resnext50_32x4d",
    "wide_resnet50_2",
    *(f"plain{depth}" for depth in (*CIFAR_DEPTHS[:-1], 18, 34)),
    *(f"preact_resnet{depth}" for depth in (*CIFAR_DEPTHS, *IMAGENET_DEPTHS)),
    *(f"se_resnet{depth}" for depth in (*CIFAR_DEPTHS[:-1], *IMAGENET_DEPTHS)),
    "convnext_micro",
    "convnext_tiny",
)
"""The names that `create` takes. Any other depth of 6n + 2 works too."""

# Liu et al. 2022, section 3: depths, widths and rates of stochastic depth; micro is for small data
CONVNEXTS: dict[str, dict[str, Any]] = {
    "convnext_micro": {
        "depths": (1, 1, 3, 1),
        "widths": (16, 32, 64, 128),
        "patch": 1,
        "num_classes": 10,
    },
    "convnext_tiny": {
        "depths": (3, 3, 9, 3),
        "widths": (96, 192, 384, 768),
        "stochastic_depth": 0.1,
        "num_classes": 1000,
    },
}

DEEPEST = 10_000  # Xiao et al. 2018 (arXiv:1806.05393) trained as many layers, and nobody more

_VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnext50_32x4d": ("resnet50", {"groups": 32, "width_per_group": 4}),
    "wide_resnet50_2": ("resnet50", {"width_per_group": 128}),
}


def create(name: str, num_classes: int | None = None, in_channels: int = 3, **options: Any) -> Any:
    """Build a network by name.

    Parameters
    ----------
    name : str
        One of `MODELS`, or `resnetN`, `plainN`, `preact_resnetN`, `se_resnetN` with N = 6n + 2; or
        "char_transformer", which takes no images.
    num_classes : int, optional
        1000 for the ImageNet family, 10 for the CIFAR family; for "char_transformer" the number of
        different characters, which it wants.
    in_channels : int
        3 for colour images, 1 for grey ones.
    **options
        `shortcut` ("A", "B" or "C"; A is the CIFAR family's default, B the other's), `zero_gamma`,
        and for depths of 50 and more of the ImageNet family `groups`, `width_per_group`,
        `stride_in_1x1`. Of ConvNeXts `layer_scale`, `stochastic_depth`, `patch`; those of
        `CharTransformer`.

    Returns
    -------
    ResNet, ConvNeXt or CharTransformer
        With random weights from `minires.random`.

    Raises
    ------
    ValueError
        If the name or an option is unknown; the message lists the names.
    """
    if name in CONVNEXTS:
        return _convnext(name, num_classes, in_channels, options)
    if name == "char_transformer":
        return char_transformer(options.pop("vocab_size", num_classes), **options)
    given = dict(options)
    base, preset = _VARIANTS.get(name, (name, {}))
    match = re.fullmatch(r"(resnet|plain|preact_resnet|se_resnet)(\d+)", base)
    depth = int(match[2]) if match else 0
    imagenet = depth in IMAGENET_DEPTHS
    if not match or not (imagenet or (depth >= 8 and depth % 6 == 2)):
        close = difflib.get_close_matches(name.lower(), MODELS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(f"unknown model {name!r}{hint}: one of {', '.join(MODELS)}")
    if depth > DEEPEST:
        raise ValueError(f"{name} is too deep: at most {DEEPEST:,} layers were ever trained")
    kind = match[1]
    merged = {**preset, **options}
    known = {"shortcut", "zero_gamma"}
    if imagenet and depth >= 50:
        known |= {"groups", "width_per_group", "stride_in_1x1"}
    unknown = sorted(set(merged) - known)
    if unknown:
        raise ValueError(
            f"{name} has no option {', '.join(unknown)}: its options are {', '.join(sorted(known))}"
        )
    if "width_per_group" in merged:
        merged["base_width"] = merged.pop("width_per_group")
    if merged.get("shortcut", "A") not in ("A", "B", "C"):
        raise ValueError(f'shortcut must be "A", "B" or "C", got {merged["shortcut"]!r}')
    if kind == "plain":
        if "shortcut" in merged or merged.get("zero_gamma"):
            raise ValueError(f"{name} is the plain network: it has no shortcut, so no zero_gamma")
        merged["shortcut"] = "none"
    if imagenet:
        merged.setdefault("shortcut", "B")
        if kind == "preact_resnet":
            block: Any = PreActBottleneck if depth >= 50 else PreActBlock
        elif kind == "se_resnet":
            block = SEBottleneck if depth >= 50 else SEBasicBlock
        else:
            block = Bottleneck if depth >= 50 else BasicBlock
        depths, widths = IMAGENET_DEPTHS[depth], (64, 128, 256, 512)
    else:
        merged.setdefault("shortcut", "A")
        block = {"preact_resnet": PreActBlock, "se_resnet": SEBasicBlock}.get(kind, BasicBlock)
        depths, widths = ((depth - 2) // 6,) * 3, (16, 32, 64)  # type: ignore[assignment]
    classes = num_classes if num_classes is not None else 1000 if imagenet else 10
    model = ResNet(
        block,
        depths,
        widths,
        stem="imagenet" if imagenet else "cifar",
        num_classes=classes,
        in_channels=in_channels,
        **merged,
    )
    model.architecture = {
        "name": name,
        "num_classes": classes,
        "in_channels": in_channels,
        **given,
    }
    return model


def _resnet(name: str, num_classes: int, in_channels: int, options: dict[str, Any]) -> ResNet:
    model: ResNet = create(name, num_classes, in_channels, **options)
    return model


def _convnext(
    name: str, num_classes: int | None, in_channels: int, options: dict[str, Any]
) -> ConvNeXt:
    known = ("layer_scale", "patch", "stochastic_depth")
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"{name} has no option {', '.join(unknown)}: its options are {', '.join(known)}"
        )
    settings = {**CONVNEXTS[name], **options, "in_channels": in_channels}
    if num_classes is not None:
        settings["num_classes"] = num_classes
    model = ConvNeXt(**settings)
    sizes = {key: settings[key] for key in ("num_classes", "in_channels")}
    model.architecture = {"name": name, **sizes, **options}
    return model


def char_transformer(vocab_size: int | None, **options: Any) -> CharTransformer:
    """A small causal Transformer for texts; options are `CharTransformer`'s."""
    if vocab_size is None:
        raise ValueError("char_transformer wants the number of different characters, num_classes")
    model = CharTransformer(vocab_size, **options)
    model.architecture = {"name": "char_transformer", "num_classes": vocab_size, **options}
    return model


def convnext_micro(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ConvNeXt:
    """ConvNeXt made smaller, for images of 32x32 or so."""
    model: ConvNeXt = create("convnext_micro", num_classes, in_channels, **options)
    return model


def convnext_tiny(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ConvNeXt:
    """ConvNeXt-T (Liu et al. 2022, arXiv:2201.03545)."""
    model: ConvNeXt = create("convnext_tiny", num_classes, in_channels, **options)
    return model


def se_resnet20(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-20 with squeeze and excitation (Hu et al. 2018, arXiv:1709.01507)."""
    return _resnet("se_resnet20", num_classes, in_channels, options)


def se_resnet50(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-50 with squeeze and excitation (Hu et al. 2018, arXiv:1709.01507, table 1)."""
    return _resnet("se_resnet50", num_classes, in_channels, options)


def resnet8(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-8: the CIFAR family made smaller, for small data."""
    return _resnet("resnet8", num_classes, in_channels, options)


def resnet14(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-14: the CIFAR family made smaller, for small data."""
    return _resnet("resnet14", num_classes, in_channels, options)


def resnet20(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-20 for small images (He et al. 2015, section 4.2)."""
    return _resnet("resnet20", num_classes, in_channels, options)


def resnet32(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-32 for small images (He et al. 2015, section 4.2)."""
    return _resnet("resnet32", num_classes, in_channels, options)


def resnet44(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-44 for small images (He et al. 2015, section 4.2)."""
    return _resnet("resnet44", num_classes, in_channels, options)


def resnet56(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-56 for small images (He et al. 2015, section 4.2)."""
    return _resnet("resnet56", num_classes, in_channels, options)


def resnet110(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-110 for small images (He et al. 2015, section 4.2)."""
    return _resnet("resnet110", num_classes, in_channels, options)


def resnet1202(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-1202 for small images (He et al. 2015, section 4.2)."""
    return _resnet("resnet1202", num_classes, in_channels, options)


def resnet18(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-18 (He et al. 2015, table 1)."""
    return _resnet("resnet18", num_classes, in_channels, options)


def resnet34(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-34 (He et al. 2015, table 1)."""
    return _resnet("resnet34", num_classes, in_channels, options)


def resnet50(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-50 (He et al. 2015, table 1)."""
    return _resnet("resnet50", num_classes, in_channels, options)


def resnet101(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-101 (He et al. 2015, table 1)."""
    return _resnet("resnet101", num_classes, in_channels, options)


def resnet152(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNet-152 (He et al. 2015, table 1)."""
    return _resnet("resnet152", num_classes, in_channels, options)


def resnext50_32x4d(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ResNet:
    """ResNeXt-50 32x4d (Xie et al. 2017, arXiv:1611.05431)."""
    return _resnet("resnext50_32x4d", num_classes, in_channels, options)


def wide_resnet50_2(num_classes: int = 1000, in_channels: int = 3, **options: Any) -> ResNet:
    """Wide ResNet-50-2 (Zagoruyko and Komodakis 2016, arXiv:1605.07146)."""
    return _resnet("wide_resnet50_2", num_classes, in_channels, options)


def plain20(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """The plain twin of `resnet20`: the same layers, no shortcuts."""
    return _resnet("plain20", num_classes, in_channels, options)


def plain56(num_classes: int = 10, in_channels: int = 3, **options: Any) -> ResNet:
    """The plain twin of `resnet56`: the same layers, no shortcuts."""
    return _resnet("plain56", num_classes, in_channels, options)
