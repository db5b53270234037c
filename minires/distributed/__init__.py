"""Data-parallel training: every process has the whole network and a stretch of every batch.

What the stretches say about the weights is added up before the optimiser steps, so that all copies
of the network stay equal::

    mpirun -n 4 minires train --distributed

Processes exchange messages by MPI (``pip install 'minires[mpi]'``). In a script,
``fit(..., group=world())`` does all of it; `DataParallel` is for a loop of one's own.
"""

from minires.distributed.batch_norm import sync_batch_norm
from minires.distributed.group import DistributedError, Group, agreed
from minires.distributed.mpi import MPIGroup, NCCLGroup, launched, world
from minires.distributed.parallel import DataParallel

__all__ = [
    "DataParallel",
    "DistributedError",
    "Group",
    "MPIGroup",
    "NCCLGroup",
    "agreed",
    "launched",
    "sync_batch_norm",
    "world",
]
