"""A Python as on Windows, and the commands in it that write and read files.

A script of its own, which `test_like_windows.py` starts in a fresh process. Texts are cp1252 where
nobody says otherwise, lines that are written end with CR LF, processes are spawned, a file that
somebody has open is neither replaced nor removed, and some names are no names of files.
"""

import builtins
import contextlib
import importlib
import io
import json
import multiprocessing
import os
import re
import sys
import types
import warnings
from pathlib import Path

import threadpoolctl
from without_linux import CALLS, MODULES, Missing, command

KEPT = "sysconf", "register_at_fork", "O_CLOEXEC"  # what Python's own modules want on Linux
RESERVED = re.compile(r'(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*[<>:"|?*\x00-\x1f].*|.*[. ]')

refused = []
"""What would have failed: (what, path)."""


def take_away():
    """What Windows has not."""
    for name in MODULES.split():
        if not name.startswith("_"):
            sys.modules.pop(name, None)
    sys.meta_path.insert(0, Missing())
    for module, names in CALLS.items():
        if module is os:
            for name in set(names.split()) - set(KEPT):
                if hasattr(module, name):
                    delattr(module, name)


def locks():
    """The module `msvcrt`, as far as files are locked with it."""
    import fcntl

    def locking(file, mode, count):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(13, "Permission denied") from error

    module = types.ModuleType("msvcrt")
    module.locking, module.LK_NBLCK = locking, 2
    sys.modules["msvcrt"] = module


def texts():
    """Files of text, unless an encoding or line ends are asked for."""
    plain = io.open

    def open_text(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *rest):
        if "b" not in mode:
            encoding = "cp1252" if encoding in (None, "locale") else encoding
            newline = "\r\n" if newline is None and set(mode) & set("wxa") else newline
        return plain(file, mode, buffering, encoding, errors, newline, *rest)

    io.open = open_text
    builtins.open = open_text
    warnings.filterwarnings("error", category=EncodingWarning, module=r"minires(\.|$)")


def in_use():
    """The files that this process has open, or mapped into memory."""
    found = set()
    for link in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(link.path))  # noqa: PTH115 - quick, as this is asked often
    with plain_open("/proc/self/maps", encoding="utf-8") as lines:
        found |= {line.split(maxsplit=5)[5].strip() for line in lines if line.count("/")}
    return found


def files(event, arguments):
    """An audit hook: the names of new files, and what becomes of open ones."""
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str) and flags & (os.O_CREAT | os.O_WRONLY):
            _name(path)
    elif event == "os.mkdir":
        _name(os.fsdecode(arguments[0]))
    elif event in ("os.rename", "os.remove"):
        for path in arguments[: 2 if event == "os.rename" else 1]:
            whole = os.path.realpath(os.fsdecode(path))
            if whole in in_use():
                refused.append((event, whole))
                raise PermissionError(13, "it is used by another process", whole)
        if event == "os.rename":
            _name(os.fsdecode(arguments[1]))


def _name(path):
    if RESERVED.fullmatch(Path(path).name) and not path.startswith("/dev/"):
        refused.append(("name", path))
        raise OSError(22, "Invalid argument", path)


def caught():
    """What of all this is in force: a sample of each."""
    found = []
    Path("text.txt").write_text("\u20ac\n", encoding=None)
    found.append(Path("text.txt").read_bytes() == b"\x80\r\n")
    for attempt in (
        lambda: Path("a:b").touch(),
        lambda: Path("nul.txt").write_bytes(b""),
        lambda: Path("text.txt").unlink(),
    ):
        with open("text.txt", "rb"):  # noqa: PTH123
            try:
                attempt()
            except OSError:
                found.append(True)
            else:
                found.append(False)
    found.append(multiprocessing.get_start_method() == "spawn")
    refused.clear()
    return found


def main():
    """Become like Windows, try, and tell what came of it as JSON."""
    for others in ("matplotlib.pyplot", "numpy", "safetensors.numpy", "tqdm", "typer.main"):
        importlib.import_module(others)  # which have Windows's own ways, with Windows's own calls
    libraries = threadpoolctl.ThreadpoolController()
    threadpoolctl.ThreadpoolController = lambda: libraries
    locks()
    take_away()
    texts()
    sys.addaudithook(files)
    multiprocessing.set_start_method("spawn")
    found = {"caught": caught()}
    sys.platform = "win32"
    folder = "Müller's Übungen"
    train = "train", "--data", "digits", "--out", folder
    weights = f"{folder}/best.npz"
    found["commands"] = [
        command(*train, "--epochs", "1"),
        command("train", "--resume", folder),
        command("eval", "--weights", weights, "--data", "digits"),
        command("summary", "resnet8"),
        command("export", f"{folder}/net.safetensors", "--weights", weights),
        command("coursework", "build", "release", "--assignment", "01_engine"),
    ]
    history = Path(folder, "history.csv").read_bytes()
    found["history"] = history.decode("utf-8")
    found["refused"] = refused
    print(json.dumps(found))


plain_open = open

if __name__ == "__main__":
    main()
