"""What a PyTorch file's pickle may name, and what it gets for it: tensors and plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires.interop.stored_tensor import Storage, StoredTensor
from minires.interop.unpickler import PickleError
from minires.text import shown

MOST_AXES = 32  # what every NumPy has

_DTYPES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
}


@dataclass(frozen=True)
class _StorageType:
    dtype: str


def _counts(values: Any) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > MOST_AXES:
        raise PickleError(
            f"a tensor's shape or strides are no tuple of at most {MOST_AXES} numbers"
        )
    if not all(type(v) is int and 0 <= v < 2**63 for v in values):
        raise PickleError("a tensor's offset, shape or strides are no whole numbers")
    return values


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *others: Any) -> StoredTensor:
    """A tensor, if it lies within its storage; its gradient's flag and hooks are left out."""
    if len(others) > 2 and others[2]:
        raise PickleError(f"a tensor is {shown(str(others[2]), 60)}, which is not known here")
    (offset,), shape, strides = _counts((offset,)), _counts(shape), _counts(strides)
    if not isinstance(storage, Storage) or len(shape) != len(strides):
        raise PickleError("a tensor's storage, shape and strides do not fit together")
    if 0 in shape:
        np.empty(shape, storage.stored)  # which fails where a length makes no sense
        return StoredTensor(storage, 0, shape, strides)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= storage.size:
        raise PickleError(f"a tensor of shape {shape} reaches beyond its {storage.size} numbers")
    if math.prod(shape) > storage.size:  # a copy of it would be larger than the file
        raise PickleError(f"a tensor of shape {shape} repeats its {storage.size} numbers")
    return StoredTensor(storage, offset, shape, strides)


def _same(value: Any, *_: Any) -> Any:
    return value


def _dict(*content: Any) -> dict[Any, Any]:
    """An OrderedDict, empty at first, or a Counter of what a dict says."""
    if content and (len(content) > 1 or type(content[0]) is not dict):
        raise PickleError("a dict is made in a way that PyTorch does not")
    return content[0] if content else {}


WHITELIST: dict[str, Any] = {
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,  # a schedule's milestones
    "torch._utils._rebuild_tensor": _tensor,  # up to PyTorch 0.3
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _same,
    "torch.Size": _same,
    "torch.device": _same,
    **{f"torch.{name}Storage": _StorageType(dtype) for name, dtype in _DTYPES.items()},
    **{f"torch.{dtype}": dtype for dtype in _DTYPES.values()},
}


class Storages(dict[str, Storage]):
    """The storages that a pickle refers to, by key."""

    def refer(self, identity: Any) -> Storage:
        """What stands for ("storage", type, key, device, size) in the pickle."""
        match identity:
            case ("storage", _StorageType(dtype), str(key), _, int(size), *rest) if (
                0 <= size < 2**63
            ):
                if any(part is not None for part in rest):
                    raise PickleError("a storage is a window on another, which is not supported")
                storage = self.setdefault(key, Storage(dtype, size))
                if (storage.dtype, storage.size) != (dtype, size):
                    raise PickleError(f"storage {shown(key, 40)} has two types or sizes")
                return storage
        raise PickleError("a tensor's data are described in a way that PyTorch does not")
