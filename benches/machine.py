"""What the machine is, and what this process and a folder take of it; read from where Linux tells."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

MEMORY_SYSTEMS = frozenset({"tmpfs", "ramfs"})
"""File systems on which nothing is durable."""


def processor() -> str:
    """Its name, and what of it chooses other code at run time."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    features = [flag for flag in ("avx2", "avx512ifma", "sha_ni") if flag in flags]
    return f"{names[0] if names else 'unknown'} ({', '.join(features)})"


def file_system(folder: Path) -> str:
    """Its type."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    except OSError:
        return "unknown"
    above = [(len(m[1]), m[2]) for m in mounts if folder.resolve().is_relative_to(m[1])]
    return max(above)[1] if above else "unknown"


def load() -> float:
    """Processes that wanted a core in the last minute, ours among them: above the number of cores nothing is calm."""
    return os.getloadavg()[0]


def processor_seconds() -> float:
    """Processor time of this process and of the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def memory_bytes() -> tuple[int, int]:
    """What is resident, and what of it is anonymous: the rest are pages of files, which the system takes back."""
    text = Path("/proc/self/status").read_text("utf-8")
    fields = dict(line.split(":", 1) for line in text.splitlines())
    resident, anonymous = (int(fields[name].split()[0]) * 1_024 for name in ("VmRSS", "RssAnon"))
    return resident, anonymous


def written_bytes() -> int:
    """What this process has given to the disk or made dirty in the cache above it, each page as often as it did."""
    text = Path("/proc/self/io").read_text("utf-8")
    return int(dict(line.split(": ") for line in text.splitlines())["write_bytes"])


def disk_bytes(folder: Path) -> int:
    """What the files of a folder take on the disk, those of its folders among them."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
