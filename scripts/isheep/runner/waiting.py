"""How threads wait for each other: by spinning where cores are free, asleep where others wait for them."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Turns of libgomp's spinning; it takes 300,000 by itself and reckons 100 a microsecond.
QUIET, BUSY = "10000", "0"
PRESSURE = 10.0  # percent of the last ten seconds in which somebody waited for a core
AVERAGE = re.compile(r"some avg10=([0-9.]+)")


def waiting(pressure: Path = Path("/proc/pressure/cpu")) -> dict[str, str]:
    """Return what to set, before the runtime of threads is loaded, by how busy the machine is now.

    It decides no byte. docs/performance.md has the figures.

    Parameters
    ----------
    pressure
        Where Linux tells how often somebody waits for a core; without it, the load average against the cores decides.
    """
    try:
        found = AVERAGE.search(pressure.read_text(encoding="utf-8"))
    except OSError:
        found = None
    busy = float(found[1]) > PRESSURE if found else os.getloadavg()[0] > (os.cpu_count() or 1)
    return {"GOMP_SPINCOUNT": BUSY if busy else QUIET}
