"""A Transformer of residual blocks (Vaswani et al. 2017), and a model of texts letter by letter."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires import nn, random
from minires.grad_mode import no_grad
from minires.nn.modes import evaluating
from minires.tensors import Tensor


class TransformerBlock(nn.Module):
    """Attention and two linear layers, each on a branch of its own, normalised at its start.

    x -> x + attention(norm1(x)) -> x + mlp(norm2(x))

    The normalisation stands on the branch ("pre-norm"), so that the identity runs unbroken through
    all blocks, as in `PreActBlock`. Vaswani et al. had it after the sum, which is harder to train.

    Parameters
    ----------
    embed_dim, num_heads : int
    expansion : int
        How many times as many features lie between the linear layers.
    dropout : float
        Of the attention weights and of what either branch adds, in training.
    causal : bool
        Whether a position sees only itself and what comes before.

    References
    ----------
    R. Xiong et al., *On layer normalization in the Transformer architecture*, ICML 2020,
    arXiv:2002.04745, figure 1b.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        expansion: int = 4,
        dropout: float = 0.0,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.norm1 = nn.LayerNorm(embed_dim)
        self.attention = nn.MultiheadAttention(embed_dim, num_heads, dropout)
        self.norm2 = nn.LayerNorm(embed_dim)
        self.linear1 = nn.Linear(embed_dim, expansion * embed_dim)
        self.gelu = nn.GELU()
        self.linear2 = nn.Linear(expansion * embed_dim, embed_dim)
        self.dropout = nn.Dropout(dropout)
        self.add = nn.Add()

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, embed_dim)."""
        h = self.norm1(x)
        found, _ = self.attention(h, h, h, need_weights=False, is_causal=self.causal)
        x = self.add(x, self.dropout(found))
        thought = self.linear2(self.gelu(self.linear1(self.norm2(x))))
        y: Tensor = self.add(x, self.dropout(thought))
        return y


class CharTransformer(nn.Module):
    """What comes next in a text, from what came before, for every position of it at once.

    Parameters
    ----------
    vocab_size : int
        How many different characters there are; they are numbered from 0.
    context : int
        How many characters it can look back on.
    embed_dim, num_heads, depth : int
        Features, heads of each attention, and blocks.
    dropout : float

    Attributes
    ----------
    architecture : dict
        What `minires.models.create` wants to build this network again.
    """

    def __init__(
        self,
        vocab_size: int,
        context: int = 64,
        embed_dim: int = 64,
        num_heads: int = 4,
        depth: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if context < 1:
            raise ValueError(f"CharTransformer wants a context of at least 1, got {context}")
        self.architecture: dict[str, Any] = {}
        self.context = context
        self.tokens = nn.Embedding(vocab_size, embed_dim)
        self.positions = nn.Embedding(context, embed_dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(TransformerBlock(embed_dim, num_heads, 4, dropout, causal=True) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, vocab_size, bias=False)
        for module in self.modules():  # Radford et al. 2018, section 4.1
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Any) -> Tensor:
        """Characters' numbers (N, L) to logits (N, L, vocab_size) of what follows each.

        L is at most the context. Position i depends on characters 0 to i only.
        """
        if len(x.shape) != 2 or x.shape[1] > self.context:
            raise ValueError(
                f"CharTransformer wants numbers of characters (N, L) with L up to {self.context}, "
                f"got {tuple(x.shape)}"
            )
        h = self.tokens(x) + self.positions(np.arange(x.shape[1]))
        logits: Tensor = self.head(self.norm(self.blocks(self.dropout(h))))
        return logits

    def generate(self, start: Any, count: int, temperature: float = 1.0) -> np.ndarray:
        """Go on with a text: draw `count` characters, one after the other.

        Parameters
        ----------
        start : integers (L,)
            The numbers of what is there already, at least one.
        count : int
        temperature : float
            Logits are divided by it: near 0 the likeliest character is taken, above 1 unlikelier
            ones come oftener.

        Returns
        -------
        array (L + count,)
            The start and what was drawn, from `minires.random`.

        Raises
        ------
        ValueError
            If there is nothing to start from, or the temperature is not positive.
        """
        text = [int(number) for number in start]
        if not text or not temperature > 0:
            raise ValueError(
                f"generate wants a start of at least one character and a temperature above 0, got "
                f"{len(text)} characters and {temperature}"
            )
        with evaluating(self), no_grad():
            for _ in range(count):
                logits = self(np.asarray([text[-self.context :]])).numpy()[0, -1]
                scaled = (logits - logits.max()).astype(np.float64) / temperature
                chances = np.exp(scaled) / np.exp(scaled).sum()
                text.append(int(random.generator().choice(len(chances), p=chances)))
        return np.asarray(text)
