"""What turns a fresh process into a child that can do no harm, on Linux; a script of its own.

It gives the process its own PID, mount, network, IPC and host-name namespaces (and, where it is not
root, a user namespace), a root folder that holds Python, the allowed packages and one small folder
to write in, an unprivileged user id, Landlock where the kernel has it, and resource limits. Then it
runs `boot.py` there. Each step fails loudly: a child that is only half locked in never starts. How
it went is told on a descriptor of the sandbox's own, which the child does not inherit.

See unshare(2), mount_namespaces(7), pivot_root(2), landlock(7), setrlimit(2), seccomp(2).
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
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
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
DETACH = 2
SET_PDEATHSIG, SET_SECCOMP, SET_NO_NEW_PRIVS = 1, 22, 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
O_PATH = 0o10000000

# Audit number, then what takes memory that no limit counts (System V's shared memory, queues and
# semaphores, files in memory, POSIX queues), what outlives the child (keys), and what needs a
# kernel without faults (io_uring, bpf, perf_event_open, userfaultfd). From the kernel's tables.
GENERIC = (194, 186, 190, 279, 447, 180, 217, 218, 219, 425, 280, 241, 282)
FORBIDDEN = {
    "x86_64": (0xC000003E, (29, 68, 64, 319, 447, 240, 248, 249, 250, 425, 321, 298, 323)),
    "aarch64": (0xC00000B7, GENERIC),
    "riscv64": (0xC00000F3, GENERIC),
    "ppc64le": (0xC0000015, (395, 399, 393, 117, 360, 262, 269, 270, 271, 425, 361, 319, 364)),
    "s390x": (0x80000016, (395, 399, 393, 117, 350, 271, 278, 279, 280, 425, 351, 331, 355)),
}


@functools.cache
def libc() -> ctypes.CDLL:
    """The C library that this process runs on."""
    return ctypes.CDLL(None, use_errno=True)


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
    system_call("unshare", libc().unshare(flags))
    if flags & NEWUSER:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {outer[0]} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {outer[1]} 1")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    args = (source.encode(), target.encode(), kind.encode(), flags, options.encode())
    system_call(f"mount {target}", libc().mount(*args))


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
    for name, source in config["parts"].items():
        Path(root, "grader", name).write_text(source, encoding="utf-8")
    for name in ("box", "old"):
        Path(root, name).mkdir()
    megabytes = config["limits"]["disk"] >> 20
    mount("tmpfs", root + "/box", "tmpfs", NOSUID | NODEV | NOEXEC, f"size={megabytes}m,mode=777")
    number = PIVOT_ROOT[os.uname().machine]
    old = (root + "/old").encode()
    system_call("pivot_root", libc().syscall(number, root.encode(), old))
    os.chdir("/")
    system_call("umount", libc().umount2(b"/old", DETACH))
    Path("/old").rmdir()
    mount("", "/", "", REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    os.chdir("/box")


def drop_rights(user: int, group: int) -> None:
    """Become nobody, for good."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    system_call("prctl", libc().prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    system_call("prctl", libc().prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def landlock(readable: list[str], writable: list[str]) -> int:
    """Limit files, TCP and signals once more; the version of Landlock, 0 where there is none."""
    version = libc().syscall(LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return 0
    rights = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    network = 3 if version >= 4 else 0
    scope = 3 if version >= 6 else 0
    attributes = struct.pack("QQQ", rights, network, scope)[
        : 8 + 8 * (version >= 4) + 8 * (version >= 6)
    ]
    made = libc().syscall(LANDLOCK_CREATE, attributes, len(attributes), 0)
    system_call("landlock_create_ruleset", made)
    read_and_run = 0b1101
    file_rights = 0b111 | rights & (1 << 14)
    for path, allowed in [(p, read_and_run) for p in readable] + [(p, rights) for p in writable]:
        if not Path(path).exists():
            continue
        place = os.open(path, O_PATH | os.O_CLOEXEC)
        allowed &= rights if Path(path).is_dir() else file_rights
        rule = struct.pack("=Qi", allowed, place)
        system_call("landlock_add_rule", libc().syscall(LANDLOCK_ADD, made, 1, rule, 0))
        os.close(place)
    system_call("landlock_restrict_self", libc().syscall(LANDLOCK_RESTRICT, made, 0))
    os.close(made)
    return int(version)


def forbid(machine: str) -> None:
    """Refuse system calls, by a filter that stays: EPERM for what is listed."""
    audit, numbers = FORBIDDEN[machine]

    def step(code: int, then: int, otherwise: int, value: int) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    load, jump, above, give = 0x20, 0x15, 0x35, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000
    count = len(numbers)
    program = [
        step(load, 0, 0, 4),  # the machine that the call is made for
        step(jump, 1, 0, audit),
        step(give, 0, 0, kill),
        step(load, 0, 0, 0),  # its number
        step(above, count + 1, 0, 1 << 30),  # x86_64's second table
        *(step(jump, count - i, 0, number) for i, number in enumerate(numbers)),
        step(give, 0, 0, allow),
        step(give, 0, 0, refuse),
    ]
    code = ctypes.create_string_buffer(b"".join(program))
    whole = struct.pack("@HP", len(program), ctypes.addressof(code))
    system_call("seccomp", libc().prctl(SET_SECCOMP, 2, whole, 0, 0))


def limit(limits: dict[str, int]) -> None:
    """CPU seconds, bytes of memory and of a file, open files; processes the child limits itself."""
    import resource

    names = {
        "cpu": resource.RLIMIT_CPU,
        "memory": resource.RLIMIT_AS,
        "file": resource.RLIMIT_FSIZE,
        "open_files": resource.RLIMIT_NOFILE,
    }
    for name, number in names.items():
        resource.setrlimit(number, (limits[name], limits[name]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def tell(status: int, word: str) -> None:
    """Write a line to the grader."""
    os.write(status, f"{word}\n".encode(errors="replace"))


def main(config: dict[str, Any], status: int) -> None:
    """Lock in and run; on the outside wait, and tell how the child ended."""
    user = group = config["user"]
    system_call("prctl", libc().prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    unshare(user, group)
    inner = os.fork()
    if inner:
        _, ended, used = os.wait4(inner, 0)
        code = os.waitstatus_to_exitcode(ended)
        seconds = used.ru_utime + used.ru_stime  # the kernel counts in two ways: on a busy machine
        if code == -signal.SIGKILL and seconds >= 0.5 * config["limits"]["cpu"]:  # they disagree
            tell(status, "out of time")
        os._exit(code if code >= 0 else 128 - code)
    new_root(config, config["root"])
    drop_rights(user, group)
    landlock([*(target for _, target in config["visible"]), "/packages", "/grader"], ["/box"])
    limit(config["limits"])
    forbid(os.uname().machine)
    tell(status, "locked in")
    os.execve(config["python"], config["command"], config["environment"])


if __name__ == "__main__":
    channel = int(sys.argv[2])
    os.set_inheritable(channel, False)
    try:
        main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), channel)
    except Exception as error:
        tell(channel, f"failed: {error}")
        os._exit(99)
