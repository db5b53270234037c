"""A small pool of threads over the blocks of one kernel call.

NumPy releases the interpreter's lock inside copies, ufuncs and matrix products, so that plain
Python threads share the work of one convolution. While they run, BLAS is held at one thread: two
threads that each start two would only get in each other's way, and a product's rounding would
depend on how many there are. Blocks depend on shapes alone and results come back in block order,
so every thread count gives the same bits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def parallel(run: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    """`[run(job) for job in jobs]`, shared between the calling thread and the pool's.

    Parameters
    ----------
    run : callable
        Called once per job, on any thread. Inside it another `parallel` runs serially.
    jobs : sequence
        What to do, in the order in which it is handed out.

    Returns
    -------
    list
        The results in the order of the jobs, whoever computed them.

    Raises
    ------
    BaseException
        The first exception of a job; jobs that had not started are dropped.
    """
    if getattr(_this_thread, "inside", False):
        return [run(job) for job in jobs]
    _this_thread.inside = True
    try:
        with one_blas_thread():
            helpers = min(get_num_threads(), len(jobs)) - 1
            if helpers < 1 or not _start_workers(helpers):
                return [run(job) for job in jobs]
            batch = _Batch(run, jobs)
            for _ in range(helpers):
                _calls.put(batch)
            batch.work()
            return batch.wait()
    finally:
        _this_thread.inside = False


def get_num_threads() -> int:
    """How many threads share a kernel call, the calling one included.

    Raises
    ------
    ValueError
        If the environment's `MINIRES_NUM_THREADS` is no positive integer, and nobody has said more.
    """
    global _num_threads
    if _num_threads is None:
        _num_threads = _default_num_threads()
    return _num_threads


def set_num_threads(count: int) -> None:
    """Share each kernel call between `count` threads; 1 computes on the calling thread alone.

    The default is the environment's `MINIRES_NUM_THREADS`, or the cores this process may use.

    Raises
    ------
    ValueError
        If `count` is less than 1.
    """
    global _num_threads
    if count < 1:
        raise ValueError(f"the number of threads must be at least 1, not {count}")
    _num_threads = int(count)


class _Batch(Generic[Job, Result]):
    """The jobs of one `parallel` call, taken one at a time by whichever thread is free."""

    def __init__(self, run: Callable[[Job], Result], jobs: Sequence[Job]) -> None:
        self._run = run
        self._jobs = jobs
        self._results: list[Any] = [None] * len(jobs)
        self._lock = threading.Lock()
        self._next = 0
        self._running = 0
        self._error: BaseException | None = None
        self._finished = threading.Lock()  # released when the last job is done
        self._finished.acquire()

    def work(self) -> None:
        """Take jobs until none is left. A thread that wakes up late finds none and returns."""
        while True:
            with self._lock:
                index = self._next
                if index >= len(self._jobs):
                    return
                self._next += 1
                self._running += 1
            error: BaseException | None = None
            try:
                self._results[index] = self._run(self._jobs[index])
            except BaseException as caught:  # an interrupt too: the others must stop writing first
                error = caught
            with self._lock:
                self._running -= 1
                if error is not None:
                    self._error = self._error or error
                    self._next = len(self._jobs)
                if self._next >= len(self._jobs) and self._running == 0:
                    self._finished.release()

    def wait(self) -> list[Result]:
        """The results, once no thread works on the batch any more."""
        self._finished.acquire()
        if self._error is not None:
            raise self._error
        return self._results


_this_thread = threading.local()
_workers = 0
_calls: SimpleQueue[_Batch[Any, Any]] = SimpleQueue()
_starting = threading.Lock()


def _start_workers(count: int) -> bool:
    """Have at least `count` threads waiting for calls; False where threads cannot start."""
    global _workers
    if _workers >= count:
        return True
    with _starting:
        while _workers < count:
            name = f"minires-kernels-{_workers}"
            thread = threading.Thread(target=_serve, args=(_calls,), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # WebAssembly has no threads; a process may be out of them
                return _workers > 0
            _workers += 1
    return True


def _serve(calls: SimpleQueue[_Batch[Any, Any]]) -> None:
    _this_thread.inside = True
    while True:
        calls.get().work()


def _default_num_threads() -> int:
    chosen = os.environ.get("MINIRES_NUM_THREADS", "")
    if chosen:
        if not chosen.isdecimal() or int(chosen) < 1:
            raise ValueError(f"MINIRES_NUM_THREADS must be a positive integer, not {chosen!r}")
        return int(chosen)
    return processors()


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_num_threads: int | None = None  # until somebody asks: a wrong setting is no reason not to import


_blas_lock = threading.Lock()
_blas_holders: set[int] = set()  # threads, by their numbers
_blas_before: list[tuple[Any, int]] = []  # (library, its number of threads before we came)
_blas_libraries: list[Any] | None = None


class one_blas_thread(ContextDecorator):
    """`with one_blas_thread():` BLAS is held at one thread until the last who wants it has left.

    Also a decorator, for a kernel that multiplies outside `parallel` too. A change takes tens of
    microseconds, and a thread's outermost block pays for it: modules and the backward pass have one
    around all that they call.
    """

    def __enter__(self) -> None:
        self._outermost = threading.get_ident() not in _blas_holders
        if self._outermost:
            try:
                _hold_blas()
            except BaseException:  # an interrupt, say
                _release_blas()
                raise

    def __exit__(self, *_: object) -> None:
        if self._outermost:
            _release_blas()

    def _recreate_cm(self) -> one_blas_thread:
        return one_blas_thread()  # each call of a decorated function has its own


def _hold_blas() -> None:
    with _blas_lock:
        if not _blas_holders:
            for library in _find_blas():
                before = library.get_num_threads()
                if before != 1:
                    _blas_before.append((library, before))
                    _set_blas_threads(library, 1)
        _blas_holders.add(threading.get_ident())


def _release_blas() -> None:
    with _blas_lock:
        _blas_holders.discard(threading.get_ident())
        if not _blas_holders:
            _restore_blas()


def _restore_blas() -> None:
    for library, before in _blas_before:
        _set_blas_threads(library, before)
    _blas_before.clear()


def _set_blas_threads(library: Any, count: int) -> None:
    """Set a library's number of threads, from whichever thread this is.

    Newer versions of threadpoolctl obey only the thread that was the first to ask, until it gives
    that up.
    """
    give_up = getattr(library, "clear_controlling_thread", lambda force: None)
    give_up(force=True)
    library.set_num_threads(count)
    give_up(force=True)


def _find_blas() -> list[Any]:
    """The BLAS libraries loaded into this process, looked up once: a look-up takes milliseconds."""
    global _blas_libraries
    if _blas_libraries is None:
        from threadpoolctl import ThreadpoolController

        found = ThreadpoolController().lib_controllers
        _blas_libraries = [library for library in found if library.user_api == "blas"]
    return _blas_libraries


def blas_architectures() -> set[str]:
    """What processors the loaded BLAS libraries have chosen their kernels for."""
    return {str(getattr(library, "architecture", "")) for library in _find_blas()}


def _forget_after_fork() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _workers, _calls, _starting, _blas_lock, _this_thread
    _workers, _calls, _starting = 0, SimpleQueue(), threading.Lock()
    _blas_lock = threading.Lock()
    _blas_holders.intersection_update({threading.get_ident()})
    if not _blas_holders:
        _restore_blas()
    _this_thread = threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
