"""Other people's state dicts: found in their file, named and laid out as minires has them."""

from __future__ import annotations

import collections
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from minires import models
from minires.files import FileError
from minires.nn import Embedding, LayerNorm, Module, init
from minires.nn.module import dotted
from minires.text import shown

T = TypeVar("T")


class Stored(Protocol):
    """A tensor in a file: its shape is known, its numbers come when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self) -> NDArray[Any]: ...

    def forget(self) -> None: ...


_USUAL = ("state_dict", "model_state_dict", "model", "net")  # keys, the likeliest first


def find_state(content: Any, is_tensor: Callable[[Any], bool]) -> dict[str, Any]:
    """The state dict in a checkpoint: the checkpoint itself, or one of the values in it.

    Where it holds several (a model's and its moving average), the one under a usual name is taken:
    which of others is the right one, nobody but its author knows.

    Raises
    ------
    FileError
        If there is none, or several of which none has a usual name; the message says what there is.
    """

    def is_state(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and bool(value)
            and all(type(name) is str for name in value)
            and all(map(is_tensor, value.values()))
        )

    if is_state(content):
        return dict(content)
    if not isinstance(content, dict):
        raise FileError(f"it holds a {type(content).__name__}, not a state dict")
    inside = {key: value for key, value in content.items() if is_state(value)}
    usual = [name for name in _USUAL if name in inside]
    for name in usual or (inside if len(inside) == 1 else ()):
        return dict(inside[name])
    if inside:
        raise FileError(
            f"it holds several state dicts: {listed(map(str, inside), 8)}; "
            "save one of them by itself"
        )
    keys = ", ".join(
        shown(key, 40) if isinstance(key, str) else f"a key of type {type(key).__name__}"
        for key in list(content)[:8]
    )
    raise FileError(f"no value in it is a state dict; it holds: {keys or 'nothing'}")


# ---------------------------------------------------------------------- names

_WRAPPERS = ("module.", "_orig_mod.", "state_dict.")  # DataParallel's, torch.compile's
_RESNET = ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.weight")
_CONVNEXT = ("features.0.0.weight", "classifier.2.weight")  # the first and the last
_HEADS = {"classifier", "cls", "fc", "head", "last_linear", "linear", "logits", "output"}


def unwrapped(state: Mapping[str, T]) -> dict[str, T]:
    """Names without what wrappers put in front of every one: `module.conv1.weight`."""
    names = list(state)
    while names and (prefix := next((w for w in _WRAPPERS if names[0].startswith(w)), "")):
        if not all(name.startswith(prefix) for name in names):
            break
        names = [name.removeprefix(prefix) for name in names]
    return dict(zip(names, state.values(), strict=True))


def prefix_of(names: Collection[str], state: Iterable[str]) -> str:
    """What stands in front of a network's names in a state: `backbone.` of `backbone.conv1.weight`.

    It is found by what follows it, so that anybody's will do.

    Raises
    ------
    FileError
        If the state holds several such networks.
    """
    counts: collections.Counter[str] = collections.Counter()
    for key in state:
        starts = [0, *(i + 1 for i, letter in enumerate(key) if letter == ".")]
        counts.update(key[:start] for start in starts if key[start:] in names)
    most = max(counts.values(), default=0)
    best = [prefix for prefix, count in counts.items() if count == most]
    if "" in best or not best:
        return ""
    if len(best) > 1:
        raise FileError(f"it holds several such networks: {', '.join(map(shown, best[:8]))}")
    return best[0]


def without_prefix(names: Collection[str], state: Mapping[str, T]) -> dict[str, T]:
    """A state whose names are the network's, and what is beside it under its own names."""
    prefix = prefix_of(names, state)
    inside = {key for key in state if key.startswith(prefix)}
    found = {key.removeprefix(prefix): state[key] for key in state if key in inside}
    return {**{key: state[key] for key in state if key not in inside}, **found}


def named_as_in(model: Module, state: Mapping[str, T]) -> dict[str, T]:
    """A state by a model's names, as far as they are known: of those in use the one that fits."""
    own = model.state_dict()
    renamed = [
        without_prefix(own, {name.replace(old, new): tensor for name, tensor in state.items()})
        for old, new in (("", ""), ("self_attn.", "attention."))  # torch.nn.TransformerEncoderLayer
    ]
    tried = [names for each in renamed for names in (each, with_usual_names(each))]
    return max(tried, key=lambda names: len(own.keys() & names.keys()))


def with_usual_names(state: Mapping[str, T]) -> dict[str, T]:
    """A residual network's names as torchvision and minires have them, where others are in use.

    Some networks call the classifier `linear` or `head.fc`, and the projection `shortcut`.
    """
    if "layer1.0.conv1.weight" not in state:
        return {**state}
    heads = {name.rpartition(".")[0] for name in state if name.endswith((".weight", ".bias"))}
    heads = {head for head in heads if head.rpartition(".")[2] in _HEADS}
    renamed = {}
    for name, tensor in state.items():
        head, _, part = name.rpartition(".")
        if heads == {head} and part in ("weight", "bias"):
            name = f"fc.{part}"
        renamed[name.replace(".shortcut.", ".downsample.")] = tensor
    return renamed if len(renamed) == len(state) else {**state}


def listed(names: Iterable[str], most: int) -> str:
    """Names for a message, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more


# ---------------------------------------------------------------------- layout


def torch_axes(name: str, ndim: int) -> tuple[int, ...]:
    """How a tensor's axes stand in PyTorch: its weights' axes are (O, C, KH, KW) and (out, in).

    `array.transpose(axes)` brings PyTorch's into this library's order, without a copy.
    """
    last = name.rpartition(".")[2]
    if last in ("weight", "in_proj_weight") and ndim in (2, 4):
        return (2, 3, 1, 0) if ndim == 4 else (1, 0)
    if last == "layer_scale" and ndim == 3:  # of ConvNeXt, (C, 1, 1)
        return (1, 2, 0)
    return tuple(range(ndim))


def axes_in(model: Module) -> Callable[[str, int], tuple[int, ...]]:
    """`torch_axes` of a model's tensors; the tables of embeddings, say, are the same everywhere."""
    same = {
        dotted(name, "weight")
        for name, module in model.named_modules()
        if isinstance(module, Embedding | LayerNorm)
    }
    return lambda name, ndim: tuple(range(ndim)) if name in same else torch_axes(name, ndim)


# ---------------------------------------------------------------------- into a model


def build(name: str, state: Mapping[str, Stored], head: bool = True) -> Any:
    """The network `name`, its classes, channels and shortcuts as in a state dict.

    Raises
    ------
    FileError
        If these are no residual network's weights, or if they have no classifier and `head`.
    ValueError
        If there is no network of that name.
    """
    content = f"{len(state)} tensors: {listed(state, 6)}"
    convnext = name.startswith("convnext")
    stem, fc = _CONVNEXT if convnext else ("conv1.weight", "fc.weight")
    state = without_prefix(_CONVNEXT if convnext else _RESNET, state)
    state = state if convnext else with_usual_names(state)
    first, last = state.get(stem), state.get(fc)
    if first is None or len(first.shape) != 4:
        raise FileError(
            f"these are not the weights of {name}, which has {stem}; it holds {content}"
        )
    if last is None and head:
        raise FileError(_no_head(content))
    options = {}
    if "layer2.0.downsample.0.weight" in state:
        bottleneck = "layer1.0.conv3.weight" in state  # whose first block widens: B projects too
        everywhere = f"layer1.{int(bottleneck)}.downsample.0.weight" in state
        options = {"shortcut": "C" if everywhere else "B"}
    classes = last.shape[0] if last is not None and last.shape else None
    with init.skipped() if head else nullcontext():  # a new classifier is drawn
        return models.create(name, classes, first.shape[1], **options)


def _no_head(content: str) -> str:
    return (
        f"it has no classifier (fc.weight); it holds {content}. Without one it is for transfer: "
        "load_weights(..., head=False), or --replace-head of minires train"
    )


def load_state(model: Module, state: Mapping[str, Stored], head: bool = True) -> None:
    """Copy a state dict in PyTorch's layout into a model, one tensor at a time.

    Names are tried as they are, without what stands in front of them all, and then as torchvision
    has them. A batch norm's count of batches may be missing, as it is before PyTorch 0.4.1.

    Parameters
    ----------
    model : Module
    state : mapping of str to Stored
    head : bool
        False leaves a residual network's classifier as it is, whether or not the state has one,
        and what else follows the last stage.

    Raises
    ------
    FileError
        Naming the keys that are missing, unknown or of the wrong shape; nothing is loaded then.
    """
    own = model.state_dict()
    content = f"{len(state)} tensors: {listed(state, 6)}"
    state = named_as_in(model, state)
    if not head:
        own = {name: value for name, value in own.items() if not name.startswith("fc.")}
        parts = {name.partition(".")[0] for name in own}
        state = {k: v for k, v in state.items() if k in own or k.partition(".")[0] in parts}
    problems, axes_of = [], axes_in(model)
    missing = [name for name in own if name not in state]
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    unknown = [name for name in state if name not in own]
    if "fc.weight" in missing and not unknown and {*missing} <= {"fc.weight", "fc.bias"}:
        raise FileError(_no_head(content))
    if own and own.keys().isdisjoint(state):
        raise FileError(
            f"its weights do not fit: missing: {listed(missing, 3)}; it holds {content}"
        )
    for problem, names in (("missing", missing), ("unknown", unknown)):
        if names:
            problems.append(f"{problem}: {listed(names, 12)}")
    for name in (name for name in own if name in state):
        given = state[name].shape
        axes = axes_of(name, len(given))
        if tuple(given[axis] for axis in axes) != own[name].shape:
            back = np.argsort(axes_of(name, own[name].ndim))
            wanted = tuple(own[name].shape[axis] for axis in back)
            problems.append(f"{name} has shape {given}, wanted {wanted}")
    if problems:
        more = f"; and {len(problems) - 6} more" if len(problems) > 6 else ""
        raise FileError(f"its weights do not fit: {'; '.join(problems[:6])}{more}")
    for name, tensor in state.items():
        values = tensor.read().transpose(axes_of(name, len(tensor.shape)))
        own[name].copy_(values)
        tensor.forget()
