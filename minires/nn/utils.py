"""What PyTorch keeps in `nn.utils`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from minires.creation import cat
from minires.from_pytorch import module_getattr
from minires.optim.clipping import clip_grad_norm_, clip_grad_value_
from minires.tensors import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All numbers of the parameters in one vector."""
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write what `parameters_to_vector` gave into parameters of the same shapes.

    Raises
    ------
    ValueError
        If the vector is too short for them.
    """
    first = 0
    for parameter in parameters:
        end = first + parameter.numel()
        parameter.copy_(vec.detach()[first:end].reshape(parameter.shape))
        first = end


if not TYPE_CHECKING:
    __getattr__ = module_getattr("nn.utils", __name__, later=("clip_grad",))

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "vector_to_parameters",
]
