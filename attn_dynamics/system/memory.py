"""The free memory of this machine or container, and a check that sizes fit into it."""

import os
from collections.abc import Mapping
from pathlib import Path

from attn_dynamics.errors import InputError

MEMINFO = Path("/proc/meminfo")
"""Linux file on the machine's memory."""
CGROUP = Path("/sys/fs/cgroup")
"""Folder of Linux files on a container's memory."""


def available_memory() -> int | None:
    """Return the bytes available without swapping, droppable caches included; None if the system does not say."""
    found = [each for each in (_machine(), _container()) if each is not None]
    return min(found, default=None)


def check_room(needed: int, sizes: Mapping[str, int]) -> None:
    """Refuse sizes that need more memory than is free, before it is allocated.

    Args:
        needed: lower bound on the bytes needed.
        sizes: arguments that decide how much is needed; the error names the largest.

    Raises:
        InputError: the memory does not suffice; the message gives both amounts.
    """
    free = available_memory()
    if free is None or needed <= free:
        return
    name = max(sizes, key=lambda each: sizes[each])
    raise InputError(
        name,
        expected=f"a size that fits into the {in_words(free)} of memory that are free",
        given=f"{sizes[name]:,}, which needs at least {in_words(needed)}",
        fix="Give a smaller number.",
    )


def in_words(number: int) -> str:
    """Return a number of bytes in the largest unit that it fills."""
    units = {"EiB": 60, "PiB": 50, "TiB": 40, "GiB": 30, "MiB": 20, "KiB": 10}
    unit = next((unit for unit, power in units.items() if number >= 1 << power), None)
    return f"{number} bytes" if unit is None else f"{number / (1 << units[unit]):,.3g} {unit}"


def _machine() -> int | None:
    try:
        fields = (line.split() for line in MEMINFO.read_text().splitlines())
        return next(1024 * int(field[1]) for field in fields if field[0] == "MemAvailable:")
    except (OSError, StopIteration):  # not Linux, or one before 3.14
        return _free_pages()


def _free_pages() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _container() -> int | None:
    """Return the limit minus the memory in use, without caches of files not used lately (cgroup v2)."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((CGROUP / "memory.current").read_text())
        fields = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return max(0, int(limit) - used + int(fields.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
