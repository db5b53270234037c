"""Tries every cheat, and prints as JSON what each earned and what its wrong answer earns by itself.

`command` says how root runs it as an ordinary user.
"""

import json
import os
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

USER = "21345"


def command():
    """A command that runs this file as an ordinary user, who can reach the interpreter."""
    python = os.path.realpath(sys.executable)
    hidden = [p for p in Path(python).parents if p.stat().st_mode & 0o5 != 0o5]
    lines = ["set -e"]
    if hidden:  # an interpreter below a folder that only root enters: shown in a name space of ours
        prefix, top = shlex.quote(os.path.realpath(sys.base_prefix)), shlex.quote(str(hidden[-1]))
        lines += [
            "kept=$(mktemp -d)",
            f'mount --bind {prefix} "$kept"',
            f"mount -t tmpfs -o mode=755 tmpfs {top}",
            f"mkdir -p {prefix}",
            f'mount --bind "$kept" {prefix}',
        ]
    run = shlex.join([sys.executable, __file__])
    lines.append(f"exec setpriv --reuid {USER} --regid {USER} --clear-groups {run}")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)]


def main():
    """Print the table."""
    from test_tampering import CASES, by_itself, earned

    from minires.coursework.sandbox import isolation_problem

    problem = isolation_problem()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        tried = [] if problem else CASES
        import cheats

        points = list(pool.map(lambda c: earned(c[1], cheats.source(*c), True), tried))
        rows = [
            [*case, got, by_itself(case[1], True)] for case, got in zip(tried, points, strict=True)
        ]
    print(json.dumps({"problem": problem, "user": os.geteuid(), "rows": rows}))


if __name__ == "__main__":
    main()
