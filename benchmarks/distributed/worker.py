"""One of the processes that are timed: steps of training, and the part that is the sum.

Images are random, and each rank has a stretch of one batch; the first rank prints what it found.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from statistics import median

import numpy as np

from minires import Tensor, kernels, models, optim, random
from minires.distributed import DataParallel, sync_batch_norm, world
from minires.nn import functional as F


def main(network: str, side: int, batch: int, threads: int, how: str, steps: int) -> None:
    group = world("allreduce" if how == "allreduce" else "ordered")
    kernels.set_num_threads(threads)
    random.manual_seed(0)
    model = models.create(network, 10, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    parallel = DataParallel(model, group)
    draws = np.random.default_rng(0)
    whole = draws.standard_normal((batch, side, side, 3)).astype(np.float32)
    images, share = parallel.part(whole)
    labels, _ = parallel.part(np.arange(batch) % 10)
    taken, summing = [], []
    with sync_batch_norm(group) if how == "sync" else nullcontext():
        for _ in range(steps + 1):
            start = time.perf_counter()
            optimizer.zero_grad()
            loss = F.cross_entropy(model(Tensor(images)), labels)
            parallel.sums(loss.item() * len(labels))
            (loss * share).backward()
            parallel.sums(0)  # whoever is first waits here, not in the sum
            before = time.perf_counter()
            parallel.synchronize(share)
            after = time.perf_counter()
            optimizer.step()
            taken.append(time.perf_counter() - start)
            summing.append(after - before)
    if group.rank == 0:  # the first step makes buffers
        print(json.dumps({"step": median(taken[1:]), "sum": median(summing[1:])}), flush=True)


if __name__ == "__main__":
    network, side, batch, threads, how, steps = sys.argv[1:]
    main(network, int(side), int(batch), int(threads), how, int(steps))
