"""What a run says of the machine it was made on, and of the sources."""

import os
import platform
import subprocess

from sides import BENCH

FEATURES = ["avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"]


def free_memory():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))


def machine():
    with open("/proc/cpuinfo") as file:
        cpu = dict(map(str.strip, line.split(":", 1)) for line in file.read().split("\n\n")[0].splitlines())
    flags = cpu["flags"].split()
    return {
        "cpu": cpu["model name"],
        "family": f"family {cpu['cpu family']}, model {cpu['model']}, stepping {cpu['stepping']}",
        "cores": os.cpu_count(),
        "features": [feature for feature in FEATURES if feature in flags],
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "java": subprocess.run(["java", "-version"], check=True, capture_output=True, text=True).stderr.splitlines()[0],
    }


def commit():
    """Of the sources, with what says that they were changed since; empty outside a repository."""
    command = ("git", "-C", BENCH, "describe", "--always", "--dirty")
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
