"""What an ONNX file says of its images, and of what was beside the network."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minires.interop.onnx_nodes import kind_of
from minires.text import shown


@dataclass
class Source:
    """The graph's input: 0 stands for a length that is free, None for a shape that is not said."""

    name: str
    elem_type: int
    lengths: tuple[int, ...] | None
    channels_last: bool = False

    @property
    def has_pixels(self) -> bool:
        """Whether it is of floating-point numbers: float32, float16, float64 or bfloat16."""
        return self.elem_type in (1, 10, 11, 16)

    def check(self, shape: tuple[int, ...]) -> None:
        """Whether images of this shape, in the graph's order, may go in.

        Raises
        ------
        ValueError
            If not, naming the shape that is wanted.
        """
        wanted = self.lengths
        if wanted is None:
            return
        if wanted and shape and wanted[0] not in (0, shape[0]):
            s = "" if wanted[0] == 1 else "s"
            raise ValueError(
                f"this network takes {wanted[0]} image{s} at a time, as its file declares, "
                f"got {shape[0]}"
            )
        fits = len(shape) == len(wanted)
        fits = fits and all(w in (0, n) for n, w in zip(shape[1:], wanted[1:], strict=True))
        if not fits:
            given, asked = ([*s] for s in (shape, wanted))
            if not self.channels_last:  # as minires has images, not as the graph does
                given, asked = (
                    s[:1] + s[2:] + s[1:2] if len(s) == 4 else s for s in (given, asked)
                )
            text = ", ".join(["N", *(str(n) if n else "any" for n in asked[1:])])
            raise ValueError(f"this network wants an input of shape ({text}), got {tuple(given)}")


def declared(value: Any) -> Source:
    """The graph's input or output as it declares it."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise ValueError(f"its input or output {shown(value.name, 60)} is no tensor")
    lengths = tuple(d.dim_value for d in kind.shape.dim) if kind.HasField("shape") else None
    return Source(value.name, kind.elem_type, lengths)


def metadata_of(proto: Any) -> dict[str, Any]:
    """What minires writes beside a network: how images are normalised, and names of classes."""
    found: dict[str, Any] = {}
    wanted = {"classes": str, "mean": int | float, "std": int | float, "size": int}
    for entry in proto.metadata_props:
        if entry.key in wanted:
            with contextlib.suppress(ValueError, RecursionError):
                values = json.loads(entry.value)
                if isinstance(values, list) and all(
                    isinstance(v, wanted[entry.key]) for v in values
                ):
                    found[entry.key] = values
    return found


# what gives the same whichever order the axes have
_ANY_ORDER = {"Add", "Cast", "Clip", "Div", "Identity", "Mul", "Neg", "Pad", "Pow", "Sub"}
_CHANNELS_FIRST = {"AveragePool", "BatchNormalization", "Conv", "GlobalAveragePool", "MaxPool"}


def channels_last(nodes: Sequence[Any], source: Source) -> bool:
    """Whether the graph itself wants images (N, H, W, C), as those from TensorFlow do.

    The nodes that come first say so, by the axes that they take for channels; where they do not,
    it is what the lengths look like.
    """
    if source.lengths is None or len(source.lengths) != 4:
        return False
    images, firsts = {source.name}, []
    for node in nodes:
        if images.isdisjoint(node.input) or kind_of(node) == "Shape":
            continue
        if node.op_type in _ANY_ORDER:
            images.update(node.output)
        else:
            firsts.append(node)
    if any(node.op_type in _CHANNELS_FIRST for node in firsts):
        return False
    orders = [[*a.ints] for n in firsts if n.op_type == "Transpose" for a in n.attribute]
    if [0, 3, 1, 2] in orders:
        return True
    return source.lengths[3] in (1, 3) and source.lengths[1] not in (1, 3)
