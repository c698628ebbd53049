"""What is asked of torch so that equal work gives equal bytes."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

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
