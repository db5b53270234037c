"""Attention of several heads (Vaswani et al. 2017, arXiv:1706.03762)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np  # for the dtype only

from minires import ops
from minires.dtypes import of_truth_values
from minires.nn import functional as F
from minires.nn import init
from minires.nn.linear import Linear
from minires.nn.module import Module, Parameter
from minires.tensors import Tensor


class MultiheadAttention(Module):
    """Each position gathers from others what it looks for, with several heads side by side.

    Queries, keys and values are linear functions of the inputs; each head has its share of their
    features and computes softmax(Q K^T / sqrt(d)) V; another linear layer mixes what they found.

    Parameters
    ----------
    embed_dim : int
    num_heads : int
        A divisor of embed_dim.
    dropout : float
        Of the attention weights, in training.
    bias : bool
        Of both linear layers.
    batch_first : bool
        True, always: inputs are (N, L, embed_dim). PyTorch's default is False.

    Attributes
    ----------
    in_proj_weight : Parameter (embed_dim, 3 embed_dim)
        For queries, keys and values side by side, at first uniform as by `xavier_uniform_`.
        PyTorch's is (3 embed_dim, embed_dim).
    in_proj_bias : Parameter (3 embed_dim,) or None
        At first 0, and so is that of `out_proj`.
    out_proj : Linear

    Raises
    ------
    ValueError
        If num_heads does not divide embed_dim, or the batch shall not come first.

    References
    ----------
    A. Vaswani et al., *Attention is all you need*, 2017, arXiv:1706.03762, section 3.2.2.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = True,
    ) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention wants an embed_dim that num_heads divides, got "
                f"embed_dim={embed_dim}, num_heads={num_heads}"
            )
        if not batch_first:
            raise ValueError(
                "MultiheadAttention has the batch first, (N, L, embed_dim): write "
                "batch_first=True, and x.transpose(1, 0, 2) for an input (L, N, embed_dim)"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"MultiheadAttention wants a dropout from 0 to below 1, got {dropout}")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.in_proj_weight = Parameter(np.empty((embed_dim, 3 * embed_dim), np.float32))
        self.in_proj_bias = Parameter(np.empty(3 * embed_dim, np.float32)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        init.xavier_uniform_(self.in_proj_weight)
        for each in (self.in_proj_bias, self.out_proj.bias):
            if each is not None:
                init.zeros_(each)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """What each query gathers, and how much of each value that is.

        Parameters
        ----------
        query : (N, L, embed_dim)
        key, value : (N, S, embed_dim)
        key_padding_mask : (N, S), optional
            True for keys that nobody may look at; or numbers added to the scores.
        need_weights : bool
            Whether to return the weights; without it the second result is None.
        attn_mask : (L, S) or (N * num_heads, L, S), optional
            True where a query may *not* look, as in PyTorch's layer (and not in
            `scaled_dot_product_attention`); or numbers added to the scores.
        average_attn_weights : bool
            Over the heads: (N, L, S), else (N, num_heads, L, S).
        is_causal : bool
            Position i sees positions 0 to i only. No mask is needed beside it, and one that lets
            it see more is an error.

        Returns
        -------
        Tensor (N, L, embed_dim)
        Tensor (N, L, S) or None
        """
        self._check(query, key, value)
        n, length = query.shape[:2]
        q, k, v = (
            self._heads(x, part) for part, x in enumerate((query, key, value))
        )  # (N, heads, L or S, d)
        mask = self._mask(query, key, attn_mask, key_padding_mask, is_causal)
        weights = F.attention_weights(q, k, mask)
        gathered = ops.matmul(F.dropout(weights, self.dropout, self.training), v)
        joined = gathered.transpose(0, 2, 1, 3).reshape(n, length, self.embed_dim)
        out: Tensor = self.out_proj(joined)
        if not need_weights:
            return out, None
        return out, weights.mean(1) if average_attn_weights else weights

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.ndim != 3 or x.shape[2] != self.embed_dim or x.shape[0] != query.shape[0]:
                raise ValueError(
                    f"MultiheadAttention wants (N, length, {self.embed_dim}), got a {name} of "
                    f"{tuple(x.shape)}"
                )
        if key.shape[1] != value.shape[1]:
            raise ValueError(
                f"MultiheadAttention wants a value for each key, got {key.shape[1]} keys and "
                f"{value.shape[1]} values"
            )

    def _heads(self, x: Tensor, part: int) -> Tensor:
        """Queries (part 0), keys (1) or values (2): (N, L, embed_dim) to (N, heads, L, d)."""
        columns = slice(part * self.embed_dim, (part + 1) * self.embed_dim)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[columns]
        y = F.linear(x, self.in_proj_weight[:, columns], bias)
        split = y.reshape(*x.shape[:2], self.num_heads, self.embed_dim // self.num_heads)
        return split.transpose(0, 2, 1, 3)

    def _mask(
        self, query: Tensor, key: Tensor, attn_mask: Any, key_padding_mask: Any, is_causal: bool
    ) -> Tensor | None:
        """All masks as one that is added to the scores (N, heads, L, S)."""
        n, length, sources = query.shape[0], query.shape[1], key.shape[1]
        ahead = ~np.tri(length, sources, dtype=bool) if is_causal else None
        masks = [] if ahead is None else [_added(ahead, query)]
        if attn_mask is not None:
            mask = _added(attn_mask, query)
            if mask.shape == (n * self.num_heads, length, sources) and mask.ndim == 3:
                mask = mask.reshape(n, self.num_heads, length, sources)
            elif mask.shape != (length, sources):
                raise ValueError(
                    f"MultiheadAttention wants an attn_mask of {(length, sources)} or "
                    f"{(n * self.num_heads, length, sources)}, got {tuple(mask.shape)}"
                )
            if ahead is not None and (mask.numpy()[..., ahead] > -math.inf).any():
                raise ValueError(
                    "MultiheadAttention: is_causal=True beside an attn_mask that lets queries look "
                    "ahead: leave one of them out"
                )
            masks.append(mask)
        if key_padding_mask is not None:
            mask = _added(key_padding_mask, query)
            if mask.shape != (n, sources):
                raise ValueError(
                    f"MultiheadAttention wants a key_padding_mask of {(n, sources)}, got "
                    f"{tuple(mask.shape)}"
                )
            masks.append(mask.reshape(n, 1, 1, sources))
        return sum(masks[1:], masks[0]) if masks else None

    def extra_repr(self) -> str:
        text = f"embed_dim={self.embed_dim}, num_heads={self.num_heads}"
        return f"{text}, dropout={self.dropout}" if self.dropout else text

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        """Of attention to itself: three projections, scores, and weighted sums."""
        n, length, features = output_shape
        return n * length * features * (3 * features + 2 * length)


def _added(mask: Any, like: Tensor) -> Tensor:
    """Numbers to add to scores: minus infinity where a mask of truth values is true."""
    given = mask if isinstance(mask, Tensor) else Tensor(mask)
    given = given.to(like.device)
    if not of_truth_values(given.dtype):
        return given.astype(like.dtype) if given.dtype != like.dtype else given
    zeros = Tensor(np.zeros(given.shape, like.dtype)).to(like.device)
    masked: Tensor = ops.where(given, -math.inf, zeros)
    return masked
