"""Other people's state dicts: found in their file, named and laid out as minires has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from minires import models
from minires.files import FileError
from minires.nn import Module, init
from minires.text import shown

T = TypeVar("T")


class Stored(Protocol):
    """A tensor in a file: its shape is known, its numbers come when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read(self) -> NDArray[Any]: ...

    def forget(self) -> None: ...


def find_state(content: Any, is_tensor: Callable[[Any], bool]) -> dict[str, Any]:
    """The state dict in a checkpoint: the checkpoint itself, or one of the values in it.

    Where it holds several (a model's and its moving average), the one under a usual name is taken.

    Raises
    ------
    FileError
        If there is none; the message says what there is.
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
    for name in ("state_dict", "model_state_dict", "model", "net", *inside):
        if name in inside:
            return dict(inside[name])
    keys = ", ".join(
        shown(key, 40) if isinstance(key, str) else f"a key of type {type(key).__name__}"
        for key in list(content)[:8]
    )
    raise FileError(f"no value in it is a state dict; it holds: {keys or 'nothing'}")


# ---------------------------------------------------------------------- names

_WRAPPERS = ("module.", "_orig_mod.", "state_dict.")  # DataParallel's, torch.compile's


def unwrapped(state: Mapping[str, T]) -> dict[str, T]:
    """Names without what wrappers put in front of every one: `module.conv1.weight`."""
    names = list(state)
    while names and (prefix := next((w for w in _WRAPPERS if names[0].startswith(w)), "")):
        if not all(name.startswith(prefix) for name in names):
            break
        names = [name.removeprefix(prefix) for name in names]
    return dict(zip(names, state.values(), strict=True))


def with_usual_names(state: Mapping[str, T]) -> dict[str, T]:
    """A residual network's names as torchvision and minires have them, where others are in use.

    Some networks call the classifier `linear` and the projection `shortcut`.
    """
    renamed = {}
    for name, tensor in state.items():
        if name.startswith("linear."):
            name = "fc." + name.removeprefix("linear.")
        renamed[name.replace(".shortcut.", ".downsample.")] = tensor
    return renamed if len(renamed) == len(state) and "layer1.0.conv1.weight" in state else {**state}


# ---------------------------------------------------------------------- layout


def torch_axes(name: str, ndim: int) -> tuple[int, ...]:
    """How a tensor's axes stand in PyTorch: its weights' axes are (O, C, KH, KW) and (out, in).

    `array.transpose(axes)` brings PyTorch's into this library's order, without a copy.
    """
    if name.rpartition(".")[2] == "weight" and ndim in (2, 4):
        return (2, 3, 1, 0) if ndim == 4 else (1, 0)
    return tuple(range(ndim))


def read_in_our_layout(name: str, tensor: Stored) -> NDArray[Any]:
    """A tensor's numbers as this library has them: (KH, KW, C, O), (in, out)."""
    return tensor.read().transpose(torch_axes(name, len(tensor.shape)))


# ---------------------------------------------------------------------- into a model


def build(name: str, state: Mapping[str, Stored]) -> models.ResNet:
    """The network `name`, its classes, channels and shortcuts as in a state dict.

    Raises
    ------
    FileError
        If these are no residual network's weights.
    ValueError
        If there is no network of that name.
    """
    state = with_usual_names(state)
    try:
        classes, channels = state["fc.weight"].shape[0], state["conv1.weight"].shape[1]
    except (KeyError, IndexError):
        raise FileError(
            f"these are not the weights of {name}: no conv1.weight, fc.weight"
        ) from None
    options = {}
    if "layer2.0.downsample.0.weight" in state:
        bottleneck = "layer1.0.conv3.weight" in state  # whose first block widens: B projects too
        everywhere = f"layer1.{int(bottleneck)}.downsample.0.weight" in state
        options = {"shortcut": "C" if everywhere else "B"}
    with init.skipped():
        return models.create(name, classes, channels, **options)


def load_state(model: Module, state: Mapping[str, Stored]) -> None:
    """Copy a state dict in PyTorch's layout into a model, one tensor at a time.

    Names are tried as they are, then as torchvision has them. A batch norm's count of batches may
    be missing, as it is before PyTorch 0.4.1.

    Raises
    ------
    FileError
        Naming the keys that are missing, unknown or of the wrong shape; nothing is loaded then.
    """
    own = model.state_dict()
    state = max(state, with_usual_names(state), key=lambda names: len(own.keys() & names.keys()))
    problems = []
    missing = [name for name in own if name not in state]
    for problem, names in (
        ("missing", [name for name in missing if not name.endswith("num_batches_tracked")]),
        ("unknown", [name for name in state if name not in own]),
    ):
        if names:
            more = f" and {len(names) - 12} more" if len(names) > 12 else ""
            problems.append(f"{problem}: {', '.join(map(shown, names[:12]))}{more}")
    for name in (name for name in own if name in state):
        given = state[name].shape
        axes = torch_axes(name, len(given))
        if tuple(given[axis] for axis in axes) != own[name].shape:
            wanted = tuple(
                own[name].shape[axis] for axis in np.argsort(torch_axes(name, own[name].ndim))
            )
            problems.append(f"{name} has shape {given}, wanted {wanted}")
    if problems:
        more = f"; and {len(problems) - 6} more" if len(problems) > 6 else ""
        raise FileError(f"its weights do not fit: {'; '.join(problems[:6])}{more}")
    for name, tensor in state.items():
        values = read_in_our_layout(name, tensor)
        own[name].copy_(values)
        tensor.forget()
