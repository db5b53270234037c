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
ROOT = Path(__file__).resolve().parents[2]


def command():
    """A command that runs this file as an ordinary user, who can reach all that it reads."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), ROOT}  # interpreter, packages, sources
    needed = {path.resolve() for path in needed}
    needed = sorted(p for p in needed if not needed & set(p.parents))
    hidden = {top for p in needed for top in p.parents if top.stat().st_mode & 0o5 != 0o5}
    hidden = sorted(top for top in hidden if not hidden & set(top.parents))
    lines = ["set -e", "kept=$(mktemp -d -p /run)"]
    # below a folder that only root enters: shown in a name space of ours
    shown = [p for p in needed if set(hidden) & set(p.parents)]
    for i, path in enumerate(shown):
        lines += [f'mkdir "$kept/{i}"', f'mount --bind {shlex.quote(str(path))} "$kept/{i}"']
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(top))}" for top in hidden]
    for i, path in enumerate(shown):
        at = shlex.quote(str(path))
        lines += [f"mkdir -p {at}", f'mount --bind "$kept/{i}" {at}']
        lines += [f'umount "$kept/{i}"', f'rmdir "$kept/{i}"']
    lines.append('rmdir "$kept"')
    run = shlex.join([sys.executable, str(Path(__file__).resolve())])
    lines.append(f"exec setpriv --reuid {USER} --regid {USER} --clear-groups {run}")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(lines)]


def main():
    """Print the table."""
    from test_tampering import CASES, by_itself, earned

    from minires.coursework.sandbox.parent import isolation_problem

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
