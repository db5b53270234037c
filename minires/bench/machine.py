"""The machine that something was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from minires.kernels.machinery.threads import processors


def describe() -> dict[str, str]:
    """The processor, the cores that this process may use, the memory, the system."""
    found = {"processor": _processor(), "cores": str(processors()), "system": platform.platform()}
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["memory"] = f"{size / 2**30:.0f} GiB"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    facts = dict(line.split("\t: ", 1) for line in lines if "\t: " in line)
    facts = {key.strip(): value for key, value in facts.items()}
    extensions = [x for x in ("avx2", "avx512f", "amx_tile") if x in facts.get("flags", "").split()]
    return f"{facts.get('model name', platform.machine())} ({', '.join(extensions)})"
