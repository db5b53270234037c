"""The processes that `mpirun` started, and what MPI carries between them."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import numpy as np

from minires.backend import Array, load_cupy, parse_device, to_device, to_host, xp_of
from minires.distributed.group import DistributedError, Group
from minires.distributed.leaving import Calls, abort
from minires.kernels import set_num_threads

Sum = Literal["ordered", "allreduce"]

INSTALL = "pip install 'minires[mpi]'"


class MPIGroup(Group):
    """All processes of an MPI communicator.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    sum : str
        `"ordered"`: each process adds up one part of the numbers for all, in rank order, and the
        parts are gathered. As many bytes are sent as by a ring, and the bits are those of a loop
        over the ranks. `"allreduce"`: MPI adds, in an order of its own; it may be faster.
    device : str
        This process's. From a GPU all goes over the host.
    """

    def __init__(self, comm: Any, sum: Sum = "ordered", device: str = "cpu") -> None:
        if sum not in get_args(Sum):
            raise ValueError(f"unknown sum {sum!r}: one of {', '.join(get_args(Sum))}")
        self.comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()
        self.how, self.device = sum, device
        self.calls: Calls | None = None  # of all processes, which must have equally many
        self._incoming = np.empty((0, 0))  # kept: new memory costs more than a message

    def _join(self) -> None:
        if self.calls is not None:
            self.calls.count()

    def sum(self, numbers: Array) -> None:
        self._join()
        mine = to_host(numbers)
        if self.how == "allreduce":
            self.comm.Allreduce(_mpi().IN_PLACE, mine)
        else:
            parts = mine.reshape(self.size, -1)
            if self._incoming.shape != parts.shape or self._incoming.dtype != parts.dtype:
                self._incoming = np.empty_like(parts)
            self.comm.Alltoall(parts, self._incoming)
            total = self._incoming[0]
            for part in self._incoming[1:]:
                total += part
            self.comm.Allgather(total, parts)
        if mine is not numbers:
            numbers[...] = to_device(mine, self.device)

    def gather(self, numbers: Array) -> Array:
        self._join()
        mine = np.ascontiguousarray(to_host(numbers))
        every = np.empty((self.size, *mine.shape), mine.dtype)
        self.comm.Allgather(mine, every)
        return every

    def broadcast(self, numbers: Array) -> None:
        self._join()
        mine = np.array(to_host(numbers), order="C")
        self.comm.Bcast(mine)
        numbers[...] = to_device(mine, self.device)

    def abort(self, code: int) -> NoReturn:
        abort(self.comm, code)


class NCCLGroup(MPIGroup):
    """A GPU for each process: MPI brings them together, and NCCL adds up what is on the GPUs.

    NCCL's order of adding is its own, and the same bits come to all.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    device : str
        This process's GPU, the current one.
    """

    def __init__(self, comm: Any, device: str) -> None:
        super().__init__(comm, "allreduce", device)
        self.nccl = load_cupy(parse_device(device)[1]).cuda.nccl
        key = self.exchange([*self.nccl.get_unique_id()] if self.rank == 0 else None)[0]
        self.ring = self.nccl.NcclCommunicator(self.size, tuple(key), self.rank)

    def sum(self, numbers: Array) -> None:
        xp = xp_of(numbers)
        if xp is np:
            return super().sum(numbers)
        self._join()
        kind = {"f": self.nccl.NCCL_FLOAT32, "d": self.nccl.NCCL_FLOAT64}[numbers.dtype.char]
        place, stream = numbers.data.ptr, xp.cuda.get_current_stream().ptr
        self.ring.allReduce(place, place, numbers.size, kind, self.nccl.NCCL_SUM, stream)


def launched() -> tuple[int, int]:
    """This process's rank and how many there are, by what `mpirun` left in the environment.

    (0, 1) where nothing did. MPI itself is not asked, and need not be installed.
    """
    for rank, size in (
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
        ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, and Slurm's srun
    ):
        if os.environ.get(rank, "").isdecimal() and os.environ.get(size, "").isdecimal():
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def world(sum: Sum = "ordered", device: str = "cpu") -> Group:
    """All processes that `mpirun` started; one by itself if nothing did.

    Each gets the threads that are its own: the cores that it may use, shared with the others on its
    machine that may use them too, unless `MINIRES_NUM_THREADS` says how many. From here on a
    process that ends while others wait for it ends all, be it by an error that nobody catches.

    Parameters
    ----------
    sum : str
        How gradients are added: `"ordered"` or `"allreduce"`, see `MPIGroup`.
    device : str
        `"cuda"` gives each process of a machine a GPU of its own, which is the `device` of the
        group then; NCCL adds up, in its own order, if CuPy has it.

    Raises
    ------
    DistributedError
        If mpi4py or an MPI is missing, `mpirun` belongs to another MPI than mpi4py uses, or a
        machine has fewer GPUs than processes.
    """
    group = MPIGroup(_mpi().COMM_WORLD, sum)
    if launched()[1] > group.size:
        raise DistributedError(
            f"mpirun started {launched()[1]} processes, but mpi4py sees {group.size}: they belong "
            f"to two MPIs. Use the mpirun beside this Python ({Path(sys.executable).parent})"
        )
    if parse_device(device)[0] != "cpu":
        with group.together(_tell_in_a_line):
            group = _on_gpus(group.comm, sum)
    if "MINIRES_NUM_THREADS" not in os.environ:
        set_num_threads(_threads(group))
    if group.size > 1:
        group.calls = _calls()
    return group


@cache  # one for the whole process, however many groups there are
def _calls() -> Calls:
    return Calls(_mpi().COMM_WORLD, _mpi().Win)


def _tell_in_a_line(error: BaseException) -> None:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)


def _on_gpus(comm: Any, sum: Sum) -> MPIGroup:
    """Each process of a machine on the next of its GPUs."""
    cupy = load_cupy()
    number = comm.Split_type(_mpi().COMM_TYPE_SHARED).Get_rank()
    count = cupy.cuda.runtime.getDeviceCount()
    if count == 1:  # as where Slurm shows each process the one that it gets
        number = 0
    elif number >= count:
        raise DistributedError(f"{count} GPUs are too few for the processes on one machine")
    cupy.cuda.Device(number).use()
    device = f"cuda:{number}"
    if comm.Get_size() > 1 and getattr(getattr(cupy.cuda, "nccl", None), "available", False):
        return NCCLGroup(comm, device)
    return MPIGroup(comm, sum, device)


def _threads(group: MPIGroup) -> int:
    """This process's part of the cores: of one that k processes may use, a kth."""
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
    else:
        cores = list(range(os.cpu_count() or 1))
    beside = MPIGroup(group.comm.Split_type(_mpi().COMM_TYPE_SHARED))  # on this machine
    users = [core for others in beside.exchange(cores) for core in others]
    return max(1, int(sum(1 / users.count(core) for core in cores) + 1e-6))


def _mpi() -> Any:
    try:
        from mpi4py import MPI  # not at the top: to import it starts MPI
    except ImportError as error:
        raise DistributedError(f"mpi4py is missing: {INSTALL}") from error
    except RuntimeError as error:  # mpi4py is there, its MPI is not
        raise DistributedError(f"mpi4py finds no MPI: {INSTALL} ({error})") from error
    return MPI
