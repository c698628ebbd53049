"""What is asked of torch so that equal work gives equal bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from workplace import REPOSITORY

from isheep.runner import job
from isheep.serving.repeatable import make_repeatable


@pytest.mark.parametrize("gpu", [False, True])
def test_deterministic_kernels_are_asked_for_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
    asked: list[tuple[str, object]] = []
    torch = SimpleNamespace(
        set_num_threads=lambda number: asked.append(("threads", number)),
        use_deterministic_algorithms=lambda on, warn_only: asked.append(("deterministic", (on, warn_only))),
        cuda=SimpleNamespace(is_available=lambda: gpu),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(os, "environ", {})
    make_repeatable(3)
    assert asked == [("threads", 3), ("deterministic", (True, True))][: 1 + gpu]
    assert os.environ == {"MKL_CBWR": "AVX2,STRICT"} | ({"CUBLAS_WORKSPACE_CONFIG": ":4096:8"} if gpu else {})


LOAD = """
import os
from isheep.runner import job, stage
os.environ |= job.WAITING
import torch
"""


def test_threads_are_told_how_long_to_turn_before_their_runtime_is_loaded() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment |= {"OMP_DISPLAY_ENV": "verbose", "PYTHONPATH": str(REPOSITORY / "scripts")}
    done = subprocess.run([sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, check=True)
    found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    assert found and found[1] == job.WAITING["GOMP_SPINCOUNT"] == "1000"
