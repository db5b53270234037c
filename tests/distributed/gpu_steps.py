"""Steps of training on emulated GPUs, one for each process; NCCL is a stand-in that goes over MPI.

With the argument `real`, on real GPUs with NCCL itself. The stand-in reads and writes where the
pointers that it gets point to: an emulated GPU has its memory here.
"""

import ctypes
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import same_shares
from on_cupy import emulation
from same_shares import IMAGES, LABELS

from minires import Tensor
from minires.distributed import DataParallel, Group, NCCLGroup, sync_batch_norm, world
from minires.nn import functional as F

STEPS, SIZE = 3, 23


class Communicator:
    """As `cupy.cuda.nccl.NcclCommunicator`: the same key in all, sums in place."""

    calls = 0

    def __init__(self, ndev, commId, rank):
        from mpi4py import MPI

        self.comm, self.add = MPI.COMM_WORLD, MPI.SUM
        keys = self.comm.allgather(commId)
        assert (ndev, rank) == (self.comm.Get_size(), self.comm.Get_rank())
        assert isinstance(commId, tuple)
        assert len(commId) == 128
        assert len(set(keys)) == 1

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream):
        assert (sendbuf, op) == (recvbuf, 0)
        kind = {7: ctypes.c_float, 8: ctypes.c_double}[datatype]
        numbers = np.ctypeslib.as_array(ctypes.cast(sendbuf, ctypes.POINTER(kind)), (count,))
        numbers[...] = sum(self.comm.allgather(numbers.copy()))
        Communicator.calls += 1


NCCL = SimpleNamespace(
    available=True,
    NCCL_FLOAT32=7,
    NCCL_FLOAT64=8,
    NCCL_SUM=0,
    get_unique_id=lambda: tuple(np.random.default_rng().integers(-128, 128, 128).tolist()),
    NcclCommunicator=Communicator,
)


def steps(group, device):
    model, optimizer = same_shares.build("resnet8", "sgd")
    model.to(device)
    parallel = DataParallel(model, group)
    with sync_batch_norm(group):
        for step in range(STEPS):
            mine, share = parallel.part(same_shares.batch(step, SIZE))
            optimizer.zero_grad()
            logits = model(Tensor(IMAGES[mine]).to(device))
            (F.cross_entropy(logits, LABELS[mine]) * share).backward()
            parallel.synchronize(share)
            optimizer.step()
    parallel.check()
    return [p.numpy() for p in (*model.parameters(), *model.buffers())]


if __name__ == "__main__":
    if sys.argv[1:] != ["real"]:
        emulation.install().cupy.cuda.nccl = NCCL
    group = world(device="cuda")
    got = steps(group, group.device)
    wanted = steps(Group(), "cpu")
    worst = max(float(abs(g - w).max() / abs(w).max()) for g, w in zip(got, wanted, strict=True))
    found = [group.device, isinstance(group, NCCLGroup), Communicator.calls, worst]
    Path(f"rank-{group.rank}.json").write_text(json.dumps(found))
