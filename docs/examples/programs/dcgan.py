"""A DCGAN of digits: a generator of transposed convolutions against a discriminator."""

import numpy as np

import minires
from minires import data, nn, optim


def networks(nz=16, width=16):
    generator = nn.Sequential(
        nn.ConvTranspose2d(nz, 2 * width, 2, 1, 0, bias=False),  # 1 x 1 to 2 x 2
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),  # to 4 x 4
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1, bias=False),  # to 8 x 8
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 1, 2, 1, 0, bias=False),
        nn.Flatten(),
    )
    for module in [*generator.modules(), *discriminator.modules()]:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
    return generator, discriminator


def run(seed=0, steps=200, batch=64, nz=16):
    minires.manual_seed(seed)
    real = minires.tensor(data.digits().images, dtype=minires.float32) / 127.5 - 1
    netG, netD = networks(nz)
    fixed_noise = minires.randn(256, 1, 1, nz)  # channels last
    criterion = nn.BCEWithLogitsLoss()
    optimizerD = optim.Adam(netD.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=2e-3, betas=(0.5, 0.999))
    ones, zeros = minires.ones(batch, 1), minires.zeros(batch, 1)

    def distance():
        """Between the mean images of both, and between their spreads."""
        with minires.no_grad():
            fake, true = netG(fixed_noise).numpy(), real.numpy()
        return float(
            np.abs(fake.mean(0) - true.mean(0)).mean() + np.abs(fake.std(0) - true.std(0)).mean()
        )

    before = distance()
    for _ in range(steps):
        fake = netG(minires.randn(batch, 1, 1, nz))
        netD.zero_grad()
        chosen = minires.randint(0, len(real), (batch,))
        errD = criterion(netD(real[chosen]), ones) + criterion(netD(fake.detach()), zeros)
        errD.backward()
        optimizerD.step()

        netG.zero_grad()
        errG = criterion(netD(fake), ones)  # the generator wants them taken for real
        errG.backward()
        optimizerG.step()
    return {"distance before": round(before, 3), "distance": round(distance(), 3)}


if __name__ == "__main__":
    print(run())
