"""What holds for every test and what it starts: few threads, no network, no reports to anyone, this package."""

from __future__ import annotations

import os
from pathlib import Path

for name, value in {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "PYTHONPATH": str(Path(__file__).parents[1] / "scripts"),
}.items():
    os.environ.setdefault(name, value)
