"""A node of an ONNX graph as its readers see it: Python values, and inputs that are constants."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minires.text import shown

OWN_DOMAIN = ("", "ai.onnx")

# attributes that change nothing here: whatever they say (None), or where they say this
HARMLESS: dict[str, int | None] = dict.fromkeys(("ratio", "seed", "storage_order")) | {"spatial": 1}


def kind_of(node: Any) -> str:
    """A node's operation, with its domain where that is not ONNX's own."""
    return shown(node.op_type if node.domain in OWN_DOMAIN else f"{node.domain}.{node.op_type}")


class Node:
    """A node with its attributes as Python values, and those inputs that are constants."""

    def __init__(
        self,
        onnx: Any,
        node: Any,
        constants: Mapping[str, NDArray[Any]],
        tensors: Collection[str],
        opset: int,
    ) -> None:
        self.kind, self.name = kind_of(node), shown(node.name or node.output[0], 60)
        self.inputs, self.outputs = tuple(node.input), tuple(node.output)
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        self.constants, self.tensors, self.opset = constants, tensors, opset
        self.read: set[str] = set()

    def get(self, name: str, default: Any) -> Any:
        """An attribute, text as a string."""
        self.read.add(name)
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def given(self, index: int) -> bool:
        """Whether there is an input number `index`."""
        return index < len(self.inputs) and bool(self.inputs[index])

    def is_constant(self, index: int) -> bool:
        """Whether input number `index` is known without any image."""
        return self.given(index) and self.inputs[index] in self.constants

    def computed(self, index: int) -> bool:
        """Whether input number `index` is a Tensor."""
        return self.given(index) and self.inputs[index] in self.tensors

    def constant(self, index: int) -> Any:
        """The constant that is input number `index`; None where there is no such input."""
        if not self.given(index):
            return None
        if not self.is_constant(index):
            raise ValueError(f"{shown(self.inputs[index], 60)} is computed, a constant was wanted")
        return self.constants[self.inputs[index]]

    def numbers(self, name: str) -> NDArray[Any] | None:
        """A list that older opsets have as an attribute and newer ones as an input."""
        value = self.get(name, None)
        return None if value is None else np.array(value)

    def refuse(self, what: str) -> ValueError:
        return ValueError(f"{what} is not known here")

    def refuse_unread(self) -> None:
        """An attribute that its reader did not look at may say that something else is meant."""
        for name, value in self.attributes.items():
            if name not in self.read and HARMLESS.get(name, object()) not in (None, value):
                raise self.refuse(f"the attribute {shown(name, 60)}")
