"""The engine `endpoint` conforms against vLLM's own server on the CPU, with SmolLM2-135M-Instruct in float32."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import AHEAD, CONTEXT, Conformance
from workplace import GPUS

from isheep.config.engine import Engine as Settings
from isheep.config.engine import Served
from isheep.config.model import Model
from isheep.serving import engines
from isheep.serving.engines.base import Engine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(GPUS > 0, reason="vLLM's server is started on the CPU")]
START = 400  # seconds


@pytest.fixture(scope="module")
def engine(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = {"model": smollm2, "host": "127.0.0.1", "port": port, "dtype": "float32", "max-model-len": CONTEXT + 1}
    arguments |= {"max-num-seqs": AHEAD, "max-num-batched-tokens": 4096, "generation-config": "vllm"}
    flags = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    # vLLM itself advises against chunks where requests have seeds: on a CPU it dies of them.
    flags += ["--enforce-eager", "--no-enable-chunked-prefill"]
    log = tmp_path_factory.mktemp("server") / "log"
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *flags]
    with open(log, "w") as said, subprocess.Popen(command, env=environment, stdout=said, stderr=said) as server:
        try:
            _await(f"http://127.0.0.1:{port}/health", server, log)
            served = Served(base_url=f"http://127.0.0.1:{port}/v1", concurrency=AHEAD)
            settings = Settings(name="endpoint", context_length=CONTEXT, endpoint=served)
            with engines.load(settings, Model(), smollm2, "", threads=1, gpus=0) as engine:
                yield engine
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except OSError:
            time.sleep(1)
    pytest.fail(f"the server did not start in {START} s\n{log.read_text()[-3000:]}")


class TestServedByVllm(Conformance):
    pass
