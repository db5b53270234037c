"""The layer that learns a vector for each of a number of things: words, letters, positions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np  # for the dtype only

from minires.nn import functional as F
from minires.nn import init
from minires.nn.module import Module, Parameter
from minires.tensors import Tensor


class Embedding(Module):
    """A table of vectors: integers (...) to their rows (..., embedding_dim).

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows, and the length of each.
    padding_idx : int, optional
        A row that starts as zeros and gets no gradient.

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim)
        At first standard normal: PyTorch's default, and its layout.

    Raises
    ------
    ValueError
        If a size is less than 1; when called, if a number names no row.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None
    ) -> None:
        super().__init__()
        if min(num_embeddings, embedding_dim) < 1:
            raise ValueError(
                f"Embedding wants at least one row and one column, got "
                f"num_embeddings={num_embeddings}, embedding_dim={embedding_dim}"
            )
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"Embedding: padding_idx {padding_idx} is no row of {num_embeddings}")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors anew, but for that of `padding_idx`, which is zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None
    ) -> Self:
        """A layer with these vectors (num_embeddings, embedding_dim); frozen ones do not learn."""
        rows, columns = embeddings.shape
        layer = cls(rows, columns, padding_idx)
        layer.weight = Parameter(embeddings.array, requires_grad=not freeze)
        return layer

    def forward(self, x: Any) -> Tensor:
        """Integers (...) to (..., embedding_dim)."""
        return F.embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"
