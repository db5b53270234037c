"""A variational autoencoder of digits: encode to a mean and a spread, draw, decode."""

import numpy as np

import minires
import minires.nn.functional as F
from minires import data, nn, optim


class VAE(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.fc1 = nn.Linear(64, 100)
        self.fc21, self.fc22 = nn.Linear(100, latent), nn.Linear(100, latent)
        self.fc3, self.fc4 = nn.Linear(latent, 100), nn.Linear(100, 64)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def reparameterize(self, mu, logvar):
        std = minires.exp(0.5 * logvar)
        return mu + std * minires.randn_like(std)

    def decode(self, z):
        return self.fc4(F.relu(self.fc3(z)))  # logits

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(logits, x, mu, logvar):
    """What an image costs in nats, at most: its pixels given the code, and the code."""
    bce = F.binary_cross_entropy_with_logits(logits, x.view(-1, 64), reduction="sum")
    kld = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum()
    return (bce + kld) / len(x)


def run(seed=0, epochs=15):
    minires.manual_seed(seed)
    train, test = (
        minires.tensor(data.digits(part).images, dtype=minires.float32) / 255
        for part in (True, False)
    )
    model = VAE()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for chosen in minires.randperm(len(train)).numpy()[:1408].reshape(-1, 64):
            batch = train[chosen]
            logits, mu, logvar = model(batch)
            loss = loss_function(logits, batch, mu, logvar)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    with minires.no_grad():
        logits, mu, logvar = model(test)
        cost = loss_function(logits, test, mu, logvar).item()
    mean, pixels = train.numpy().mean(axis=0).clip(1e-3, 1 - 1e-3), test.numpy()
    without = -(pixels * np.log(mean) + (1 - pixels) * np.log(1 - mean)).sum() / len(pixels)
    return {"nats an image": round(cost, 2), "by the mean image": round(float(without), 2)}


if __name__ == "__main__":
    print(run())
