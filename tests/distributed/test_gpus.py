"""A GPU for each process: NCCL is asked to add up, and the weights are those of the CPU."""

import gpu_steps
import pytest
from on_cupy import emulation

from minires import backend


def test_processes_with_a_gpu_each_train_as_one_on_the_cpu(reports):
    if (obstacle := emulation.obstacle()) is not None:
        pytest.skip(obstacle)
    for device, by_nccl, calls, worst in reports(2, gpu_steps.__file__):
        assert (device, by_nccl, calls) == ("cuda:0", True, gpu_steps.STEPS)
        assert worst < 1e-4  # other sums, with the whole batch's statistics


def obstacle_to_two_gpus():
    """Why NCCL itself cannot be tried here; None if it can."""
    try:
        cupy = backend.load_cupy()
    except backend.DeviceError as error:
        return str(error)
    if (count := cupy.cuda.runtime.getDeviceCount()) < 2:
        return f"it wants two GPUs, and there is {count}"
    return None if cupy.cuda.nccl.available else "this CuPy has no NCCL"


@pytest.mark.gpu
def test_two_real_gpus_train_as_one_process_on_the_cpu(reports):
    if (obstacle := obstacle_to_two_gpus()) is not None:
        pytest.skip(obstacle)
    for rank, (device, by_nccl, _, worst) in enumerate(reports(2, gpu_steps.__file__, "real")):
        assert (device, by_nccl) == (f"cuda:{rank}", True)
        assert worst < 1e-3  # a GPU's sums and, in its products, fewer digits
