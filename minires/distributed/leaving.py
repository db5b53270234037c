"""A process that ends while others wait for it ends them too, in place of letting them wait."""

from __future__ import annotations

import atexit
import os
import sys
import time
from typing import Any, NoReturn

import numpy as np


class Calls:
    """How often each process has joined the others, for all to read without being asked.

    Processes of a right program end after equally many calls. One that ends and sees another in a
    call more knows that it waits in vain, be it for a `sys.exit`, a loop that was a step shorter or
    a `fit` that the first process alone called. Where nobody waits, whoever ends first waits for
    the others' end, as MPI would.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    window : type
        `mpi4py.MPI.Win`: memory of one process that others read (MPI-3's one-sided messages).
    """

    def __init__(self, comm: Any, window: Any) -> None:
        self.comm = comm.Dup()
        self.window = window.Allocate(8, comm=self.comm)
        self.own = np.frombuffer(self.window.tomemory(), np.int64)
        self.own[0] = 0
        self.window.Lock_all()
        self.comm.Barrier()
        atexit.register(self.end)

    def count(self) -> None:
        self.own[0] += 1
        self.window.Sync()

    def end(self) -> None:
        """Wait until all end, or end all that wait for this process."""
        everyone = self.comm.Ibarrier()
        while not everyone.Test():
            for rank in range(self.comm.Get_size()):
                theirs = np.zeros(1, np.int64)
                self.window.Get(theirs, rank)
                self.window.Flush(rank)
                if theirs[0] > self.own[0]:
                    print(
                        f"rank {self.comm.Get_rank()} has ended, and rank {rank} still waits for "
                        "it: all ranks must go through the same steps",
                        file=sys.__stderr__,
                    )
                    abort(self.comm, 1)
            time.sleep(0.05)
        self.window.Unlock_all()
        self.window.Free()


def abort(comm: Any, code: int) -> NoReturn:
    """End all processes at once."""
    for stream in (sys.stdout, sys.stderr, sys.__stderr__):
        if stream is not None:
            stream.flush()
    comm.Abort(code)
    os._exit(code)  # where MPI comes back, since others do the killing
