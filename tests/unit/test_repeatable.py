"""What is asked of torch so that equal work gives equal bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from workplace import REPOSITORY

from isheep.runner.waiting import BUSY, QUIET, waiting
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
os.environ |= job.waiting()
import torch
"""


def test_the_bound_of_spinning_is_set_before_the_runtime_of_threads_is_loaded() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment |= {"OMP_DISPLAY_ENV": "verbose", "PYTHONPATH": str(REPOSITORY / "scripts")}
    done = subprocess.run([sys.executable, "-c", LOAD], env=environment, capture_output=True, text=True, check=True)
    found = re.search(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    assert found and found[1] in (QUIET, BUSY)


@pytest.mark.parametrize(("told", "bound"), [("some avg10=0.50 avg60=9", QUIET), ("some avg10=64.20 avg60=0", BUSY)])
def test_threads_sleep_where_others_wait_for_a_core(tmp_path: Path, told: str, bound: str) -> None:
    (tmp_path / "cpu").write_text(f"{told} avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    assert waiting(tmp_path / "cpu") == {"GOMP_SPINCOUNT": bound}


@pytest.mark.parametrize(("load", "bound"), [(0.5, QUIET), (64.0, BUSY)])
def test_the_load_decides_where_linux_tells_no_pressure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: float, bound: str
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert waiting(tmp_path / "none") == {"GOMP_SPINCOUNT": bound}
