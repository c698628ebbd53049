"""How much main memory a process held at most."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Have the kernel count this process's peak from now on, where it can."""
    with suppress(OSError):
        REFERENCES.write_text("5")


def own_peak_mib() -> float:
    """Return the most that this process held since its start, or since `forget_peak`, in MiB; 0 where nobody knows.

    Not what `getrusage` says: there Linux counts the process that this one was forked from, Snakemake say, as its own.
    """
    with suppress(OSError):
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def peak_memory_mib() -> float:
    """Return the most that this process, or one that it started and that has ended, ever held, in MiB."""
    unit = 1024 if sys.platform != "darwin" else 1024**2
    mine, others = (
        resource.getrusage(who).ru_maxrss / unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return round(max(own_peak_mib() or mine, others), 1)
