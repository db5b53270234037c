"""Batch norm's running statistics, measured anew for the weights as they are now.

In training they trail behind the batches', and while the weights change fast they describe a
network that is no longer there: a good network evaluated with them can look like an accident.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minires.grad_mode import no_grad
from minires.nn import BatchNorm1d, BatchNorm2d, Module
from minires.nn.modes import evaluating
from minires.tensors import Tensor
from minires.training.evaluate import device_of_model


def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Set every batch norm's running statistics to their mean over the batches of `loader`.

    They are what evaluation normalises with. Weights and modes stay as they are, and so does a
    batch norm in evaluation mode, as in a frozen part.

    Parameters
    ----------
    loader : iterable of arrays or Tensors (N, ...), or of tuples that begin with one
        Inputs prepared as for training, such as a `DataLoader`'s batches. If there is none, nothing
        changes.
    model : Module
        In training mode; only its batch norms are in it while this runs, as dropout would change
        the statistics.

    References
    ----------
    Y. Wu and J. Johnson, *Rethinking "Batch" in BatchNorm*, 2021, arXiv:2105.07576, section 3:
    the mean of all batches' statistics with the weights held still, "PreciseBN". The name is that
    of PyTorch's `torch.optim.swa_utils.update_bn`.
    """
    norms = tracking(model)
    if not norms:
        return
    device = device_of_model(model)
    with evaluating(model), _measuring(norms), no_grad():
        for done, batch in enumerate(loader):
            for norm in norms:
                norm.momentum = 1 / (done + 1)  # so that each batch counts the same
                if not done:  # nor may what was there before, which may be infinite
                    norm.running_mean.data.fill(0)
                    norm.running_var.data.fill(1)
            images = batch[0] if isinstance(batch, tuple | list) else batch
            model(Tensor(images).to(device))


def tracking(model: Module) -> list[Any]:
    """The batch norms in training mode that keep running statistics."""
    return [
        module
        for module in model.modules()
        if isinstance(module, BatchNorm1d | BatchNorm2d)
        and module.training
        and module.track_running_stats
    ]


@contextmanager
def _measuring(norms: list[Any]) -> Iterator[None]:
    """In the block these are in training mode; their momentum and count come back afterwards."""
    kept = [(norm, norm.momentum, norm.num_batches_tracked.data.copy()) for norm in norms]
    for norm in norms:
        norm.training = True
    try:
        yield
    finally:
        for norm, momentum, count in kept:
            norm.momentum = momentum
            norm.num_batches_tracked.data[...] = count
