"""What becomes of freed memory: kept for the next step, given back on request."""

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import os
import numpy as np
import minires
from minires import kernels

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20

before = resident()
arrays = [np.ones(1 << 21, np.float32) for _ in range(25)]  # 200 MiB
held = resident() - before
del arrays
freed = resident() - before
kernels.release_workspace()
print(held, freed, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc to keep freed memory")
@pytest.mark.parametrize("own", [{}, {"MALLOC_TRIM_THRESHOLD_": "1000000"}])
def test_freed_memory_is_kept_until_it_is_released(own):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")} | own
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    held, freed, released = map(int, done.stdout.split())
    assert held >= 190
    if own:  # a user's setting stands
        assert freed < 100
    else:
        assert freed >= 190
    assert released < 20
