"""The most memory that a process held is its own, not that of whoever started it."""

from __future__ import annotations

import subprocess
import sys

from isheep.serving.memory import peak_memory_mib

CODE = "from isheep.serving.memory import peak_memory_mib; held = bytearray({mib} << 20); print(peak_memory_mib())"


def told(mib: int) -> float:
    done = subprocess.run([sys.executable, "-c", CODE.format(mib=mib)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_a_process_does_not_count_what_the_one_held_that_started_it():
    held = bytearray(b"x" * (300 << 20))
    assert peak_memory_mib() > len(held) >> 20
    assert told(0) < 150 < told(200)
