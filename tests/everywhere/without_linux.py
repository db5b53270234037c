"""A Python like that of a browser: without what WebAssembly has not, and then the library in it.

A script of its own, which `test_without_linux.py` starts in a fresh process: what it takes away is
gone for good. What it takes away is what Pyodide's own Python lacks, and what Windows lacks.
"""

import ctypes
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import narrow

MODULES = """
_multiprocessing _posixshmem crypt curses fcntl grp nis pty pwd readline resource spwd syslog
termios tty
"""
CALLS = {
    os: """
    chown chroot confstr fchmod fchown fork forkpty getegid geteuid getgid getgroups getloadavg
    getpgid getpgrp getpriority getresuid getsid getuid killpg lchown mkfifo nice posix_spawn
    register_at_fork sched_getaffinity sched_setaffinity setgid setpgid setresuid setsid setuid
    statvfs sysconf wait3 wait4 O_DIRECTORY O_NOFOLLOW O_CLOEXEC
    """,
    select: "epoll poll",
    signal: """
    SIGALRM SIGCHLD SIGHUP SIGKILL SIGPROF SIGUSR1 SIGUSR2 alarm getitimer pause pthread_kill
    pthread_sigmask setitimer siginterrupt sigwait
    """,
}
FOLDERS = "/proc", "/sys", "/dev"


class Missing:
    """Finds none of `MODULES`, before others can find them."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MODULES.split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def take_away():
    """All of it, from here on."""
    for name in MODULES.split():
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Missing())
    for module, names in CALLS.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    threading.Thread.start = _no_thread
    library = ctypes.CDLL.__init__

    def load(self, name, *arguments, **keywords):
        asked = sys._getframe(1).f_globals["__name__"]
        if name is None and asked.partition(".")[0] in ("minires", __name__):
            raise TypeError("there is no library without a name")
        library(self, name, *arguments, **keywords)

    ctypes.CDLL.__init__ = load
    sys.addaudithook(_no_folder)


def _no_thread(thread):
    raise RuntimeError("can't start new thread")


def _no_folder(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str):
        path = arguments[0]
        if path != os.devnull and path.startswith(tuple(f"{folder}/" for folder in FOLDERS)):
            raise FileNotFoundError(2, "there is no such folder here", path)


def still_there():
    """What should be gone and is not."""
    found = [f"{module.__name__}.{n}" for module, names in CALLS.items() for n in names.split()
             if hasattr(module, n)]  # fmt: skip
    for name in MODULES.split():
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        found.append(name)
    for what, error in (
        (lambda: threading.Thread(target=print).start(), RuntimeError),
        (lambda: ctypes.CDLL(None), TypeError),
        (lambda: Path("/proc/self/status").read_text(encoding="utf-8"), OSError),
        (lambda: Path("/dev/urandom").open("rb").close(), OSError),
    ):
        try:
            what()
        except error:
            continue
        found.append(what.__code__.co_names)
    return found


def imported():
    """How many modules there are, and which could not be imported, and why."""
    import minires

    names = [found.name for found in pkgutil.walk_packages(minires.__path__, "minires.")]
    failed = {}
    for name in names:
        if name.endswith("__main__"):
            continue
        try:
            importlib.import_module(name)
        except Exception as error:
            failed[name] = repr(error)
    return len(names), failed


def trained():
    """The losses of a small network that learns digits."""
    import minires
    from minires import data, nn

    minires.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 8 * 8, 10),
    )  # fmt: skip
    history = minires.fit(net, data.digits(), epochs=2, progress=False)
    return [epoch.train_loss for epoch in history.epochs]


def checked():
    """What gradcheck says of a convolution and a batch norm, and of a wrong gradient."""
    import numpy as np

    import minires
    from minires import nn

    net, x = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)), np.random.default_rng(0)
    right = minires.gradcheck(net, [x.normal(size=(2, 5, 5, 2))])
    wrong = minires.gradcheck(lambda t: t * t.detach(), [x.normal(size=3)], raise_exception=False)
    return bool(right), bool(wrong)


def played():
    """A player as a notebook shows it."""
    import numpy as np

    from minires import viz

    return viz.convolution(np.arange(20).reshape(4, 5), np.ones((3, 3))).html()


def command(*arguments):
    """The exit code of `minires ...`, and what it printed."""
    from minires.cli import main

    sys.argv = ["minires", *arguments]
    out, code = io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(out):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return code, out.getvalue()


def narrow_indices():
    """Whether arrays of 64-bit integers were refused as indices, and how many arrays were none."""
    import numpy as np

    try:
        narrow.looked_at(np.arange(3).take, np.zeros(2, np.int64))
    except TypeError as error:
        return str(error), narrow.asked
    return "", narrow.asked


def main():
    """Take away, try, and tell what came of it as JSON."""
    import matplotlib.pyplot
    import numpy  # others' business: they come before, as they come with Pyodide

    take_away()
    sys.platform = "emscripten"
    del matplotlib, numpy
    found = {"still there": still_there(), "imported": imported(), "trained": trained()}
    found |= {"checked": checked(), "played": played()}
    found["train"] = command("train", "--data", "digits", "--epochs", "1", "--out", "out")
    found["files"] = sorted(path.name for path in Path("out").iterdir())
    found["evaluate"] = command("eval", "--weights", "out/best.npz", "--data", "digits")
    Path("work").mkdir()
    Path("work/one.ipynb").write_text("{}", encoding="utf-8")
    found["grade"] = command("grade", "work")
    found["mutants"] = command("coursework", "mutants", "--mechanical", "--sample", "1")
    found["indices"] = narrow_indices()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
