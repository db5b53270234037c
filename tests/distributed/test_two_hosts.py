"""Two hosts on one machine: network namespaces, a cable between, and MPI over TCP through it."""

import json
import os
import shutil
import subprocess

import pytest
import same_shares
from of_ranks import MPIRUN
from same_shares import CASES

ADDRESSES = ("10.213.0.1", "10.213.0.2")

LAUNCHER = """#!/bin/sh
# As ssh: a host and a command. Each host has a network, and a name, of its own.
case $1 in {0}) host={2} ;; {1}) host={3} ;; esac
shift
exec ip netns exec $host unshare --uts sh -c "hostname $host; exec $*"
"""


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine gives us no second network: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture
def hosts():
    """The names of two hosts."""
    if not all(map(shutil.which, ("ip", "unshare"))) or os.name != "posix" or os.geteuid():
        pytest.skip("two network namespaces want root, ip and unshare")
    names = [f"minires-{os.getpid()}-{k}" for k in (1, 2)]
    try:
        for name in names:
            ip("netns", "add", name)
        cable = ("type", "veth", "peer", "name", "cable", "netns", names[1])
        ip("-n", names[0], "link", "add", "cable", *cable)
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def sent(host):
    (link,) = json.loads(ip("-n", host, "-s", "-json", "link", "show", "cable"))
    return link["stats64"]["tx"]["bytes"]


def test_two_ranks_on_each_of_two_hosts_have_the_bits_of_one_process(processes, hosts, tmp_path):
    if "hydra" not in subprocess.check_output([MPIRUN, "--version"], text=True).lower():
        pytest.skip("the hosts are described to MPICH's mpirun")
    launcher = tmp_path / "launcher"
    launcher.write_text(LAUNCHER.format(*ADDRESSES, *hosts))
    launcher.chmod(0o755)
    before = sent(hosts[0])
    over_tcp = ("-genv", "UCX_TLS", "tcp,self")
    started = processes(
        4,
        *(same_shares.__file__, "ordered", "one"),
        within=("ip", "netns", "exec", hosts[0], "unshare", "--uts"),
        options=(
            *("-launcher", "rsh", "-launcher-exec", launcher),
            *("-hosts", ",".join(ADDRESSES), "-ppn", 2, *over_tcp),
        ),
    )
    code, out, err = started.end()
    assert code == 0, out + err
    wanted = {" ".join(map(str, CASES[0])): same_shares.one(4, *CASES[0])}
    for rank in range(4):
        assert json.loads((tmp_path / f"rank-{rank}.json").read_text()) == wanted
    model, _ = same_shares.build(*CASES[0][:2])
    gradients = 4 * sum(p.size for p in model.parameters())
    assert sent(hosts[0]) - before > gradients * same_shares.STEPS
