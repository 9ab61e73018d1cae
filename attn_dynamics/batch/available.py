"""How much memory this machine, or the container, can still give."""

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
"""What Linux says of the machine's memory."""
CGROUP = Path("/sys/fs/cgroup")
"""What it says of a container's."""


def available_memory() -> int | None:
    """Bytes that can be had without swapping, where the system says so: caches that it would drop count."""
    found = [each for each in (_machine(), _container()) if each is not None]
    return min(found, default=None)


def _machine() -> int | None:
    try:
        fields = (line.split() for line in MEMINFO.read_text().splitlines())
        return next(1024 * int(field[1]) for field in fields if field[0] == "MemAvailable:")
    except (OSError, StopIteration):  # no Linux, or one before 3.14
        return _free_pages()


def _free_pages() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _container() -> int | None:
    """The limit less what is in use, but for what is cached of files that were not used lately (cgroup v2)."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((CGROUP / "memory.current").read_text())
        fields = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return max(0, int(limit) - used + int(fields.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
