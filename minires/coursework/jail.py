"""What turns a fresh process into a child that can do no harm, on Linux; a script of its own.

It gives the process its own PID, mount, network, IPC and host-name namespaces (and, where it is not
root, a user namespace), a root folder that holds Python, the allowed packages and one small folder
to write in, an unprivileged user id, Landlock where the kernel has it, and resource limits. Then it
runs `child.py` there. Each step fails loudly: a child that is only half locked in never starts.

See unshare(2), mount_namespaces(7), pivot_root(2), landlock(7), setrlimit(2).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Any

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x20000,
    0x4000000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
DETACH = 2
SET_PDEATHSIG, SET_NO_NEW_PRIVS = 1, 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
O_PATH = 0o10000000
OUT_OF_TIME = 98
"""The exit code that says that the processor time was used up."""

libc = ctypes.CDLL(None, use_errno=True)


def system_call(what: str, result: int) -> int:
    """The result of a call, unless it failed."""
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def unshare(user: int, group: int) -> None:
    """Leave the common namespaces; an unprivileged id in a new one loses its rights on exec."""
    flags = NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET
    outer = os.geteuid(), os.getegid()
    if outer[0] != 0:
        flags |= NEWUSER
    system_call("unshare", libc.unshare(flags))
    if flags & NEWUSER:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {outer[0]} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {outer[1]} 1")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    args = (source.encode(), target.encode(), kind.encode(), flags, options.encode())
    system_call(f"mount {target}", libc.mount(*args))


def bind(source: str, target: str) -> None:
    """Show a file or folder at another place, read-only."""
    place = Path(target)
    if Path(source).is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    mount(source, target, "", BIND | REC)
    kept = os.statvfs(target).f_flag & (NOSUID | NODEV | 8 | 1024 | 2048)  # may not be taken off
    mount("", target, "", REMOUNT | BIND | RDONLY | NOSUID | kept)


def new_root(config: dict[str, Any], root: str) -> None:
    """Build the root folder and move into it; the old one is gone afterwards."""
    mount("", "/", "", REC | PRIVATE)
    mount("tmpfs", root, "tmpfs", NOSUID | NODEV, "size=1m,mode=755")
    for source, target in config["visible"]:
        if Path(source).is_symlink() and source == target:
            Path(root + target).symlink_to(Path(source).readlink())
        else:
            bind(source, root + target)
    for place in config["hidden"]:
        if Path(root + place).is_dir():
            mount("tmpfs", root + place, "tmpfs", NOSUID | NODEV | RDONLY, "size=4k,mode=755")
    Path(root, "grader").mkdir()
    Path(root, "grader/child.py").write_text(config["child"], encoding="utf-8")
    for name in ("box", "old"):
        Path(root, name).mkdir()
    megabytes = config["limits"]["disk"] >> 20
    mount("tmpfs", root + "/box", "tmpfs", NOSUID | NODEV, f"size={megabytes}m,mode=777")
    number = PIVOT_ROOT[os.uname().machine]
    old = (root + "/old").encode()
    system_call("pivot_root", libc.syscall(number, root.encode(), old))
    os.chdir("/")
    system_call("umount", libc.umount2(b"/old", DETACH))
    Path("/old").rmdir()
    mount("", "/", "", REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    os.chdir("/box")


def drop_rights(user: int, group: int) -> None:
    """Become nobody, for good."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    system_call("prctl", libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    system_call("prctl", libc.prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def landlock(readable: list[str], writable: list[str]) -> int:
    """Limit files, TCP and signals once more; the version of Landlock, 0 where there is none."""
    version = libc.syscall(LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return 0
    rights = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    network = 3 if version >= 4 else 0
    scope = 3 if version >= 6 else 0
    attributes = struct.pack("QQQ", rights, network, scope)[
        : 8 + 8 * (version >= 4) + 8 * (version >= 6)
    ]
    made = libc.syscall(LANDLOCK_CREATE, attributes, len(attributes), 0)
    system_call("landlock_create_ruleset", made)
    read_and_run = 0b1101
    file_rights = 0b111 | rights & (1 << 14)
    for path, allowed in [(p, read_and_run) for p in readable] + [(p, rights) for p in writable]:
        if not Path(path).exists():
            continue
        place = os.open(path, O_PATH | os.O_CLOEXEC)
        allowed &= rights if Path(path).is_dir() else file_rights
        rule = struct.pack("=Qi", allowed, place)
        system_call("landlock_add_rule", libc.syscall(LANDLOCK_ADD, made, 1, rule, 0))
        os.close(place)
    system_call("landlock_restrict_self", libc.syscall(LANDLOCK_RESTRICT, made, 0))
    os.close(made)
    return int(version)


def limit(limits: dict[str, int]) -> None:
    """CPU seconds, bytes of memory and of a file, processes, open files."""
    names = {
        "cpu": resource.RLIMIT_CPU,
        "memory": resource.RLIMIT_AS,
        "file": resource.RLIMIT_FSIZE,
        "processes": resource.RLIMIT_NPROC,
        "open_files": resource.RLIMIT_NOFILE,
    }
    for name, number in names.items():
        resource.setrlimit(number, (limits[name], limits[name]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Lock in and run; on the outside wait, and end as the child ended."""
    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    user = group = config["user"]
    system_call("prctl", libc.prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    unshare(user, group)
    inner = os.fork()
    if inner:
        _, status, used = os.wait4(inner, 0)
        code = os.waitstatus_to_exitcode(status)
        seconds = used.ru_utime + used.ru_stime  # the kernel's two clocks agree to a few ticks
        if code == -signal.SIGKILL and seconds >= 0.95 * config["limits"]["cpu"]:
            code = OUT_OF_TIME
        os._exit(code if code >= 0 else 128 - code)
    new_root(config, config["root"])
    drop_rights(user, group)
    landlock([*(target for _, target in config["visible"]), "/packages", "/grader"], ["/box"])
    limit(config["limits"])
    os.execve(config["python"], config["command"], config["environment"])


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        print(f"isolation failed: {error}", file=sys.stderr)
        os._exit(99)
