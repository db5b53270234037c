"""A GPU for each process: NCCL is asked to add up, and the weights are those of the CPU."""

import gpu_steps
import pytest
from on_cupy import emulation


def test_processes_with_a_gpu_each_train_as_one_on_the_cpu(reports):
    if (obstacle := emulation.obstacle()) is not None:
        pytest.skip(obstacle)
    for device, by_nccl, calls, worst in reports(2, gpu_steps.__file__):
        assert (device, by_nccl, calls) == ("cuda:0", True, gpu_steps.STEPS)
        assert worst < 1e-4  # other sums, with the whole batch's statistics
