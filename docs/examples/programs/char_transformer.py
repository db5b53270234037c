"""A character Transformer: a small GPT, built from the layers, on a novel."""

import numpy as np

import minires
import minires.nn.functional as F
from minires import data, nn, optim


class Block(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.attn = nn.MultiheadAttention(n_embd, n_head, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd)
        )

    def forward(self, x):
        h = self.ln1(x)
        x = x + self.attn(h, h, h, need_weights=False, is_causal=True)[0]
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self, vocab_size, block_size, n_embd=32, n_head=4, n_layer=2):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.blocks = nn.Sequential(*[Block(n_embd, n_head) for _ in range(n_layer)])
        self.ln_f, self.lm_head = nn.LayerNorm(n_embd), nn.Linear(n_embd, vocab_size, bias=False)

    def forward(self, idx, targets=None):
        b, t = idx.shape
        x = self.wte(idx) + self.wpe(minires.arange(t))
        logits = self.lm_head(self.ln_f(self.blocks(x)))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(b * t, -1), targets.view(b * t))


def run(seed=0, steps=150, block_size=32, batch=16):
    minires.manual_seed(seed)
    text = data.pride_and_prejudice()
    chars = sorted(set(text))
    codes = np.searchsorted(chars, list(text))
    train, held_out = codes[:200_000], codes[200_000:]

    def get_batch(source, count):
        ix = minires.randint(0, len(source) - block_size, (count,)).numpy()
        x = source[ix[:, None] + np.arange(block_size + 1)]
        return minires.tensor(x[:, :-1]), minires.tensor(x[:, 1:])

    model = GPT(len(chars), block_size)
    optimizer = optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        _, loss = model(*get_batch(train, batch))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    with minires.no_grad():
        loss = model(*get_batch(held_out, 200))[1].item()
    counts = np.bincount(train) / len(train)
    frequency = -(counts * np.log(counts, where=counts > 0, out=np.zeros_like(counts))).sum()
    return {"loss": round(loss, 3), "loss by frequency": round(float(frequency), 3)}


if __name__ == "__main__":
    print(run())
