"""The pool: order, errors, BLAS held back, forks, and places without threads."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from minires import kernels
from minires.kernels.machinery import threads as pool
from minires.kernels.machinery.threads import parallel
from minires.kernels.machinery.workspace import scratch


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_the_order_of_the_jobs(count, threads):
    kernels.set_num_threads(count)

    def slow_first(job):
        time.sleep(0.002 * (5 - job))
        return job * job

    assert parallel(slow_first, range(5)) == [0, 1, 4, 9, 16]
    assert parallel(slow_first, []) == []


def test_several_threads_take_part(threads):
    kernels.set_num_threads(2)
    both = threading.Barrier(2, timeout=10)
    parallel(lambda job: both.wait(), range(2))  # passes only if two run at once


@pytest.mark.parametrize("count", [1, 2])
def test_an_exception_reaches_the_caller(count, threads):
    kernels.set_num_threads(count)
    ran = []

    def fail(job):
        ran.append(job)
        if job == 1:
            raise ZeroDivisionError("job 1")
        time.sleep(0.001)

    with pytest.raises(ZeroDivisionError, match="job 1"):
        parallel(fail, range(1000))
    assert len(ran) < 1000
    assert parallel(lambda job: job, range(3)) == [0, 1, 2]


def test_an_exception_on_a_worker_reaches_the_caller(threads):
    kernels.set_num_threads(2)
    caller = threading.get_ident()
    both = threading.Barrier(2, timeout=10)

    def fail(job):
        both.wait()
        if threading.get_ident() != caller:
            raise ZeroDivisionError
        time.sleep(0.01)

    with pytest.raises(ZeroDivisionError):
        parallel(fail, range(2))


def test_calls_inside_calls_run_serially(threads):
    kernels.set_num_threads(2)

    def outer(job):
        inside = parallel(lambda _: threading.get_ident(), range(4))
        return set(inside) == {threading.get_ident()}

    assert all(parallel(outer, range(4)))


def test_blas_has_one_thread_inside_and_its_own_number_outside(threads):
    libraries = pool._find_blas()
    if not libraries:
        pytest.skip("no BLAS library whose threads can be set")
    before = [library.get_num_threads() for library in libraries]
    for count in (1, 2):
        kernels.set_num_threads(count)
        inside = parallel(lambda _: [one.get_num_threads() for one in libraries], range(3))
        assert inside == [[1] * len(libraries)] * 3
        with pytest.raises(ZeroDivisionError):
            parallel(lambda _: 1 / 0, range(3))
        assert [library.get_num_threads() for library in libraries] == before


def test_blas_has_one_thread_inside_whoever_calls():
    libraries = pool._find_blas()
    found = []

    def call():
        with pool.one_blas_thread():
            found.append([library.get_num_threads() for library in libraries])

    before = [library.get_num_threads() for library in libraries]
    try:
        for library in libraries:
            library.set_num_threads(2)  # as this thread, which from then on has the say
        for _ in range(2):
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
        call()
        assert found == [[1] * len(libraries)] * 3
        assert [library.get_num_threads() for library in libraries] == [2] * len(libraries)
    finally:
        for library, count in zip(libraries, before, strict=True):
            pool._set_blas_threads(library, count)


def blas_threads():
    return [library.get_num_threads() for library in pool._find_blas()]


def test_the_outermost_block_releases_blas():
    before = blas_threads()
    with pool.one_blas_thread():
        with pool.one_blas_thread():
            pass
        assert blas_threads() == [1] * len(before)
    assert blas_threads() == before


def test_an_interrupt_on_the_way_in_leaves_blas_as_it_was(monkeypatch):
    def interrupted(library, count, change=pool._set_blas_threads):
        change(library, count)
        if count == 1:
            raise KeyboardInterrupt

    before = blas_threads()
    try:
        for library in pool._find_blas():
            pool._set_blas_threads(library, 2)
        with monkeypatch.context() as patch:
            patch.setattr(pool, "_set_blas_threads", interrupted)
            with pytest.raises(KeyboardInterrupt), pool.one_blas_thread():
                pass
        assert blas_threads() == [2] * len(before)
        assert not pool._blas_holders
    finally:
        for library, count in zip(pool._find_blas(), before, strict=True):
            pool._set_blas_threads(library, count)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_inside_a_block_goes_on_holding_blas():
    code = """if True:
        import os, sys
        from minires.kernels.machinery import threads
        libraries = threads._find_blas()
        for library in libraries:
            threads._set_blas_threads(library, 2)
        with threads.one_blas_thread():
            child = os.fork() == 0
            inside = [library.get_num_threads() for library in libraries]
        found = inside, [library.get_num_threads() for library in libraries]
        right = found == ([1] * len(libraries), [2] * len(libraries)) and not threads._blas_holders
        if child:
            os._exit(0 if right else 1)
        sys.exit(not right or os.wait()[1] != 0)
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_callers_on_several_threads(threads):
    kernels.set_num_threads(2)
    found = {}

    def caller(name):
        found[name] = [parallel(lambda job: name * 10 + job, range(6)) for _ in range(30)]

    callers = [threading.Thread(target=caller, args=(name,)) for name in range(4)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    for name in range(4):
        assert found[name] == [[name * 10 + job for job in range(6)]] * 30


def test_serial_where_threads_cannot_start(threads, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(pool, "_workers", 0)
    kernels.set_num_threads(3)
    assert parallel(lambda job: job + 1, range(4)) == [1, 2, 3, 4]


@pytest.mark.parametrize("count", [0, -2])
def test_a_number_of_threads_that_makes_no_sense(count):
    with pytest.raises(ValueError, match="at least 1"):
        kernels.set_num_threads(count)


def run_python(program, **environment):
    command = [sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60
    )


def test_the_environment_sets_the_number_of_threads():
    program = "from minires import kernels; print(kernels.get_num_threads())"
    assert run_python(program, MINIRES_NUM_THREADS="3").stdout == "3\n"
    failed = run_python(program, MINIRES_NUM_THREADS="many")
    assert "MINIRES_NUM_THREADS must be a positive integer, not 'many'" in failed.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_too():
    program = """
import os
from minires.kernels.machinery.threads import parallel, set_num_threads
set_num_threads(2)
assert parallel(lambda job: job, range(4)) == [0, 1, 2, 3]
child = os.fork()
if child == 0:
    os._exit(0 if parallel(lambda job: job + 1, range(4)) == [1, 2, 3, 4] else 1)
print(os.waitpid(child, 0)[1])
"""
    result = run_python(program)
    assert result.stdout == "0\n", result.stderr


def test_scratch_memory_is_kept_and_released():
    first = scratch(np, "test", (10, 3), np.float32)
    address = first.ctypes.data
    assert first.flags.c_contiguous
    assert scratch(np, "test", (4,), np.float64).ctypes.data == address
    other = scratch(np, "another", (10, 3), np.float32)
    assert not np.shares_memory(first, other)
    kernels.release_workspace()
    again = scratch(np, "test", (10, 3), np.float32)
    assert not np.shares_memory(first, again)


def test_scratch_memory_is_bounded():
    size = pool_limit() + 1
    first = scratch(np, "huge", (size,), np.uint8)
    assert not np.shares_memory(first, scratch(np, "huge", (size,), np.uint8))


def pool_limit():
    from minires.kernels.machinery.workspace import LIMIT

    return LIMIT
