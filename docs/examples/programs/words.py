"""A makemore network: three letters in, the next one out, with an embedding and BatchNorm1d."""

import re

import numpy as np

import minires
import minires.nn.functional as F
from minires import data, nn, optim

LETTERS = ".abcdefghijklmnopqrstuvwxyz"  # the dot begins and ends a word


def examples(words):
    """Each letter of each word, and the three before it."""
    x, y = [], []
    for word in words:
        context = [0, 0, 0]
        for letter in word + ".":
            x.append(context)
            y.append(LETTERS.index(letter))
            context = [*context[1:], y[-1]]
    return minires.tensor(np.array(x)), minires.tensor(np.array(y))


def run(seed=0, steps=400):
    minires.manual_seed(seed)
    words = sorted(set(re.findall("[a-z]{3,}", data.pride_and_prejudice())))
    np.random.default_rng(seed).shuffle(words)
    x, y = examples(words[400:])
    held_out, held_out_y = examples(words[:400])

    model = nn.Sequential(
        nn.Embedding(27, 10),
        nn.Flatten(),
        nn.Linear(30, 100, bias=False),
        nn.BatchNorm1d(100),
        nn.Tanh(),
        nn.Linear(100, 27),
    )
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        chosen = minires.randint(0, len(x), (64,))
        loss = F.cross_entropy(model(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    model.eval()
    with minires.no_grad():
        loss = F.cross_entropy(model(held_out), held_out_y)
    counts = np.bincount(y.numpy(), minlength=27) / len(y)
    by_frequency = -np.log(counts[held_out_y.numpy()]).mean()
    return {"loss": round(loss.item(), 3), "loss by frequency": round(float(by_frequency), 3)}


if __name__ == "__main__":
    print(run())
